"""Whether scenarios measure what they say: what is slowed down on purpose shows in its figure, and what is
slowed beside it in the floor alone.

Those about sound are in `test_measuring_sound.py`; those with an engine that is played in virtual time in
`test_measuring_played.py`; that of `soak` in `test_soak.py`.
"""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from csv import reader as read_csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from bench import campaign, dial, feed, intake, recover, sip, sip_caller, stream, trigger, wheel
from bench.invites import InviteLog, open_busy_callee
from engine.schedule.wheel import TimerWheel
from tests.bench.site import QUIET, SLOWED_MIN, Site, burn, check, check_all, play_invite
from tests.bench.slowing import Slower
from tests.sizes import size

pytestmark = pytest.mark.punctual

LONG = pytest.mark.skipif(size(0, 1) == 0, reason="it starts many processes: make test-long")


async def test_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowWheel(TimerWheel[float]):
        def expire(self, now: float) -> list[float]:
            burn(1e-4)
            return super().expire(now)

    def push(heap: list[Any], item: Any) -> None:
        burn(1e-4)
        heapq.heappush(heap, item)

    monkeypatch.setattr(wheel, "SIZES", {"quick": (1_000,)})
    with monkeypatch.context() as slow:
        slow.setattr(wheel, "TimerWheel", SlowWheel)
        figure = await wheel.run("quick", QUIET)
    monkeypatch.setattr(wheel, "heapq", SimpleNamespace(heappush=push, heappop=heapq.heappop))
    check(figure, await wheel.run("quick", QUIET), "schedule_expire_us_1000")


async def test_trigger(site: Site, slower: Slower, monkeypatch: pytest.MonkeyPatch) -> None:
    site.lend(monkeypatch, trigger)
    monkeypatch.setattr(trigger, "REQUESTS", {"quick": 256})
    monkeypatch.setattr(trigger, "OTHER_CONNECTIONS", {"quick": ()})
    monkeypatch.setattr(trigger, "BATCHES", {"quick": 1})
    monkeypatch.setattr(trigger, "APPLICATIONS", ("quart",))
    monkeypatch.setattr(trigger, "WARM_UP", 32)
    with slower.over("api"):
        figure = await trigger.run("quick", QUIET)
    with slower.over("bench.bare_front"):
        floor = await trigger.run("quick", QUIET)
    check(figure, floor, "cpu_us_per_trigger")


