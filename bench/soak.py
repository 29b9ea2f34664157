"""`soak`: whether an engine that has been dialling for long is as it was: memory, descriptors and tasks.

List after list is dialled at a steady pace against the simulated carrier, pages of the API are asked for, and
all of it is looked at every few seconds. What is seen until `FILL_CALLS` have ended counts for nothing: until
then caches fill that have a bound, SQLite's of the database (`adapters.sqlite.store.CACHE_KIB`, by some 4 KB
a call) and the book of callees (`engine.dial.limits.callees.NUMBERS_MAX`, by half a KB for each new number).
They are filled at the pace of all else: more calls at once would leave room in memory in which a leak hides
for long. Straight lines through what is seen from then on say by how much each figure grows with a call, or
in an hour.

Memory is looked at in two ways. What the system has given the process moves in steps, and hides whatever fits
into what was freed before; the blocks that Python's allocator has in use do neither, and an object that each
call leaves behind is one of them.

`CALLWHEEL_SOAK_S` and `CALLWHEEL_SOAK_CPS` set how long and how fast, so that it is half of what a machine
carries, or leaves room for what else it does.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct, structs
from prometheus_client.parser import text_string_to_metric_families

from api.data_folder import DATABASE
from bench.installation import (
    Installation,
    make_config,
    make_csv,
    make_flow,
    open_installation,
)
from bench.processes import standing_of
from bench.scenario import Limit, Measurement, NotMeasured, Scenario, Show, Size
from engine.dial.limits.callees import NUMBERS_MAX
from sim.carrier import CarrierSettings, run_carrier
from sim.profile import BUILT_IN

DURATION_S: Final[dict[Size, float]] = {"quick": 10.0, "full": 1_200.0}
CPS: Final[dict[Size, float]] = {"quick": 20.0, "full": 60.0}
LIST_S: Final = 10.0
"""One list has the calls of so long."""
SAMPLES_MIN: Final = 12
SAMPLE_EVERY_S: Final = 5.0
FILL_CALLS: Final = NUMBERS_MAX * 5 // 4
"""After so many calls every cache is full that has a bound. A soak that makes no more has no verdict."""
WARM_SHARE: Final = 0.25
"""Of the whole time; what is seen in it counts for nothing in any case."""
JUDGED_CALLS_MIN: Final = 20_000
"""Fewer than these behind the first tell nothing apart from chance: how many calls go on varies."""
LOOK_S: Final = 0.2
"""How often a list is asked for that should have ended."""
READ_EVERY_S: Final = 0.5
DIDS: Final = 10
"""Numbers that are called from, at the most."""
PAGES: Final = ("/v1/lists", "/v1/attempts", "/healthz", "/readyz")
FIGURES: Final = (
    *("memory_mb", "memory_all_mb", "database_mb", "blocks", "descriptors", "descriptors_all"),
    *("tasks", "calls_up", "contacts_in_hand"),
)
RISE_MAX: Final[dict[str, float]] = {
    "blocks_per_call": 0.5,
    "memory_bytes_per_call": 200.0,
    "memory_all_bytes_per_call": 400.0,
    "descriptors_per_hour": 20.0,
    "descriptors_all_per_hour": 500.0,
    "tasks_per_hour": 100.0,
}
"""What a soak lets pass. An object that each call leaves, as small as it may be, is a whole block; the memory
is for what is not Python's. Of the descriptors of all processes up to 130 come and go, as the media plane
keeps streams open ahead; one that every four-hundredth call leaves is 500 an hour."""


class Look(Struct, frozen=True):
    """What was there at one moment."""

    at_s: float
    calls: float
    """That have ended."""
    figures: dict[str, float]
    """By `FIGURES`; `…_all` are of all processes together. Calls and contacts tell whether the machine keeps
    pace at all."""


async def run(size: Size, show: Show) -> Measurement:
    """What each figure is at the end, and how it rose."""
    duration_s = read_figure("CALLWHEEL_SOAK_S", DURATION_S[size])
    cps = read_figure("CALLWHEEL_SOAK_CPS", CPS[size])
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        looks = await soak(Path(name), duration_s, cps, show)
    settled = settle(looks)
    rises = rises_of(settled)
    metrics = {"calls": looks[-1].calls, "duration_s": duration_s} | settled[-1].figures | rises
    for figure in FIGURES:
        values = [look.figures[figure] for look in settled]
        per_hour = rises[f"{figure}_per_hour"]
        mean = sum(values) / len(values)
        show(f"{figure:<16} {values[-1]:12,.1f}   mean {mean:12,.1f}   {per_hour:+12,.2f} per hour")
    limits = judge(settled, rises)
    counted = settled[-1].calls - settled[0].calls
    show(
        f"{rises['blocks_per_call']:+.3f} blocks and {rises['memory_bytes_per_call']:+,.0f} bytes "
        f"a call, over {counted:,.0f} calls"
    )
    if not limits:
        show(f"no verdict: that takes {JUDGED_CALLS_MIN:,} calls behind the first {FILL_CALLS:,}")
    return Measurement("soak", metrics, limits=limits)


def read_figure(name: str, usual: float) -> float:
    """What a variable of the environment says, or else the usual. Raises `NotMeasured`."""
    text = os.environ.get(name)
    if text is None:
        return usual
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise NotMeasured(f"{name} is a number above 0, and not {text!r}.")
    return value


def share_out(cps: float) -> list[float]:
    """The pace of each number, so that together they have this one. A number calls a whole number of times in
    a second, or less than once."""
    whole, rest = divmod(cps, 1)
    numbers = min(DIDS - (rest > 0), int(whole))
    each, more = divmod(whole, numbers) if numbers else (0.0, 0.0)
    shares = [each + (n < more) for n in range(numbers)]
    return [*shares, rest] if rest else shares


def settle(looks: Sequence[Look]) -> list[Look]:
    """What was seen when caches were full; where they never were, in the last three quarters of the time."""
    full = [look for look in looks if look.calls >= FILL_CALLS]
    warm_s = WARM_SHARE * looks[-1].at_s
    is_full = len(full) > 1
    return [look for look in (full if is_full else looks) if look.at_s >= warm_s]


def rises_of(settled: Sequence[Look]) -> dict[str, float]:
    """By how much each figure grew in an hour, and the memory with each call."""
    by_time = {
        f"{figure}_per_hour": 3600 * slope_of([(one.at_s, one.figures[figure]) for one in settled])
        for figure in FIGURES
    }

    def per_call(figure: str) -> float:
        return slope_of([(one.calls, one.figures[figure]) for one in settled])

    return by_time | {
        "blocks_per_call": per_call("blocks"),
        "memory_bytes_per_call": per_call("memory_mb") * 2**20,
        "memory_all_bytes_per_call": per_call("memory_all_mb") * 2**20,
    }


def judge(settled: Sequence[Look], rises: Mapping[str, float]) -> list[Limit]:
    """What had to be kept to; nothing where too few calls were made to tell."""
    first, last = settled[0].calls, settled[-1].calls
    if first < FILL_CALLS or last - first < JUDGED_CALLS_MIN:
        return []
    return [Limit(figure, rises[figure], most=most) for figure, most in RISE_MAX.items()]


async def soak(folder: Path, duration_s: float, cps: float, show: Show) -> list[Look]:
    """Dial for so long; what was seen on the way."""
    # The numbers run through all that could force an ending, and some are put back for ever: a list with one
    # of them would never be over, and the next never begin.
    profile = structs.replace(BUILT_IN["quiet"], forced_endings=False)
    carrier = CarrierSettings(bind="127.0.0.1:0", profile=profile)
    async with trio.open_nursery() as nursery:
        _, port = await nursery.start(run_carrier, carrier)
        config = make_config(folder / "data", f"sip:127.0.0.1:{port}", cps=int(cps * 4) + 1)
        async with open_installation(folder, config) as engine:
            dids = {f"+1415555{n:04}": share for n, share in enumerate(share_out(cps))}
            flow = await make_flow(engine.client, dids)
            show(f"{cps:g} calls a second for {duration_s:g} s")
            over = trio.Event()
            async with trio.open_nursery() as load:
                load.start_soon(_dial, engine, flow, cps, over)
                load.start_soon(_read_pages, engine, over)
                looks = await _watch(engine, folder / "data" / DATABASE, duration_s)
                over.set()
        nursery.cancel_scope.cancel()
    return looks


async def _dial(engine: Installation, flow: str, cps: float, over: trio.Event) -> None:
    """Upload list after list, until it is over: each when the one before is to be dialled, and no sooner than
    the one before that has ended, so that nothing piles up on a machine that does not keep pace."""
    rows = max(1, int(cps * LIST_S))
    begun = trio.current_time()
    before: str | None = None
    for listed in count(step=rows):
        made = await engine.client.upload_list(flow, f"{listed}.csv", make_csv(rows, first=listed))
        await _wait_over(over, begun + (listed + rows) / cps)
        while before is not None and not over.is_set():
            view = await engine.client.get_list(before)
            if view.counts.completed == view.counts.contacts:
                break
            await _wait_over(over, trio.current_time() + LOOK_S)
        if over.is_set():
            return
        before = made.id


async def _read_pages(engine: Installation, over: trio.Event) -> None:
    """Ask for pages as an operator's browser would, until it is over."""
    headers = {"Authorization": f"Bearer {engine.admin_key}"}
    while True:
        for page in PAGES:
            await engine.client._http.request("GET", engine.url + page, headers=headers)
            await _wait_over(over, trio.current_time() + READ_EVERY_S)
            if over.is_set():
                return


