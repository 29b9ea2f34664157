"""Bugs planted in what becomes of calls and contacts, in what is sent of it, and in what is let go of: the
judge finds each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio
from msgspec.structs import replace

import engine.dial.attempts.attempt
import engine.dial.explaining
import engine.notify.courier
import engine.running.recovery
import engine.schedule.retry
from engine.control.blocked import BlockedContacts
from engine.dial.attempts.lifecycle import outcome_of
from engine.dial.attempts.record import ended_event, following_event
from engine.dial.blockers import describe
from engine.model import Attempt, Blocker, Contact, Flow, FlowSettings
from engine.model.disposition import Disposition, Outcome
from engine.model.webhook import Webhook
from engine.notify.courier import Courier
from engine.ports.dial_store import DialStore
from sim.world.judge import judge
from sim.world.plan import Plan, draw_plan
from sim.world.run import World, run_plan
from sim.world.tape import Happened

SEEDS = range(60)


def broken(promise: str, change: Callable[[Plan], Plan] = lambda plan: plan, **tamper: Any) -> bool:
    """Whether the judge finds a promise broken in any of the first seeds.

    Args:
        change: what is made of each plan.
        tamper: plants the bug, where a patch does not.
    """
    return any(
        promise in {one.promise for one in judge(run_plan(change(draw_plan(seed)), **tamper))}
        for seed in SEEDS
    )


def test_a_contact_for_whose_waiting_no_reason_is_given_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def explain(_self: BlockedContacts, contacts: Sequence[Contact]) -> list[None]:
        return [None for _ in contacts]

    monkeypatch.setattr(BlockedContacts, "explain", explain)
    assert broken("every waiting contact has a true blocker")


@pytest.mark.parametrize("off_s", [-3_600.0, 3_600.0])
def test_a_moment_at_which_a_reason_is_said_to_end_and_does_not_is_found(
    off_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(*args: Any) -> Blocker:
        found = describe(*args)
        return replace(found, until=None if found.until is None else found.until + off_s)

    monkeypatch.setattr(engine.dial.explaining, "describe", mistake)
    assert broken("every waiting contact has a true blocker")


@pytest.mark.parametrize("disposition", ["answered", "unknown"])
def test_somebody_who_is_called_again_after_the_last_word_is_found(
    disposition: Disposition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was reached; and, silently, whose call was up as the process died."""
    is_final, try_again = engine.schedule.retry._is_final, engine.schedule.retry._try_again

    def is_final_but(found: Disposition, settings: FlowSettings) -> bool:
        return found != disposition and is_final(found, settings)

    def again(contact: Contact, settings: FlowSettings, found: Disposition, now: float) -> Contact:
        if found == disposition:
            return engine.schedule.retry._wait(contact, now, 1.0)
        return try_again(contact, settings, found, now)

    monkeypatch.setattr(engine.schedule.retry, "_is_final", is_final_but)
    monkeypatch.setattr(engine.schedule.retry, "_try_again", again)
    assert broken("nobody is called who was reached or is to be left alone")


def test_an_attempt_that_a_crash_left_open_and_that_is_taken_for_never_made_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def end_interrupted(
        store: DialStore, attempt: Attempt, contact: Contact, _flow: Flow, now: float
    ) -> None:
        ended = replace(attempt, status="canceled", disposition="canceled", ended_at=now)
        after = replace(contact, state="open", due_at=now, wait_code="retry_wait")
        await store.end_attempt(
            ended, after, [ended_event(ended, now), following_event(after, now)]
        )

    monkeypatch.setattr(engine.running.recovery, "end_interrupted", end_interrupted)
    assert broken("a call ends as the carrier saw it end")


def test_a_refusal_that_is_taken_for_an_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = outcome_of

    def mistake(*args: Any) -> Outcome:
        found = keep(*args)
        return Outcome("answered") if found.disposition == "busy" else found

    monkeypatch.setattr(engine.dial.attempts.attempt, "outcome_of", mistake)
    assert broken("a call ends as the carrier saw it end")


def test_a_contact_that_is_told_another_end_than_its_last_call_had_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep = engine.schedule.retry.complete

    def complete(contact: Contact, found: Disposition, now: float) -> Contact:
        return keep(contact, "failed" if found == "busy" else found, now)

    monkeypatch.setattr(engine.schedule.retry, "complete", complete)
    assert broken("a contact's disposition is that of its last call")


def test_a_contact_that_is_given_up_after_its_first_number_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def give_up(contact: Contact, _settings: Any, found: Disposition, now: float) -> Contact:
        return engine.schedule.retry.complete(contact, found, now)

    monkeypatch.setattr(engine.schedule.retry, "_try_again", give_up)
    assert broken("nobody is given up with a number that was not called")


def test_a_number_that_is_given_up_as_full_costs_budget() -> None:
    """Of three calls that may be spent one is that number's, and two the next one's."""
    assert judge(run_plan(draw_plan(711))) == []


