"""A day of an installation, in virtual time, that keeps nothing of what is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

import engine.dial.dids.did
from engine.dial.explaining import Explainer
from engine.dial.limits.party import Limits, limits_of_did
from engine.model import Attempt, Blocker, Cap, Contact
from engine.model.events import Event
from sim.memory_store import MemoryStore
from sim.world.judge import judge
from sim.world.plan import draw_plan
from sim.world.plan.day import draw_day
from sim.world.run import World, run_plan
from tests.sizes import size

CONTACTS = size(300, 3_000)


def test_a_day_ends_with_every_contact_called_and_every_promise_kept() -> None:
    worlds: list[World] = []
    day = run_plan(draw_day(1, CONTACTS, hours=8), worlds.append)
    assert judge(day) == []
    assert day.summary.completed == CONTACTS
    [world] = worlds
    case, tables = world.judge.case, world.store.tables
    assert (day.tape.entries, case.people, case.calls) == ([], {}, {})
    # Of the last minutes of the day nothing had to be forgotten yet; of what was, nothing is left.
    assert len(tables.contacts) < CONTACTS / 10
    assert {one.contact for one in tables.attempts.values()} <= set(tables.contacts)
    kept = set(tables.attempts)
    assert {one for ids in tables.attempts_on.values() for one in ids} == kept
    assert {one for ids in tables.attempts_of_account.values() for one in ids} == kept


def test_a_day_that_forgets_is_the_day_that_keeps_everything() -> None:
    forgets = draw_day(2, 60, hours=2)
    keeps = replace(forgets, forgets_after_s=None)
    first, second = run_plan(forgets), run_plan(keeps)
    assert judge(first) == judge(second) == []
    assert first.tape.digest() == second.tape.digest()
    assert len(second.contacts) == 60


def test_a_million_contacts_are_a_day_of_500_dids_and_few_contacts_a_hard_run() -> None:
    plan = draw_plan(1, 4_000)
    assert plan == draw_plan(1, 4_000)
    assert (len(plan.dids), len({one.trunk for one in plan.dids})) == (5, 2)
    assert len(draw_plan(1, 20_000, 12).dids) == 10
    assert draw_plan(1, 20).step_s == 0


def broken(tamper: Callable[[World], None] | None = None, **plan: Any) -> set[str]:
    """What the judge finds in a short day with a planted bug.

    Args:
        tamper: plants the bug.
        plan: what is otherwise in the plan.
    """
    day = replace(draw_day(1, 60, hours=2), **plan)
    return {one.promise for one in judge(run_plan(day, tamper))}


def test_a_lost_update_is_found_before_its_contact_is_forgotten() -> None:
    def tamper(world: World) -> None:
        inner = world.store.end_attempt

        async def end_attempt(attempt: Attempt, contact: Contact, events: Sequence[Event]) -> bool:
            kept = await inner(attempt, contact, events)
            after = world.store.tables.contacts[contact.id]
            if after.state == "completed" and after.number.endswith("1"):
                lost = replace(after, disposition="failed")
                world.store.tables.contacts[contact.id] = lost
            return kept

        world.store.end_attempt = end_attempt  # type: ignore[method-assign]

    assert broken(tamper) == {"every contact has one disposition, which is told"}


def test_a_contact_that_is_gone_is_found() -> None:
    def tamper(world: World) -> None:
        inner = world.store.end_attempt

        async def end_attempt(attempt: Attempt, contact: Contact, events: Sequence[Event]) -> bool:
            kept = await inner(attempt, contact, events)
            if world.store.tables.contacts[contact.id].state == "completed":
                del world.store.tables.contacts[contact.id]
            return kept

        world.store.end_attempt = end_attempt  # type: ignore[method-assign]

    assert "what was accepted is not lost" in broken(tamper)


def test_a_double_dial_is_found_in_a_day_of_which_nothing_is_kept() -> None:
    def tamper(world: World) -> None:
        inner = world.network.note_invite

        def note_invite(*args: Any) -> None:
            inner(*args)
            if args[0].number.endswith("3"):
                inner(*args)

        world.network.note_invite = note_invite  # type: ignore[method-assign, assignment]

    assert "no attempt is dialled twice" in broken(tamper)


def test_a_limit_that_is_one_too_high_is_found_in_a_day_of_which_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def one_too_high(cps: float, channels: int, caps: Sequence[Cap]) -> Limits:
        return limits_of_did(cps, channels, [Cap(cap.calls + 1, cap.per_s) for cap in caps])

    monkeypatch.setattr(engine.dial.dids.did, "limits_of_did", one_too_high)
    dids = tuple(replace(one, caps=(Cap(1, 600),)) for one in draw_day(1, 60, hours=2).dids)
    assert broken(dids=dids) == {"no limit is exceeded in any sliding window"}


def test_a_blocker_that_lies_is_found_in_a_day_of_which_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def explain(_self: Explainer, contacts: Sequence[Contact], _paused: Any) -> list[Blocker]:
        return [Blocker("list_paused", "So they say.", None) for _ in contacts]

    monkeypatch.setattr(Explainer, "explain", explain)
    assert broken(look_s=300.0) == {"every waiting contact has a true blocker"}


def test_a_do_not_call_list_that_is_ignored_is_found_in_a_day_of_which_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def put(self: MemoryStore, account: str, entries: Any) -> int:
        return len(entries)

    monkeypatch.setattr(MemoryStore, "put_do_not_call", put)
    plan = draw_day(1, 60, hours=2)
    listed = type(plan.actions[0])(1.0, "do_not_call", "+1415*")
    assert "nobody is called who must not be" in broken(actions=(listed, *plan.actions))
