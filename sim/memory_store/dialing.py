"""Lists and calls coming in, and what dialling writes down and reads."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import msgspec
import trio

from adapters.sqlite import rules
from adapters.sqlite.moving_rules import ROUNDING_S, bars_attempts, not_before_start
from engine.agent import Leg
from engine.did_health import ANSWERED, COUNTED, HealthStep, Tally, step_of
from engine.disposition import Disposition
from engine.do_not_call import entries_of
from engine.drafts import Batch
from engine.events import Event
from engine.model import (
    CALLEE_CALLS_MAX,
    Attempt,
    BlockerCode,
    CallList,
    Contact,
    RejectedRow,
)
from engine.ports.dial_store import (
    CALLERS_KEPT,
    Deferral,
    OpenList,
    PastCall,
    Progress,
    RecentStart,
    Refusal,
)
from engine.ports.intake_store import IntakeStore, NewList, Promise
from engine.ports.stored import IdempotentAnswer
from sim.memory_store.tables import ListEntry, Tables


class MemoryListTaking:
    """What came of a list so far. See `engine.ports.intake_store.ListTaking`."""

    def __init__(
        self, store: IntakeStore, keep: Callable[[IdempotentAnswer | None], None] = lambda _: None
    ) -> None:
        self._store = store
        self._keep = keep
        self._contacts: list[Contact] = []
        self._rejected: list[RejectedRow] = []

    async def add(
        self,
        contacts: Sequence[Contact],
        rejected: Sequence[RejectedRow],
        promise: Promise | None = None,
    ) -> None:
        """Keep a piece. A promise binds nobody here: this store is never opened again."""
        await trio.lowlevel.checkpoint()
        if promise is not None:
            self._keep(promise.answer)
        self._contacts += contacts
        self._rejected += rejected

    async def add_batch(
        self, batch: Batch, rejected: Sequence[RejectedRow], promise: Promise | None = None
    ) -> None:
        """Keep a piece."""
        await self.add(batch.contacts(), rejected, promise)

    async def drop_contacts(self) -> None:
        """Forget the contacts."""
        await trio.lowlevel.checkpoint()
        self._contacts.clear()

    async def publish(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make the list."""
        whole = msgspec.structs.replace(new, contacts=self._contacts, rejected=self._rejected)
        return await self._store.accept_list(whole, answer)


