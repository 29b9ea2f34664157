"""Who is not called, in every store: do-not-call with ranges, expiry, who did what, and what is found ahead
of dialling; and numbers on which somebody of the list was reached."""

from __future__ import annotations

import msgspec
import pytest

from engine.model.disposition import Disposition
from engine.model.do_not_call import PREFIXES_MAX, DoNotCall, DoNotCallChange
from engine.ports.intake_store import NewList
from engine.ports.stored import Conflict, IdempotentAnswer
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
    all_pages,
    an_answer,
    an_attempt,
    begin,
    completed,
    end,
    waiting_again,
)

FIRST = a_contact(1).tel[0]


async def refused(kit: Kit, at: float) -> str | None:
    """What an attempt on the first contact would meet at a moment; it is not begun."""
    attempt = an_attempt(a_contact(1), initiated_at=at)
    event = about(attempt, "attempt.initiated")
    [contact] = await kit.store.due_contacts(LIST, NOW + 1e9, 1)
    assert contact.state == "open"
    listed = await kit.store.listed_contacts(LIST, at, 10)
    found = await kit.store.begin_attempt(attempt, event) if listed else None
    assert (found == "do_not_call") is bool(listed)
    return found


@pytest.mark.parametrize("flow", [None, FLOW])
async def test_a_range_bars_every_number_that_begins_so(kit: Kit, flow: str | None) -> None:
    await kit.store.accept_list(a_new_list(1))
    await kit.store.put_do_not_call(ACME, [DoNotCall("+9198000*", flow, NOW)])
    assert await refused(kit, NOW + 1) == "do_not_call"
    await kit.store.remove_do_not_call(ACME, "+9198000*", NOW)
    assert await refused(kit, NOW + 1) is None
    others = [DoNotCall("+9198000*", "flw_77", NOW), DoNotCall("+919801*", None, NOW)]
    await kit.store.put_do_not_call(ACME, others)
    await kit.store.put_do_not_call(OTHER, [DoNotCall("+9*", None, NOW)])
    assert await refused(kit, NOW + 1) is None
    await begin(kit.store, a_contact(1))


async def test_those_of_many_numbers_are_found_that_are_listed(kit: Kit) -> None:
    numbers = [f"+9198000{number:05d}" for number in range(3000)]
    entries = [
        DoNotCall(numbers[1], None, NOW),
        DoNotCall(numbers[2], FLOW, NOW),
        DoNotCall(numbers[3], "flw_77", NOW),
        DoNotCall(numbers[4], None, NOW, NOW + 60),
        DoNotCall("+919800002*", None, NOW),
        DoNotCall("+1*", None, NOW),
    ]
    assert await kit.store.find_listed(ACME, FLOW, numbers, NOW + 60) == frozenset()
    await kit.store.put_do_not_call(ACME, entries)
    await kit.store.put_do_not_call(OTHER, [DoNotCall("+9*", None, NOW)])
    in_range = numbers[2000:]
    assert await kit.store.find_listed(ACME, FLOW, numbers, NOW + 60) == frozenset(
        [numbers[1], numbers[2], *in_range]
    )
    now = await kit.store.find_listed(ACME, FLOW, numbers[:6], NOW)
    assert now == frozenset([numbers[1], numbers[2], numbers[4]])
    assert await kit.store.find_listed(ACME, FLOW, [], NOW) == frozenset()


@pytest.mark.parametrize("number", [FIRST, "+91*"])
async def test_an_entry_ends_when_it_expires(kit: Kit, number: str) -> None:
    await kit.store.accept_list(a_new_list(1))
    await kit.store.put_do_not_call(ACME, [DoNotCall(number, None, NOW, NOW + 60)])
    assert [await refused(kit, NOW + wait) for wait in (1, 59.9, 60)] == [
        "do_not_call",
        "do_not_call",
        None,
    ]


async def test_listing_a_number_again_never_lets_it_be_called_sooner(kit: Kit) -> None:
    def entry(at: float, expires_at: float | None, note: str) -> DoNotCall:
        return DoNotCall("+1", None, at, expires_at, note)

    steps = [
        (entry(NOW, NOW + 60, "a minute"), 1),
        (entry(NOW + 1, NOW + 30, "less"), 0),
        (entry(NOW + 2, NOW + 90, "more"), 1),
        (entry(NOW + 3, None, "for good"), 1),
        (entry(NOW + 4, NOW + 900, "too late"), 0),
    ]
    for one, new in steps:
        assert await kit.store.put_do_not_call(ACME, [one]) == new
    assert (await kit.store.list_do_not_call(ACME, 10, None)).items == (steps[3][0],)


async def test_numbers_are_listed_once_for_each_key(kit: Kit) -> None:
    def answer_for(new: int) -> IdempotentAnswer:
        return msgspec.structs.replace(an_answer(), body=str(new).encode())

    first, second = [DoNotCall("+1", None, NOW)], [DoNotCall("+2", None, NOW)]
    assert await kit.store.put_do_not_call_once(ACME, first, answer_for) == 1
    assert await kit.store.put_do_not_call_once(ACME, second, answer_for) == answer_for(1)
    assert (await kit.store.list_do_not_call(ACME, 10, None)).items == tuple(first)
    assert await kit.store.get_answer(ACME, an_answer().key) == answer_for(1)


