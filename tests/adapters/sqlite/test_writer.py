"""Group commit: what waits together is committed together, and what fails harms only itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from adapters.sqlite import writer
from adapters.sqlite.unit import Unit
from engine.model import ListCounts
from engine.ports.stored import Conflict, StoreUnavailable
from tests.adapters.sqlite.conftest import Opened, opened_at
from tests.contract.store_samples import (
    ACME,
    FLOW,
    LIST,
    NOW,
    a_contact,
    a_did,
    a_new_list,
    about,
    an_attempt,
    furnish,
)

LONG_S, SHORT_S = 20.0, 0.02
"""For which the patient wait for company."""
NOTE = "INSERT INTO do_not_call (account, number, flow, added_at) VALUES (1, ?, '', 0)"


async def noted(opened: Opened) -> list[str]:
    """The numbers that operations of these tests wrote down."""
    return [one.number for one in (await opened.store.list_do_not_call(ACME, 1000, None)).items]


def note(number: str, unit: Unit) -> str:
    unit.execute(NOTE, (number,))
    return f"noted {number}"


def fail_after_noting(number: str, unit: Unit) -> None:
    unit.execute(NOTE, (number,))
    raise ZeroDivisionError


def break_a_rule(unit: Unit) -> None:
    unit.execute("INSERT INTO prompts (account, id, name) VALUES (77, 'p', 'n')")


async def test_what_gathers_during_a_commit_is_committed_as_one_group(opened: Opened) -> None:
    before = opened.store.statistics()
    async with trio.open_nursery() as nursery, opened.held() as wait_pending:
        for number in range(20):
            nursery.start_soon(opened.run, partial(note, f"+{number:02}"))
        await wait_pending(20)
    after = opened.store.statistics()
    assert after.commits - before.commits == 2  # the one that was held, and the twenty
    assert after.operations - before.operations == 21
    assert await noted(opened) == [f"+{number:02}" for number in range(20)]


async def test_who_is_not_patient_ends_the_wait_of_those_who_are(opened: Opened) -> None:
    submit, before = opened.store._writer.submit, opened.store.statistics().commits
    async with trio.open_nursery() as nursery:
        with trio.fail_after(LONG_S / 2):
            for number in range(3):
                nursery.start_soon(partial(submit, partial(note, f"+{number}"), gather_s=LONG_S))
            await trio.testing.wait_all_tasks_blocked()
            assert await opened.run(partial(note, "+3")) == "noted +3"
    assert opened.store.statistics().commits - before == 1
    assert await noted(opened) == ["+0", "+1", "+2", "+3"]


async def test_who_is_patient_is_written_when_nobody_comes(opened: Opened) -> None:
    with trio.fail_after(LONG_S / 2):
        submit = opened.store._writer.submit
        assert await submit(partial(note, "+1"), gather_s=SHORT_S) == "noted +1"


async def test_who_is_left_over_from_a_full_group_does_not_wait_again(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GROUP_OPERATIONS_MAX", 2)
    submit, before = opened.store._writer.submit, opened.store.statistics().commits
    with trio.fail_after(LONG_S / 2):
        async with trio.open_nursery() as nursery, opened.held() as wait_pending:
            for number in range(5):
                nursery.start_soon(partial(submit, partial(note, f"+{number}"), gather_s=LONG_S))
            await wait_pending(5)
    assert opened.store.statistics().commits - before == 4  # the one that was held, and 2, 2 and 1
    assert await noted(opened) == ["+0", "+1", "+2", "+3", "+4"]


async def test_an_operation_alone_is_committed_at_once(opened: Opened) -> None:
    before = opened.store.statistics().commits
    for number in range(3):
        assert await opened.run(partial(note, f"+{number}")) == f"noted +{number}"
    assert opened.store.statistics().commits - before == 3


@pytest.mark.parametrize("bad", [partial(fail_after_noting, "+bad"), break_a_rule])
async def test_an_operation_that_fails_harms_only_itself(opened: Opened, bad: Any) -> None:
    outcomes: dict[int, object] = {}

    async def run(number: int) -> None:
        try:
            outcomes[number] = await opened.run(bad if number == 2 else partial(note, f"+{number}"))
        except (ZeroDivisionError, sqlite3.IntegrityError) as error:
            outcomes[number] = type(error)

    async with trio.open_nursery() as nursery, opened.held() as wait_pending:
        for number in range(5):
            nursery.start_soon(run, number)
        await wait_pending(5)
    error = outcomes.pop(2)
    assert error in (ZeroDivisionError, sqlite3.IntegrityError)
    assert outcomes == {number: f"noted +{number}" for number in (0, 1, 3, 4)}
    assert await noted(opened) == ["+0", "+1", "+3", "+4"]
    assert opened.store.statistics().groups_taken_apart == 1


async def test_a_refusal_that_changed_nothing_does_not_undo_its_group(opened: Opened) -> None:
    await opened.store.add_did(a_did())
    before = opened.store.statistics()
    refused: list[str] = []

    async def add_again() -> None:
        with pytest.raises(Conflict) as caught:
            await opened.store.add_did(a_did())
        refused.append(caught.value.code)

    async with trio.open_nursery() as nursery, opened.held() as wait_pending:
        for number in range(3):
            nursery.start_soon(opened.run, partial(note, f"+{number}"))
            nursery.start_soon(add_again)
        await wait_pending(6)
    after = opened.store.statistics()
    assert refused == ["did_exists"] * 3
    assert await noted(opened) == ["+0", "+1", "+2"]
    assert (after.commits - before.commits, after.groups_taken_apart) == (2, 0)


async def test_numbers_and_counts_stay_right_when_a_group_is_undone(opened: Opened) -> None:
    """What is remembered of lists and accounts between commits is forgotten with the group."""
    store = opened.store
    await store.accept_list(a_new_list(4))

    async def begin(row: int) -> None:
        attempt = an_attempt(a_contact(row), row)
        assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) is None

    async def fail() -> None:
        with pytest.raises(sqlite3.IntegrityError):
            await opened.run(break_a_rule)

    async with trio.open_nursery() as nursery, opened.held() as wait_pending:
        for row in (1, 2):
            nursery.start_soon(begin, row)
        await wait_pending(2)
        nursery.start_soon(fail)
        await wait_pending(3)
        nursery.start_soon(begin, 3)
        await wait_pending(4)
    assert store.statistics().groups_taken_apart == 1
    assert await store.count_list(ACME, LIST, NOW) == ListCounts(4, 0, 1, 3, 0, {})
    told = [event for some in opened.told for event in some]
    assert [event.seq for event in told] == [1, 2, 3, 4, 5]
    assert [event.type for event in told].count("attempt.initiated") == 3
    assert await store.events_after(ACME, 0, 100) == told


async def test_an_operation_sees_what_those_before_it_in_the_group_did(opened: Opened) -> None:
    store = opened.store
    await store.accept_list(a_new_list(3))
    closed: list[int] = []
    codes: list[str] = []

    async def cancel() -> None:
        await store.set_list_status(ACME, LIST, "cancel", NOW)

    async def close() -> None:
        closed.append(await store.close_canceled(10, NOW))

    async def delete() -> None:
        try:
            await store.delete_flow(ACME, FLOW)
        except Conflict as conflict:
            codes.append(conflict.code)

    async with trio.open_nursery() as nursery, opened.held() as wait_pending:
        steps: tuple[Callable[[], Awaitable[object]], ...] = (cancel, delete, close, delete)
        for pending, happen in enumerate(steps, 1):
            nursery.start_soon(happen)
            await wait_pending(pending)
    assert closed == [3]
    assert codes == ["flow_in_use"]
    assert await store.get_flow(ACME, FLOW) is None


async def test_events_of_a_group_are_told_at_once_and_before_its_callers_go_on(
    opened: Opened,
) -> None:
    store = opened.store
    await store.accept_list(a_new_list(3))
    seen: list[int] = []

    async def begin(row: int) -> None:
        attempt = an_attempt(a_contact(row), row)
        await store.begin_attempt(attempt, about(attempt, "attempt.initiated"))
        seen.append(len(opened.told))

    async with trio.open_nursery() as nursery, opened.held() as wait_pending:
        for row in (1, 2, 3):
            nursery.start_soon(begin, row)
        await wait_pending(3)
    assert seen == [2, 2, 2]
    assert [event.seq for event in opened.told[1]] == [2, 3, 4, 5]


async def test_a_cancelled_callers_operation_is_not_undone(opened: Opened) -> None:
    async with opened.held() as wait_pending, trio.open_nursery() as nursery:
        nursery.start_soon(opened.run, partial(note, "+1"))
        await wait_pending(1)
        nursery.cancel_scope.cancel()
    assert await opened.run(partial(note, "+2")) == "noted +2"
    assert await noted(opened) == ["+1", "+2"]
    assert opened.store.statistics().pending == 0


async def test_a_caller_who_is_cancelled_already_hands_nothing_in(opened: Opened) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await opened.run(partial(note, "+1"))
    assert await noted(opened) == []


async def test_who_finds_the_queue_full_waits_for_room_in_turn(opened: Opened) -> None:
    order: list[int] = []
    at_most, many = 50, 130

    async def run(number: int) -> None:
        await opened.run(lambda unit: order.append(number))

    async with trio.open_nursery() as nursery, opened.held() as wait_pending:
        await wait_pending(0)
        for number in range(many):
            nursery.start_soon(run, number)
            await trio.testing.wait_all_tasks_blocked()
        assert opened.store.statistics().pending == at_most
    # Room is given in turn. Trio wakes those who got it together in any order, so that one may overtake
    # another who has room as well, and nobody else.
    assert sorted(order) == list(range(many))
    overtaken = [number for place, number in enumerate(order) if abs(place - number) >= at_most]
    assert overtaken == []
    assert opened.store.statistics().pending == 0


async def test_who_waits_for_room_may_be_cancelled(opened: Opened) -> None:
    async with trio.open_nursery() as nursery, opened.held():
        for number in range(49):
            nursery.start_soon(opened.run, partial(note, f"+{number}"))
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            nursery.start_soon(_cancel_when_blocked, scope)
            await opened.run(partial(note, "+never"))
    assert scope.cancelled_caught
    assert len(await noted(opened)) == 49
    assert opened.store.statistics().pending == 0


async def _cancel_when_blocked(scope: trio.CancelScope) -> None:
    await trio.testing.wait_all_tasks_blocked()
    scope.cancel()


async def test_what_was_handed_in_before_the_end_is_committed(opened: Opened, path: Any) -> None:
    other = path.with_name("other.db")
    async with opened_at(other) as closing:
        await furnish(closing.store)
        async with trio.open_nursery() as nursery, closing.held() as wait_pending:
            nursery.start_soon(closing.run, partial(note, "+1"))
            await wait_pending(1)
    with pytest.raises(StoreUnavailable, match="closed"):
        await closing.store.add_did(a_did())
    with pytest.raises(StoreUnavailable, match="closed"):
        await closing.store.find_key(b"")
    async with opened_at(other) as again:
        assert await noted(again) == ["+1"]


async def test_the_end_does_not_wait_for_company(opened: Opened, path: Any) -> None:
    other = path.with_name("other.db")
    with trio.fail_after(LONG_S / 2):
        async with trio.open_nursery() as nursery, opened_at(other) as closing:
            await furnish(closing.store)
            submit = closing.store._writer.submit
            nursery.start_soon(partial(submit, partial(note, "+1"), gather_s=LONG_S))
            await trio.testing.wait_all_tasks_blocked()
    async with opened_at(other) as again:
        assert await noted(again) == ["+1"]
