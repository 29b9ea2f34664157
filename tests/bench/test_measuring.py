"""Whether scenarios measure what they say: what is slowed down on purpose shows in its figure, and what is
slowed beside it in the floor alone.

Those that need an engine share one. Figures are processor time wherever there is one, as other tests run too.
"""

from __future__ import annotations

import heapq
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from csv import reader as read_csv
from pathlib import Path
from queue import SimpleQueue
from time import process_time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import trio

from adapters.media.listening.listeners import Listening
from api.client import CallwheelClient
from bench import dial, feed, intake, listening, recover, sip, sip_caller, stream, trigger, wheel
from bench.installation import Installation, make_config, make_flow, open_installation
from bench.invites import InviteLog, open_busy_callee
from bench.scenario import Measurement, Show
from bench.timed import SippLog, open_logging_sipp
from engine.schedule.wheel import TimerWheel
from tests.bench.slowing import Slower
from tests.peers import require
from tests.sizes import size

SLOWED_MIN = 1.5
"""So many times what it was is slower."""
LONG = pytest.mark.skipif(size(0, 1) == 0, reason="it starts many processes: make test-long")
QUIET = Show(lambda line: None)


def burn(seconds: float) -> None:
    """Use the processor."""
    until = process_time() + seconds
    while process_time() < until:
        pass


class Site:
    """An engine in a thread of its own, with a sipp callee, for all tests here."""

    def __init__(self, folder: Path, slower: Slower) -> None:
        self.folder = folder
        self.slower = slower
        self.runs = 0
        self._said: SimpleQueue[tuple[Installation, int, Path] | BaseException] = SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        said = self._said.get(timeout=120)
        if isinstance(said, BaseException):
            raise said
        self.engine, self.port, self.log = said

    def _run(self) -> None:
        async def host() -> None:
            self._stop = trio.Event()
            self._token = trio.lowlevel.current_trio_token()
            path = f"{self.slower.folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
            async with open_logging_sipp(self.folder) as (port, log):
                config = make_config(self.folder / "data", f"sip:127.0.0.1:{port}")
                async with open_installation(self.folder, config, [("PYTHONPATH", path)]) as engine:
                    self._said.put((engine, port, log.file))
                    await self._stop.wait()

        try:
            trio.run(host)
        except BaseException as error:
            self._said.put(error)

    def close(self) -> None:
        self._token.run_sync_soon(self._stop.set)
        self._thread.join()

    def lend(self, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
        """Have scenarios use this engine, and callers of their own on it, and begin at once."""

        @asynccontextmanager
        async def lend_installation(*_: Any) -> AsyncIterator[Installation]:
            client = CallwheelClient(self.engine.url, self.engine.admin_key)
            yield Installation(self.engine.child, self.engine.url, client, self.engine.admin_key)

        async def lend_flow(client: CallwheelClient, dids: Mapping[str, float], **more: Any) -> str:
            self.runs += 1
            own = {f"+1202{self.runs:03}{n:04}": cps for n, cps in enumerate(dids.values())}
            return await make_flow(client, own, **more)

        @asynccontextmanager
        async def lend_callee(_: Path) -> AsyncIterator[tuple[int, SippLog]]:
            yield self.port, SippLog(self.log)

        @asynccontextmanager
        async def lend_port(_: Path) -> AsyncIterator[int]:
            yield self.port

        for module in modules:
            monkeypatch.setattr(module, "open_installation", lend_installation)
            monkeypatch.setattr(module, "make_flow", lend_flow)
            for name, value in (
                ("SETTLE_S", 0.0),
                ("_open_callee", lend_callee),
                ("open_callee", lend_port),
            ):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, value)


@pytest.fixture(scope="module")
def sipp() -> str:
    return require("sipp", "sip-tester")


@pytest.fixture(scope="module")
def site(sipp: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), Slower(tmp_path_factory.mktemp("slower")))
    yield site
    site.close()


@pytest.fixture
def slower(site: Site, monkeypatch: pytest.MonkeyPatch) -> Slower:
    path = f"{site.slower.folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    monkeypatch.setenv("PYTHONPATH", path)
    return site.slower


def check(figure_slowed: Measurement, floor_slowed: Measurement, name: str) -> None:
    """Each was slowed once, and shows it beside the run in which the other one was."""
    assert figure_slowed.metrics[name] > SLOWED_MIN * floor_slowed.metrics[name]
    assert floor_slowed.floor[name] > SLOWED_MIN * figure_slowed.floor[name]


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


async def test_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowListening(Listening):
        def go_on(self, now_ns: int) -> None:
            burn(2e-4)
            super().go_on(now_ns)

    monkeypatch.setattr(listening, "STREAMS", 20)
    monkeypatch.setattr(listening, "TASKS", listening.TASKS[:1])
    monkeypatch.setattr(listening, "SOUND_S", {"quick": 1})
    plain = await listening.run("quick", QUIET)
    monkeypatch.setattr(listening, "Listening", SlowListening)
    slow = await listening.run("quick", QUIET)
    name = "nothing_us_per_packet"
    assert slow.metrics[name] > SLOWED_MIN * plain.metrics[name]


async def test_trigger(site: Site, slower: Slower, monkeypatch: pytest.MonkeyPatch) -> None:
    site.lend(monkeypatch, trigger)
    monkeypatch.setattr(trigger, "REQUESTS", {"quick": 64})
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
    monkeypatch.setattr(intake, "ROWS", 5_000)
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
    monkeypatch.setattr(dial, "SUSTAINED_FIRST", 2_000_000)
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
        logs[0].take(
            b"INVITE sip:+14150000001@127.0.0.1 SIP/2.0\r\n"
            b"From: <sip:%b@127.0.0.1>;tag=1\r\nCall-ID: %b\r\n\r\n"
            % (recover.DID.encode(), os.urandom(8).hex().encode()),
            trio.current_time(),
        )
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
