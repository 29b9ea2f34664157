"""The life of an attempt, as a table; `docs/lifecycle.md` is drawn from it.

An attempt is `initiated` when its intent is committed, before its INVITE leaves, and ends in one status
with one disposition. What is not in the table cannot happen, and is ignored when a peer pretends that
it did.
"""

from __future__ import annotations

from typing import Final, Literal

from engine.model import AttemptStatus
from engine.model.disposition import (
    AS_EVERYWHERE,
    Disposition,
    Outcome,
    OutcomeTable,
    of_congestion,
    of_rejection,
)
from engine.ports.telephony import Ended

Signal = Literal["ringing", "answered"]

STEPS: Final[dict[tuple[AttemptStatus, Signal], AttemptStatus]] = {
    ("initiated", "ringing"): "ringing",
    ("initiated", "answered"): "in-progress",
    ("ringing", "answered"): "in-progress",
}
"""(status, signal) → status, while the attempt goes on."""

LIVE: Final[frozenset[AttemptStatus]] = frozenset({"initiated", "ringing", "in-progress"})
"""Statuses of an attempt that goes on."""

FINAL_STATUS: Final[dict[Disposition | None, AttemptStatus]] = {
    "answered": "completed",
    "machine": "completed",
    "busy": "busy",
    "no-answer": "no-answer",
    "declined": "failed",
    "invalid-number": "failed",
    "blocked": "failed",
    "congested": "failed",
    "failed": "failed",
    "canceled": "canceled",
    "expired": "canceled",
    "skipped": "canceled",
    "unknown": "failed",
    None: "failed",
}
"""Disposition → the status in which the attempt ends; None is a trunk that never answered."""

Ending = Literal["the call ended", "time-out", "shutdown", "canceled"]
"""Why the attempt's task stopped following the call. A time-out is that of the ringing, or of a call that
lasts too long, which was answered all the same."""


def next_status(status: AttemptStatus, signal: Signal) -> AttemptStatus | None:
    """The status that a signal leads to; None when it changes nothing."""
    return STEPS.get((status, signal))


def outcome_of(
    ended: Ended, ending: Ending, status: AttemptStatus, table: OutcomeTable = AS_EVERYWHERE
) -> Outcome:
    """What a call's end means for its contact.

    Args:
        status: the attempt's before this.
        table: what its trunk's refusals mean.
    """
    if ended.how == "lost":
        return Outcome("failed")
    if status == "in-progress" or ended.how == "callee_hung_up":
        # Who hangs up has answered, though the answer itself may have been lost on its way.
        return Outcome("answered")
    if ended.how == "unreachable":
        # A telephone that has rung would ring again if the call went by another trunk at once.
        return Outcome("failed" if status == "ringing" else None)
    if ending == "time-out":
        return Outcome("no-answer")
    if ending in ("shutdown", "canceled"):
        return Outcome("canceled")
    if ended.how == "rejected" and ended.sip_code is not None:
        return _outcome_of_refusal(ended, ended.sip_code, table)
    return Outcome("failed")


def of_answerer(outcome: Outcome, amd: str | None) -> Outcome:
    """The outcome of an answered call, when it is known who answered."""
    if outcome.disposition == "answered" and amd in ("machine", "fax"):
        return Outcome("machine")
    return outcome


def _outcome_of_refusal(ended: Ended, sip_code: int, table: OutcomeTable) -> Outcome:
    if sip_code < 400 and ended.redirected_to is not None:
        return Outcome("failed", redirected_to=ended.redirected_to)
    disposition = of_rejection(sip_code, ended.q850, ended.sip_reason, table)
    if disposition != "congested":
        return Outcome(disposition)
    kind = of_congestion(sip_code, ended.q850, ended.sip_reason)
    return Outcome(disposition, kind, ended.retry_after_s)
