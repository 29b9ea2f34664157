"""One call as its callee sees it: the server side of INVITE, CANCEL, ACK and BYE, without a wire.

How it works. A `Callee` is in one state. Something happens to it, a request of the caller's or a
moment that its own plan or a timer of RFC 3261 set, and `TRANSITIONS` says which state follows and
what is to be done; whoever holds the callee does it. A pair that is not in the table changes
nothing and wants nothing: that is how retransmissions are absorbed.

Moments come by themselves only in so far as the holder asks: it calls `due` not before `wake_at`,
and feeds what it gets back into `step`. No clock is read here.
"""

from __future__ import annotations

from math import inf
from typing import Final, Literal

from msgspec import Struct

from sim.profile import Plan

T1_S: Final = 0.5
"""RFC 3261 §17.1.1.1."""
T2_S: Final = 4.0
T4_S: Final = 5.0
GIVE_UP_S: Final = 64 * T1_S
"""Timers F, H and J, and how long a 200 is repeated (RFC 3261 §13.3.1.4)."""

State = Literal[
    "new", "trying", "alerting", "answered", "talking", "hanging_up", "over",
    "refused", "refusal_over", "silent", "gone",
]  # fmt: skip
"""- `trying`: 100 is sent; `alerting`: 180 or 183 is;
- `answered`: 200 is sent, and repeated until the ACK; `talking`: the ACK is there;
- `hanging_up`: the callee's own BYE is sent, and repeated until its response;
- `over`: ended after an answer, kept to answer what comes twice;
- `refused`: a final refusal, or 487, is sent, and repeated until the ACK; `refusal_over`: it is there;
- `silent`: nothing was sent, and nothing will be;
- `gone`: to be forgotten.
"""

Event = Literal[
    "invite", "hush", "ack", "cancel", "bye", "response",
    "alert", "answer", "refuse", "hang_up", "resend", "give_up", "forget",
]  # fmt: skip
"""The first row comes from the caller (`hush` is an INVITE whose plan is silence, `response` a final
one to our BYE), the second from the plan and the timers."""

Action = Literal[
    "trying", "alert", "answer", "refuse", "terminate", "hang_up", "repeat",
    "accept", "disown", "end", "report",
]  # fmt: skip
"""- `trying` `alert` `answer` `refuse` `terminate` (487): send that response to the INVITE;
- `hang_up`: send a BYE; `repeat`: send once more what was sent last by one of these;
- `accept` `disown`: answer the request at hand with 200, or with 481;
- `end`: the call is over, and what it held is free; `report`: nothing that matters follows, log it.
"""

TRANSITIONS: Final[dict[tuple[State, Event], tuple[State, tuple[Action, ...]]]] = {
    ("new", "invite"): ("trying", ("trying",)),
    ("new", "hush"): ("silent", ()),
    ("trying", "invite"): ("trying", ("repeat",)),
    ("trying", "alert"): ("alerting", ("alert",)),
    ("trying", "answer"): ("answered", ("answer",)),
    ("trying", "refuse"): ("refused", ("refuse", "end")),
    ("trying", "cancel"): ("refused", ("accept", "terminate", "end")),
    ("trying", "bye"): ("refused", ("accept", "terminate", "end")),
    ("alerting", "invite"): ("alerting", ("repeat",)),
    ("alerting", "answer"): ("answered", ("answer",)),
    ("alerting", "refuse"): ("refused", ("refuse", "end")),
    ("alerting", "cancel"): ("refused", ("accept", "terminate", "end")),
    ("alerting", "bye"): ("refused", ("accept", "terminate", "end")),
    ("answered", "invite"): ("answered", ("repeat",)),
    ("answered", "resend"): ("answered", ("repeat",)),
    ("answered", "ack"): ("talking", ()),
    ("answered", "cancel"): ("answered", ("accept",)),
    ("answered", "bye"): ("over", ("accept", "end", "report")),
    ("answered", "give_up"): ("hanging_up", ("hang_up", "end")),
    ("talking", "cancel"): ("talking", ("accept",)),
    ("talking", "bye"): ("over", ("accept", "end", "report")),
    ("talking", "hang_up"): ("hanging_up", ("hang_up", "end")),
    ("hanging_up", "resend"): ("hanging_up", ("repeat",)),
    ("hanging_up", "response"): ("over", ("report",)),
    ("hanging_up", "cancel"): ("hanging_up", ("accept",)),
    ("hanging_up", "bye"): ("hanging_up", ("accept",)),
    ("hanging_up", "give_up"): ("gone", ("report",)),
    ("over", "cancel"): ("over", ("accept",)),
    ("over", "bye"): ("over", ("accept",)),
    ("over", "forget"): ("gone", ()),
    ("refused", "invite"): ("refused", ("repeat",)),
    ("refused", "resend"): ("refused", ("repeat",)),
    ("refused", "ack"): ("refusal_over", ("report",)),
    ("refused", "cancel"): ("refused", ("accept",)),
    ("refused", "bye"): ("refused", ("disown",)),
    ("refused", "give_up"): ("gone", ("report",)),
    ("refusal_over", "cancel"): ("refusal_over", ("accept",)),
    ("refusal_over", "bye"): ("refusal_over", ("disown",)),
    ("refusal_over", "forget"): ("gone", ()),
    ("silent", "forget"): ("gone", ("end", "report")),
}  # fmt: skip

