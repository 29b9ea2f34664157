"""Conditions on what a request changes, for every store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from engine.control import precondition
from engine.control.precondition import Precondition
from engine.model import Account, CallList, Did, Flow
from engine.ports.moving import ListEdit
from engine.ports.store import Store
from engine.ports.stored import Conflict
from tests.contract.store_samples import (
    ACME,
    FLOW,
    LIST,
    NOW,
    Kit,
    a_did,
    a_new_list,
)

DID = "+911"
LATER = NOW + 5_000


async def same(store: Store) -> tuple[Any, ...]:
    """Everything that the changes below are about."""
    return (
        await store.get_account(ACME),
        await store.get_any_did(DID),
        await store.get_flow(ACME, FLOW),
        await store.get_list(ACME, LIST),
    )


CHANGES: dict[str, tuple[type[Struct], Callable[[Store], Awaitable[Any]]]] = {
    "an account is changed": (Account, lambda store: store.change_account(ACME, lambda one: one)),
    "a DID is changed": (Did, lambda store: store.change_did(ACME, DID, lambda one: one)),
    "a DID is removed": (Did, lambda store: store.remove_did(ACME, DID)),
    "a flow is changed": (Flow, lambda store: store.change_flow(ACME, FLOW, lambda one: one)),
    "a list is rescheduled": (
        CallList,
        lambda store: store.edit_list(ACME, LIST, ListEdit(LATER), NOW),
    ),
}


async def furnish(kit: Kit) -> None:
    await kit.store.add_did(a_did(DID))
    await kit.store.accept_list(a_new_list())


@pytest.mark.parametrize("name", CHANGES)
async def test_what_is_not_as_the_request_wants_it_is_not_changed(kit: Kit, name: str) -> None:
    await furnish(kit)
    kind, change = CHANGES[name]
    before, seen = await same(kit.store), []

    def never(present: Any) -> bool:
        seen.append(present)
        return False

    precondition.begin(Precondition(kind, never))
    with pytest.raises(Conflict) as refused:
        await change(kit.store)
    precondition.begin(None)
    assert refused.value.code == "precondition_failed"
    assert await same(kit.store) == before
    assert all(isinstance(one, kind) and one in before for one in seen)
    assert seen


@pytest.mark.parametrize("name", CHANGES)
async def test_what_is_as_the_request_wants_it_is_changed(kit: Kit, name: str) -> None:
    await furnish(kit)
    kind, change = CHANGES[name]
    precondition.begin(Precondition(kind, lambda present: isinstance(present, kind)))
    assert await change(kit.store)


async def test_a_flow_that_is_not_as_the_request_wants_it_is_not_deleted(kit: Kit) -> None:
    present = await kit.store.get_flow(ACME, FLOW)
    assert present is not None
    precondition.begin(Precondition(Flow, lambda one: one == msgspec.structs.replace(one, name="")))
    with pytest.raises(Conflict) as refused:
        await kit.store.delete_flow(ACME, FLOW)
    assert refused.value.code == "precondition_failed"
    assert await kit.store.get_flow(ACME, FLOW) == present
    precondition.begin(Precondition(Flow, lambda one: one == present))
    assert await kit.store.delete_flow(ACME, FLOW)


async def test_a_condition_on_a_thing_is_none_on_things_of_other_kinds(kit: Kit) -> None:
    await furnish(kit)
    precondition.begin(Precondition(Flow, lambda present: False))
    assert await kit.store.change_account(ACME, lambda one: one) is not None


async def test_a_list_counts_what_people_do_to_it_and_not_what_calls_do(kit: Kit) -> None:
    await furnish(kit)
    store, revisions = kit.store, []

    async def note() -> None:
        found = await store.get_list(ACME, LIST)
        assert found is not None
        revisions.append(found.revision)

    await note()
    for change in ("pause", "pause", "resume"):
        await store.set_list_status(ACME, LIST, change, NOW)
        await note()
    await store.edit_list(ACME, LIST, ListEdit(LATER), NOW)
    while not (moved := await store.move_contacts(100)) or not moved.is_done:
        pass
    await note()
    assert revisions == [0, 1, 1, 2, 3]
