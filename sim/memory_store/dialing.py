"""What dialling writes down and reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import trio

from adapters.sqlite import rules
from adapters.sqlite.moving_rules import ROUNDING_S, bars_attempts, not_before_start
from engine.model import (
    Attempt,
    BlockerCode,
    CallList,
    Contact,
)
from engine.model.disposition import Disposition
from engine.model.do_not_call import entries_of
from engine.model.events import Event
from engine.ports.dial_store import (
    Deferral,
    OpenList,
    Progress,
    Refusal,
)
from sim.memory_store.list_entry import ListEntry
from sim.memory_store.tables import Tables


class MemoryDialing:
    """The methods of `engine.ports.dial_store.DialStore`, but for those of `MemoryPastCalls`."""

    _tables: Tables

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
        tables.tell(rules.told_of_end(settled, entry.state, events, attempt))
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
