"""The simulated carrier as a process of its own, and what its log says."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from api.commands.children import ChildPlan, clean_environment, host_child
from sim.call_log import CallRecord, read_call_log

TALK_A_WHILE = """
media = false
[ring_s]
min = 0.0
mean = 0.0
max = 0.0
[talk_s]
min = {talk_s}
mean = {talk_s}
max = {talk_s}
"""
"""A profile: everybody answers at once, and hangs up after so many seconds."""


@asynccontextmanager
async def open_carrier(folder: Path, profile: str = "quiet") -> AsyncIterator[str]:
    """Run `callwheel sim` for as long as the block lasts; its SIP URI. Its log is whole afterwards."""
    plan = ChildPlan(
        name="the simulated carrier",
        arguments=(
            *("sim", "--bind", "127.0.0.1:0", "--profile", profile),
            *("--seed", "1", "--log", str(folder / "carrier.jsonl")),
        ),
        environment=clean_environment(os.environ, ()),
        log=folder / "carrier.log",
        ready=r"takes calls at (sip:\S+)",
    )
    async with trio.open_nursery() as nursery:
        child = await nursery.start(host_child, plan)
        yield child.said[1]
        nursery.cancel_scope.cancel()


def write_profile(folder: Path, talk_s: float) -> str:
    """A profile by which everybody answers and talks for so long; its path."""
    file = folder / "profile.toml"
    file.write_text(TALK_A_WHILE.format(talk_s=talk_s), encoding="utf-8")
    return str(file)


def read_calls(folder: Path) -> list[CallRecord]:
    """Every call that the carrier saw, in the order of their INVITEs."""
    calls, _ = read_call_log(folder / "carrier.jsonl")
    return sorted(calls, key=lambda call: call.invite_at)


def byes_of(call: CallRecord) -> int:
    """How often the caller hung up. Where the machine stands still a BYE comes again, and is the same one."""
    return call.byes - call.bye_retransmissions
