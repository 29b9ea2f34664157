"""`waiting`: what contacts cost that wait: memory of the engine, with a list that is far ahead and one
that is due while its only DID lets a call a second through.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import trio

from bench.free_ports import free_port
from bench.installation import make_config, make_csv, make_flow, open_installation
from bench.processes import usage_alone
from bench.scenario import Measurement, Scenario, Show, Size

CONTACTS: Final[dict[Size, int]] = {"quick": 100_000, "full": 100_000}
WARM_UP: Final = 100
SETTLE_S: Final = 3.0
"""After which memory is read: what the upload itself took has been given back by then."""


async def run(size: Size, show: Show) -> Measurement:
    """MiB of the engine's own process before and with the contacts waiting."""
    count = CONTACTS[size]
    half = count // 2
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        trunk = f"sip:127.0.0.1:{free_port()}"
        async with open_installation(folder, make_config(folder / "data", trunk)) as engine:
            flow = await make_flow(engine.client, {"+14155550100": 1})
            # The first list starts a worker, which is not what these cost.
            await engine.client.upload_list(flow, "warm.csv", make_csv(WARM_UP, first=count))
            await trio.sleep(SETTLE_S)
            pid = engine.child.pid
            before = usage_alone(pid).resident_mb
            show(f"{half:,} contacts for tomorrow, {half:,} that are due")
            begun = trio.current_time()
            later = make_csv(half).replace(b"\n", b",2040-01-01T09:00:00Z\n")
            later = later.replace(b"tel1,2040-01-01T09:00:00Z", b"tel1,starttime", 1)
            await engine.client.upload_list(flow, "later.csv", later)
            await engine.client.upload_list(flow, "now.csv", make_csv(half, first=half))
            took_s = trio.current_time() - begun
            await trio.sleep(SETTLE_S)
            after = usage_alone(pid).resident_mb
    metrics = {
        "resident_mb_before": before,
        "resident_mb_with_waiting": after,
        "bytes_per_waiting_contact": (after - before) * 2**20 / count,
        "accepted_contacts_per_s": count / took_s,
    }
    return Measurement("waiting", metrics)


SCENARIO = Scenario("waiting", "memory of the engine with 100,000 contacts waiting", run)
