"""`trigger`: single calls over HTTP, each durable before it is answered, beside a bare quart-trio
application that reads the same body and keeps nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from bench.installation import free_port, make_config, make_flow, open_installation
from bench.processes import usage_alone
from bench.scenario import Measurement, Scenario, Show, Size

CONNECTIONS: Final = 32
WARM_UP: Final = 200
REQUESTS: Final[dict[Size, int]] = {"quick": 4_000, "full": 40_000}
READ_BYTES: Final = 65_536
START_S_MAX: Final = 30.0
POLL_S: Final = 0.05


class Timing(Struct, frozen=True):
    """What a load of requests came to."""

    per_s: float
    p50_ms: float
    p99_ms: float


async def run(size: Size, show: Show) -> Measurement:
    """Triggers a second over 32 connections, and their latency."""
    count = REQUESTS[size]
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        trunk = f"sip:127.0.0.1:{free_port()}"  # it takes no call: nothing is due
        async with open_installation(folder, make_config(folder / "data", trunk)) as engine:
            flow = await make_flow(
                engine.client,
                {"+14155550100": 1},
                definition={"start": "bye", "nodes": {"bye": {"type": "hangup"}}},
            )
            path = f"/v1/flows/{flow}/calls"
            show(f"{count:,} durable triggers over {CONNECTIONS} connections")
            before = usage_alone(engine.child.pid)
            here = await _load(engine.url, path, engine.admin_key, count)
            cpu_s = usage_alone(engine.child.pid).since(before)
    show("the same to a bare quart-trio application")
    bare = await _load_bare(count)
    metrics = {
        "triggers_per_s": here.per_s,
        "latency_p50_ms": here.p50_ms,
        "latency_p99_ms": here.p99_ms,
        "cpu_us_per_trigger": cpu_s / (count + WARM_UP) * 1e6,
    }
    floor = {
        "triggers_per_s": bare.per_s,
        "latency_p50_ms": bare.p50_ms,
        "latency_p99_ms": bare.p99_ms,
    }
    ratio = {name: metrics[name] / floor[name] for name in floor}
    return Measurement("trigger", metrics, floor, ratio)


async def _load_bare(count: int) -> Timing:
    port = free_port()
    process = await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", "bench.bare_front", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await wait_listening(port)
        return await _load(f"http://127.0.0.1:{port}", "/trigger", "none", count)
    finally:
        process.kill()
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


async def _load(url: str, path: str, key: str, count: int) -> Timing:
    """Send `count` triggers over all connections at once, each connection one after the other."""
    host, port = url.removeprefix("http://").split(":")
    latencies: list[float] = []

    async def drive(serial: int, requests: int, keep: list[float]) -> None:
        stream = await trio.open_tcp_stream(host, int(port))
        async with stream:
            for number in range(requests):
                to = f"+1415{serial:03}{number % 10_000:04}"
                begun = trio.current_time()
                await stream.send_all(_request(host, path, key, to))
                await _read_answer(stream)
                keep.append(trio.current_time() - begun)

    async def drive_all(requests: int, keep: list[float]) -> float:
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            for serial in range(CONNECTIONS):
                nursery.start_soon(drive, serial, requests, keep)
        return trio.current_time() - begun

    await drive_all(max(1, WARM_UP // CONNECTIONS), [])
    took_s = await drive_all(count // CONNECTIONS, latencies)
    latencies.sort()
    return Timing(
        per_s=len(latencies) / took_s,
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1e3,
    )


def _request(host: str, path: str, key: str, to: str) -> bytes:
    body = b'{"to":"%s","starttime":"2040-01-01T09:00:00Z"}' % to.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _read_answer(stream: trio.SocketStream) -> None:
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


SCENARIO = Scenario("trigger", "durable single calls over HTTP, beside bare quart-trio", run)
