"""`control`: whether an operator's hand is felt while very many contacts wait, and what a call costs then.

The engine is started with few and with very many contacts that wait: how soon it dials, and the CPU of each
attempt. With the most of them, a single call comes in, and lists are paused, resumed and canceled. Beside it
another flow goes on dialling at its own pace, and the gaps between its calls tell whether anything held
them up.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import trio

from api.client import CallwheelClient
from bench.crowd import add_crowd
from bench.installation import (
    WAIT_S_MAX,
    make_config,
    make_csv,
    make_flow,
    open_installation,
    wait_completed,
)
from bench.invites import Invite, InviteLog, open_busy_callee
from bench.processes import usage_alone, usage_of
from bench.scenario import Measurement, Scenario, Show, Size

CROWDS: Final[dict[Size, tuple[int, ...]]] = {
    "quick": (1_000, 20_000),
    "full": (1_000, 20_000, 200_000),
}
"""Contacts that wait, all in one flow; half of them in the list that is canceled."""
WATCH_S: Final[dict[Size, float]] = {"quick": 1.0, "full": 5.0}
"""How long the other flow is watched after each act, and for how long attempts are counted."""
CPS: Final = 20
"""Pace of each DID."""
CROWD_DID, OTHER_DID, URGENT_DID = "+14155550100", "+14155550101", "+14155550102"
OTHER_FIRST: Final = 9_000_000
OTHER_CALLS: Final = 20_000
BYE: Final[dict[str, Any]] = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}
SETTLE_S: Final = 3.0


async def run(size: Size, show: Show) -> Measurement:
    """How soon the engine dials, what an attempt costs, how long each act took to be answered, and the
    longest gap in the other flow's calls around it."""
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        async with open_busy_callee() as log:
            config = make_config(folder / "data", f"sip:127.0.0.1:{log.port}")
            watch = _Watch(log, WATCH_S[size], show)
            async with open_installation(folder, config) as engine:
                flows = [
                    await make_flow(engine.client, {did: CPS}, definition=BYE)
                    for did in (CROWD_DID, OTHER_DID, URGENT_DID)
                ]
                other = make_csv(OTHER_CALLS, OTHER_FIRST)
                await engine.client.upload_list(flows[1], "other.csv", other)
            waiting, lists = 0, list[str]()
            for crowd in CROWDS[size]:
                half = crowd // 2
                for rows in (crowd - waiting - half, half):
                    lists.append(await add_crowd(folder / "data", flows[0], rows, waiting))
                    waiting += rows
                show(f"{waiting:,} contacts wait")
                began = trio.current_time()
                async with open_installation(folder, config) as engine:
                    await watch.over_start(crowd, began, engine.child.pid)
                    if crowd == CROWDS[size][-1]:
                        await _act(
                            engine.client, watch, flows[2], lists[-2:], engine.child.pid, waiting
                        )
    return Measurement("control", watch.metrics)


class _Watch:
    """What was measured, by what the callee saw."""

    def __init__(self, log: InviteLog, watch_s: float, show: Show) -> None:
        self.log = log
        self.metrics: dict[str, float] = {}
        self._watch_s = watch_s
        self._show = show

    async def over_start(self, crowd: int, began: float, pid: int) -> None:
        """Note how soon an engine dials that was started at this moment, and what its attempts cost."""
        ready = trio.current_time()
        await self.log.wait_since(began, CROWD_DID)
        first = self.log.since(began)[0]
        self.metrics[f"ready_s_{crowd}"] = ready - began
        self.metrics[f"start_cpu_s_{crowd}"] = usage_of(pid).cpu_s
        self.metrics[f"ready_to_invite_s_{crowd}"] = first.at - ready
        await trio.sleep(SETTLE_S)
        used, since = usage_alone(pid), trio.current_time()
        await trio.sleep(self._watch_s)
        attempts = len(self.log.since(since))
        cpu_us = usage_alone(pid).since(used) / max(1, attempts) * 1e6
        self.metrics[f"cpu_us_per_attempt_{crowd}"] = cpu_us
        self._show(
            f"ready after {ready - began:.2f} s, dialling {first.at - ready:.2f} s later; "
            f"{attempts} attempts, {cpu_us:,.0f} µs each"
        )

    async def over(self, name: str, act: Callable[[], Awaitable[object]]) -> float:
        """Do something, and watch the other flow meanwhile and after; when it was done."""
        began = trio.current_time()
        with trio.fail_after(WAIT_S_MAX):
            await act()
        done = trio.current_time()
        await trio.sleep(self._watch_s)
        gap_s = longest_gap_s(self.log.since(began - 1 / CPS, OTHER_DID))
        self.metrics |= {f"{name}_s": done - began, f"{name}_gap_s": gap_s}
        self._show(f"{name}: {done - began:.3f} s, and the longest gap beside it {gap_s:.3f} s")
        return done


async def _act(
    client: CallwheelClient,
    watch: _Watch,
    urgent: str,
    lists: Sequence[str],
    pid: int,
    waiting: int,
) -> None:
    """Do all that an operator does with these lists, which came last of so many contacts that wait."""
    views = [await client.get_list(one) for one in lists]
    largest, rows = views[-1].id, views[-1].counts.contacts
    of_lists = sum(view.counts.contacts for view in views)

    def count_late(since: float, rows: int) -> float:
        """Calls that came later, to those who came last: they have the highest numbers."""
        numbers = [int(one.called[-7:]) for one in watch.log.since(since, CROWD_DID)]
        return float(sum(number >= waiting - rows for number in numbers))

    async def call() -> None:
        await client.call(urgent, "+14158888888")
        await watch.log.wait_since(0.0, URGENT_DID)

    async def change(how: Any) -> None:
        for one in lists:
            await client.change_list(one, how)

    await watch.over("nothing", trio.lowlevel.checkpoint)
    await watch.over("urgent_call", call)
    paused_at = await watch.over("pause", lambda: change("pause"))
    watch.metrics["invites_after_pause"] = count_late(paused_at, of_lists)
    await watch.over("resume", lambda: change("resume"))
    await watch.over("ask", lambda: client.get_list(largest))
    used = usage_alone(pid)
    canceled_at = await watch.over("cancel", lambda: client.change_list(largest, "cancel"))
    await watch.over("closing", lambda: wait_completed(client, largest))
    spent_s = usage_alone(pid).since(used)
    watch.metrics |= {
        "contacts_canceled": float(rows),
        "invites_after_cancel": count_late(canceled_at, rows),
        "closing_cpu_us_per_contact": spent_s / rows * 1e6,
    }


def longest_gap_s(invites: Sequence[Invite]) -> float:
    """The longest time between two calls, one after the other."""
    return max(
        (after.at - before.at for before, after in itertools.pairwise(invites)),
        default=float("inf"),
    )


SCENARIO = Scenario(
    "control", "lists paused, resumed and canceled while very many contacts wait", run
)
