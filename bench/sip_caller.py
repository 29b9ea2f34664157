"""The process of `bench.sip` that calls: a user agent, a clock, and nothing behind them.

Usage: `python -m bench.sip_caller alone|with-tasks PORT CALLS CPS`; it prints a `Tally` as JSON.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

import msgspec
import structlog
import trio
from msgspec import Struct

from adapters.media.types import Remote, Stream
from adapters.sip.call.outbox import CallEvent, MediaAgreed
from adapters.sip.call.uac import OutboundCall
from adapters.sip.call.uas import LocalMedia
from adapters.sip.core import Caller, SipCore
from adapters.sip.pump import Mailroom, MessagePump
from adapters.sip.transport.sockets import Failed, Sockets, TlsSettings
from adapters.sip.trunk import Here, Trunk, open_line
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from adapters.sip.wire.hop import Hop
from api.commands.garbage import spare_what_stays
from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import Answered, CallRequest, Ended, MediaStatistics, Recorded

TICK_S = 0.005
"""Calls are begun this often, as many at once as are due."""
FIRST_MEDIA_PORT = 20_000
MEDIA_PORTS = 20_000


class Load(Struct, frozen=True):
    """How many calls, and how many a second."""

    calls: int
    cps: int


class Tally(Struct):
    """What became of a load."""

    answered: int = 0
    retransmissions: int = 0
    cpu_s: float = 0.0
    """Of this process, user and system, from the first call to the end of the last."""
    took_s: float = 0.0
    late_max_s: float = 0.0
    """The most that a call began behind its time; up to a tick is the rhythm of beginning."""


class SilentStream:
    """A port that nothing is sent from."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self, remote: Remote) -> None:
        """Nothing is sent to it."""

    async def play(self, prompt: str) -> None:
        """Every prompt is over at once."""
        await trio.lowlevel.checkpoint()

    async def next_digit(self) -> str:
        """Nobody presses a key."""
        await trio.sleep_forever()

    def forget_digits(self) -> None:
        """There are none."""

    async def send_digits(self, digits: str) -> None:
        """Every key is pressed at once."""
        await trio.lowlevel.checkpoint()

    async def detect_machine(self, parameters: AmdParameters | None = None) -> AmdVerdict:
        """Nobody speaks."""
        await trio.lowlevel.checkpoint()
        return AmdVerdict("unknown", "initial_silence", 0)

    async def wait_for_beep(self) -> None:
        """Nothing beeps."""
        await trio.sleep_forever()

    async def record(
        self, recording: str, *, max_s: float, silence_s: float | None = None, finish_on: str = ""
    ) -> Recorded:
        """Every recording is over at once."""
        await trio.lowlevel.checkpoint()
        return Recorded(recording, 0.0, "max")

    def end_recording(self) -> None:
        pass

    async def bridge(self, other: Stream) -> None:
        """Two silences, for ever."""
        await trio.sleep_forever()

    async def wait_lost(self) -> None:
        """It is never lost."""
        await trio.sleep_forever()

    def statistics(self) -> MediaStatistics:
        """Nothing was heard."""
        return MediaStatistics()

    async def close(self) -> None:
        """There is nothing to free."""


class SilentPlane:
    """Hands out port numbers without opening them."""

    address = "127.0.0.1"

    def __init__(self) -> None:
        self._ports = count()

    async def open_stream(self) -> SilentStream:
        """The next port number."""
        return SilentStream(FIRST_MEDIA_PORT + 2 * next(self._ports) % MEDIA_PORTS)


async def run_alone(port: int, load: Load) -> Tally:
    """The SIP layer and its sockets: a call is what the core makes of it, and no task of its own."""
    caller = _Caller(Hop("127.0.0.1", port), load.calls)
    async with trio.open_nursery() as nursery:
        caller.open(nursery)
        async with _measuring(caller.tally):
            await _begin_evenly(load, caller.tally, caller.place_call)
            await caller.all_ended.wait()
        caller.tally.retransmissions = caller.core.statistics().retransmissions_sent
        caller.pump.sockets.close()
        nursery.cancel_scope.cancel()
    return caller.tally


