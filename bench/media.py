"""`media`: how many streams one core carries: playing, playing while it hears, bridged in pairs. Beside it
is the floor, a loop that only sends prepared packets.

So many streams hold when at least 99 % of their packets leave within 5 ms of their time, and none is lost.
Two clocks say so, and the worse counts: the plane's own, and that of the kernel, which stamps each packet as
it is handed over to the far end. The far end is a process of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from adapters.media.client import PlaneSettings, open_media_plane
from adapters.media.types import Remote
from bench.media_far import TELEPHONE_EVENT
from bench.media_rig import Load, Step, Task, measure_floor, open_far_end, write_prompt
from bench.scenario import Measurement, Scenario, Show, Size

HOST: Final = "127.0.0.1"


class Ramp(Struct, frozen=True):
    """The stream counts that are tried, from the lowest on until some do not hold. Then the gap between the
    highest that held and the next is halved until it is small."""

    play: tuple[int, ...]
    hear: tuple[int, ...]
    bridge: tuple[int, ...]
    """Streams, of which each two are a pair."""
    measure_s: float
    tries: int
    """A count holds when any of so many measurements says so: others use the machine too. Measurements
    during which the host took time away do not count, up to as many again."""
    misses: int
    """The climb ends where so many counts after each other do not hold. With several, a lower count that
    misses may be the machine's fault: where a higher one holds, that is what the plane can do."""
    gap_share: float = 0.05
    """A gap is halved while it is wider than this share of the upper count."""


RAMPS: Final[dict[Size, Ramp]] = {
    "quick": Ramp(
        (2_400, 4_000),
        (1_200, 2_400),
        (1_000, 2_000),
        1.0,
        1,
        1,
        gap_share=0.1,
    ),
    "full": Ramp(
        tuple(range(2_000, 8_501, 500)),
        tuple(range(1_000, 6_001, 500)),
        tuple(range(1_000, 5_001, 500)),
        2.0,
        2,
        2,
    ),
}
TASKS: Final[tuple[Task, ...]] = ("play", "hear", "bridge")
STOLEN_SHARE_MAX: Final = 0.01
"""The host of a virtual machine may give so much of its cores' time to others in a measurement."""
GAP_MIN: Final = 50
"""A gap of so many streams is not halved: what one measurement says is no finer."""
VARIANTS: Final[dict[str, PlaneSettings]] = {
    "sockets": PlaneSettings(way="sockets"),
    "ordinary": PlaneSettings(scheduling="ordinary"),
}
"""Measured at the full size only: without io_uring, and without going before other processes."""
VARIANT_TASKS: Final[tuple[Task, ...]] = ("play", "hear")


async def run(size: Size, show: Show) -> Measurement:
    """Streams that one core holds, beside those of the floor."""
    ramp, settings = RAMPS[size], PlaneSettings()
    bare = await _run_floor(ramp, settings, show)
    metrics: dict[str, float] = {}
    for task in TASKS:
        metrics |= await _run_plane(ramp, task, settings, show)
    for name, variant in VARIANTS.items() if size == "full" else ():
        for task in VARIANT_TASKS:
            figures = await _run_plane(ramp, task, variant, show)
            metrics[f"{task}_streams_{name}"] = figures[f"{task}_streams"]
    floor = {f"{task}_{name}": value for task in TASKS for name, value in bare.items()}
    floor = {name: value for name, value in floor.items() if name in metrics}
    ratio = {name: metrics[name] / value for name, value in floor.items() if value}
    return Measurement("media", metrics, floor, ratio)


async def _run_floor(ramp: Ramp, settings: PlaneSettings, show: Show) -> dict[str, float]:
    async with open_far_end() as (far, port):
        show(f"the bare loop, {settings.way} way, {settings.scheduling} scheduling")
        return _figures(
            await climb(
                ramp.play,
                ramp,
                lambda count: measure_floor(far, port, count, ramp.measure_s, settings),
                show,
            )
        )


