"""The engine put together: it starts the scheduler and the DID actors, and lays the ways between them.

Whatever a door, the HTTP front or a command wants of the running engine, it asks here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import trio
from msgspec import structs

from engine.control.administration import Administration
from engine.control.blocked import BlockedContacts, BlockedList
from engine.control.holding import Holding
from engine.control.list_holding import ListHolding
from engine.control.rescheduling import Rescheduling
from engine.control.staffing import Staffing
from engine.control.waiting_told import WaitingTeller
from engine.dial.attempts.assignment import AttemptServices
from engine.dial.attempts.conversation import ConversationServices, FlowParts, LegsOrder
from engine.dial.attempts.live import LiveAttempts
from engine.dial.attempts.progress import ProgressDesk
from engine.dial.attempts.versions import FlowVersions
from engine.dial.did_keeper import DidKeeper
from engine.dial.dids.did import DidActor
from engine.dial.explaining import Explainer
from engine.dial.legs.errands import Errands
from engine.dial.legs.workforce import Workforce
from engine.dial.limits.party import limits_of_engine
from engine.dial.limits.recent_calls import RecentCalls
from engine.dial.operation import Operation
from engine.dial.router import Router
from engine.dial.trunks.route import check_routes
from engine.flow.legs import Legs
from engine.forecast.forecaster import Forecaster
from engine.ids import IdSource
from engine.intake.submission import Intake
from engine.model import Attempt, Blocker, BlockerCode, CallList, Contact, ListCounts
from engine.ports.clock import Randomness, WallClock
from engine.ports.speech import Speech
from engine.ports.store import Store
from engine.ports.telephony import Telephony
from engine.ports.workers import Workers
from engine.running.changes import Changes
from engine.running.recovery import find_dids, recall_starts, recover, restore_starts
from engine.running.settings import EngineSettings
from engine.running.statistics import DidLoad, EngineStatistics, count_engine, find_problems
from engine.schedule.feed import Work
from engine.schedule.reopening import Reopening
from engine.schedule.scheduler import CLOCK_BACK_S, Scheduler

FAREWELL_S: Final = 5.0
"""How long the calls that a stopping engine breaks off may take to end and to be written down."""


class Engine:
    """One running engine over a store and a telephone network."""

    def __init__(
        self,
        settings: EngineSettings,
        *,
        store: Store,
        telephony: Telephony,
        clock: WallClock,
        randomness: Randomness,
        workers: Workers,
        parts: FlowParts | None = None,
    ) -> None:
        """Raises ValueError for routes over trunks that are not there, or names that are there twice."""
        self._settings = settings
        self.store = store
        self.clock = clock
        self._telephony = telephony
        ids = IdSource(clock, randomness)
        limits = limits_of_engine(settings.cps, settings.channels, settings.caps)
        operation = Operation(clock, limits, settings.trunks, settings.routes, settings.day_caps)
        self._operation = operation
        self._router = Router(clock, operation)
        self._scheduler = Scheduler(
            store,
            clock,
            self._router.take,
            operation.is_sticky,
            operation.rank_of,
            operation.dids_of,
            self._note_clock_back,
            self._look_callees_up,
        )
        self._live = LiveAttempts()
        self._services = self._make_services(ids, randomness, parts or FlowParts())
        self._stopping = trio.Event()
        explainer = Explainer(
            clock,
            limits,
            operation.desks,
            operation.actors,
            operation.parking,
            self._stopping.is_set,
        )
        self._errands = Errands(self._services, operation, self._router, explainer)
        self._workforce = Workforce(self._services, operation, self._router, self._errands)
        self.dids = DidKeeper(
            store, clock, operation, settings.did_rests, self._scheduler.queues.offer_all
        )
        self._reopening = Reopening(
            store, clock, self._scheduler.bring_list_forward, self._scheduler.aside.turn
        )
        self.changes = Changes(store, clock, operation, self._scheduler, self.dids, self._reopening)
        self._blocked = BlockedContacts(store, clock, explainer, self._scheduler.is_paused)
        self._waiting_teller = WaitingTeller(
            store, clock, self._blocked, self._scheduler.open_lists, settings.tell_waiting_s
        )
        self._open_desks(ids, randomness, workers, None if parts is None else parts.speech)
        self._running = False

    def _make_services(
        self, ids: IdSource, randomness: Randomness, parts: FlowParts
    ) -> AttemptServices:
        """What attempts work with."""
        store, clock = self.store, self.clock
        return AttemptServices(
            live=self._live,
            store=store,
            telephony=self._telephony,
            clock=clock,
            ids=ids,
            randomness=randomness,
            destinations=self._settings.destinations,
            conversations=ConversationServices(store, clock, ids, parts, self._make_legs),
            versions=FlowVersions(store),
            progress=ProgressDesk(store),
            put_back=self._put_back,
            set_aside=self._set_aside,
            pause_list=self._scheduler.pause_list,
            finish=self._finish,
            note_calling=self._scheduler.note_calling,
            note_waiting=self._scheduler.note_waiting,
            note_ended=self._note_ended,
        )

    def _open_desks(
        self, ids: IdSource, randomness: Randomness, workers: Workers, speech: Speech | None
    ) -> None:
        """Where outsiders bring what is to be dialled, and ask for changes."""
        store, clock = self.store, self.clock
        self.forecaster = Forecaster(store, workers, randomness, self._settings.installation)
        self.intake = Intake(
            store=store,
            clock=clock,
            ids=ids,
            workers=workers,
            destinations=self._settings.destinations,
            on_accepted=self._scheduler.open_list,
            on_urgent=self._scheduler.open_urgent,
            forecast=self.forecaster.forecast_preview,
        )
        self.administration = Administration(
            store=store,
            clock=clock,
            ids=ids,
            on_account_changed=self.changes.note_account,
            on_flow_changed=self.changes.note_flow,
            on_did_changed=self.changes.note_did,
            speech=speech,
        )
        self.staffing = Staffing(store=store, clock=clock, ids=ids, at_work=self._workforce)
        self.lists = ListHolding(store, clock, self._scheduler, self._live)
        self.holding = Holding(
            store,
            clock,
            self._operation,
            self._scheduler,
            self._live,
            self.lists.cancel,
            self.changes.operate_account,
            self.changes.turns,
        )
        self.rescheduling = Rescheduling(store, clock, self._scheduler)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial until cancelled; then let calls end within `drain_s`, break off the rest, and return."""
        await recover(self.store, self.clock, self._operation, self.changes.operate_flow)
        await self._workforce.recover()
        self._telephony.watch_trunks(self._operation.note_condition)
        async with trio.open_nursery() as nursery:
            attempts = await nursery.start(self._host_attempts)
            try:
                await self._serve(attempts, task_status)
            finally:
                self._running = False
                self._stopping.set()

    async def reload(self, settings: EngineSettings, switch: Callable[[], None]) -> None:
        """Go by other trunks, routes, limits and destinations from now on. Calls that are up go on, and
        count; so do those that new caps count and that only the store remembers. `day_caps` stay what they
        were at the start. Raises, with nothing changed, ValueError for routes that cannot be,
        `StoreUnavailable`, and what `switch` raises.

        Args:
            switch: has the telephone network go by the same trunks, at the same moment.
        """
        check_routes([one.name for one in settings.trunks], settings.routes)
        recent = RecentCalls({one.name: one.caps for one in settings.trunks}, settings.caps)
        await recall_starts(self.store, self.clock, recent)
        switch()
        self._settings = structs.replace(settings, day_caps=self._settings.day_caps)
        self.dids.set_rules(settings.did_rests)
        limits = limits_of_engine(settings.cps, settings.channels, settings.caps)
        self._operation.set_limits(settings.channels, limits.windows, recent.of_all)
        self._operation.set_trunks(settings.trunks, settings.routes, recent.of_trunk)
        self._services.destinations = settings.destinations
        self.intake.set_destinations(settings.destinations)
        self.forecaster.installation = self._settings.installation
        self._telephony.watch_trunks(self._operation.note_condition)
        for flow in self._operation.flows():
            self._scheduler.queues.offer_all(flow)

    async def pause_list(self, account: str, call_list: str) -> CallList | None:
        """See `ListHolding.pause`."""
        return await self.lists.pause(account, call_list)

    async def resume_list(self, account: str, call_list: str) -> CallList | None:
        """See `ListHolding.resume`."""
        return await self.lists.resume(account, call_list)

    async def cancel_list(self, account: str, call_list: str) -> CallList | None:
        """See `ListHolding.cancel`."""
        return await self.lists.cancel(account, call_list)

    async def cancel_contact(self, account: str, contact: str) -> Contact | None:
        """See `ListHolding.cancel_contact`."""
        return await self.lists.cancel_contact(account, contact)

    async def explain(self, contacts: Sequence[Contact]) -> list[Blocker | None]:
        """Why each contact is not dialled now; None for those that are being dialled or are done."""
        return await self._blocked.explain(contacts)

    async def sum_blockers(self, call_list: CallList, counts: ListCounts) -> BlockedList:
        """What the contacts of a list wait for; see `BlockedContacts.sum_up`."""
        return await self._blocked.sum_up(call_list, counts)

    def did_load(self, number: str) -> DidLoad:
        """How busy a DID is now."""
        return DidLoad(*self._operation.load_of(number))

    def problems(self) -> list[str]:
        """Why no call can be made, a sentence each; empty when all is ready."""
        return find_problems(
            self._running, self._operation, bool(self._settings.destinations), trio.current_time()
        )

    def statistics(self) -> EngineStatistics:
        """What the engine is doing now."""
        return count_engine(self._operation, self._scheduler, self._live, trio.current_time())

    def _note_clock_back(self) -> None:
        self.changes.note_clock_back()

    def _make_legs(self, order: LegsOrder) -> Legs:
        return self._workforce.make_legs(order)

    def _put_back(self, work: Work, contact: Contact) -> None:
        """A contact that was in hand waits again, and needs no agent meanwhile."""
        self._scheduler.put_back(work, contact)
        if work.claim is not None:
            work.claim.close()

    def _set_aside(self, work: Work, due_at: float, code: BlockerCode) -> None:
        """As `_put_back`, of a contact that waits in the store."""
        self._scheduler.aside.add(work, due_at, code)
        if work.claim is not None:
            work.claim.close()

    def _note_ended(self, attempt: Attempt) -> None:
        self.dids.note_ended(attempt)
        self._workforce.note_called(attempt.contact)
        if attempt.disposition == "congested" and attempt.ringing_at is None:
            self._operation.callees.forget(attempt)

    async def _look_callees_up(self, flow: str, contacts: Sequence[Contact]) -> None:
        """Have it known how often those were called who are to be called soon, where that matters."""
        callees = self._operation.callees_of(flow)
        if callees is not None:
            await callees.learn(self.store, self.clock, [one.number for one in contacts])

    def _finish(self, work: Work) -> None:
        """A contact that was in hand is done with, and needs no agent any more."""
        self._scheduler.finish(work)
        if work.claim is not None:
            work.claim.close()

    async def _serve(self, attempts: trio.Nursery, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:

            def start_actor(actor: DidActor) -> None:
                self._start_actor(actor, nursery, attempts)

            dids = await find_dids(self.store)
            actors = [self._operation.add_did(did) for did in dids]
            await self.dids.recover(dids)
            latest_at = await restore_starts(self.store, self.clock, self._operation)
            if latest_at > self.clock.now() + CLOCK_BACK_S:
                self._note_clock_back()  # while no engine ran
            for actor in actors:
                start_actor(actor)
            nursery.start_soon(self.changes.run, start_actor)
            nursery.start_soon(self.dids.run)
            nursery.start_soon(self._operation.parking.end_waits, self._put_back)
            nursery.start_soon(self.lists.run)
            nursery.start_soon(self._scheduler.aside.run)
            nursery.start_soon(self._reopening.run)
            nursery.start_soon(self.rescheduling.run)
            if self._settings.tell_waiting_s:
                nursery.start_soon(self._waiting_teller.run)
            nursery.start_soon(self._scheduler.run)
            nursery.start_soon(self._workforce.run, attempts)
            nursery.start_soon(self._errands.held.run)
            nursery.start_soon(self._offer_freed)
            self._running = True
            task_status.started()

    async def _offer_freed(self) -> None:
        """Let more contacts of a flow go whenever its agents allow it."""
        while True:
            for flow in await self._operation.freed.wait():
                while self._scheduler.queues.offer(flow):
                    await trio.lowlevel.checkpoint()

    async def _host_attempts(self, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """The nursery of all attempts. It is out of reach of the engine's own cancellation, so that calls
        that are up can end, and every outcome can be written down."""
        with trio.CancelScope(shield=True) as scope:
            async with trio.open_nursery() as desk:
                desk.start_soon(self._services.progress.run)
                async with trio.open_nursery() as attempts:
                    task_status.started(attempts)
                    await self._stopping.wait()
                    with trio.move_on_after(self._settings.drain_s):
                        await self._live.wait_empty()
                    self._live.break_off()
                    scope.deadline = trio.current_time() + FAREWELL_S
                desk.cancel_scope.cancel()

    def _start_actor(self, actor: DidActor, nursery: trio.Nursery, attempts: trio.Nursery) -> None:
        async def run_did() -> None:
            await self._router.run_did(
                actor,
                attempts,
                self._services,
                self._scheduler.queues.offer,
                self._scheduler.queues.best_of,
            )

        nursery.start_soon(run_did, name=f"did {actor.did.number}")
