"""`feed`: websockets that read everything while calls are dialled: how late the events come, and what the
readers cost the calls. Beside it the same calls with nobody who reads, and the same batches from a bare
trio-websocket server that makes them of nothing.

Each call passes through steps that do nothing, because a thousand events a second take more calls than that
otherwise. The readers (`bench.feed_clients`) and the bare server run in processes of their own.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import trio
from msgspec import Struct

from bench.dial import open_callee
from bench.feed_clients import READY, Reading
from bench.free_ports import free_port
from bench.installation import (
    Installation,
    make_config,
    make_csv,
    make_flow,
    open_installation,
    wait_completed,
)
from bench.processes import usage_alone
from bench.scenario import Measurement, Scenario, Show, Size
from bench.trigger import wait_listening

CLIENTS: Final = 300
CPS: Final = 40
STEPS: Final = 20
"""Of each call, an event each."""
CALLS: Final[dict[Size, int]] = {"quick": 120, "full": 1_200}
"""Of a list; there are two of them."""
SETTLE_S: Final = 1.0
FLOOR_S: Final[dict[Size, float]] = {"quick": 3.0, "full": 15.0}
WAIT_S_MAX: Final = 60.0


class Dialling(Struct, frozen=True):
    """What became of a list."""

    calls_per_s: float
    cpu_us_per_call: float
    """Of the control process."""
    apart_p99_ms: float
    """Between one call's beginning and the next one's: 99 % are no further apart."""
    answered_share: float
    cpu_s: float
    events: int


async def run(size: Size, show: Show) -> Measurement:
    """How late events are, what a message to a client costs, and how the dialling goes with and without."""
    calls = CALLS[size]
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        async with open_callee(folder) as port:
            config = make_config(folder / "data", f"sip:127.0.0.1:{port}")
            async with open_installation(folder, config) as engine:
                flow = await make_flow(
                    engine.client, {"+14155550100": CPS}, definition=_definition()
                )
                await trio.sleep(SETTLE_S)
                show(f"{calls:,} calls at {CPS} a second, and nobody reads")
                alone = await _dial(engine, flow, calls, 0)
                show(f"the same, and {CLIENTS} clients read")
                arguments = (engine.url, engine.admin_key, str(CLIENTS))
                async with open_clients(arguments) as clients:
                    read = await _dial(engine, flow, calls, calls)
                    reading = await clients.end()
        show(f"{CLIENTS} clients of a bare trio-websocket server")
        bare, bare_cpu_s = await _read_bare(round(alone.events / calls * CPS), FLOOR_S[size])
    metrics = {
        "clients": float(CLIENTS),
        "events_per_s": reading.events / CLIENTS * read.calls_per_s / calls,
        "missed_events": float(reading.missed),
        **_lags(reading),
        "cpu_us_per_message": (read.cpu_s - alone.cpu_s) / max(1, reading.messages) * 1e6,
        **_figures(read),
        **{f"{name}_without_clients": value for name, value in _figures(alone).items()},
    }
    floor = {**_lags(bare), "cpu_us_per_message": bare_cpu_s / max(1, bare.messages) * 1e6}
    ratio = {name: metrics[name] / floor[name] for name in floor if floor[name]}
    return Measurement("feed", metrics, floor, ratio)


def _definition() -> dict[str, Any]:
    names = [*(f"step{n}" for n in range(STEPS)), "bye"]
    nodes: dict[str, Any] = {
        name: {"type": "set", "variables": {"place": name}, "next": after}
        for name, after in itertools.pairwise(names)
    }
    return {"start": names[0], "nodes": {**nodes, "bye": {"type": "hangup"}}}


def _lags(reading: Reading) -> dict[str, float]:
    return {
        "lag_p50_ms": reading.lag_p50_ms,
        "lag_p99_ms": reading.lag_p99_ms,
        "lag_within_250_ms_share": reading.within_250_ms_share,
    }


def _figures(dialling: Dialling) -> dict[str, float]:
    return {
        "calls_per_s": dialling.calls_per_s,
        "cpu_us_per_call": dialling.cpu_us_per_call,
        "calls_apart_p99_ms": dialling.apart_p99_ms,
        "answered_share": dialling.answered_share,
    }


async def _dial(engine: Installation, flow: str, calls: int, first: int) -> Dialling:
    """Call a list to its end."""
    before = usage_alone(engine.child.pid)
    begun = trio.current_time()
    view = await engine.client.upload_list(flow, f"from{first}.csv", make_csv(calls, first))
    dispositions = await wait_completed(engine.client, view.id)
    took_s = trio.current_time() - begun
    cpu_s = usage_alone(engine.child.pid).since(before)
    attempts = await engine.client.list_attempts(view.id)
    moments = sorted(one.initiated_at.timestamp() for one in attempts)
    apart_ms = sorted((after - one) * 1e3 for one, after in itertools.pairwise(moments))
    return Dialling(
        calls_per_s=calls / took_s,
        cpu_us_per_call=cpu_s / calls * 1e6,
        apart_p99_ms=apart_ms[len(apart_ms) * 99 // 100],
        answered_share=dispositions.get("answered", 0) / calls,
        cpu_s=cpu_s,
        events=calls * (STEPS + 6),
    )


class _Clients:
    """The program that reads."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process

    async def wait_ready(self) -> None:
        """Until all of them read."""
        assert self._process.stdout is not None
        with trio.fail_after(WAIT_S_MAX):
            said = await self._process.stdout.receive_some()
        assert said.startswith(READY), said

    async def end(self) -> Reading:
        """Let them stop, and hear what they saw."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.aclose()
        with trio.fail_after(WAIT_S_MAX):
            said = b"".join([piece async for piece in process.stdout])
        return msgspec.json.decode(said, type=Reading)


@asynccontextmanager
async def open_clients(arguments: Sequence[str]) -> AsyncIterator[_Clients]:
    """Readers of a feed in a process of their own, once all of them read.

    Args:
        arguments: of `bench.feed_clients`.
    """
    async with _open_program("bench.feed_clients", *arguments) as process:
        clients = _Clients(process)
        await clients.wait_ready()
        yield clients


@asynccontextmanager
async def _open_program(module: str, *arguments: str) -> AsyncIterator[trio.Process]:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()


async def _read_bare(events_per_s: int, seconds: float) -> tuple[Reading, float]:
    """What clients of the bare server see, and its CPU seconds."""
    port = free_port()
    async with _open_program("bench.bare_feed", str(port), str(events_per_s)) as server:
        await wait_listening(port)
        async with open_clients((f"http://127.0.0.1:{port}", "none", str(CLIENTS))) as clients:
            before = usage_alone(server.pid)
            await trio.sleep(seconds)
            reading = await clients.end()
            return reading, usage_alone(server.pid).since(before)


SCENARIO = Scenario("feed", "300 readers of the feed while calls are dialled", run)
