"""Flows, their agents, triggers, doors and webhooks, in words."""

from __future__ import annotations

from typing import Final

from api.http.agent_views import AgentView, FloorView
from api.http.openapi.bodies import (
    ChosenContactView,
    FlowChangeForm,
    MulticastBody,
    NextContactView,
)
from api.http.openapi.described import CSV_TYPE, Described, page_of
from api.http.resources.activations import ActivationView, RefusalForm
from api.http.resources.agents import ContactForm, TalkForm
from api.http.resources.doors import DoorView, PickupView
from api.http.resources.flows import DidsForm, ListenerForm
from api.http.resources.letters import LetterView
from api.http.resources.webhooks import DeliveryView, HookView
from api.http.routes import (
    ACTIVATION,
    AGENT,
    AGENTS,
    DELIVERIES,
    DELIVERY,
    FOLDER,
    HOOK,
    PICKUPS,
    SFTP,
)
from api.http.views.calls import CallView
from api.http.views.flows import FlowView
from api.http.views.lists import ListView, MulticastView
from engine.control.staffing import AgentChange, AgentForm
from engine.forms.flow import FlowForm
from engine.intake.bodies import CallRequest

FLOW: Final = "/v1/flows/{flow}"
FLOW_EXAMPLE: Final = {
    "name": "Payment reminder",
    "kind": "multicast",
    "timezone": "Asia/Kolkata",
    "definition": {
        "start": "hello",
        "variables": {"name": {"default": "there"}},
        "nodes": {
            "hello": {"type": "say", "text": "Hello {{name}}.", "next": "bye"},
            "bye": {"type": "hangup"},
        },
    },
    "settings": {
        "attempts_max": 3,
        "retry": {"busy": {"tries": 2, "wait_s": 600}},
        "calling_window": {"start": "09:00", "end": "21:00"},
    },
}
OF_FILES: Final = (
    "listener_inactive",
    "flow_deleted",
    "file_too_large",
    "not_csv",
    "bad_zip",
    "no_rows",
    "missing_tel",
    "unknown_column",
    "too_many_columns",
    "invalid_encoding",
    "duplicate_list",
)
AGENT_WORK: Final = ("agent_not_available", "not_preview", "no_preview", "agent_busy")