class MemoryDialing:
    """The methods of `engine.ports.intake_store.IntakeStore` and `DialStore`."""

    _tables: Tables

    async def accept_list(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make a list with all that belongs to it. Raises `DuplicateList`, `Conflict("flow_deleted")`, and
        LookupError for an unknown flow."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        earlier = tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        tables.check_flow(new.call_list.account, new.call_list.flow)
        tables.check_pickup(new)
        tables.check_repeat(new)
        tables.accept(new)
        tables.keep_answer(answer)
        tables.commit()
        return None

    @asynccontextmanager
    async def take_list(self, account: str, flow: str) -> AsyncIterator[MemoryListTaking]:
        """Take a list in piece by piece."""
        await trio.lowlevel.checkpoint()
        self._tables.check_flow(account, flow)
        yield MemoryListTaking(self, self._tables.keep_answer)

    async def has_listed(self, account: str, flow: str, at: float) -> bool:
        """Whether there is anything that the flow must not call at a moment."""
        await trio.lowlevel.checkpoint()
        listed = self._tables.do_not_call.get(account, {}).values()
        return any(one.binds(flow, at) for one in listed)

    async def find_listed(
        self, account: str, flow: str, numbers: Sequence[str], at: float
    ) -> frozenset[str]:
        """Those of some numbers that the flow must not call at a moment."""
        await trio.lowlevel.checkpoint()
        is_listed = self._tables.is_listed
        return frozenset(one for one in numbers if is_listed(account, one, flow, at))

    async def find_list_of_content(
        self, account: str, flow: str, content_sha256: bytes, since: float
    ) -> CallList | None:
        """The newest list of the flow that this file made."""
        await trio.lowlevel.checkpoint()
        return self._tables.list_of_content(account, flow, content_sha256, since)

    async def accept_call(
        self, contact: Contact, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Add a contact to its flow's standing list, as the last row of it: its `row` is given here.
        Raises `Conflict("flow_deleted")`, and LookupError for an unknown list."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        earlier = tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        entry = tables.lists.get(contact.list)
        if entry is None or not entry.state.standing:
            raise LookupError(f"{contact.list} is not the standing list of a flow")
        tables.check_flow(contact.account, contact.flow)
        tables.add_call(contact)
        tables.keep_answer(answer)
        return None

    async def open_lists(self) -> list[OpenList]:
        """Every list that may be dialled, in the order in which they came."""
        await trio.lowlevel.checkpoint()
        entries = sorted(self._tables.open_lists.values(), key=lambda entry: entry.made)
        return [self._as_open(entry) for entry in entries]

    async def open_list(self, call_list: str) -> OpenList | None:
        """One of them."""
        await trio.lowlevel.checkpoint()
        entry = self._tables.open_lists.get(call_list)
        return None if entry is None else self._as_open(entry)

    async def due_contacts(self, call_list: str, until: float, limit: int) -> list[Contact]:
        """Open contacts that are due, in the order of (due_at, id)."""
        await trio.lowlevel.checkpoint()
        entry = self._tables.lists.get(call_list)
        return [] if entry is None else self._tables.next_due(entry, until, limit)

    async def urgent_contacts(self, call_list: str, until: float, limit: int) -> list[Contact]:
        """Those of `due_contacts` that are urgent of themselves."""
        await trio.lowlevel.checkpoint()
        entry = self._tables.lists.get(call_list)
        found = [self._tables.contacts[one] for one in entry.urgent] if entry else []
        due = [one for one in found if one.state == "open" and one.due_at <= until]
        return sorted(due, key=lambda one: (one.due_at, one.id))[:limit]

    async def listed_contacts(self, call_list: str, until: float, limit: int) -> list[str]:
        """Those of the first that are due whose next number must not be called at `until`."""
        return [
            one.id
            for one in await self.due_contacts(call_list, until, limit)
            if one.detour is None
            and self._tables.is_listed(one.account, one.number, one.flow, until)
        ]

    async def begin_attempt(self, attempt: Attempt, event: Event) -> Refusal | None:
        """Write down the intent to dial."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        contact = tables.contacts.get(attempt.contact)
        if contact is None:
            return "gone"
        entry = tables.lists[contact.list]
        if bars_attempts(entry.state, attempt.initiated_at):
            return "gone"
        listed = any(
            tables.is_listed(attempt.account, number, attempt.flow, attempt.initiated_at)
            for number in (attempt.number, attempt.redirected_from)
            if number is not None
        )
        reached = tables.reached.get((contact.list, attempt.number), set()) - {contact.id}
        refused = rules.refusal(contact.state, entry.state, listed, bool(reached))
        if refused is not None:
            return refused
        is_early = contact.due_at > attempt.initiated_at + ROUNDING_S
        if is_early and contact.wait_code == "starttime":
            return "gone"
        tables.contacts[contact.id] = msgspec.structs.replace(contact, state="dialing")
        tables.add_attempt(attempt)
        tables.tell((event, *rules.begin(entry.state, attempt.initiated_at)))
        tables.note_country(attempt)
        tables.sort_in(entry)
        tables.commit()
        return None

    async def note_progress(self, noted: Sequence[Progress]) -> None:
        """Keep what changed on attempts. Does nothing to one that has ended, or is not known."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        for one in noted:
            if one.attempt.id in tables.open_attempts:
                tables.attempts[one.attempt.id] = one.attempt
                tables.tell(one.events)
        tables.commit()

    async def opt_out(self, numbers: Sequence[str], flow: str | None, event: Event) -> bool:
        """Put numbers on the do-not-call list, with the event. Raises LookupError for an unknown
        account."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        entries = entries_of(numbers, flow, event.time, "call", event.attempt)
        is_new = tables.put_do_not_call(event.account, entries) > 0
        if is_new:
            tables.tell((event,))
            tables.commit()
        return is_new

    async def end_attempt(
        self, attempt: Attempt, contact: Contact, events: Sequence[Event]
    ) -> bool:
        """Keep an attempt's end and what follows for its contact. The contact's completion is told by the
        store unless `events` tell of it."""
        await trio.lowlevel.checkpoint()
        at = attempt.ended_at
        assert at is not None
        tables = self._tables
        if attempt.id not in tables.open_attempts:
            return False
        del tables.open_attempts[attempt.id]
        tables.attempts[attempt.id] = attempt
        if attempt.disposition in rules.REACHED:
            tables.reached.setdefault((attempt.list, attempt.number), set()).add(attempt.contact)
        tables.count_answer(attempt, at)
        entry = tables.lists[contact.list]
        settled = rules.settle(contact, entry.state, at)
        tables.contacts[contact.id] = _progressed(tables.contacts[contact.id], settled)
        tables.tell(rules.told_of_end(settled, entry.state, events))
        if settled.disposition is None:
            rules.reopen(entry.state)
            tables.push_due(entry, tables.contacts[contact.id])
        else:
            tables.tell(rules.complete(entry.state, "dialing", settled.disposition, at))
        tables.sort_in(entry)
        tables.commit()
        return True

    async def defer_contacts(self, deferrals: Sequence[Deferral], events: Sequence[Event]) -> None:
        """Move open contacts to a later moment. Events of those that are left alone are not kept."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        moved = set()
        for one in deferrals:
            contact = tables.contacts.get(one.contact)
            if contact is None or contact.state != "open":
                continue
            moved.add(contact.id)
            deferred = msgspec.structs.replace(contact, due_at=one.due_at, wait_code=one.wait_code)
            deferred = not_before_start(deferred, contact.starttime)
            tables.contacts[contact.id] = deferred
            tables.push_due(tables.lists[contact.list], deferred)
        tables.tell(rules.told_of_deferrals(events, {one.contact for one in deferrals}, moved))
        tables.commit()

    async def bring_forward(
        self, account: str, flow: str, code: BlockerCode, at: float, limit: int
    ) -> list[str]:
        """Make contacts due that wait longer for one reason; in which lists any were."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        lists = []
        for entry in sorted(tables.open_lists.values(), key=lambda entry: entry.made):
            if (entry.state.account, entry.state.flow) != (account, flow):
                continue
            for contact in tables.next_due(entry, float("inf"), entry.state.open):
                if limit and contact.wait_code == code and contact.due_at > at:
                    limit -= 1
                    lists.append(entry.state.id)
                    earlier = msgspec.structs.replace(contact, due_at=at)
                    earlier = not_before_start(earlier, contact.starttime)
                    tables.contacts[contact.id] = earlier
                    tables.push_due(entry, earlier)
        return list(dict.fromkeys(lists))

    async def settle_contact(self, contact: Contact, events: Sequence[Event], at: float) -> bool:
        """Keep what follows for an open contact without an attempt."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        kept = tables.contacts.get(contact.id)
        if kept is None or kept.state != "open":
            return False
        entry = tables.lists[contact.list]
        settled = rules.settle(contact, entry.state, at)
        tables.contacts[contact.id] = _progressed(kept, settled)
        tables.tell(rules.told_of_end(settled, entry.state, events))
        if settled.disposition is None:
            tables.push_due(entry, tables.contacts[contact.id])
        else:
            tables.tell(rules.complete(entry.state, "open", settled.disposition, at))
        tables.sort_in(entry)
        tables.commit()
        return True

    async def complete_contacts(
        self,
        contacts: Sequence[str],
        disposition: Disposition,
        at: float,
        reason: str | None = None,
    ) -> int:
        """Give open contacts their final disposition."""
        await trio.lowlevel.checkpoint()
        done = self._tables.complete(contacts, disposition, at, reason)
        self._tables.commit()
        return done

    async def set_list_status(
        self, account: str, call_list: str, change: Literal["pause", "resume", "cancel"], at: float
    ) -> CallList | None:
        """Pause, resume or cancel."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        entry = tables.list_of(account, call_list)
        if entry is None:
            return None
        tables.tell(rules.change_status(entry.state, change, at))
        tables.sort_in(entry)
        tables.commit()
        return entry.as_list()

    async def close_canceled(self, limit: int, at: float) -> int:
        """Complete open contacts of canceled lists."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        left = limit
        for entry in sorted(tables.canceled_lists.values(), key=lambda entry: entry.made):
            contacts = [one.id for one in tables.next_due(entry, float("inf"), left)]
            left -= tables.complete(contacts, "canceled", at)
            if left == 0:
                break
        tables.commit()
        return limit - left

    async def open_attempts(self) -> list[tuple[Attempt, Contact]]:
        """Attempts without an end, in the order of their ids."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        attempts = [tables.attempts[attempt] for attempt in sorted(tables.open_attempts)]
        return [(attempt, tables.contacts[attempt.contact]) for attempt in attempts]

    async def last_callers(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[str, ...]]:
        """Which DIDs called each of the numbers, the latest first."""
        await trio.lowlevel.checkpoint()
        tables, found = self._tables, dict[str, tuple[str, ...]]()
        for number in numbers:
            ids = tables.attempts_on.get((account, number), ())[: -CALLERS_KEPT - 1 : -1]
            if ids:
                found[number] = tuple(dict.fromkeys(tables.attempts[one].did for one in ids))
        return found

    async def past_calls(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[PastCall, ...]]:
        """The latest attempts on each number that may have reached somebody."""
        await trio.lowlevel.checkpoint()
        tables, found = self._tables, dict[str, tuple[PastCall, ...]]()
        for number in numbers:
            made = [tables.attempts[one] for one in tables.attempts_on.get((account, number), ())]
            calls = [
                PastCall(one.id, one.initiated_at)
                for one in made
                if one.disposition != "congested" or one.ringing_at is not None
            ]
            if calls:
                found[number] = tuple(calls[: -CALLEE_CALLS_MAX - 1 : -1])
        return found

    async def did_health(self, since: float) -> list[HealthStep]:
        """What the calls of each DID came to. Looks at each: it is asked at a start."""
        await trio.lowlevel.checkpoint()
        counts: dict[tuple[str, int], list[int]] = {}
        for one in self._tables.attempts.values():
            did = self._tables.dids.get(one.did)
            if did is None or one.ended_at is None or one.disposition not in COUNTED:
                continue
            if one.initiated_at >= since and one.ended_at >= did.counts_from:
                count = counts.setdefault((one.did, step_of(one.ended_at)), [0, 0, 0])
                count[0] += 1
                count[1] += one.disposition in ANSWERED
                count[2] += one.disposition == "blocked"
        return [HealthStep(*key, Tally(*count)) for key, count in sorted(counts.items())]

    async def did_starts(self, number: str, since: float, limit: int) -> list[float]:
        """When the latest calls of a DID began."""
        await trio.lowlevel.checkpoint()
        made: list[Attempt | Leg] = [*self._tables.attempts.values(), *self._tables.legs.values()]
        starts = [one.initiated_at for one in made if one.did == number]
        return sorted(at for at in starts if at >= since)[-limit:]

    async def recent_starts(self, since: float, until: float = math.inf) -> list[RecentStart]:
        """Attempts and legs initiated within a time. Looks at each: it is asked at a start."""
        await trio.lowlevel.checkpoint()
        made: list[Attempt | Leg] = [*self._tables.attempts.values(), *self._tables.legs.values()]
        recent = [one for one in made if since <= one.initiated_at < until]
        recent.sort(key=lambda one: (one.initiated_at, one.id))
        return [
            RecentStart(one.account, one.flow, one.did, one.trunk, one.number, one.initiated_at)
            for one in recent
        ]

    def _as_open(self, entry: ListEntry) -> OpenList:
        state = entry.state
        (first,) = self._tables.next_due(entry, float("inf"), 1)
        return OpenList(state.account, state.flow, state.id, state.status, first.due_at)


def _progressed(kept: Contact, after: Contact) -> Contact:
    """A contact with what an attempt changes on it."""
    progressed = msgspec.structs.replace(
        kept,
        state=after.state,
        due_at=after.due_at,
        wait_code=after.wait_code,
        tel_index=after.tel_index,
        spent=after.spent,
        tries=after.tries,
        disposition=after.disposition,
        completed_at=after.completed_at,
        detour=after.detour,
        detoured=after.detoured,
        spent_at=after.spent_at,
        dead=after.dead,
    )
    return not_before_start(progressed, kept.starttime)
