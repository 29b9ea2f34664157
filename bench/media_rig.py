"""What `bench.media` measures with: a far end in a process of its own, and streams that grow in number."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np
import trio
from msgspec import Struct, structs

from adapters.media.client import PlaneSettings, RtpMediaPlane
from adapters.media.codecs.g711 import LAWS
from adapters.media.control import PlaneStatistics
from adapters.media.prompts.files import prompt_file
from adapters.media.stream import PlaneStream
from adapters.media.types import PlaneUnavailable, Remote
from bench.media_far import Lateness, Order
from bench.media_floor import FloorTally
from bench.processes import usage_alone

IN_TIME_SHARE_MIN: Final = 0.99
IN_TIME_MS: Final = 5
HEARD_SHARE_MIN: Final = 0.95
"""Where callees speak, the far end has to keep up with them for the measurement to count."""
PROMPT: Final = "speech"
PROMPT_S: Final = 60
SETTLE_S: Final = 0.5
"""After there were more or fewer streams, before the next measurement."""
SETTLE_PER_STREAM_S: Final = 0.001
"""So much longer for each that came or went: connecting one takes the plane some 0.3 ms, which it does beside
the packets of all others for half of its time, and it may have to catch up after that."""
OPENING_MAX: Final = 64
"""Streams that are being opened at once."""
OPEN_TRIES_MAX: Final = 10
"""Each waits for a second."""
UNSPECIFIED: Final = "0.0.0.0"  # noqa: S104
"""The address of a callee on hold (RFC 3264 §8.4)."""
LISTEN_S: Final = 0.1
"""A look at how many streams are there."""

Task = Literal["play", "hear", "bridge"]
"""`play`: only send. `hear`: receive a stream from every callee as well, and read the keys it presses.
`bridge`: each two streams are bridged, so that what a callee says goes to another; it is late from the moment
that the quickest packet of its stream sets, in which the callee's own lateness counts as the bridge's."""


class Step(Struct):
    """What one measurement says."""

    streams: int
    in_time_share: float
    """The worse of the two clocks' shares."""
    lateness: Lateness
    cpu_us_per_packet: float
    """Of those sent."""
    heard_per_sent: float | None = None
    """Packets received for each that was sent; None where nobody speaks."""
    stolen_share: float = 0.0
    """Of all cores' time, what the host of a virtual machine gave to others meanwhile."""

    @property
    def holds(self) -> bool:
        """Whether the packets leave in time, all of them, while the callees are heard."""
        heard = self.heard_per_sent is None or self.heard_per_sent >= HEARD_SHARE_MIN
        return self.in_time_share >= IN_TIME_SHARE_MIN and not self.lateness.lost and heard


class StolenTime:
    """What the host takes from this machine, from the making of this on (Linux)."""

    def __init__(self) -> None:
        self._stolen, self._total = _processor_ticks()

    @property
    def share(self) -> float:
        """Of all cores' time since then."""
        stolen, total = _processor_ticks()
        return (stolen - self._stolen) / max(1, total - self._total)


def _processor_ticks() -> tuple[int, int]:
    with open("/proc/stat", encoding="ascii") as lines:
        ticks = [int(word) for word in next(lines).split()[1:9]]
    return ticks[7], sum(ticks)


