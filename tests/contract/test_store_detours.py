"""Redirected calls, and contacts that move on without an attempt, for every store."""

from __future__ import annotations

import msgspec
import pytest

from engine.model import ListCounts
from engine.ports.intake_store import NewList
from tests.contract.store_samples import (
    ACME,
    FLOW,
    LIST,
    NOW,
    Kit,
    a_contact,
    a_list,
    a_new_list,
    about,
    an_attempt,
    begin,
    completed,
    counts,
    due,
    end,
    waiting_again,
)

AWAY = "+12025550199"


async def test_a_detour_comes_back_as_it_came_and_goes_as_it_went(kit: Kit) -> None:
    store = kit.store
    new = NewList(
        a_list(accepted=2), [a_contact(1, detour=AWAY, detoured=True), a_contact(2, detoured=True)]
    )
    await store.accept_list(new)
    assert list((await store.list_contacts(ACME, LIST, 10, None)).items) == new.contacts
    assert await store.due_contacts(LIST, NOW, 10) == new.contacts
    plain = msgspec.structs.replace(a_contact(1), detoured=True)
    after = waiting_again(plain)
    await end(store, await begin(store, new.contacts[0]), after)
    assert await store.get_contact(ACME, after.id) == after
    redirected = waiting_again(msgspec.structs.replace(a_contact(2), detour=AWAY, detoured=True))
    await end(store, await begin(store, new.contacts[1], 2), redirected)
    assert await store.due_contacts(LIST, NOW + 60, 10) == [after, redirected]


async def test_an_attempt_remembers_what_it_was_redirected_from(kit: Kit) -> None:
    store = kit.store
    contact = a_contact(1)
    await store.accept_list(a_new_list(1))
    attempt = msgspec.structs.replace(
        an_attempt(contact), number=AWAY, redirected_from=contact.tel[0]
    )
    assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) is None
    assert await store.get_attempt(ACME, attempt.id) == attempt
    assert await store.open_attempts() == [(attempt, a_contact(1, state="dialing"))]


@pytest.mark.parametrize("flow", [None, FLOW])
@pytest.mark.parametrize("listed", [AWAY, a_contact(1).tel[0]])
async def test_no_attempt_begins_from_or_to_a_number_that_must_not_be_called(
    kit: Kit, listed: str, flow: str | None
) -> None:
    store = kit.store
    contact = a_contact(1)
    await store.accept_list(a_new_list(1))
    await store.add_do_not_call(ACME, [listed], flow, NOW)
    attempt = msgspec.structs.replace(
        an_attempt(contact), number=AWAY, redirected_from=contact.tel[0]
    )
    assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) == "do_not_call"
    assert await store.get_attempt(ACME, attempt.id) is None
    await store.remove_do_not_call(ACME, listed, NOW)
    assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) is None


async def test_an_open_contact_moves_on_without_an_attempt(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(2))
    after = waiting_again(msgspec.structs.replace(a_contact(1), tel_index=1), NOW + 60)
    wait = msgspec.structs.replace(
        about(an_attempt(after), "contact.waiting", reason="do_not_call"), attempt=None
    )
    assert await store.settle_contact(after, [wait], NOW + 5)
    assert await store.get_contact(ACME, after.id) == after
    assert await due(store, until=NOW + 59) == [a_contact(2).id]
    assert await store.due_contacts(LIST, NOW + 60, 10) == [a_contact(2), after]
    assert await counts(store) == ListCounts(2, 0, 2, 0, 0, {})
    assert [event["data"] for event in kit.events_of("contact.waiting")] == [
        {"reason": "do_not_call"}
    ]


async def test_an_open_contact_that_is_settled_for_good_completes_its_list(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1))
    done = completed(a_contact(1), "failed", NOW + 5)
    assert await store.settle_contact(done, [], NOW + 5)
    assert await store.get_contact(ACME, done.id) == done
    assert await due(store) == []
    assert await store.open_lists() == []
    assert await counts(store) == ListCounts(1, 0, 0, 0, 1, {"failed": 1})
    assert [kind for _, _, kind in kit.events[-2:]] == ["contact.completed", "list.completed"]


async def test_a_contact_that_is_not_open_is_not_settled_and_nothing_is_told(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(3))
    await begin(store, a_contact(1))
    await store.complete_contacts([a_contact(2).id], "canceled", NOW)
    told = kit.events
    for row in (1, 2, 9):
        after = waiting_again(a_contact(row))
        assert not await store.settle_contact(
            after, [about(an_attempt(after), "contact.waiting")], NOW
        )
    strangers = a_contact(1, "lst_none")
    assert not await store.settle_contact(waiting_again(strangers), [], NOW)
    assert kit.events == told
    assert await counts(store) == ListCounts(3, 0, 1, 1, 1, {"canceled": 1})


async def test_a_contact_of_a_canceled_list_does_not_wait_again(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(2))
    await store.set_list_status(ACME, LIST, "cancel", NOW)
    after = waiting_again(a_contact(1))
    assert await store.settle_contact(after, [about(an_attempt(after), "contact.waiting")], NOW + 5)
    assert await counts(store) == ListCounts(2, 0, 1, 0, 1, {"canceled": 1})
    assert kit.events_of("contact.waiting") == []


async def test_the_reason_for_a_disposition_without_an_attempt_is_told(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(2))
    await store.complete_contacts([a_contact(1).id], "skipped", NOW + 5, "number_not_allowed")
    await store.complete_contacts([a_contact(2).id], "skipped", NOW + 5)
    assert [event["data"] for event in kit.events_of("contact.completed")] == [
        {"disposition": "skipped", "reference": "ref-1", "reason": "number_not_allowed"},
        {"disposition": "skipped", "reference": "ref-2"},
    ]
