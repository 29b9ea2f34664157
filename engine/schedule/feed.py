"""An open list as the scheduler holds it, and a contact of it on its way to being dialled."""

from __future__ import annotations

import math
from typing import Final, Protocol

from msgspec import Struct

from engine.model import Contact

HORIZON_S: Final = 300.0
"""How far ahead of their time contacts are brought into memory."""
WAITING_MAX: Final = 10_000
"""Contacts of one list in memory that wait for another try, beside those that wait to be called; further
ones wait in the store."""
REFUSALS_KEPT: Final = 64
"""Trunks that a contact in hand remembers to have been refused by."""


class ListFeed:
    """What is in memory of one list. The rest waits in the store and costs nothing."""

    def __init__(self, account: str, flow: str, call_list: str) -> None:
        self.account = account
        self.flow = flow
        self.call_list = call_list
        self.paused = False
        self.closed = False
        """Whether the list was canceled: nothing of it is dialled any more."""
        self.moving = False
        """Whether its contacts are being given another start time: none of them is brought forward."""
        self.held: dict[str, Work] = {}
        """Contacts that the engine has in hand: on the wheel, ready, in a mailbox or on a call."""
        self.edition = 0
        """How often something was changed of its contacts, for which what was read before is read again."""
        self.outdated: set[str] = set()
        """Contacts that were on a call when that was: they are fetched again after it."""
        self.calling = 0
        """How many of those are on a call, or about to be: they are bounded by the limits of calls."""
        self.waiting = 0
        """How many of those wait for their next try, or for their agents' calls. They take no room from
        others, which may be due now."""
        self.next_due_at = math.inf
        """No contact that is not held is due before this; seconds since the epoch."""
        self.is_partial = False
        """Whether the store has contacts that are due soon, for which there was no room."""
        self.loading = False
        """Whether the store is being asked: what it answers belongs to this feed."""
        self.recalled: set[str] = set()
        """Contacts that were given another start time meanwhile: what it answers may be of before."""
        self.looked_at_again = math.inf
        """The `next_due_at` for which the wheel already brings this feed up."""

    @property
    def is_stopped(self) -> bool:
        """Whether nothing of the list is to be brought forward now."""
        return self.paused or self.closed or self.moving

    @property
    def has_room_to_wait(self) -> bool:
        """Whether one more contact may wait in memory for its next try."""
        return self.waiting < WAITING_MAX

    def may_hold(self, contact: Contact, now: float) -> bool:
        """Whether a contact of a list that is not closed may be in memory: it is due soon, `now` being
        seconds since the epoch."""
        return not (self.paused or self.moving) and contact.due_at <= now + HORIZON_S


class Claim(Protocol):
    """What a contact in hand has of the agents of its flow."""

    attempt: str | None
    """The id that its attempt is to have; None for any."""

    @property
    def is_void(self) -> bool:
        """Whether nothing is left of it: the contact must not be called now."""

    @property
    def is_held(self) -> bool:
        """Whether one agent is kept for the contact."""

    def close(self) -> None:
        """The contact waits again, or is done with."""


class Work(Struct, eq=False, gc=False):
    """A contact that the engine has in hand."""

    contact: Contact
    feed: ListFeed
    refused_by: tuple[str, ...] = ()
    """Names of the trunks that refused it for want of capacity or gave no answer, since one last took its
    call, the latest last; `REFUSALS_KEPT` at the most. Not kept in the store: a restart forgets it."""
    claim: Claim | None = None
    """Of a dialer flow's contact that was let go."""
    callers: dict[str, tuple[str, ...]] | None = None
    """Of a flow that calls people from the DID that they know: by number, which DIDs called it last, the
    latest first. None where nobody has looked."""
    has_waited: bool = False
    """Whether it has waited for such a DID, in vain: any may call it."""
    waits_since: float = math.inf
    """Since when it waits for the DID that it lies before, `trio.current_time()`."""
    is_calling: bool = False
    """Whether its call has been let go."""
    is_waiting: bool = False
    """Whether it waits in memory for its next try, or for its agent's call."""

    @property
    def is_void(self) -> bool:
        """Whether it must not be dialled any more: its list was canceled, or its contact was given another
        start time, and is in hand as another piece of work, or not at all."""
        return self.feed.closed or self.feed.held.get(self.contact.id) is not self

    def take_in_hand(self, *, waits: bool) -> None:
        """The contact is in hand, as this piece of work; `waits` where it waits for its next try."""
        self.is_waiting = waits
        self.feed.waiting += waits
        self.feed.held[self.contact.id] = self

    def end_wait(self) -> None:
        """The contact does not wait for its next try any more, if it did."""
        self.feed.waiting -= self.is_waiting
        self.is_waiting = False

    def let_go(self) -> None:
        """The contact is not in hand any more; where it is as another piece of work, that stays."""
        feed, id_ = self.feed, self.contact.id
        if self.is_waiting:
            self.end_wait()
        if self.is_calling:
            self.is_calling = False
            feed.calling -= 1
        if feed.held.get(id_) is self:
            del feed.held[id_]
            feed.outdated.discard(id_)

    def give_back(self) -> None:
        """Leave the contact to the store."""
        self.let_go()
        self.feed.next_due_at = min(self.feed.next_due_at, self.contact.due_at)

    def again(self, contact: Contact) -> Work:
        """The contact in hand once more, as it is now, with what is remembered of it."""
        return Work(
            contact,
            self.feed,
            self.refused_by,
            callers=self.callers,
            has_waited=self.has_waited,
        )