def test_a_call_that_began_before_the_clock_was_set_back_did_not_begin_too_early() -> None:
    """The clock goes back by two hours between a call's intent and its INVITE."""
    assert judge(run_plan(draw_plan(5094))) == []


def test_who_asks_not_to_be_called_may_mean_the_number_that_led_to_theirs() -> None:
    """The call was redirected."""
    assert judge(run_plan(draw_plan(9429))) == []


def test_a_trunk_is_on_trial_though_it_was_heard_before_its_silence_was_noticed() -> None:
    assert judge(run_plan(draw_plan(9238))) == []


def test_a_call_that_a_process_prepared_as_it_died_is_not_left() -> None:
    assert judge(run_plan(draw_plan(1021))) == []


def test_a_number_that_is_tried_more_often_than_its_flow_says_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep = engine.schedule.retry._try_again

    def try_again(contact: Contact, settings: FlowSettings, found: Any, now: float) -> Contact:
        rule = settings.retry.get(found)
        if rule is not None:
            return engine.schedule.retry._wait(contact, now, rule.wait_s)
        return keep(contact, settings, found, now)

    monkeypatch.setattr(engine.schedule.retry, "_try_again", try_again)
    assert broken("no number is tried more often than its flow says")


def test_a_contact_that_is_left_out_as_listed_and_is_not_is_found() -> None:
    def tamper(world: World) -> None:
        inner = world.store.begin_attempt

        async def begin_attempt(attempt: Attempt, event: Any) -> Any:
            return "do_not_call" if attempt.number.endswith("4") else await inner(attempt, event)

        world.store.begin_attempt = begin_attempt  # type: ignore[method-assign]

    assert broken("nobody is left out who may be called", tamper=tamper)


def test_a_contact_that_is_canceled_though_nobody_asked_for_it_is_found() -> None:
    def tamper(world: World) -> None:
        inner = world.store.complete_contacts

        async def complete(contacts: Any, _disposition: Any, at: float, _reason: Any = None) -> Any:
            return await inner(contacts, "canceled", at)

        world.store.complete_contacts = complete  # type: ignore[method-assign, assignment]

    assert broken("a contact's disposition is that of its last call", tamper=tamper)


def test_a_wait_before_the_next_try_that_is_not_kept_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep = engine.schedule.retry._wait
    monkeypatch.setattr(
        engine.schedule.retry, "_wait", lambda contact, now, _wait_s: keep(contact, now, 0.0)
    )
    assert broken("nobody is called again sooner than their flow says")


def test_a_moment_that_is_told_and_not_kept_is_found() -> None:
    def tamper(world: World) -> None:
        inner = world.store.end_attempt

        async def end_attempt(attempt: Attempt, contact: Contact, events: Sequence[Any]) -> bool:
            told = [
                replace(one, data={**one.data, "until": "2090-01-01T00:00:00Z"})
                if one.type == "contact.waiting"
                else one
                for one in events
            ]
            return await inner(attempt, contact, told)

        world.store.end_attempt = end_attempt  # type: ignore[method-assign]

    assert broken("nobody is called before the moment that was told", tamper=tamper)


def hooked(plan: Plan) -> Plan:
    """All flows send all their events, and nothing else goes wrong with the machine."""
    hook = Webhook("https://hook.example.com/", "secret")
    flows = [replace(one, settings=replace(one.settings, webhook=hook)) for one in plan.flows]
    return replace(plan, flows=tuple(flows), disk=(), dies_at_step=())


def test_a_courier_that_sends_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(
        _self: Courier, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        task_status.started()
        await trio.sleep_forever()

    monkeypatch.setattr(Courier, "run", run)
    assert broken("what is due is sent", hooked)


def test_a_delivery_that_is_given_up_when_it_first_fails_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine.notify.courier, "next_try_at", lambda *_args: None)
    assert broken("nothing is given up before its time", hooked)


@pytest.mark.parametrize("is_deaf", [False, True])
def test_a_task_that_is_left_by_each_call_is_found(
    is_deaf: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ends with its process, and one that no cancellation reaches: the run does not hang for it."""
    keep = engine.dial.attempts.attempt.run_attempt

    async def run_attempt(*args: Any) -> None:
        await keep(*args)
        with trio.CancelScope(shield=is_deaf):
            await trio.sleep_forever()

    for module in [*sys.modules.values()]:
        if getattr(module, "run_attempt", None) is keep:
            monkeypatch.setattr(module, "run_attempt", run_attempt)
    assert broken("nothing is left when all is done")


def test_a_last_process_that_finds_no_disk_is_compared_with_nobody() -> None:
    """It was to show what a process has that never did anything, and did not come up."""
    run = run_plan(draw_plan(1530))
    failed = [one for one in run.tape.entries[-9:] if isinstance(one, Happened)]
    assert "process failed" in {one.what for one in failed}
    assert judge(run) == []
