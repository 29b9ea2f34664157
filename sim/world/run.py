"""Lets a plan happen: the engine's processes, and what people ask of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, Final, cast

import msgspec
import structlog.testing
import trio
from msgspec import Struct

from adapters.workers import InlineWorkers
from engine.form import Invalid
from engine.intake.receipt import Receipt
from engine.intake.refused import Refused
from engine.intake.submission import CallReceipt
from engine.model import Attempt, CallList, Contact
from engine.model.events import StoredEvent
from engine.model.webhook import Delivery
from engine.notify.courier import Courier
from engine.ports.stored import Conflict, StoreUnavailable
from engine.post.postman import Postman
from engine.running.settings import EngineSettings
from engine.runtime import Engine
from sim.memory_store import MemoryStore
from sim.memory_store.forgetting import Forgetting
from sim.memory_store.tables import EVENTS_KEPT_MAX
from sim.world.clock import WorldClock
from sim.world.disk import Disk, open_store
from sim.world.judge import Breach, Judge
from sim.world.leftovers import count_tasks, find_leftovers
from sim.world.network import ProcessTelephony, WorldNetwork
from sim.world.obeying import Reply, obey
from sim.world.plan import Action, Plan
from sim.world.process import Process, ProcessDied
from sim.world.scheduling import ClosedClock, run_virtually
from sim.world.sending import open_courier, open_postman
from sim.world.summary import Summary
from sim.world.tape import Answered, Asked, Entry, Happened, Tape, Told
from sim.world.view import View
from sim.world.witness import Witness

DRAIN_S: Final = 20.0
DOWN_S: Final = 1.0
"""How long the machine needs to start the next process."""
KNOCK_S: Final = 0.5
KNOCKS_MAX: Final = 60
"""So often, and so far apart, somebody tries who finds no engine."""
STOCK_S: Final = 5.0
"""How long the last process has to find what was left."""
DONE_CHECK_S: Final = 20.0
"""How often it is looked whether nothing is left to do."""
AFTERWARDS_S: Final = 60.0
"""How long the world goes on then."""
FEW_EVENTS: Final = 1_000
"""Of an account, in days in which nothing is kept."""
OUR_FAULT: Final = ("attempt failed by a fault of ours", "attempt left without an end")


class Run(Struct):
    """What a run left behind, for the judge."""

    plan: Plan
    tape: Tape
    contacts: list[Contact]
    """Those that the store still held at the end, as of everything here: all, unless the plan has some
    forgotten."""
    attempts: list[Attempt]
    lists: list[CallList]
    deliveries: list[Delivery]
    ended_at: float
    """Seconds of the world."""
    processes: int
    faults: list[str]
    """Lines of the log that tell of a bug, and errors that ended a process."""
    left: list[str]
    """What a process held that had nothing to do any more."""
    breaches: list[Breach]
    """What the judge found."""
    summary: Summary


def run_plan(plan: Plan, tamper: Callable[[World], None] | None = None) -> Run:
    """Let it happen.

    Args:
        tamper: is shown the world before it begins, to plant a bug in it.
    """
    return run_virtually(plan.seed, _live, plan, tamper, step_s=plan.step_s)


async def _live(plan: Plan, tamper: Callable[[World], None] | None) -> Run:
    world = World(plan)
    if tamper is not None:
        tamper(world)
    with _listen() as log:
        await world.live()
    tables, clock = world.store.tables, trio.lowlevel.current_clock()
    assert isinstance(clock, ClosedClock)
    run = Run(
        plan=plan,
        tape=world.tape,
        contacts=[*tables.contacts.values()],
        attempts=[*tables.attempts.values()],
        lists=[entry.as_list() for entry in tables.lists.values()],
        deliveries=[one for kept in tables.deliveries.values() for one in kept.values()],
        ended_at=trio.current_time(),
        processes=world.processes,
        faults=[*world.faults, *(_describe(line) for line in log if line["event"] in OUR_FAULT)],
        left=[*world.left, *(f"{name}: never ended" for name in clock.stuck)],
        breaches=[],
        summary=world.summary,
    )
    run.breaches = world.judge.finish(run)
    return run


@contextmanager
def _listen() -> Iterator[list[dict[str, Any]]]:
    """The engine's log, kept from the terminal."""
    with structlog.testing.capture_logs() as log:
        yield cast("list[dict[str, Any]]", log)


def _describe(line: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in line.items())


