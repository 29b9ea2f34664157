"""Lists coming in and being dialled, for every store: the definition of the port in tests.

It goes on in `test_store_control.py` (pausing, canceling, starting again, events),
`test_store_settings.py`, `test_store_reading.py` (questions of outsiders), and `test_store_twins.py`
(random sequences of everything, one store against the other).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
import trio

from engine.model import ListCounts, Report
from engine.model.disposition import Disposition
from engine.ports.dial_store import Deferral, OpenList, Progress
from engine.ports.intake_store import NewList
from engine.ports.stored import DUPLICATE_S, Conflict, DuplicateList, IdempotentAnswer
from tests.contract.store_samples import (
    ACME,
    CALLS,
    FLOW,
    LIST,
    NOW,
    OTHER,
    OTHER_FLOW,
    Kit,
    a_contact,
    a_list,
    a_new_list,
    a_rejected,
    about,
    an_answer,
    an_attempt,
    begin,
    completed,
    counts,
    due,
    end,
    ended,
    status_of_list,
    waiting_again,
)

SHA256 = b"\x02" * 32
LARGE = 2500
"""More contacts than a store may take in at one go."""


# Coming in


async def test_an_accepted_list_is_there_with_its_contacts_its_rejected_rows_and_its_event(
    kit: Kit,
) -> None:
    new = a_new_list(3)
    assert await kit.store.accept_list(new) is None
    assert await kit.store.get_list(ACME, LIST) == new.call_list
    assert (await kit.store.list_contacts(ACME, LIST, 10, None)).items == tuple(new.contacts)
    assert (await kit.store.list_rejected(ACME, LIST, 10, None)).items == (a_rejected(4),)
    assert await counts(kit.store) == ListCounts(3, 0, 3, 0, 0, {})
    assert [event["data"] for event in kit.events_of("list.accepted")] == [
        {"name": "january", "source": "upload", "contacts": 3, "rejected": 1}
    ]


async def test_a_contact_comes_back_as_it_came(kit: Kit) -> None:
    contact = a_contact(
        1,
        tel=tuple(f"+91980000000{n}" for n in range(10)),
        variables={"name": 'Zoë "Q" \U0001f600', "empty": ""},
        starttime=NOW + 0.125,
        due_at=NOW + 0.375,
        reference=None,
        tel_index=2,
        spent=1,
        tries={"busy": 2, "no-answer": 1},
        wait_code="calling_window",
    )
    plain = a_contact(2, variables={}, tries={})
    await kit.store.accept_list(NewList(a_list(accepted=2), [contact, plain]))
    assert await kit.store.get_contact(ACME, contact.id) == contact
    assert await kit.store.get_contact(ACME, plain.id) == plain


async def test_a_large_list_is_taken_in_whole(kit: Kit) -> None:
    rejected = tuple(a_rejected(LARGE + n) for n in range(LARGE))
    new = msgspec.structs.replace(a_new_list(LARGE), rejected=rejected)
    assert await kit.store.accept_list(new, an_answer()) is None
    assert await counts(kit.store) == ListCounts(LARGE, 0, LARGE, 0, 0, {})
    assert await kit.store.due_contacts(LIST, NOW, LARGE) == new.contacts
    pages = [(await kit.store.list_rejected(ACME, LIST, 1000, None))]
    while pages[-1].next is not None:
        pages.append(await kit.store.list_rejected(ACME, LIST, 1000, pages[-1].next))
    assert tuple(row for page in pages for row in page.items) == rejected
    assert len(kit.events_of("list.accepted")) == 1


@pytest.mark.parametrize("contacts", [3, LARGE])
async def test_two_equal_requests_at_once_make_one_list(kit: Kit, contacts: int) -> None:
    answers: list[IdempotentAnswer | None] = []

    async def trigger(number: int) -> None:
        new = a_new_list(contacts, f"lst_{number}")
        answer = msgspec.structs.replace(an_answer(), body=b"%d" % number)
        answers.append(await kit.store.accept_list(new, answer))

    async with trio.open_nursery() as nursery:
        for number in (2000, 3000):
            nursery.start_soon(trigger, number)
    lists = (await kit.store.list_lists(ACME, None, 10, None)).items
    assert [answer is None for answer in sorted(answers, key=lambda one: one is None)] == [
        False,
        True,
    ]
    winner = lists[0].id[4:].encode()
    assert [one.body for one in answers if one is not None] == [winner]
    assert len(lists) == 1
    assert len(kit.events_of("list.accepted")) == 1
    assert [one.list for one in await kit.store.open_lists()] == [lists[0].id]


async def test_a_list_that_comes_in_pieces_is_there_when_it_is_published(kit: Kit) -> None:
    new = a_new_list(5)
    async with kit.store.take_list(ACME, FLOW) as taking:
        await taking.add(new.contacts[:3], new.rejected)
        assert await kit.store.get_list(ACME, LIST) is None
        await taking.add(new.contacts[3:], (a_rejected(7),))
        assert kit.events == []
        published = NewList(new.call_list, (), (), SHA256)
        assert await taking.publish(published, an_answer()) is None
    assert await counts(kit.store) == ListCounts(5, 0, 5, 0, 0, {})
    assert await kit.store.due_contacts(LIST, NOW, 10) == new.contacts
    rejected = (await kit.store.list_rejected(ACME, LIST, 10, None)).items
    assert rejected == (a_rejected(6), a_rejected(7))
    assert [event["data"]["contacts"] for event in kit.events_of("list.accepted")] == [5]
    async with kit.store.take_list(ACME, FLOW) as taking:
        await taking.add([a_contact(1, "lst_2000")], ())
        assert await taking.publish(published, an_answer()) == an_answer()
    async with kit.store.take_list(ACME, FLOW) as taking:
        await taking.add([a_contact(1, "lst_3000")], ())
        with pytest.raises(DuplicateList):
            await taking.publish(msgspec.structs.replace(published, call_list=a_list("lst_3000")))
    assert await kit.store.get_contact(ACME, a_contact(1, "lst_3000").id) is None


async def test_contacts_of_a_list_that_comes_in_can_be_dropped(kit: Kit) -> None:
    async with kit.store.take_list(ACME, FLOW) as taking:
        await taking.add([a_contact(row) for row in range(1, LARGE)], (a_rejected(LARGE),))
        await taking.drop_contacts()
        await taking.publish(NewList(a_list(accepted=0), ()))
    found = await kit.store.get_list(ACME, LIST)
    assert found is not None
    assert (found.status, await counts(kit.store)) == ("rejected", ListCounts(0, 0, 0, 0, 0, {}))
    assert (await kit.store.list_rejected(ACME, LIST, 10, None)).items == (a_rejected(LARGE),)


async def test_no_list_comes_in_for_a_flow_that_is_not_there(kit: Kit) -> None:
    with pytest.raises(LookupError):
        async with kit.store.take_list(OTHER, FLOW):
            raise AssertionError
    await kit.store.delete_flow(ACME, FLOW)
    with pytest.raises(Conflict, match="flow_deleted"):
        async with kit.store.take_list(ACME, FLOW):
            raise AssertionError


@pytest.mark.parametrize("contacts", [3, LARGE])
async def test_of_two_equal_files_at_once_one_makes_a_list_and_the_other_is_told_of_it(
    kit: Kit, contacts: int
) -> None:
    refused: list[str] = []

    async def upload(number: int) -> None:
        new = a_new_list(contacts, f"lst_{number}")
        try:
            await kit.store.accept_list(msgspec.structs.replace(new, content_sha256=SHA256))
        except DuplicateList as error:
            refused.append(error.call_list)

    async with trio.open_nursery() as nursery:
        for number in (2000, 3000):
            nursery.start_soon(upload, number)
    lists = (await kit.store.list_lists(ACME, None, 10, None)).items
    assert [one.id for one in lists] == refused
    assert len(kit.events_of("list.accepted")) == 1
    assert await kit.store.find_list_of_content(ACME, FLOW, SHA256, NOW - 1) == lists[0]


@pytest.mark.parametrize(
    "other",
    [
        {"repeats": "allowed"},
        {"content_sha256": b"\x03" * 32},
        {"content_sha256": None},
        {"call_list": a_list("lst_2000", OTHER, OTHER_FLOW)},
        {"call_list": a_list("lst_2000", created_at=NOW + DUPLICATE_S)},
    ],
    ids=["allowed", "another file", "no file", "another flow", "a day later"],
)
async def test_a_file_is_taken_again(kit: Kit, other: dict[str, Any]) -> None:
    first = msgspec.structs.replace(a_new_list(1), content_sha256=SHA256)
    await kit.store.accept_list(first)
    second = msgspec.structs.replace(first, call_list=a_list("lst_2000"))
    with pytest.raises(DuplicateList) as caught:
        await kit.store.accept_list(second)
    assert (caught.value.code, caught.value.call_list) == ("duplicate_list", LIST)
    contact = a_contact(1, "lst_2000")
    again = msgspec.structs.replace(second, **({"contacts": [contact]} | other))
    assert await kit.store.accept_list(again) is None


async def test_a_file_of_which_nothing_was_taken_may_come_again(kit: Kit) -> None:
    nothing = NewList(a_list(accepted=0), (), (a_rejected(1),), content_sha256=SHA256)
    await kit.store.accept_list(nothing)
    assert await kit.store.find_list_of_content(ACME, FLOW, SHA256, NOW - 1) is None
    some = msgspec.structs.replace(a_new_list(1, "lst_2000"), content_sha256=SHA256)
    assert await kit.store.accept_list(some) is None


async def test_a_list_without_contacts_is_kept_as_rejected_and_never_dialled(kit: Kit) -> None:
    call_list = a_list(accepted=0, status="rejected", report=Report(1, 0, 1), finished_at=NOW)
    await kit.store.accept_list(NewList(call_list, (), (a_rejected(1),)), an_answer())
    assert await kit.store.get_list(ACME, LIST) == call_list
    assert (await kit.store.list_rejected(ACME, LIST, 10, None)).items == (a_rejected(1),)
    assert await kit.store.get_answer(ACME, "key-1") == an_answer()
    assert await kit.store.open_lists() == []
    assert kit.events == []


async def test_a_single_call_is_the_next_row_of_its_flows_standing_list(kit: Kit) -> None:
    for number in (7, 8):
        assert (
            await kit.store.accept_call(a_contact(number, CALLS), an_answer(f"key-{number}"))
            is None
        )
    expected = [
        msgspec.structs.replace(a_contact(number, CALLS), row=row)
        for row, number in ((1, 7), (2, 8))
    ]
    assert list((await kit.store.list_contacts(ACME, CALLS, 10, None)).items) == expected
    assert await kit.store.due_contacts(CALLS, NOW, 10) == expected
    assert await kit.store.open_list(CALLS) == OpenList(ACME, FLOW, CALLS, "scheduled", NOW)
    assert await kit.store.get_answer(ACME, "key-8") == an_answer("key-8")


async def test_a_trigger_for_something_unknown_changes_nothing(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1, "lst_5000"))
    told = kit.events
    strangers = a_new_list(1, flow=OTHER_FLOW)
    unknown = a_new_list(1, flow="flw_9")
    asks: list[Callable[[], Any]] = [
        partial(store.accept_list, strangers, an_answer()),
        partial(store.accept_list, unknown, an_answer()),
        partial(store.accept_call, a_contact(2, "lst_5000"), an_answer()),
        partial(store.accept_call, a_contact(2, "lst_9999"), an_answer()),
    ]
    for ask in asks:
        with pytest.raises(LookupError):
            await ask()
    assert await store.get_list(ACME, LIST) is None
    assert await store.get_answer(ACME, "key-1") is None
    assert kit.events == told


# What is due


async def test_open_lists_are_those_that_may_be_dialled_with_their_earliest_moment(
    kit: Kit,
) -> None:
    store = kit.store
    for number, status in (
        (3000, "scheduled"),
        (4000, "running"),
        (5000, "running"),
        (6000, "running"),
    ):
        name = f"lst_{number}"
        contacts = [a_contact(row, name, due_at=NOW + number + 5 - row) for row in (1, 2)]
        await store.accept_list(NewList(a_list(name, status=status), contacts))
    await store.set_list_status(ACME, "lst_5000", "pause", NOW)
    await store.set_list_status(ACME, "lst_6000", "cancel", NOW)
    expected = [
        OpenList(ACME, FLOW, "lst_3000", "scheduled", NOW + 3003),
        OpenList(ACME, FLOW, "lst_4000", "running", NOW + 4003),
        OpenList(ACME, FLOW, "lst_5000", "paused", NOW + 5003),
    ]
    assert await store.open_lists() == expected
    asked = ("lst_3000", "lst_4000", "lst_5000", "lst_6000", CALLS, "lst_none")
    assert [await store.open_list(one) for one in asked] == [*expected, None, None, None]


async def test_a_list_with_nothing_open_is_not_open(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    attempt = await begin(kit.store, a_contact(1))
    assert await kit.store.open_list(LIST) is None
    assert await kit.store.open_lists() == []
    await end(kit.store, attempt, waiting_again(a_contact(1), NOW + 60))
    assert await kit.store.open_list(LIST) == OpenList(ACME, FLOW, LIST, "running", NOW + 60)


async def test_due_contacts_come_in_the_order_of_moment_and_id(kit: Kit) -> None:
    moments = {1: 30.0, 2: 10.0, 3: 20.0, 4: 10.0, 5: 40.0}
    contacts = [a_contact(row, due_at=NOW + wait) for row, wait in moments.items()]
    await kit.store.accept_list(NewList(a_list(accepted=5), contacts))
    in_order = [contacts[row - 1] for row in (2, 4, 3, 1, 5)]
    assert await kit.store.due_contacts(LIST, float("inf"), 10) == in_order
    assert await kit.store.due_contacts(LIST, NOW + 20, 10) == in_order[:3]
    assert await kit.store.due_contacts(LIST, float("inf"), 2) == in_order[:2]
    assert await kit.store.due_contacts(LIST, NOW + 9, 10) == []
    assert await kit.store.due_contacts("lst_none", NOW + 99, 10) == []


async def test_a_deferred_contact_is_due_later_and_says_why(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(2))
    told = about(an_attempt(a_contact(1)), "contact.waiting", blocker="calling_window")
    told = msgspec.structs.replace(told, attempt=None)
    await store.defer_contacts([Deferral(a_contact(1).id, NOW + 60, "calling_window")], [told])
    deferred = a_contact(1, due_at=NOW + 60, wait_code="calling_window")
    assert await store.due_contacts(LIST, NOW + 60, 10) == [a_contact(2), deferred]
    assert await store.due_contacts(LIST, NOW + 59, 10) == [a_contact(2)]
    assert await store.get_contact(ACME, deferred.id) == deferred
    assert [event["contact"] for event in kit.events_of("contact.waiting")] == [deferred.id]


async def test_a_contact_deferred_there_and_back_is_due_once(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    for moment in (NOW + 60, NOW, NOW + 60, NOW):
        await kit.store.defer_contacts([Deferral(a_contact(1).id, moment, "did_cps")], [])
    assert await due(kit.store) == [a_contact(1).id]


async def test_a_contact_that_is_not_open_is_not_deferred_and_nothing_is_told_of_it(
    kit: Kit,
) -> None:
    store = kit.store
    await store.accept_list(a_new_list(3))
    attempt = await begin(store, a_contact(1))
    await store.complete_contacts([a_contact(2).id], "expired", NOW)
    before = [await store.get_contact(ACME, a_contact(row).id) for row in (1, 2)]
    ids = [a_contact(row).id for row in (1, 2, 3)]
    waits = [msgspec.structs.replace(about(attempt, "contact.waiting"), contact=one) for one in ids]
    await store.defer_contacts([Deferral(one, NOW + 60, "did_cps") for one in ids], waits)
    assert [await store.get_contact(ACME, one) for one in ids[:2]] == before
    assert [event["contact"] for event in kit.events_of("contact.waiting")] == ids[2:]


# Attempts


async def test_contacts_of_a_flow_that_wait_for_one_reason_are_brought_forward(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(4))
    await store.accept_list(a_new_list(1, "lst_1001"))
    waits = [(1, LIST, "calling_window", 600), (2, LIST, "calling_window", 700)]
    waits += [(3, LIST, "retry_wait", 600), (1, "lst_1001", "calling_window", 600)]
    deferrals = [
        Deferral(a_contact(row, in_list).id, NOW + wait, code)  # type: ignore[arg-type]
        for row, in_list, code, wait in waits
    ]
    await store.defer_contacts(deferrals, [])

    async def bring(limit: int) -> list[str]:
        return await store.bring_forward(ACME, FLOW, "calling_window", NOW + 60, limit)

    assert await bring(2) == [LIST]
    assert await due(store, until=NOW + 60) == [a_contact(row).id for row in (4, 1, 2)]
    assert await bring(2) == ["lst_1001"]
    assert await bring(2) == []
    contact = await store.get_contact(ACME, a_contact(1).id)
    assert contact is not None
    assert (contact.due_at, contact.wait_code) == (NOW + 60, "calling_window")
    assert await store.bring_forward(ACME, "flw_9", "calling_window", NOW, 9) == []


async def test_the_first_attempt_starts_its_list(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(2, status="scheduled"))
    attempt = await begin(store, a_contact(1))
    assert await status_of_list(store) == ("running", NOW + 1, None)
    await begin(store, a_contact(2), 2)
    assert await status_of_list(store) == ("running", NOW + 1, None)
    assert [kind for _, _, kind in kit.events] == [
        "list.accepted",
        "attempt.initiated",
        "list.started",
        "attempt.initiated",
    ]
    assert [event["data"] for event in kit.events_of("list.started")] == [{"status": "running"}]
    assert await store.get_attempt(ACME, attempt.id) == attempt
    assert await counts(store) == ListCounts(2, 0, 0, 2, 0, {})
    assert await due(store) == []


async def test_a_contact_that_is_dialing_or_completed_is_gone(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(3))
    attempt = await begin(store, a_contact(1), 1)
    await store.complete_contacts([a_contact(2).id], "expired", NOW)
    told = kit.events
    for contact in (a_contact(1), a_contact(2), a_contact(9), a_contact(1, "lst_none")):
        again = an_attempt(contact, 2)
        assert await store.begin_attempt(again, about(again, "attempt.initiated")) == "gone"
    assert kit.events == told
    assert await store.get_attempt(ACME, "att_000002") is None
    assert await store.open_attempts() == [(attempt, a_contact(1, state="dialing"))]


async def test_no_attempt_begins_on_a_paused_list(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(2))
    await begin(store, a_contact(1), 1)
    await store.set_list_status(ACME, LIST, "pause", NOW)
    for row, refusal in ((2, "list_paused"), (1, "gone")):
        attempt = an_attempt(a_contact(row), 2)
        assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) == refusal
    assert await counts(store) == ListCounts(2, 0, 1, 1, 0, {})


@pytest.mark.parametrize("flow", [None, FLOW])
async def test_no_attempt_begins_on_a_number_that_must_not_be_called(
    kit: Kit, flow: str | None
) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1))
    attempt = an_attempt(a_contact(1))
    await store.add_do_not_call(ACME, [attempt.number], flow, NOW)
    assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) == "do_not_call"
    assert await store.get_attempt(ACME, attempt.id) is None
    await store.remove_do_not_call(ACME, attempt.number, NOW)
    assert await begin(store, a_contact(1)) == attempt


async def test_what_others_must_not_call_may_be_called(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1))
    number = a_contact(1).tel[0]
    await store.add_do_not_call(OTHER, [number], None, NOW)
    await store.add_do_not_call(ACME, [number], "flw_77", NOW)
    await store.add_do_not_call(ACME, [a_contact(1).tel[1]], None, NOW)
    await begin(store, a_contact(1))


async def test_progress_is_kept_and_told(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1))
    attempt = await begin(store, a_contact(1))
    ringing = msgspec.structs.replace(attempt, status="ringing", ringing_at=NOW + 2)
    await store.note_progress([Progress(ringing, [about(attempt, "attempt.ringing", NOW + 2)])])
    assert await store.get_attempt(ACME, attempt.id) == ringing
    answered = msgspec.structs.replace(
        ringing, status="in-progress", answered_at=NOW + 3, digits="12", amd="human"
    )
    await store.note_progress([Progress(answered, [about(attempt, "attempt.answered", NOW + 3)])])
    assert await store.get_attempt(ACME, attempt.id) == answered
    assert await store.open_attempts() == [(answered, a_contact(1, state="dialing"))]
    assert [kind for _, _, kind in kit.events[-2:]] == ["attempt.ringing", "attempt.answered"]


async def test_progress_of_an_attempt_that_ended_or_never_began_is_neither_kept_nor_told(
    kit: Kit,
) -> None:
    store = kit.store
    await store.accept_list(a_new_list(2))
    attempt = await begin(store, a_contact(1))
    await end(store, attempt, completed(a_contact(1)))
    told = kit.events
    for late in (attempt, an_attempt(a_contact(2), 2)):
        ringing = msgspec.structs.replace(late, status="ringing")
        await store.note_progress([Progress(ringing, [about(late, "attempt.ringing")])])
    assert await store.get_attempt(ACME, attempt.id) == ended(attempt)
    assert await store.get_attempt(ACME, "att_000002") is None
    assert kit.events == told


async def test_an_attempt_ends_exactly_once(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(2))
    attempt = await begin(store, a_contact(1))
    results: list[bool] = []

    async def end_as(disposition: Disposition) -> None:
        contact = completed(a_contact(1), disposition)
        event = about(attempt, "attempt.ended", disposition=disposition)
        results.append(await store.end_attempt(ended(attempt, disposition), contact, [event]))

    async with trio.open_nursery() as nursery:
        for disposition in ("answered", "busy", "failed"):
            nursery.start_soon(end_as, disposition)
    assert sorted(results) == [False, False, True]
    told = kit.events_of("attempt.ended")
    kept = await store.get_attempt(ACME, attempt.id)
    assert kept is not None
    assert [event["data"]["disposition"] for event in told] == [kept.disposition]
    assert kept.disposition is not None
    assert await counts(store) == ListCounts(2, 0, 1, 0, 1, {kept.disposition: 1})
    assert await store.open_attempts() == []


async def test_an_attempt_that_never_began_does_not_end(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    told = kit.events
    for contact in (a_contact(1), a_contact(1, "lst_none")):
        attempt = ended(an_attempt(contact))
        assert not await kit.store.end_attempt(attempt, completed(contact), [])
    assert kit.events == told
    assert await kit.store.get_contact(ACME, a_contact(1).id) == a_contact(1)


async def test_a_completed_contact_is_told_once_whether_by_the_caller_or_not(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(3))
    first = await begin(store, a_contact(1), 1)
    await end(store, first, completed(a_contact(1), "busy"))
    second = await begin(store, a_contact(2), 2)
    own = msgspec.structs.replace(
        about(second, "contact.completed", NOW + 9, own=True), attempt=None
    )
    events = [about(second, "attempt.ended", NOW + 9), own]
    assert await store.end_attempt(ended(second), completed(a_contact(2)), events)
    assert [(event["contact"], event["data"]) for event in kit.events_of("contact.completed")] == [
        (
            a_contact(1).id,
            {
                "disposition": "busy",
                "reference": "ref-1",
                "number": a_contact(1).tel[0],
                "result": {"choice": "1"},
            },
        ),
        (a_contact(2).id, {"own": True}),
    ]
    assert await store.get_contact(ACME, a_contact(1).id) == completed(a_contact(1), "busy")


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"choice": "1", "name": "Ada"}, {"result": {"choice": "1", "name": "Ada"}}),
        ({"essay": "x" * 9000}, {}),
        ({}, {}),
    ],
)
async def test_a_completed_contact_is_told_with_what_was_said_on_its_last_call(
    kit: Kit, result: dict[str, str], told: dict[str, Any]
) -> None:
    await kit.store.accept_list(a_new_list(1))
    attempt = await begin(kit.store, a_contact(1))
    over = msgspec.structs.replace(ended(attempt), digits="1", result=result)
    assert await kit.store.end_attempt(over, completed(a_contact(1)), [])
    [event] = kit.events_of("contact.completed")
    said = {"number": attempt.number, "digits": "1", **told}
    assert event["data"] == {"disposition": "answered", "reference": "ref-1", **said}


async def test_a_contact_that_waits_again_is_due_then(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1))
    again = waiting_again(a_contact(1), NOW + 60)
    await end(store, await begin(store, a_contact(1)), again)
    assert await store.due_contacts(LIST, NOW + 60, 10) == [again]
    assert await store.due_contacts(LIST, NOW + 59, 10) == []
    assert await counts(store) == ListCounts(1, 0, 1, 0, 0, {})
    assert kit.events_of("contact.completed") == []


async def test_the_last_completed_contact_completes_its_list(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(3))
    await end(store, await begin(store, a_contact(1), 1), completed(a_contact(1), "busy"))
    await store.complete_contacts([a_contact(2).id], "skipped", NOW + 20)
    assert await status_of_list(store) == ("running", NOW + 1, None)
    last = completed(a_contact(3), "busy", NOW + 30)
    await end(store, await begin(store, a_contact(3), 2), last, NOW + 30)
    assert await status_of_list(store) == ("completed", NOW + 1, NOW + 30)
    dispositions = {"busy": 2, "skipped": 1}
    assert await counts(store) == ListCounts(3, 0, 0, 0, 3, dispositions)  # type: ignore[arg-type]
    assert [kind for _, _, kind in kit.events[-3:]] == [
        "attempt.ended",
        "contact.completed",
        "list.completed",
    ]
    assert [event["data"] for event in kit.events_of("list.completed")] == [
        {"status": "completed", "dispositions": dispositions}
    ]


async def test_a_standing_list_never_completes(kit: Kit) -> None:
    store = kit.store
    for number in (1, 2):
        await store.accept_call(a_contact(1, CALLS, id=f"cnt_{number}"))
        (contact,) = await store.due_contacts(CALLS, NOW, 10)
        await end(store, await begin(store, contact, number), completed(contact))
    assert await status_of_list(store, CALLS) == ("running", NOW + 1, None)
    assert kit.events_of("list.completed") == []
    assert len(kit.events_of("list.started")) == 1


async def test_contacts_completed_without_an_attempt_are_told_one_by_one(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(4))
    await begin(store, a_contact(1), 1)
    ids = [a_contact(row).id for row in (1, 3, 2, 9, 3)]
    assert await store.complete_contacts(ids, "skipped", NOW + 5) == 2
    assert [(event["contact"], event["data"]) for event in kit.events_of("contact.completed")] == [
        (a_contact(3).id, {"disposition": "skipped", "reference": "ref-3"}),
        (a_contact(2).id, {"disposition": "skipped", "reference": "ref-2"}),
    ]
    skipped = msgspec.structs.replace(
        a_contact(2), state="completed", disposition="skipped", completed_at=NOW + 5
    )
    assert await store.get_contact(ACME, a_contact(2).id) == skipped
    assert await counts(store) == ListCounts(4, 0, 1, 1, 2, {"skipped": 2})
    assert await due(store) == [a_contact(4).id]
