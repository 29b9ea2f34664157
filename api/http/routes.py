"""Every route of the API, with the least role that may use it, in one table; each is described in
`api.http.openapi.in_words`.

The checks are made from it, and the tests that no role sees or does more than it may, and nothing of another
account (`tests/api/http/test_walls.py`); and so is the description of the API. A new route is a line
here. Where its address has a name in braces that none had before, `tests/api/http/neighbours.py` is told what
it stands for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, cast

from msgspec import Struct

from api.http.agent_views import AgentView
from api.http.exchange import JSON_TYPE, Answer, Exchange
from api.http.resources import (
    accounts,
    activations,
    agents,
    attempts,
    audit,
    contact_stream,
    contacts,
    description,
    dids,
    dnc,
    doors,
    events,
    feed,
    flows,
    health,
    keys,
    letters,
    lists,
    pages,
    prompts,
    recordings,
    traces,
    triggers,
    webhooks,
)
from api.http.shown import Shown
from api.http.views.accounts import AccountView
from api.http.views.calls import ContactView
from api.http.views.dids import DidView
from api.http.views.flows import FlowView
from api.http.views.lists import ListView
from engine.control.rescheduling import ListChangeForm, StartForm
from engine.control.staffing import AgentChange
from engine.forms.account import AccountChangeForm
from engine.forms.did import DidChangeForm
from engine.forms.flow import FlowForm
from engine.model import Account, CallList, Did, Flow, Role, Scope

Handler = Callable[[Exchange], Awaitable[Answer]]


class Body(Struct, frozen=True):
    """What a route takes as its request's body."""

    media_types: tuple[str, ...]
    """The first is assumed where none is said."""
    bytes_max: int
    streamed: tuple[str, ...] = ()
    """Those of the media types whose bodies the handler reads as they come."""
    too_large: str = "body_too_large"
    """The code of a problem with more than `bytes_max`."""
    is_optional: bool = False
    """Whether there may be none."""

    @property
    def is_form(self) -> bool:
        """Whether it is a form with a file."""
        return self.media_types == ("multipart/form-data",)


JSON_BYTES_MAX: Final = 1_000_000
CONTACTS_BYTES_MAX: Final = 16_000_000
"""Of contacts as one JSON body."""
STREAM_BYTES_MAX: Final = 2_000_000_000
"""Of contacts as NDJSON, of which no more than a block is in memory."""
UPLOAD_BYTES_MAX: Final = 6_000_000
"""A call list of 5 MB, and the form around it."""
RECORDING_BYTES_MAX: Final = 16_000_000

JSON: Final = Body(("application/json",), JSON_BYTES_MAX)
OPTIONAL_JSON: Final = Body(("application/json",), JSON_BYTES_MAX, is_optional=True)
CONTACTS: Final = Body(
    (JSON_TYPE, *contact_stream.MEDIA_TYPES), CONTACTS_BYTES_MAX, contact_stream.MEDIA_TYPES
)
UPLOAD: Final = Body(("multipart/form-data",), UPLOAD_BYTES_MAX, too_large="file_too_large")
RECORDING: Final = Body(("multipart/form-data",), RECORDING_BYTES_MAX)


PARTS_OF_FLOWS: Final[dict[str, Scope]] = {
    "agents": "agents",
    "calls": "triggers",
    "lists": "triggers",
    "multicast": "triggers",
    "webhook": "webhooks",
}
"""What is in an address after the flow, and belongs to a part of its own."""


class Route(Struct, frozen=True):
    """One method of one address."""

    method: str
    path: str
    """With names in braces for what varies."""
    least: Role | None
    """Who has this role or one above it may use the route; None for everybody, without a key."""
    handler: Handler
    body: Body | None = None
    creates: bool = False
    """Whether an Idempotency-Key is taken."""
    gives_secret: bool = False
    """Whether its answer is for nobody but who asked, and is kept sealed (`api.http.seals`)."""
    query: tuple[str, ...] = ()
    """The parameters that may follow the question mark."""
    edits: type[Struct] | None = None
    """What it shows or changes that has an ETag (`api.http.etags`)."""
    shown: Shown | None = None
    """How what it changes is shown: a body may bring all of that."""
    takes_ticket: bool = False
    """Whether a ticket of the feed stands for a key, as `?ticket=`."""
    is_short: bool = False
    """Whether small JSON bodies come by the thousand, and go by the `shortcut`."""

    @property
    def is_audited(self) -> bool:
        """Whether what it changes goes into the audit log. Single calls do not, since a trigger a line would
        make the log unreadable, and the writing dearer; the contact says as much."""
        return self.method != "GET" and not self.path.endswith("/calls")

    @property
    def scope(self) -> Scope | None:
        """The part of the API that it belongs to: the word after `/v1/`, or what `PARTS_OF_FLOWS` says. None
        of what every key may ask."""
        _, _, area, *words = self.path.partition(".")[0].split("/")
        if area == "flows" and len(words) > 1 and words[1] in PARTS_OF_FLOWS:
            return PARTS_OF_FLOWS[words[1]]
        if area == "me":
            return None
        if area == "events":
            return "feed"
        return cast("Scope", area)