class _Caller:
    """Hangs each call up when it is answered."""

    def __init__(self, callee: Hop, calls: int) -> None:
        self.tally = Tally()
        self.all_ended = trio.Event()
        self._left = calls
        self._chance = random.SystemRandom()
        self._callee = callee
        self.core = SipCore(b"secret", frozenset((callee.host,)))

    def open(self, nursery: trio.Nursery) -> None:
        """Bind the sockets and begin to listen."""

        def open_sockets(on_message: Callable[[bytes, Hop], None], on_failed: Failed) -> Sockets:
            return Sockets(
                ("127.0.0.1", 0),
                TlsSettings(),
                (),
                nursery,
                is_trunk=lambda host: True,
                on_message=on_message,
                on_failed=on_failed,
            )

        room = Mailroom(open_sockets, self._hear, lambda trace: None)
        self.pump = MessagePump(self.core, room)
        ours = self.pump.sockets.udp
        trunk = Trunk("callee", self._callee.host, self._callee.port)
        self._line = open_line(trunk, self._callee, Here(ours, ours, ours))
        nursery.start_soon(self.pump.read_datagrams)
        nursery.start_soon(self.pump.keep_time)

    def place_call(self, number: int) -> None:
        """Send an INVITE."""
        now = trio.current_time()
        call = self.core.prepare(
            self._line,
            number=f"+1415{number:07}",
            caller=Caller(b"<sip:+14155550100@127.0.0.1>"),
            token=b"%096x" % self._chance.getrandbits(384),
            media=LocalMedia("127.0.0.1", FIRST_MEDIA_PORT + 2 * number % MEDIA_PORTS, number),
        )
        self.core.dial(call, now)
        self.pump.flush(now)

    def _hear(self, call: OutboundCall, event: CallEvent) -> None:
        match event:
            case MediaAgreed(is_first=True):
                self.tally.answered += 1
                now = trio.current_time()
                self.core.hang_up(call, now)
                self.pump.flush(now)
            case Ended():
                self._left -= 1
                if not self._left:
                    self.all_ended.set()
            case _:
                pass


async def run_with_tasks(port: int, load: Load) -> Tally:
    """The same through the port that the engine uses: a task for each call."""
    settings = UserAgentSettings(trunks=(Trunk("callee", "127.0.0.1", port),))
    tally = Tally()
    async with open_user_agent(settings, SilentPlane(), random.SystemRandom()) as agent:
        async with _measuring(tally), trio.open_nursery() as nursery:
            await _begin_evenly(
                load, tally, lambda number: nursery.start_soon(_follow_call, agent, number, tally)
            )
        tally.retransmissions = agent.statistics().sip.retransmissions_sent
    return tally


@asynccontextmanager
async def _measuring(tally: Tally) -> AsyncIterator[None]:
    cpu_before, begun = time.process_time(), trio.current_time()
    yield
    tally.took_s = trio.current_time() - begun
    tally.cpu_s = time.process_time() - cpu_before


async def _begin_evenly(load: Load, tally: Tally, begin: Callable[[int], None]) -> None:
    """Begin each call at its time, or as soon after it as this process comes to it."""
    begun = trio.current_time()
    started = 0
    while started < load.calls:
        now = trio.current_time()
        due = min(load.calls, int((now - begun) * load.cps) + 1)
        for number in range(started, due):
            begin(number)
            tally.late_max_s = max(tally.late_max_s, now - begun - number / load.cps)
        started = due
        await trio.sleep(TICK_S)


async def _follow_call(agent: UserAgent, number: int, tally: Tally) -> None:
    request = CallRequest(f"att_{number}", f"+1415{number:07}", "+14155550100", "callee")
    async with agent.prepare_call(request) as call:
        call.dial()
        while True:
            match await call.next_progress():
                case Answered():
                    break
                case Ended():
                    return
                case _:
                    continue
        call.hang_up()
        await call.wait_ended()
    tally.answered += 1


MODES: Final = {"alone": run_alone, "with-tasks": run_with_tasks}


def main() -> None:
    """Run the load that the arguments name."""
    # What is printed is the tally alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    mode, *numbers = sys.argv[1:]
    port, calls, cps = (int(number) for number in numbers)
    # As the engine has it.
    spare_what_stays()
    tally = trio.run(MODES[mode], port, Load(calls, cps))
    sys.stdout.buffer.write(msgspec.json.encode(tally))


if __name__ == "__main__":
    main()
