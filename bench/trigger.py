"""`trigger`: single calls and batches over HTTP, durable before they are answered, by 1 to 64 connections.
Beside it two bare applications that read the same body and keep nothing: one of quart-trio, one of plain
ASGI, both in the server that ours runs in.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from bench.bare_front import APPLICATIONS
from bench.free_ports import free_port
from bench.installation import Installation, make_config, make_flow, open_installation
from bench.processes import usage_alone
from bench.scenario import Measurement, Scenario, Show, Size
from bench.timed import BYE

CONNECTIONS: Final = 32
"""What the figures are named for that have no number of connections in their name."""
OTHER_CONNECTIONS: Final[dict[Size, tuple[int, ...]]] = {"quick": (1, 64), "full": (1, 4, 16, 64)}
WARM_UP: Final = 200
REQUESTS: Final[dict[Size, int]] = {"quick": 2_000, "full": 10_000}
BATCHES: Final[dict[Size, int]] = {"quick": 50, "full": 250}
BATCH: Final = 100
"""Contacts of one batch."""
BATCH_CONNECTIONS: Final = 4
NOTE_S: Final = 1.0
READ_BYTES: Final = 65_536
START_S_MAX: Final = 30.0
POLL_S: Final = 0.05


class Load(Struct, frozen=True):
    """So many requests to one place, over so many connections at once."""

    url: str
    path: str
    key: str
    requests: int
    connections: int
    batch: int = 1
    """Contacts of one request; of one alone it is the trigger of a single call."""


class Timing(Struct, frozen=True):
    """What a load of requests came to."""

    per_s: float
    p50_ms: float
    p99_ms: float

    def figures(self) -> dict[str, float]:
        """By name."""
        return {
            "triggers_per_s": self.per_s,
            "latency_p50_ms": self.p50_ms,
            "latency_p99_ms": self.p99_ms,
        }


async def run(size: Size, show: Show) -> Measurement:
    """Triggers a second, and their latency."""
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        trunk = f"sip:127.0.0.1:{free_port()}"  # it takes no call: nothing is due
        async with open_installation(folder, make_config(folder / "data", trunk)) as engine:
            metrics = await _measure(engine, size, show)
    floor: dict[str, float] = {}
    for kind in APPLICATIONS:
        show(f"the same to a bare application, {kind}")
        figures = await _measure_bare(kind, REQUESTS[size], show)
        prefix = "" if kind == "quart" else f"{kind}_"
        floor |= {prefix + figure: value for figure, value in figures.items()}
    ratio = {name: metrics[name.removeprefix("asgi_")] / floor[name] for name in floor}
    return Measurement("trigger", metrics, floor, ratio)


async def _measure(engine: Installation, size: Size, show: Show) -> dict[str, float]:
    flow = await make_flow(engine.client, {"+14155550100": 1}, definition=BYE)
    path = f"/v1/flows/{flow}/calls"
    count = REQUESTS[size]
    show(f"{count:,} durable triggers over {CONNECTIONS} connections")
    load = Load(engine.url, path, engine.admin_key, count, CONNECTIONS)
    metrics = await _measure_one(load, engine.child.pid, show)
    for connections in OTHER_CONNECTIONS[size]:
        show(f"the same over {connections}")
        load = Load(engine.url, path, engine.admin_key, count // 4, connections)
        timing = await send_load(load, show)
        suffix = f"_{connections}_connections"
        metrics |= {name + suffix: value for name, value in timing.figures().items()}
    show(f"{BATCHES[size]:,} batches of {BATCH} over {BATCH_CONNECTIONS}")
    path = f"/v1/flows/{flow}/multicast"
    load = Load(engine.url, path, engine.admin_key, BATCHES[size], BATCH_CONNECTIONS, BATCH)
    timing = await send_load(load, show)
    metrics["batch_contacts_per_s"] = timing.per_s * BATCH
    metrics["batch_latency_p99_ms"] = timing.p99_ms
    return metrics


async def _measure_one(load: Load, pid: int, show: Show) -> dict[str, float]:
    """The figures of a load, and what the process that answers spends on it."""
    before = usage_alone(pid)
    timing = await send_load(load, show)
    cpu_s = usage_alone(pid).since(before)
    return timing.figures() | {"cpu_us_per_trigger": cpu_s / (load.requests + WARM_UP) * 1e6}


async def _measure_bare(kind: str, count: int, show: Show) -> dict[str, float]:
    port = free_port()
    process = await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", "bench.bare_front", str(port), kind],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await wait_listening(port)
        load = Load(f"http://127.0.0.1:{port}", "/trigger", "none", count, CONNECTIONS)
        return await _measure_one(load, process.pid, show)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def wait_listening(port: int) -> None:
    """Wait until somebody listens on this TCP port of 127.0.0.1."""
    with trio.fail_after(START_S_MAX):
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
            except OSError:
                await trio.sleep(POLL_S)  # another process has no event to wait for
            else:
                return


async def send_load(load: Load, show: Show) -> Timing:
    """Send it, each connection one request after the other."""
    host, port = load.url.removeprefix("http://").split(":")
    latencies: list[float] = []

    async def drive(serial: int, requests: int, keep: list[float]) -> None:
        stream = await trio.open_tcp_stream(host, int(port))
        async with stream:
            for number in range(requests):
                request = make_request(load, serial, number)
                begun = trio.current_time()
                await stream.send_all(request)
                await read_answer(stream)
                keep.append(trio.current_time() - begun)

    async def drive_all(requests: int, keep: list[float]) -> float:
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            for serial in range(load.connections):
                nursery.start_soon(drive, serial, requests, keep)
        return trio.current_time() - begun

    if load.batch == 1:
        await drive_all(max(1, WARM_UP // load.connections), [])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_note, latencies, load.batch, show)
        took_s = await drive_all(max(1, load.requests // load.connections), latencies)
        nursery.cancel_scope.cancel()
    latencies.sort()
    return Timing(
        per_s=len(latencies) / took_s,
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1e3,
    )


async def _note(latencies: list[float], batch: int, show: Show) -> None:
    """Note, once a second, what was answered in it."""
    seen = 0
    while True:
        begun = trio.current_time()
        await trio.sleep(NOTE_S)
        new = sorted(latencies[seen:])
        seen += len(new)
        if new:
            show.note(
                contacts_per_s=len(new) * batch / (trio.current_time() - begun),
                latency_p50_ms=new[len(new) // 2] * 1e3,
                latency_p99_ms=new[len(new) * 99 // 100] * 1e3,
            )


def make_request(load: Load, serial: int, number: int) -> bytes:
    """One request of a connection's. Its calls are due in many years."""
    if load.batch == 1:
        body = b'{"to":"+1415%03d%04d","starttime":"2040-01-01T09:00:00Z"}' % (
            serial,
            number % 10_000,
        )
    else:
        contacts = b",".join(
            b'{"tel":["+1416%03d%04d"],"starttime":"2040-01-01T09:00:00Z"}'
            % (serial, (number * load.batch + place) % 10_000)
            for place in range(load.batch)
        )
        body = b'{"name":"batch","contacts":[%s]}' % contacts
    head = (
        f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {load.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def read_answer(stream: trio.SocketStream) -> None:
    """Read one answer that says its length, and hold it to a 202."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await _receive(stream)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 202"), head[:200] + body[:500]
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += await _receive(stream)


async def _receive(stream: trio.SocketStream) -> bytes:
    data = await stream.receive_some(READ_BYTES)
    assert data, "the connection was closed"
    return bytes(data)


SCENARIO = Scenario(
    "trigger",
    "durable calls over HTTP, singly and in batches, beside bare quart-trio and ASGI",
    run,
)
