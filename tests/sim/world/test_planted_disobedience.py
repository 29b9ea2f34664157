"""Bugs planted in what people may ask for at any moment, and in what flows, accounts and DIDs are bound to:
the judge finds each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import engine.dial.blockers
import engine.dial.dids.did
import engine.dial.flow_desk
import engine.schedule.retry
from engine.control.holding import Holding
from engine.dial.flow_desk import FlowDesk
from engine.dial.limits.day_caps import DayCaps
from engine.model import Contact, RetryRule
from engine.model.did_health import RestWhen
from engine.model.webhook import Outcome, Webhook
from engine.ports.moving import ListEdit
from engine.ports.stored import StoreUnavailable
from engine.running.changes import Changes
from engine.schedule.turns import RANKS, Claimant
from sim.memory_store.deliveries import MemoryDeliveries
from sim.memory_store.tables import Tables
from sim.world.judge import judge
from sim.world.plan import ZONES, Action, Plan, draw_plan
from sim.world.run import World, run_plan

SEEDS = range(60)


def broken(
    change: Callable[[Plan], Plan], tamper: Callable[[World], None] | None = None
) -> set[str]:
    """What the judge finds broken in the first seed in which anything is.

    Args:
        change: what is made of each plan.
        tamper: plants the bug, where a patch does not.
    """
    for seed in SEEDS:
        breaches = judge(run_plan(change(draw_plan(seed)), tamper))
        if breaches:
            return {one.promise for one in breaches}
    return set()


def calm(plan: Plan, **settings: Any) -> Plan:
    """A plan in which nothing fails, all DIDs may call as they like, and no window is closed."""
    values = {"calling_window": None, "channels": None, "cps": None, "caps": (), **settings}
    values = {"callee_caps": (), "attempts_max_per_day": None, **values}
    bare = {"calling_window": None, "channels": None, "cps": None, "caps": (), "callee_caps": ()}
    return replace(
        plan,
        outages=(),
        disk=(),
        dies_at_step=(),
        loss=0.0,
        cps=50,
        channels=100,
        caps=(),
        dids=tuple(replace(one, cps=1, channels=30, caps=()) for one in plan.dids),
        flows=tuple(replace(one, settings=replace(one.settings, **values)) for one in plan.flows),
        accounts=tuple(replace(one, rules=replace(one.rules, **bare)) for one in plan.accounts),
        actions=tuple(one for one in plan.actions if one.deed in ("list", "call")),
    )


def ordered(*orders: Action) -> Callable[[Plan], Plan]:
    """What makes a plan of calls that these are ordered for, and of others that come after."""

    def change(plan: Plan) -> Plan:
        quiet = calm(plan, attempts_max=8, retry={"busy": RetryRule(5, 20)})
        actions = sorted((*quiet.actions, *orders), key=lambda one: one.at)
        return replace(quiet, actions=tuple(actions))

    return change


def test_a_call_from_a_did_that_rests_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_unfit(*_args: Any) -> None:
        return None

    def rest(plan: Plan) -> Plan:
        rest_when = RestWhen(answered_min=1.0, calls_min=1, rest_s=300)
        return replace(
            calm(plan), dids=tuple(replace(one, rest_when=rest_when) for one in calm(plan).dids)
        )

    for module in (engine.dial.blockers, engine.dial.dids.did):
        monkeypatch.setattr(module, "find_unfit", find_unfit)
    monkeypatch.setattr(engine.dial.dids.did.DidActor, "has_room", lambda self, rank: True)
    assert "no call leaves from a DID that rests" in broken(rest)


@pytest.mark.parametrize("rule", ["calls_per_day", "country_calls_per_day"])
def test_a_day_with_too_many_calls_is_found(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(plan: Plan) -> Plan:
        rules: dict[str, Any] = {rule: 1}
        accounts = tuple(
            replace(one, rules=replace(one.rules, **rules)) for one in calm(plan).accounts
        )
        return replace(calm(plan), accounts=accounts)

    monkeypatch.setattr(DayCaps, "blocked_by", lambda *_args: None)
    monkeypatch.setattr(DayCaps, "earliest", lambda *_args: 0.0)
    assert broken(bind) == {"no limit is exceeded in any sliding window"}


def test_a_contact_that_is_called_too_often_on_a_day_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (engine.dial.flow_desk, engine.schedule.retry):
        monkeypatch.setattr(module, "budget_of", lambda _flow: None)
    settings = {"attempts_max": 8, "attempts_max_per_day": 1}
    retry = {"no-answer": RetryRule(3, 5), "busy": RetryRule(3, 5)}
    assert broken(lambda plan: calm(plan, retry=retry, **settings)) == {
        "no contact is over its budget of a day"
    }


def test_a_do_not_call_list_that_is_ignored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tables, "is_listed", lambda *_args: False)
    listed = [Action(1.0, "do_not_call", f"{prefix[:5]}*") for prefix in ZONES]
    assert "nobody is called who must not be" in broken(ordered(*listed))


def test_a_do_not_call_list_that_is_ignored_is_found_in_any_world(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In those as they are drawn, with all that goes wrong in them."""
    monkeypatch.setattr(Tables, "is_listed", lambda *_args: False)
    assert "nobody is called who must not be" in broken(lambda plan: plan)


