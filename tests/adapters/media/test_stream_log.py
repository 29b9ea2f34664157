"""What the log says of a media stream carries the names of the call that took it, whoever hears of it."""

from __future__ import annotations

from typing import Any

from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import capture_logs

from adapters.media.stream import PlaneStream
from engine.ports.telephony import MediaStatistics


def test_a_flood_is_told_of_with_the_attempt_whose_callee_it_came_from() -> None:
    home: Any = None
    with bound_contextvars(attempt="att_1"):
        stream = PlaneStream(lambda _command: None, 1, 20_000, home)
    with capture_logs(processors=[merge_contextvars]) as logs:
        stream.note_over(MediaStatistics(flooded=3))
    [line] = logs
    assert (line["event"], line["packets"], line["attempt"]) == ("callee_flooded", 3, "att_1")
