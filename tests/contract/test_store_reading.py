"""Questions of outsiders, for every store: whole answers, pages to their end, and nobody else's rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from engine.model import Attempt, BlockerCode, Contact, ListCounts
from engine.ports.dial_store import Deferral
from engine.ports.intake_store import NewList
from engine.ports.read_store import AttemptFilter
from engine.ports.store import Store
from engine.ports.stored import Page
from tests.contract.store_samples import (
    ACME,
    CALLS,
    FLOW,
    LIST,
    NOW,
    OTHER,
    OTHER_CALLS,
    OTHER_FLOW,
    Kit,
    a_contact,
    a_flow,
    a_list,
    a_new_list,
    a_rejected,
    about,
    all_pages,
    an_attempt,
    begin,
    completed,
    dial_to_end,
    end,
    waiting_again,
)


async def test_a_list_is_counted_by_where_its_contacts_are(kit: Kit) -> None:
    store = kit.store
    contacts = [
        a_contact(1),
        a_contact(2, due_at=NOW + 100),
        a_contact(3, due_at=NOW + 200),
        a_contact(4, due_at=NOW + 200, wait_code="retry_wait"),
        a_contact(5),
        a_contact(6),
        a_contact(7),
    ]
    await store.accept_list(NewList(a_list(accepted=7), contacts))
    await begin(store, contacts[4], 1)
    await end(store, await begin(store, contacts[5], 2), completed(contacts[5], "busy"))
    await store.complete_contacts([contacts[6].id], "expired", NOW)
    dispositions: Any = {"busy": 1, "expired": 1}
    assert await store.count_list(ACME, LIST, NOW) == ListCounts(7, 2, 2, 1, 2, dispositions)
    assert await store.count_list(ACME, LIST, NOW + 100) == ListCounts(7, 1, 3, 1, 2, dispositions)
    assert await store.count_list(ACME, LIST, NOW + 200) == ListCounts(7, 0, 4, 1, 2, dispositions)


async def test_what_contacts_wait_for_is_counted_as_they_come_move_and_go(kit: Kit) -> None:
    """To the second within a minute, and whatever changes them."""
    store = kit.store

    async def waits(later_s: float = 0) -> dict[BlockerCode, int]:
        return await store.count_waits(ACME, LIST, NOW + later_s)

    contacts = [
        a_contact(1),
        a_contact(2, due_at=NOW + 10),
        a_contact(3, due_at=NOW + 20),
        *(a_contact(row, due_at=NOW + 86_400) for row in (4, 5)),
        *(a_contact(row, due_at=NOW + 86_400, wait_code="retry_wait") for row in (6, 7)),
        a_contact(8, due_at=NOW + 60 - (NOW % 60)),
    ]
    await store.accept_list(NewList(a_list(accepted=8), contacts))
    assert await waits() == {"starttime": 5, "retry_wait": 2}
    tomorrow = (NOW + 86_400) // 60 * 60
    first = {"starttime": NOW + 10, "retry_wait": tomorrow}
    assert await store.first_waits(ACME, LIST, NOW) == first
    first = {"starttime": tomorrow, "retry_wait": tomorrow}
    assert await store.first_waits(ACME, LIST, NOW + 60 - NOW % 60) == first
    assert await store.first_waits(ACME, LIST, NOW + 86_400) == {}
    assert await waits(9.99) == {"starttime": 5, "retry_wait": 2}
    assert await waits(10) == {"starttime": 4, "retry_wait": 2}
    assert await waits(60 - NOW % 60) == {"starttime": 2, "retry_wait": 2}
    assert await waits(86_400) == {}
    await store.complete_contacts([contacts[5].id], "canceled", NOW)
    later = NOW + 90_000
    await store.defer_contacts([Deferral(contacts[0].id, later, "calling_window")], [])
    await store.defer_contacts([Deferral(contacts[3].id, NOW, "starttime")], [])
    assert await waits() == {"starttime": 4, "retry_wait": 1, "calling_window": 1}
    await store.defer_contacts([Deferral(contacts[1].id, NOW + 10, "did_cap")], [])
    before = {"starttime": 3, "retry_wait": 1, "calling_window": 1, "did_cap": 1}
    assert await waits() == before
    attempt = await begin(store, contacts[1], 1)
    assert await waits() == {"starttime": 3, "retry_wait": 1, "calling_window": 1}
    await end(store, attempt, waiting_again(contacts[1]))
    assert await waits() == {"starttime": 3, "retry_wait": 2, "calling_window": 1}
    assert await store.bring_forward(ACME, FLOW, "calling_window", NOW, 10) == [LIST]
    assert await waits() == {"starttime": 3, "retry_wait": 2}


async def test_lists_are_paged_newest_first(kit: Kit) -> None:
    store = kit.store
    await store.add_flow(a_flow("flw_3", calls="lst_0003"))
    made = [
        (1000, 5, FLOW),
        (2000, 1, "flw_3"),
        (3000, 5, FLOW),
        (4000, 9, "flw_3"),
        (5000, 5, FLOW),
    ]
    for number, minute, flow in made:
        await store.accept_list(
            a_new_list(1, f"lst_{number}", flow=flow, created_at=NOW + 60 * minute)
        )
    newest_first = ["lst_4000", "lst_5000", "lst_3000", "lst_1000", "lst_2000"]
    for limit in (1, 2, 5, 100):
        lists = await all_pages(partial(store.list_lists, ACME, None), limit)
        assert [one.id for one in lists] == newest_first
    of_flow = await all_pages(partial(store.list_lists, ACME, FLOW), 2)
    assert [one.id for one in of_flow] == ["lst_5000", "lst_3000", "lst_1000"]
    assert await all_pages(partial(store.list_lists, ACME, OTHER_FLOW), 2) == []


async def test_a_standing_list_shows_once_it_has_a_contact(kit: Kit) -> None:
    assert (await kit.store.list_lists(ACME, None, 10, None)).items == ()
    await kit.store.accept_call(a_contact(1, CALLS))
    found = (await kit.store.list_lists(ACME, FLOW, 10, None)).items
    assert [one.id for one in found] == [CALLS]


async def test_contacts_are_paged_in_the_order_of_their_rows(kit: Kit) -> None:
    """Rows of several files in one list may have the same number."""
    contacts = [a_contact(row, id=f"cnt_{n}") for n, row in enumerate((3, 1, 2, 2, 10))]
    await kit.store.accept_list(NewList(a_list(accepted=5), contacts))
    in_order = [contacts[n] for n in (1, 2, 3, 0, 4)]
    for limit in (1, 2, 5, 6):
        assert await all_pages(partial(kit.store.list_contacts, ACME, LIST), limit) == in_order


async def test_a_page_holds_a_thousand_rows_at_most(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1001))
    page = await kit.store.list_contacts(ACME, LIST, 5000, None)
    assert len(page.items) == 1000
    rest = await kit.store.list_contacts(ACME, LIST, 5000, page.next)
    assert [(contact.row, rest.next) for contact in rest.items] == [(1001, None)]


async def test_a_page_goes_on_where_it_stopped_whatever_happened_in_between(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(4))
    first = await kit.store.list_contacts(ACME, LIST, 2, None)
    await dial_to_end(kit.store, [a_contact(row) for row in (1, 2, 3)])
    rest = await kit.store.list_contacts(ACME, LIST, 2, first.next)
    assert rest.items == (completed(a_contact(3)), a_contact(4))


async def test_each_result_is_a_contact_with_its_last_attempt(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(3))
    again = waiting_again(a_contact(1))
    await end(store, await begin(store, a_contact(1), 1), again)
    second = await begin(store, again, 2)
    await end(store, await begin(store, a_contact(2), 3), completed(a_contact(2)))
    third = await store.get_attempt(ACME, "att_000003")
    expected = [
        (msgspec.structs.replace(again, state="dialing"), second),
        (completed(a_contact(2)), third),
        (a_contact(3), None),
    ]
    for limit in (1, 2, 3):
        assert await all_pages(partial(store.list_results, ACME, LIST), limit) == expected


async def test_rejected_rows_are_paged_in_the_order_in_which_they_came(kit: Kit) -> None:
    rejected = tuple(
        msgspec.structs.replace(a_rejected(row), column=column)
        for row, column in ((5, None), (2, "tel1"), (2, "starttime"), (9, "tel2"))
    )
    await kit.store.accept_list(NewList(a_list(accepted=1), [a_contact(1)], rejected))
    for limit in (1, 3, 4):
        found = await all_pages(partial(kit.store.list_rejected, ACME, LIST), limit)
        assert tuple(found) == rejected


async def test_events_are_read_from_a_number_on(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(2))
    await dial_to_end(kit.store, [a_contact(1), a_contact(2)])
    told = [event for some in kit.told for event in some]
    assert await kit.store.events_after(ACME, 0, 1000) == told
    assert await kit.store.events_after(ACME, 3, 2) == told[3:5]
    assert await kit.store.events_after(ACME, len(told), 10) == []
    assert await kit.store.last_seq(ACME) == len(told)
    assert await kit.store.last_seq(OTHER) == 0
    assert await kit.store.last_seq("acc_none") == 0


# Attempts


async def make_attempts(store: Store) -> list[Attempt]:
    """Six attempts a minute apart, on two lists of two flows."""
    await store.add_flow(a_flow("flw_3", calls="lst_0003"))
    await store.accept_list(a_new_list(3))
    other = [a_contact(row, "lst_2000", flow="flw_3") for row in (1, 2)]
    await store.accept_list(NewList(a_list("lst_2000", flow="flw_3", accepted=2), other))
    again = waiting_again(a_contact(1))
    contacts = [a_contact(1), other[0], a_contact(2), again, other[1], a_contact(3)]
    attempts = []
    for number, contact in enumerate(contacts):
        attempt = an_attempt(contact, number, initiated_at=NOW + 60 * number)
        assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) is None
        attempts.append(attempt)
        if number == 0:
            await end(store, attempt, again)
            ended_one = await store.get_attempt(ACME, attempt.id)
            assert ended_one is not None
            attempts = [ended_one]
    return attempts


FILTERS: list[tuple[AttemptFilter, list[int]]] = [
    (AttemptFilter(), [0, 1, 2, 3, 4, 5]),
    (AttemptFilter(flow=FLOW), [0, 2, 3, 5]),
    (AttemptFilter(flow="flw_3"), [1, 4]),
    (AttemptFilter(list="lst_2000"), [1, 4]),
    (AttemptFilter(list=CALLS), []),
    (AttemptFilter(is_open=True), [1, 2, 3, 4, 5]),
    (AttemptFilter(flow=FLOW, is_open=True), [2, 3, 5]),
    (AttemptFilter(contact=a_contact(1).id, is_open=True), [3]),
    (AttemptFilter(contact=a_contact(1).id), [0, 3]),
    (AttemptFilter(contact=a_contact(1).id, list="lst_2000"), []),
    (AttemptFilter(from_at=NOW + 120), [2, 3, 4, 5]),
    (AttemptFilter(to_at=NOW + 120), [0, 1]),
    (AttemptFilter(from_at=NOW + 60, to_at=NOW + 240, flow=FLOW), [2, 3]),
    (AttemptFilter(from_at=NOW + 999), []),
    (AttemptFilter(to_at=NOW), []),
    (AttemptFilter(flow=OTHER_FLOW), []),
    (AttemptFilter(number=a_contact(1).tel[0]), [0, 1, 3]),
    (AttemptFilter(number=a_contact(1).tel[0], flow=FLOW), [0, 3]),
    (AttemptFilter(number=a_contact(1).tel[0], is_open=True), [1, 3]),
    (AttemptFilter(number=a_contact(1).tel[0], contact=a_contact(1).id), [0, 3]),
    (AttemptFilter(number=a_contact(1).tel[0], contact=a_contact(2).id), []),
    (AttemptFilter(number=a_contact(1).tel[0], from_at=NOW + 60), [1, 3]),
    (AttemptFilter(number="+91980000000"), []),
]


@pytest.mark.parametrize(("which", "expected"), FILTERS)
async def test_attempts_are_found_by_what_they_belong_to_and_when_they_were_made(
    kit: Kit, which: AttemptFilter, expected: list[int]
) -> None:
    attempts = await make_attempts(kit.store)
    for limit in (1, 2, 6):
        found = await all_pages(partial(kit.store.list_attempts, ACME, which), limit)
        assert found == [attempts[number] for number in expected]


async def test_attempts_made_while_the_clock_was_set_back_are_found_by_their_moment(
    kit: Kit,
) -> None:
    await kit.store.accept_list(a_new_list(4))
    for number, minute in enumerate((10, 12, 8, 9), 1):
        attempt = an_attempt(a_contact(number), number, initiated_at=NOW + 60 * minute)
        await kit.store.begin_attempt(attempt, about(attempt, "attempt.initiated"))
    which = AttemptFilter(from_at=NOW + 60 * 9, to_at=NOW + 60 * 12)
    found = (await kit.store.list_attempts(ACME, which, 10, None)).items
    assert [attempt.id for attempt in found] == ["att_000001", "att_000004"]


# Nobody else's rows

NOTHING: tuple[object, ...] = (None, False, [], {}, Page((), None))
"""What a question about somebody else's things may be answered with."""


