"""Other start times for lists and contacts, for every store."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.model import Contact
from engine.model.events import rfc3339
from engine.ports.dial_store import Deferral
from engine.ports.intake_store import NewList
from engine.ports.moving import ListEdit, Moved
from engine.ports.stored import Conflict
from tests.contract.store_samples import (
    ACME,
    CALLS,
    FLOW,
    LIST,
    NOW,
    OTHER,
    Kit,
    a_contact,
    a_list,
    a_new_list,
    about,
    an_attempt,
    begin,
    completed,
    end,
    waiting_again,
)

LATER = NOW + 5_000


async def move(kit: Kit, starttime: float = LATER, limit: int = 100) -> int:
    """Give the list another start time; how many pieces that took."""
    assert await kit.store.edit_list(ACME, LIST, ListEdit(starttime), NOW) is not None
    pieces = 1
    while not (await moved(kit, limit)).is_done:
        pieces += 1
    assert await kit.store.move_contacts(limit) is None
    return pieces


async def moved(kit: Kit, limit: int) -> Moved:
    found = await kit.store.move_contacts(limit)
    assert found is not None
    assert (found.account, found.flow, found.list) == (ACME, FLOW, LIST)
    return found


async def kept(kit: Kit, row: int = 1) -> Contact:
    found = await kit.store.get_contact(ACME, a_contact(row).id)
    assert found is not None
    return found


def at_start(contact: Contact, starttime: float = LATER) -> Contact:
    return msgspec.structs.replace(
        contact, starttime=starttime, due_at=starttime, wait_code="starttime"
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_all_contacts_of_a_list_get_its_other_start_time_in_pieces(
    kit: Kit, limit: int
) -> None:
    """Rows of several files in one list may have the same number."""
    contacts = [a_contact(row, id=f"cnt_{n}") for n, row in enumerate((3, 1, 2, 2, 2))]
    await kit.store.accept_list(NewList(a_list(accepted=5), contacts))
    assert await move(kit, limit=limit) == 5 // limit + 1
    found = await kit.store.due_contacts(LIST, float("inf"), 100)
    assert found == [at_start(contact) for contact in contacts]
    assert await kit.store.count_waits(ACME, LIST, NOW) == {"starttime": 5}
    [told] = kit.events_of("list.rescheduled")
    assert told["data"] == {"status": "running", "starttime": rfc3339(LATER)}


async def test_no_attempt_begins_before_the_later_start_whether_its_contact_was_reached_or_not(
    kit: Kit,
) -> None:
    store = kit.store
    await store.accept_list(a_new_list(3))
    attempt = an_attempt(a_contact(3))
    assert await store.edit_list(ACME, LIST, ListEdit(LATER), NOW) is not None
    assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) == "gone"
    await moved(kit, 2)
    assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) == "gone"
    assert (await moved(kit, 2)).is_done
    assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) == "gone"
    assert await kept(kit, 3) == at_start(a_contact(3))
    late = msgspec.structs.replace(attempt, initiated_at=LATER)
    assert await store.begin_attempt(late, about(late, "attempt.initiated")) is None


async def test_a_list_that_is_moved_forward_may_be_dialled_meanwhile(kit: Kit) -> None:
    contacts = [a_contact(row, starttime=LATER, due_at=LATER) for row in (1, 2)]
    await kit.store.accept_list(NewList(a_list(accepted=2), contacts))
    await kit.store.edit_list(ACME, LIST, ListEdit(NOW - 10), NOW)
    await moved(kit, 1)
    assert (await kept(kit, 1)).due_at == NOW - 10
    await begin(kit.store, at_start(contacts[0], NOW - 10))


async def test_one_who_was_tried_waits_as_long_as_before_and_at_least_until_the_start(
    kit: Kit,
) -> None:
    store = kit.store
    await store.accept_list(a_new_list(3))
    tried = [waiting_again(a_contact(row)) for row in (1, 2)]
    for number, one in enumerate(tried, 1):
        await end(store, await begin(store, a_contact(number), number), one)
    await move(kit, tried[0].due_at - 5)
    assert await kept(kit) == msgspec.structs.replace(tried[0], starttime=tried[0].due_at - 5)
    await move(kit)
    assert await kept(kit) == at_start(tried[0])
    assert await kept(kit, 3) == at_start(a_contact(3))


async def test_one_who_was_tried_and_moved_far_ahead_can_be_moved_back(kit: Kit) -> None:
    """Found by the simulated world, seed 25: it went on waiting for the start time that was taken back."""
    store = kit.store
    await store.accept_list(a_new_list(3))
    tried = waiting_again(a_contact(1))
    await end(store, await begin(store, a_contact(1), 1), tried)
    await move(kit)
    await move(kit, tried.due_at + 5)
    assert await kept(kit) == at_start(tried, tried.due_at + 5)


@pytest.mark.parametrize("is_moved_first", [True, False])
async def test_what_waits_again_after_a_call_does_so_until_the_start_that_was_given_meanwhile(
    kit: Kit, is_moved_first: bool
) -> None:
    await kit.store.accept_list(a_new_list(1))
    attempt = await begin(kit.store, a_contact(1))
    again = waiting_again(a_contact(1))
    if is_moved_first:
        await move(kit)
        await end(kit.store, attempt, again)
    else:
        await kit.store.edit_list(ACME, LIST, ListEdit(LATER), NOW)
        await end(kit.store, attempt, again)
        await moved(kit, 100)
    assert await kept(kit) == at_start(again)


async def test_whoever_is_completed_stays_as_he_is(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(2))
    await end(kit.store, await begin(kit.store, a_contact(1)), completed(a_contact(1)))
    await move(kit)
    assert await kept(kit) == completed(a_contact(1))


async def test_nothing_that_is_put_off_or_brought_forward_comes_before_its_start(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    await move(kit)
    one = a_contact(1)
    await kit.store.defer_contacts([Deferral(one.id, NOW + 60, "calling_window")], [])
    assert await kept(kit) == at_start(one)
    await kit.store.defer_contacts([Deferral(one.id, LATER + 60, "calling_window")], [])
    lists = await kit.store.bring_forward(ACME, FLOW, "calling_window", NOW, 10)
    assert (lists, await kept(kit)) == ([LIST], at_start(one))
    assert await kit.store.bring_forward(ACME, FLOW, "calling_window", NOW, 10) == []


async def test_one_contact_gets_another_start_time(kit: Kit) -> None:
    store = kit.store
    await store.accept_call(a_contact(1, CALLS))
    one = a_contact(1, CALLS)
    assert await store.reschedule_contact(ACME, one.id, LATER) == at_start(one)
    assert await store.get_contact(ACME, one.id) == at_start(one)
    assert await store.reschedule_contact(OTHER, one.id, NOW) is None
    await store.reschedule_contact(ACME, one.id, NOW)
    attempt = await begin(store, one)
    with pytest.raises(Conflict, match="contact_dialing"):
        await store.reschedule_contact(ACME, one.id, LATER)
    await end(store, attempt, completed(one))
    with pytest.raises(Conflict, match="contact_finished"):
        await store.reschedule_contact(ACME, one.id, LATER)


async def test_a_finished_list_and_one_of_single_calls_cannot_be_moved_nor_another_accounts(
    kit: Kit,
) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1))
    assert await store.edit_list(OTHER, LIST, ListEdit(LATER), NOW) is None
    with pytest.raises(Conflict, match="list_standing"):
        await store.edit_list(ACME, CALLS, ListEdit(LATER), NOW)
    await store.set_list_status(ACME, LIST, "cancel", NOW)
    with pytest.raises(Conflict, match="list_finished"):
        await store.edit_list(ACME, LIST, ListEdit(LATER), NOW)
    assert await store.move_contacts(10) is None


async def test_a_list_that_is_moved_twice_goes_by_the_last(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(5))
    await kit.store.edit_list(ACME, LIST, ListEdit(NOW + 100), NOW)
    await moved(kit, 3)
    assert await move(kit, limit=3) == 2
    found = await kit.store.due_contacts(LIST, float("inf"), 100)
    assert found == [at_start(a_contact(row)) for row in range(1, 6)]


async def test_pauses_of_a_flow_and_of_an_account_are_kept(kit: Kit) -> None:
    def pause(one: Any) -> Any:
        return msgspec.structs.replace(one, paused_at=NOW)

    flow = await kit.store.change_flow(ACME, FLOW, pause)
    account = await kit.store.change_account(ACME, pause)
    assert flow is not None
    assert account is not None
    assert (flow.paused_at, account.paused_at) == (NOW, NOW)
    assert await kit.store.get_flow(ACME, FLOW) == flow
    assert await kit.store.get_account(ACME) == account


async def test_a_list_with_another_priority_gives_it_to_all_its_contacts(kit: Kit) -> None:
    store = kit.store
    new = a_new_list(3)
    await store.accept_list(
        msgspec.structs.replace(new, call_list=a_list(accepted=3, priority="low"))
    )
    own = a_contact(1, CALLS, id="cnt_call", priority="high")
    await store.accept_call(own)
    assert [one.priority for one in await due_now(kit)] == ["low"] * 3
    before = await store.get_list(ACME, LIST)
    changed = await store.edit_list(ACME, LIST, ListEdit(priority="urgent"), NOW)
    assert before is not None
    assert changed is not None
    assert (before.priority, changed.priority) == ("low", "urgent")
    assert changed.revision == before.revision + 1
    assert changed == await store.get_list(ACME, LIST)
    assert [one.priority for one in await due_now(kit)] == ["urgent"] * 3
    # Those that are urgent as all of their list are, are no urgent ones among others.
    assert await store.urgent_contacts(LIST, NOW + 1e6, 10) == []
    assert await store.move_contacts(10) is None
    assert (await kept(kit)).starttime == a_contact(1).starttime
    found = await store.get_contact(ACME, own.id)
    assert found is not None
    assert found.priority == "high"
    await store.edit_list(ACME, LIST, ListEdit(LATER), NOW)
    found_list = await store.get_list(ACME, LIST)
    assert found_list is not None
    assert found_list.priority == "urgent"
    with pytest.raises(Conflict, match="list_standing"):
        await store.edit_list(ACME, CALLS, ListEdit(priority="low"), NOW)
    assert await store.edit_list(OTHER, LIST, ListEdit(priority="low"), NOW) is None


async def due_now(kit: Kit) -> list[Contact]:
    return await kit.store.due_contacts(LIST, NOW + 1e6, 10)