class World:
    """Everything that outlives a process."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        is_kept = plan.forgets_after_s is None
        self.tape = Tape(keeps=is_kept)
        self.clock = WorldClock(plan.epoch)
        events_kept_max = EVENTS_KEPT_MAX if is_kept else FEW_EVENTS
        self.store = MemoryStore(self._hear, self.clock, events_kept_max=events_kept_max)
        self.judge = Judge(plan, self.store.tables)
        self.summary = Summary()
        self.view = View(self)
        self.tape.readers += (self.judge.read, self.summary.read, self.view.read)
        if not is_kept:
            self._forgetting = Forgetting(self.store.tables)
            self.tape.readers.append(self._forget)
        chance = Random(plan.seed)
        self.disk = Disk(self.store, plan.disk, chance, self.tape)
        self.network = WorldNetwork(
            plan.seed,
            plan.profile,
            plan.outages,
            plan.loss,
            self.store,
            self.clock,
            self.tape,
        )
        self.engine: Engine | None = None
        """Of the process that runs; None while there is none."""
        self.process: Process | None = None
        self.courier: Courier | None = None
        self.postman: Postman | None = None
        self.processes = 0
        self.faults: list[str] = []
        self.make_engine: Callable[..., Engine] = Engine
        self.left: list[str] = []
        """What a process with nothing to do had all the same."""
        self._tasks: Counter[str] | None = None
        """Of that process."""
        self.lists: list[str] = []
        """Those that were taken, in their order."""
        self._host: trio.Nursery | None = None
        self._leave_life: trio.CancelScope | None = None
        self._life_over = trio.Event()
        self._deaths = [*plan.dies_at_step]
        self._is_ending = False
        self._busy = 0
        """Actions that are going on."""

    def _forget(self, entry: Entry) -> None:
        """Let go of what is done with for long enough."""
        assert self.plan.forgets_after_s is not None
        for contact in self.judge.settle_until(entry.at - self.plan.forgets_after_s):
            self._forgetting.forget(contact)

    async def live(self) -> None:
        """From the beginning to the end."""
        await self._furnish()
        async with trio.open_nursery() as host:
            self._host = host
            async with trio.open_nursery() as people:
                people.start_soon(self._keep_running)
                people.start_soon(Witness(self, self.view).run)
                await self._act(people)
                await self._wait_done()
                self._is_ending = True
                people.cancel_scope.cancel()
            self._look_for_leftovers()
            await self._stop()
            await self._take_stock()

    def _look_for_leftovers(self) -> None:
        """Whether the process that runs has let go of everything, where there is nothing to be done."""
        tables = self.store.tables
        due = (one.state == "pending" for of in tables.deliveries.values() for one in of.values())
        if self.engine is None or self._has_open() or tables.open_legs or any(due):
            return
        self.left += find_leftovers(self.engine, self.network)
        assert self._host is not None
        self._tasks = count_tasks(self._host)

    async def _stop(self) -> None:
        """Stop the process that runs, as its operator does."""
        if self._leave_life is not None:
            self.tape.add(Happened(trio.current_time(), "stop"))
            self._leave_life.cancel()
            await self._life_over.wait()

    async def _take_stock(self) -> None:
        """Let one more process find what the last one left. Every listener is off: it dials nobody."""
        flows = self.store.tables.flows
        for flow in [*flows.values()]:
            flows[flow.id] = msgspec.structs.replace(flow, listener_active=False)
        assert self._host is not None
        process = self._make_process(None)
        self._host.start_soon(self._live_once, process, self._life_over)
        await trio.sleep(STOCK_S)
        if self._tasks is not None and self.engine is not None:
            tasks = self._tasks - count_tasks(self._host)
            self.left += [f"{name}: {count} tasks" for name, count in tasks.items()]
        await self._stop()

    def _hear(self, events: Sequence[StoredEvent]) -> None:
        for one in events:
            body = msgspec.Raw(one.body)
            self.tape.add(Told(trio.current_time(), one.seq, one.account, one.type, body))
        if self.courier is not None:
            self.courier.note(events)

    async def _furnish(self) -> None:
        for account in self.plan.accounts:
            await self.store.add_account(account)
        for did in self.plan.dids:
            await self.store.add_did(did)
        for flow in self.plan.flows:
            await self.store.add_flow(flow)
        for agent in self.plan.agents:
            await self.store.add_agent(agent)

    async def _keep_running(self) -> None:
        """One process after the other, as long as the world goes on."""
        while not self._is_ending:
            process = self._make_process(self._deaths.pop(0) if self._deaths else None)
            died = trio.Event()
            process.on_death[self] = died.set
            over = self._life_over
            assert self._host is not None
            self._host.start_soon(self._live_once, process, over)
            async with trio.open_nursery() as either:
                # What a dead process leaves takes a while to fall apart; nobody waits for it.
                for moment in (died, over):
                    either.start_soon(_wait_then_cancel, moment, either.cancel_scope)
            self.engine = self.courier = None
            if process.is_dead:
                self.tape.add(Happened(trio.current_time(), "process died"))
                over.set()
            if not self._is_ending:
                await trio.sleep(DOWN_S)

    def _make_process(self, dies_at_step: int | None) -> Process:
        self.process = Process(self.processes, dies_at_step)
        self.processes += 1
        self._life_over = trio.Event()
        self.tape.add(Happened(trio.current_time(), "process starts"))
        return self.process

    async def _live_once(self, process: Process, over: trio.Event) -> None:
        plan = self.plan
        telephony = ProcessTelephony(self.network, process)
        engine = self.make_engine(
            EngineSettings(
                channels=plan.channels,
                cps=plan.cps,
                caps=plan.caps,
                destinations=("+",),
                trunks=plan.trunks,
                drain_s=DRAIN_S,
            ),
            store=open_store(self.disk, process),
            telephony=telephony,
            clock=self.clock,
            randomness=Random(f"{plan.seed}/{process.number}"),
            workers=InlineWorkers(),
        )
        courier = open_courier(self, engine, process)
        postman = open_postman(self, engine, process)

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            await engine.run(task_status=task_status)

        try:
            async with trio.open_nursery() as nursery:
                self._leave_life = nursery.cancel_scope
                process.on_death[nursery] = nursery.cancel_scope.cancel
                nursery.start_soon(telephony.run)
                await nursery.start(run)
                if not process.is_dead:
                    self.engine, self.courier, self.postman = engine, courier, postman
                    nursery.start_soon(courier.run)
                    if postman is not None:
                        nursery.start_soon(postman.run)
                await trio.sleep_forever()
        except* ProcessDied:
            pass
        except* StoreUnavailable as group:
            # A start without a disk fails, and is tried again.
            for error in group.exceptions:
                self.tape.add(Happened(trio.current_time(), "process failed", str(error)))
        except* Exception as group:
            self.faults.append(f"a process ended with {group!r}: {group.exceptions!r}")
        finally:
            if self.engine is engine:
                self.engine = self.courier = None
            over.set()

    async def _act(self, people: trio.Nursery) -> None:
        for action in self.plan.actions:
            await trio.sleep_until(action.at)
            self._busy += 1
            people.start_soon(self._do, action)

    async def _do(self, action: Action) -> None:
        try:
            await self._carry_out(action)
        except* ProcessDied:
            pass  # nobody hears an answer
        finally:
            self._busy -= 1

    async def _carry_out(self, action: Action) -> None:
        now = trio.current_time()
        match action.deed:
            case "set_clock":
                self.clock.set_by(action.amount)
                self.tape.add(Happened(now, "clock set", str(action.amount)))
            case "crash":
                if self.process is not None:
                    self.process.die()
            case "restart":
                if self._leave_life is not None:
                    self.tape.add(Happened(now, "stop"))
                    self._leave_life.cancel()
            case _:
                await self._ask(action)

    async def _ask(self, action: Action) -> None:
        """Somebody asks for something, if there is anybody to ask."""
        engine = await self._find_engine()
        target = self._target_of(action)
        if engine is None or target is None:
            return
        self.tape.add(Asked(trio.current_time(), action.deed, target))
        reply = Reply("unavailable")
        try:
            reply = await self._answer(engine, action, target)
        except (Conflict, Refused, Invalid) as error:
            reply = Reply(error.code)
        except StoreUnavailable:
            pass
        now = trio.current_time()
        self.tape.add(Answered(now, action.deed, target, reply.answer, reply.accepted, reply.until))

    async def _find_engine(self) -> Engine | None:
        """The engine, as soon as there is one; None for those who lose patience."""
        for _ in range(KNOCKS_MAX):
            if self.engine is not None:
                return self.engine
            await trio.sleep(KNOCK_S)
        return None

    def _target_of(self, action: Action) -> str | None:
        if action.deed in ("pause", "resume", "cancel", "reschedule_list", "prioritise_list"):
            place = int(action.target)
            return self.lists[place % len(self.lists)] if self.lists else None
        if action.deed in ("cancel_contact", "reschedule_contact"):
            contacts = [*self.store.tables.contacts]
            return contacts[int(action.target) % len(contacts)] if contacts else None
        return action.target

    async def _answer(self, engine: Engine, action: Action, target: str) -> Reply:
        match action.deed:
            case "list":
                receipt = await engine.intake.submit_contacts(
                    self.store.tables.flows[target], data=action.body
                )
                assert isinstance(receipt, Receipt)
                self.lists.append(receipt.call_list.id)
                return Reply(receipt.call_list.id, receipt.call_list.report.accepted)
            case "call":
                flow = self.store.tables.flows[target]
                call = await engine.intake.submit_call(flow, data=action.body)
                assert isinstance(call, CallReceipt)
                return Reply(call.contact.id, 1)
        return await obey(self, engine, action, target)

    async def _wait_done(self) -> None:
        """Until nothing is left to do, or the world's time is up."""
        while trio.current_time() < self.plan.horizon_s:
            await trio.sleep(DONE_CHECK_S)
            if not self._busy and not self._has_open():
                break
        await trio.sleep(AFTERWARDS_S)

    def _has_open(self) -> bool:
        tables = self.store.tables
        return any(entry.state.completed < entry.state.contacts for entry in tables.lists.values())


async def _wait_then_cancel(moment: trio.Event, scope: trio.CancelScope) -> None:
    await moment.wait()
    scope.cancel()
