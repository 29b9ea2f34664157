"""Reads contacts of lists from the store, so many as may be in memory."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from engine.model import Contact
from engine.ports.clock import WallClock
from engine.ports.dial_store import DialStore
from engine.ports.stored import StoreUnavailable
from engine.schedule.feed import HORIZON_S, ListFeed, Work

log = structlog.get_logger(__name__)

HELD_MAX: Final = 1000
"""Contacts of one list in memory that wait to be called, whatever its flow calls from; at half of what is
held at the most more are fetched."""
HELD_PER_DID: Final = 4
"""Beside those, for each DID that the flow calls from: what lies in its mailbox, and as many again."""

Prepare = Callable[[str, Sequence[Contact]], Awaitable[None]]
"""Told of contacts of a flow that are about to be held; raises `StoreUnavailable`."""


class TakeInHand(Protocol):
    """Has a contact that was fetched come up at its moment."""

    def __call__(self, work: Work, *, waits: bool = False) -> None:
        """`waits` where it waits for its next try."""


class Fetching:
    """Fetches what it is told to, list by list."""

    def __init__(
        self,
        store: DialStore,
        clock: WallClock,
        remembers_callers: Callable[[str], bool],
        dids_of: Callable[[str], int],
        prepare: Prepare,
        take_in_hand: TakeInHand,
        consider: Callable[[ListFeed], None],
        let_go: Callable[[str, Iterable[str]], None],
    ) -> None:
        """
        Args:
            remembers_callers: whether it must be known of a flow which DIDs called its contacts.
            dids_of: how many DIDs a flow calls from.
            consider: told that a list was filled, of which there may be more to fetch.
            let_go: told of contacts of a list that are completed, and may be in hand.
        """
        self._store = store
        self._clock = clock
        self._remembers_callers = remembers_callers
        self._dids_of = dids_of
        self._prepare = prepare
        self._take_in_hand = take_in_hand
        self._consider = consider
        self._let_go = let_go
        self._to_fill: dict[ListFeed, None] = {}
        self._to_search: dict[ListFeed, None] = {}
        """Feeds that are full, and whose urgent contacts are fetched all the same."""

    @property
    def is_due(self) -> bool:
        """Whether there is anything to fetch."""
        return bool(self._to_fill or self._to_search)

    def add(self, feed: ListFeed) -> None:
        """There is room for more contacts of a list."""
        self._to_fill[feed] = None

    def add_urgent(self, feed: ListFeed) -> None:
        """A list has urgent contacts, or may have: they do not wait until there is room."""
        self._to_search[feed] = None

    def held_max(self, feed: ListFeed) -> int:
        """How many contacts of a list that wait to be called are in memory."""
        return HELD_MAX + HELD_PER_DID * self._dids_of(feed.flow)

    async def fetch(self, after_each: Callable[[], None]) -> None:
        """Fetch all that there is to fetch. What a store that cannot be read leaves undone stays to be done.

        Args:
            after_each: called after each list, as many may be waiting; due contacts do not.
        """
        for feed in list(self._to_search):
            del self._to_search[feed]
            try:
                await self._fetch_urgent(feed)
            except StoreUnavailable as error:
                log.error("cannot read urgent contacts", list=feed.call_list, error=str(error))
                self._to_search[feed] = None
                return
            after_each()
        for feed in list(self._to_fill):
            del self._to_fill[feed]
            try:
                await self._fill(feed)
            except StoreUnavailable as error:
                log.error("cannot read contacts", list=feed.call_list, error=str(error))
                feed.next_due_at = -math.inf
                self._to_fill[feed] = None
                return
            after_each()

    async def _fetch_urgent(self, feed: ListFeed) -> None:
        """Fetch the urgent contacts of a list that are due soon, whether or not there is room for others."""
        if feed.is_stopped:
            return
        held_before, edition = set(feed.held), feed.edition
        horizon = self._clock.now() + HORIZON_S
        feed.loading = True
        feed.recalled.clear()
        try:
            urgent = await self._store.urgent_contacts(feed.call_list, horizon, HELD_MAX)
            callers = await self._recall_callers(feed, urgent)
            await self._prepare(feed.flow, urgent)
        finally:
            feed.loading = False
        if feed.edition != edition:
            self._to_search[feed] = None
            return
        for contact in urgent:
            known = contact.id in held_before or contact.id in feed.held
            is_new = not known and contact.id not in feed.recalled
            if is_new and not feed.closed and feed.may_hold(contact, self._clock.now()):
                self._take_in_hand(Work(contact, feed, callers=_callers_of(contact, callers)))

    async def _fill(self, feed: ListFeed) -> None:
        """Fetch the earliest contacts of a list that are not held.

        A contact that was held when the question was asked is passed over even if it is free again by
        the time of the answer, because the answer may be older than what became of it.
        """
        if feed.is_stopped:
            return
        held_before, edition = set(feed.held), feed.edition
        feed.next_due_at = math.inf
        limit = self.held_max(feed) + max(0, len(held_before) - feed.calling)
        feed.loading = True
        feed.recalled.clear()
        try:
            contacts = await self._store.due_contacts(feed.call_list, math.inf, limit)
            listed = await self._skip_listed(feed, limit)
            if listed:
                self._let_go(feed.call_list, listed)
            callers = await self._recall_callers(feed, contacts)
            await self._prepare(feed.flow, contacts)
        finally:
            feed.loading = False
        if feed.edition != edition:
            # What was read may be as it was before the change.
            feed.next_due_at = -math.inf
            self._consider(feed)
            return
        now = self._clock.now()
        horizon = now + HORIZON_S
        beyond = math.inf if len(contacts) < limit else contacts[-1].due_at
        room = 0 if feed.is_stopped else self.held_max(feed)
        passed_over = held_before | listed | feed.recalled
        for contact in contacts:
            if contact.id in passed_over or contact.id in feed.held:
                continue
            if contact.due_at > horizon or room == 0:
                beyond = min(beyond, contact.due_at)
                break
            is_retry = contact.wait_code == "retry_wait" and contact.due_at > now
            work = Work(contact, feed, callers=_callers_of(contact, callers))
            self._take_in_hand(work, waits=is_retry and feed.has_room_to_wait)
            room -= 1
        feed.is_partial = beyond <= horizon
        feed.next_due_at = min(feed.next_due_at, beyond)
        self._consider(feed)

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


async def prepare_nothing(_flow: str, _contacts: Sequence[Contact]) -> None:
    """A `Prepare` for whom nothing has to be known of contacts."""


def _callers_of(
    contact: Contact, callers: Mapping[str, tuple[str, ...]] | None
) -> dict[str, tuple[str, ...]] | None:
    if callers is None:
        return None
    return {number: callers[number] for number in contact.tel if number in callers}
