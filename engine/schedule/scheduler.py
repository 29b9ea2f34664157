"""Brings each contact forward at its moment.

The scheduler holds, for every list, only so many contacts as can be dialled soon; whatever else waits
does so in the store. It sleeps until the next contact is due or somebody calls on it, and what is due it
offers to its outlet, which takes a contact or says why it cannot take any of that flow just now.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog
import trio
from msgspec import Struct

from engine.model import BlockerCode, Contact
from engine.ports.clock import WallClock
from engine.ports.dial_store import DialStore
from engine.ports.stored import StoreUnavailable
from engine.schedule.feed import ListFeed, Work
from engine.schedule.lateness import Lateness
from engine.schedule.set_aside import SettingAside
from engine.schedule.wheel import TimerWheel

log = structlog.get_logger(__name__)

HORIZON_S: Final = 300.0
"""How far ahead of their time contacts are brought into memory."""
HELD_MAX: Final = 1000
"""Contacts of one list in memory that wait to be called, whatever its flow calls from; at half of what is
held at the most more are fetched."""
HELD_PER_DID: Final = 4
"""Beside those, for each DID that the flow calls from: what lies in its mailbox, and as many again."""
WAITING_MAX: Final = 10_000
"""Contacts of one list in memory, beside those, that wait for another try; further ones wait in the store."""
CLOCK_CHECK_S: Final = 30.0
"""The longest sleep, after which a wall clock that was set is noticed."""
CLOCK_BACK_S: Final = 1.0
"""A wall clock that falls back by less is waited for."""
FIND_AGAIN_S: Final = 60.0
"""How often the store is asked for open lists that nobody told of."""
STORE_RETRY_S: Final = 1.0
"""How soon a store that could not be read is asked again."""


class Hold(Struct, frozen=True):
    """The outlet's no: nothing more of this flow can be taken."""

    until: float | None
    """When to offer again, seconds since the epoch; None when `Scheduler.offer` will be called."""


class Aside(Struct, frozen=True):
    """The outlet's no to one contact: others of the flow may be taken."""

    due_at: float
    """When to offer it again, seconds since the epoch."""
    code: BlockerCode
    """Why."""


Outlet = Callable[[Work], Hold | Aside | None]
"""Takes a contact that is due, at once and without blocking (None), or says to hold its flow or the
contact alone."""


RankOf = Callable[[Contact], int]
"""By which contacts of a flow go before others, 0 first; it changes with the flow's settings."""


Prepare = Callable[[str, Sequence[Contact]], Awaitable[None]]
"""Told of contacts of a flow that are about to be held; raises `StoreUnavailable`."""


async def _prepare_nothing(_flow: str, _contacts: Sequence[Contact]) -> None:
    pass


class _FlowQueue:
    """Contacts of one flow and one rank that are due and were not taken yet. Those that are each for one
    agent have a queue of their own: they do not wait for any agent, as the others may, nor behind these."""

    def __init__(self, flow: str, rank: int) -> None:
        self.flow = flow
        self.rank = rank
        self.ready: deque[Work] = deque()
        self.hold: Hold | None = None
        """Why nothing is offered just now."""

    def place(self) -> tuple[int, float]:
        """Its place among others: by rank, and of equals by whose first has been due the longest."""
        return self.rank, self.ready[0].contact.due_at if self.ready else math.inf


