"""What forecasts are made from, for every store."""

from __future__ import annotations

from engine.forecast.behaviour import SeenCall
from engine.forecast.case import Cohort
from engine.ports.intake_store import NewList
from tests.contract.store_samples import (
    ACME,
    FLOW,
    LIST,
    NOW,
    OTHER,
    Kit,
    a_contact,
    a_list,
    a_new_list,
    begin,
    completed,
    end,
    waiting_again,
)


def by_due(cohorts: list[Cohort]) -> list[tuple[float, int]]:
    """When how many are due."""
    return sorted((one.due_at, one.count) for one in cohorts)


async def test_open_contacts_are_told_by_when_they_are_due(kit: Kit) -> None:
    store = kit.store
    soon = -(-(NOW + 30) // 60) * 60.0
    contacts = [a_contact(1), a_contact(2), a_contact(3, due_at=NOW + 30), a_contact(4)]
    await store.accept_list(NewList(a_list(accepted=4), contacts))
    await end(store, await begin(store, contacts[3]), completed(contacts[3], "busy"))
    told = await store.open_cohorts(ACME, LIST, NOW)
    assert by_due(told) == [(NOW, 2), (soon, 1)]
    assert await store.open_cohorts(OTHER, LIST, NOW) == []


async def test_calls_of_a_flow_that_have_ended_and_that_go_on_are_told(kit: Kit) -> None:
    store = kit.store
    new = a_new_list(2)
    await store.accept_list(new)
    first, second = new.contacts
    attempt = await begin(store, first)
    await end(store, attempt, waiting_again(first), at=NOW + 9)
    later = await begin(store, second, 2)
    told = await store.seen_calls(ACME, FLOW, later.initiated_at + 5, 10)
    assert sorted(told, key=lambda one: one.hold_s) == [SeenCall(None, 5.0), SeenCall("busy", 8.0)]
    assert await store.seen_calls(OTHER, FLOW, NOW, 10) == []


async def test_however_many_calls_go_on_the_latest_that_have_ended_are_told(kit: Kit) -> None:
    store = kit.store
    new = a_new_list(6)
    await store.accept_list(new)
    attempts = [await begin(store, one, number) for number, one in enumerate(new.contacts, 1)]
    for place, at in ((1, NOW + 9), (3, NOW + 4)):
        await end(store, attempts[place], waiting_again(new.contacts[place]), at=at)
    goes_on = SeenCall(None, 10.0)
    latest = [SeenCall("busy", 3.0), goes_on, goes_on]
    for limit, expected in (
        (1, latest),
        (2, [*latest, SeenCall("busy", 8.0), goes_on]),
        (3, [*latest, SeenCall("busy", 8.0), goes_on, goes_on]),
    ):
        told = await store.seen_calls(ACME, FLOW, NOW + 11, limit)
        assert sorted(map(repr, told)) == sorted(map(repr, expected))
