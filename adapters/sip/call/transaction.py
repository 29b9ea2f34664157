"""Transactions of RFC 3261 §17 with the corrections of RFC 6026, as data.

How it works. A table says for each (state, event) what the next state is, which timers are wound or
stopped, and which effects its owner must carry out; `step` reads it, and there is nothing else. A
pair that is not in the table means nothing: the event is dropped, which is what the RFC says of
every one of them.

A transaction has two clocks, and what they are called depends on where it stands: `retransmit_at`
is Timer A, E or G, `expires_at` is Timer B, F or H while an answer is awaited, and then D, K, M, I
or J. The owner asks for `next_wake`, and calls `step` with what `due` names when the time has come.

Over a reliable transport the same tables serve with a `Timing` that never retransmits and does not
linger: `timing_over`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import inf
from typing import Literal

from msgspec import Struct, structs

from adapters.sip.wire.hop import Hop, Transport

State = Literal[
    "calling", "trying", "proceeding", "accepted", "completed", "confirmed", "terminated"
]
Event = Literal[
    "start",
    "provisional",
    "success",
    "failure",
    "retransmit_due",
    "expiry_due",
    "transport_failed",
    "request_again",
    "acknowledged",
]
Effect = Literal["send", "ack", "deliver", "timed_out", "unreachable", "unacknowledged"]


class Timing(Struct, frozen=True):
    """The constants of RFC 3261 §17, seconds."""

    t1: float = 0.5
    """Round-trip estimate; everything below is counted in it."""
    t2: float = 4.0
    """Longest gap between two retransmissions of anything but an INVITE."""
    t4: float = 5.0
    """How long a message may stay in the network: Timers I and K."""
    d: float = 32.0
    """Timer D: how long a refused INVITE answers repeated refusals."""

    retransmits: bool = True
    """Whether anything is sent again: over TCP and TLS it is not."""

    @property
    def patience(self) -> float:
        """64·T1: Timers B, F, H, J and M."""
        return 64 * self.t1


@lru_cache(maxsize=16)
def timing_over(timing: Timing, transport: Transport) -> Timing:
    """The same constants over another transport: what is reliable repeats nothing, and need not wait
    for what is still in the network (RFC 3261 §17.1.1.2, §17.1.2.2, §17.2.1, §17.2.2)."""
    if transport == "udp":
        return timing
    return structs.replace(timing, t4=0.0, d=0.0, retransmits=False)


class Transaction(Struct, eq=False, gc=False):
    """One transaction of either side. Changed by `step` alone."""

    table: Table
    method: bytes
    branch: bytes
    cseq: int
    message: bytes
    """What is sent again: the request of a client, the response of a server."""
    destination: Hop
    timing: Timing
    state: State = "trying"
    gap: float = 0.0
    """Between the last two retransmissions, seconds."""
    retransmit_at: float = inf
    expires_at: float = inf

    @property
    def next_wake(self) -> float:
        """When `due` will name an event, in the owner's time; `inf` for never."""
        return min(self.retransmit_at, self.expires_at)

    @property
    def is_over(self) -> bool:
        return self.state == "terminated"

    @property
    def is_silent(self) -> bool:
        """Whether a client's request is out and not even a provisional response has come."""
        return self.state == "trying" or self.state == "calling"


class Transition(Struct, frozen=True):
    """What an event does in a state."""

    state: State
    timers: tuple[TimerAction, ...] = ()
    effects: tuple[Effect, ...] = ()


TimerAction = Callable[[Transaction, float], None]
Table = dict[tuple[State, Event], Transition]


def _send_every_t1(transaction: Transaction, now: float) -> None:
    if transaction.timing.retransmits:
        transaction.gap = transaction.timing.t1
        transaction.retransmit_at = now + transaction.gap


def _double_gap(transaction: Transaction, now: float) -> None:
    transaction.gap *= 2
    transaction.retransmit_at = now + transaction.gap


def _double_gap_to_t2(transaction: Transaction, now: float) -> None:
    transaction.gap = min(2 * transaction.gap, transaction.timing.t2)
    transaction.retransmit_at = now + transaction.gap


def _send_every_t2(transaction: Transaction, now: float) -> None:
    transaction.gap = transaction.timing.t2
    transaction.retransmit_at = now + transaction.gap


def _stop(transaction: Transaction, now: float) -> None:
    transaction.retransmit_at = transaction.expires_at = inf


def _stop_sending(transaction: Transaction, now: float) -> None:
    transaction.retransmit_at = inf


def _expire_after_patience(transaction: Transaction, now: float) -> None:
    transaction.expires_at = now + transaction.timing.patience


def _expire_after_t4(transaction: Transaction, now: float) -> None:
    transaction.expires_at = now + transaction.timing.t4


def _expire_after_d(transaction: Transaction, now: float) -> None:
    transaction.expires_at = now + transaction.timing.d


