"""Pausing and canceling lists, starting again, and events, for every store."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio

from engine.model import CALLEE_CALLS_MAX, Contact, ListCounts
from engine.model.did_health import HEALTH_STEP_S, HealthStep, Tally, step_of
from engine.model.disposition import Disposition
from engine.model.events import number_event
from engine.ports.dial_store import PastCall, RecentStart
from engine.ports.intake_store import NewList
from engine.ports.stored import Conflict
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
    a_did,
    a_leg,
    a_list,
    a_new_list,
    about,
    an_attempt,
    begin,
    completed,
    counts,
    dial_to_end,
    due,
    end,
    ended,
    status_of_list,
    waiting_again,
)

# Pausing and canceling


async def paused(kit: Kit, change: Any, call_list: str = LIST, at: float = NOW + 50) -> str:
    changed = await kit.store.set_list_status(ACME, call_list, change, at)
    assert changed is not None
    assert changed == await kit.store.get_list(ACME, call_list)
    return changed.status


async def test_a_paused_list_goes_back_to_what_it_was(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(2, status="running"))
    assert [await paused(kit, change) for change in ("pause", "pause")] == ["paused", "paused"]
    assert [await paused(kit, change) for change in ("resume", "resume")] == ["scheduled"] * 2
    await begin(kit.store, a_contact(1))
    assert await paused(kit, "pause") == "paused"
    assert await paused(kit, "resume") == "running"
    told = [kind for _, _, kind in kit.events if kind.startswith("list.")]
    assert told == [
        "list.accepted",
        "list.paused",
        "list.started",
        "list.started",
        "list.paused",
        "list.started",
    ]
    assert [event["data"]["status"] for event in kit.events_of("list.started")] == [
        "scheduled",
        "running",
        "running",
    ]


async def test_a_paused_list_completes_when_its_last_call_ends(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    attempt = await begin(kit.store, a_contact(1))
    await paused(kit, "pause")
    await end(kit.store, attempt, completed(a_contact(1)))
    assert await status_of_list(kit.store) == ("completed", NOW + 1, NOW + 9)


async def test_nothing_of_a_canceled_list_begins_and_its_contacts_are_closed_in_portions(
    kit: Kit,
) -> None:
    store = kit.store
    await store.accept_list(a_new_list(5))
    attempt = await begin(store, a_contact(1), 1)
    assert await paused(kit, "cancel") == "canceled"
    refused = an_attempt(a_contact(2), 2)
    assert await store.begin_attempt(refused, about(refused, "attempt.initiated")) == "gone"
    assert [await store.close_canceled(3, NOW + 60) for _ in range(3)] == [3, 1, 0]
    assert await status_of_list(store) == ("canceled", NOW + 1, None)
    await end(store, attempt, completed(a_contact(1)))
    assert await status_of_list(store) == ("canceled", NOW + 1, NOW + 9)
    dispositions = {"canceled": 4, "answered": 1}
    assert await counts(store) == ListCounts(5, 0, 0, 0, 5, dispositions)  # type: ignore[arg-type]
    assert [event["data"] for event in kit.events_of("list.completed")] == [
        {"status": "canceled", "dispositions": dispositions}
    ]
    assert len(kit.events_of("contact.completed")) == 5


async def test_canceled_lists_are_closed_one_after_the_other(kit: Kit) -> None:
    store = kit.store
    for number in (2000, 3000):
        await store.accept_list(a_new_list(3, f"lst_{number}"))
        await store.set_list_status(ACME, f"lst_{number}", "cancel", NOW + 1)
    await store.accept_list(a_new_list(1))
    assert [await store.close_canceled(4, NOW + 2) for _ in range(3)] == [4, 2, 0]
    assert await due(store) == [a_contact(1).id]


async def test_a_contact_of_a_canceled_list_does_not_wait_again(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1))
    attempt = await begin(store, a_contact(1))
    await store.set_list_status(ACME, LIST, "cancel", NOW + 2)
    wait = msgspec.structs.replace(about(attempt, "contact.waiting", NOW + 9), attempt=None)
    events = [about(attempt, "attempt.ended", NOW + 9), wait]
    outcome = ended(attempt, "busy", NOW + 9)
    assert await store.end_attempt(outcome, waiting_again(a_contact(1)), events)
    expected = msgspec.structs.replace(
        waiting_again(a_contact(1)),
        state="completed",
        disposition="canceled",
        completed_at=NOW + 9,
    )
    assert await store.get_contact(ACME, a_contact(1).id) == expected
    assert await store.get_attempt(ACME, attempt.id) == outcome
    assert [kind for _, _, kind in kit.events[-3:]] == [
        "attempt.ended",
        "contact.completed",
        "list.completed",
    ]
    assert await status_of_list(store) == ("canceled", NOW + 1, NOW + 9)


async def test_a_finished_list_is_not_changed(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1, "lst_2000"))
    await dial_to_end(store, [a_contact(1, "lst_2000")])
    await store.accept_list(a_new_list(1, "lst_3000"))
    await store.set_list_status(ACME, "lst_3000", "cancel", NOW)
    await store.accept_list(NewList(a_list("lst_4000", status="rejected"), ()))
    told = kit.events
    for name in ("lst_2000", "lst_3000", "lst_4000"):
        for change in ("pause", "resume", "cancel"):
            with pytest.raises(Conflict) as caught:
                await store.set_list_status(ACME, name, change, NOW)
            assert caught.value.code == "list_finished"
    assert kit.events == told


async def test_a_standing_list_is_paused_but_not_canceled(kit: Kit) -> None:
    with pytest.raises(Conflict) as caught:
        await kit.store.set_list_status(ACME, CALLS, "cancel", NOW)
    assert caught.value.code == "list_standing"
    assert await paused(kit, "pause", CALLS) == "paused"
    await kit.store.accept_call(a_contact(1, CALLS))
    attempt = an_attempt(a_contact(1, CALLS))
    refused = await kit.store.begin_attempt(attempt, about(attempt, "attempt.initiated"))
    assert refused == "list_paused"


async def test_another_accounts_list_is_not_changed(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    changes: tuple[Any, ...] = ("pause", "resume", "cancel")
    for change in changes:
        assert await kit.store.set_list_status(OTHER, LIST, change, NOW) is None
        assert await kit.store.set_list_status(ACME, "lst_none", change, NOW) is None
    assert await status_of_list(kit.store) == ("running", None, None)


@pytest.mark.parametrize("change", ["pause", "cancel"])
async def test_no_attempt_begins_after_a_pause_or_a_cancel_has_returned(
    kit: Kit, change: Any
) -> None:
    """Attempts race with the change: those that began are those whose commit came before it."""
    store, rows = kit.store, 40
    await store.accept_list(a_new_list(rows))
    began_late: list[str] = []
    changed = trio.Event()

    async def attempt(row: int) -> None:
        for _ in range(row % 7):
            await trio.lowlevel.checkpoint()
        late = changed.is_set()
        one = an_attempt(a_contact(row), row)
        refused = await store.begin_attempt(one, about(one, "attempt.initiated"))
        if late and refused is None:
            began_late.append(one.id)

    async def stop() -> None:
        await store.set_list_status(ACME, LIST, change, NOW + 5)
        changed.set()

    async with trio.open_nursery() as nursery:
        for row in range(1, rows + 1):
            nursery.start_soon(attempt, row)
            if row == rows // 2:
                nursery.start_soon(stop)
    assert began_late == []
    told = [kind for _, _, kind in kit.events]
    if change == "pause":
        assert "attempt.initiated" not in told[told.index("list.paused") :]
    assert (await counts(store)).dialing == told.count("attempt.initiated")


# After a start


async def test_open_attempts_are_those_without_an_end(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(3))
    attempts = [await begin(store, a_contact(row), row) for row in (3, 1, 2)]
    await end(store, attempts[1], completed(a_contact(1)))
    assert await store.open_attempts() == [
        (attempts[2], a_contact(2, state="dialing")),
        (attempts[0], a_contact(3, state="dialing")),
    ]


async def test_urgent_contacts_are_found_among_those_that_are_open_and_due(kit: Kit) -> None:
    store = kit.store
    changes: dict[int, dict[str, Any]] = {
        1: {},
        2: {"priority": "urgent", "due_at": NOW + 5},
        3: {"priority": "high"},
        4: {"priority": "urgent"},
        5: {"priority": "urgent", "due_at": NOW + 500},
        6: {"priority": "urgent"},
    }
    contacts = [a_contact(row, **more) for row, more in changes.items()]
    await store.accept_list(NewList(a_list(), contacts))
    await begin(store, contacts[5], 1)
    call = a_contact(1, CALLS, id="cnt_call", priority="urgent", due_at=NOW)
    await store.accept_call(call)
    assert await store.urgent_contacts(LIST, NOW + 60, 10) == [contacts[3], contacts[1]]
    assert await store.urgent_contacts(LIST, NOW + 60, 1) == [contacts[3]]
    assert [one.id for one in await store.urgent_contacts(CALLS, NOW, 10)] == ["cnt_call"]
    assert await store.urgent_contacts("lst_none", NOW, 10) == []


async def test_recent_starts_are_those_of_every_account_since_a_moment(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(3))
    await store.accept_call(a_contact(1, OTHER_CALLS, account=OTHER, flow=OTHER_FLOW, due_at=NOW))
    contacts = [a_contact(row) for row in (1, 2, 3)]
    contacts.append((await store.due_contacts(OTHER_CALLS, NOW, 1))[0])
    for number, contact in enumerate(contacts, 1):
        attempt = an_attempt(contact, number, initiated_at=NOW + 10 - number)
        await store.begin_attempt(attempt, about(attempt, "attempt.initiated"))
        if number == 2:
            await end(store, attempt, completed(contact))
    did, number_of = "+911140000001", [contact.tel[0] for contact in contacts]
    assert await store.recent_starts(NOW + 7) == [
        RecentStart(ACME, FLOW, did, "main", number_of[2], NOW + 7),
        RecentStart(ACME, FLOW, did, "main", number_of[1], NOW + 8),
        RecentStart(ACME, FLOW, did, "main", number_of[0], NOW + 9),
    ]
    assert len(await store.recent_starts(0)) == 4
    assert await store.recent_starts(NOW + 10) == []
    assert await store.recent_starts(0, NOW + 7) + await store.recent_starts(
        NOW + 7, NOW + 10
    ) == await store.recent_starts(0)


async def test_how_the_calls_of_a_did_were_taken_is_summed_up_by_steps(kit: Kit) -> None:
    store, number = kit.store, "+911140000001"
    await store.add_did(a_did(number))
    ends: list[tuple[Disposition, float]] = [
        ("answered", 1.0),
        ("blocked", 2.0),
        ("busy", 3.0),
        ("invalid-number", 4.0),
        ("machine", HEALTH_STEP_S + 1.0),
    ]
    await store.accept_list(a_new_list(len(ends) + 1))
    for nth, (disposition, after_s) in enumerate(ends, 1):
        contact, at = a_contact(nth), NOW + after_s
        attempt = await begin(store, contact, nth)
        done = completed(contact, disposition, at)
        await store.end_attempt(ended(attempt, disposition, at), done, [])
    await begin(store, a_contact(len(ends) + 1), len(ends) + 1)
    first, second = step_of(NOW), step_of(NOW + HEALTH_STEP_S)
    of_second = HealthStep(number, second, Tally(1, 1, 0))
    assert await store.did_health(0) == [HealthStep(number, first, Tally(3, 1, 1)), of_second]
    assert await store.did_health(NOW + 100) == []
    from_then = NOW + HEALTH_STEP_S
    await store.change_did(
        None, number, lambda one: msgspec.structs.replace(one, counts_from=from_then)
    )
    assert await store.did_health(0) == [of_second]


async def test_when_a_dids_latest_calls_began_is_known_legs_included(kit: Kit) -> None:
    store, number = kit.store, "+911140000001"
    await store.accept_list(a_new_list(3))
    for nth in (1, 2, 3):
        attempt = an_attempt(a_contact(nth), nth, initiated_at=NOW + nth)
        await store.begin_attempt(attempt, about(attempt, "attempt.initiated"))
    await store.begin_leg(a_leg(1, did=number, initiated_at=NOW + 2.5))
    await store.begin_leg(a_leg(2, did="+999", initiated_at=NOW + 4))
    assert await store.did_starts(number, NOW + 2, 10) == [NOW + 2, NOW + 2.5, NOW + 3]
    assert await store.did_starts(number, 0, 2) == [NOW + 2.5, NOW + 3]
    assert await store.did_starts("+1", 0, 2) == []


async def test_who_called_a_number_last_is_asked_for_many_numbers_at_once(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(12))
    first, other = a_contact(1).tel[0], a_contact(2).tel[0]
    for nth in range(1, 12):
        attempt = msgspec.structs.replace(
            an_attempt(a_contact(nth), nth), number=first, did=f"+91{nth % 10}"
        )
        await store.begin_attempt(attempt, about(attempt, "attempt.initiated"))
    called = msgspec.structs.replace(an_attempt(a_contact(12), 12), number=other, did="+917")
    await store.begin_attempt(called, about(called, "attempt.initiated"))
    asked = [first, other, "+4930"]
    latest = ("+911", "+910", "+919", "+918", "+917", "+916", "+915", "+914")
    assert await store.last_callers(ACME, asked) == {first: latest, other: ("+917",)}
    assert await store.last_callers(OTHER, asked) == {}
    assert await store.last_callers(ACME, []) == {}


async def test_which_calls_may_have_reached_a_number_is_asked_for_many_numbers_at_once(
    kit: Kit,
) -> None:
    store = kit.store
    await store.accept_list(a_new_list(120))
    first, other = a_contact(1).tel[0], a_contact(2).tel[0]

    async def call(nth: int) -> None:
        attempt = msgspec.structs.replace(
            an_attempt(a_contact(nth), nth), number=first, initiated_at=NOW + nth + 0.123456
        )
        await store.begin_attempt(attempt, about(attempt, "attempt.initiated"))
        # One was refused at once, one after it rang; the others are busy, or go on.
        if nth in (107, 108, 109):
            how: Disposition = "busy" if nth == 107 else "congested"
            rang_at = NOW + nth + 1 if nth == 109 else None
            over = msgspec.structs.replace(ended(attempt, how), ringing_at=rang_at)
            await store.end_attempt(over, completed(a_contact(nth), how), [])

    async with trio.open_nursery() as nursery:
        for nth in range(1, 111):
            nursery.start_soon(call, nth)
    called = msgspec.structs.replace(an_attempt(a_contact(112), 112), number=other)
    await store.begin_attempt(called, about(called, "attempt.initiated"))
    found = await store.past_calls(ACME, [first, other, "+4930"])
    kept = [nth for nth in range(110, 0, -1) if nth != 108][:CALLEE_CALLS_MAX]
    assert found == {
        first: tuple(PastCall(f"att_{nth:06d}", NOW + nth + 0.123456) for nth in kept),
        other: (PastCall("att_000112", NOW + 1),),
    }
    assert await store.past_calls(OTHER, [first]) == {}
    assert await store.past_calls(ACME, []) == {}


# Events


async def test_events_are_numbered_per_account_without_gaps_in_the_order_of_commits(
    kit: Kit,
) -> None:
    store = kit.store
    theirs = a_list("lst_7000", OTHER, OTHER_FLOW, accepted=20)
    contacts = [a_contact(row, "lst_7000", account=OTHER, flow=OTHER_FLOW) for row in range(1, 21)]
    await store.accept_list(NewList(theirs, contacts))
    await store.accept_list(a_new_list(20))
    mine = [a_contact(row) for row in range(1, 21)]

    async def call(number: int, contact: Contact) -> None:
        await end(store, await begin(store, contact, number), completed(contact))

    async with trio.open_nursery() as nursery:
        for number, contact in enumerate((*mine, *contacts)):
            nursery.start_soon(call, number, contact)
    for account in (ACME, OTHER):
        last = await store.last_seq(account)
        kept = await store.events_after(account, 0, 1000)
        assert [event.seq for event in kept] == list(range(1, last + 1))
        assert last == 1 + 20 * 3 + 2  # accepted; initiated, ended, completed; started, completed
        assert [one for some in kit.told for one in some if one.account == account] == kept


async def test_a_callers_event_is_kept_as_it_is(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    attempt = an_attempt(a_contact(1))
    event = about(attempt, "attempt.initiated", NOW + 1.5, number="+1", nested={"a": [1, None]})
    await kit.store.begin_attempt(attempt, event)
    assert (await kit.store.events_after(ACME, 1, 1)) == [number_event(event, 2)]


async def test_a_change_that_fails_or_is_refused_takes_no_event_number(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(2))
    with pytest.raises(Conflict):
        await store.set_list_status(ACME, CALLS, "cancel", NOW)
    with pytest.raises(LookupError):
        await store.accept_list(a_new_list(1, "lst_9000", flow="flw_none"))
    await begin(store, a_contact(1))
    assert [seq for _, seq, _ in kit.events] == [1, 2, 3]
    assert await store.last_seq(ACME) == 3