async def _run_plane(
    ramp: Ramp, task: Task, settings: PlaneSettings, show: Show
) -> dict[str, float]:
    """The figures of a plane at the highest count of streams that it holds."""
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        write_prompt(folder)
        async with (
            open_far_end() as (far, port),
            open_media_plane(HOST, prompts_folder=folder, ports=(0, 0), settings=settings) as plane,
            trio.open_nursery() as nursery,
        ):
            show(f"{task}, {plane.way} way, {settings.scheduling} scheduling")
            load = Load(plane, far, Remote(HOST, port, 0, TELEPHONE_EVENT), nursery)
            memory = Memory(plane.process_id)

            async def measure(count: int) -> Step:
                await load.carry(count, task)
                memory.note(load.opened)
                return await load.measure(ramp.measure_s, task)

            figures = _figures(await climb(getattr(ramp, task), ramp, measure, show))
            figures["memory_kb_per_stream"] = memory.kb_per_stream
            if task == "hear":
                pressed, read = await load.count_keys()
                figures["keys_read_share"] = read / max(1, pressed)
            nursery.cancel_scope.cancel()
    return {f"{task}_{name}": value for name, value in figures.items()}


async def climb(
    counts: tuple[int, ...], ramp: Ramp, measure: Callable[[int], Awaitable[Step]], show: Show
) -> Step | None:
    """The highest step that holds; None where none does."""
    best: Step | None = None
    missed: list[int] = []
    """The counts above the best that did not hold."""
    for count in counts:
        step = await _best_of(ramp.tries, count, measure, show)
        best, missed = (step, []) if step.holds else (best, [*missed, count])
        if len(missed) == ramp.misses:
            break
    while missed:
        low, high = best.streams if best else 0, missed[0]
        if high - low <= max(GAP_MIN, ramp.gap_share * high):
            break
        # Even, as streams may be in pairs.
        step = await _best_of(ramp.tries, (low + high) // 4 * 2, measure, show)
        best, missed = (step, missed) if step.holds else (best, [step.streams])
    return best


async def _best_of(
    tries: int, count: int, measure: Callable[[int], Awaitable[Step]], show: Show
) -> Step:
    steps: list[Step] = []
    undisturbed = 0
    while undisturbed < tries and len(steps) < 2 * tries:
        steps.append(await measure(count))
        undisturbed += steps[-1].stolen_share <= STOLEN_SHARE_MAX
        if steps[-1].holds:
            break
    best = max(steps, key=lambda step: (step.holds, step.in_time_share))
    show(
        f"{count:,} streams: {best.in_time_share:.2%} in time, "
        f"p99 {best.lateness.p99_ms:.1f} ms, {best.cpu_us_per_packet:.1f} µs a packet; "
        f"the host took {best.stolen_share:.1%}"
    )
    return best


def _figures(step: Step | None) -> dict[str, float]:
    if step is None:
        return {"streams": 0.0}
    return {
        "streams": float(step.streams),
        "in_time_share": step.in_time_share,
        "late_ms_p50": step.lateness.p50_ms,
        "late_ms_p99": step.lateness.p99_ms,
        "late_ms_max": step.lateness.max_ms,
        "cpu_us_per_packet": step.cpu_us_per_packet,
    }


class Memory:
    """What a plane's streams cost: memory of its process that no other has, and what the kernel's own
    structures have grown by meanwhile (Linux)."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._before_kb = self._read_kb()
        self.kb_per_stream = 0.0

    def note(self, streams: int) -> None:
        """There are so many streams now."""
        self.kb_per_stream = (self._read_kb() - self._before_kb) / streams

    def _read_kb(self) -> float:
        process = Path(f"/proc/{self._pid}/status").read_text()
        machine = Path("/proc/meminfo").read_text()
        return _field_kb(process, "RssAnon:") + _field_kb(machine, "Slab:")


def _field_kb(text: str, name: str) -> float:
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name))


SCENARIO = Scenario(
    "media", "streams that one core plays and hears, beside a loop that only sends", run
)