_RESENT: Final[frozenset[State]] = frozenset(("answered", "refused", "hanging_up"))
"""States whose last message is sent again after T1, 2·T1 … up to every T2, for 64·T1 at most."""

_KEPT_S: Final[dict[State, float]] = {
    "over": GIVE_UP_S,
    "refusal_over": T4_S,
    "silent": GIVE_UP_S,
}
"""How long a call that is done stays to take in what comes late (Timers J and I)."""

EndedBy = Literal["caller", "callee", "cancel"]
_ENDED_BY: Final[dict[Event, EndedBy]] = {
    "bye": "caller",
    "cancel": "cancel",
    "refuse": "callee",
    "hang_up": "callee",
    "give_up": "callee",
}


class Callee(Struct, gc=False):
    """One call. All moments are seconds of the holder's clock."""

    plan: Plan
    invited_at: float
    state: State = "new"
    code: int = 0
    """The final status that was sent; 0 so far."""
    answered_at: float | None = None
    ended_at: float | None = None
    ended_by: EndedBy | None = None
    acks: int = 0
    byes: int = 0
    """The caller's; a retransmitted one counts again."""
    cancels: int = 0
    invite_retransmissions: int = 0
    resent: int = 0
    """How often a final response or a BYE went out again because nothing came back."""
    resend_at: float = inf
    expire_at: float = inf
    _expire_event: Event = "forget"
    _resend_interval_s: float = T1_S

    @property
    def wake_at(self) -> float:
        """The next moment at which `due` has something; infinite where only the caller can act."""
        return min(self.resend_at, self.expire_at)

    def due(self, now: float) -> Event | None:
        """What the passing of time brings at `now`, if anything; feed it to `step`, then ask again."""
        if now >= self.expire_at:
            return self._expire_event
        if now >= self.resend_at:
            return "resend"
        return None

    def step(self, event: Event, now: float) -> tuple[Action, ...]:
        """Take in what happened at `now`; what is to be done about it, in order."""
        self._count(event)
        to, actions = TRANSITIONS.get((self.state, event), (self.state, ()))
        if event == "resend":
            self._resend_interval_s = min(2 * self._resend_interval_s, T2_S)
            self.resend_at = now + self._resend_interval_s
        if to == self.state:
            return actions
        self.state = to
        if to == "answered":
            self.answered_at = now
            self.code = self.plan.code
        elif to == "refused":
            self.code = self.plan.code if event == "refuse" else 487
        if "end" in actions:
            self.ended_at = now
            self.ended_by = _ENDED_BY.get(event)
        self._set_timers(now)
        return actions

    def _count(self, event: Event) -> None:
        if event == "ack":
            self.acks += 1
        elif event == "bye":
            self.byes += 1
        elif event == "cancel":
            self.cancels += 1
        elif event == "invite" and self.state != "new":
            self.invite_retransmissions += 1
        elif event == "resend":
            self.resent += 1

    def _set_timers(self, now: float) -> None:
        """The timers of the state that was just entered."""
        state, plan = self.state, self.plan
        self.resend_at = inf
        if state in _RESENT:
            self._resend_interval_s = T1_S
            self.resend_at = now + T1_S
            self.expire_at, self._expire_event = now + GIVE_UP_S, "give_up"
        elif state in _KEPT_S:
            self.expire_at, self._expire_event = now + _KEPT_S[state], "forget"
        elif state == "trying" and plan.alert:
            self.expire_at, self._expire_event = self.invited_at + plan.alert_after_s, "alert"
        elif state in ("trying", "alerting"):
            self.expire_at = self.invited_at + plan.final_after_s
            self._expire_event = "answer" if plan.code < 300 else "refuse"
        elif state == "talking":
            assert self.answered_at is not None
            self.expire_at, self._expire_event = self.answered_at + plan.talk_s, "hang_up"
        else:
            self.expire_at = inf
