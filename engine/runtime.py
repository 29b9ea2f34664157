"""The engine put together: it starts the scheduler and the DID actors, and lays the ways between them.

Whatever a door, the HTTP front or a command wants of the running engine, it asks here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, Literal

import structlog
import trio
from msgspec import Struct, structs

from engine.administration import Administration
from engine.blocked import Blocked, BlockedContacts
from engine.dial.attempt import AttemptServices
from engine.dial.conversation import ConversationServices, FlowParts, LegsOrder
from engine.dial.day_caps import DayCapDefaults
from engine.dial.did import DidActor
from engine.dial.did_keeper import DidKeeper
from engine.dial.limits import limits_of_engine
from engine.dial.live import LiveAttempts
from engine.dial.progress import ProgressDesk
from engine.dial.recent_calls import RecentCalls
from engine.dial.record import end_interrupted
from engine.dial.route import RouteSettings, check_routes
from engine.dial.router import Router
from engine.dial.trunk import TrunkSettings
from engine.dial.versions import FlowVersions
from engine.dial.workforce import Workforce
from engine.did_health import RestRules
from engine.flow.definition import InvalidDefinition
from engine.flow.legs import Legs
from engine.forecaster import Forecaster, Installation
from engine.holding import Holding
from engine.ids import IdSource
from engine.intake.submission import Intake
from engine.model import (
    Account,
    Attempt,
    Blocker,
    BlockerCode,
    CallList,
    Cap,
    Contact,
    Did,
    Flow,
    ListCounts,
)
from engine.ports.clock import Randomness, WallClock
from engine.ports.store import Store
from engine.ports.stored import Conflict, Page, StoreUnavailable
from engine.ports.telephony import Telephony
from engine.ports.workers import Workers
from engine.rescheduling import Rescheduling
from engine.schedule.feed import Work
from engine.schedule.reopening import Reopening
from engine.schedule.scheduler import Scheduler
from engine.staffing import Staffing
from engine.waiting_told import WaitingTeller

log = structlog.get_logger(__name__)

PAGE: Final = 1000
CLOSE_CHUNK: Final = 200
"""Contacts of a canceled list that are completed in one transaction: calls that are about to be made wait
for it."""
STORE_RETRY_S: Final = 1.0
RESTORE_S: Final = 3_600.0
RESTORE_STEPS_MAX: Final = 10_000
"""Calls of how long a time are in memory at once while the sliding windows are restored, and in how many such
steps at the most."""
RECALLED_S: Final = 1.0
"""So recent calls the windows remember themselves."""
FAREWELL_S: Final = 5.0
"""How long the calls that a stopping engine breaks off may take to end and to be written down."""


class EngineSettings(Struct, frozen=True):
    """What the operator configured, as far as it concerns the engine."""

    channels: int
    cps: float
    destinations: tuple[str, ...]
    trunks: tuple[TrunkSettings, ...]
    routes: tuple[RouteSettings, ...] = ()
    """Their names and those of the trunks are all different."""
    caps: tuple[Cap, ...] = ()
    """Of all calls of the installation."""
    did_rests: RestRules = RestRules()
    """When DIDs rest that have gone bad."""
    day_caps: DayCapDefaults = DayCapDefaults()
    """Of accounts that have none of their own."""
    tell_waiting_s: float = 0.0
    """How often at the most the feed is told what the contacts of a list wait for; 0 is never."""
    drain_s: float = 30.0
    """How long calls that are up may go on when the engine stops."""


def _installation_of(settings: EngineSettings) -> Installation:
    """What forecasts go by."""
    return Installation(
        channels=settings.channels,
        cps=settings.cps,
        caps=settings.caps,
        trunks=settings.trunks,
        routes=settings.routes,
        calls_per_day=settings.day_caps.calls_per_day,
    )


class TrunkStatistics(Struct, frozen=True):
    """What a trunk is doing at one moment."""

    name: str
    in_use: int
    """Calls that it carries."""
    channels: int
    """Calls that it takes just now: fewer than configured where it is full."""
    is_up: bool


class EngineStatistics(Struct, frozen=True):
    """What the engine is doing at one moment."""

    calls: int
    """Attempts that go on."""
    dids: int
    """DID actors that run."""
    trunks: tuple[TrunkStatistics, ...] = ()
    in_use: int = 0
    """Calls that count against the engine's own limit."""
    channels: int = 0
    """That limit; 0 where there is none."""
    dids_full: int = 0
    """DIDs that carry as many calls as they may."""
    ready: int = 0
    """Contacts that are due and not taken yet, as a limit is reached."""
    in_hand: int = 0
    """Contacts that are in memory, wherever they are on their way to a call."""
    late: tuple[int, ...] = ()
    """Contacts by how late they were brought forward, by place of `engine.schedule.lateness.BOUNDS_S`."""
    late_s: float = 0.0
    """Seconds by which all of them together were."""


