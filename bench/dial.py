"""`dial`: complete answered calls through the whole engine, trigger to committed record, and what each
costs in CPU; then calls that are due one by one, at a rate that is held, and how late each begins. Beside it
sipp as the caller, to the same callee, and Asterisk, told over its manager (AMI), where it is there.

The callee is sipp where it is installed, and else the simulated carrier, to which nothing is held: how late
calls are is read from sipp's log. The flow hangs up as soon as the callee answers, so that what is measured
is the engine and its signalling.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from bench.asterisk import measure_asterisk
from bench.free_ports import free_port
from bench.installation import (
    find_sipp,
    make_config,
    make_csv,
    make_flow,
    open_installation,
    open_sipp,
    wait_completed,
)
from bench.processes import usage_alone, usage_of
from bench.scenario import Limit, Measurement, Scenario, Show, Size
from bench.timed import (
    BYE,
    IN_TIME_SHARE_MIN,
    SippLog,
    Sustained,
    describe,
    open_logging_sipp,
    sustain,
)
from sim.carrier import CarrierSettings, run_carrier
from sim.profile import BUILT_IN


class Load(Struct, frozen=True):
    """How many calls, and how many a second."""

    calls: int
    cps: int


LOADS: Final[dict[Size, Load]] = {"quick": Load(900, 300), "full": Load(9_000, 300)}
SUSTAINED: Final[dict[Size, Load]] = {"quick": Load(300, 100), "full": Load(24_000, 400)}
"""Calls that are due one by one. The full size is a minute of what two quiet cores have been seen to
hold; how much more they hold is what `ramp` looks for."""
ASTERISK: Final[dict[Size, Load]] = {"quick": Load(150, 50), "full": Load(1_500, 50)}
DIDS: Final = 10
SUSTAINED_FIRST: Final = 1_000_000
"""The first number that is called one by one."""
SETTLE_S: Final = 1.0
"""An engine that has just started is left alone for so long, so that its start is not measured."""


async def run(size: Size, show: Show) -> Measurement:
    """CPU microseconds a call, of the control process alone and of all processes; how late calls begin."""
    load, timed = LOADS[size], SUSTAINED[size]
    sustained: Sustained | None = None
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        async with _open_callee(folder) as (port, log):
            cps = 2 * max(load.cps, timed.cps)
            config = make_config(folder / "data", f"sip:127.0.0.1:{port}", cps=cps)
            async with open_installation(folder, config) as engine:
                dids = {f"+1415555{n:04}": load.cps / DIDS for n in range(DIDS)}
                flow = await make_flow(engine.client, dids, definition=BYE)
                await trio.sleep(SETTLE_S)
                show(f"{load.calls:,} calls at {load.cps} a second")
                pid = engine.child.pid
                alone, together = usage_alone(pid), usage_of(pid)
                begun = trio.current_time()
                view = await engine.client.upload_list(flow, "calls.csv", make_csv(load.calls))
                dispositions = await wait_completed(engine.client, view.id)
                took_s = trio.current_time() - begun
                alone_s = usage_alone(pid).since(alone)
                together_s = usage_of(pid).since(together)
                if log is not None:
                    # They have numbers of their own, which nobody else's pace holds back.
                    own = {f"+1415556{n:04}": cps / DIDS for n in range(DIDS)}
                    other = await make_flow(engine.client, own, definition=BYE)
                    plan = (timed.calls, float(timed.cps), SUSTAINED_FIRST)
                    sustained = await sustain(engine, other, log, plan, show)
                    show(f"one by one: {describe(sustained)}")
            show("sipp as the caller, to the same callee")
            floor = await measure_sipp(port, load.calls, load.cps, folder)
            asterisk = await measure_asterisk(port, ASTERISK[size].calls, ASTERISK[size].cps, show)
    metrics = {
        "cpu_us_per_call": alone_s / load.calls * 1e6,
        "cpu_us_per_call_all_processes": together_s / load.calls * 1e6,
        "calls_per_s": load.calls / took_s,
        "answered_share": dispositions.get("answered", 0) / load.calls,
        **{f"asterisk_{name}": value for name, value in asterisk.items()},
    }
    limits = []
    if sustained is not None:
        figures = {f"sustained_{name}": value for name, value in sustained.figures().items()}
        metrics |= figures
        in_time = figures["sustained_in_time_share"]
        limits.append(Limit("sustained_in_time_share", in_time, least=IN_TIME_SHARE_MIN))
        limits.append(Limit("sustained_lost", figures["sustained_lost"], most=0.0))
    ratio = {name: metrics[name] / floor[name] for name in floor if floor[name]}
    return Measurement("dial", metrics, floor, ratio, limits=limits)


@asynccontextmanager
async def _open_callee(folder: Path) -> AsyncIterator[tuple[int, SippLog | None]]:
    """A callee that answers every call at once: its UDP port, and what it hears where it is sipp."""
    if find_sipp() is not None:
        async with open_logging_sipp(folder) as (port, log):
            yield port, log
        return
    async with open_callee(folder) as port:
        yield port, None


@asynccontextmanager
async def open_callee(folder: Path) -> AsyncIterator[int]:
    """A callee that answers every call at once; its UDP port."""
    if find_sipp() is not None:
        port = free_port()
        async with open_sipp(folder, port):
            yield port
        return
    settings = CarrierSettings(bind="127.0.0.1:0", profile=BUILT_IN["quiet"])
    async with trio.open_nursery() as nursery:
        address = await nursery.start(run_carrier, settings)
        yield address[1]
        nursery.cancel_scope.cancel()


async def measure_sipp(port: int, calls: int, cps: int, folder: Path) -> dict[str, float]:
    """What sipp's own caller spends on so many calls; nothing where it is not installed."""
    program = find_sipp()
    if program is None:
        return {}
    command = [
        *(program, "-sn", "uac", f"127.0.0.1:{port}", "-i", "127.0.0.1", "-nostdin"),
        *("-p", str(free_port()), "-r", str(cps), "-m", str(calls), "-d", "0"),
    ]
    process = await trio.lowlevel.open_process(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    )
    cpu_s = 0.0
    while process.returncode is None:
        with trio.move_on_after(0.1):
            await process.wait()
        if process.returncode is None:
            cpu_s = usage_alone(process.pid).cpu_s
    return {"cpu_us_per_call": cpu_s / calls * 1e6}


SCENARIO = Scenario(
    "dial", "answered calls through the whole engine, beside sipp as the caller", run
)
