"""Brings each contact forward at its moment.

The scheduler holds, for every list, only so many contacts as can be dialled soon; whatever else waits
does so in the store. It sleeps until the next contact is due or somebody calls on it, and what is due it
offers to its outlet, which takes a contact or says why it cannot take any of that flow just now.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

import structlog
import trio

from engine.model import Contact
from engine.ports.clock import WallClock
from engine.ports.dial_store import DialStore
from engine.ports.stored import StoreUnavailable
from engine.schedule.feed import HORIZON_S, ListFeed, Work
from engine.schedule.fetching import Fetching, Prepare, prepare_nothing
from engine.schedule.lateness import Lateness
from engine.schedule.outlet import Outlet
from engine.schedule.queues import FlowQueue, RankOf, ReadyQueues
from engine.schedule.reopening import SET_ASIDE_FOR
from engine.schedule.set_aside import SettingAside
from engine.schedule.wheel import TimerWheel

log = structlog.get_logger(__name__)

CLOCK_CHECK_S: Final = 30.0
"""The longest sleep, after which a wall clock that was set is noticed."""
CLOCK_BACK_S: Final = 1.0
"""A wall clock that falls back by less is waited for."""
FIND_AGAIN_S: Final = 60.0
"""How often the store is asked for open lists that nobody told of."""
STORE_RETRY_S: Final = 1.0
"""How soon a store that could not be read is asked again."""


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
        prepare: Prepare = prepare_nothing,
    ) -> None:
        """`remembers_callers` tells of a flow whether it must be known which DIDs called its contacts, and
        `dids_of` how many it calls from; `on_clock_back` is told when the wall clock was set back, and
        `prepare` of those that are about to be offered."""
        self._store = store
        self._on_clock_back = on_clock_back
        self._clock = clock
        self.aside = SettingAside(store, self.put_back)
        """What the outlet does not take for long; its `run` is a task of its own."""
        self.queues = ReadyQueues(
            outlet, rank_of, self._look_at_clock, self.aside.add, self._bring_up
        )
        """What is due; whoever has room for more of a flow asks here."""
        self._feeds: dict[str, ListFeed] = {}
        self._fetching = Fetching(
            store,
            clock,
            remembers_callers,
            dids_of,
            prepare,
            self._take_in_hand,
            self._consider_loading,
            self.let_go,
        )
        self._wheel: TimerWheel[Work | ListFeed | FlowQueue] = TimerWheel(clock.now())
        self._ahead_s = -math.inf
        """By how much the wall clock was ahead of trio's when they were last looked at."""
        self._find_at = -math.inf
        """When the store is next asked for its open lists; `trio.current_time()`."""
        self._woken = trio.Event()
        self._wake_at = math.inf
        """When the wheel is to be looked at next; seconds since the epoch."""
        self.lateness = Lateness()

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
        self._fetching.add_urgent(self._feeds[call_list])
        self._wake()

    def pause_list(self, call_list: str) -> None:
        """Bring nothing of this list forward. What is ready goes back to the store."""
        feed = self._feeds.get(call_list)
        if feed is not None:
            feed.paused = True
            self.queues.drop_list(feed)

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
            self.queues.drop_list(feed)

    def hold_list(self, call_list: str) -> None:
        """Its contacts are being given another start time: what is in hand goes back to the store, and
        nothing is brought forward until `release_list`."""
        feed = self._feeds.get(call_list)
        if feed is not None:
            feed.edition += 1
            feed.moving = True
            self.queues.drop_list(feed)
            for work in feed.held.values():
                work.end_wait()
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
            self.queues.drop_list(feed)
            for work in feed.held.values():
                work.end_wait()
            feed.held = {id_: work for id_, work in feed.held.items() if work.is_calling}
            feed.outdated |= feed.held.keys()
            feed.next_due_at = -math.inf
            self._consider_loading(feed)

    def bring_list_forward(self, account: str, flow: str, call_list: str, due_at: float) -> None:
        """The store has brought contacts of this list forward that were set aside. Those of them that are in
        hand already, as their moment was near, are fetched again; what is being fetched may be of before."""
        feed = self._feeds.get(call_list)
        if feed is not None:
            feed.edition += 1
            for work in list(feed.held.values()):
                is_aside = work.contact.wait_code in SET_ASIDE_FOR and not work.is_calling
                if is_aside and work.contact.due_at > due_at:
                    _leave_out(feed, work.contact.id)
        self.open_list(account, flow, call_list, due_at)

    def recall(self, contact: Contact) -> None:
        """The contact, which waits, is due at another moment than before."""
        feed = self._feeds.get(contact.list)
        if feed is not None:
            _leave_out(feed, contact.id)
        self.open_list(contact.account, contact.flow, contact.list, contact.due_at)

    def let_go(self, call_list: str, contacts: Iterable[str]) -> None:
        """Contacts that waited are completed: whatever is in hand of them is not dialled. What lies before a
        limit would wait for it for nothing, and be counted as waiting."""
        feed = self._feeds.get(call_list)
        if feed is None:
            return
        for contact in contacts:
            _leave_out(feed, contact)
        self.queues.drop(feed.flow, lambda work: work.feed is feed and work.is_void)
        self._consider_loading(feed)

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
        work.let_go()
        if feed.closed:
            return
        now = self._clock.now()
        waits = contact.due_at > now
        if waits and contact.due_at <= work.contact.due_at:
            # It was due when it was taken: the clock was set back since, and the store knows better.
            self.open_list(feed.account, feed.flow, feed.call_list, -math.inf)
            return
        has_room = not waits or feed.has_room_to_wait or contact.priority == "urgent"
        if not is_void and has_room and feed.may_hold(contact, now):
            self._take_in_hand(work.again(contact), waits=waits)
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

    def note_waiting(self, work: Work) -> None:
        """A contact that was taken waits, in whoever's hand it is: there is room for others meanwhile, as far
        as there is for such as wait."""
        if not work.is_void and not work.is_waiting and work.feed.has_room_to_wait:
            work.is_waiting = True
            work.feed.waiting += 1
            self._consider_loading(work.feed)

    def finish(self, work: Work) -> None:
        """A contact that was taken is completed, or not open any more."""
        work.let_go()
        self._consider_loading(work.feed)

    async def run(self) -> None:
        """Load what is open and bring it forward, until cancelled."""
        while True:
            self._woken = trio.Event()
            if trio.current_time() >= self._find_at:
                await self._find_open_lists()
            self._bring_forward()
            await self._fetching.fetch(self._bring_forward)
            wake = self._wheel.next_wake()
            self._wake_at = math.inf if wake is None else wake
            sleep_s = CLOCK_CHECK_S if wake is None else wake - self._clock.now()
            if self._fetching.is_due:
                sleep_s = min(sleep_s, STORE_RETRY_S)
            sleep_s = min(sleep_s, CLOCK_CHECK_S, self._find_at - trio.current_time())
            with trio.move_on_after(max(0.0, sleep_s)):
                await self._woken.wait()

    def _wake(self) -> None:
        self._woken.set()

    def _bring_up(self, at: float, queue: FlowQueue) -> None:
        """A queue is held until a moment."""
        self._wheel.schedule(at, queue)
        self._wake()

    def _bring_forward(self) -> None:
        self._look_at_clock()
        now = self._clock.now()
        touched: dict[FlowQueue, None] = {}
        contacts = 0
        for item in self._wheel.expire(now):
            match item:
                case Work():
                    contacts += 1
                    item.end_wait()
                    if item.feed.paused or item.is_void:
                        item.give_back()
                    else:
                        touched[self.queues.add(item)] = None
                case ListFeed():
                    item.looked_at_again = math.inf
                    self._consider_loading(item)
                case FlowQueue():
                    item.hold = None
                    touched[item] = None
        if contacts:
            self.lateness.note(now - self._wake_at, contacts)
        for queue in sorted(touched, key=FlowQueue.place):
            self.queues.push(queue)

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
                    item.give_back()
                    item.feed.next_due_at = -math.inf
                case ListFeed():
                    item.looked_at_again = math.inf
                case FlowQueue():
                    item.hold = None
        for flow in self.queues.flows():
            for work in self.queues.drop(flow, lambda work: work.contact.due_at > now):
                work.feed.next_due_at = -math.inf
        for feed in list(self._feeds.values()):
            self._consider_loading(feed)
        self.queues.push_all()
        self._on_clock_back()

    def _take_in_hand(self, work: Work, *, waits: bool = False) -> None:
        """`waits` where it waits for its next try."""
        work.take_in_hand(waits=waits)
        self._wheel.schedule(work.contact.due_at, work)

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
        if len(feed.held) - feed.calling - feed.waiting > self._fetching.held_max(feed) // 2:
            return
        if feed.next_due_at <= self._clock.now() + HORIZON_S:
            self._fetching.add(feed)
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
        for feed in self._feeds.values():
            if feed.is_partial:
                self._fetching.add_urgent(feed)
        self._find_at = trio.current_time() + FIND_AGAIN_S


def _leave_out(feed: ListFeed, contact: str) -> None:
    """Nothing comes of a contact as it is in hand, or about to be."""
    if feed.loading:
        feed.recalled.add(contact)
    held = feed.held.pop(contact, None)
    if held is not None:
        held.end_wait()
