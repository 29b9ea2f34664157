"""Forgetting what happened long ago, for every store."""

from __future__ import annotations

from engine.model.events import time_of
from engine.model.webhook import Outcome, Try
from engine.ports.intake_store import NewList
from tests.contract.store_samples import (
    ACME,
    NOW,
    OTHER,
    OTHER_FLOW,
    Kit,
    a_contact,
    a_list,
    a_new_list,
)
from tests.contract.test_store_webhooks import HOOK, complete, due, set_hook

DAY_S = 86_400.0


async def seqs(kit: Kit, account: str) -> list[int]:
    return [event.seq for event in await kit.store.events_after(account, 0, 1000)]


async def test_old_events_go_the_oldest_first_and_the_others_keep_their_numbers(kit: Kit) -> None:
    for day in range(5):
        new = a_new_list(1, f"lst_100{day}", created_at=NOW + day * DAY_S)
        await kit.store.accept_list(new)
    theirs = a_list("lst_2000", OTHER, OTHER_FLOW, 1, created_at=NOW + 4 * DAY_S)
    contact = a_contact(1, "lst_2000", account=OTHER, flow=OTHER_FLOW)
    await kit.store.accept_list(NewList(theirs, [contact]))
    told = [event for some in kit.told for event in some if event.account == ACME]
    moments = [time_of(event.body) for event in told]
    assert moments == sorted(moments)
    before = NOW + 2.5 * DAY_S
    old = sum(moment < before for moment in moments)
    assert 3 <= old <= len(told) - 2

    assert await kit.store.clear_events(NOW - DAY_S, 100) == 0
    assert await kit.store.clear_events(before, 2) == 2
    assert await seqs(kit, ACME) == list(range(3, len(told) + 1))
    assert await kit.store.clear_events(before, 100) == old - 2
    assert await kit.store.clear_events(before, 100) == 0
    assert await seqs(kit, ACME) == list(range(old + 1, len(told) + 1))
    assert await seqs(kit, OTHER) == [1]


async def test_when_all_events_have_gone_the_next_has_the_next_number(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    last = await kit.store.last_seq(ACME)
    assert await kit.store.clear_events(NOW + DAY_S, 100) == last
    assert await seqs(kit, ACME) == []
    assert await kit.store.last_seq(ACME) == last
    await kit.store.accept_list(a_new_list(1, "lst_1001", created_at=NOW + 2 * DAY_S))
    assert (await seqs(kit, ACME))[0] == last + 1


async def test_what_a_webhook_still_waits_for_is_kept_until_it_is_done(kit: Kit) -> None:
    await set_hook(kit, HOOK)
    await kit.store.accept_list(a_new_list(3))
    await complete(kit, 1)
    [one] = await due(kit)
    waited_for = one.delivery.seq
    assert await kit.store.clear_events(NOW + DAY_S, 100) == waited_for - 1
    assert await kit.store.clear_events(NOW + DAY_S, 100) == 0
    assert await due(kit) == [one]

    await kit.store.note_tries([Outcome(one.delivery, "given_up", Try(NOW, "expired"))], NOW)
    assert await kit.store.clear_events(NOW + DAY_S, 100) == 1
    assert await seqs(kit, ACME) == []