class Scheduler:
    """Drives lists to their contacts' moments. One task runs it; all other methods are synchronous."""

    def __init__(
        self,
        store: DialStore,
        clock: WallClock,
        outlet: Outlet,
        remembers_callers: Callable[[str], bool] = lambda flow: False,
        rank_of: RankOf = lambda _contact: 0,
        dids_of: Callable[[str], int] = lambda _flow: 0,
        on_clock_back: Callable[[], None] = lambda: None,
        prepare: Prepare = _prepare_nothing,
    ) -> None:
        """`remembers_callers` tells of a flow whether it must be known which DIDs called its contacts, and
        `dids_of` how many it calls from; `on_clock_back` is told when the wall clock was set back, and
        `prepare` of those that are about to be offered."""
        self._store = store
        self._remembers_callers = remembers_callers
        self._rank_of = rank_of
        self._dids_of = dids_of
        self._on_clock_back = on_clock_back
        self._prepare = prepare
        self._clock = clock
        self._outlet = outlet
        self.aside = SettingAside(store, self.put_back)
        """What the outlet does not take for long; its `run` is a task of its own."""
        self._feeds: dict[str, ListFeed] = {}
        self._queues: dict[str, dict[tuple[int, bool], _FlowQueue]] = {}
        """By flow, then by rank and whether its contacts are each for one agent."""
        self._wheel: TimerWheel[Work | ListFeed | _FlowQueue] = TimerWheel(clock.now())
        self._ahead_s = -math.inf
        """By how much the wall clock was ahead of trio's when they were last looked at."""
        self._to_load: dict[ListFeed, None] = {}
        self._to_search: dict[ListFeed, None] = {}
        """Feeds that are full, and whose urgent contacts are fetched all the same."""
        self._find_at = -math.inf
        """When the store is next asked for its open lists; `trio.current_time()`."""
        self._woken = trio.Event()
        self._wake_at = math.inf
        """When the wheel is to be looked at next; seconds since the epoch."""
        self.lateness = Lateness()

    @property
    def ready(self) -> int:
        """Contacts that are due and that nobody has taken yet."""
        return sum(len(queue.ready) for ranks in self._queues.values() for queue in ranks.values())

    @property
    def in_hand(self) -> int:
        """Contacts that are in memory, wherever they are on their way to a call."""
        return sum(len(feed.held) for feed in self._feeds.values())

    def open_list(self, account: str, flow: str, call_list: str, due_at: float) -> None:
        """The store has contacts of this list, the earliest due at `due_at`."""
        feed = self._feeds.get(call_list)
        if feed is None:
            feed = self._feeds[call_list] = ListFeed(account, flow, call_list)
        feed.next_due_at = min(feed.next_due_at, due_at)
        self._consider_loading(feed)

    def open_urgent(self, account: str, flow: str, call_list: str, due_at: float) -> None:
        """As `open_list`, of an urgent contact: it does not wait until there is room for others."""
        self.open_list(account, flow, call_list, due_at)
        self._to_search[self._feeds[call_list]] = None
        self._wake()

    def pause_list(self, call_list: str) -> None:
        """Bring nothing of this list forward. What is ready goes back to the store."""
        feed = self._feeds.get(call_list)
        if feed is not None:
            feed.paused = True
            self._drop_ready_of(feed)

    def resume_list(self, call_list: str) -> None:
        """Go on with a paused list."""
        feed = self._feeds.get(call_list)
        if feed is not None:
            feed.paused = False
            feed.next_due_at = min(feed.next_due_at, self._clock.now())
            self._consider_loading(feed)

    def close_list(self, call_list: str) -> None:
        """Forget a list that was canceled."""
        feed = self._feeds.pop(call_list, None)
        if feed is not None:
            feed.closed = True
            self._drop_ready_of(feed)

    def hold_list(self, call_list: str) -> None:
        """Its contacts are being given another start time: what is in hand goes back to the store, and
        nothing is brought forward until `release_list`."""
        feed = self._feeds.get(call_list)
        if feed is not None:
            feed.moving = True
            self._drop_ready_of(feed)
            for work in feed.held.values():
                self._end_wait(work)
            feed.held.clear()

    def release_list(self, account: str, flow: str, call_list: str, due_at: float) -> None:
        """Its contacts have their other start time; as `open_list`, with an infinite `due_at` where all that
        it has are being dialled."""
        feed = self._feeds.get(call_list)
        if feed is not None:
            feed.moving = False
        self.open_list(account, flow, call_list, due_at)

    def fetch_again(self, call_list: str) -> None:
        """The contacts of a list have another priority: those in hand are given back and fetched again, but
        for such as are on a call, which are when that is over."""
        feed = self._feeds.get(call_list)
        if feed is not None:
            feed.edition += 1
            self._drop_ready_of(feed)
            for work in feed.held.values():
                self._end_wait(work)
            feed.held = {id_: work for id_, work in feed.held.items() if work.is_calling}
            feed.outdated |= feed.held.keys()
            feed.next_due_at = -math.inf
            self._consider_loading(feed)

    def recall(self, contact: Contact) -> None:
        """The contact, which waits, is due at another moment than before."""
        feed = self._feeds.get(contact.list)
        if feed is not None:
            held = feed.held.pop(contact.id, None)
            if held is not None:
                self._end_wait(held)
        self.open_list(contact.account, contact.flow, contact.list, contact.due_at)

    def open_lists(self) -> list[tuple[str, str]]:
        """(account, list) of every list in memory."""
        return [(feed.account, name) for name, feed in self._feeds.items()]

    def is_paused(self, call_list: str) -> bool:
        """Whether the list is paused, as far as it is in memory."""
        feed = self._feeds.get(call_list)
        return feed is not None and feed.paused

    def put_back(self, work: Work, contact: Contact) -> None:
        """A contact that was taken waits again, as `contact` says."""
        feed = work.feed
        is_void = work.is_void or contact.id in feed.outdated
        self._let_go(work)
        if feed.closed:
            return
        waits = contact.due_at > self._clock.now()
        has_room = not waits or feed.waiting < WAITING_MAX or contact.priority == "urgent"
        if not is_void and has_room and self._may_hold(feed, contact):
            self._hold(_again(work, contact), waits=waits)
            self._wake()
        else:
            # The list may be in memory anew since the contact was taken.
            self.open_list(feed.account, feed.flow, feed.call_list, contact.due_at)

    def note_calling(self, work: Work) -> None:
        """The call of a contact that was taken is let go: there is room for another that waits."""
        if not work.is_calling:
            work.is_calling = True
            work.feed.calling += 1
            self._consider_loading(work.feed)

    def finish(self, work: Work) -> None:
        """A contact that was taken is completed, or not open any more."""
        self._let_go(work)
        self._consider_loading(work.feed)

    def offer(self, flow: str) -> bool:
        """Offer the next ready contact of a flow, because there may be room for it again. Whether it was
        taken, or set aside."""
        for queue in self._queues_of(flow):
            if queue.ready and (queue.hold is None or queue.hold.until is None):
                queue.hold = None
                self._offer_next(queue)
                # One rank that must wait leaves the others to be asked: they may be held until just now.
                if queue.hold is None:
                    return True
        return False

    def next_of(self, flow: str) -> Contact | None:
        """What `offer` would offer next."""
        queue = self._next_queue(flow)
        return None if queue is None else queue.ready[0].contact

    def _next_queue(self, flow: str) -> _FlowQueue | None:
        for queue in self._queues_of(flow):
            if queue.ready and (queue.hold is None or queue.hold.until is None):
                return queue
        return None

    def _queues_of(self, flow: str) -> list[_FlowQueue]:
        """In the order in which they are offered."""
        queues = [*self._queues.get(flow, {}).values()]
        if len(queues) > 1:
            queues.sort(key=_FlowQueue.place)
        return queues

    def offer_all(self, flow: str) -> None:
        """Offer whatever is ready of a flow, because the flow was changed."""
        for queue in self._queues_of(flow):
            queue.hold = None
            self._push(queue)

    async def run(self) -> None:
        """Load what is open and bring it forward, until cancelled."""
        while True:
            self._woken = trio.Event()
            if trio.current_time() >= self._find_at:
                await self._find_open_lists()
            self._bring_forward()
            await self._load()
            wake = self._wheel.next_wake()
            self._wake_at = math.inf if wake is None else wake
            sleep_s = CLOCK_CHECK_S if wake is None else wake - self._clock.now()
            if self._to_load or self._to_search:
                sleep_s = min(sleep_s, STORE_RETRY_S)
            sleep_s = min(sleep_s, CLOCK_CHECK_S, self._find_at - trio.current_time())
            with trio.move_on_after(max(0.0, sleep_s)):
                await self._woken.wait()

    def _wake(self) -> None:
        self._woken.set()

    def _bring_forward(self) -> None:
        self._look_at_clock()
        now = self._clock.now()
        touched: dict[_FlowQueue, None] = {}
        contacts = 0
        for item in self._wheel.expire(now):
            match item:
                case Work():
                    contacts += 1
                    queue = self._make_ready(item)
                    if queue is not None:
                        touched[queue] = None
                case ListFeed():
                    item.looked_at_again = math.inf
                    self._consider_loading(item)
                case _FlowQueue():
                    item.hold = None
                    touched[item] = None
        if contacts:
            self.lateness.note(now - self._wake_at, contacts)
        for queue in sorted(touched, key=_FlowQueue.place):
            self._push(queue)

    def _look_at_clock(self) -> None:
        """Start over where the wall clock was set back. It is looked at before anything is offered: whoever
        was to be due again in a moment, as no call could be made, would seem to be due in hours, and be set
        aside until then."""
        now = self._clock.now()
        before_s, self._ahead_s = self._ahead_s, now - trio.current_time()
        if self._ahead_s < before_s - CLOCK_BACK_S:
            log.warning("the clock was set back", by_s=before_s - self._ahead_s)
            self._start_over(now)

    def _start_over(self, now: float) -> None:
        """The wall clock was set back. The wheel would wait until it is as late again, and so would what was
        ready before that: all of it is fetched and offered anew."""
        outdated, self._wheel = self._wheel, TimerWheel(now)
        for item in outdated.drain():
            match item:
                case Work():
                    self._forget(item)
                    item.feed.next_due_at = -math.inf
                case ListFeed():
                    item.looked_at_again = math.inf
                case _FlowQueue():
                    item.hold = None
        for flow in list(self._queues):
            for work in self._drop_ready(flow, lambda work: work.contact.due_at > now):
                work.feed.next_due_at = -math.inf
        for feed in list(self._feeds.values()):
            self._consider_loading(feed)
        for flow in list(self._queues):
            for queue in self._queues_of(flow):
                self._push(queue)
        self._on_clock_back()

    def _make_ready(self, work: Work) -> _FlowQueue | None:
        feed = work.feed
        self._end_wait(work)
        if feed.paused or work.is_void:
            self._forget(work)
            return None
        rank, queues = self._rank_of(work.contact), self._queues.setdefault(feed.flow, {})
        key = rank, work.contact.agent is not None
        queue = queues.get(key)
        if queue is None:
            queue = queues[key] = _FlowQueue(feed.flow, rank)
        queue.ready.append(work)
        return queue

    def _push(self, queue: _FlowQueue) -> None:
        while queue.ready and queue.hold is None:
            self._offer_next(queue)

    def _offer_next(self, queue: _FlowQueue) -> None:
        self._look_at_clock()
        if not queue.ready:
            return
        if queue.ready[0].is_void:
            self._forget(queue.ready.popleft())
            return
        answer = self._outlet(queue.ready[0])
        if isinstance(answer, Hold):
            queue.hold = answer
            if answer.until is not None:
                self._wheel.schedule(answer.until, queue)
                self._wake()
            return
        work = queue.ready.popleft()
        if answer is not None:
            self.aside.add(work, answer.due_at, answer.code)

    def _drop_ready(self, flow: str, is_meant: Callable[[Work], bool]) -> list[Work]:
        """Leave contacts of a flow that are ready to the store; which they were."""
        dropped = []
        for queue in self._queues_of(flow):
            kept: deque[Work] = deque()
            for work in queue.ready:
                if is_meant(work):
                    self._forget(work)
                    dropped.append(work)
                else:
                    kept.append(work)
            queue.ready = kept
            if not kept and queue.hold is not None and queue.hold.until is None:
                # Whoever was to lift it finds nobody here, and does not come again.
                queue.hold = None
        return dropped

    def _drop_ready_of(self, feed: ListFeed) -> None:
        self._drop_ready(feed.flow, lambda work: work.feed is feed)

    def _forget(self, work: Work) -> None:
        """Leave a contact to the store."""
        self._let_go(work)
        work.feed.next_due_at = min(work.feed.next_due_at, work.contact.due_at)

    def _let_go(self, work: Work) -> None:
        """The contact is not in hand any more; where it is as another piece of work, that stays."""
        held = work.feed.held
        self._end_wait(work)
        if work.is_calling:
            work.is_calling = False
            work.feed.calling -= 1
        if held.get(work.contact.id) is work:
            del held[work.contact.id]
            work.feed.outdated.discard(work.contact.id)

    def _end_wait(self, work: Work) -> None:
        """The contact does not wait for its next try any more, if it did."""
        work.feed.waiting -= work.is_waiting
        work.is_waiting = False

    def _hold(self, work: Work, *, waits: bool = False) -> None:
        """`waits` where it waits for its next try."""
        work.is_waiting = waits
        work.feed.waiting += waits
        work.feed.held[work.contact.id] = work
        self._wheel.schedule(work.contact.due_at, work)

    def _may_hold(self, feed: ListFeed, contact: Contact) -> bool:
        is_stopped = feed.paused or feed.moving
        return not is_stopped and contact.due_at <= self._clock.now() + HORIZON_S

    def _consider_loading(self, feed: ListFeed) -> None:
        """Have the feed filled when there is something to fetch soon, and room for it."""
        if feed.closed or feed.moving or self._feeds.get(feed.call_list) is not feed:
            return
        if feed.next_due_at == math.inf:
            is_idle = not feed.held and not feed.loading
            if is_idle:
                del self._feeds[feed.call_list]
            return
        if feed.paused:
            return
        if len(feed.held) - feed.calling - feed.waiting > self._held_max(feed) // 2:
            return
        if feed.next_due_at <= self._clock.now() + HORIZON_S:
            self._to_load[feed] = None
            self._wake()
        elif feed.next_due_at < feed.looked_at_again:
            feed.looked_at_again = feed.next_due_at
            self._wheel.schedule(feed.next_due_at - HORIZON_S / 2, feed)
            self._wake()

    async def _find_open_lists(self) -> None:
        """Take up every list that the store has open. At a start that is all there is; later it finds
        what a commit brought whose answer came too late for anybody to hear it."""
        self._find_at = trio.current_time() + STORE_RETRY_S
        try:
            found = await self._store.open_lists()
        except StoreUnavailable as error:
            log.error("cannot read the open lists", error=str(error))
            return
        for one in found:
            is_known = one.list in self._feeds  # then it may have been resumed meanwhile
            self.open_list(one.account, one.flow, one.list, one.next_due_at)
            if one.status == "paused" and not is_known:
                self.pause_list(one.list)
        self._to_search |= {feed: None for feed in self._feeds.values() if feed.is_partial}
        self._find_at = trio.current_time() + FIND_AGAIN_S

    async def _load(self) -> None:
        for feed in list(self._to_search):
            del self._to_search[feed]
            try:
                await self._fetch_urgent(feed)
            except StoreUnavailable as error:
                log.error("cannot read urgent contacts", list=feed.call_list, error=str(error))
                self._to_search[feed] = None
                return
            self._bring_forward()
        for feed in list(self._to_load):
            del self._to_load[feed]
            try:
                await self._fill(feed)
            except StoreUnavailable as error:
                log.error("cannot read contacts", list=feed.call_list, error=str(error))
                feed.next_due_at = -math.inf
                self._to_load[feed] = None
                return
            self._bring_forward()  # many lists may be waiting to be filled; due contacts do not

    async def _skip_listed(self, feed: ListFeed, limit: int) -> set[str]:
        """Complete those of the contacts just fetched that must not be called, in one transaction. The
        check that counts is that of each intent: this one saves making them."""
        now = self._clock.now()
        listed = await self._store.listed_contacts(feed.call_list, now, limit)
        if listed:
            await self._store.complete_contacts(listed, "skipped", now, "do_not_call")
        return set(listed)

    async def _recall_callers(
        self, feed: ListFeed, contacts: Sequence[Contact]
    ) -> dict[str, tuple[str, ...]] | None:
        """Which DIDs called the numbers of the contacts just fetched, in one question; None where it does
        not matter."""
        if not self._remembers_callers(feed.flow):
            return None
        numbers = {number for contact in contacts for number in contact.tel}
        return await self._store.last_callers(feed.account, sorted(numbers))

    async def _fetch_urgent(self, feed: ListFeed) -> None:
        """Fetch the urgent contacts of a list that are due soon, whether or not there is room for others."""
        if feed.paused or feed.closed or feed.moving:
            return
        held_before = set(feed.held)
        horizon = self._clock.now() + HORIZON_S
        feed.loading = True
        try:
            urgent = await self._store.urgent_contacts(feed.call_list, horizon, HELD_MAX)
            callers = await self._recall_callers(feed, urgent)
            await self._prepare(feed.flow, urgent)
        finally:
            feed.loading = False
        for contact in urgent:
            is_new = contact.id not in held_before and contact.id not in feed.held
            if is_new and not feed.closed and self._may_hold(feed, contact):
                self._hold(Work(contact, feed, callers=_callers_of(contact, callers)))

    def _held_max(self, feed: ListFeed) -> int:
        """How many contacts of a list that wait to be called are in memory."""
        return HELD_MAX + HELD_PER_DID * self._dids_of(feed.flow)

    async def _fill(self, feed: ListFeed) -> None:
        """Fetch the earliest contacts of a list that are not held.

        A contact that was held when the question was asked is passed over even if it is free again by
        the time of the answer, because the answer may be older than what became of it.
        """
        if feed.paused or feed.closed or feed.moving:
            return
        held_before, edition = set(feed.held), feed.edition
        feed.next_due_at = math.inf
        limit = self._held_max(feed) + max(0, len(held_before) - feed.calling)
        feed.loading = True
        try:
            contacts = await self._store.due_contacts(feed.call_list, math.inf, limit)
            listed = await self._skip_listed(feed, limit)
            callers = await self._recall_callers(feed, contacts)
            await self._prepare(feed.flow, contacts)
        finally:
            feed.loading = False
        if feed.edition != edition:
            # What was read may be as it was before the change.
            feed.next_due_at = -math.inf
            self._consider_loading(feed)
            return
        now = self._clock.now()
        horizon = now + HORIZON_S
        beyond = math.inf if len(contacts) < limit else contacts[-1].due_at
        room = self._held_max(feed)
        for contact in contacts:
            if contact.id in held_before or contact.id in feed.held or contact.id in listed:
                continue
            is_late = contact.due_at > horizon or room == 0
            if is_late or feed.paused or feed.closed or feed.moving:
                beyond = min(beyond, contact.due_at)
                break
            is_retry = contact.wait_code == "retry_wait" and contact.due_at > now
            waits = is_retry and feed.waiting < WAITING_MAX
            self._hold(Work(contact, feed, callers=_callers_of(contact, callers)), waits=waits)
            room -= 1
        feed.is_partial = beyond <= horizon
        feed.next_due_at = min(feed.next_due_at, beyond)
        self._consider_loading(feed)


def _again(work: Work, contact: Contact) -> Work:
    """The contact in hand once more, with what is remembered of it."""
    return Work(
        contact,
        work.feed,
        work.refused_by,
        callers=work.callers,
        has_waited=work.has_waited,
    )


def _callers_of(
    contact: Contact, callers: Mapping[str, tuple[str, ...]] | None
) -> dict[str, tuple[str, ...]] | None:
    if callers is None:
        return None
    return {number: callers[number] for number in contact.tel if number in callers}
