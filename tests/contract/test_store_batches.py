"""Lists that come in as batches: their contacts are there as all others are, wherever a store keeps them."""

from __future__ import annotations

import msgspec

from engine.drafts import Batch
from engine.model import Contact, ListCounts
from engine.ports.dial_store import Deferral
from engine.ports.intake_store import NewList
from engine.ports.moving import ListEdit
from engine.ports.stored import Page
from tests.contract.store_samples import (
    ACME,
    FLOW,
    LIST,
    NOW,
    OTHER,
    Kit,
    a_batch,
    a_list,
    a_rejected,
    about,
    all_pages,
    an_attempt,
    counts,
)

SOME = 40


async def take(kit: Kit, *batches: Batch) -> list[Contact]:
    """A list of these batches; its contacts."""
    async with kit.store.take_list(ACME, FLOW) as taking:
        for number, batch in enumerate(batches):
            await taking.add_batch(batch, (a_rejected(10_000 + number),))
        total = sum(batch.drafts.count for batch in batches)
        await taking.publish(NewList(a_list(accepted=total), ()))
    return [contact for batch in batches for contact in batch.contacts()]


def two_batches(starts: tuple[float, float] = (NOW, NOW)) -> list[Batch]:
    return [
        a_batch(
            range(place * SOME, (place + 1) * SOME),
            place=1 + place * SOME,
            starts=[start] * SOME,
        )
        for place, start in enumerate(starts)
    ]


async def test_contacts_of_batches_are_found_one_by_one_in_pages_and_when_they_are_due(
    kit: Kit,
) -> None:
    contacts = await take(kit, *two_batches())
    store = kit.store
    for one in (contacts[0], contacts[SOME - 1], contacts[SOME], contacts[-1]):
        assert await store.get_contact(ACME, one.id) == one
        assert await store.get_contact(OTHER, one.id) is None
    assert await store.get_contact(ACME, "cnt_0") is None
    listed = await all_pages(lambda limit, at: store.list_contacts(ACME, LIST, limit, at), 7)
    assert listed == contacts
    results = await all_pages(lambda limit, at: store.list_results(ACME, LIST, limit, at), 30)
    assert results == [(one, None) for one in contacts]
    assert await counts(store) == ListCounts(2 * SOME, 0, 2 * SOME, 0, 0, {})
    assert await store.due_contacts(LIST, NOW, 3) == contacts[:3]
    listed = await all_pages(lambda limit, at: store.list_contacts(ACME, LIST, limit, at), 7)
    assert listed == contacts
    assert await store.due_contacts(LIST, NOW, SOME + 1) == contacts[: SOME + 1]
    assert await store.due_contacts(LIST, NOW, 1000) == contacts
    assert await store.list_contacts(ACME, LIST, 1000, None) == Page(tuple(contacts), None)
    assert await counts(store) == ListCounts(2 * SOME, 0, 2 * SOME, 0, 0, {})


async def test_contacts_of_batches_are_due_in_the_order_of_their_start_times(kit: Kit) -> None:
    later, sooner = two_batches((NOW + 600, NOW + 60))
    contacts = await take(kit, later, sooner)
    store = kit.store
    assert [one.next_due_at for one in await store.open_lists()] == [NOW + 60]
    assert await store.count_list(ACME, LIST, NOW) == ListCounts(2 * SOME, 2 * SOME, 0, 0, 0, {})
    waits = await store.count_waits(ACME, LIST, NOW + 60)
    assert waits == {"starttime": SOME}
    assert await store.first_waits(ACME, LIST, NOW) == {"starttime": NOW + 60 - (NOW + 60) % 60}
    assert await store.due_contacts(LIST, NOW, 10) == []
    due = await store.due_contacts(LIST, NOW + 9999, SOME + 2)
    assert due == [*contacts[SOME:], *contacts[:2]]
    assert await store.count_list(ACME, LIST, NOW) == ListCounts(2 * SOME, 2 * SOME, 0, 0, 0, {})


async def test_a_contact_of_a_batch_is_changed_without_having_been_asked_for(kit: Kit) -> None:
    contacts = await take(kit, *two_batches())
    store = kit.store
    attempt = an_attempt(contacts[3])
    assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) is None
    assert await store.complete_contacts([contacts[SOME].id, "cnt_none"], "canceled", NOW) == 1
    assert await store.complete_contacts([contacts[SOME].id], "canceled", NOW) == 0
    await store.defer_contacts([Deferral(contacts[7].id, NOW + 60, "did_cps")], [])
    moved = await store.reschedule_contact(ACME, contacts[8].id, NOW + 90)
    assert moved == msgspec.structs.replace(contacts[8], starttime=NOW + 90, due_at=NOW + 90)
    skipped = msgspec.structs.replace(
        contacts[9], state="completed", disposition="skipped", completed_at=NOW
    )
    assert await store.settle_contact(skipped, [], NOW)
    assert await store.count_list(ACME, LIST, NOW) == ListCounts(
        2 * SOME, 1, 2 * SOME - 4, 1, 2, {"canceled": 1, "skipped": 1}
    )


async def test_a_list_of_batches_is_moved_and_canceled_as_a_whole(kit: Kit) -> None:
    contacts = await take(kit, *two_batches())
    store = kit.store
    assert await store.due_contacts(LIST, NOW, 1) == contacts[:1]
    await store.edit_list(ACME, LIST, ListEdit(NOW + 6000), NOW)
    while (moved := await store.move_contacts(30)) is not None and not moved.is_done:
        pass
    due = await store.due_contacts(LIST, NOW + 9999, 1000)
    assert due == [
        msgspec.structs.replace(one, starttime=NOW + 6000, due_at=NOW + 6000) for one in contacts
    ]
    await store.set_list_status(ACME, LIST, "cancel", NOW)
    closed = 0
    while some := await store.close_canceled(30, NOW):
        closed += some
    assert closed == 2 * SOME
    assert len(kit.events_of("contact.completed")) == 2 * SOME
    found = await store.get_list(ACME, LIST)
    assert found is not None
    assert (found.status, found.finished_at) == ("canceled", NOW)


async def test_batches_of_a_list_that_comes_in_can_be_dropped(kit: Kit) -> None:
    async with kit.store.take_list(ACME, FLOW) as taking:
        for batch in two_batches():
            await taking.add_batch(batch, (a_rejected(1),))
        await taking.drop_contacts()
        await taking.publish(NewList(a_list(accepted=0), ()))
    assert await counts(kit.store) == ListCounts(0, 0, 0, 0, 0, {})
    assert await kit.store.list_contacts(ACME, LIST, 10, None) == Page((), None)


async def test_it_is_known_whether_anybody_must_not_be_called(kit: Kit) -> None:
    store = kit.store
    assert not await store.has_listed(ACME, FLOW, NOW)
    await store.add_do_not_call(ACME, ["+919800000001"], "flw_9", NOW)
    assert not await store.has_listed(ACME, FLOW, NOW)
    await store.add_do_not_call(ACME, ["+919800000001"], FLOW, NOW)
    assert await store.has_listed(ACME, FLOW, NOW)
    assert not await store.has_listed(OTHER, FLOW, NOW)