_END = Transition("terminated", (_stop,))
_LATE = Transition("terminated", (_stop,), ("timed_out",))
_BROKEN = Transition("terminated", (_stop,), ("unreachable",))
_ACCEPT = Transition("accepted", (_stop, _expire_after_patience), ("deliver",))
_REFUSE = Transition("completed", (_stop, _expire_after_d), ("ack", "deliver"))
_ANSWER = Transition("completed", (_stop, _expire_after_t4), ("deliver",))

INVITE_CLIENT: Table = {
    ("calling", "start"): Transition(
        "calling", (_send_every_t1, _expire_after_patience), ("send",)
    ),
    ("calling", "retransmit_due"): Transition("calling", (_double_gap,), ("send",)),  # Timer A
    ("calling", "expiry_due"): _LATE,  # Timer B
    ("calling", "transport_failed"): _BROKEN,
    ("calling", "provisional"): Transition("proceeding", (_stop,), ("deliver",)),
    ("calling", "success"): _ACCEPT,
    ("calling", "failure"): _REFUSE,
    ("proceeding", "provisional"): Transition("proceeding", (), ("deliver",)),
    ("proceeding", "success"): _ACCEPT,
    ("proceeding", "failure"): _REFUSE,
    ("completed", "failure"): Transition("completed", (), ("ack",)),
    ("completed", "transport_failed"): _END,
    ("completed", "expiry_due"): _END,  # Timer D
    ("accepted", "success"): Transition("accepted", (), ("deliver",)),
    ("accepted", "expiry_due"): _END,  # Timer M, RFC 6026
}
"""RFC 3261 figure 5 with RFC 6026 §8.4; it begins in `calling`. Every 2xx is delivered: each of
them, repeated or forked, wants an ACK of its owner's."""

REINVITE_CLIENT: Table = {
    **INVITE_CLIENT,
    ("calling", "provisional"): Transition(
        "proceeding", (_stop_sending, _expire_after_patience), ("deliver",)
    ),
    ("proceeding", "expiry_due"): _LATE,
}
"""The same inside a dialog, where nobody needs to be waited for: whoever says no more than `100
Trying` to a re-INVITE for 64·T1 is gone."""

CLIENT: Table = {
    ("trying", "start"): Transition("trying", (_send_every_t1, _expire_after_patience), ("send",)),
    ("trying", "retransmit_due"): Transition("trying", (_double_gap_to_t2,), ("send",)),  # Timer E
    ("trying", "expiry_due"): _LATE,  # Timer F
    ("trying", "transport_failed"): _BROKEN,
    ("trying", "provisional"): Transition("proceeding", (), ("deliver",)),
    ("trying", "success"): _ANSWER,
    ("trying", "failure"): _ANSWER,
    ("proceeding", "retransmit_due"): Transition("proceeding", (_send_every_t2,), ("send",)),
    ("proceeding", "expiry_due"): _LATE,  # Timer F
    ("proceeding", "transport_failed"): _BROKEN,
    ("proceeding", "provisional"): Transition("proceeding", (), ("deliver",)),
    ("proceeding", "success"): _ANSWER,
    ("proceeding", "failure"): _ANSWER,
    ("completed", "expiry_due"): _END,  # Timer K
}
"""RFC 3261 figure 6; it begins in `trying`."""

INVITE_SERVER: Table = {
    ("completed", "start"): Transition(
        "completed", (_send_every_t1, _expire_after_patience), ("send",)
    ),
    ("completed", "retransmit_due"): Transition("completed", (_double_gap_to_t2,), ("send",)),  # G
    ("completed", "request_again"): Transition("completed", (), ("send",)),
    ("completed", "acknowledged"): Transition("confirmed", (_stop, _expire_after_t4)),
    ("completed", "expiry_due"): Transition("terminated", (_stop,), ("unacknowledged",)),  # H
    ("confirmed", "expiry_due"): _END,  # Timer I
}
"""A re-INVITE that was answered finally at once; it begins in `completed`. A 2xx is repeated by the
core that sent it (§13.3.1.4) and a refusal by the transaction (figure 7), with the same timers, so
one table does both."""

SERVER: Table = {
    ("completed", "start"): Transition("completed", (_expire_after_patience,), ("send",)),
    ("completed", "request_again"): Transition("completed", (), ("send",)),
    ("completed", "expiry_due"): _END,  # Timer J
}
"""Any other request, answered finally at once (figure 8); it begins in `completed`. It is the
response cache: the same request again gets the same bytes again."""


def step(transaction: Transaction, event: Event, now: float) -> tuple[Effect, ...]:
    """Let an event happen to a transaction. The effects are the owner's to carry out, in order."""
    transition = transaction.table.get((transaction.state, event))
    if transition is None:
        return ()
    transaction.state = transition.state
    for timer in transition.timers:
        timer(transaction, now)
    return transition.effects


def due(transaction: Transaction, now: float) -> Event | None:
    """The event whose time has come, None without one. Ask again after each `step`."""
    if transaction.expires_at <= now:
        return "expiry_due"
    if transaction.retransmit_at <= now:
        return "retransmit_due"
    return None


def response_event(status: int) -> Event:
    """The event that a response is."""
    if status < 200:
        return "provisional"
    return "success" if status < 300 else "failure"
