"""The running product as Prometheus sees it."""

from __future__ import annotations

from pathlib import Path

import trio
from prometheus_client.parser import text_string_to_metric_families

from bench.installation import (
    POLL_S,
    Installation,
    make_config,
    make_csv,
    make_flow,
    open_installation,
)

LATE = ("callwheel_contact_lateness_seconds_count",)


async def read(engine: Installation) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    answer = await engine.client._http.request("GET", f"{engine.url}/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


async def test_prometheus_reads_what_the_engine_does(tmp_path: Path) -> None:
    with trio.fail_after(60):
        config = make_config(tmp_path / "data", "sip:127.0.0.1:9")
        async with open_installation(tmp_path, config) as engine:
            flow = await make_flow(engine.client, {"+14155550100": 1})
            await engine.client.upload_list(flow, "people.csv", make_csv(3))
            # Another process has no event to wait for.
            while (samples := await read(engine))[LATE] < 3:  # noqa: ASYNC110
                await trio.sleep(POLL_S)
    assert samples["callwheel_events_total", "list.accepted"] == 1
    assert samples["callwheel_dids",] == 1
    assert samples["callwheel_trunk_channels", "main"] > 0
    assert samples["callwheel_store_commits_total",] > 3
    assert samples["callwheel_store_failing",] == 0
    assert samples["callwheel_tasks",] > 10
    assert "callwheel_loop_lag_seconds_count" in {name for name, *_ in samples}
