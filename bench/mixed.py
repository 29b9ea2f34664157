"""`mixed`: everything at once, each at half of what it reached by itself a moment before: single calls over
HTTP, dialling with sound, readers of the feed, and lists that come in. Each has a limit of its own, which is
stated and judged.

How many read is given; the other figures are measured first, one after the other, on the same engine. The
callee is sipp, whose SDP names the far end of `bench.media`, whose kernel stamps every packet.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

import trio
from msgspec import Struct, field

from api.commands.demo_list import make_chime
from bench.busy import LATER, sum_up
from bench.feed import open_clients
from bench.feed_clients import Reading
from bench.installation import (
    Installation,
    find_sipp,
    make_config,
    make_flow,
    open_installation,
)
from bench.media_far import Lateness
from bench.media_rig import IN_TIME_SHARE_MIN as PACKETS_IN_TIME_SHARE_MIN
from bench.media_rig import FarEnd, open_far_end
from bench.ramp import WARM_UP, Search, best_of, find_rate
from bench.scenario import Limit, Measurement, Scenario, Show, Size
from bench.sipp_callee import write_callee
from bench.timed import (
    IN_TIME_SHARE_MIN,
    SippLog,
    Sustained,
    describe,
    open_logging_sipp,
    sustain,
)
from bench.trigger import Load, make_request, read_answer, send_load

SHARE: Final = 0.5
"""Of what each reached by itself."""
KEPT_SHARE_MIN: Final = 0.95
"""What must be reached of a rate that is asked for."""
TRIGGER_MS_P99_MAX: Final = 250.0
LAG_MS_P99_MAX: Final = 250.0
CONNECTIONS: Final = 8
DIDS: Final = 10
CPS_MAX: Final = 2_000
"""What DIDs and trunk allow."""
UPLOAD_EVERY_S: Final = 1.0
MEASURE_S: Final = 1.0
"""One look at the sound; they follow each other until the last call is over."""
ALONE_FIRST, TIMED_FIRST, TRIGGERED, UPLOADED = 0, 1_000_000, 417, 2_000_000
"""Where the numbers of each begin, so that nobody is called twice."""


class Plan(Struct, frozen=True):
    """How much of each."""

    alone_calls: Search
    alone_triggers: int
    alone_rows: int
    readers: int
    """What counts as what the feed reaches by itself."""
    mixed_s: float


PLANS: Final[dict[Size, Plan]] = {
    "quick": Plan(Search(50, 800, 1.5, 0.5, 4), 500, 20_000, 40, 5.0),
    "full": Plan(Search(100, 1_600, 8.0, 0.15, 7), 3_000, 100_000, 300, 30.0),
}


class Alone(Struct, frozen=True):
    """What each reached by itself."""

    triggers_per_s: float
    calls_per_s: float
    rows_per_s: float
    readers: int


class Together(Struct):
    """What came of all at once."""

    latencies_s: list[float] = field(default_factory=list)
    """Of triggers, from the moment that each was due."""
    rows: int = 0
    took_s: float = 0.0
    is_over: trio.Event = field(default_factory=trio.Event)
    """Nothing new is to be sent: what is under way comes to its end."""
    parts: list[Lateness] = field(default_factory=list)


async def run(size: Size, show: Show) -> Measurement:
    """Every figure while all is at once, beside what it was alone."""
    if find_sipp() is None:
        show("left out: it needs sipp as the callee (Debian: sip-tester)")
        return Measurement("mixed", {})
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        async with open_far_end() as (far, far_port):
            scenario = folder / "callee.xml"
            write_callee(scenario, far_port)
            async with open_logging_sipp(folder, ("-sf", str(scenario))) as (port, log):
                config = make_config(folder / "data", f"sip:127.0.0.1:{port}", cps=CPS_MAX)
                async with open_installation(folder, config) as engine:
                    return await _measure(_Site(engine, log, far, show), PLANS[size])


class _Site(Struct, frozen=True):
    """Where it is measured."""

    engine: Installation
    log: SippLog
    far: FarEnd
    show: Show


async def _measure(site: _Site, plan: Plan) -> Measurement:
    client = site.engine.client
    prompt = await client.create_prompt("chime.wav", make_chime(1))
    play = {"type": "play", "play": prompt.id, "next": "bye"}
    definition: dict[str, Any] = {
        "start": "play",
        "nodes": {"play": play, "bye": {"type": "hangup"}},
    }
    dids = {f"+1415555{n:04}": CPS_MAX / DIDS for n in range(DIDS)}
    flow = await make_flow(client, dids, definition=definition)
    alone = await _measure_alone(site, flow, plan)
    site.show(
        f"alone: {alone.triggers_per_s:,.0f} triggers, {alone.calls_per_s:,.0f} calls and "
        f"{alone.rows_per_s:,.0f} rows a second; {alone.readers} readers; now half of all at once"
    )
    together = Together()
    arguments = (site.engine.url, site.engine.admin_key, str(max(1, round(alone.readers * SHARE))))
    async with open_clients(arguments) as clients:
        sustained = await _run_together(site, flow, alone, plan, together)
        reading = await clients.end()
    return _sum_up(alone, together, sustained, reading)


async def _measure_alone(site: _Site, flow: str, plan: Plan) -> Alone:
    """One after the other."""
    engine = site.engine
    path = f"/v1/flows/{flow}/calls"
    load = Load(engine.url, path, engine.admin_key, plan.alone_triggers, CONNECTIONS)
    timing = await send_load(load, site.show)
    begun = trio.current_time()
    await engine.client.upload_list(flow, "alone.csv", make_later_csv(plan.alone_rows, UPLOADED))
    rows_per_s = plan.alone_rows / (trio.current_time() - begun)
    calls_per_s = await _find_calls_per_s(site, flow, plan.alone_calls)
    return Alone(timing.per_s, calls_per_s, rows_per_s, plan.readers)


async def _find_calls_per_s(site: _Site, flow: str, search: Search) -> float:
    """The highest rate that is held as `ramp` has it, with sound; 0 where none is."""
    first = ALONE_FIRST

    async def hold(cps: float) -> Sustained:
        nonlocal first
        calls = max(1, round(cps * search.step_s))
        step = await sustain(site.engine, flow, site.log, (calls, cps, first), site.show)
        first += calls
        site.show(f"calls alone: {describe(step)}")
        return step

    await hold(WARM_UP[1])
    best = best_of(await find_rate(search, hold))
    return 0.0 if best is None else best.cps


async def _run_together(
    site: _Site, flow: str, alone: Alone, plan: Plan, together: Together
) -> Sustained:
    cps = max(1.0, alone.calls_per_s * SHARE)
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        for serial in range(CONNECTIONS):
            rate = alone.triggers_per_s * SHARE / CONNECTIONS
            nursery.start_soon(_trigger_evenly, site.engine, flow, serial, rate, together)
        nursery.start_soon(_upload_evenly, site.engine, flow, alone.rows_per_s * SHARE, together)
        nursery.start_soon(_listen, site.far, together)
        schedule = (max(1, round(cps * plan.mixed_s)), cps, TIMED_FIRST)
        sustained = await sustain(site.engine, flow, site.log, schedule, site.show)
        together.took_s = trio.current_time() - begun
        together.is_over.set()
    return sustained


async def _trigger_evenly(
    engine: Installation, flow: str, serial: int, per_s: float, together: Together
) -> None:
    """Trigger calls, each at its time or as soon after as the one before is answered, until it is over."""
    load = Load(engine.url, f"/v1/flows/{flow}/calls", engine.admin_key, 0, CONNECTIONS)
    host, port = engine.url.removeprefix("http://").split(":")
    begun, number = trio.current_time(), 0
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        while True:
            due = begun + number / per_s
            with trio.move_on_at(due):
                await together.is_over.wait()
            if together.is_over.is_set():
                return
            await stream.send_all(make_request(load, TRIGGERED + serial, number))
            await read_answer(stream)
            together.latencies_s.append(trio.current_time() - due)
            number += 1


async def _upload_evenly(
    engine: Installation, flow: str, rows_per_s: float, together: Together
) -> None:
    """Upload one list after the other, each at its time, until it is over."""
    rows = max(1, round(rows_per_s * UPLOAD_EVERY_S))
    begun, serial = trio.current_time(), 0
    while True:
        with trio.move_on_at(begun + serial * UPLOAD_EVERY_S):
            await together.is_over.wait()
        if together.is_over.is_set():
            return
        content = make_later_csv(rows, UPLOADED + (serial + 1) * rows)
        view = await engine.client.upload_list(flow, f"mixed{serial}.csv", content)
        together.rows += view.report.accepted
        serial += 1


def make_later_csv(rows: int, first: int) -> bytes:
    """A list of so many numbers that nobody calls for decades."""
    lines = (
        b"+1418%07d,%b\n" % (number % 10_000_000, LATER) for number in range(first, first + rows)
    )
    return b"tel1,starttime\n" + b"".join(lines)


async def _listen(far: FarEnd, together: Together) -> None:
    while not together.is_over.is_set():
        together.parts.append(await far.measure(MEASURE_S))


def _sum_up(
    alone: Alone, together: Together, sustained: Sustained, reading: Reading
) -> Measurement:
    latencies = sorted(together.latencies_s) or [float("inf")]
    sound = sum_up(together.parts)
    metrics = {
        "triggers_per_s": len(together.latencies_s) / together.took_s,
        "trigger_latency_ms_p99": latencies[len(latencies) * 99 // 100] * 1e3,
        "rows_per_s": together.rows / together.took_s,
        "dial_begun_per_s": sustained.punctuality.per_s,
        **{f"dial_{name}": value for name, value in sustained.figures().items()},
        "packets_in_time_share": sound["in_time_share"],
        "packets_late_ms_p99": sound["late_ms_p99"],
        "packets_lost": sound["packets_lost"],
        "readers": float(max(1, round(alone.readers * SHARE))),
        "lag_p99_ms": reading.lag_p99_ms,
        "events_missed": float(reading.missed),
    }
    floor = {
        "triggers_per_s": alone.triggers_per_s,
        "dial_begun_per_s": alone.calls_per_s,
        "rows_per_s": alone.rows_per_s,
        "readers": float(alone.readers),
    }
    asked = SHARE * KEPT_SHARE_MIN
    bounds = {
        "triggers_per_s": (alone.triggers_per_s * asked, None),
        "trigger_latency_ms_p99": (None, TRIGGER_MS_P99_MAX),
        "rows_per_s": (alone.rows_per_s * asked, None),
        "dial_in_time_share": (IN_TIME_SHARE_MIN, None),
        "dial_lost": (None, 0.0),
        "packets_in_time_share": (PACKETS_IN_TIME_SHARE_MIN, None),
        "packets_lost": (None, 0.0),
        "lag_p99_ms": (None, LAG_MS_P99_MAX),
        "events_missed": (None, 0.0),
    }
    limits = [Limit(name, metrics[name], *bound) for name, bound in bounds.items()]
    metrics["limits_broken"] = float(sum(not limit.is_kept for limit in limits))
    ratio = {name: metrics[name] / floor[name] for name in floor if floor[name]}
    return Measurement("mixed", metrics, floor, ratio, limits=limits)


SCENARIO = Scenario("mixed", "all at once, each at half of what it reached by itself", run)
