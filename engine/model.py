"""The nouns of the field, as values: accounts, flows, DIDs, call lists, contacts, attempts.

Everything here is frozen; a change is a new value (`msgspec.structs.replace`). Every moment is a float
of seconds since the Unix epoch, UTC, in a field that ends in `_at`; every length of time ends in `_s`.
What exists by the hundred thousand is kept from the garbage collector (`gc=False`): it holds no cycles, and
a full collection over it would be felt on calls.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from engine.amd import AmdParameters
from engine.did_health import DidRest, RestWhen
from engine.disposition import Disposition
from engine.drop_settings import FolderSettings, SftpSettings
from engine.number_series import NumberSeries, Purpose
from engine.webhook import Webhook

FlowKind = Literal["multicast", "dialer"]
Role = Literal["administrator", "owner", "operator", "viewer"]
Source = Literal["api", "upload", "email", "sftp", "folder"]
ListStatus = Literal["scheduled", "running", "paused", "completed", "canceled", "rejected"]
ContactStatus = Literal["scheduled", "waiting", "dialing", "completed"]
AttemptStatus = Literal[
    "initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled"
]
BlockerCode = Literal[
    "starttime",
    "calling_window",
    "did_cps",
    "did_channels",
    "did_cap",
    "trunk_cps",
    "trunk_cap",
    "trunk_channels",
    "trunk_down",
    "no_trunk",
    "flow_paused",
    "list_paused",
    "flow_limit",
    "account_limit",
    "engine_limit",
    "callee_cap",
    "retry_wait",
    "agents_busy",
    "account_stopped",
    "list_canceled",
    "account_paused",
]

TELS_MAX = 10
"""A contact has tel1 … tel10."""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WINDOWS_MAX = 32
"""Calling windows of one flow, or of one account."""
HOLIDAYS_MAX = 400
"""Of one calling window."""


class CallingWindow(Struct, frozen=True, forbid_unknown_fields=True):
    """A span of the day in which calls may be made, on the callee's own clock as far as the number tells;
    `engine.schedule.calling_hours` reads it."""

    start: Annotated[str, Meta(pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]\Z")]
    """`HH:MM`, from which on …"""
    end: Annotated[str, Meta(pattern=r"^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z")]
    """… until before which. Not after `start`: on the next day."""
    days: Annotated[tuple[Day, ...], Meta(min_length=1, max_length=7)] = DAYS
    """On which it begins."""
    timezone: str | None = None
    """IANA name: it holds on this clock, too. None is the clock of the flow, or the account, for callees
    whose own is not known."""
    holidays: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")], ...],
        Meta(max_length=HOLIDAYS_MAX),
    ] = ()
    """Dates on which nobody is called."""
    callee_zone: bool = True
    """Whether the callee's own clock counts."""


CallingWindows = Annotated[tuple[CallingWindow, ...], Meta(max_length=WINDOWS_MAX)]
"""Calls may be made while one of them is open; where there is none, always."""


def windows_of(setting: CallingWindow | CallingWindows | None) -> tuple[CallingWindow, ...]:
    """What a setting that takes one calling window or several names."""
    if setting is None:
        return ()
    return (setting,) if isinstance(setting, CallingWindow) else setting