async def both_accounts_at_work(store: Store) -> None:
    await store.accept_list(a_new_list(2))
    await store.accept_call(a_contact(1, OTHER_CALLS, account=OTHER, flow=OTHER_FLOW))
    await dial_to_end(store, [a_contact(1)])


def questions(store: Store, account: str) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Every question that takes an account, about what is ACME's."""
    contact = a_contact(1)
    return {
        "get_flow": partial(store.get_flow, account, FLOW),
        "change_flow": partial(store.change_flow, account, FLOW, lambda flow: flow),
        "get_list": partial(store.get_list, account, LIST),
        "count_list": partial(store.count_list, account, LIST, NOW),
        "count_waits": partial(store.count_waits, account, LIST, NOW - 1),
        "first_waits": partial(store.first_waits, account, LIST, NOW - 1),
        "list_lists": partial(store.list_lists, account, FLOW, 10, None),
        "get_contact": partial(store.get_contact, account, contact.id),
        "list_contacts": partial(store.list_contacts, account, LIST, 10, None),
        "get_attempt": partial(store.get_attempt, account, "att_000001"),
        "list_attempts": partial(store.list_attempts, account, AttemptFilter(), 10, None),
        "attempts of flow": partial(
            store.list_attempts, account, AttemptFilter(flow=FLOW), 10, None
        ),
        "attempts of list": partial(
            store.list_attempts, account, AttemptFilter(list=LIST), 10, None
        ),
        "attempts of contact": partial(
            store.list_attempts, account, AttemptFilter(contact=contact.id), 10, None
        ),
        "list_results": partial(store.list_results, account, LIST, 10, None),
        "list_rejected": partial(store.list_rejected, account, LIST, 10, None),
        "events_after": partial(store.events_after, account, 0, 10),
        "set_list_status": partial(store.set_list_status, account, LIST, "pause", NOW),
        "delete_flow": partial(store.delete_flow, account, FLOW),
    }


