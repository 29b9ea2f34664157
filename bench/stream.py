"""`stream`: contacts as NDJSON over one connection, each piece durable before it is acknowledged, beside the
least that any program would do with them: `json` and `executemany`, a thousand contacts a commit.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import trio

from bench.free_ports import free_port
from bench.installation import make_config, make_flow, open_installation
from bench.processes import usage_alone
from bench.scenario import Measurement, Scenario, Show, Size

CONTACTS: Final[dict[Size, int]] = {"quick": 100_000, "full": 1_000_000}
FLOOR_CONTACTS: Final = 100_000
CHUNK_CONTACTS: Final = 1_000
COMMIT_CONTACTS: Final = 1_000


async def run(size: Size, show: Show) -> Measurement:
    """Durable contacts a second, and how long an acknowledgement took at the most."""
    count = CONTACTS[size]
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        config = make_config(folder / "data", f"sip:127.0.0.1:{free_port()}")
        async with open_installation(folder, config) as engine:
            definition = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}
            flow = await make_flow(engine.client, {"+14155550100": 1}, definition=definition)
            path = f"/v1/flows/{flow}/multicast"
            show(f"{count:,} contacts over one connection")
            await _stream(engine.url, path, engine.admin_key, 0, 2_000)
            before = usage_alone(engine.child.pid)
            took_s, gap_s = await _stream(engine.url, path, engine.admin_key, 1, count)
            cpu_s = usage_alone(engine.child.pid).since(before)
        show("the same with json and executemany")
        floor_s, floor_cpu_s = await trio.to_thread.run_sync(_measure_floor, folder)
    metrics = {
        "durable_contacts_per_s": count / took_s,
        "engine_cpu_us_per_contact": cpu_s / count * 1e6,
        "acknowledgements_apart_max_ms": gap_s * 1e3,
    }
    floor = {
        "durable_contacts_per_s": FLOOR_CONTACTS / floor_s,
        "engine_cpu_us_per_contact": floor_cpu_s / FLOOR_CONTACTS * 1e6,
    }
    ratio = {name: metrics[name] / floor[name] for name in floor}
    return Measurement("stream", metrics, floor, ratio)


def _make_lines(serial: int, first: int, count: int) -> bytes:
    return b"".join(
        b'{"tel":"+1%03d%07d","reference":"ref-%d"}\n' % (415 + serial, number, number)
        for number in range(first, first + count)
    )


async def _stream(url: str, path: str, key: str, serial: int, count: int) -> tuple[float, float]:
    """(seconds for all, the longest between two acknowledgements)."""
    host, port = url.removeprefix("http://").split(":")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    gap_s = 0.0
    received = b""
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        begun = last = trio.current_time()

        async def send() -> None:
            await stream.send_all(head.encode())
            for first in range(0, count, CHUNK_CONTACTS):
                lines = _make_lines(serial, first, min(CHUNK_CONTACTS, count - first))
                await stream.send_all(b"%x\r\n%s\r\n" % (len(lines), lines))
            await stream.send_all(b"0\r\n\r\n")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            async for data in stream:
                now = trio.current_time()
                gap_s, last = max(gap_s, now - last), now
                received = (received + data)[-4096:]
        took_s = last - begun
    lines = [line for line in received.split(b"\n") if line.startswith(b"{")]
    accepted = msgspec.json.decode(lines[-1])["accepted"]
    assert accepted == count, lines[-1]
    return took_s, gap_s


def _measure_floor(folder: Path) -> tuple[float, float]:
    """Seconds, and those of the processor."""
    content = _make_lines(2, 0, FLOOR_CONTACTS)
    begun, begun_cpu = time.perf_counter(), time.thread_time()
    with closing(sqlite3.connect(folder / "floor.db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE contacts (tel, reference)")
        contacts = (json.loads(line) for line in content.splitlines())
        rows = ((one["tel"], one["reference"]) for one in contacts)
        while batch := list(islice(rows, COMMIT_CONTACTS)):
            with db:
                db.executemany("INSERT INTO contacts VALUES (?, ?)", batch)
        return time.perf_counter() - begun, time.thread_time() - begun_cpu


SCENARIO = Scenario("stream", "contacts as NDJSON, acknowledged in durable pieces", run)
