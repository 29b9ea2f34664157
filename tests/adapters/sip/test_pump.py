"""How often the pump looks for datagrams and for timers. The core is a stand-in that only counts."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import trio
from trio.testing import MockClock

from adapters.sip.core import SipCore
from adapters.sip.pump import BEAT_S, HANDFUL, TIMER_RESOLUTION_S, Mailroom, MessagePump
from adapters.sip.transport.sockets import Failed, Sockets, TlsSettings
from adapters.sip.wire.hop import Hop


class CountingCore:
    """Wants to be woken all the time, and notes when anything came."""

    def __init__(self) -> None:
        self.received: list[float] = []
        self.woken: list[float] = []
        self.wants_waking = False
        self.failed: list[Hop] = []

    def fail_transport(self, hop: Hop, now: float) -> None:
        self.failed.append(hop)

    def receive(self, data: bytes, source: Hop, now: float) -> None:
        self.received.append(now)

    def wake(self, now: float) -> None:
        self.woken.append(now)

    def next_wake(self) -> float:
        return trio.current_time() + 0.001 if self.wants_waking else float("inf")

    def datagrams_to_send(self) -> list[object]:
        return []

    take_events = take_faults = take_traces = datagrams_to_send


@asynccontextmanager
async def running_pump(core: CountingCore) -> AsyncIterator[MessagePump]:
    async with trio.open_nursery() as nursery:

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

        room = Mailroom(open_sockets, lambda call, event: None, lambda trace: None)
        pump = MessagePump(cast("SipCore", core), room)
        nursery.start_soon(pump.read_datagrams)
        nursery.start_soon(pump.keep_time)
        yield pump
        pump.sockets.close()
        nursery.cancel_scope.cancel()


async def test_a_datagram_that_comes_alone_waits_for_nothing_and_a_crowd_is_taken_together(
    mock_clock: MockClock,
) -> None:
    core = CountingCore()
    async with running_pump(core) as pump:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.connect(pump.sockets.udp)
            begun = trio.current_time()
            peer.send(b"alone")
            while not core.received:
                await trio.lowlevel.checkpoint()
            peer.send(b"one of a crowd")
            peer.send(b"another")
            await trio.testing.wait_all_tasks_blocked()
            assert core.received == [begun]
            mock_clock.jump(BEAT_S)
            while len(core.received) < 3:
                await trio.lowlevel.checkpoint()
    assert core.received == [begun, begun + BEAT_S, begun + BEAT_S]


async def test_a_refusal_is_heard_of_also_while_others_never_cease_to_send(
    mock_clock: MockClock,
) -> None:
    core = CountingCore()
    async with running_pump(core) as pump:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed,
        ):
            closed.bind(("127.0.0.1", 0))
            nobody = Hop(*closed.getsockname())
            closed.close()
            peer.connect(pump.sockets.udp)
            for beat in range(4):
                for _ in range(HANDFUL):
                    peer.send(b"always more")
                if beat == 1:
                    pump.sockets.send(b"anybody there?", nobody)
                await trio.testing.wait_all_tasks_blocked()
                mock_clock.jump(BEAT_S)
                while len(core.received) < HANDFUL * (beat + 1):
                    await trio.lowlevel.checkpoint()
    assert core.failed == [nobody]


async def test_timers_run_at_their_beat_however_soon_the_core_wants_them(
    autojump_clock: MockClock,
) -> None:
    core = CountingCore()
    core.wants_waking = True
    async with running_pump(core) as pump:
        begun = trio.current_time()
        while trio.current_time() < begun + 1.0:
            await trio.sleep(0.003)
            pump.flush(trio.current_time())
    gaps = [later - sooner for sooner, later in zip(core.woken, core.woken[1:], strict=False)]
    assert len(core.woken) > 0.5 / TIMER_RESOLUTION_S
    assert min(gaps) >= TIMER_RESOLUTION_S - 1e-9
