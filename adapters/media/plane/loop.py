"""The plane's process: one loop that makes and takes the RTP of all streams every 20 ms.

    python -m adapters.media.plane.loop --control FD --bind HOST --ports FIRST-LAST --prompts FOLDER
        [--recordings FOLDER] [--opus] [--way fastest|sockets] [--scheduling realtime|ordinary]

There is no trio in it and no thread. While streams are connected, or somebody waits for what is heard of
one, the loop runs on an absolute clock: tick n is due at start + n * 2 ms, and serves a tenth of the
streams, the control socket and what was received. Else it sleeps in the control socket. When that socket
closes, whoever started the plane is gone, and so is the plane: it can never be an orphan, and needs no
signal to end. It ignores SIGINT and SIGTERM, which a terminal or a service manager sends to the whole group:
calls that are being drained still need their sound.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from adapters.media import control
from adapters.media.codecs import opus
from adapters.media.plane.hearing import SLOTS_PER_ROW
from adapters.media.plane.stream_table import PHASES
from adapters.media.plane.switchboard import Switchboard
from adapters.media.recording.link import RecorderLink
from adapters.media.sockets.endpoint import PortPicker
from adapters.media.sockets.way import PLAIN, choose_way

TICK_NS: Final = 20_000_000 // PHASES
NS_PER_MS: Final = 1_000_000
CATCH_UP_NS: Final = 100_000_000
"""After standing still for less than this, what was missed is sent at once: a receiver's buffer may
still want it. After more, the clock starts anew, and the sound goes on later but whole."""
STREAMS_MAX: Final = 10_000
"""Streams of one plane: beyond what one core can send."""
DESCRIPTORS_SPARE: Final = 64
"""Descriptors that are not streams' sockets."""
DESCRIPTORS_PER_STREAM: Final = 2.25
"""Two ports, and an ear in every fourth: only streams that began lately have one."""
REALTIME_PRIORITY: Final = 1
"""The lowest of the real-time priorities goes before everything that has none."""
CONTROL_READ_MAX: Final = 65_536
"""Octets of commands that one tick takes: some thousand of them."""
OBEY_NS_MIN: Final = 1_000_000
"""What commands have of every tick's 2 ms. Where the tick leaves more, they have that; those that are left
wait for the next: a thousand calls that end at once take 100 ms, and nobody else may wait for all of them."""
OPENING_COMMANDS_MAX: Final = 32
"""While more commands wait than these no further streams are opened: who gets one could not use it yet."""
COMMANDS_WAITING_MAX: Final = 20_000
"""Commands that wait in the plane; further ones wait in the socket."""
EVENTS_WAITING_MAX: Final = 8 << 20
"""Octets of events that may wait for a control process that does not read; then the plane ends."""


class ControlClosed(Exception):
    """The control process is gone, or has not read for so long that it might as well be."""


class ControlLink:
    """The plane's end of the control socket. It never blocks but in `wait`."""

    def __init__(self, endpoint: socket.socket) -> None:
        endpoint.setblocking(False)
        self._endpoint = endpoint
        self._readable = select.poll()
        self._readable.register(endpoint, select.POLLIN)
        self._reader = control.FrameReader()
        self._waiting = bytearray()

    def wait(self) -> None:
        """Sleep until there is something to receive, or room for what could not be sent."""
        # Not select(): the parent chose the descriptor, and it may be beyond 1,023.
        poller = select.poll()
        wanted = select.POLLIN | select.POLLOUT if self._waiting else select.POLLIN
        poller.register(self._endpoint, wanted)
        poller.poll()

    def receive(self) -> list[control.Command]:
        """The commands that have come. Raises `ControlClosed` and `ControlBroken`."""
        # Nearly always there are none, and an exception costs more than this call.
        if not self._readable.poll(0):
            return []
        try:
            data = self._endpoint.recv(CONTROL_READ_MAX)
        except BlockingIOError:
            return []
        except ConnectionError as error:
            raise ControlClosed from error
        if not data:
            raise ControlClosed
        bodies = self._reader.feed(data)
        return [command for body in bodies for command in control.decode_commands(body)]

    def send(self, events: list[control.Event]) -> None:
        """Send these events, and what is still waiting, as far as the socket takes them."""
        if events:
            self._waiting += control.encode_frame(events)
            if len(self._waiting) > EVENTS_WAITING_MAX:
                raise ControlClosed
        if not self._waiting:
            return
        try:
            del self._waiting[: self._endpoint.send(self._waiting)]
        except BlockingIOError:
            return
        except ConnectionError as error:
            raise ControlClosed from error


