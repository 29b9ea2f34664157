"""The process of `bench.sip` that calls: a user agent, a clock, and nothing behind them.

Usage: `python -m bench.sip_caller PORT CALLS CPS`; it prints a `Tally` as JSON.
"""

from __future__ import annotations

import random
import sys
import time
from itertools import count

import msgspec
import trio
from msgspec import Struct

from adapters.media.types import Remote
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from engine.ports.telephony import Answered, CallRequest, Ended, MediaStatistics

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
    """The most that a tick came late."""


class SilentStream:
    """A port that nothing is sent from."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self, remote: Remote) -> None:
        """Nothing is sent to it."""

    async def play(self, prompt: str) -> None:
        """Every prompt is over at once."""
        await trio.lowlevel.checkpoint()

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


async def run_load(port: int, load: Load) -> Tally:
    """Place so many calls, evenly in time, and hang each up when it is answered."""
    settings = UserAgentSettings(trunks=(Trunk("callee", "127.0.0.1", port),))
    tally = Tally()
    async with open_user_agent(settings, SilentPlane(), random.SystemRandom()) as agent:
        cpu_before = time.process_time()
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            started = 0
            while started < load.calls:
                now = trio.current_time()
                due = min(load.calls, int((now - begun) * load.cps) + 1)
                for number in range(started, due):
                    nursery.start_soon(_place_call, agent, number, tally)
                started = max(started, due)
                tally.late_max_s = max(tally.late_max_s, trio.current_time() - now)
                await trio.sleep(TICK_S)
        tally.took_s = trio.current_time() - begun
        tally.cpu_s = time.process_time() - cpu_before
        tally.retransmissions = agent.statistics().sip.retransmissions_sent
    return tally


async def _place_call(agent: UserAgent, number: int, tally: Tally) -> None:
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


def main() -> None:
    """Run the load that the arguments name."""
    port, calls, cps = (int(argument) for argument in sys.argv[1:])
    tally = trio.run(run_load, port, Load(calls, cps))
    sys.stdout.buffer.write(msgspec.json.encode(tally))


if __name__ == "__main__":
    main()
