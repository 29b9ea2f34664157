"""Calls that are due each at a moment of its own, and how late each began: by the callee's clock, which is
sipp's, as its log of messages has it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import trio
from msgspec import Struct

from api.compose import SystemClock
from bench.free_ports import free_port
from bench.installation import Installation, open_sipp, wait_completed
from bench.processes import usage_alone, usage_of
from bench.scenario import Show

LATE_MS_MAX: Final = 100.0
"""What 99 of 100 calls may begin behind their time."""
IN_TIME_SHARE_MIN: Final = 0.99
LEAD_S: Final = 1.0
"""Between the upload and the first call, and as much again for each `ROWS_PER_LEAD` rows: rows that wait for
moments of their own take longer to come in."""
ROWS_PER_LEAD: Final = 10_000
READ_S: Final = 1.0
"""How often the log is looked at."""
QUIET_READS_MAX: Final = 3
"""A log that has said nothing new so often says no more."""
BYE: Final[dict[str, Any]] = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}
"""A flow that hangs up as soon as the callee has answered."""

_INVITE: Final = re.compile(
    rb"(?m)^\S+\t\S+\t([0-9.]+)\tR\t\S+\tCSeq:\S+ INVITE\tINVITE sip:\+1(\d+)@"
)


class SippLog:
    """What a sipp callee heard, as it writes it down."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.came: dict[int, float] = {}
        """Number without its +1 → when its first INVITE came, seconds since the epoch."""
        self._place = 0

    def read(self) -> list[int]:
        """The numbers that were called since the last look, each when it was called first."""
        if not self.file.exists():
            return []
        with self.file.open("rb") as file:
            file.seek(self._place)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._place += len(whole)
        new = []
        for at, number in _INVITE.findall(whole):
            if int(number) not in self.came:
                self.came[int(number)] = float(at)
                new.append(int(number))
        return new


@asynccontextmanager
async def open_logging_sipp(
    folder: Path, arguments: Sequence[str] = ("-sn", "uas")
) -> AsyncIterator[tuple[int, SippLog]]:
    """A sipp callee that writes down what it hears: its UDP port, and its log."""
    port = free_port()
    file = folder / f"heard-at-{port}.log"
    tracing = ("-trace_shortmsg", "-shortmessage_file", str(file))
    async with open_sipp(folder, port, (*arguments, *tracing)):
        yield port, SippLog(file)


class Schedule(Struct, frozen=True):
    """Calls one after the other at an even pace, to numbers one after the other."""

    begins_at: float
    """Seconds since the epoch."""
    cps: float
    calls: int
    first: int
    """The first number, without its +1415."""

    def due(self) -> dict[int, float]:
        """Number without its +1 → when it is to be called."""
        return {
            4_150_000_000 + self.first + place: self.begins_at + place / self.cps
            for place in range(self.calls)
        }

    def make_csv(self) -> bytes:
        """The list to upload."""
        return b"tel1,starttime\n" + b"".join(
            b"+1%d,%s\n" % (number, datetime.fromtimestamp(at, UTC).isoformat().encode())
            for number, at in self.due().items()
        )


