"""Whether scenarios in which something goes on for a while measure what they say: what is slowed down, or
takes more and more, on purpose shows in its figure."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import trio

from bench import campaign, ramp, soak
from bench.installation import Installation
from tests.bench.site import QUIET, SLOWED_MIN, Site, check_all
from tests.bench.slowing import Slower


async def test_campaign(slower: Slower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "SIZES", {"quick": 10})
    plain = await campaign.run("quick", QUIET)
    with slower.over("bench.campaign"), slower.hoarding("bench.campaign"):
        slow = await campaign.run("quick", QUIET)
    check_all(slow.metrics, plain.metrics, "day_cpu_s", "cpu_us_per_attempt", "memory_mb")


async def test_ramp(site: Site, slower: Slower, monkeypatch: pytest.MonkeyPatch) -> None:
    site.lend(monkeypatch, ramp)
    monkeypatch.setattr(ramp, "WARM_UP", (1, 10))
    monkeypatch.setattr(ramp, "SEARCHES", {"quick": ramp.Search(20, 20, 0.5, 0.35, 1)})
    plain = await ramp.run("quick", QUIET)
    with slower.over("api"), slower.stalling("api"):
        slow = await ramp.run("quick", QUIET)
    names = ("late_ms_p50", "late_ms_p99", "late_ms_max")
    check_all(slow.metrics, plain.metrics, *(f"step1_{name}" for name in names))
    assert (slow.metrics["sustained_cps"], slow.metrics["first_not_held_cps"]) == (0.0, 20.0)


async def test_soak(site: Site, slower: Slower, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pages are asked for by somebody who never closes a connection, while the engine hoards."""

    async def ask_on_and_on(engine: Installation, over: trio.Event) -> None:
        host, port = engine.url.removeprefix("http://").split(":")
        streams = []
        while not over.is_set():
            streams.append(await trio.open_tcp_stream(host, int(port)))
            await trio.sleep(0.01)
        for stream in streams:
            await stream.aclose()

    site.lend(monkeypatch, soak)
    folders = SimpleNamespace(TemporaryDirectory=lambda **_: nullcontext(str(site.folder)))
    monkeypatch.setattr(soak, "tempfile", folders)  # whose database grows
    monkeypatch.setattr(soak, "LIST_S", 1.0)
    monkeypatch.setenv("CALLWHEEL_SOAK_S", "2.5")
    monkeypatch.setenv("CALLWHEEL_SOAK_CPS", "5")
    plain = await soak.run("quick", QUIET)
    monkeypatch.setattr(soak, "_read_pages", ask_on_and_on)
    with slower.hoarding("api"):
        leaking = await soak.run("quick", QUIET)
    names = ("memory_mb", "memory_all_mb", "descriptors", "descriptors_all", "tasks")
    for name in names:
        risen, before = (one.metrics[f"{name}_per_hour"] for one in (leaking, plain))
        assert risen > SLOWED_MIN * abs(before), name
