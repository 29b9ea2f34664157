"""Deliveries to webhooks, for every store."""

from __future__ import annotations

import msgspec
import pytest

from engine.model import Flow, FlowSettings
from engine.model.events import Event
from engine.model.webhook import Delivery, DueDelivery, HookState, Outcome, Try, Webhook
from engine.ports.stored import Conflict
from tests.contract.store_samples import (
    ACME,
    FLOW,
    LIST,
    NOW,
    OTHER,
    Kit,
    a_new_list,
    all_pages,
)

URL = "https://example.com/hook"
HOOK = Webhook(URL, "whsec_c2VjcmV0", ("contact.completed", "list.completed", "webhook.disabled"))


async def set_hook(kit: Kit, hook: Webhook | None) -> None:
    def change(flow: Flow) -> Flow:
        return msgspec.structs.replace(flow, settings=FlowSettings(webhook=hook))

    assert await kit.store.change_flow(ACME, FLOW, change) is not None


async def complete(kit: Kit, *rows: int, at: float = NOW) -> None:
    contacts = [f"cnt_1000_{row:05d}" for row in rows]
    assert await kit.store.complete_contacts(contacts, "canceled", at) == len(rows)


async def due(kit: Kit, until: float = NOW) -> list[DueDelivery]:
    return await kit.store.due_deliveries(FLOW, until, 100)


async def all_deliveries(kit: Kit) -> list[Delivery]:
    page = await kit.store.list_deliveries(ACME, FLOW, None, 100, None)
    return list(page.items)


@pytest.fixture
async def hooked(kit: Kit) -> Kit:
    """A store with a flow that has a hook, and a list of three."""
    await set_hook(kit, HOOK)
    await kit.store.accept_list(a_new_list(3))
    return kit


async def test_what_a_hook_wants_is_written_down_with_the_event_and_nothing_else_is(
    hooked: Kit,
) -> None:
    await complete(hooked, 2)
    [event] = hooked.events_of("contact.completed")
    [one] = await due(hooked)
    assert msgspec.json.decode(one.body) == event
    assert one.delivery == Delivery(
        ACME, FLOW, event["seq"], "contact.completed", "cnt_1000_00002", "pending", NOW, NOW, NOW
    )
    flags = [(one.type, one.has_delivery) for some in hooked.told for one in some]
    assert flags == [("list.accepted", False), ("contact.completed", True)]
    assert await hooked.store.hooks_with_deliveries() == [(ACME, FLOW)]
    assert await hooked.store.next_delivery_at(FLOW) == NOW
    assert await hooked.store.hook_state(ACME, FLOW) == HookState(None, 1)


