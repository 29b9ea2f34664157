"""Lists that were picked up from folders, for every store."""

from __future__ import annotations

import msgspec
import pytest

from engine.model.pickup import DropState, FileMark, Pickup, file_refused, state_changed
from engine.ports.intake_store import NewList
from engine.ports.stored import PickedUp
from tests.contract.store_samples import ACME, FLOW, NOW, OTHER, Kit, a_new_list, all_pages

PLACE = "sftp://lists@files.example.com:22/~/."
FILE = FileMark("leads.csv", 120, 1_000_000_000, b"\1" * 32)


def make_pickup(number: int, **changes: object) -> Pickup:
    """A pick-up of another file for each number."""
    file = msgspec.structs.replace(FILE, name=f"leads-{number}.csv")
    pickup = Pickup(f"pck_{number}", ACME, FLOW, "sftp", PLACE, file, NOW + number, "Taken.")
    return msgspec.structs.replace(pickup, **changes)


def made_list(call_list: str, contacts: int, pickup: Pickup) -> NewList:
    """A list that was picked up."""
    return msgspec.structs.replace(a_new_list(contacts, call_list), pickup=pickup)


async def keep(kit: Kit, pickup: Pickup) -> Pickup | None:
    """Keep a file that was refused."""
    flow = await kit.store.get_flow(ACME, FLOW)
    assert flow is not None
    return await kit.store.keep_refusal(pickup, file_refused(flow, pickup, "No."))


async def test_a_list_and_its_pickup_are_made_together_and_only_once(kit: Kit) -> None:
    pickup = make_pickup(1, list="lst_1")
    await kit.store.accept_list(made_list("lst_1", 2, pickup))
    assert await kit.store.find_pickup(ACME, FLOW, PLACE, pickup.file) == pickup
    assert await kit.store.find_pickup(OTHER, FLOW, PLACE, pickup.file) is None
    second = msgspec.structs.replace(pickup, id="pck_2", list="lst_2")
    with pytest.raises(PickedUp) as caught:
        await kit.store.accept_list(made_list("lst_2", 2, second))
    assert caught.value.pickup == pickup
    assert await kit.store.get_list(ACME, "lst_2") is None


async def test_a_large_list_keeps_its_pickup_too(kit: Kit) -> None:
    pickup = make_pickup(1, list="lst_1")
    await kit.store.accept_list(made_list("lst_1", 1_200, pickup))
    assert await kit.store.find_pickup(ACME, FLOW, PLACE, pickup.file) == pickup
    second = made_list("lst_2", 1_200, make_pickup(1, id="pck_2"))
    with pytest.raises(PickedUp):
        await kit.store.accept_list(second)
    async with kit.store.take_list(ACME, FLOW) as taking:
        await taking.add(second.contacts, ())
        with pytest.raises(PickedUp):
            await taking.publish(msgspec.structs.replace(second, contacts=()))
    assert await kit.store.get_list(ACME, "lst_2") is None


async def test_a_file_that_is_gone_may_come_again(kit: Kit) -> None:
    first = make_pickup(1, code="not_csv")
    assert await keep(kit, first) is None
    assert await keep(kit, make_pickup(1, id="pck_2")) == first
    gone = msgspec.structs.replace(first, removed_at=NOW + 5)
    await kit.store.note_pickup_steps(gone)
    assert await kit.store.find_pickup(ACME, FLOW, PLACE, first.file) is None
    assert await keep(kit, make_pickup(1, id="pck_2")) is None


async def test_a_pickup_is_left_until_all_its_steps_are_done(kit: Kit) -> None:
    pickups = [make_pickup(number) for number in range(3)]
    for one in pickups:
        await keep(kit, one)
    done = msgspec.structs.replace(
        pickups[1], removed_at=NOW + 7, reported_at=NOW + 8, told_at=NOW + 9
    )
    half = msgspec.structs.replace(pickups[2], reported_at=NOW + 8)
    await kit.store.note_pickup_steps(done)
    await kit.store.note_pickup_steps(half)
    assert await kit.store.pickups_left(ACME, FLOW, "sftp", 10) == [pickups[0], half]
    assert await kit.store.pickups_left(ACME, FLOW, "sftp", 1) == [pickups[0]]
    assert await kit.store.pickups_left(ACME, FLOW, "folder", 10) == []
    assert await kit.store.pickups_left(OTHER, FLOW, "sftp", 10) == []
    for limit in (1, 2, 10):
        pages = await all_pages(lambda *page: kit.store.list_pickups(ACME, FLOW, *page), limit)
        assert pages == [half, done, pickups[0]]
    assert await kit.store.clear_pickups(NOW + 1, 10) == 0
    assert await kit.store.clear_pickups(NOW + 100, 10) == 1
    assert (await kit.store.list_pickups(ACME, FLOW, 10, None)).items == (half, pickups[0])


async def test_a_refused_file_is_told_of(kit: Kit) -> None:
    await keep(kit, make_pickup(1, code="not_csv"))
    [event] = kit.events_of("door.file_refused")
    assert event["data"] == {
        "door": "sftp",
        "file": "leads-1.csv",
        "code": "not_csv",
        "detail": "No.",
        "pickup": "pck_1",
    }


async def test_how_a_door_stands_is_kept_and_told(kit: Kit) -> None:
    assert await kit.store.drop_state(ACME, FLOW, "sftp") is None
    flow = await kit.store.get_flow(ACME, FLOW)
    assert flow is not None
    failed = DropState("no_rights", "It may not write.", NOW)
    event = state_changed(flow, "sftp", failed)
    await kit.store.keep_drop_state(ACME, FLOW, "sftp", failed, event)
    assert await kit.store.drop_state(ACME, FLOW, "sftp") == failed
    assert await kit.store.drop_state(ACME, FLOW, "folder") is None
    assert await kit.store.drop_state(OTHER, FLOW, "sftp") is None
    well = DropState("ok", "", NOW + 1)
    await kit.store.keep_drop_state(ACME, FLOW, "sftp", well, state_changed(flow, "sftp", well))
    assert await kit.store.drop_state(ACME, FLOW, "sftp") == well
    assert [one["data"] for one in kit.events_of("door.failed")] == [
        {"door": "sftp", "code": "no_rights", "detail": "It may not write."}
    ]
    assert [one["data"] for one in kit.events_of("door.restored")] == [{"door": "sftp"}]


async def test_pickups_of_a_flow_that_is_not_there_are_refused(kit: Kit) -> None:
    flow = await kit.store.get_flow(ACME, FLOW)
    assert flow is not None
    strange = make_pickup(1, flow="flw_none")
    with pytest.raises(LookupError):
        await kit.store.keep_refusal(strange, file_refused(flow, strange, "No."))
    with pytest.raises(LookupError):
        await kit.store.keep_drop_state(OTHER, FLOW, "sftp", DropState("ok", "", NOW), None)