async def test_who_listed_and_struck_off_is_kept_in_order(kit: Kit) -> None:
    entries = [
        DoNotCall("+2", FLOW, NOW, NOW + 9, "why", "import", "key_1"),
        DoNotCall("+1", None, NOW + 1, added_by="key_2"),
        DoNotCall("+1", None, NOW + 2, added_by="key_3"),
    ]
    await kit.store.put_do_not_call(ACME, entries)
    await kit.store.put_do_not_call(OTHER, entries[:1])
    await kit.store.remove_do_not_call(ACME, "+2", NOW + 3, "key_4")
    await kit.store.remove_do_not_call(ACME, "+2", NOW + 4, "key_5")
    expected = [
        DoNotCallChange(NOW, "added", "+2", FLOW, "import", "key_1", NOW + 9, "why"),
        DoNotCallChange(NOW + 1, "added", "+1", None, "api", "key_2", None, ""),
        DoNotCallChange(NOW + 3, "removed", "+2", FLOW, "api", "key_4", NOW + 9, "why"),
    ]
    for limit in (1, 2, 9):
        found = await all_pages(
            lambda *page: kit.store.list_do_not_call_changes(ACME, *page), limit
        )
        assert found == expected


async def test_ranges_are_bounded_and_single_numbers_are_not(kit: Kit) -> None:
    ranges = [DoNotCall(f"+1{place:05}*", None, NOW) for place in range(PREFIXES_MAX)]
    assert await kit.store.put_do_not_call(ACME, ranges) == PREFIXES_MAX
    with pytest.raises(Conflict) as caught:
        await kit.store.put_do_not_call(
            ACME, [DoNotCall("+5", None, NOW), DoNotCall("+2*", None, NOW)]
        )
    assert caught.value.code == "too_many_prefixes"
    assert await kit.store.put_do_not_call(ACME, [DoNotCall("+5", None, NOW)]) == 1
    assert await kit.store.put_do_not_call(ACME, ranges[:1]) == 0


async def test_listed_contacts_are_found_among_those_that_are_due_first(kit: Kit) -> None:
    people = [a_contact(row) for row in range(1, 7)]
    people[2] = msgspec.structs.replace(people[2], due_at=NOW + 50)
    people[3] = msgspec.structs.replace(people[3], tel_index=1)
    people[4] = msgspec.structs.replace(people[4], detour="+15", detoured=True)
    await kit.store.accept_list(NewList(a_list(accepted=6), people))
    await kit.store.put_do_not_call(ACME, [DoNotCall("+91*", None, NOW)])

    async def ask(until: float, limit: int = 10) -> list[str]:
        return sorted(await kit.store.listed_contacts(LIST, until, limit))

    assert await ask(NOW) == [people[place].id for place in (0, 1, 5)]
    assert await ask(NOW + 50) == [people[place].id for place in (0, 1, 2, 5)]
    assert await ask(NOW, 1) == [people[0].id]
    await begin(kit.store, people[3])
    await kit.store.remove_do_not_call(ACME, "+91*", NOW)
    assert await ask(NOW) == []


@pytest.mark.parametrize(
    ("disposition", "is_reached"),
    [("answered", True), ("declined", True), ("busy", False), ("no-answer", False)],
)
async def test_who_was_reached_through_another_contact_of_the_list_is_not_rung_again(
    kit: Kit, disposition: Disposition, is_reached: bool
) -> None:
    shared = a_contact(1).tel[1]
    people = [
        msgspec.structs.replace(a_contact(1), tel_index=1),
        msgspec.structs.replace(a_contact(2), tel_index=1),
        a_contact(3),
    ]
    await kit.store.accept_list(NewList(a_list(accepted=3), people))
    first = await begin(kit.store, people[0])
    assert first.number == shared
    await end(kit.store, first, completed(people[0], disposition))
    second = an_attempt(people[1], 2)
    refused = await kit.store.begin_attempt(second, about(second, "attempt.initiated"))
    assert refused == ("duplicate_number" if is_reached else None)
    await begin(kit.store, people[2], 3)


async def test_a_contact_may_call_again_whom_it_reached_itself_and_another_list_may_too(
    kit: Kit,
) -> None:
    """A list is one errand, another list is another."""
    await kit.store.accept_list(a_new_list(1))
    await kit.store.accept_list(a_new_list(1, "lst_1001"))
    contact = a_contact(1)
    await end(kit.store, await begin(kit.store, contact), waiting_again(contact))
    await begin(kit.store, contact, 2)
    other = msgspec.structs.replace(a_contact(1, "lst_1001"), tel=contact.tel)
    await begin(kit.store, other, 3)


async def test_every_single_call_is_made_whomever_an_earlier_one_reached(kit: Kit) -> None:
    for number in (1, 2):
        call = a_contact(number, CALLS, tel=("+12025550199",))
        assert await kit.store.accept_call(call) is None
        await end(kit.store, await begin(kit.store, call, number), completed(call))
