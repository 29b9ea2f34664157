"""The life of an attempt: every step of the table, and every outcome of CONTRACT.md's table."""

from __future__ import annotations

from typing import get_args

import pytest

from engine.dial.attempts.lifecycle import (
    FINAL_STATUS,
    LIVE,
    STEPS,
    Ending,
    next_status,
    outcome_of,
)
from engine.model import AttemptStatus
from engine.model.disposition import Disposition, Outcome
from engine.ports.telephony import Ended


def test_every_disposition_has_a_final_status() -> None:
    assert set(get_args(Disposition)) | {None} == set(FINAL_STATUS)
    assert not LIVE & set(FINAL_STATUS.values())


def test_every_live_status_is_reached_and_nothing_leaves_a_final_one() -> None:
    assert {"initiated", *STEPS.values()} == LIVE
    assert {status for status, _ in STEPS} <= LIVE


def test_a_late_ringing_changes_nothing() -> None:
    assert next_status("in-progress", "ringing") is None
    assert next_status("ringing", "ringing") is None


WIRE: list[tuple[int, int | None, Disposition]] = [
    (486, None, "busy"),
    (600, None, "busy"),
    (503, 17, "busy"),
    (408, None, "no-answer"),
    (480, None, "no-answer"),
    (500, 18, "no-answer"),
    (500, 19, "no-answer"),
    (603, None, "declined"),
    (480, 21, "declined"),
    (404, None, "invalid-number"),
    (410, None, "invalid-number"),
    (484, None, "invalid-number"),
    (604, None, "invalid-number"),
    (480, 1, "invalid-number"),
    (480, 22, "invalid-number"),
    (480, 28, "invalid-number"),
    (607, None, "blocked"),
    (608, None, "blocked"),
    (429, None, "congested"),
    (503, None, "congested"),
    (480, 34, "congested"),
    (480, 42, "congested"),
    (401, None, "failed"),
    (403, None, "failed"),
    (407, None, "failed"),
    (488, None, "failed"),
    (302, None, "failed"),
    (500, 16, "failed"),
    (486, 16, "busy"),
]


@pytest.mark.parametrize(("code", "q850", "expected"), WIRE)
def test_what_the_wire_said_becomes_the_disposition_of_the_contract(
    code: int, q850: int | None, expected: Disposition
) -> None:
    ended = Ended("rejected", code, "", q850)
    assert outcome_of(ended, "the call ended", "ringing").disposition == expected


@pytest.mark.parametrize(
    ("ended", "ending", "status", "expected"),
    [
        (Ended("callee_hung_up", 200), "the call ended", "in-progress", Outcome("answered")),
        (Ended("we_hung_up", 200), "the call ended", "in-progress", Outcome("answered")),
        (Ended("lost", 200), "the call ended", "in-progress", Outcome("failed")),
        (Ended("we_hung_up", 487), "time-out", "ringing", Outcome("no-answer")),
        (Ended("unreachable"), "time-out", "initiated", Outcome(None)),
        (Ended("unreachable"), "the call ended", "initiated", Outcome(None)),
        (Ended("unreachable"), "the call ended", "ringing", Outcome("failed")),
        (Ended("we_hung_up", 487), "shutdown", "ringing", Outcome("canceled")),
        (Ended("we_hung_up", 200), "shutdown", "in-progress", Outcome("answered")),
        (Ended("no_media", 200), "the call ended", "ringing", Outcome("failed")),
        (
            Ended("rejected", 503, retry_after_s=9.0),
            "the call ended",
            "initiated",
            Outcome("congested", "either", 9.0),
        ),
        (
            Ended("rejected", 302, redirected_to="+14155550199"),
            "the call ended",
            "initiated",
            Outcome("failed", redirected_to="+14155550199"),
        ),
        (
            Ended("rejected", 404, redirected_to="+14155550199"),
            "the call ended",
            "initiated",
            Outcome("invalid-number"),
        ),
    ],
)
def test_how_a_call_ended_becomes_its_outcome(
    ended: Ended, ending: Ending, status: AttemptStatus, expected: Outcome
) -> None:
    assert outcome_of(ended, ending, status) == expected