PAGE: Final = ("limit", "cursor")
RECORDS: Final = ("flow", "list", "contact", "number", "from", "to", "open")

ACCOUNT: Final = "/v1/accounts/{account}"
FLOW: Final = "/v1/flows/{flow}"
AGENTS: Final = "/v1/flows/{flow}/agents"
AGENT: Final = f"{AGENTS}/{{agent}}"
HOOK: Final = "/v1/flows/{flow}/webhook"
SFTP: Final = "/v1/flows/{flow}/sftp"
FOLDER: Final = "/v1/flows/{flow}/folder"
PICKUPS: Final = "/v1/flows/{flow}/pickups"
ACTIVATION: Final = "/v1/activations/{activation}"
DELIVERIES: Final = f"{HOOK}/deliveries"
DELIVERY: Final = f"{DELIVERIES}/{{delivery}}"

SHOWN_ACCOUNT: Final = Shown(AccountView, AccountChangeForm, accounts.get_account)
SHOWN_DID: Final = Shown(
    DidView, DidChangeForm, dids.get_did, frozenset(("load", "health", "rest"))
)
SHOWN_FLOW: Final = Shown(
    FlowView,
    FlowForm,
    flows.get_flow,
    frozenset(("version",)),
    (("dids", f"PUT {FLOW}/dids"), ("listener", f"PUT {FLOW}/listener")),
)
SHOWN_AGENT: Final = Shown(
    AgentView,
    AgentChange,
    agents.get_agent,
    frozenset(("presence_at", "presence_reason", "contact")),
)
SHOWN_LIST: Final = Shown(
    ListView,
    ListChangeForm,
    lists.get_list,
    frozenset(
        (
            "status",
            "counts",
            "dispositions",
            "report",
            "started_at",
            "finished_at",
            "blocked",
            "blocked_until",
            "blocked_detail",
        )
    ),
)
SHOWN_CONTACT: Final = Shown(
    ContactView,
    StartForm,
    contacts.get_contact,
    frozenset(("status", "disposition", "completed_at", "blocker", "attempts")),
)

