"""Start times that are changed while contacts wait, in the running engine under virtual time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from engine.form import Invalid
from engine.model import FlowSettings, RetryRule
from engine.model.events import rfc3339
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.made import EPOCH, did, flow
from tests.engine.world import World, everyone_answers, people, running


def start_at(later_s: float) -> dict[str, Any]:
    return {"starttime": rfc3339(EPOCH + later_s)}


async def move(world: World, later_s: float) -> None:
    changed = await world.engine.rescheduling.change_list("acc_1", "lst_1", start_at(later_s))
    assert changed is not None


async def test_no_call_of_a_list_begins_between_the_answer_and_its_later_start(
    autojump_clock: MockClock,
) -> None:
    async with running(dids=[did(cps=10)]) as world:
        await world.add_list(people(300))
        await trio.sleep(10.03)
        await move(world, 86_400)
        moved_at = trio.current_time()
        await world.wait_done(poll_s=300)
        times = world.dial_times()
        assert len([at for at in times if at <= moved_at]) > 50
        assert min(at for at in times if at > moved_at) == pytest.approx(86_400, abs=0.2)
        assert len({one.request.number for one in world.telephony.dialed}) == 300
        assert len(times) == 300


async def test_a_list_for_tomorrow_begins_at_once_when_it_is_moved_to_now(
    autojump_clock: MockClock,
) -> None:
    async with running() as world:
        await world.add_list(people(600, starttime=EPOCH + 86_400, due_at=EPOCH + 86_400))
        await trio.sleep(100)
        await move(world, 0)
        await trio.sleep(5)
        assert world.dial_times()[0] == pytest.approx(100, abs=1)
        await world.wait_done()


async def test_a_list_that_is_due_within_minutes_and_in_hand_goes_by_its_new_start(
    autojump_clock: MockClock,
) -> None:
    async with running() as world:
        await world.add_list(people(3, starttime=EPOCH + 200, due_at=EPOCH + 200))
        await trio.sleep(10)
        await move(world, 20)
        await world.wait_done()
        assert world.dial_times() == pytest.approx([20, 20, 20], abs=0.5)


async def test_other_lists_go_on_while_a_large_one_is_moved(autojump_clock: MockClock) -> None:
    async with running(dids=[did(cps=10)]) as world:
        await world.add_list(people(3_000, starttime=EPOCH + 50_000, due_at=EPOCH + 50_000))
        others = people(3_100, list="lst_2")[3_000:]
        await world.add_list(others, "lst_2")
        await trio.sleep(2)
        await move(world, 60_000)
        await trio.sleep(8)
        times = world.dial_times()
        assert max(after - before for before, after in pairwise(times)) < 1


async def test_a_retry_goes_by_the_later_start(autojump_clock: MockClock) -> None:
    def busy_once(request: CallRequest, before: int) -> CallScript:
        return CallScript(code=486) if before == 0 else everyone_answers(request, before)

    settings = FlowSettings(retry={"busy": RetryRule(tries=1, wait_s=60)})
    async with running(busy_once, flows=[flow(settings=settings)]) as world:
        await world.add_list(people(1))
        await trio.sleep(10)
        await move(world, 5_000)
        await world.wait_done()
        assert world.dial_times() == pytest.approx([0, 5_000], abs=0.5)


async def test_one_contact_in_hand_is_moved_and_the_others_are_not(
    autojump_clock: MockClock,
) -> None:
    async with running(dids=[did(cps=1)]) as world:
        await world.add_list(people(20))
        await trio.sleep(5.5)
        change = world.engine.rescheduling.change_contact
        moved = await change("acc_1", "cnt_000010", start_at(500))
        assert moved is not None
        await world.wait_done()
        when = {one.request.number: one.at for one in world.telephony.dialed}
        assert when.pop("+14150000010") == pytest.approx(500, abs=0.5)
        assert sorted(when.values()) == pytest.approx(range(19), abs=1.2)
        assert len(world.dial_times()) == 20


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ({"starttime": "soon"}, "invalid_starttime"),
        ({"starttime": "2001-01-01T00:00:00Z"}, "starttime_past"),
        ({"starttime": 5}, "invalid_body"),
        ({}, "invalid_body"),
        ({"starttime": "2027-02-01T00:00:00Z", "more": 1}, "invalid_body"),
    ],
)
async def test_a_start_time_that_cannot_be_changes_nothing(
    autojump_clock: MockClock, raw: Any, code: str
) -> None:
    async with running(dids=[did(cps=0.001)]) as world:
        await world.add_list(people(2))
        before = (await world.contacts())[1]
        for change, name in (
            (world.engine.rescheduling.change_list, "lst_1"),
            (world.engine.rescheduling.change_contact, before.id),
        ):
            with pytest.raises(Invalid) as caught:
                await change("acc_1", name, raw)
            assert caught.value.code == code
        assert (await world.contacts())[1] == before
        assert await world.engine.rescheduling.change_list("acc_2", "lst_1", start_at(5)) is None
        assert await world.engine.rescheduling.change_contact("acc_1", "cnt_x", start_at(5)) is None


async def test_a_list_that_is_moved_while_all_its_contacts_are_on_calls_goes_on_after_them(
    autojump_clock: MockClock,
) -> None:
    def busy_at_last(_request: CallRequest, before: int) -> CallScript:
        return CallScript(code=200 if before else 486, final_after_s=20)

    patient = flow(settings=FlowSettings(retry={"busy": RetryRule(1, 60)}))
    async with running(busy_at_last, flows=[patient]) as world:
        await world.add_list(people(2))
        await trio.sleep(5)
        await move(world, 6)
        await trio.sleep(200)
        assert len(world.dial_times()) == 4


async def test_a_list_that_was_moved_while_it_called_is_paused_at_once_afterwards(
    autojump_clock: MockClock,
) -> None:
    def busy_at_last(_request: CallRequest, before: int) -> CallScript:
        return CallScript(code=200 if before else 486, final_after_s=20)

    patient = flow(settings=FlowSettings(retry={"busy": RetryRule(1, 60)}))
    async with running(busy_at_last, flows=[patient], dids=[did(cps=1)]) as world:
        await world.add_list(people(3))
        await trio.sleep(6)
        await move(world, 7)
        await trio.sleep(50)
        feeds = world.engine._scheduler._feeds
        assert set(feeds) == {"lst_1"}
        assert set(feeds["lst_1"].held) == {one.id for one in await world.contacts()}
        await world.engine.pause_list("acc_1", "lst_1")
        await trio.sleep(200)
        assert len(world.dial_times()) == 3
        await world.engine.resume_list("acc_1", "lst_1")
        await world.wait_done()
        assert len(world.dial_times()) == 6


async def test_a_contact_that_is_to_be_called_sooner_while_it_is_being_read_is_called_then(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as world:
        listed = world.store.listed_contacts

        async def look_slowly(*asked: Any) -> list[str]:
            await trio.sleep(1)
            return await listed(*asked)

        monkeypatch.setattr(world.store, "listed_contacts", look_slowly)
        await world.add_list(people(2, starttime=EPOCH + 200, due_at=EPOCH + 200))
        await trio.sleep(0.5)
        await world.engine.rescheduling.change_contact("acc_1", "cnt_000000", start_at(10))
        await world.wait_done()
        assert world.dial_times() == pytest.approx([10, 200], abs=0.5)
