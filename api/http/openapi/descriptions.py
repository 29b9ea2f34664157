"""Every route in words: what it does, takes and gives. `tests/api/http/openapi` holds it to the table of
routes."""

from __future__ import annotations

from typing import Any, Final

from api.http.agent_views import AgentView, FloorView
from api.http.openapi.bodies import (
    AddedView,
    ChosenContactView,
    MulticastBody,
    NextContactView,
    StatusView,
    TicketView,
)
from api.http.openapi.described import CSV_TYPE, Described, page_of
from api.http.resources.activations import ActivationView, RefusalForm
from api.http.resources.agents import ContactForm
from api.http.resources.dnc import DoNotCallForm, ImportView
from api.http.resources.doors import DoorView, PickupView
from api.http.resources.events import EVENT_STREAM_TYPE
from api.http.resources.flows import DidsForm, ListenerForm
from api.http.resources.letters import LetterView
from api.http.resources.traces import TEXT_TYPE
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
from api.http.views.accounts import (
    AccountView,
    AuditView,
    CallerView,
    KeyView,
    NewKeyView,
)
from api.http.views.calls import AttemptView, CallView, ContactView, RecordingView
from api.http.views.dids import DidView
from api.http.views.do_not_call import DoNotCallChangeView, DoNotCallView
from api.http.views.flows import FlowView, PromptView
from api.http.views.lists import ForecastView, ListView, MulticastView
from engine.account_form import AccountChangeForm, AccountForm
from engine.did_form import DidChangeForm, DidForm, RestForm
from engine.flow_form import FlowForm
from engine.forecast.behaviour import Stated
from engine.intake.bodies import CallRequest
from engine.keys import KeyForm, RotationForm
from engine.rescheduling import ListChangeForm, StartForm
from engine.staffing import AgentChange, AgentForm

FLOW: Final = "/v1/flows/{flow}"
DID: Final = "/v1/dids/{did}"
LIST: Final = "/v1/lists/{list}"
HTML_TYPE: Final = "text/html"
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
STARTS: Final = {"starttime": "2026-12-24T09:00:00+05:30"}
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