ROUTES: Final = (
    Route("POST", "/v1/accounts", "administrator", accounts.create_account, JSON, creates=True),
    Route("GET", "/v1/accounts", "administrator", accounts.list_accounts, query=PAGE),
    Route("GET", ACCOUNT, "administrator", accounts.get_account, edits=Account),
    Route(
        "PATCH",
        ACCOUNT,
        "administrator",
        accounts.change_account,
        JSON,
        edits=Account,
        shown=SHOWN_ACCOUNT,
    ),
    Route("POST", "/v1/accounts/{account}/stop", "administrator", accounts.stop_account),
    Route("POST", "/v1/accounts/{account}/start", "administrator", accounts.start_account),
    Route("POST", "/v1/accounts/{account}/pause", "administrator", accounts.pause),
    Route("POST", "/v1/accounts/{account}/resume", "administrator", accounts.resume),
    Route("POST", "/v1/accounts/{account}/cancel", "administrator", accounts.cancel),
    Route("GET", "/v1/audit", "owner", audit.list_entries, query=PAGE),
    Route("GET", "/v1/audit.csv", "owner", audit.get_csv),
    Route("GET", "/v1/audit.ndjson", "owner", audit.get_ndjson),
    Route("POST", "/v1/keys", "owner", keys.create_key, JSON, creates=True, gives_secret=True),
    Route("GET", "/v1/keys", "owner", keys.list_keys, query=PAGE),
    Route("GET", "/v1/keys/{key}", "owner", keys.get_key),
    Route("DELETE", "/v1/keys/{key}", "owner", keys.revoke_key),
    Route(
        "POST",
        "/v1/keys/{key}/rotate",
        "owner",
        keys.rotate_key,
        JSON,
        creates=True,
        gives_secret=True,
    ),
    Route("GET", "/v1/me", "viewer", keys.get_caller),
    Route("POST", "/v1/dids", "administrator", dids.create_did, JSON, creates=True),
    Route("GET", "/v1/dids", "viewer", dids.list_dids, query=PAGE),
    Route("GET", "/v1/dids/{did}", "viewer", dids.get_did, edits=Did),
    Route(
        "PATCH",
        "/v1/dids/{did}",
        "administrator",
        dids.change_did,
        JSON,
        edits=Did,
        shown=SHOWN_DID,
    ),
    Route("DELETE", "/v1/dids/{did}", "administrator", dids.delete_did, edits=Did),
    Route("POST", "/v1/dids/{did}/rest", "operator", dids.rest, JSON),
    Route("POST", "/v1/dids/{did}/resume", "operator", dids.resume),
    Route("POST", "/v1/flows", "owner", flows.create_flow, JSON, creates=True),
    Route("GET", "/v1/flows", "viewer", flows.list_flows, query=PAGE),
    Route("GET", FLOW, "viewer", flows.get_flow, edits=Flow),
    Route("PUT", FLOW, "owner", flows.change_flow, JSON, edits=Flow, shown=SHOWN_FLOW),
    Route("DELETE", FLOW, "owner", flows.delete_flow, edits=Flow),
    Route("PUT", f"{FLOW}/dids", "owner", flows.attach_dids, JSON, edits=Flow),
    Route("PUT", f"{FLOW}/listener", "operator", flows.set_listener, JSON, edits=Flow),
    Route("POST", "/v1/flows/{flow}/pause", "operator", flows.pause),
    Route("POST", "/v1/flows/{flow}/resume", "operator", flows.resume),
    Route("POST", "/v1/flows/{flow}/cancel", "operator", flows.cancel),
    Route("POST", AGENTS, "operator", agents.create_agent, JSON, creates=True),
    Route("GET", AGENTS, "viewer", agents.list_agents, query=PAGE),
    Route("GET", AGENT, "viewer", agents.get_agent),
    Route("PATCH", AGENT, "operator", agents.change_agent, JSON, shown=SHOWN_AGENT),
    Route("DELETE", AGENT, "operator", agents.delete_agent),
    Route("POST", f"{AGENT}/next", "operator", agents.show_next),
    Route("POST", f"{AGENT}/dial", "operator", agents.accept, JSON),
    Route("POST", f"{AGENT}/skip", "operator", agents.skip, JSON),
    Route("POST", f"{AGENT}/hangup", "operator", agents.hang_up, OPTIONAL_JSON),
    Route("GET", HOOK, "viewer", webhooks.get_hook),
    Route("POST", f"{HOOK}/enable", "owner", webhooks.enable_hook),
    Route("GET", DELIVERIES, "viewer", webhooks.list_deliveries, query=("state", *PAGE)),
    Route("GET", DELIVERY, "viewer", webhooks.get_delivery),
    Route("POST", f"{DELIVERY}/replay", "operator", webhooks.replay_delivery),
    Route("GET", SFTP, "viewer", doors.get_sftp),
    Route("POST", f"{SFTP}/visit", "operator", doors.visit_sftp),
    Route("GET", FOLDER, "viewer", doors.get_folder),
    Route("POST", f"{FOLDER}/visit", "operator", doors.visit_folder),
    Route("GET", "/v1/flows/{flow}/mailbox", "viewer", doors.get_mailbox),
    Route("GET", PICKUPS, "viewer", doors.list_pickups, query=PAGE),
    Route("GET", "/v1/flows/{flow}/floor", "viewer", agents.get_floor),
    Route("GET", "/v1/flows/{flow}/template.csv", "viewer", flows.get_template),
    Route("GET", "/v1/flows/{flow}/diagram.svg", "viewer", flows.get_diagram),
    Route(
        "POST",
        "/v1/flows/{flow}/multicast",
        "operator",
        triggers.multicast,
        CONTACTS,
        creates=True,
        is_short=True,
        query=("name", "priority", "strict"),
    ),
    Route(
        "POST",
        "/v1/flows/{flow}/calls",
        "operator",
        triggers.call,
        JSON,
        creates=True,
        is_short=True,
    ),
    Route(
        "POST",
        "/v1/flows/{flow}/lists",
        "operator",
        triggers.upload,
        UPLOAD,
        creates=True,
        query=("again", "dry_run", "priority", "sheet", "strict"),
    ),
    Route(
        "GET", "/v1/activations", "viewer", activations.list_activations, query=("status", *PAGE)
    ),
    Route("GET", ACTIVATION, "viewer", activations.get_activation),
    Route("POST", f"{ACTIVATION}/confirm", "operator", activations.confirm),
    Route("POST", f"{ACTIVATION}/refuse", "operator", activations.refuse, JSON),
    Route("GET", "/v1/letters", "viewer", letters.list_letters, query=PAGE),
    Route("GET", "/v1/lists", "viewer", lists.list_lists, query=("flow", *PAGE)),
    Route("GET", "/v1/lists/{list}", "viewer", lists.get_list, edits=CallList),
    Route("GET", "/v1/lists/{list}/contacts", "viewer", lists.list_contacts, query=PAGE),
    Route("GET", "/v1/lists/{list}/results.csv", "viewer", lists.get_results),
    Route("GET", "/v1/lists/{list}/rejected.csv", "viewer", lists.get_rejected),
    Route(
        "PATCH",
        "/v1/lists/{list}",
        "operator",
        lists.change,
        JSON,
        edits=CallList,
        shown=SHOWN_LIST,
    ),
    Route("POST", "/v1/lists/{list}/forecast", "viewer", lists.forecast, OPTIONAL_JSON),
    Route("POST", "/v1/lists/{list}/pause", "operator", lists.pause),
    Route("POST", "/v1/lists/{list}/resume", "operator", lists.resume),
    Route("POST", "/v1/lists/{list}/cancel", "operator", lists.cancel),
    Route("GET", "/v1/contacts/{contact}", "viewer", contacts.get_contact),
    Route(
        "PATCH", "/v1/contacts/{contact}", "operator", contacts.change, JSON, shown=SHOWN_CONTACT
    ),
    Route("POST", "/v1/contacts/{contact}/cancel", "operator", contacts.cancel),
    Route("GET", "/v1/attempts", "viewer", attempts.list_attempts, query=(*RECORDS, *PAGE)),
    Route("GET", "/v1/attempts.csv", "viewer", attempts.get_attempts_csv, query=RECORDS),
    Route("GET", "/v1/attempts/{attempt}", "viewer", attempts.get_attempt),
    Route(
        "GET",
        "/v1/attempts/{attempt}/trace",
        "operator",  # it shows carriers and their addresses beside the numbers that a viewer sees
        traces.get_trace,
        query=("full", "format"),
    ),
    Route("GET", "/v1/recordings", "viewer", recordings.list_recordings, query=("attempt", *PAGE)),
    Route("GET", "/v1/recordings/{recording}", "viewer", recordings.get_recording),
    Route("POST", "/v1/dnc", "operator", dnc.add, JSON, creates=True),
    Route("GET", "/v1/dnc", "viewer", dnc.list_numbers, query=("number", *PAGE)),
    Route("GET", "/v1/dnc.csv", "viewer", dnc.get_csv),
    Route("GET", "/v1/dnc/audit", "viewer", dnc.list_changes, query=PAGE),
    Route(
        "POST", "/v1/dnc/import", "operator", dnc.take_file, UPLOAD, creates=True, query=("flow",)
    ),
    Route("DELETE", "/v1/dnc/{number}", "owner", dnc.remove),
    Route("POST", "/v1/prompts", "owner", prompts.create_prompt, RECORDING, creates=True),
    Route("GET", "/v1/prompts", "viewer", prompts.list_prompts, query=PAGE),
    Route("POST", "/v1/feed/tickets", "viewer", feed.create_ticket),
    Route("GET", "/v1/events", "viewer", events.get_events, query=feed.QUERY, takes_ticket=True),
    Route("GET", "/healthz", None, health.get_healthz),
    Route("GET", "/readyz", None, health.get_readyz),
    Route("GET", "/metrics", None, health.get_metrics),
    Route("GET", "/openapi.json", None, description.get_openapi),
    Route("GET", "/docs", None, description.get_docs),
    Route("GET", "/", None, pages.get_console),
    Route("GET", "/console/{file}", None, pages.get_console_file),
    Route("GET", "/docs/errors/{code}", None, pages.get_error_page),
)

FEED_PATH: Final = "/v1/feed"
FEED_LEAST: Final[Role] = "viewer"
"""The feed is a websocket, and stands beside the table for that."""
