"""Frames between the control process and the plane."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media import control
from engine.ports.telephony import MediaStatistics

COMMANDS: list[control.Command] = [
    control.Open([1, 2, 3]),
    control.Connect(1, "192.0.2.1", 4000, 8),
    control.Play(1, 7, "hello"),
    control.Stop(1, 7),
    control.Close(1),
    control.Report(),
]
STATISTICS = MediaStatistics(10, 9, 0.1, 1.5)
EVENTS: list[control.Event] = [
    control.Opened(1, 20_000),
    control.Refused(2, "no_port"),
    control.PlayEnded(1, 7, "finished", STATISTICS),
    control.Dropped(1, "network is unreachable", STATISTICS),
    control.Closed(1, STATISTICS),
    control.Reported(control.PlaneStatistics(streams=3)),
]


@given(st.lists(st.integers(1, 40), max_size=60))
def test_frames_survive_whatever_way_they_are_cut(cuts: list[int]) -> None:
    data = b"".join(control.encode_frame([command]) for command in COMMANDS)
    data += control.encode_frame(COMMANDS)
    reader = control.FrameReader()
    bodies: list[bytes] = []
    for cut in [*cuts, len(data)]:
        bodies += reader.feed(data[:cut])
        data = data[cut:]
    received = [command for body in bodies for command in control.decode_commands(body)]
    assert received == COMMANDS * 2


def test_events_come_back_as_they_were() -> None:
    (body,) = control.FrameReader().feed(control.encode_frame(EVENTS))
    assert control.decode_events(body) == EVENTS


def test_a_frame_beyond_the_bound_breaks_the_connection_before_it_is_read() -> None:
    with pytest.raises(control.ControlBroken):
        control.FrameReader().feed(struct.pack("!I", control.FRAME_LENGTH_MAX + 1))


@given(st.binary(max_size=200))
def test_whatever_a_frame_holds_only_control_broken_leaves(body: bytes) -> None:
    for decode in (control.decode_commands, control.decode_events):
        try:
            messages = decode(body)
        except control.ControlBroken:
            continue
        assert isinstance(messages, list)


def test_a_deeply_nested_frame_is_broken_not_a_crash() -> None:
    with pytest.raises(control.ControlBroken):
        control.decode_events(b"\x91" * 100_000)
