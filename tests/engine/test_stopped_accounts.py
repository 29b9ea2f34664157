"""The kill switch: an account that is stopped makes no call, and those that go on end."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.made import EPOCH, contact, did, flow
from tests.engine.world import furnish, make_store, people, running


async def test_no_call_begins_after_an_account_is_stopped_and_those_that_go_on_end(
    autojump_clock: MockClock,
) -> None:
    async with running() as world:
        await world.add_list(people(200))
        await trio.sleep(5)
        assert world.engine.statistics().calls > 10
        stopped = await world.engine.holding.stop_account("default")
        assert stopped is not None
        assert stopped.stopped_at == EPOCH + 5
        before = len(world.dial_times())
        await trio.sleep(3_600)
        assert len(world.dial_times()) == before
        assert world.engine.statistics().calls == 0
        waiting = [one for one in await world.contacts() if one.state == "open"]
        assert waiting
        explained = await world.engine.explain(waiting)
        assert {(one.code, one.until) for one in explained if one is not None} == {
            ("account_stopped", None)
        }
        assert await world.engine.holding.start_account("acc_1") is not None
        await world.wait_done()
        answered = [one for one in await world.contacts() if one.disposition == "answered"]
        assert len(answered) == 200


async def test_an_account_stays_stopped_over_a_restart_and_whatever_else_is_changed(
    autojump_clock: MockClock,
) -> None:
    store = make_store()
    await furnish(store, [flow()], [did()])
    async with running(store=store) as world:
        await world.engine.holding.stop_account("default")
        again = await world.engine.holding.stop_account("default")
        assert again is not None
        assert again.stopped_at == EPOCH
    async with running(store=store) as world:
        await world.add_list(people(3))
        await world.engine.administration.change_account("default", {"timezone": "Asia/Tokyo"})
        await trio.sleep(100)
        assert world.dial_times() == []
        await world.engine.holding.start_account("default")
        await world.wait_done()
        assert await world.engine.holding.stop_account("nobody") is None
        assert await world.engine.holding.start_account("nobody") is None


async def test_a_redirection_to_a_premium_number_is_not_followed(
    autojump_clock: MockClock,
) -> None:
    def choose(_request: CallRequest, _before: int) -> CallScript:
        return CallScript(code=302, redirected_to="+19005550123")

    async with running(choose, destinations=("+1",)) as world:
        await world.add_list(people(1))
        await world.wait_done()
        assert [one.request.number for one in world.telephony.dialed] == ["+14150000000"]
        assert [one.disposition for one in await world.contacts()] == ["failed"]


async def test_a_contact_that_came_in_before_its_range_was_barred_is_skipped(
    autojump_clock: MockClock,
) -> None:
    async with running(destinations=("+1",)) as world:
        await world.add_list([contact(tel=("+19005550123",))])
        await world.wait_done()
        assert world.dial_times() == []
        assert [one.disposition for one in await world.contacts()] == ["skipped"]
