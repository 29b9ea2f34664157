"""Whether scenarios measure what they say, in virtual time: the engine is played by this process, and is as
slow as it is told. What it does late, or more than it should, is what its figure says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bench import busy, control, mixed, waiting
from bench.feed_clients import Reading
from bench.invites import InviteLog, open_busy_callee
from bench.media_far import Lateness
from bench.ramp import Search
from bench.scenario import NotMeasured
from bench.timed import Punctuality, Sustained
from bench.trigger import Timing
from tests.bench.site import QUIET, burn, check_all, play_invite

SLACK_S = 0.06
"""Calls are 0.05 s apart."""


def counts(contacts: int, completed: int, id_: str = "") -> Any:
    view = SimpleNamespace(contacts=contacts, completed=completed)
    return SimpleNamespace(id=id_, counts=view, dispositions={"answered": completed})


class Dialler:
    """An engine that calls 20 times a second from each of two DIDs while it runs, and takes its time."""

    START_S, FIRST_S, CALL_S, PAUSE_S, ASK_S, CANCEL_S, CLOSING_S = (
        3.0,
        0.5,
        0.7,
        0.3,
        0.25,
        1.5,
        4.0,
    )
    HELD_S = 1.0
    """It calls nobody for so long while lists are resumed."""
    STRAY = 3
    """Calls of lists that have just been paused or canceled."""

    def __init__(self, burn_s: float) -> None:
        self.burn_s = burn_s
        self.log: InviteLog | None = None
        self.lists: dict[str, int] = {}
        self.client = self
        self._called_from = 10
        """The lowest number of the crowd that it calls: those below are in the lists that nobody touches."""
        self._stray = 0
        self._held_until = 0.0
        self._closed_at = float("inf")

    @asynccontextmanager
    async def run(self, *_: Any) -> AsyncIterator[Any]:
        await trio.sleep(self.START_S)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._dial, control.CROWD_DID)
            nursery.start_soon(self._dial, control.OTHER_DID)
            yield SimpleNamespace(child=SimpleNamespace(pid=os.getpid()), client=self)
            nursery.cancel_scope.cancel()

    async def _dial(self, did: str) -> None:
        await trio.sleep(self.FIRST_S)
        serial = 0
        while True:
            while trio.current_time() < self._held_until:  # noqa: ASYNC110 - it may be held anew
                await trio.sleep_until(self._held_until)
            self._invite(did, self._next_number(serial) if did == control.CROWD_DID else serial)
            serial += 1
            await trio.sleep(1 / control.CPS)

    def _next_number(self, serial: int) -> int:
        if self._called_from == 10 or self._stray:
            self._stray = max(0, self._stray - 1)
            return 39
        return serial % self._called_from

    def _invite(self, did: str, number: int) -> None:
        burn(self.burn_s)
        assert self.log is not None
        play_invite(self.log, did, f"+1415{number:07}")

    async def add_crowd(self, _folder: Path, _flow: str, rows: int, first: int) -> str:
        self.lists[f"lst_{first}"] = rows
        return f"lst_{first}"

    async def upload_list(self, *_: Any) -> None: ...

    async def get_list(self, one: str) -> Any:
        await trio.sleep(self.ASK_S)
        is_closed = trio.current_time() >= self._closed_at
        return counts(self.lists[one], self.lists[one] * is_closed, one)

    async def call(self, did: str, _number: str) -> None:
        await trio.sleep(self.CALL_S)
        self._invite(did, 0)

    async def change_list(self, _list: str, how: str) -> None:
        if how == "resume":
            self._held_until = trio.current_time() + self.HELD_S
        await trio.sleep(self.CANCEL_S if how == "cancel" else self.PAUSE_S)
        self._called_from = {"pause": 9, "resume": 10, "cancel": 19}[how]
        self._stray = self.STRAY * (how != "resume")
        if how == "cancel":
            self._closed_at = trio.current_time() + self.CLOSING_S


async def test_control(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure(burn_s: float) -> dict[str, float]:
        engine = Dialler(burn_s)

        @asynccontextmanager
        async def open_log() -> AsyncIterator[InviteLog]:
            async with open_busy_callee() as engine.log:
                yield engine.log

        async def make_flow(_client: Any, dids: dict[str, float], **_: Any) -> str:
            return next(iter(dids))

        monkeypatch.setattr(control, "open_busy_callee", open_log)
        monkeypatch.setattr(control, "open_installation", engine.run)
        monkeypatch.setattr(control, "make_flow", make_flow)
        monkeypatch.setattr(control, "add_crowd", engine.add_crowd)
        return (await control.run("quick", QUIET)).metrics

    monkeypatch.setattr(control, "CROWDS", {"quick": (10, 40)})
    plain, slow = await measure(0.0), await measure(1e-3)
    check_all(slow, plain, "cpu_us_per_attempt_10", "cpu_us_per_attempt_40")
    expected = {
        "ready_s_40": Dialler.START_S,
        "ready_to_invite_s_40": Dialler.FIRST_S,
        "nothing_s": 0.0,
        "nothing_gap_s": 0.05,
        "urgent_call_s": Dialler.CALL_S,
        "pause_s": 2 * Dialler.PAUSE_S,
        "pause_gap_s": 0.05,
        "resume_s": 2 * Dialler.PAUSE_S,
        "resume_gap_s": Dialler.PAUSE_S + Dialler.HELD_S,
        "ask_s": Dialler.ASK_S,
        "cancel_s": Dialler.CANCEL_S,
        "invites_after_pause": Dialler.STRAY,
        "invites_after_cancel": Dialler.STRAY,
        "contacts_canceled": 20,
    }
    assert {name: plain[name] for name in expected} == pytest.approx(expected, abs=SLACK_S)
    # It is asked for again and again until it is so.
    asked_s = control.WATCH_S["quick"]
    assert plain["closing_s"] == pytest.approx(Dialler.CLOSING_S - asked_s, abs=0.5)


HOARDER = """
import sys
kept = []
for line in sys.stdin:
    kept.append(b"x" * int(line))
    print(flush=True)
