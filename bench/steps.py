"""What trio has to do for one call that is answered, plays nothing and is hung up: counted, not timed, so
that it comes out the same on any machine, however much else it does.

Usage: `python -m bench.steps [CALLS]`. The engine is the real one, over the store in memory and a simulated
network, in virtual time; what those two ask of trio themselves is counted along: one step of an attempt, in
which the network prepares its call, is nobody else's.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec
import trio
from msgspec import Struct
from trio.testing import MockClock

from adapters.workers import InlineWorkers
from bench.timed import BYE
from engine.dial.trunks.trunk import TrunkSettings
from engine.model import Account, Flow
from engine.model.events import StoredEvent
from engine.running.settings import EngineSettings
from engine.runtime import Engine
from sim.call_script import CallScript
from sim.memory_store import MemoryStore
from sim.telephony import SimulatedTelephony

CALLS: Final = 1_000
DIDS: Final = 10
CPS: Final = 30.0
"""Of each of them."""
CALLEE: Final = CallScript(ring_after_s=0.02, final_after_s=0.04)
SETTLE_S: Final = 5.0
BEGINS_AT: Final = 1_767_603_600.0


class Steps(Struct, frozen=True):
    """What one call costs, on average."""

    by_task: dict[str, float]
    """How often a task of each kind is woken, or goes on after a checkpoint."""
    scopes: float
    """Cancel scopes that are entered."""
    calls: float
    """Calls of Python functions, trio's own and those of the store and the network included."""


class _Counting(trio.abc.Instrument):
    def __init__(self) -> None:
        self.steps: Counter[str] = Counter()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        name = task.name
        self.steps["DID" if name.startswith("did ") else name.split(".")[-1]] += 1


class _Clock:
    def now(self) -> float:
        return BEGINS_AT + trio.current_time()


class _Ending:
    """Hears when the list is over."""

    def __init__(self) -> None:
        self.over = trio.Event()

    def hear(self, events: Sequence[StoredEvent]) -> None:
        if any(event.type == "list.completed" for event in events):
            self.over.set()


async def count(calls: int) -> Steps:
    """Dial so many calls, under a clock that jumps, and count."""
    ending, clock = _Ending(), _Clock()
    store = MemoryStore(ending.hear, clock)
    engine = Engine(
        EngineSettings(10_000, 10_000, ("+",), (TrunkSettings("main", 10_000, 10_000),)),
        store=store,
        telephony=SimulatedTelephony(lambda _request, _before: CALLEE),
        clock=clock,
        randomness=Random(1),  # noqa: S311 - it is to be the same each time
        workers=InlineWorkers(),
    )
    counting, profile = _Counting(), cProfile.Profile()
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda *, task_status: engine.run(task_status=task_status))
        account = await engine.administration.ensure_default_account()
        flow = await _make_flow(engine, account)
        await trio.sleep(SETTLE_S)
        body = {"contacts": [{"tel": [f"+1415556{n:04}"]} for n in range(calls)]}
        found = await store.get_flow(account.id, flow)
        assert found is not None
        trio.lowlevel.add_instrument(counting)
        profile.enable()
        await engine.intake.submit_contacts(found, data=msgspec.json.encode(body))
        await ending.over.wait()
        profile.disable()
        trio.lowlevel.remove_instrument(counting)
        nursery.cancel_scope.cancel()
    return _sum_up(counting.steps, profile, calls)


async def _make_flow(engine: Engine, account: Account) -> str:
    office = engine.administration
    numbers = [f"+1415555{n:04}" for n in range(DIDS)]
    for number in numbers:
        did = {"account": "default", "trunk": "main", "cps": CPS, "channels": 1_000}
        await office.create_did({"number": number, **did})
    raw = {"name": "bye", "kind": "multicast", "timezone": "UTC", "definition": BYE}
    flow = await office.create_flow(account, {**raw, "settings": {}})
    assert isinstance(flow, Flow)  # there is no Idempotency-Key
    await office.attach_dids(account, flow.id, numbers)
    await office.set_listener(account, flow.id, True)
    return flow.id


def _sum_up(steps: Counter[str], profile: cProfile.Profile, calls: int) -> Steps:
    scopes = total = 0
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for (file, _, name), (_, count_, *_) in stats.items():
        total += count_
        if name == "__enter__" and file.endswith("trio/_core/_run.py"):
            scopes += count_
    by_task = {name: round(one / calls, 2) for name, one in steps.most_common()}
    return Steps(by_task, round(scopes / calls, 2), round(total / calls, 1))


def measure(calls: int) -> Steps:
    """`count` in a run of trio of its own."""
    return trio.run(count, calls, clock=MockClock(autojump_threshold=0))


if __name__ == "__main__":
    given = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    print(msgspec.json.format(msgspec.json.encode(measure(given))).decode())
