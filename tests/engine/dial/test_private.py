"""What a callee presses is told, unless its question is private."""

from __future__ import annotations

import msgspec
import pytest
from trio.testing import MockClock

from engine.ports.telephony import CallRequest
from sim.telephony import CallScript, Moment, press
from tests.engine.dial.office import office
from tests.engine.made import flow


@pytest.mark.parametrize("is_private", [False, True])
async def test_a_pin_is_in_no_event_and_no_record_where_its_question_is_private(
    autojump_clock: MockClock, is_private: bool
) -> None:
    pin = {"type": "gather", "digits": 4, "variable": "pin", "private": is_private, "next": "bye"}
    asks = flow(definition={"start": "pin", "nodes": {"pin": pin, "bye": {"type": "hangup"}}})

    def choose(_request: CallRequest, _before: int) -> CallScript:
        return CallScript(keys=press("4711", Moment(1.0)))

    async with office(choose, asks) as one:
        await one.call("cnt_x")
        await one.until_told("contact.completed", 1)
        [attempt] = await one.attempts()
        [completed] = one.events("contact.completed")
        pressed, result = ("", {}) if is_private else ("4711", {"pin": "4711"})
        assert (attempt.disposition, attempt.digits, attempt.result) == (
            "answered",
            pressed,
            result,
        )
        said = {} if is_private else {"digits": pressed, "result": result}
        assert completed["data"] == {
            "disposition": "answered",
            "reference": None,
            "number": attempt.number,
            **said,
        }
        everything = msgspec.json.encode([one.told, attempt]).decode()
        assert ("4711" in everything) is not is_private
