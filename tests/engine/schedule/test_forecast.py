"""When a list would end, by its limits and windows."""

from __future__ import annotations

from datetime import datetime

import pytest

from engine.model import CallingWindow
from engine.outlook import Starts
from engine.schedule.calling_hours import CallingHours, Party
from engine.schedule.forecast import ASSUMES, CALL_S, Pace, forecast, narrowest

NOW = datetime.fromisoformat("2030-07-01T12:00:00+00:00").timestamp()
HOUR = 3600.0
ALWAYS = CallingHours((), ())
DAYTIME = CallingHours([Party((CallingWindow(start="09:00", end="13:00"),), "UTC")], ())

NEVER = CallingHours(
    [
        Party((CallingWindow(start="09:00", end="13:00"),), "UTC"),
        Party((CallingWindow(start="14:00", end="15:00"),), "UTC"),
    ],
    (),
)


@pytest.mark.parametrize(
    ("starts", "hours", "last_call_after_s"),
    [
        ([(NOW, 3600)], ALWAYS, 1800),
        ([(NOW - 60, 3600)], ALWAYS, 1800),
        ([(NOW + HOUR, 2)], ALWAYS, HOUR + 1),
        ([(NOW, 7200), (NOW + 60, 7200)], ALWAYS, 2 * HOUR),
        ([(NOW, 2), (NOW + HOUR, 2)], ALWAYS, HOUR + 1),
        ([(NOW, 7200)], DAYTIME, HOUR),
        ([(NOW, 7202)], DAYTIME, 21 * HOUR + 1),
        ([(NOW, 5 * 7200)], DAYTIME, 25 * HOUR),
        ([(NOW + 2 * HOUR, 2)], DAYTIME, 21 * HOUR + 1),
    ],
)
def test_the_last_call_begins_when_the_pace_and_the_windows_let_it(
    starts: Starts, hours: CallingHours, last_call_after_s: float
) -> None:
    found = forecast(starts, Pace(2.0, "did_cps"), hours, NOW)
    assert found.ends_at == NOW + last_call_after_s + CALL_S
    assert (found.calls_per_s, found.bottleneck, found.assumes) == (2.0, "did_cps", ASSUMES)


@pytest.mark.parametrize(
    ("pace", "hours"),
    [
        (Pace(0.0, "no_trunk"), ALWAYS),
        (Pace(1e-9, "did_cps"), DAYTIME),
        (Pace(1.0, "did_cps"), NEVER),
    ],
)
def test_there_is_no_end_in_sight(pace: Pace, hours: CallingHours) -> None:
    assert forecast([(NOW, 1)], pace, hours, NOW).ends_at is None


def test_the_narrowest_limit_makes_the_pace() -> None:
    limits = narrowest([("did_cps", 3.0), ("trunk_channels", 0.5), ("engine_limit", 9.0)])
    assert limits == Pace(0.5, "trunk_channels")
