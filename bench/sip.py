"""`sip`: complete calls by the SIP layer alone, and what each costs in CPU; beside it sipp as the caller, to
the same callee.

A call is INVITE, 180, 200, ACK, BYE, 200: `sipp -sn uas` is the callee. The caller is a process of its own
with the SIP layer in it and nothing else: messages, transactions, dialogs, sockets and timers, as sipp's own
caller has them. Beside it the same through the port that the engine uses, with a task for each call.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import trio

from bench.dial import measure_sipp
from bench.free_ports import free_port
from bench.installation import find_sipp, open_sipp
from bench.scenario import Measurement, Scenario, Show, Size
from bench.sip_caller import Load, Tally

LOADS: Final[dict[Size, Load]] = {"quick": Load(1_800, 600), "full": Load(90_000, 1_500)}
TASK_LOADS: Final[dict[Size, Load]] = {"quick": Load(900, 300), "full": Load(30_000, 1_000)}


async def run(size: Size, show: Show) -> Measurement:
    """CPU microseconds a call, and what was lost or sent twice."""
    if find_sipp() is None:
        show("sipp is not installed (Debian: sip-tester), and nothing else can be the callee here")
        return Measurement("sip", {})
    load = LOADS[size]
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        port = free_port()
        async with open_sipp(folder, port):
            show(f"{load.calls:,} calls at {load.cps:,} a second")
            tally = await _call("alone", port, load)
        port = free_port()
        async with open_sipp(folder, port):
            show("the same with a task for each call, as the engine has it")
            with_tasks = await _call("with-tasks", port, TASK_LOADS[size])
        port = free_port()
        async with open_sipp(folder, port):
            show("sipp as the caller, to the same callee")
            floor = await measure_sipp(port, load.calls, load.cps, folder)
    metrics = {
        "cpu_us_per_call": tally.cpu_s / load.calls * 1e6,
        "calls_per_s": load.calls / tally.took_s,
        "answered_share": tally.answered / load.calls,
        "lost": float(load.calls - tally.answered),
        "retransmissions": float(tally.retransmissions),
        "late_ms_max": tally.late_max_s * 1e3,
        "cpu_us_per_call_with_tasks": with_tasks.cpu_s / TASK_LOADS[size].calls * 1e6,
    }
    ratio = {name: metrics[name] / floor[name] for name in floor if floor[name]}
    return Measurement("sip", metrics, floor, ratio)


async def _call(mode: str, port: int, load: Load) -> Tally:
    arguments = [mode, str(port), str(load.calls), str(load.cps)]
    done = await trio.run_process(
        [sys.executable, "-P", "-m", "bench.sip_caller", *arguments],
        capture_stdout=True,
        stderr=subprocess.DEVNULL,
    )
    return msgspec.json.decode(done.stdout, type=Tally)


SCENARIO = Scenario("sip", "calls by the SIP layer alone, beside sipp as the caller", run)