async def _wait_over(over: trio.Event, until: float) -> None:
    with trio.move_on_at(until):
        await over.wait()


async def _watch(engine: Installation, database: Path, duration_s: float) -> list[Look]:
    begun = trio.current_time()
    every_s = min(SAMPLE_EVERY_S, duration_s / SAMPLES_MIN)
    looks: list[Look] = []
    while (at_s := trio.current_time() - begun) < duration_s:
        looks.append(await _look(engine, database, at_s))
        await trio.sleep(every_s)
    return looks


async def _look(engine: Installation, database: Path, at_s: float) -> Look:
    answer = await engine.client._http.request("GET", f"{engine.url}/metrics")
    shown = {
        family.name: sum(
            sample.value for sample in family.samples if sample.name[-8:] != "_created"
        )
        for family in text_string_to_metric_families(answer.body.decode())
    }
    processes = standing_of(engine.child.pid)
    alone = processes[0]
    size_bytes = (await trio.Path(database).stat()).st_size
    figures = {
        "memory_mb": alone.memory_mb,
        "memory_all_mb": sum(one.memory_mb for one in processes),
        "descriptors": float(alone.descriptors),
        "descriptors_all": float(sum(one.descriptors for one in processes)),
        "database_mb": size_bytes / 2**20,
        "blocks": shown["callwheel_memory_blocks"],
        "tasks": shown["callwheel_tasks"],
        "calls_up": shown["callwheel_calls"],
        "contacts_in_hand": shown["callwheel_contacts_in_hand"],
    }
    return Look(at_s, shown["callwheel_attempts"], figures)


def slope_of(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line that fits these points best; 0 where there are fewer than two moments."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


SCENARIO = Scenario(
    "soak", "memory, descriptors and tasks of an engine that dials for long, and their slopes", run
)
