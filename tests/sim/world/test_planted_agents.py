"""Bugs planted in what concerns agents: the judge finds each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from adapters.sqlite import rules
from engine.dial.agents.floor import Floor
from engine.dial.agents.seats import Seat
from engine.model.agent import Leg
from engine.model.events import Event
from engine.ports.dial_store import Progress
from engine.schedule.scheduler import Scheduler
from sim.world.judge import judge
from sim.world.plan import draw_plan
from sim.world.report import report
from sim.world.run import World, run_plan
from sim.world.tape import Told

SEEDS = [seed for seed in range(250) if draw_plan(seed).agents]


def broken(promise: str, tamper: Callable[[World], None] | None = None) -> bool:
    """Whether the judge finds a promise broken in any of the first seeds with agents."""
    return any(
        promise in {one.promise for one in judge(run_plan(draw_plan(seed), tamper))}
        for seed in SEEDS
    )


def test_in_worlds_with_agents_customers_meet_one() -> None:
    wanted = {"attempt.connected", "attempt.ended", "leg.ended", "agent.presence"}
    for seed in SEEDS:
        entries = run_plan(draw_plan(seed)).tape.entries
        wanted -= {entry.type for entry in entries if isinstance(entry, Told)}
        if not wanted:
            return
    raise AssertionError(f"in no seed there is {wanted}")


def test_a_report_tells_of_calls_to_agents_beside_attempts() -> None:
    run = run_plan(draw_plan(3))
    legs = sum(isinstance(one, Told) and one.type == "leg.initiated" for one in run.tape.entries)
    assert legs > 0
    assert f" attempts, {legs} calls to agents, " in report(run, judge(run))


def test_a_leg_that_is_left_without_an_end_is_found() -> None:
    def tamper(world: World) -> None:
        async def end_leg(_leg: Leg) -> bool:
            return False

        world.store.end_leg = end_leg  # type: ignore[method-assign, assignment]

    assert broken("every leg ends", tamper)


def test_a_leg_that_leaves_before_its_intent_is_written_down_is_found() -> None:
    def tamper(world: World) -> None:
        async def begin_leg(_leg: Leg) -> None:
            return None

        world.store.begin_leg = begin_leg  # type: ignore[method-assign, assignment]

    assert broken("nothing is dialled that is not written down", tamper)


def test_an_agent_who_has_two_customers_at_once_is_found() -> None:
    """Whoever is connected is so with the same agent."""

    def tamper(world: World) -> None:
        inner = world.store.note_progress

        async def note_progress(noted: Sequence[Progress]) -> None:
            await inner([replace(one, events=[*map(_with_the_first, one.events)]) for one in noted])

        world.store.note_progress = note_progress  # type: ignore[method-assign]

    assert broken("no agent has two customers at once", tamper)


def _with_the_first(event: Event) -> Event:
    if event.type != "attempt.connected":
        return event
    return replace(event, data={"agent": "agt_0"})


def test_an_agent_who_is_rung_after_going_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes is not heard of while their own telephone is called."""

    def ask_leave(self: Floor, seat: Seat) -> None:
        if seat.state != "calling":
            keep(self, seat)

    keep = Floor.ask_leave
    monkeypatch.setattr(Floor, "ask_leave", ask_leave)
    assert broken("no agent is rung who has gone")


def test_an_agent_who_is_rung_for_a_contact_that_is_done_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who has it in hand is not told, and the store takes each intent of a leg."""
    monkeypatch.setattr(Scheduler, "let_go", lambda _self, _list, _contacts: None)
    monkeypatch.setattr(rules, "leg_refusal", lambda _state, _row: None)
    assert broken("nobody is called for a contact that is done")