DESCRIPTIONS: Final[dict[tuple[str, str], Described]] = {
    ("POST", "/v1/accounts"): Described(
        "Make an account",
        AccountView,
        201,
        AccountForm,
        {"name": "hospital", "timezone": "Europe/Berlin", "email": "it@hospital.example"},
        codes=("account_exists",),
    ),
    ("GET", "/v1/accounts"): Described("List all accounts", page_of(AccountView)),
    ("GET", "/v1/accounts/{account}"): Described("Show an account", AccountView),
    ("PATCH", "/v1/accounts/{account}"): Described(
        "Change an account", AccountView, takes=AccountChangeForm, example={"cps": 20}
    ),
    ("POST", "/v1/accounts/{account}/stop"): Described(
        "Make no call of an account any more, and end those that go on, at once", AccountView
    ),
    ("POST", "/v1/accounts/{account}/start"): Described("Let an account call again", AccountView),
    ("POST", "/v1/accounts/{account}/pause"): Described(
        "Begin no call of an account any more; those that are up go on", AccountView
    ),
    ("POST", "/v1/accounts/{account}/resume"): Described(
        "Let an account go on that was paused", AccountView
    ),
    ("POST", "/v1/accounts/{account}/cancel"): Described(
        "Cancel all lists and calls of an account that wait", AccountView
    ),
    ("POST", "/v1/keys"): Described(
        "Make a key",
        NewKeyView,
        201,
        KeyForm,
        {"account": "hospital", "role": "operator"},
        codes=("unknown_account",),
        detail="The answer is the only place that shows it.",
    ),
    ("GET", "/v1/keys"): Described("List keys", page_of(KeyView)),
    ("GET", "/v1/keys/{key}"): Described("Show a key, but for itself", KeyView),
    ("GET", "/v1/me"): Described("Show who asks: the key's role, and its account", CallerView),
    ("POST", "/v1/keys/{key}/rotate"): Described(
        "Make a key in the place of another, which goes on for a while",
        NewKeyView,
        201,
        RotationForm,
        {},
        detail="The new key has as long to live as the old one was made for; one that a key with an "
        "end asks for, itself in its own place too, ends with that key.",
    ),
    ("DELETE", "/v1/keys/{key}"): Described("Revoke a key, at once", None, 204),
    ("GET", "/v1/audit"): Described("List who changed what", page_of(AuditView)),
    ("GET", "/v1/audit.csv"): Described("Get the audit log", media_type=CSV_TYPE),
    ("GET", "/v1/audit.ndjson"): Described(
        "Get the audit log, an entry a line", media_type="application/x-ndjson"
    ),
    ("PATCH", DID): Described(
        "Change a DID's limits or trunk, at once", DidView, takes=DidChangeForm, example={"cps": 5}
    ),
    ("DELETE", DID): Described("Take a DID away", None, 204),
    ("POST", f"{DID}/rest"): Described(
        "Call from this DID no more for a while",
        DidView,
        takes=RestForm,
        example={"for_s": 3600, "note": "shown as spam"},
    ),
    ("POST", f"{DID}/resume"): Described("Call from a DID again that rests", DidView),
    ("POST", "/v1/dids"): Described(
        "Make a DID",
        DidView,
        201,
        DidForm,
        {
            "number": "+914012345678",
            "account": "hospital",
            "trunk": "main",
            "cps": 5,
            "channels": 30,
            "caps": [{"calls": 1000, "per_s": 86400}],
        },
        codes=("did_exists", "unknown_account"),
    ),
    ("GET", DID): Described(
        "Show a DID with how busy it is",
        DidView,
        detail="Its ETag stands for what PATCH changes, not for how busy it is.",
    ),
    ("GET", "/v1/dids"): Described("List DIDs with how busy each is", page_of(DidView)),
    ("POST", "/v1/flows"): Described("Make a flow", FlowView, 201, FlowForm, FLOW_EXAMPLE),
    ("GET", "/v1/flows"): Described("List flows", page_of(FlowView)),
    ("GET", FLOW): Described("Show a flow", FlowView),
    ("PUT", FLOW): Described(
        "Replace a flow",
        FlowView,
        takes=FlowForm,
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
        "End the agent's call", None, 204, codes=("agent_not_talking",)
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
    ("GET", "/v1/lists"): Described("List call lists, the newest first", page_of(ListView)),
    ("GET", LIST): Described("Show a list and how far it is", ListView),
    ("PATCH", LIST): Described(
        "Give a list another start time, or another priority",
        ListView,
        takes=ListChangeForm,
        example={**STARTS, "priority": "high"},
        codes=("invalid_starttime", "starttime_past", "list_finished"),
    ),
    ("GET", f"{LIST}/contacts"): Described(
        "List the contacts of a list with what each waits for", page_of(ContactView)
    ),
    ("GET", f"{LIST}/results.csv"): Described(
        "Get what became of each contact", media_type=CSV_TYPE
    ),
    ("GET", f"{LIST}/rejected.csv"): Described(
        "Get the rows that were not taken, with why", media_type=CSV_TYPE
    ),
    ("POST", f"{LIST}/forecast"): Described(
        "Tell when a list will end, and what keeps it from ending sooner",
        ForecastView,
        takes=Stated,
        example={"answer_rate": 0.4, "talk_s": 30},
        codes=("forecast_busy", "busy"),
    ),
    ("POST", f"{LIST}/pause"): Described(
        "Let no more call of a list begin", ListView, codes=("list_finished",)
    ),
    ("POST", f"{LIST}/resume"): Described(
        "Go on with a paused list", ListView, codes=("list_finished",)
    ),
    ("POST", f"{LIST}/cancel"): Described(
        "Call nobody of a list any more", ListView, codes=("list_finished", "list_standing")
    ),
    ("GET", "/v1/contacts/{contact}"): Described(
        "Show a contact, its attempts, and what it waits for", ContactView
    ),
    ("PATCH", "/v1/contacts/{contact}"): Described(
        "Give a contact another start time",
        ContactView,
        takes=StartForm,
        example=STARTS,
        codes=("invalid_starttime", "starttime_past", "contact_finished", "contact_dialing"),
    ),
    ("POST", "/v1/contacts/{contact}/cancel"): Described(
        "Do not call a contact any more",
        ContactView,
        codes=("contact_finished", "contact_dialing"),
    ),
    ("GET", "/v1/attempts"): Described("List call detail records", page_of(AttemptView)),
    ("GET", "/v1/attempts.csv"): Described("Get call detail records", media_type=CSV_TYPE),
    ("GET", "/v1/attempts/{attempt}"): Described("Show a call detail record", AttemptView),
    ("GET", "/v1/attempts/{attempt}/trace"): Described(
        "Get what a call said on the wire",
        media_type=TEXT_TYPE,
        codes=("trace_not_kept",),
        detail="`format` is `text`, or `pcap` for Wireshark.",
    ),
    ("GET", "/v1/recordings"): Described("List recordings", page_of(RecordingView)),
    ("GET", "/v1/recordings/{recording}"): Described(
        "Get a recording's sound", media_type="audio/wav", codes=("recording_not_kept",)
    ),
    ("POST", "/v1/dnc"): Described(
        "Put numbers on the do-not-call list",
        AddedView,
        201,
        DoNotCallForm,
        {"numbers": ["+919876543210", "+1900*"], "note": "asked on 3 May"},
        codes=("unknown_flow", "too_many_prefixes", "invalid_number", "invalid_expiry"),
    ),
    ("GET", "/v1/dnc"): Described("List who is not to be called", page_of(DoNotCallView)),
    ("GET", "/v1/dnc.csv"): Described("Get the do-not-call list", media_type=CSV_TYPE),
    ("GET", "/v1/dnc/audit"): Described(
        "List who changed the do-not-call list, and how", page_of(DoNotCallChangeView)
    ),
    ("POST", "/v1/dnc/import"): Described(
        "Put the numbers of a file on the do-not-call list",
        ImportView,
        201,
        codes=(
            "unknown_flow",
            "not_csv",
            "file_too_large",
            "invalid_encoding",
            "too_many_prefixes",
        ),
    ),
    ("DELETE", "/v1/dnc/{number}"): Described(
        "Strike a number off the do-not-call list", None, 204, codes=("invalid_number",)
    ),
    ("POST", "/v1/prompts"): Described(
        "Upload a recording to be played",
        PromptView,
        201,
        codes=("empty", "not_audio", "too_big", "too_long"),
        detail="WAV, MP3, FLAC or OGG of any rate.",
    ),
    ("GET", "/v1/prompts"): Described("List recordings to be played", page_of(PromptView)),
    ("POST", "/v1/feed/tickets"): Described(
        "Get a ticket with which a browser opens the feed", TicketView, 201
    ),
    ("GET", "/v1/events"): Described(
        "Follow the events of the account as Server-Sent Events",
        media_type=EVENT_STREAM_TYPE,
        detail=(
            "The same as the websocket `/v1/feed`, for those who cannot do websockets: an event's `id` is its"
            " number, and its `data` an `Event`. It goes on until the client leaves, with a comment after"
            " 15 s of silence; `Last-Event-ID` goes before `since`."
        ),
    ),
    ("GET", "/healthz"): Described("Whether the process lives", StatusView),
    ("GET", "/readyz"): Described("Whether calls can be made", StatusView, codes=("not_ready",)),
    ("GET", "/metrics"): Described(
        "What the process does, for Prometheus", media_type=TEXT_TYPE, codes=("not_found",)
    ),
    ("GET", "/openapi.json"): Described("This description", dict[str, Any]),
    ("GET", "/docs"): Described("This description, to be read", media_type=HTML_TYPE),
    ("GET", "/"): Described("The console", media_type=HTML_TYPE),
    ("GET", "/console/{file}"): Described("A part of the console", media_type="text/plain"),
    ("GET", "/docs/errors/{code}"): Described("What an error means", media_type=HTML_TYPE),
}