def test_a_start_time_that_is_not_given_is_found() -> None:
    def tamper(world: World) -> None:
        inner = world.store.edit_list

        async def edit_list(account: str, call_list: str, _edit: ListEdit, at: float) -> Any:
            return await inner(account, call_list, ListEdit(at), at)

        world.store.edit_list = edit_list  # type: ignore[method-assign, assignment]

    orders = ordered(*(Action(5.0, "reschedule_list", str(n), 400.0) for n in range(4)))
    assert broken(orders, tamper) == {"nobody is called before the start time that was given"}


def queued(plan: Plan) -> Plan:
    """A plan in which a list takes minutes, and somebody urgent comes in the middle of it."""
    quiet = calm(plan, attempts_max=1, caller_numbers="rotate")
    flow = quiet.flows[0]
    people = [{"tel": [f"+4420712{place:05}"]} for place in range(60)]
    urgent = {"to": ["+442071299999"], "priority": "urgent"}
    return replace(
        quiet,
        horizon_s=900.0,
        dids=tuple(replace(one, cps=0.1) for one in quiet.dids),
        actions=(
            Action(0.0, "list", flow.id, body=msgspec.json.encode({"contacts": people})),
            Action(20.0, "call", flow.id, body=msgspec.json.encode(urgent)),
        ),
    )


def test_somebody_urgent_who_is_passed_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def claimant_of(self: FlowDesk, contact: Contact) -> Claimant:
        is_urgent = contact.priority == "urgent"
        return Claimant(self.flow.id, RANKS - 1 if is_urgent else 1, self.flow.settings.weight)

    assert judge(run_plan(queued(draw_plan(1)))) == []
    monkeypatch.setattr(FlowDesk, "claimant_of", claimant_of)
    assert "nobody who is urgent is passed over" in broken(queued)


def test_an_account_that_is_paused_and_calls_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Changes, "operate_account", lambda *_args: None)
    paused = "nothing is dialled that was stopped"
    assert paused in broken(ordered(Action(3.0, "pause_account", "acc_0")))


@pytest.mark.parametrize(
    ("deed", "target"), [("cancel_flow", "flw_0"), ("cancel_account", "acc_0")]
)
def test_what_was_canceled_with_its_flow_and_is_called_is_found(
    deed: Any, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancel(*_args: Any) -> None:
        return None

    monkeypatch.setattr(Holding, "_cancel", cancel)
    assert broken(ordered(Action(3.0, deed, target))) == {"nothing is dialled that was stopped"}


def hooked(plan: Plan) -> Plan:
    """A plan all of whose flows send all their events."""
    quiet = calm(plan)
    hook = Webhook("https://hook.example.com/", "secret")
    flows = [replace(one, settings=replace(one.settings, webhook=hook)) for one in quiet.flows]
    return replace(quiet, flows=tuple(flows))


def test_an_event_that_is_sent_to_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Tables._add_delivery

    def forget_some(self: Tables, event: Any, seq: int) -> None:
        if seq % 5:
            keep(self, event, seq)

    monkeypatch.setattr(Tables, "_add_delivery", forget_some)
    assert broken(hooked) == {"every event that is wanted is delivered, or given up"}


def test_an_event_that_is_sent_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = MemoryDeliveries.note_tries

    async def fail_once(self: Any, outcomes: Sequence[Outcome], at: float) -> None:
        if not hasattr(self, "failed"):
            self.failed = True
            raise StoreUnavailable("so they say")
        await keep(self, outcomes, at)

    monkeypatch.setattr(MemoryDeliveries, "note_tries", fail_once)
    assert broken(hooked) == {"nothing that was taken is sent again"}


def test_events_of_a_contact_that_are_sent_out_of_order_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep = Tables._add_delivery

    def all_at_once(self: Tables, event: Any, seq: int) -> None:
        keep(self, event, seq)
        kept = self.deliveries[event.flow]
        kept[seq] = replace(kept[seq], due_at=event.time)

    monkeypatch.setattr(Tables, "_add_delivery", all_at_once)
    assert "what is sent of a contact is in order" in broken(hooked)


def test_a_delivery_that_is_left_behind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryDeliveries, "_begin_next", lambda *_args: None)
    assert broken(hooked) == {"no delivery waits for nothing"}


def test_a_calm_plan_breaks_nothing() -> None:
    for seed in range(5):
        assert judge(run_plan(hooked(draw_plan(seed)))) == []


def test_a_start_time_of_a_trigger_that_is_ignored_is_found_in_any_world() -> None:
    def tamper(world: World) -> None:
        inner = world.store.accept_list

        async def accept_list(new: Any, answer: Any = None) -> Any:
            contacts = [replace(one, due_at=world.plan.epoch) for one in new.contacts]
            return await inner(replace(new, contacts=contacts), answer)

        world.store.accept_list = accept_list  # type: ignore[method-assign]

    found = broken(lambda plan: plan, tamper)
    assert found == {"nobody is called before the start time that was given"}