class Cap(Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many calls in any window of so many seconds."""

    calls: Annotated[int, Meta(ge=1, le=1_000_000)]
    per_s: Annotated[float, Meta(gt=0, le=31 * 86_400)]


CAPS_MAX = 16
"""Of one DID, flow, account or trunk, or of the installation."""
Caps = Annotated[tuple[Cap, ...], Meta(max_length=CAPS_MAX)]
"""All of them hold."""

CALLEE_CALLS_MAX = 100
"""Calls of one callee that are counted."""


class CalleeCap(Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many calls of one number in any window of so many seconds."""

    calls: Annotated[int, Meta(ge=1, le=CALLEE_CALLS_MAX)]
    per_s: Annotated[float, Meta(gt=0, le=31 * 86_400)]


CalleeCaps = Annotated[tuple[CalleeCap, ...], Meta(max_length=CAPS_MAX)]
"""All of them hold, over all flows and lists of an account."""

CallsPerSecond = Annotated[float, Meta(gt=0, le=100_000)]
"""A whole number of calls in any sliding second, or, below one, a call every 1/cps seconds."""

Channels = Annotated[int, Meta(ge=1, le=1_000_000)]
"""Calls at once."""
CallsPerDay = Annotated[int, Meta(ge=0, le=1_000_000)]
COUNTRIES_MAX = 300
"""There are fewer."""
Country = Annotated[str, Meta(pattern=r"^(?:[A-Z]{2}|\+[1-9][0-9]{2})\Z")]
"""As `engine.countries` writes it: `IN`, or the code of nobody's country: `+881`."""
CountryCaps = Annotated[dict[Country, CallsPerDay], Meta(max_length=COUNTRIES_MAX)]
Countries = Annotated[tuple[Country, ...], Meta(max_length=COUNTRIES_MAX)]


Priority = Literal["urgent", "high", "normal", "low"]
"""The class of a call: of those that wait for the same DID or trunk, the first class goes first."""
PRIORITIES: Final[tuple[Priority, ...]] = ("urgent", "high", "normal", "low")
"""The first class first."""


class AccountRules(Struct, frozen=True, omit_defaults=True):
    """What holds for all calls of an account."""

    calling_window: CallingWindow | CallingWindows | None = None
    """When callees may be called, beside what their flow says; None is always."""
    number_series: NumberSeries | None = None
    """The country whose rule on series of caller numbers is kept to; None for no such rule."""
    channels: Channels | None = None
    """Calls at once of all its flows."""
    cps: CallsPerSecond | None = None
    """Calls a second of all its flows."""
    caps: Caps = ()
    """Calls of all its flows in windows."""
    calls_per_day: CallsPerDay | None = None
    """Calls in any 24 hours; None is the installation's."""
    country_calls_per_day: CallsPerDay | None = None
    """To each country that `country_caps` does not name; None is the installation's."""
    country_caps: CountryCaps = field(default_factory=dict)
    """Calls to a country in any 24 hours; 0 lets none be made."""
    approved_countries: Countries = ()
    """Countries whose first call is nothing to be told of."""
    callee_caps: CalleeCaps = ()
    """Calls of one callee in windows."""


class Account(Struct, frozen=True):
    """A customer or a department; everything below belongs to one."""

    id: str
    name: str
    """Unique in the installation."""
    timezone: str
    """IANA name."""
    email: str
    created_at: float
    rules: AccountRules = AccountRules()
    stopped_at: float | None = None
    """Since when no call of it is made, by order of an administrator; None while it may call."""
    paused_at: float | None = None
    """Since when no call of it begins; those that were up then went on. None while it is not paused."""


Scope = Literal[
    "accounts",
    "activations",
    "agents",
    "attempts",
    "audit",
    "contacts",
    "dids",
    "dnc",
    "feed",
    "flows",
    "keys",
    "letters",
    "lists",
    "prompts",
    "recordings",
    "triggers",
    "webhooks",
]
"""A part of the API, as a key is for some of them only."""


class ApiKey(Struct, frozen=True):
    """What may be done with a key. The key itself is kept nowhere."""

    id: str
    account: str | None
    """None for the administrator of the installation."""
    role: Role
    sha256: bytes
    """Of the whole key; 32 bytes."""
    created_at: float
    name: str = ""
    """What its owner calls it."""
    scopes: tuple[Scope, ...] = ()
    """The parts of the API that it is for; none is all that its role may use."""
    expires_at: float | None = None
    """From when on it is no key any more."""
    revoked_at: float | None = None
    last_used_at: float | None = None
    """Within about a minute."""
    life_s: float | None = None
    """For how long it was made, and for how long the one that takes its place is; None is for good. It may
    end before, because it was replaced, or because who asked for it ends."""

    def is_good(self, now: float) -> bool:
        """Whether it may still be used."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Did(Struct, frozen=True):
    """A caller number, with its limits."""

    number: str
    """E.164 with `+`; unique in the installation."""
    account: str
    trunk: str
    """Name of the trunk, or of the route, that carries its calls."""
    cps: float = 1
    channels: int = 30
    caps: tuple[Cap, ...] = ()
    rest_when: RestWhen = RestWhen()
    """When it rests, where that is not when all do."""
    rest: DidRest | None = None
    """That it rests, and why; None while it may be called from."""
    counts_from: float = 0.0
    """Calls that ended earlier say nothing of its health: its last rest ended then."""


RetriedDisposition = Literal["busy", "no-answer", "machine", "failed", "declined"]
"""Dispositions for which a flow may ask for more tries of the same number."""


class RetryRule(Struct, frozen=True, forbid_unknown_fields=True):
    """More tries of the same number after one disposition."""

    tries: Annotated[int, Meta(ge=0, le=100)]
    """How many more calls of the same number."""
    wait_s: Annotated[float, Meta(ge=0, le=31 * 86_400)]
    """How long to wait before each."""


HEADER_VALUE_LENGTH_MAX = 2048
"""Characters of an extra header's value; an `Identity` takes a third of them."""
DISPLAY_NAME_LENGTH_MAX = 100
"""Characters; callees are shown 15 of them at the most."""


class PresentationSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """How a flow's calls show who is calling, beside the number. `{{name}}` in a text stands for what the
    contact's variable says; where the contact has none, what the text is for is left out."""

    display_name: Annotated[str, Meta(max_length=DISPLAY_NAME_LENGTH_MAX)] = ""
    """Empty shows what the trunk is configured to show."""
    withhold: bool = False
    """Whether callees are not to see the number."""
    diverted_from: str | None = None
    """A number with its country code, from which calls claim to have been diverted (RFC 5806)."""
    headers: dict[str, Annotated[str, Meta(max_length=HEADER_VALUE_LENGTH_MAX)]] = field(
        default_factory=dict
    )
    """Further headers of each INVITE by name; `engine.dial.presentation` says which may be there."""


class Message(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be heard: either a recording, or a text that is spoken."""

    play: str | None = None
    """A prompt's id."""
    say: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    """A text with `{{variables}}`."""
    voice: str | None = None
    """Of `say`; None is the installation's own."""


Dialing = Literal["preview", "progressive", "power"]
"""When a dialer flow calls the contacts of its lists: when an agent has looked at one and asks for the call,
when an agent is free, or several calls for each free agent."""


EMAIL_SENDERS_MAX = 1_000
EmailAddress = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\Z")]

CallerNumbers = Literal["rotate", "sticky", "local"]
"""How a flow chooses the DID of a call."""


class FlowSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """How a flow dials. A setting that is not known is refused, never ignored."""

    attempts_max: Annotated[int, Meta(ge=1, le=100)] = 3
    """Attempts on one contact, over all its numbers and all reasons."""
    attempts_max_per_day: Annotated[int, Meta(ge=1, le=100)] | None = None
    """Of those, on one calendar day of the contact (`engine.schedule.day_budget`); None is as many as there
    are."""
    retry: dict[RetriedDisposition, RetryRule] = field(default_factory=dict)
    ring_timeout_s: Annotated[float, Meta(ge=5, le=180)] = 45
    call_max_s: Annotated[float, Meta(ge=1, le=14_400)] = 3600
    channels: Channels | None = None
    """The flow's own limit of calls at once."""
    cps: CallsPerSecond | None = None
    """The flow's own limit of calls a second."""
    caps: Caps = ()
    """The flow's own limits of calls in windows."""
    callee_caps: CalleeCaps = ()
    """Calls of one callee in windows: the flow calls nobody whom the account has called so often."""
    priority: Literal["high", "normal", "low"] = "normal"
    """The class of its lists' contacts, of which the first goes first where flows share a DID or a trunk."""
    weight: Annotated[int, Meta(ge=1, le=1_000)] = 1
    """Its share of what flows of the same class share."""
    declined: Literal["stop", "next"] = "stop"
    """Whether a callee who refuses is tried on another number."""
    on_unknown: Literal["stop", "retry"] = "stop"
    """What follows an attempt that a crash interrupted."""
    calling_window: CallingWindow | CallingWindows | None = None
    """When callees may be called; None is always."""
    caller_numbers: CallerNumbers = "rotate"
    """How a DID is chosen: in turn, the one that called the number last, or the one that is most like it."""
    purpose: Purpose | None = None
    """What calls are for, where the account keeps to a country's number series."""
    presentation: PresentationSettings = PresentationSettings()
    """How calls show who is calling."""
    dialing: Dialing = "progressive"
    """Of a dialer flow, as the settings below."""
    power_ratio: Annotated[float, Meta(ge=1, le=10)] = 1.5
    """Calls in the air for each free agent while `dialing` is `power`."""
    abandoned_max: Annotated[float, Meta(ge=0, le=1)] = 0.03
    """Share of the calls answered by a person, over 30 days, that no agent took in time; before it is
    reached, calls are made for free agents only."""
    answer_wait_s: Annotated[float, Meta(ge=0, le=30)] = 2
    """How long after the answer an agent may take the customer; then the call is abandoned."""
    safe_harbour: Message | None = None
    """What an abandoned customer hears. Required where `dialing` is `power`."""
    hold: Message | None = None
    """What a customer hears while an agent is called, again and again; None is silence."""
    wrap_up_s: Annotated[float, Meta(ge=0, le=3_600)] = 10
    """How long an agent gets no other customer after a call, unless the agent has a time of their own."""
    first: Literal["agent", "customer"] = "agent"
    """Whom a single call that names its agent reaches first."""
    agent_ring_timeout_s: Annotated[float, Meta(ge=5, le=120)] = 20
    """How long an agent's telephone rings."""
    amd: Literal["off", "detect", "wait_for_beep"] = "off"
    """Whether it is listened to who answers before the graph begins. `wait_for_beep` begins it on a machine
    only after the beep, and hangs up where none comes."""
    amd_parameters: AmdParameters = AmdParameters()
    """The limits that tell a machine from a person."""
    webhook: Webhook | None = None
    """Where the flow's events are sent."""
    sftp: SftpSettings | None = None
    """A server from which lists are picked up."""
    email_senders: Annotated[tuple[EmailAddress, ...], Meta(max_length=EMAIL_SENDERS_MAX)] = ()
    """Addresses whose mails to the flow's own address are taken; none takes none."""
    email_dkim: bool = False
    """Whether those mails must have a DKIM signature that proves their sender's domain."""
    folder: FolderSettings | None = None
    """A folder of this machine from which lists are picked up."""


class Flow(Struct, frozen=True):
    """What happens on the calls of a list, and by which rules they are made."""

    id: str
    account: str
    name: str
    kind: FlowKind
    timezone: str
    """IANA name; times without an offset are in it."""
    definition: dict[str, Any]
    """The graph as its user wrote it; `engine.flow.definition` reads it."""
    settings: FlowSettings
    version: int
    """Rises by one with each change of definition or settings."""
    listener_active: bool
    """Only an active listener takes triggers and dials."""
    dids: tuple[str, ...]
    calls_list: str
    """Id of the standing list that its single calls belong to; it is made with the flow."""
    created_at: float
    paused_at: float | None = None
    """Since when no call of it begins, although its triggers are taken; None while it is not paused."""


class RowError(Struct, frozen=True, gc=False):
    """Why a row was not taken, or (a warning) what was odd about it."""

    row: int
    """Counted from 1; row 1 is the first below the header."""
    column: str | None
    code: str
    detail: str


REPORT_ERRORS_MAX = 100
"""Row errors that a list's own report shows; the rest is in its rejected.csv."""


class Report(Struct, frozen=True):
    """What was taken of a list and what was not."""

    rows: int
    accepted: int
    rejected: int
    errors: tuple[RowError, ...] = ()
    """The first `REPORT_ERRORS_MAX`."""
    warnings: tuple[RowError, ...] = ()
    """The first `REPORT_ERRORS_MAX`."""


class RejectedRow(Struct, frozen=True, gc=False):
    """A row that was not taken, kept so that it can be given back as it came."""

    row: int
    column: str | None
    code: str
    detail: str
    cells: tuple[str, ...]
    """The row's cells as they were read, in the order of the header."""


class CallList(Struct, frozen=True):
    """The contacts of one trigger."""

    id: str
    account: str
    flow: str
    flow_version: int
    name: str
    source: Source
    status: ListStatus
    report: Report
    created_at: float
    started_at: float | None = None
    """When its first attempt was made."""
    finished_at: float | None = None
    """When its last contact got its disposition."""
    header: tuple[str, ...] = ()
    """The columns of the file it came in, for rejected.csv."""
    standing: bool = False
    """Whether it is a flow's list of single calls, which never completes."""
    revision: int = 0
    """How often somebody paused, resumed, canceled or rescheduled it."""
    priority: Priority | None = None
    """Of all its contacts; None is the flow's."""


class ListCounts(Struct, frozen=True):
    """Where the contacts of a list are."""

    contacts: int
    scheduled: int
    waiting: int
    dialing: int
    completed: int
    dispositions: dict[Disposition, int]


class Contact(Struct, frozen=True, gc=False):
    """One person to be reached, on up to ten numbers."""

    id: str
    account: str
    list: str
    flow: str
    row: int
    """Its place in its list, from 1."""
    tel: tuple[str, ...]
    """E.164 with `+`, in the order of trying; never empty."""
    variables: dict[str, str]
    starttime: float
    """Not dialled before, seconds since the epoch."""
    reference: str | None
    """The user's own name for this contact."""
    state: Literal["open", "dialing", "completed"]
    """As stored; `status_of` says what the user sees."""
    due_at: float
    """Not dialled before: the start time at first, then what a retry or a blocker says."""
    wait_code: BlockerCode
    """Why `due_at` lies where it does."""
    tel_index: int = 0
    """Which of `tel` is dialled next, but for a `detour`."""
    spent: int = 0
    """Attempts that count against `attempts_max`."""
    tries: dict[Disposition, int] = field(default_factory=dict)
    """Calls of the number at `tel_index` that a retry rule counts, by disposition; `congested` counts
    those that came to nothing lately (`engine.schedule.retry.stalls_of`)."""
    disposition: Disposition | None = None
    """Final; set exactly once."""
    completed_at: float | None = None
    detour: str | None = None
    """E.164: the number to which a trunk has redirected the call of `tel[tel_index]`; it is dialled next,
    once, in place of that."""
    detoured: bool = False
    """Whether `tel[tel_index]` was redirected already: a second time is a refusal."""
    agent: str | None = None
    """E.164: who is to talk with this contact; None is any agent, or nobody."""
    flow_version: int = 1
    """The version of the flow whose graph its calls run: that of the moment at which it came in."""
    spent_at: tuple[float, ...] = ()
    """When the latest calls were made that count, oldest first (`engine.schedule.day_budget`)."""
    dead: tuple[str, ...] = ()
    """E.164: numbers that trunks redirected its calls to and that turned out to be invalid."""

    priority: Priority | None = None
    """Its class, before that of its flow; None is the flow's, and for a single call the next better one."""

    @property
    def number(self) -> str:
        """E.164: which number is dialled next."""
        return self.detour or self.tel[self.tel_index]


def status_of(contact: Contact, now: float) -> ContactStatus:
    """What the user sees of a contact at `now`, seconds since the epoch."""
    if contact.state != "open":
        return contact.state
    if contact.wait_code == "starttime" and contact.due_at > now:
        return "scheduled"
    return "waiting"


class Blocker(Struct, frozen=True):
    """Why a contact is not dialled now."""

    code: BlockerCode
    detail: str
    """One sentence for a person."""
    until: float | None
    """When it ends, seconds since the epoch; None when that depends on something else's end."""


class SipOutcome(Struct, frozen=True):
    """What the wire said at the end of an attempt, raw."""

    code: int | None
    reason: str
    call_id: str


class Media(Struct, frozen=True):
    """How the callee was heard, and what the callee says of how it heard us."""

    loss: float
    """Share of packets that never came, 0 to 1."""
    jitter_ms: float
    mos: float | None = None
    """How well the callee was probably heard, 1 to 4.5 (ITU-T G.107); None where nothing was heard, and on
    attempts of earlier releases, as all that follows."""
    remote_loss: float | None = None
    """Share of our packets that the callee never got, 0 to 1; None where it does not say (RTCP)."""
    remote_jitter_ms: float | None = None
    rtt_ms: float | None = None
    """Round trip to the callee."""


class Step(Struct, frozen=True, gc=False):
    """One node that a call went through."""

    node: str
    """Its name."""
    type: str
    at_s: float
    """Seconds from the answer to its beginning, in milliseconds."""
    outcome: str
    """What came of it, in a word; `docs/lifecycle.md` has them."""


class Attempt(Struct, frozen=True, gc=False):
    """One call to one number of one contact: the call detail record."""

    id: str
    account: str
    flow: str
    list: str
    contact: str
    number: str
    did: str
    trunk: str
    status: AttemptStatus
    initiated_at: float
    """When the intent to dial was written down."""
    disposition: Disposition | None = None
    """None while it goes on, and where the trunk never answered at all."""
    ringing_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    sip: SipOutcome | None = None
    q850: int | None = None
    amd: str | None = None
    """Who answered (`engine.amd.Answerer`); None where nobody listened for it."""
    digits: str = ""
    """All keys that the flow took as answers, in order."""
    result: dict[str, Any] = field(default_factory=dict)
    """The variables that the call set, with their last values."""
    media: Media | None = None
    redirected_from: str | None = None
    """The contact's own number, where a trunk has redirected its call to this one's."""
    agent: str | None = None
    """The id of the agent who took it, or the number of somebody who is no agent of the flow."""
    abandoned: bool | None = None
    """Whether no agent took a customer who answered in time; None where none was wanted."""
    steps: tuple[Step, ...] = ()
    """What the call went through of its flow, in order; the first of them, where there are very many."""

    @property
    def duration_s(self) -> float | None:
        """Seconds from answer to end; None for a call that was not answered or goes on."""
        if self.answered_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.answered_at


class Recording(Struct, frozen=True):
    """What a callee said on one call. Its sound is a file, which tells how long it is."""

    id: str
    account: str
    attempt: str
    created_at: float
    """When it was about to begin."""


class Prompt(Struct, frozen=True):
    """A recording that flows can play."""

    id: str
    account: str
    name: str
    duration_s: float
    created_at: float
