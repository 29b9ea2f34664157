"""Single calls: the call detail record."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from engine.model.disposition import Disposition

AttemptStatus = Literal[
    "initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled"
]


TrunkFailure = Literal["timed_out", "refused", "unreachable", "broken"]
"""Why no response at all came from a trunk:

- `timed_out`: nothing answered the INVITE for 64·T1;
- `refused`: its machine says that nobody listens there (ICMP port unreachable, RST);
- `unreachable`: the network says that there is no way to it (ICMP host or net unreachable, no route);
- `broken`: the connection could not be made otherwise, or broke (TLS, a certificate, a time-out).
"""


class SipOutcome(Struct, frozen=True):
    """What the wire said at the end of an attempt, raw."""

    code: int | None
    """Of the final response; None where none came."""
    reason: str
    """The phrase beside it, or that none came."""
    call_id: str
    failure: TrunkFailure | None = None
    """Why no response at all came; None where one came, and on attempts of earlier releases."""


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
    """Who answered (`engine.model.amd.Answerer`); None where nobody listened for it."""
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