FLOWS: Final[dict[tuple[str, str], Described]] = {
    ("POST", "/v1/flows"): Described("Make a flow", FlowView, 201, FlowForm, FLOW_EXAMPLE),
    ("GET", "/v1/flows"): Described("List flows", page_of(FlowView)),
    ("GET", FLOW): Described("Show a flow", FlowView),
    ("PUT", FLOW): Described(
        "Replace a flow",
        FlowView,
        takes=FlowChangeForm,
        example=FLOW_EXAMPLE,
        codes=("kind_fixed",),
        detail="What is left out becomes its default, but for the kind. Lists that are there go on with the "
        "graph that they came with; settings count at once.",
    ),
    ("DELETE", FLOW): Described(
        "Delete a flow; its lists and records stay", None, 204, codes=("flow_in_use",)
    ),
    ("PUT", f"{FLOW}/dids"): Described(
        "Say which DIDs a flow calls from",
        FlowView,
        takes=DidsForm,
        example={"numbers": ["+914012345678"]},
        codes=("no_dids", "unknown_did", "invalid_number"),
    ),
    ("POST", f"{FLOW}/pause"): Described(
        "Begin no call of a flow any more; those that are up go on, and triggers are taken",
        FlowView,
    ),
    ("POST", f"{FLOW}/resume"): Described("Let a flow go on that was paused", FlowView),
    ("POST", f"{FLOW}/cancel"): Described(
        "Cancel all lists and single calls of a flow that wait", FlowView
    ),
    ("PUT", f"{FLOW}/listener"): Described(
        "Let a flow take triggers and dial, or not",
        FlowView,
        takes=ListenerForm,
        example={"active": True},
        codes=("no_dids",),
    ),
    ("POST", AGENTS): Described(
        "Make an agent",
        AgentView,
        201,
        AgentForm,
        {"number": "+14155550177", "name": "Ada"},
        codes=("agent_exists", "too_many_agents", "agent_not_allowed"),
    ),
    ("GET", AGENTS): Described("List a flow's agents", page_of(AgentView)),
    ("GET", AGENT): Described("Show an agent", AgentView),
    ("PATCH", AGENT): Described(
        "Change an agent, or their presence",
        AgentView,
        takes=AgentChange,
        example={"presence": "available"},
        codes=("agent_exists", "agent_unreached", "agent_busy"),
    ),
    ("DELETE", AGENT): Described("Take an agent away", None, 204, codes=("agent_busy",)),
    ("POST", f"{AGENT}/next"): Described(
        "Show an agent whom to call next", NextContactView, codes=AGENT_WORK
    ),
    ("POST", f"{AGENT}/dial"): Described(
        "Call the contact that the agent looks at",
        ChosenContactView,
        202,
        ContactForm,
        {"contact": "cnt_01J9Z"},
        codes=AGENT_WORK,
    ),
    ("POST", f"{AGENT}/skip"): Described(
        "Leave the contact that the agent looks at to others",
        None,
        204,
        ContactForm,
        {"contact": "cnt_01J9Z"},
        codes=AGENT_WORK,
    ),
    ("POST", f"{AGENT}/hangup"): Described(
        "End the agent's talk",
        None,
        204,
        TalkForm,
        {"contact": "cnt_01J9Z"},
        codes=("agent_not_available", "agent_not_talking", "another_contact"),
        detail="Name the contact that `GET` shows of the agent: a request that is sent again would else end "
        "the talk with the next one.",
    ),
    ("GET", SFTP): Described("Show how a flow's SFTP server stands", DoorView),
    ("POST", f"{SFTP}/visit"): Described(
        "Visit a flow's SFTP server now", DoorView, 202, codes=("no_door",)
    ),
    ("GET", "/v1/flows/{flow}/mailbox"): Described(
        "Show how the mailbox stands out of which a flow's mails are fetched", DoorView
    ),
    ("GET", FOLDER): Described("Show how a flow's watched folder stands", DoorView),
    ("POST", f"{FOLDER}/visit"): Described(
        "Visit a flow's watched folder now", DoorView, 202, codes=("no_door",)
    ),
    ("GET", PICKUPS): Described(
        "List the files that a flow picked up, the newest first", page_of(PickupView)
    ),
    ("GET", HOOK): Described("Show how a flow's webhook stands", HookView),
    ("POST", f"{HOOK}/enable"): Described("Use a webhook again that was disabled", HookView),
    ("GET", DELIVERIES): Described(
        "List what a webhook was sent, the newest first", page_of(DeliveryView)
    ),
    ("GET", DELIVERY): Described("Show a delivery", DeliveryView),
    ("POST", f"{DELIVERY}/replay"): Described("Send a delivery again", DeliveryView, 202),
    ("GET", f"{FLOW}/floor"): Described("Show what agents and their customers do", FloorView),
    ("GET", f"{FLOW}/template.csv"): Described(
        "Get a call list of this flow's columns to fill in", media_type=CSV_TYPE
    ),
    ("GET", f"{FLOW}/diagram.svg"): Described("Draw a flow's graph", media_type="image/svg+xml"),
    ("POST", f"{FLOW}/multicast"): Described(
        "Call many contacts",
        MulticastView,
        202,
        MulticastBody,
        {
            "name": "october",
            "contacts": [
                {"tel": ["+919876543210"], "variables": {"name": "Asha"}, "reference": "A-17"}
            ],
        },
        codes=("listener_inactive", "flow_deleted", "no_rows", "too_many_contacts"),
        detail="As `application/x-ndjson` with a contact (`ContactRequest`) a line there is no bound to how "
        "many.",
    ),
    ("POST", f"{FLOW}/calls"): Described(
        "Make one call",
        CallView,
        202,
        CallRequest,
        {"to": "+919876543210", "variables": {"name": "Asha"}},
        codes=(
            "listener_inactive",
            "flow_deleted",
            "invalid_number",
            "number_not_allowed",
            "duplicate_number",
            "invalid_starttime",
            "starttime_past",
            "missing_variable",
            "invalid_variable",
            "value_too_long",
            "unknown_column",
            "agent_not_allowed",
        ),
    ),
    ("POST", f"{FLOW}/lists"): Described(
        "Upload a call list", ListView, 202, codes=OF_FILES, detail="A .csv, .zip or .xlsx."
    ),
    ("GET", "/v1/activations"): Described(
        "List requests by mail to activate listeners, the newest first", page_of(ActivationView)
    ),
    ("GET", ACTIVATION): Described("Show a request to activate a listener", ActivationView),
    ("POST", f"{ACTIVATION}/confirm"): Described(
        "Confirm a request: attach its numbers, and activate the listener",
        ActivationView,
        codes=(
            "activation_decided",
            "activation_expired",
            "already_active",
            "dids_changed",
            "flow_deleted",
            "no_dids",
            "wrong_number_series",
        ),
    ),
    ("POST", f"{ACTIVATION}/refuse"): Described(
        "Refuse a request, and tell its sender why",
        ActivationView,
        takes=RefusalForm,
        example={"reason": "The numbers are in use elsewhere."},
        codes=("activation_decided", "invalid_body"),
    ),
    ("GET", "/v1/letters"): Described(
        "List receipts and other letters by mail, the newest first", page_of(LetterView)
    ),
}
