"""What the engine answers, as a client reads it: views of its things, and its refusals.

Fields that this client has no use for are left out, and unknown ones are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from engine.model import Report

ERRORS_SHOWN_MAX: Final = 10
"""Single mistakes that an error's text shows."""


class ApiFault(Struct, frozen=True):
    """One mistake in what was sent."""

    code: str = ""
    detail: str = ""
    pointer: str | None = None
    """JSON pointer (RFC 6901) into the body."""
    row: int | None = None
    """Counted from 1, below the header, which is 0."""
    column: str | None = None

    def __str__(self) -> str:
        row = f"row {self.row}" if self.row else None if self.row is None else "header"
        place = " ".join(part for part in (row, self.column, self.pointer) if part)
        return f"{place}: {self.detail} ({self.code})" if place else f"{self.detail} ({self.code})"


class ApiError(Exception):
    """The engine refused. The text is for a person; `status`, `code` and `errors` for a program."""

    def __init__(
        self, status: int, code: str, detail: str, errors: Sequence[ApiFault] = ()
    ) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)

    def __str__(self) -> str:
        lines = [f"{self.detail} ({self.code})"]
        # A single mistake is often told in the same words already.
        faults = [fault for fault in self.errors if fault.detail != self.detail]
        lines += [f"  {fault}" for fault in faults[:ERRORS_SHOWN_MAX]]
        hidden = len(faults) - ERRORS_SHOWN_MAX
        if hidden > 0:
            lines.append(f"  … and {hidden} more.")
        return "\n".join(lines)


class _Problem(Struct, frozen=True):
    """application/problem+json (RFC 9457) with our own `code` and `errors`."""

    code: str = ""
    title: str = ""
    detail: str = ""
    errors: tuple[ApiFault, ...] = ()


class Counts(Struct, frozen=True):
    """Where the contacts of a list are."""

    contacts: int = 0
    scheduled: int = 0
    waiting: int = 0
    dialing: int = 0
    completed: int = 0


class DoNotCallHits(Struct, frozen=True):
    """How many are on the do-not-call list now."""

    numbers: int = 0
    contacts: int = 0


class Forecast(Struct, frozen=True):
    """When the calls of a list would end."""

    ends_at: str | None = None
    calls_per_s: float = 0.0
    bottleneck: str | None = None
    """None where nothing holds calls back."""
    assumes: str = ""
    earliest_at: str | None = None
    latest_at: str | None = None
    """None where no latest end is in sight."""
    contacts: int = 0
    """That are still to be called."""
    attempts: int = 0
    """Calls that are still to be made, on an average."""
    without_bottleneck_at: str | None = None
    """The end, were the bottleneck not there."""
    calls_seen: int = 0
    """Calls of the flow by which it is told what calls come to."""


class Preflight(Struct, frozen=True):
    """What a list would come to."""

    numbers: int = 0
    countries: dict[str, int] = field(default_factory=dict)
    do_not_call: DoNotCallHits = DoNotCallHits()
    forecast: Forecast | None = None


class ListView(Struct, frozen=True):
    """A call list as the API shows it."""

    id: str
    flow: str
    name: str
    status: str
    report: Report = Report(0, 0, 0)
    counts: Counts = Counts()
    dispositions: dict[str, int] = field(default_factory=dict)
    preflight: Preflight | None = None
    """Of a dry run."""
    blocked: dict[str, int] = field(default_factory=dict)
    """How many of its contacts wait for what."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in ("completed", "canceled", "rejected")


class FlowView(Struct, frozen=True):
    """A flow as the API shows it."""

    id: str
    name: str
    triggers: dict[str, Any] = field(default_factory=dict)


class AgentView(Struct, frozen=True):
    """An agent as the API shows it."""

    id: str
    number: str
    name: str
    presence: str
    contact: str | None = None
    """The contact that is theirs at this moment."""


class ActivationView(Struct, frozen=True):
    """A request to activate a listener, as the API shows it."""

    id: str
    flow: str | None
    numbers: tuple[str, ...]
    sender: str
    status: str
    """`pending`, `confirmed`, `refused` or `expired`."""
    reason: str = ""


class PromptView(Struct, frozen=True):
    """A prompt as the API shows it."""

    id: str
    duration_s: float


class KeyView(Struct, frozen=True):
    """A key as the API shows it."""

    id: str
    account: str | None
    role: str
    name: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: str | None = None
    revoked_at: str | None = None
    last_used_at: str | None = None
    key: str = ""
    """The key itself, in the one answer that shows it."""


class ContactView(Struct, frozen=True):
    """A contact as the API shows it."""

    id: str
    tel: tuple[str, ...]
    status: str
    disposition: str | None = None


class SipView(Struct, frozen=True):
    """What the wire said at the end of an attempt."""

    code: int | None
    reason: str
    call_id: str
    failure: str | None = None
    """Why no response at all came, where none did."""


class AttemptView(Struct, frozen=True):
    """A call detail record as the API shows it."""

    id: str
    contact: str
    number: str
    did: str
    status: str
    initiated_at: datetime
    disposition: str | None = None
    sip: SipView | None = None
    """None while it goes on, and where no INVITE ever left."""
    ended_at: datetime | None = None


class CallView(Struct, frozen=True):
    """What became of a single call's trigger."""

    contact: str
    status: str


class MulticastView(Struct, frozen=True):
    """What became of a multicast trigger."""

    list: str
    accepted: int
    rejected: tuple[ApiFault, ...] = ()


class FeedEvent(Struct, frozen=True):
    """One event of the feed."""

    seq: int
    time: datetime
    type: str
    list: str | None = None
    contact: str | None = None
    attempt: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


class SentEvent(Struct, frozen=True):
    """One event with everything that is said of it; encoded again it is what came."""

    seq: int
    time: str
    type: str
    account: str
    flow: str | None
    list: str | None
    contact: str | None
    attempt: str | None
    data: dict[str, Any]


def error_of(status: int, body: bytes) -> ApiError:
    """A refusal, in the engine's own words where it has sent some."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = _Problem()
    detail = problem.detail or problem.title or f"The server answered with status {status}."
    return ApiError(status, problem.code or f"http_{status}", detail, problem.errors)