class Plane:
    """The loop."""

    def __init__(
        self,
        link: ControlLink,
        board: Switchboard,
        now_ns: Callable[[], int],
        sleep: Callable[[float], None],
    ) -> None:
        self._link = link
        self._board = board
        self._now_ns = now_ns
        self._sleep = sleep
        self._commands: deque[control.Command] = deque()
        """Those that wait for their turn, in the order in which they came."""
        self._due_ns = 0
        self._phase = 0
        self._packets_sent = 0
        self._packets_failed = 0
        self._ticks = 0
        self._ticks_late = 0
        self._ticks_skipped = 0
        self._lateness_ms = [0] * (control.LATENESS_MS_MAX + 1)

    def run(self) -> None:
        """Serve until the control process is gone. Raises `ControlBroken`."""
        was_running = False
        try:
            while True:
                if self._board.is_running:
                    if not was_running:
                        self._due_ns = self._now_ns()
                    self._tick()
                elif not self._board.is_opening and not self._commands:
                    self._link.wait()
                was_running = self._board.is_running
                self._serve_control()
        except ControlClosed:
            return

    def statistics(self) -> control.PlaneStatistics:
        """How the plane is."""
        return control.PlaneStatistics(
            streams=self._board.streams,
            sending=self._board.sending,
            packets_sent=self._packets_sent,
            packets_failed=self._packets_failed,
            packets_received=self._board.hearing.packets_received,
            rtcp_received=self._board.hearing.rtcp_received,
            rtcp_sent=self._board.desk.sent,
            rtcp_malformed=self._board.desk.malformed,
            packets_relayed=self._board.relay.packets,
            bridges=self._board.relay.bridges,
            packets_flooded=self._board.allowance.packets_flooded,
            srtp_rejected=self._board.shields.packets_rejected,
            strangers_packets=self._board.hearing.strangers_packets,
            ticks=self._ticks,
            ticks_late=self._ticks_late,
            ticks_skipped=self._ticks_skipped,
            lateness_ms=self._lateness_ms.copy(),
        )

    def _tick(self) -> None:
        early_ns = self._due_ns - self._now_ns()
        if early_ns > 0:
            self._sleep(early_ns / 1e9)
        began_ns = self._now_ns()
        sent, failed = self._board.send(self._phase)
        ended_ns = self._now_ns()
        self._packets_sent += sent
        self._packets_failed += failed
        late_ns = began_ns - self._due_ns
        self._note_lateness(sent + failed, late_ns, ended_ns - self._due_ns)
        self._board.hear(ended_ns)
        self._phase = (self._phase + 1) % PHASES
        self._ticks += 1
        self._ticks_late += late_ns >= TICK_NS
        skipped = late_ns // TICK_NS if late_ns > CATCH_UP_NS else 0
        self._ticks_skipped += skipped
        self._due_ns += (1 + skipped) * TICK_NS

    def _note_lateness(self, count: int, first_ns: int, last_ns: int) -> None:
        """Count packets that left one after the other between these two moments."""
        first_ms = max(0, first_ns // NS_PER_MS)
        last_ms = min(max(0, last_ns // NS_PER_MS), control.LATENESS_MS_MAX)
        before = 0
        for whole_ms in range(first_ms, last_ms):
            passed_ns = (whole_ms + 1) * NS_PER_MS - first_ns
            until_now = count * passed_ns // (last_ns - first_ns)
            self._lateness_ms[whole_ms] += until_now - before
            before = until_now
        self._lateness_ms[last_ms] += count - before

    def _serve_control(self) -> None:
        board = self._board
        if len(self._commands) < COMMANDS_WAITING_MAX:
            for command in self._link.receive():
                if isinstance(command, control.Report):
                    # Whoever asks whether the plane still lives does not wait for what others want.
                    board.events.append(control.Reported(self.statistics()))
                elif isinstance(command, control.Open):
                    # New streams have a bound of their own, and nothing that was said before is of them.
                    board.obey(command)
                else:
                    self._commands.append(command)
        self._obey_some()
        if board.is_opening and len(self._commands) <= OPENING_COMMANDS_MAX:
            board.open_some()
        events, board.events = board.events, []
        self._link.send(events)

    def _obey_some(self) -> None:
        """Obey what has come, for as long as the next tick can wait."""
        if not self._commands:
            return
        until_ns = max(self._due_ns, self._now_ns() + OBEY_NS_MIN)
        while self._commands:
            self._board.obey(self._commands.popleft())
            if self._now_ns() >= until_ns:
                return


def main() -> None:
    """Run a plane on the control socket that was handed down."""
    options = _read_options()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    first_port, last_port = (int(port) for port in options.ports.split("-"))
    chance = np.random.default_rng()
    skip = int(chance.integers(last_port - first_port + 1))
    capacity = _raise_descriptor_limit()
    if options.opus:
        opus.load()
    way = choose_way(SLOTS_PER_ROW * capacity) if options.way == "fastest" else PLAIN
    board = Switchboard(
        prompts=Path(options.prompts),
        bind_host=options.bind,
        picker=PortPicker(first_port, last_port, skip),
        way=way,
        capacity=capacity,
        chance=chance,
        recorder=RecorderLink(options.recordings) if options.recordings else None,
        # Taken once: a clock that is set meanwhile must not spoil round trips.
        unix_minus_monotonic_ns=time.time_ns() - time.monotonic_ns(),
    )
    is_realtime = options.scheduling == "realtime" and _take_priority()
    board.events.append(control.Started(way.name, way.reason, is_realtime))
    # The loop makes no cycles, and a collection would be heard.
    gc.collect()
    gc.disable()
    with socket.socket(fileno=options.control) as endpoint:
        Plane(ControlLink(endpoint), board, time.monotonic_ns, time.sleep).run()
    board.close_all()


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m adapters.media.plane.loop")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--bind", required=True)
    parser.add_argument("--ports", required=True)
    parser.add_argument("--prompts", required=True)
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--opus", action="store_true")
    parser.add_argument("--way", choices=["fastest", "sockets"], default="fastest")
    parser.add_argument("--scheduling", choices=["realtime", "ordinary"], default="realtime")
    return parser.parse_args()


def _take_priority() -> bool:
    """Go before every ordinary process, where the system allows it: root, or `ulimit -r` above 0.

    The loop needs little at a time, but at once; among processes that are busy it is served too
    late. Without the right to it the plane runs all the same, and its lateness is in its figures.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REALTIME_PRIORITY))
    except OSError:
        return False
    return True


def _raise_descriptor_limit() -> int:
    """Take as many descriptors as this process may have without asking anyone: enough for so many
    streams."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(STREAMS_MAX * DESCRIPTORS_PER_STREAM) + DESCRIPTORS_SPARE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return int((wanted - DESCRIPTORS_SPARE) / DESCRIPTORS_PER_STREAM)


if __name__ == "__main__":
    main()