class DidLoad(Struct, frozen=True):
    """How busy a DID is."""

    channels_in_use: int
    calls_last_s: int
    """Calls that left within the last second."""


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
        ids = IdSource(clock, randomness)
        engine_limits = limits_of_engine(settings.cps, settings.channels, settings.caps)
        self._router = Router(
            clock, engine_limits, settings.trunks, settings.routes, settings.day_caps
        )
        self._scheduler = Scheduler(
            store,
            clock,
            self._router.take,
            self._router.is_sticky,
            self._router.rank_of,
            self._router.dids_of,
            self._note_clock_back,
            self._look_callees_up,
        )
        self._live = LiveAttempts()
        self._services = AttemptServices(
            live=self._live,
            store=store,
            telephony=telephony,
            clock=clock,
            ids=ids,
            randomness=randomness,
            destinations=settings.destinations,
            conversations=ConversationServices(
                store, clock, ids, parts or FlowParts(), self._make_legs
            ),
            versions=FlowVersions(store),
            progress=ProgressDesk(store),
            put_back=self._put_back,
            set_aside=self._set_aside,
            pause_list=self._scheduler.pause_list,
            finish=self._finish,
            note_calling=self._scheduler.note_calling,
            note_ended=self._note_ended,
        )
        self.dids = DidKeeper(
            store, clock, self._router, settings.did_rests, self._scheduler.offer_all
        )
        self._workforce = Workforce(self._services, self._router)
        self.staffing = Staffing(store=store, clock=clock, ids=ids, at_work=self._workforce)
        self.forecaster = Forecaster(store, workers, randomness, _installation_of(settings))
        self.intake = Intake(
            store=store,
            clock=clock,
            ids=ids,
            workers=workers,
            destinations=settings.destinations,
            on_accepted=self._scheduler.open_list,
            on_urgent=self._scheduler.open_urgent,
            forecast=self.forecaster.forecast_preview,
        )
        self.administration = Administration(
            store=store,
            clock=clock,
            ids=ids,
            on_account_changed=self._note_account,
            on_flow_changed=self.note_flow,
            on_did_changed=self._note_did,
            speech=parts.speech if parts else None,
        )
        self._blocked = BlockedContacts(
            store, clock, self._router.explainer, self._scheduler.is_paused
        )
        self._waiting_teller = WaitingTeller(
            store, clock, self._blocked, self._scheduler.open_lists, settings.tell_waiting_s
        )
        self._reopening = Reopening(store, clock, self._scheduler.open_list)
        self._turns = trio.Lock()
        """Held from reading an account or a flow to taking it into operation, so that no older one comes
        after."""
        self.holding = Holding(
            store,
            clock,
            self._router,
            self._scheduler,
            self._live,
            self.cancel_list,
            self._operate_account,
            self._turns,
        )
        self.rescheduling = Rescheduling(store, clock, self._scheduler)
        self.flow_listeners: list[Callable[[str, str], None]] = []
        """Called with (account, flow) after a change of a flow is stored; they must not block."""
        self._telephony = telephony
        self._changes: dict[tuple[str, str, str], None] = {}
        self._changed = trio.Event()
        self._canceling = trio.Event()
        self._stopping = trio.Event()
        self._running = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial until cancelled; then let calls end within `drain_s`, break off the rest, and return."""
        await self._recover()
        self._telephony.watch_trunks(self._router.note_condition)
        async with trio.open_nursery() as nursery:
            attempts = await nursery.start(self._host_attempts)
            try:
                await self._serve(attempts, task_status)
            finally:
                self._running = False
                self._stopping.set()

    async def reload(self, settings: EngineSettings, switch: Callable[[], None]) -> None:
        """Go by other trunks, routes, limits and destinations from now on. Calls that are up go on, and
        count; so do those that new caps count and that only the store remembers. `did_rests` and `day_caps`
        stay what they were at the start. Raises, with nothing changed, ValueError for routes that cannot be,
        `StoreUnavailable`, and what `switch` raises.

        Args:
            switch: has the telephone network go by the same trunks, at the same moment.
        """
        check_routes([one.name for one in settings.trunks], settings.routes)
        recent = RecentCalls({one.name: one.caps for one in settings.trunks}, settings.caps)
        since = self.clock.now() - recent.looks_back_s
        while recent.looks_back_s and since < self.clock.now() - RECALLED_S:
            until = min(since + RESTORE_S, self.clock.now())
            recent.add(await self.store.recent_starts(since, until))
            since = until
        switch()
        self._settings = structs.replace(
            settings, did_rests=self._settings.did_rests, day_caps=self._settings.day_caps
        )
        limits = limits_of_engine(settings.cps, settings.channels, settings.caps)
        self._router.set_limits(settings.channels, limits.windows, recent.of_all)
        self._router.set_trunks(settings.trunks, settings.routes, recent.of_trunk)
        self._services.destinations = settings.destinations
        self.intake.set_destinations(settings.destinations)
        self.forecaster.installation = _installation_of(self._settings)
        self._telephony.watch_trunks(self._router.note_condition)
        for flow in self._router.flows():
            self._scheduler.offer_all(flow)

    async def pause_list(self, account: str, call_list: str) -> CallList | None:
        """No call of the list begins after this returns, and those that do not ring are taken back. Raises
        `Conflict`; see the store's port."""
        was_paused = self._scheduler.is_paused(call_list)
        self._scheduler.pause_list(call_list)
        changed = None
        try:
            changed = await self._change_list(account, call_list, "pause")
            if changed is not None:
                self._live.take_back(call_list, "paused")
        finally:
            if changed is None and not was_paused:
                self._scheduler.resume_list(call_list)
        return changed

    async def resume_list(self, account: str, call_list: str) -> CallList | None:
        """Go on with a paused list. Raises `Conflict`; see the store's port."""
        changed = await self._change_list(account, call_list, "resume")
        if changed is not None:
            self._scheduler.resume_list(call_list)
            with trio.CancelScope(shield=True):
                opened = await self.store.open_list(call_list)
            # An attempt that the store refused just before may have paused the list again.
            self._scheduler.resume_list(call_list)
            if opened is not None:
                self._scheduler.open_list(
                    opened.account, opened.flow, opened.list, opened.next_due_at
                )
        return changed

    async def cancel_list(self, account: str, call_list: str) -> CallList | None:
        """No call of the list begins after this returns, and those that nobody has answered are taken back;
        the others go on. Raises `Conflict`."""
        changed = await self._change_list(account, call_list, "cancel")
        if changed is not None:
            self._scheduler.close_list(call_list)
            self._live.take_back(call_list, "canceled")
            self._canceling.set()
        return changed

    async def cancel_contact(self, account: str, contact: str) -> Contact | None:
        """Complete a contact that waits as `canceled`. Raises `Conflict` when it is being dialled
        (`contact_dialing`) or is completed (`contact_finished`)."""
        found = await self.store.get_contact(account, contact)
        if found is None:
            return None
        if not await self.store.complete_contacts([contact], "canceled", self.clock.now()):
            found = await self.store.get_contact(account, contact) or found
            if found.state == "dialing":
                raise Conflict("contact_dialing", "The contact is being dialled.")
            raise Conflict("contact_finished", "The contact has its disposition already.")
        return await self.store.get_contact(account, contact)

    async def explain(self, contacts: Sequence[Contact]) -> list[Blocker | None]:
        """Why each contact is not dialled now; None for those that are being dialled or are done."""
        return await self._blocked.explain(contacts)

    async def sum_blockers(self, call_list: CallList, counts: ListCounts) -> Blocked:
        """What the contacts of a list wait for; see `BlockedContacts.sum_up`."""
        return await self._blocked.sum_up(call_list, counts)

    def did_load(self, number: str) -> DidLoad:
        """How busy a DID is now."""
        return DidLoad(*self._router.load_of(number))

    def problems(self) -> list[str]:
        """Why no call can be made, a sentence each; empty when all is ready."""
        found = []
        if not self._running:
            found.append("The engine is starting or stopping.")
        if not self._router.trunks:
            found.append("No trunk is configured.")
        now = trio.current_time()
        trunks = self._router.trunks.values()
        if trunks and all(trunk.down_by(now) is not None for trunk in trunks):
            found.append("No trunk answers.")
        if not self._settings.destinations:
            found.append("`limits.destinations` is empty, which refuses every number.")
        return found

    def statistics(self) -> EngineStatistics:
        """What the engine is doing now."""
        now = trio.current_time()
        trunks = tuple(
            TrunkStatistics(
                name,
                trunk.limits.in_use,
                trunk.limits.channels or 0,
                trunk.down_by(now) is None,
            )
            for name, trunk in self._router.trunks.items()
        )
        limits, lateness = self._router.engine_limits, self._scheduler.lateness
        return EngineStatistics(
            len(self._live),
            self._router.did_count,
            trunks,
            in_use=limits.in_use,
            channels=limits.channels or 0,
            dids_full=self._router.dids_full,
            ready=self._scheduler.ready,
            in_hand=self._scheduler.in_hand,
            late=tuple(lateness.counts),
            late_s=lateness.sum_s,
        )

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
        if attempt.disposition == "congested" and attempt.ringing_at is None:
            self._router.callees.forget(attempt)

    async def _look_callees_up(self, flow: str, contacts: Sequence[Contact]) -> None:
        """Have it known how often those were called who are to be called soon, where that matters."""
        callees = self._router.callees_of(flow)
        if callees is not None:
            await callees.learn(self.store, self.clock, [one.number for one in contacts])

    def _finish(self, work: Work) -> None:
        """A contact that was in hand is done with, and needs no agent any more."""
        self._scheduler.finish(work)
        if work.claim is not None:
            work.claim.close()

    async def _change_list(
        self, account: str, call_list: str, change: Literal["pause", "resume", "cancel"]
    ) -> CallList | None:
        """Change it in the store. Out of reach of cancellation: the store does not take back what was
        asked, and a client that hangs up must not keep its change from being heard of."""
        with trio.CancelScope(shield=True):
            changed = await self.store.set_list_status(account, call_list, change, self.clock.now())
        return changed

    async def _serve(self, attempts: trio.Nursery, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:

            async def keep_dids() -> None:
                await self._follow_changes(nursery, attempts)

            dids = await self._all_dids()
            actors = [self._router.add_did(did) for did in dids]
            await self.dids.recover(dids)
            await self._restore_starts()
            for actor in actors:
                self._start_actor(actor, nursery, attempts)
            nursery.start_soon(keep_dids)
            nursery.start_soon(self.dids.run)
            nursery.start_soon(self._router.end_waits, self._put_back)
            nursery.start_soon(self._close_canceled)
            nursery.start_soon(self._scheduler.aside.run)
            nursery.start_soon(self._reopening.run)
            nursery.start_soon(self.rescheduling.run)
            if self._settings.tell_waiting_s:
                nursery.start_soon(self._waiting_teller.run)
            nursery.start_soon(self._scheduler.run)
            nursery.start_soon(self._workforce.run, attempts)
            nursery.start_soon(self._offer_freed)
            self._running = True
            task_status.started()

    async def _offer_freed(self) -> None:
        """Let more contacts of a flow go whenever its agents allow it."""
        while True:
            for flow in await self._router.wait_freed():
                while self._scheduler.offer(flow):
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
                actor, attempts, self._services, self._scheduler.offer, self._scheduler.next_of
            )

        nursery.start_soon(run_did, name=f"did {actor.did.number}")

    async def _recover(self) -> None:
        """Take up what an earlier process left: flows, interrupted attempts, and the latest calls, which
        count in the sliding windows."""
        cursor: str | None = None
        while True:
            accounts = await self.store.list_accounts(PAGE, cursor)
            for account in accounts.items:
                self._router.set_account(account)
            cursor = accounts.next
            if cursor is None:
                break
        flows = {}
        while True:
            page = await self.store.list_all_flows(PAGE, cursor)
            for flow in page.items:
                flows[flow.id] = flow
                self._take_flow(flow)
            cursor = page.next
            if cursor is None:
                break
        for attempt, contact in await self.store.open_attempts():
            flow_or_none = flows.get(attempt.flow)
            await end_interrupted(self.store, attempt, contact, flow_or_none, self.clock.now())
        await self._workforce.recover()

    async def _restore_starts(self) -> None:
        """Have the latest calls count in the sliding windows, a piece at a time: a single cap over a month
        asks for all calls of a month."""
        now = self.clock.now()
        since = max(0.0, now - self._router.looks_back_s())
        step_s = max(RESTORE_S, (now - since) / RESTORE_STEPS_MAX)
        while since <= now:
            until = since + step_s
            starts = await self.store.recent_starts(since, until if until <= now else math.inf)
            self._router.restore(starts)
            since = until

    async def _all_dids(self) -> list[Did]:
        dids: list[Did] = []
        cursor: str | None = None
        while True:
            page: Page[Did] = await self.store.list_all_dids(PAGE, cursor)
            dids += page.items
            cursor = page.next
            if cursor is None:
                return dids

    def _note_account(self, account: str) -> None:
        self._changes[("account", account, account)] = None
        self._changed.set()

    def note_flow(self, account: str, flow: str) -> None:
        """A flow was made or changed; it is taken into operation. Never blocks."""
        self._changes[("flow", account, flow)] = None
        self._changed.set()
        for hear in self.flow_listeners:
            hear(account, flow)

    def _note_did(self, account: str, number: str) -> None:
        self._changes[("did", account, number)] = None
        self._changed.set()

    async def _follow_changes(self, nursery: trio.Nursery, attempts: trio.Nursery) -> None:
        """Take flows and DIDs that were made or changed into operation."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            while self._changes:
                change = next(iter(self._changes))
                del self._changes[change]  # before it is read: it may change again meanwhile
                try:
                    await self._take_change(*change, nursery, attempts)
                except StoreUnavailable as error:
                    log.error("cannot read what was changed", what=change[0], error=str(error))
                    self._changes[change] = None
                    await trio.sleep(STORE_RETRY_S)

    async def _take_change(
        self, kind: str, account: str, name: str, nursery: trio.Nursery, attempts: trio.Nursery
    ) -> None:
        if kind == "did":
            if not self._router.knows_did(name):
                if not self._router.knows_account(account):
                    await self._take_account(account)
                for actor in await self.dids.take(account, name):
                    self._start_actor(actor, nursery, attempts)
                for flow_id in self._router.flows_of(name):
                    self._scheduler.offer_all(flow_id)
            return
        if kind == "account" or not self._router.knows_account(account):
            await self._take_account(account)
        if kind == "account":
            return
        async with self._turns:
            flow = await self.store.get_flow(account, name)
            if flow is None:
                self._router.remove_flow(name)
                return
            self._take_flow(flow)
        self._scheduler.offer_all(name)

    async def _take_account(self, id_: str) -> None:
        async with self._turns:
            account = await self.store.get_account(id_)
            if account is not None:
                self._operate_account(account)

    def _operate_account(self, account: Account) -> None:
        for flow in self._router.set_account(account):
            self._note_hours(account.id, flow)
        for flow in self._router.flows_of_account(account.id):
            self._scheduler.offer_all(flow)

    def _note_clock_back(self) -> None:
        """What was set aside until a moment would wait until the clock shows it, although what it waits for
        may be over, or may not be there by this time: it is looked at again."""
        for floor in self._router.floors():
            self._note_hours(floor.flow.account, floor.flow.id)

    def _note_hours(self, account: str, flow: str) -> None:
        """The calling windows of a flow, or its caller numbers, are others now, or the time is: what waits
        for the old ones is looked at again."""
        self._scheduler.aside.recall(flow, self.clock.now())
        self._reopening.add(account, flow)

    def _take_flow(self, flow: Flow) -> None:
        """Take a flow into operation. One that cannot be read, as a later release may have left it, holds
        its contacts and nobody else's."""
        try:
            if self._router.set_flow(flow):
                self._note_hours(flow.account, flow.id)
        except InvalidDefinition as error:
            log.error("a flow cannot be run", flow=flow.id, mistakes=str(error))

    async def _close_canceled(self) -> None:
        """Give the open contacts of canceled lists their disposition, a chunk at a time."""
        while True:
            try:
                closed = await self.store.close_canceled(CLOSE_CHUNK, self.clock.now())
            except StoreUnavailable as error:
                log.error("cannot close canceled contacts", error=str(error))
                await trio.sleep(STORE_RETRY_S)
                continue
            if closed == 0:
                await self._canceling.wait()
                self._canceling = trio.Event()
