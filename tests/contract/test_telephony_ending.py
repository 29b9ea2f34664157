"""What every `Telephony` promises of a call that ends, or is taken away, in the middle of something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import pytest
import trio

from engine.ports.telephony import Call, CallEnded, Telephony
from tests.contract.test_telephony_hearing import TALK_S, answered, telephony

pytestmark = pytest.mark.punctual

__all__ = ["telephony"]

LATER_S: Final = 0.2
"""When one side hangs up, after the other has begun to do something."""
ALL_KEYS: Final = "0123456789*#ABCD"
"""Four times that is the most that is sent in one go, and takes longer than the callee stays."""
WORK: Final[dict[str, Callable[[Call], Awaitable[object]]]] = {
    "send_digits": lambda call: call.send_digits(ALL_KEYS * 4),
    "next_digit": lambda call: call.next_digit(),
    "wait_for_beep": lambda call: call.wait_for_beep(),
    "play": lambda call: _play_on(call),
}
"""What takes longer than any call of these tests, and is told by `CallEnded` that the call is over."""


async def _play_on(call: Call) -> None:
    while True:
        await call.play("prm_tone")


async def hang_up_later(call: Call) -> None:
    await trio.sleep(LATER_S)
    call.hang_up()


@pytest.mark.parametrize("work", WORK.values(), ids=WORK.keys())
async def test_hanging_up_ends_whatever_is_done_on_a_call(
    telephony: Telephony, work: Callable[[Call], Awaitable[object]]
) -> None:
    async with answered(telephony, "9200") as call, trio.open_nursery() as nursery:
        nursery.start_soon(hang_up_later, call)
        with pytest.raises(CallEnded) as caught:
            await work(call)
        assert caught.value.ended == await call.wait_ended()
        assert caught.value.ended.how == "we_hung_up"


async def test_a_callee_who_hangs_up_while_keys_are_sent_ends_that(telephony: Telephony) -> None:
    async with answered(telephony, "9200") as call:
        began = trio.current_time()
        with pytest.raises(CallEnded) as caught:
            await call.send_digits(ALL_KEYS * 4)
        assert caught.value.ended.how == "callee_hung_up"
        assert trio.current_time() - began <= TALK_S + 0.5


async def test_keys_are_sent_one_after_the_other_and_the_call_goes_on(telephony: Telephony) -> None:
    async with answered(telephony, "9200") as call:
        began = trio.current_time()
        await call.send_digits("1#")
        assert 0.1 <= trio.current_time() - began <= 1.0
        call.hang_up()
        with pytest.raises(CallEnded):
            await call.send_digits("1")


@pytest.mark.parametrize("keys", ["x", "1 2", "१", ALL_KEYS * 4 + "1"])
async def test_what_is_no_key_or_too_much_is_not_sent(telephony: Telephony, keys: str) -> None:
    async with answered(telephony, "9200") as call:
        with pytest.raises(ValueError, match="can be sent"):
            await call.send_digits(keys)


async def test_hanging_up_ends_a_recording_and_keeps_it(telephony: Telephony) -> None:
    async with answered(telephony, "9200") as call, trio.open_nursery() as nursery:
        nursery.start_soon(hang_up_later, call)
        recorded = await call.record("rec_1", max_s=30)
        assert (recorded.recording, recorded.ending) == ("rec_1", "call_ended")
        assert recorded.duration_s <= LATER_S + 0.3


@pytest.mark.parametrize("who", [0, 1])
async def test_hanging_up_one_of_two_bridged_calls_gives_that_one_back(
    telephony: Telephony, who: int
) -> None:
    async with (
        answered(telephony, "9200") as first,
        answered(telephony, "9202") as second,
        trio.open_nursery() as nursery,
    ):
        calls = (first, second)
        nursery.start_soon(hang_up_later, calls[who])
        assert await first.bridge(second) is calls[who]
        assert (await calls[who].wait_ended()).how == "we_hung_up"
        other = calls[1 - who]
        await other.send_digits("1")  # it goes on


async def test_keys_that_are_pressed_on_a_bridge_are_still_there_for_whoever_asks(
    telephony: Telephony,
) -> None:
    async with (
        answered(telephony, "9202") as other,
        answered(telephony, "9201") as presser,
    ):
        assert await other.bridge(presser) is presser
        assert [await presser.next_digit() for _ in range(3)] == ["1", "2", "#"]
        with pytest.raises(CallEnded):
            await presser.next_digit()


@pytest.mark.parametrize("work", WORK.values(), ids=WORK.keys())
async def test_work_that_is_taken_away_leaves_the_call_as_it_was(
    telephony: Telephony, work: Callable[[Call], Awaitable[object]]
) -> None:
    async with answered(telephony, "9200") as call:
        with trio.move_on_after(LATER_S) as taken:
            await work(call)
        assert taken.cancelled_caught
        await call.send_digits("1")
        await call.play("prm_tone")
        assert (await call.wait_ended()).how == "callee_hung_up"
