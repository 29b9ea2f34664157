"""The loop of the plane on a clock that the test holds: real sockets, no waiting."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.media import control
from adapters.media.plane.loop import ControlClosed, ControlLink, Plane
from adapters.media.plane.switchboard import Switchboard
from adapters.media.sockets.endpoint import PortPicker
from adapters.media.sockets.way import PLAIN

MS = 1_000_000
STREAMS = 10
"""One for each tick of the 20 ms."""


class Clock:
    """Stands still but for sleeps, oversleeps where it is told to, and hangs up at the end."""

    def __init__(self, end_ms: int, oversleeps_ms: dict[int, int], peer: socket.socket) -> None:
        self._now_ns = 0
        self._end_ns = end_ms * MS
        self._oversleeps_ms = oversleeps_ms
        self._peer = peer
        self.woken_ms: list[float] = []

    def now_ns(self) -> int:
        return self._now_ns

    def pass_by(self, duration_ns: int) -> None:
        self._now_ns += duration_ns

    def sleep(self, duration_s: float) -> None:
        due_ns = self._now_ns + round(duration_s * 1e9)
        self._now_ns = due_ns + self._oversleeps_ms.get(due_ns // MS, 0) * MS
        self.woken_ms.append(due_ns / MS)
        if due_ns >= self._end_ns:
            self._peer.close()


@pytest.fixture
def sink() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        yield endpoint


def open_streams(board: Switchboard, sink: socket.socket) -> None:
    board.obey(control.Open(list(range(STREAMS))))
    while board.is_opening:
        board.open_some()
    host, port = sink.getsockname()
    for stream in range(STREAMS):
        board.obey(control.Connect(stream, host, port, 0))


def run_plane(
    folder: Path, sink: socket.socket, end_ms: int, oversleeps_ms: dict[int, int]
) -> tuple[control.PlaneStatistics, list[float]]:
    board = Switchboard(
        folder,
        "127.0.0.1",
        PortPicker(0, 0),
        PLAIN,
        capacity=STREAMS,
        chance=np.random.default_rng(1),
    )
    open_streams(board, sink)
    ours, peer = socket.socketpair()
    clock = Clock(end_ms, oversleeps_ms, peer)
    plane = Plane(ControlLink(ours), board, clock.now_ns, clock.sleep)
    with ours:
        plane.run()
    statistics = plane.statistics()
    board.close_all()
    return statistics, clock.woken_ms


def expected(ticks: int, late: dict[int, int], **others: int) -> control.PlaneStatistics:
    histogram = [0] * (control.LATENESS_MS_MAX + 1)
    histogram[0] = ticks - sum(late.values())
    for late_ms, packets in late.items():
        histogram[late_ms] = packets
    return control.PlaneStatistics(
        streams=STREAMS,
        sending=STREAMS,
        packets_sent=ticks,
        ticks=ticks,
        lateness_ms=histogram,
        **others,
    )


def test_ticks_come_every_2_ms_and_send_a_tenth_of_the_streams(
    tmp_path: Path, sink: socket.socket
) -> None:
    statistics, woken_ms = run_plane(tmp_path, sink, 40, {})
    assert statistics == expected(ticks=21, late={})
    assert woken_ms == [float(ms) for ms in range(2, 42, 2)]


def test_what_was_overslept_is_sent_at_once_and_the_clock_does_not_drift(
    tmp_path: Path, sink: socket.socket
) -> None:
    statistics, woken_ms = run_plane(tmp_path, sink, 40, {10: 7})
    assert statistics == expected(ticks=21, late={7: 1, 5: 1, 3: 1, 1: 1}, ticks_late=3)
    assert woken_ms == [float(ms) for ms in (2, 4, 6, 8, 10, *range(18, 42, 2))]


def test_after_standing_still_the_clock_starts_anew_and_no_burst_is_sent(
    tmp_path: Path, sink: socket.socket
) -> None:
    statistics, woken_ms = run_plane(tmp_path, sink, 260, {10: 240})
    # The tick that was due at 10 ms goes out at 250; those due from 12 to 250 are given up.
    assert statistics == expected(ticks=11, late={20: 1}, ticks_late=1, ticks_skipped=120)
    assert woken_ms == [2.0, 4.0, 6.0, 8.0, 10.0, 252.0, 254.0, 256.0, 258.0, 260.0]


def test_a_plane_without_streams_sleeps_in_its_control_socket(tmp_path: Path) -> None:
    board = Switchboard(tmp_path, "127.0.0.1", PortPicker(0, 0), PLAIN, 1, np.random.default_rng(1))
    ours, peer = socket.socketpair()
    waits: list[str] = []

    class Link(ControlLink):
        def wait(self) -> None:
            waits.append("waited")
            if len(waits) == 3:
                peer.close()

    def never() -> int:
        raise AssertionError("the clock of a plane without streams is not looked at")

    with ours:
        Plane(Link(ours), board, never, lambda _: None).run()
    board.close_all()
    assert waits == ["waited"] * 3


class SlowBoard(Switchboard):
    """One on which every command takes 0.1 ms."""

    clock: Clock | None = None
    obeyed = 0

    def obey(self, command: control.Command) -> None:
        super().obey(command)
        if self.clock is not None:
            self.clock.pass_by(MS // 10)
            self.obeyed += 1


def test_a_thousand_calls_that_end_at_once_let_no_other_call_wait(
    tmp_path: Path, sink: socket.socket
) -> None:
    board = SlowBoard(
        tmp_path, "127.0.0.1", PortPicker(0, 0), PLAIN, STREAMS, np.random.default_rng(1)
    )
    open_streams(board, sink)
    ours, peer = socket.socketpair()
    board.clock = clock = Clock(240, {}, peer)
    commands: list[control.Command] = [control.Close(STREAMS + n) for n in range(1_000)]
    peer.sendall(control.encode_frame([*commands, control.Open([99]), control.Report()]))
    obeyed_by_then: list[int] = []

    class Link(ControlLink):
        def send(self, events: list[control.Event]) -> None:
            # The answers to the last two: the plane is full, and lives.
            if [type(event) for event in events[-2:]] == [control.Refused, control.Reported]:
                obeyed_by_then.append(board.obeyed)

    with ours:
        plane = Plane(Link(ours), board, clock.now_ns, clock.sleep)
        plane.run()
        assert (board.obeyed, plane.statistics()) == (1_001, expected(ticks=121, late={}))
    # Whoever asks for a stream, or whether the plane lives, does not wait for those who hang up.
    assert obeyed_by_then
    assert obeyed_by_then[0] < 50
    board.close_all()


def test_a_plane_whose_events_nobody_reads_ends(tmp_path: Path) -> None:
    ours, peer = socket.socketpair()
    with ours, peer:
        link = ControlLink(ours)
        events: list[control.Event] = [control.Refused(1, "no_port")] * 100_000

        def send_for_ever() -> None:
            while True:
                link.send(events)

        with pytest.raises(ControlClosed):
            send_for_ever()
