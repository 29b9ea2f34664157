"""`recover`: how soon an engine dials that is started while very many contacts wait: seconds and processor
time from its process's start to its first INVITE. Beside it the same start with a single contact waiting,
which is as good as none: the floor.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

import trio

from bench.crowd import add_crowd
from bench.installation import make_config, make_flow, open_installation
from bench.invites import InviteLog, open_busy_callee
from bench.processes import usage_of
from bench.scenario import Limit, Measurement, Scenario, Show, Size
from bench.timed import BYE

WAITING: Final[dict[Size, int]] = {"quick": 50_000, "full": 1_000_000}
ROUNDS: Final[dict[Size, int]] = {"quick": 1, "full": 3}
"""Starts of each kind, of which the median counts."""
CONFIG: Final = "callwheel.toml"
DID: Final = "+14155550100"
CPS: Final = 20
UP_TO_INVITE_S_MAX: Final = 2.0
"""The goal."""


async def run(size: Size, show: Show) -> Measurement:
    """How soon it dials, with many waiting and with none to speak of."""
    waiting, rounds = WAITING[size], ROUNDS[size]
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        few, many = Path(name, "few"), Path(name, "many")
        async with open_busy_callee() as log:
            flow = await _prepare(few, log.port)
            # The number of the one is above those of the many.
            await add_crowd(few / "data", flow, 1, waiting)
            await trio.to_thread.run_sync(shutil.copytree, few, many)
            await trio.to_thread.run_sync(shutil.copytree, few / "data", Path(name, "untouched"))
            (many / CONFIG).write_text(
                make_config(many / "data", _trunk(log.port)), encoding="utf-8"
            )
            await add_crowd(many / "data", flow, waiting)
            floors = []
            for _ in range(rounds):
                # Once it was called, nobody waits any more.
                await trio.to_thread.run_sync(_renew, few, Path(name, "untouched"))
                floors.append(await _start(few, log, "one waits", show))
            starts = [await _start(many, log, f"{waiting:,} wait", show) for _ in range(rounds)]
    metrics = {name: median(one[name] for one in starts) for name in starts[0]}
    floor = {name: median(one[name] for one in floors) for name in floors[0]}
    ratio = {name: metrics[name] / floor[name] for name in floor if floor[name]}
    limits = [Limit("up_to_invite_s", metrics["up_to_invite_s"], most=UP_TO_INVITE_S_MAX)]
    return Measurement(
        "recover", {"waiting": float(waiting)} | metrics, floor, ratio, limits=limits
    )


def _renew(folder: Path, data: Path) -> None:
    """Let an installation have this data again."""
    shutil.rmtree(folder / "data")
    shutil.copytree(data, folder / "data")


def _trunk(port: int) -> str:
    return f"sip:127.0.0.1:{port}"


async def _prepare(folder: Path, port: int) -> str:
    """An installation with a flow, which does not run; the flow's id."""
    await trio.Path(folder).mkdir()
    async with open_installation(folder, make_config(folder / "data", _trunk(port))) as engine:
        return await make_flow(engine.client, {DID: CPS}, definition=BYE)


async def _start(folder: Path, log: InviteLog, who: str, show: Show) -> dict[str, float]:
    """Start it once, until it dials."""
    config = (folder / CONFIG).read_text(encoding="utf-8")
    began = trio.current_time()
    async with open_installation(folder, config) as engine:
        up = trio.current_time()
        await log.wait_since(began, DID)
        cpu_s = usage_of(engine.child.pid).cpu_s
    first = log.since(began, DID)[0].at
    start = {
        "start_to_invite_s": first - began,
        "start_to_up_s": up - began,
        "up_to_invite_s": max(0.0, first - up),
        "start_to_invite_cpu_s": cpu_s,
    }
    show(
        f"{who}: dialling {first - began:.2f} s after its start, {start['up_to_invite_s']:.2f} s after "
        f"it was up, with {cpu_s:.2f} s of the processor"
    )
    return start


SCENARIO = Scenario("recover", "from a start to the first INVITE with a million waiting", run)
