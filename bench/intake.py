"""`intake`: a call list of 5 MB uploaded over HTTP, validated, stored and answered, beside the least that any
program would do with it: `csv` and `executemany` into a table, in one transaction.
"""

from __future__ import annotations

import csv
import io
import math
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import trio

from bench.free_ports import free_port
from bench.installation import make_config, make_flow, open_installation
from bench.processes import usage_of
from bench.scenario import Measurement, Scenario, Show, Size

ROWS: Final = 100_000
ROUNDS: Final[dict[Size, int]] = {"quick": 2, "full": 7}
"""Uploads, and floors, of which the median counts."""
LOOK_S: Final = 0.05
"""How often the engine is asked for a sign of life meanwhile."""
FLOW: Final[dict[str, Any]] = {
    "start": "bye",
    "variables": {"name": {"default": "there"}, "amount": {"type": "money", "default": "0"}},
    "nodes": {"bye": {"type": "hangup"}},
}


async def run(size: Size, show: Show) -> Measurement:
    """Seconds from the first byte of the upload to its answer, and what all processes of the engine took of
    the processor; the same of the floor."""
    took_s, floor_s, cpu_s, floor_cpu_s, lag_s = [], [], [], [], 0.0
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        config = make_config(folder / "data", f"sip:127.0.0.1:{free_port()}")
        async with open_installation(folder, config) as engine:
            flow = await make_flow(engine.client, {"+14155550100": 1}, definition=FLOW)
            await engine.client.upload_list(flow, "warm.csv", make_list(1_000, 0))
            for place in range(1, ROUNDS[size] + 1):
                content = make_list(ROWS, place)
                show(f"{len(content) / 1e6:.1f} MB, {ROWS:,} rows")
                before = usage_of(engine.child.pid)
                async with trio.open_nursery() as nursery:
                    lags: list[float] = []
                    nursery.start_soon(_watch, engine.url, lags)
                    begun = trio.current_time()
                    view = await engine.client.upload_list(flow, f"{place}.csv", content)
                    took_s.append(trio.current_time() - begun)
                    nursery.cancel_scope.cancel()
                assert view.report.accepted == ROWS, view.report
                cpu_s.append(usage_of(engine.child.pid).since(before))
                lag_s = max(lag_s, *lags)
                floor, floor_cpu = await trio.to_thread.run_sync(_measure_floor, folder, content)
                floor_s.append(floor)
                floor_cpu_s.append(floor_cpu)
    metrics = {
        "upload_s": _median(took_s),
        "rows_per_s": ROWS / _median(took_s),
        "cpu_s": _median(cpu_s),
        "answer_to_others_max_ms": lag_s * 1e3,
    }
    floors = {
        "upload_s": _median(floor_s),
        "rows_per_s": ROWS / _median(floor_s),
        "cpu_s": _median(floor_cpu_s),
    }
    ratio = {name: metrics[name] / floors[name] for name in floors}
    return Measurement("intake", metrics, floors, ratio)


def make_list(rows: int, serial: int) -> bytes:
    """A call list of about 52 bytes a row, another for each serial number."""
    lines = (
        f"+1415{serial:02}{row:05},Customer {row:06},{row % 9000}.50,ref-{row:08}\r\n"
        for row in range(rows)
    )
    return ("tel1,name,amount,reference\r\n" + "".join(lines)).encode()


def _measure_floor(folder: Path, content: bytes) -> tuple[float, float]:
    """Seconds, and those of the processor, for the least: the rows read, and put into a table as durably as
    ours."""
    file = folder / "floor.db"
    file.unlink(missing_ok=True)
    begun, begun_cpu = time.perf_counter(), time.thread_time()
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE contacts (tel1, name, amount, reference)")
        rows = csv.reader(io.StringIO(content.decode(), newline=""))
        next(rows)
        with db:
            db.executemany("INSERT INTO contacts VALUES (?, ?, ?, ?)", rows)
        return time.perf_counter() - begun, time.thread_time() - begun_cpu


async def _watch(url: str, lags: list[float]) -> None:
    """How long the engine takes to say that it is alive, again and again."""
    host, port = url.removeprefix("http://").split(":")
    request = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        while True:
            begun = trio.current_time()
            await stream.send_all(request)
            await stream.receive_some()
            lags.append(trio.current_time() - begun)
            await trio.sleep(LOOK_S)


def _median(values: list[float]) -> float:
    return sorted(values)[math.floor(len(values) / 2)]


SCENARIO = Scenario("intake", "a call list of 5 MB: validated, stored and answered", run)