"""


@pytest.fixture
def hoarder() -> Iterator[subprocess.Popen[str]]:
    """A process that takes as many octets as each line says."""
    command = [sys.executable, "-S", "-c", HOARDER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.communicate()


async def test_waiting(
    autojump_clock: MockClock, hoarder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hoarded_mb = 32

    async def upload_list(*_: Any) -> None:
        assert hoarder.stdin is not None
        assert hoarder.stdout is not None
        hoarder.stdin.write(f"{hoarded_mb << 20}\n")
        hoarder.stdin.flush()
        hoarder.stdout.readline()
        await trio.sleep(5)

    @asynccontextmanager
    async def play_engine(*_: Any) -> AsyncIterator[Any]:
        child, client = SimpleNamespace(pid=hoarder.pid), SimpleNamespace(upload_list=upload_list)
        yield SimpleNamespace(child=child, client=client)

    async def make_flow(*_: Any) -> str:
        return "flw_1"

    monkeypatch.setattr(waiting, "open_installation", play_engine)
    monkeypatch.setattr(waiting, "make_flow", make_flow)
    monkeypatch.setattr(waiting, "CONTACTS", {"quick": 1_000})
    metrics = (await waiting.run("quick", QUIET)).metrics
    before_mb = metrics.pop("resident_mb_before")
    assert before_mb > hoarded_mb
    grown_mb = 2 * hoarded_mb
    assert metrics == pytest.approx(
        {
            "resident_mb_with_waiting": before_mb + grown_mb,
            "bytes_per_waiting_contact": grown_mb * 2**20 / 1_000,
            "accepted_contacts_per_s": 100,
        },
        rel=0.05,
    )


class Listener:
    """A far end that hears packets late, and loses some, while anything comes in."""

    def __init__(self) -> None:
        self.is_disturbed = False
        self.streams_then = 200

    async def measure(self, measure_s: float) -> Lateness:
        await trio.sleep(measure_s)
        if self.is_disturbed:
            return Lateness(self.streams_then, 100, 3, 0.5, 20.0, 40.0, 60.0)
        return Lateness(200, 100, 0, 1.0, 0.0, 1.0, 2.0)


class Door:
    """The client of an engine that takes its time with what comes in."""

    upload_s = 0.5

    async def create_prompt(self, *_: Any) -> Any:
        return SimpleNamespace(id="prm_1")

    async def upload_list(self, _flow: str, name: str, content: bytes) -> Any:
        await trio.sleep(self.upload_s)
        return SimpleNamespace(id=name, report=SimpleNamespace(accepted=content.count(b"\n") - 1))

    async def multicast(self, *_: Any) -> None:
        await trio.sleep(0.1)

    async def get_list(self, *_: Any) -> Any:
        return counts(10, 10)


async def test_busy(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = Listener()

    async def send_mails(_: Path, done: busy.Busyness, *, task_status: Any) -> None:
        far.is_disturbed = True
        task_status.started()
        await trio.sleep(3)
        done.mails = busy.MAILS
        await done.is_over.wait()

    async def make_flow(*_: Any) -> str:
        return "flw_1"

    monkeypatch.setattr(busy, "_send_mails", send_mails)
    monkeypatch.setattr(busy, "_make_flow", make_flow)
    monkeypatch.setattr(busy, "LIST_BYTES", 1_000)
    engine: Any = SimpleNamespace(client=Door())
    measured = await busy._measure(engine, far, "quick", tmp_path, QUIET)  # type: ignore[arg-type]
    came_in = [measured.metrics.pop(name) for name in ("lists", "triggers")]
    assert min(came_in) > 1
    late = {"late_ms_p99": 40.0, "late_ms_max": 60.0, "in_time_share": 0.5, "packets_lost": 6.0}
    assert measured.metrics == {**late, "calls": 200.0, "mails": 10.0}
    assert measured.floor == {
        "late_ms_p99": 1.0,
        "late_ms_max": 2.0,
        "in_time_share": 1.0,
        "packets_lost": 0.0,
    }
    far.is_disturbed, far.streams_then = False, 199
    with pytest.raises(NotMeasured, match="a call ended while lists and mails came in"):
        await busy._measure(engine, far, "quick", tmp_path / "x", QUIET)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer_s", "upload_s", "triggers_per_s", "p99_ms", "rows_per_s", "broken"),
    [(0.02, 0.5, 40, 20, 1_000, 0), (0.5, 2.5, 16, 6_200, 400, 3)],
    ids=["as asked", "slow"],
)
async def test_mixed(
    answer_s: float,
    upload_s: float,
    triggers_per_s: float,
    p99_ms: float,
    rows_per_s: float,
    broken: int,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alone it took 80 triggers and 2,000 rows a second, and held 100 calls a second, not 150."""
    client = Door()

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            while await stream.receive_some():
                await trio.sleep(answer_s)
                await stream.send_all(b"HTTP/1.1 202 OK\r\ncontent-length: 2\r\n\r\n{}")

    async def send_load(*_: Any) -> Timing:
        return Timing(80.0, 0.0, 0.0)

    async def make_flow(*_: Any, **__: Any) -> str:
        return "flw_1"

    async def sustain(_e: Any, _f: Any, _l: Any, plan: tuple[int, float, int], _s: Any) -> Any:
        client.upload_s = upload_s
        await trio.sleep(10)
        share = 1.0 if plan[1] <= 100 else 0.9
        return Sustained(plan[1], Punctuality(500, share, 1.0, 2.0, 3.0, 0, 49.0), 500, 1.0, 2.0)

    @asynccontextmanager
    async def open_clients(arguments: Any) -> AsyncIterator[Any]:
        async def end() -> Reading:
            return Reading(100, 10, 0, 1.0, 2.0, 1.0)

        assert arguments[2] == "20"
        yield SimpleNamespace(end=end)

    for name, value in {
        "send_load": send_load,
        "make_flow": make_flow,
        "sustain": sustain,
        "open_clients": open_clients,
    }.items():
        monkeypatch.setattr(mixed, name, value)
    plan = mixed.Plan(Search(25, 800, 1.0, 0.5, 9), 100, 1_000, 40, 10.0)
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        child = SimpleNamespace(pid=0)
        engine: Any = SimpleNamespace(url=url, admin_key="k", client=client, child=child)
        site = mixed._Site(engine, None, Listener(), QUIET)  # type: ignore[arg-type]
        measured = await mixed._measure(site, plan)
        nursery.cancel_scope.cancel()
    figures = {
        "triggers_per_s": triggers_per_s,
        "trigger_latency_ms_p99": p99_ms,
        "rows_per_s": rows_per_s,
        "dial_begun_per_s": 49.0,
        "dial_cps": 50.0,
        "lag_p99_ms": 2.0,
        "packets_late_ms_p99": 1.0,
        "limits_broken": broken,
    }
    assert {name: measured.metrics[name] for name in figures} == pytest.approx(figures, rel=0.1)
    floor = {
        "triggers_per_s": 80.0,
        "dial_begun_per_s": 100.0,
        "rows_per_s": 2_000.0,
        "readers": 40.0,
    }
    assert measured.floor == pytest.approx(floor)