async def test_intake(site: Site, slower: Slower, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_reader(*arguments: Any, **more: Any) -> Iterator[list[str]]:
        burn(1.0)
        return read_csv(*arguments, **more)

    site.lend(monkeypatch, intake)
    monkeypatch.setattr(intake, "ROWS", 20_000)
    monkeypatch.setattr(intake, "ROUNDS", {"quick": 1})
    with slower.over("worker"):
        figure = await intake.run("quick", QUIET)
    monkeypatch.setattr(intake, "csv", SimpleNamespace(reader=slow_reader))
    check(figure, await intake.run("quick", QUIET), "cpu_s")


async def test_stream(site: Site, slower: Slower, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_loads(text: str) -> Any:
        burn(1e-4)
        return json.loads(text)

    site.lend(monkeypatch, stream)
    monkeypatch.setattr(stream, "CONTACTS", {"quick": 20_000})
    monkeypatch.setattr(stream, "FLOOR_CONTACTS", 5_000)
    with slower.over("api"):
        figure = await stream.run("quick", QUIET)
    monkeypatch.setattr(stream, "json", SimpleNamespace(loads=slow_loads))
    check(figure, await stream.run("quick", QUIET), "engine_cpu_us_per_contact")


@pytest.fixture
def slow_sipp(sipp: str, tmp_path: Path) -> str:
    """A sipp that does something else before it begins."""
    file = tmp_path / "sipp"
    file.write_text(f'#!/bin/bash\nfor ((i = 0; i < 200000; i++)); do :; done\nexec {sipp} "$@"\n')
    file.chmod(0o755)
    return str(file)


async def test_dial(
    site: Site, slower: Slower, slow_sipp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.lend(monkeypatch, dial)
    monkeypatch.setattr(dial, "LOADS", {"quick": dial.Load(60, 100)})
    monkeypatch.setattr(dial, "SUSTAINED", {"quick": dial.Load(30, 60)})
    monkeypatch.delenv("CALLWHEEL_ASTERISK", raising=False)
    with slower.over("api"):
        figure = await dial.run("quick", QUIET)
    monkeypatch.setattr(dial, "find_sipp", lambda: slow_sipp)
    floor = await dial.run("quick", QUIET)
    check(figure, floor, "cpu_us_per_call")
    for one in (figure, floor):
        assert (one.metrics["answered_share"], one.metrics["sustained_lost"]) == (1.0, 0.0)
    name = "sustained_cpu_us_per_call"
    assert figure.metrics[name] > SLOWED_MIN * floor.metrics[name]


@LONG
async def test_sip(slower: Slower, slow_sipp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip, "LOADS", {"quick": sip_caller.Load(40, 40)})
    monkeypatch.setattr(sip, "TASK_LOADS", {"quick": sip_caller.Load(1, 10)})
    with slower.over("bench.sip_caller"):
        figure = await sip.run("quick", QUIET)
    monkeypatch.setattr(dial, "find_sipp", lambda: slow_sipp)
    check(figure, await sip.run("quick", QUIET), "cpu_us_per_call")


@LONG
async def test_feed(site: Site, slower: Slower, monkeypatch: pytest.MonkeyPatch) -> None:
    site.lend(monkeypatch, feed)
    monkeypatch.setattr(feed, "CLIENTS", 2)
    monkeypatch.setattr(feed, "CALLS", {"quick": 20})
    monkeypatch.setattr(feed, "FLOOR_S", {"quick": 0.5})
    with slower.over("api"):
        figure = await feed.run("quick", QUIET)
    with slower.over("bench.bare_feed"):
        floor = await feed.run("quick", QUIET)
    assert figure.metrics["cpu_us_per_call"] > SLOWED_MIN * floor.metrics["cpu_us_per_call"]
    name = "cpu_us_per_message"
    assert floor.floor[name] > SLOWED_MIN * figure.floor[name]


@pytest.mark.parametrize(("slowed", "other"), [("metrics", "floor"), ("floor", "metrics")])
async def test_recover(slowed: str, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is played by this process: it calls as soon as it is started, or half a second later."""
    folders = {"metrics": "many", "floor": "few"}
    logs: list[InviteLog] = []

    @asynccontextmanager
    async def open_log() -> AsyncIterator[InviteLog]:
        async with open_busy_callee() as log:
            logs.append(log)
            yield log

    @asynccontextmanager
    async def play_engine(folder: Path, config: str) -> AsyncIterator[Any]:
        await trio.Path(folder / "data").mkdir(exist_ok=True)
        await trio.Path(folder / recover.CONFIG).write_text(config)
        if folder.name == folders[slowed]:
            await trio.sleep(0.5)
        play_invite(logs[0], recover.DID, "+14150000001")
        yield SimpleNamespace(child=SimpleNamespace(pid=os.getpid()), client=None)

    async def make_nothing(*_: Any, **more: Any) -> str:
        return "flw_1"

    monkeypatch.setattr(recover, "open_busy_callee", open_log)
    monkeypatch.setattr(recover, "open_installation", play_engine)
    monkeypatch.setattr(recover, "make_flow", make_nothing)
    monkeypatch.setattr(recover, "add_crowd", make_nothing)
    measured = await recover.run("quick", QUIET)
    name = "start_to_invite_s"
    assert getattr(measured, slowed)[name] >= 0.5
    assert getattr(measured, other)[name] < getattr(measured, slowed)[name]


async def test_campaign(slower: Slower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "SIZES", {"quick": 10})
    plain = await campaign.run("quick", QUIET)
    with slower.over("bench.campaign"), slower.hoarding("bench.campaign"):
        slow = await campaign.run("quick", QUIET)
    check_all(slow.metrics, plain.metrics, "day_cpu_s", "cpu_us_per_attempt", "memory_mb")
