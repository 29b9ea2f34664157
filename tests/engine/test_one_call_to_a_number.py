"""Two contacts of a list that have a number in common do not ring it together."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from engine.model import Cap
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.made import contact, did
from tests.engine.world import running

SHARED, OTHER = "+14155550123", "+14155550124"


async def test_a_number_that_talks_for_one_contact_is_not_rung_for_another_of_its_list(
    autojump_clock: MockClock,
) -> None:
    def choose(request: CallRequest, _before: int) -> CallScript:
        if request.number == OTHER:
            return CallScript(code=486, final_after_s=1.0)
        return CallScript(talk_s=600, keys=())

    async with running(choose) as world:
        first = contact(tel=(SHARED,))
        second = contact(id="cnt_2", row=2, tel=(OTHER, SHARED))
        await world.add_list([first, second])
        await trio.sleep(4)
        [waiting] = [one for one in await world.contacts() if one.state == "open"]
        [blocker] = await world.engine.explain([waiting])
        assert blocker is not None
        assert blocker.code == "callee_cap"
        await world.wait_done()
        numbers = [one.request.number for one in world.telephony.dialed]
        assert sorted(numbers) == [SHARED, OTHER]
        assert [one.disposition for one in await world.contacts()] == ["answered", "skipped"]


async def test_the_other_contact_has_its_turn_where_nobody_was_reached(
    autojump_clock: MockClock,
) -> None:
    def choose(request: CallRequest, before: int) -> CallScript:
        if request.number == SHARED and before == 0:
            return CallScript(final_after_s=None)
        return CallScript(code=486 if request.number == OTHER else 200, final_after_s=1.0)

    async with running(choose) as world:
        first = contact(tel=(SHARED,))
        second = contact(id="cnt_2", row=2, tel=(OTHER, SHARED))
        await world.add_list([first, second])
        await world.wait_done()
        calls = [one.at for one in world.telephony.dialed if one.request.number == SHARED]
        assert calls[1] - calls[0] >= 45
        assert [one.disposition for one in await world.contacts()] == ["no-answer", "answered"]


async def test_whoever_waits_for_the_end_of_a_call_uses_nothing_of_a_cap_up(
    autojump_clock: MockClock,
) -> None:
    def choose(request: CallRequest, _before: int) -> CallScript:
        if request.number == OTHER:
            return CallScript(code=486, final_after_s=1.0)
        return CallScript(talk_s=600 if request.number == SHARED else 1, keys=())

    async with running(choose, dids=[did(caps=(Cap(6, 86_400),))]) as world:
        first = contact(tel=(SHARED,))
        second = contact(id="cnt_2", row=2, tel=(OTHER, SHARED))
        await world.add_list([first, second])
        await trio.sleep(400)
        others = [
            contact(id=f"cnt_o{n}", list="lst_2", row=n, tel=(f"+1415555020{n}",))
            for n in (1, 2, 3)
        ]
        await world.add_list(others, "lst_2")
        await trio.sleep(60)
        assert len(world.dial_times()) == 5