class Punctuality(Struct, frozen=True):
    """How late calls began."""

    calls: int
    in_time_share: float
    """Of all, those that began within `LATE_MS_MAX` of their time. Those that never began are not in it."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    never: int
    """Calls that never began."""
    per_s: float = 0.0
    """Calls that began in a second, from the first to the last."""


def judge_lateness(due: Mapping[int, float], came: Mapping[int, float]) -> Punctuality:
    """How late the calls of a schedule came."""
    late_ms = sorted((came[number] - at) * 1e3 for number, at in due.items() if number in came)
    if not late_ms:
        return Punctuality(len(due), 0.0, 0.0, 0.0, 0.0, len(due))
    in_time = sum(one <= LATE_MS_MAX for one in late_ms)
    began = sorted(came[number] for number in due if number in came)
    return Punctuality(
        calls=len(due),
        in_time_share=in_time / len(due),
        p50_ms=late_ms[len(late_ms) // 2],
        p99_ms=late_ms[len(late_ms) * 99 // 100],
        max_ms=late_ms[-1],
        never=len(due) - len(late_ms),
        per_s=(len(began) - 1) / max(began[-1] - began[0], 1e-3),
    )


class Sustained(Struct, frozen=True):
    """What became of a schedule."""

    cps: float
    punctuality: Punctuality
    answered: int
    cpu_us_per_call: float
    """Of the engine's own process, the list's coming in included."""
    cpu_us_per_call_all_processes: float

    @property
    def lost(self) -> int:
        """Calls that were not answered and committed as such."""
        return self.punctuality.calls - self.answered

    @property
    def holds(self) -> bool:
        """Whether 99 % began in time, and none was lost."""
        return self.punctuality.in_time_share >= IN_TIME_SHARE_MIN and not self.lost

    def figures(self) -> dict[str, float]:
        """All of it by name."""
        late = self.punctuality
        return {
            "cps": self.cps,
            "calls": float(late.calls),
            "in_time_share": late.in_time_share,
            "late_ms_p50": late.p50_ms,
            "late_ms_p99": late.p99_ms,
            "late_ms_max": late.max_ms,
            "lost": float(self.lost),
            "cpu_us_per_call": self.cpu_us_per_call,
        }


async def sustain(
    engine: Installation, flow: str, log: SippLog, plan: tuple[int, float, int], show: Show
) -> Sustained:
    """Have so many calls made, each at its time, and wait until all are over.

    Args:
        plan: how many calls, how many a second, and the first number.
    """
    calls, cps, first = plan
    begins_at = SystemClock().now() + LEAD_S * (1 + calls / ROWS_PER_LEAD)
    schedule = Schedule(begins_at, cps, calls, first)
    alone, together = usage_alone(engine.child.pid), usage_of(engine.child.pid)
    due = schedule.due()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_follow, log, due, show)
        view = await engine.client.upload_list(flow, f"timed{first}.csv", schedule.make_csv())
        dispositions = await wait_completed(engine.client, view.id)
        nursery.cancel_scope.cancel()
    alone_s = usage_alone(engine.child.pid).since(alone)
    together_s = usage_of(engine.child.pid).since(together)
    await _read_to_end(log, due)
    return Sustained(
        cps=cps,
        punctuality=judge_lateness(due, log.came),
        answered=dispositions.get("answered", 0),
        cpu_us_per_call=alone_s / calls * 1e6,
        cpu_us_per_call_all_processes=together_s / calls * 1e6,
    )


async def _follow(log: SippLog, due: Mapping[int, float], show: Show) -> None:
    """Note, once a second, how many calls came and how late they were."""
    while True:
        began = trio.current_time()
        await trio.sleep(READ_S)
        late_ms = sorted((log.came[one] - due[one]) * 1e3 for one in log.read() if one in due)
        if late_ms:
            rate = len(late_ms) / (trio.current_time() - began)
            p99_ms = late_ms[len(late_ms) * 99 // 100]
            show.note(calls_per_s=rate, late_ms_p50=late_ms[len(late_ms) // 2], late_ms_p99=p99_ms)


async def _read_to_end(log: SippLog, due: Mapping[int, float]) -> None:
    """Read until all calls are there, or nothing more comes."""
    quiet = 0
    while not due.keys() <= log.came.keys() and quiet < QUIET_READS_MAX:
        quiet = 0 if log.read() else quiet + 1
        await trio.sleep(READ_S / 10)


def describe(one: Sustained) -> str:
    """A line about it."""
    late = one.punctuality
    return (
        f"{one.cps:,.0f} calls a second, {late.calls:,} calls: {late.in_time_share:.2%} within "
        f"{LATE_MS_MAX:.0f} ms, p99 {late.p99_ms:.0f} ms, {one.lost} lost, "
        f"{one.cpu_us_per_call:,.0f} µs each"
    )
