"""Flows, and how they dial."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from engine.model.amd import AmdParameters
from engine.model.calling_window import CallingWindow, CallingWindows
from engine.model.caps import CalleeCaps, CallsPerSecond, Caps, Channels
from engine.model.drop_settings import FolderSettings, SftpSettings
from engine.model.number_series import Purpose
from engine.model.webhook import Webhook

FlowKind = Literal["multicast", "dialer"]
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
    """Further headers of each INVITE by name; `engine.flow.presentation` says which may be there."""


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