class FarEnd:
    """The process at the other end."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._buffer = b""

    async def read_port(self) -> int:
        """Where it hears."""
        return msgspec.json.decode(await self._read_line(), type=int)

    async def speak_to(self, ports: list[int]) -> None:
        """Make it speak to these ports of 127.0.0.1."""
        await self._order(Order(speak_to=ports))

    async def measure(self, measure_s: float) -> Lateness:
        """What it hears for so long."""
        await self._order(Order(measure_s=measure_s))
        return msgspec.json.decode(await self._read_line(), type=Lateness)

    async def _order(self, order: Order) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(msgspec.json.encode(order) + b"\n")

    async def _read_line(self) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            more = await self._process.stdout.receive_some()
            assert more, "the far end has died"
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


@asynccontextmanager
async def open_far_end() -> AsyncIterator[tuple[FarEnd, int]]:
    """A far end, and the port that it hears on."""
    async with trio.open_nursery() as nursery:
        process = await nursery.start(_start_far_end)
        far = FarEnd(process)
        yield far, await far.read_port()
        nursery.cancel_scope.cancel()


async def _start_far_end(task_status: trio.TaskStatus[trio.Process]) -> None:
    await trio.run_process(
        [sys.executable, "-P", "-m", "bench.media_far"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        task_status=task_status,
        check=False,
    )


class Load:
    """Streams of a plane, more or fewer of them, each playing a prompt over and over."""

    def __init__(
        self, plane: RtpMediaPlane, far: FarEnd, remote: Remote, nursery: trio.Nursery
    ) -> None:
        self._plane = plane
        self._far = far
        self._remote = remote
        self._nursery = nursery
        self._streams: list[PlaneStream] = []
        self._carried = 0
        """The first so many of them are spoken on; the others are held."""
        self.keys_read = 0
        self._alone: PlaneStream | None = None
        """Waits for another to be bridged to."""

    @property
    def opened(self) -> int:
        """Streams that there are, with those that are held."""
        return len(self._streams)

    async def carry(self, count: int, task: Task) -> None:
        """Let so many streams be spoken on: open those that are missing, and hold those that are too many,
        which then send and hear nothing but reports, as calls on hold."""
        for stream in self._streams[count : self._carried]:
            stream.connect(structs.replace(self._remote, host=UNSPECIFIED))
        for stream in self._streams[self._carried : count]:
            stream.connect(self._remote)
        limit = trio.CapacityLimiter(OPENING_MAX)
        async with trio.open_nursery() as opening:
            for _ in range(count - self.opened):
                opening.start_soon(self._open_one, limit, task)
        if task != "play" and count != self._carried:
            await self._far.speak_to([stream.port for stream in self._streams[:count]])
        changed = abs(count - self._carried)
        self._carried = count
        await trio.sleep(SETTLE_S + SETTLE_PER_STREAM_S * changed)

    async def measure(self, measure_s: float, task: Task) -> Step:
        """How late the packets are now."""
        assert self._plane.process_id is not None
        before = await self._plane.ask_statistics()
        usage = usage_alone(self._plane.process_id)
        stolen = StolenTime()
        lateness = await self._far.measure(measure_s)
        stolen_share = stolen.share
        cpu_s = usage_alone(self._plane.process_id).since(usage)
        after = await self._plane.ask_statistics()
        sent = after.packets_sent - before.packets_sent
        sent = max(1, sent + after.packets_relayed - before.packets_relayed)
        own = own_share(before, after) if task != "bridge" else 1.0
        heard = after.packets_received - before.packets_received
        return Step(
            streams=self._carried,
            in_time_share=min(lateness.in_time_share, own),
            lateness=lateness,
            cpu_us_per_packet=cpu_s / sent * 1e6,
            heard_per_sent=heard / sent if task != "play" else None,
            stolen_share=stolen_share,
        )

    async def count_keys(self) -> tuple[int, int]:
        """Keys that the callees have pressed and those that were read, once all are quiet."""
        await self._far.speak_to([])
        pressed = (await self._far.measure(SETTLE_S)).keys_pressed
        return pressed, self.keys_read

    async def _open_one(self, limit: trio.CapacityLimiter, task: Task) -> None:
        async with limit:
            stream = await self._open_patiently()
        stream.connect(self._remote)
        if task == "bridge":
            self._pair(stream)
        else:
            self._nursery.start_soon(_play_on, stream)
        if task == "hear":
            self._nursery.start_soon(self._read_keys, stream)
        self._streams.append(stream)

    async def _open_patiently(self) -> PlaneStream:
        """A plane near its limit opens slowly; how many it carries is the question here. Raises
        `PlaneUnavailable` where it opens none at all."""
        for _ in range(OPEN_TRIES_MAX - 1):
            with suppress(PlaneUnavailable):
                return await self._plane.open_stream()
        return await self._plane.open_stream()

    def _pair(self, stream: PlaneStream) -> None:
        if self._alone is None:
            self._alone = stream
            return
        self._nursery.start_soon(self._alone.bridge, stream)
        self._alone = None

    async def _read_keys(self, stream: PlaneStream) -> None:
        while True:
            await stream.next_digit()
            self.keys_read += 1


async def _play_on(stream: PlaneStream) -> None:
    while True:
        await stream.play(PROMPT)


def own_share(before: PlaneStatistics, after: PlaneStatistics) -> float:
    """The share of packets in time by the plane's own clock between two reports. Where it gave ticks
    up none was in time."""
    counts = np.array(after.lateness_ms) - np.array(before.lateness_ms)
    total = int(counts.sum())
    if not total or after.ticks_skipped > before.ticks_skipped:
        return 0.0
    return float(counts[:IN_TIME_MS].sum() / total)


async def measure_floor(
    far: FarEnd, port: int, streams: int, measure_s: float, settings: PlaneSettings
) -> Step:
    """How late the packets of so many streams of the bare loop are. None are in time where it ended before
    all of them were heard at once."""
    tallies: list[FloorTally] = []

    async def run_floor() -> None:
        seconds = measure_s + 2 * SETTLE_S
        arguments = [str(port), str(streams), str(seconds), settings.way, settings.scheduling]
        command = [sys.executable, "-P", "-m", "bench.media_floor", *arguments]
        done = await trio.run_process(command, capture_stdout=True)
        tallies.append(msgspec.json.decode(done.stdout, type=FloorTally))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_floor)
        while not tallies and (await far.measure(LISTEN_S)).streams < streams:
            continue
        stolen = StolenTime()
        lateness = await far.measure(measure_s)
        stolen_share = stolen.share
    (tally,) = tallies
    return Step(
        streams,
        lateness.in_time_share,
        lateness,
        tally.cpu_us_per_packet,
        stolen_share=stolen_share,
    )


def write_prompt(folder: Path) -> None:
    """A prompt of noise, in both laws."""
    chance = np.random.default_rng(1)
    octets = chance.integers(0, 256, PROMPT_S * 8_000, np.uint8).tobytes()
    for law in LAWS.values():
        prompt_file(folder, PROMPT, law).write_bytes(octets)