async def test_another_account_is_told_nothing_and_changes_nothing(kit: Kit) -> None:
    await both_accounts_at_work(kit.store)
    for name, ask in questions(kit.store, OTHER).items():
        assert await ask() in NOTHING, name
    for name, ask in questions(kit.store, "acc_none").items():
        assert await ask() in NOTHING, name
    assert await kit.store.get_flow(ACME, FLOW) == a_flow()


async def test_the_account_itself_is_told(kit: Kit) -> None:
    """So that the test above does not pass because nobody is told anything."""
    await both_accounts_at_work(kit.store)
    for name, ask in questions(kit.store, ACME).items():
        if name != "delete_flow":
            assert await ask() not in NOTHING, name


async def test_a_page_of_one_account_does_not_run_on_into_the_next(kit: Kit) -> None:
    mine: list[Contact] = []
    for number, (account, flow) in enumerate(((ACME, FLOW), (OTHER, OTHER_FLOW)) * 3, 1):
        name = f"lst_{number}000"
        contact = a_contact(1, name, account=account, flow=flow)
        await kit.store.accept_list(NewList(a_list(name, account, flow, accepted=1), [contact]))
        await begin(kit.store, contact, number)
        mine += [contact] if account == ACME else []
    attempts = await all_pages(partial(kit.store.list_attempts, ACME, AttemptFilter()), 1)
    assert [attempt.contact for attempt in attempts] == [contact.id for contact in mine]
    lists = await all_pages(partial(kit.store.list_lists, ACME, None), 1)
    assert [one.account for one in lists] == [ACME] * 3
