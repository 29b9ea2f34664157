"""Bugs that are planted in a world on purpose: the judge finds each. A judge that finds nothing proves
nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

import engine.dial.blockers
import engine.dial.dids.did
import engine.dial.router
from engine.dial.explaining import Explainer
from engine.dial.limits.callees import CalleeBook, Callees
from engine.dial.limits.party import Limits, limits_of_did
from engine.model import Attempt, Blocker, CalleeCap, Cap, Contact, RetryRule
from engine.model.events import Event
from sim.world.judge import judge
from sim.world.plan import draw_plan
from sim.world.run import World, run_plan

SEEDS = range(60)


def promises_broken(
    tamper: Callable[[World], None] | None, until: str = "", **settings: Any
) -> set[str]:
    """What the judge finds broken in the first seed in which anything is, or in which that promise is.

    Args:
        tamper: plants the bug.
        settings: of all flows, in place of those drawn.
    """
    for seed in SEEDS:
        plan = draw_plan(seed)
        flows = tuple(
            replace(flow, settings=replace(flow.settings, **settings)) for flow in plan.flows
        )
        breaches = judge(run_plan(replace(plan, flows=flows), tamper))
        promises = {one.promise for one in breaches}
        if until in promises or (promises and not until):
            return promises
    return set()


def test_a_lost_update_is_found() -> None:
    """The store forgets what followed an attempt."""

    def tamper(world: World) -> None:
        inner = world.store.end_attempt

        async def end_attempt(attempt: Attempt, contact: Contact, events: Sequence[Event]) -> bool:
            before = world.store.tables.contacts[contact.id]
            kept = await inner(attempt, contact, events)
            world.store.tables.contacts[contact.id] = replace(before, state="open")
            return kept

        world.store.end_attempt = end_attempt  # type: ignore[method-assign]

    promise = "every contact has one disposition, which is told"
    assert promise in promises_broken(tamper, promise)


def test_an_accepted_trigger_that_is_lost_is_found() -> None:
    def tamper(world: World) -> None:
        inner = world.store.accept_list

        async def accept_list(new: Any, answer: Any = None) -> Any:
            return await inner(replace(new, contacts=new.contacts[1:]), answer)

        world.store.accept_list = accept_list  # type: ignore[method-assign]

    assert "what was accepted is not lost" in promises_broken(tamper)


def test_a_double_dial_is_found() -> None:
    """One INVITE to a customer goes out twice."""

    def tamper(world: World) -> None:
        inner = world.network.note_invite

        def note_invite(*args: Any) -> None:
            inner(*args)
            is_leg = args[0].attempt.startswith("leg_")
            if not is_leg and args[0].number.endswith("3"):
                inner(*args)

        world.network.note_invite = note_invite  # type: ignore[method-assign, assignment]

    assert "no attempt is dialled twice" in promises_broken(tamper)


def test_a_call_that_leaves_before_its_intent_is_written_down_is_found() -> None:
    def tamper(world: World) -> None:
        async def begin_attempt(_attempt: Attempt, _event: Event) -> None:
            return None

        world.store.begin_attempt = begin_attempt  # type: ignore[method-assign, assignment]

    assert "nothing is dialled that is not written down" in promises_broken(tamper)


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        ("cps", "no limit is exceeded in any sliding window"),
        ("caps", "no limit is exceeded in any sliding window"),
        ("channels", "no more calls are up at once than channels"),
    ],
)
def test_a_limit_that_is_one_too_high_is_found(
    change: str, promise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_too_high(cps: float, channels: int, caps: Sequence[Cap]) -> Limits:
        if change == "cps":
            return limits_of_did(max(2, cps + 1), channels, caps)
        if change == "channels":
            return limits_of_did(cps, channels + 1, caps)
        return limits_of_did(cps, channels, [Cap(cap.calls + 1, cap.per_s) for cap in caps])

    monkeypatch.setattr(engine.dial.dids.did, "limits_of_did", one_too_high)
    assert promises_broken(None) == {promise}


def test_a_callee_who_is_called_once_too_often_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_too_high(self: Callees, book: CalleeBook, account: str, caps: Any) -> None:
        higher = [CalleeCap(cap.calls + 1, cap.per_s) for cap in caps]
        keep(self, book, account, higher)

    keep = Callees.__init__
    monkeypatch.setattr(Callees, "__init__", one_too_high)
    caps = (CalleeCap(1, 300),)
    assert promises_broken(None, callee_caps=caps) == {
        "nobody is called more often than the caps on callees allow"
    }


@pytest.mark.parametrize("code", ["did_channels", "list_paused", "calling_window", "retry_wait"])
def test_a_blocker_that_lies_is_found(code: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def explain(_self: Explainer, contacts: Iterable[Contact], _paused: Any) -> list[Blocker]:
        return [Blocker(code, "So they say.", None) for _ in contacts]

    monkeypatch.setattr(Explainer, "explain", explain)
    assert promises_broken(None) == {"every waiting contact has a true blocker"}


def test_a_calling_window_that_is_ignored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_closed(*_args: Any) -> None:
        return None

    monkeypatch.setattr(engine.dial.blockers, "find_closed", find_closed)
    monkeypatch.setattr(engine.dial.router, "find_closed", find_closed)
    assert "nobody is called in a closed window" in promises_broken(None)


def test_a_pause_that_is_not_heard_of_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store has it, and the engine lets what it has in hand go."""

    def tamper(world: World) -> None:
        inner = world.store.set_list_status

        async def set_list_status(account: str, call_list: str, change: Any, at: float) -> Any:
            entry = world.store.tables.lists[call_list]
            before = entry.state.status
            changed = await inner(account, call_list, change, at)
            if change == "pause":
                entry.state.status = before
            return changed

        world.store.set_list_status = set_list_status  # type: ignore[method-assign]

    monkeypatch.setattr("engine.schedule.scheduler.Scheduler.pause_list", lambda *_args: None)
    assert "nothing is dialled that was stopped" in promises_broken(tamper)


def test_a_budget_that_is_not_spent_is_found() -> None:
    def tamper(world: World) -> None:
        inner = world.store.end_attempt

        async def end_attempt(attempt: Attempt, contact: Contact, events: Sequence[Event]) -> bool:
            return await inner(attempt, replace(contact, spent=0), events)

        world.store.end_attempt = end_attempt  # type: ignore[method-assign]

    retry = {"no-answer": RetryRule(3, 5), "busy": RetryRule(3, 5)}
    broken = promises_broken(tamper, attempts_max=2, retry=retry, calling_window=None)
    assert "no contact is over its budget" in broken