async def test_a_flow_without_a_hook_has_no_deliveries(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    await complete(kit, 1)
    assert await kit.store.hooks_with_deliveries() == []
    assert await kit.store.next_delivery_at(FLOW) is None
    await set_hook(kit, HOOK)
    assert await due(kit) == []
    await set_hook(kit, None)
    assert await all_deliveries(kit) == []


async def tell(kit: Kit, contact: str) -> None:
    """Some event of a contact, by the way of a deferral, whose events are the caller's."""
    event = Event("contact.completed", NOW, ACME, FLOW, LIST, contact)
    await kit.store.defer_contacts([], [event])


async def test_the_events_of_one_contact_are_due_one_after_the_other(hooked: Kit) -> None:
    for _ in range(3):
        await tell(hooked, "cnt_a")
    await tell(hooked, "cnt_b")
    first, of_b = await due(hooked)
    assert (first.delivery.subject, of_b.delivery.subject) == ("cnt_a", "cnt_b")
    delivered = Outcome(first.delivery, "delivered", Try(NOW + 1, "ok", "", 200, 0.5), tries=1)
    await hooked.store.note_tries([delivered], NOW + 2)
    later = await due(hooked, NOW + 2)
    assert [one.delivery.subject for one in later] == ["cnt_b", "cnt_a"]
    second = later[1].delivery
    assert (second.seq, second.due_at) == (first.delivery.seq + 1, NOW + 2)
    given_up = Outcome(second, "given_up", Try(NOW + 3, "bad_status", "No.", 500), tries=11)
    await hooked.store.note_tries([given_up], NOW + 4)
    third = (await due(hooked, NOW + 4))[1].delivery
    assert (third.seq, third.due_at) == (second.seq + 1, NOW + 4)
    done = {
        one.seq: (one.state, one.due_at, one.tries, one.last)
        for one in await all_deliveries(hooked)
    }
    assert done[first.delivery.seq] == ("delivered", None, 1, delivered.last)
    assert done[second.seq] == ("given_up", None, 11, given_up.last)


async def test_a_try_that_failed_is_due_later(hooked: Kit) -> None:
    await complete(hooked, 1)
    [one] = await due(hooked)
    last = Try(NOW + 1, "timeout", "Nothing came.")
    await hooked.store.note_tries([Outcome(one.delivery, "pending", last, NOW + 60, 1)], NOW + 1)
    assert await due(hooked, NOW + 59) == []
    [again] = await due(hooked, NOW + 60)
    assert (again.delivery.tries, again.delivery.last) == (1, last)
    assert await hooked.store.next_delivery_at(FLOW) == NOW + 60


async def test_deliveries_are_given_up_in_pieces(hooked: Kit) -> None:
    await complete(hooked, 1, 2, 3)  # and the list
    give_up = hooked.store.give_up_deliveries
    assert await give_up(FLOW, "gone", "It is gone.", NOW + 5, 3) == 3
    assert await give_up(FLOW, "gone", "It is gone.", NOW + 5, 3) == 1
    assert await give_up(FLOW, "gone", "It is gone.", NOW + 5, 3) == 0
    assert await hooked.store.hooks_with_deliveries() == []
    states = {(one.state, one.due_at, one.last) for one in await all_deliveries(hooked)}
    assert states == {("given_up", None, Try(NOW + 5, "gone", "It is gone."))}


async def test_what_is_left_of_deliveries_that_are_given_up_still_has_its_turn(
    kit: Kit,
) -> None:
    await set_hook(kit, msgspec.structs.replace(HOOK, events=("list.started", "list.paused")))
    await kit.store.accept_list(a_new_list(3))
    for change in ("pause", "resume", "pause"):
        await kit.store.set_list_status(ACME, LIST, change, NOW)
    pending = len(await all_deliveries(kit))
    assert pending > 1
    assert await kit.store.give_up_deliveries(FLOW, "gone", "It is gone.", NOW, pending - 1) > 0
    [left] = [one for one in await all_deliveries(kit) if one.state == "pending"]
    assert [one.delivery for one in await due(kit)] == [left]


async def test_a_disabled_hook_is_told_of_nothing_until_it_is_enabled_or_has_another_address(
    hooked: Kit,
) -> None:
    disable = hooked.store.disable_hook
    assert not await disable(ACME, FLOW, "https://example.com/other", NOW, "Gone.")
    assert not await disable(OTHER, FLOW, URL, NOW, "Gone.")
    assert await disable(ACME, FLOW, URL, NOW, "Gone.")
    assert not await disable(ACME, FLOW, URL, NOW, "Gone.")
    [event] = hooked.events_of("webhook.disabled")
    assert event["data"] == {"url": URL, "detail": "Gone."}
    assert (await hooked.store.hook_state(ACME, FLOW)).disabled_at == NOW
    assert (await hooked.store.hook_state(OTHER, FLOW)) == HookState(None, 0)
    await complete(hooked, 1)
    assert await all_deliveries(hooked) == []
    assert not await hooked.store.enable_hook(OTHER, FLOW)
    assert await hooked.store.enable_hook(ACME, FLOW)
    assert not await hooked.store.enable_hook(ACME, FLOW)
    await complete(hooked, 2)
    assert [one.subject for one in await all_deliveries(hooked)] == ["cnt_1000_00002"]
    assert await disable(ACME, FLOW, URL, NOW, "Gone.")
    await set_hook(hooked, msgspec.structs.replace(HOOK, url="https://example.com/new"))
    assert (await hooked.store.hook_state(ACME, FLOW)).disabled_at is None
    await complete(hooked, 3)
    assert len(await all_deliveries(hooked)) == 3  # the contact's, and the list's


async def test_a_delivery_is_sent_again_as_if_it_were_new(hooked: Kit) -> None:
    await complete(hooked, 1)
    [one] = await due(hooked)
    seq = one.delivery.seq
    last = Try(NOW + 1, "ok", "", 200)
    await hooked.store.note_tries([Outcome(one.delivery, "delivered", last, tries=1)], NOW + 1)
    assert await hooked.store.replay_delivery(OTHER, FLOW, seq, NOW + 9) is None
    assert await hooked.store.replay_delivery(ACME, FLOW, seq + 1, NOW + 9) is None
    replayed = await hooked.store.replay_delivery(ACME, FLOW, seq, NOW + 9)
    assert replayed is not None
    assert (replayed.state, replayed.due_at, replayed.begun_at) == ("pending", NOW + 9, NOW + 9)
    assert (replayed.tries, replayed.last, replayed.created_at) == (0, last, NOW)
    # What is still to come of the tries before it changes nothing.
    await hooked.store.note_tries([Outcome(one.delivery, "delivered", last, tries=1)], NOW + 10)
    assert await hooked.store.get_delivery(ACME, FLOW, seq) == replayed
    assert [due.delivery for due in await due(hooked, NOW + 9)] == [replayed]


async def test_what_was_done_long_ago_is_forgotten(hooked: Kit) -> None:
    await complete(hooked, 1, 2)
    one, other = await due(hooked)
    last = Try(NOW, "ok", "", 200)
    await hooked.store.note_tries([Outcome(one.delivery, "delivered", last, tries=1)], NOW + 1)
    assert await hooked.store.clear_deliveries(NOW + 1, 10) == 0
    assert await hooked.store.clear_deliveries(NOW + 2, 10) == 1
    assert await all_deliveries(hooked) == [other.delivery]


async def test_deliveries_are_listed_newest_first_by_state_and_only_to_their_account(
    hooked: Kit,
) -> None:
    await complete(hooked, 1, 2, 3)
    [first, *_] = await due(hooked)
    last = Try(NOW, "ok", "", 200)
    await hooked.store.note_tries([Outcome(first.delivery, "delivered", last, tries=1)], NOW)
    everything = await all_deliveries(hooked)
    assert [one.seq for one in everything] == sorted((one.seq for one in everything), reverse=True)
    for limit in (1, 2, 100):
        listed = await all_pages(
            lambda *page: hooked.store.list_deliveries(ACME, FLOW, None, *page), limit
        )
        assert listed == everything
    pending = await hooked.store.list_deliveries(ACME, FLOW, "pending", 10, None)
    assert list(pending.items) == [one for one in everything if one.state == "pending"]
    assert (await hooked.store.list_deliveries(OTHER, FLOW, None, 10, None)).items == ()
    assert await hooked.store.get_delivery(OTHER, FLOW, first.delivery.seq) is None
    with pytest.raises(Conflict, match="cursor"):
        await hooked.store.list_deliveries(ACME, FLOW, None, 10, "nonsense")
