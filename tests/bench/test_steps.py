"""What a call asks of trio is counted, and does not grow unnoticed."""

from __future__ import annotations

from bench.steps import measure


def test_a_call_costs_its_did_one_step_and_its_attempt_no_more_than_its_waits() -> None:
    steps = measure(100)
    assert 1.0 <= steps.by_task["DID"] <= 1.5
    # It begins, is prepared, has its intent committed, leaves, rings, is answered, ends, and is written down.
    assert 7.0 <= steps.by_task["attempt"] <= 8.1
    assert steps.scopes <= 6.5
