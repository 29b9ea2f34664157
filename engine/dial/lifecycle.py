"""The life of an attempt, as a table; `docs/lifecycle.md` is drawn from it.

An attempt is `initiated` when its intent is committed, before its INVITE leaves, and ends in one status
with one disposition. What is not in the table cannot happen, and is ignored when a peer pretends that
it did.
"""

from __future__ import annotations

from typing import Final, Literal

from engine.disposition import Disposition, Outcome, of_rejection
from engine.model import AttemptStatus
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

Ending = Literal["the call ended", "ring time-out", "shutdown"]
"""Why the attempt's task stopped following the call."""


def next_status(status: AttemptStatus, signal: Signal) -> AttemptStatus | None:
    """The status that a signal leads to; None when it changes nothing."""
    return STEPS.get((status, signal))


def outcome_of(ended: Ended, ending: Ending, status: AttemptStatus) -> Outcome:
    """What a call's end means for its contact."""
    if ended.how == "lost":
        return Outcome("failed")
    if status == "in-progress":
        return Outcome("answered")
    if ended.how == "unreachable":
        return Outcome(None)
    if ending == "ring time-out":
        return Outcome("no-answer")
    if ending == "shutdown":
        return Outcome("canceled")
    if ended.how == "rejected" and ended.sip_code is not None:
        disposition = of_rejection(ended.sip_code, ended.q850)
        return Outcome(disposition, ended.retry_after_s)
    return Outcome("failed")
