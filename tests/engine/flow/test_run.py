"""A flow on a call, under virtual time: what holds for every node."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from engine.flow.run import STEPS_MAX
from sim.telephony import CallScript
from tests.engine.flow.scripted import LISTENS, PROMPT_S, Outcome, follow

THREE: dict[str, Any] = {
    "a": {"type": "play", "play": "prm_1", "next": "b"},
    "b": {"type": "wait", "duration_s": 3, "next": "c"},
    "c": {"type": "play", "play": "prm_2", "next": "d"},
    "d": {"type": "hangup"},
}


async def test_a_flow_takes_as_long_as_its_nodes_and_leaves_hanging_up_to_its_caller(
    autojump_clock: MockClock,
) -> None:
    assert await follow(THREE) == Outcome(
        played=["prm_1", "prm_2"],
        steps=[
            ("a", "play", 0.0, "played", {}),
            ("b", "wait", PROMPT_S, "done", {}),
            ("c", "play", PROMPT_S + 3, "played", {}),
            ("d", "hangup", 2 * PROMPT_S + 3, "done", {}),
        ],
        took_s=2 * PROMPT_S + 3,
    )


@pytest.mark.parametrize(
    ("talk_s", "path"),
    [
        (1.0, [("a", "call_ended")]),
        (PROMPT_S + 1, [("a", "played"), ("b", "call_ended")]),
        (PROMPT_S + 4, [("a", "played"), ("b", "done"), ("c", "call_ended")]),
    ],
)
async def test_a_callee_who_hangs_up_ends_the_flow_wherever_it_is(
    talk_s: float, path: list[tuple[str, str]], autojump_clock: MockClock
) -> None:
    outcome = await follow(THREE, CallScript(None, 0.0, talk_s=talk_s))
    assert (outcome.path, outcome.took_s, outcome.ended) == (path, talk_s, "callee_hung_up")


async def test_a_flow_that_is_cancelled_notes_where_it_was_cut_off(
    autojump_clock: MockClock,
) -> None:
    outcome = await follow(THREE, cut_off_s=6.0)
    assert (outcome.path, outcome.took_s) == ([("a", "played"), ("b", "cut_off")], 6.0)


async def test_a_flow_whose_last_node_has_no_follower_is_over_there(
    autojump_clock: MockClock,
) -> None:
    outcome = await follow({"a": {"type": "play", "play": "prm_1"}}, LISTENS)
    assert (outcome.path, outcome.took_s, outcome.ended) == ([("a", "played")], PROMPT_S, None)


async def test_a_graph_that_goes_in_circles_without_time_passing_is_given_up(
    autojump_clock: MockClock,
) -> None:
    circle = {
        "a": {"type": "wait", "duration_s": 0, "next": "b"},
        "b": {"type": "wait", "duration_s": 0, "next": "a"},
    }
    outcome = await follow(circle)
    assert len(outcome.steps) == STEPS_MAX
    assert outcome.ended is None
