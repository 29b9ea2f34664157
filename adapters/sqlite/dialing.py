"""Which contacts may be dialled and when: what dialling reads of lists, and moves."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeVar

from adapters.sqlite import rules
from adapters.sqlite.blocks import change_open, first_are_wide, widen_block_of, widen_first
from adapters.sqlite.connected import Connected
from adapters.sqlite.do_not_call import RANGES_OF
from adapters.sqlite.rows import (
    CONTACT_COLUMNS,
    END_CONTACT,
    LIST_COLUMNS,
    OF_LIST,
    Row,
    contact_progress_row,
    to_contact,
    to_list,
)
from adapters.sqlite.unit import Unit
from engine.model import BlockerCode, CallList, Contact
from engine.model.disposition import Disposition
from engine.model.events import Event
from engine.ports.dial_store import (
    Deferral,
    OpenList,
)

T = TypeVar("T")

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)


_OPEN: Final = (
    "SELECT a.id, f.id, l.id, l.status, "
    "min(ifnull((SELECT min(c.due_at) FROM contacts c WHERE c.list = l.n AND c.state = 'open'), 9e999), "
    "ifnull((SELECT min(b.due_at) FROM contact_blocks b WHERE b.list = l.n), 9e999)) "
    f"FROM lists l {OF_LIST} "
    "WHERE l.has_open AND l.status IN ('scheduled', 'running', 'paused')"
)
OPEN_LISTS: Final = f"{_OPEN} ORDER BY l.n"
OPEN_LIST: Final = f"{_OPEN} AND l.id = ?"
DUE_CONTACTS: Final = (
    f"SELECT {CONTACT_COLUMNS} FROM lists l {OF_LIST} JOIN contacts c ON c.list = l.n "
    "WHERE l.id = ? AND c.state = 'open' AND c.due_at <= ? ORDER BY c.due_at, c.id LIMIT ?"
)
URGENT_CONTACTS: Final = (
    f"SELECT {CONTACT_COLUMNS} FROM lists l {OF_LIST} "
    "JOIN contacts c INDEXED BY contacts_urgent ON c.list = l.n "
    "WHERE l.id = ? AND c.state = 'open' AND c.priority = 'urgent' AND c.due_at <= ? "
    "ORDER BY c.due_at, c.id LIMIT ?"
)
LISTED_CONTACTS: Final = (
    "SELECT x.id FROM (SELECT c.id, l.account, f.id AS flow, "
    "json_extract(c.tel, '$[' || c.tel_index || ']') AS number "
    f"FROM lists l {OF_LIST} JOIN contacts c ON c.list = l.n "
    "WHERE l.id = ? AND c.state = 'open' AND c.due_at <= ? AND c.detour IS NULL "
    "AND EXISTS (SELECT 1 FROM do_not_call d WHERE d.account = l.account) "
    "ORDER BY c.due_at, c.id LIMIT ?) x "
    "WHERE EXISTS (SELECT 1 FROM do_not_call d WHERE d.account = x.account AND d.number = x.number "
    "AND d.flow IN ('', x.flow) AND (d.expires_at IS NULL OR d.expires_at > ?)) "
    "OR EXISTS (SELECT 1 FROM do_not_call d INDEXED BY do_not_call_prefixes "
    "WHERE d.account = x.account AND d.is_prefix "
    f"AND d.number IN ({RANGES_OF.format(number='x.number')}) AND d.flow IN ('', x.flow) "
    "AND (d.expires_at IS NULL OR d.expires_at > ?))"
)
SETTLE_CONTACT: Final = f"{END_CONTACT} AND state = 'open'"
DEFER_CONTACT: Final = (
    "UPDATE contacts SET due_at = max(?1, starttime), "
    "wait_code = iif(?1 < starttime, 'starttime', ?2) WHERE id = ?3 AND state = 'open'"
)
WAITS_FOR: Final = (
    "SELECT c.id, l.id FROM lists l JOIN contact_waits w ON w.list = l.n "
    "CROSS JOIN contacts c ON c.list = l.n AND c.state = 'open' "
    "AND c.due_at >= 60 * w.minute AND c.due_at < 60 * (w.minute + 1) AND c.wait_code = w.code "
    "WHERE l.flow = (SELECT n FROM flows WHERE id = ? AND account = ?) AND l.unfinished "
    "AND w.code = ? AND w.minute >= ? AND c.due_at > ? LIMIT ?"
)
"""By the minutes that any wait in, so that those who wait for something else are not looked at one by one."""
COMPLETE_CONTACT: Final = (
    "UPDATE contacts SET state = 'completed', disposition = ?, completed_at = ? "
    "WHERE id = ? AND state = 'open' RETURNING list, reference"
)
CANCELED_LISTS: Final = (
    "SELECT l.n, l.id FROM lists l WHERE l.has_open AND l.status = 'canceled' ORDER BY l.n LIMIT ?"
)
OPEN_CONTACTS_OF: Final = (
    "SELECT c.id FROM contacts c WHERE c.list = ? AND c.state = 'open' "
    "ORDER BY c.due_at, c.id LIMIT ?"
)
THE_LIST: Final = f"SELECT {LIST_COLUMNS} FROM lists l {OF_LIST} WHERE l.n = ?"


WIDENED_ROWS: Final = 500
"""About how many rows come of a block."""


class SqliteDialing(Connected):
    """The methods of `engine.ports.dial_store.DialStore` that are about lists and their contacts."""

    async def open_lists(self) -> list[OpenList]:
        """Every list that may be dialled, in the order in which they came."""
        return await self._readers.rows(OPEN_LISTS, (), _to_open_list)

    async def open_list(self, call_list: str) -> OpenList | None:
        """One of them."""
        return await self._readers.row(OPEN_LIST, (call_list,), _to_open_list)

    async def due_contacts(self, call_list: str, until: float, limit: int) -> list[Contact]:
        """Open contacts that are due, in the order of (due_at, id)."""
        question = DUE_CONTACTS, (call_list, until, limit)
        return await self._ask_first(call_list, until, limit, *question, to_contact)

    async def urgent_contacts(self, call_list: str, until: float, limit: int) -> list[Contact]:
        """Those of `due_contacts` that are urgent of themselves."""
        return await self._readers.rows(URGENT_CONTACTS, (call_list, until, limit), to_contact)

    async def listed_contacts(self, call_list: str, until: float, limit: int) -> list[str]:
        """Those of the first that are due whose next number must not be called at `until`."""
        question = LISTED_CONTACTS, (call_list, until, limit, until, until)
        return await self._ask_first(call_list, until, limit, *question, lambda row: str(row[0]))

    async def _ask_first(
        self,
        call_list: str,
        until: float,
        limit: int,
        sql: str,
        parameters: Row,
        item: Callable[[Row], T],
    ) -> list[T]:
        """The answer to a question about the first contacts of a list that are due, which are widened before
        where they are in blocks."""

        def ask(connection: sqlite3.Connection) -> list[T] | None:
            if first_are_wide(connection, call_list, until, limit):
                return [item(row) for row in connection.execute(sql, parameters).fetchall()]
            return None

        found = await self._readers.ask(ask)
        if found is not None:
            return found
        left = limit
        while left > 0:  # a block is an operation by itself, so that others need not wait long
            widened = await self._writer.submit_step(
                lambda unit: widen_first(unit, call_list, until), WIDENED_ROWS
            )
            left = left - widened if widened else 0
        return await self._readers.rows(sql, parameters, item)

    async def defer_contacts(self, deferrals: Sequence[Deferral], events: Sequence[Event]) -> None:
        """Move open contacts to a later moment. Events of those that are left alone are not kept."""
        await self._writer.submit(
            lambda unit: _defer_contacts(unit, deferrals, events), len(deferrals) + 1
        )

    async def bring_forward(
        self, account: str, flow: str, code: BlockerCode, at: float, limit: int
    ) -> list[str]:
        """Make contacts due that wait longer for one reason; in which lists any were."""
        return await self._writer.submit(
            lambda unit: _bring_forward(unit, account, flow, code, at, limit), limit + 1
        )

    async def settle_contact(self, contact: Contact, events: Sequence[Event], at: float) -> bool:
        """Keep what follows for an open contact without an attempt."""
        return await self._writer.submit(lambda unit: _settle_contact(unit, contact, events, at))

    async def complete_contacts(
        self,
        contacts: Sequence[str],
        disposition: Disposition,
        at: float,
        reason: str | None = None,
    ) -> int:
        """Give open contacts their final disposition."""
        return await self._writer.submit(
            lambda unit: _complete_contacts(unit, contacts, disposition, at, reason),
            2 * len(contacts) + 1,
        )

    async def set_list_status(
        self, account: str, call_list: str, change: Literal["pause", "resume", "cancel"], at: float
    ) -> CallList | None:
        """Pause, resume or cancel."""
        return await self._writer.submit(
            lambda unit: _set_list_status(unit, account, call_list, change, at)
        )

    async def close_canceled(self, limit: int, at: float) -> int:
        """Complete open contacts of canceled lists."""
        return await self._writer.submit(
            lambda unit: _close_canceled(unit, limit, at), 2 * limit + 1
        )


def _to_open_list(row: Row) -> OpenList:
    return OpenList(*row)


def _defer_contacts(unit: Unit, deferrals: Sequence[Deferral], events: Sequence[Event]) -> None:
    moved = set()
    for one in deferrals:
        defer = (one.due_at, one.wait_code, one.contact)
        if change_open(unit, one.contact, DEFER_CONTACT, defer):
            moved.add(one.contact)
    unit.tell(rules.told_of_deferrals(events, {one.contact for one in deferrals}, moved))


def _bring_forward(
    unit: Unit, account: str, flow: str, code: BlockerCode, at: float, limit: int
) -> list[str]:
    unit.write_out()  # the flags that the search goes by
    found = unit.rows(WAITS_FOR, (flow, unit.account_n(account), code, int(at) // 60, at, limit))
    for contact, _ in found:
        unit.execute(DEFER_CONTACT, (at, code, contact))
    return list(dict.fromkeys(call_list for _, call_list in found))


def _settle_contact(unit: Unit, contact: Contact, events: Sequence[Event], at: float) -> bool:
    row = unit.find_list(contact.list)
    if row is None:
        return False
    settled = rules.settle(contact, row.state, at)
    change = (*contact_progress_row(settled), contact.id)
    if not change_open(unit, contact.id, SETTLE_CONTACT, change):
        return False
    state = unit.change(row)
    unit.tell(rules.told_of_end(settled, state, events))
    if settled.disposition is not None:
        unit.tell(rules.complete(state, "open", settled.disposition, at))
    return True


def _complete_contacts(
    unit: Unit,
    contacts: Sequence[str],
    disposition: Disposition,
    at: float,
    reason: str | None = None,
) -> int:
    done = 0
    for contact in contacts:
        found = unit.row(COMPLETE_CONTACT, (disposition, at, contact))
        if found is None and widen_block_of(unit, contact):
            found = unit.row(COMPLETE_CONTACT, (disposition, at, contact))
        if found is not None:
            list_n, reference = found
            state = unit.change(unit.list_of(list_n))
            told = rules.contact_completed(state, contact, reference, disposition, at, reason)
            unit.tell((told, *rules.complete(state, "open", disposition, at)))
            done += 1
    return done


def _set_list_status(
    unit: Unit, account: str, call_list: str, change: rules.ListChange, at: float
) -> CallList | None:
    row = unit.find_list(call_list)
    if row is None or row.state.account != account:
        return None
    told = rules.change_status(row.state, change, at)
    if told or change == "cancel":
        unit.change(row)
    unit.tell(told)
    unit.write_out()
    found = unit.row(THE_LIST, (row.n,))
    assert found is not None
    return to_list(found)


def _close_canceled(unit: Unit, limit: int, at: float) -> int:
    unit.write_out()  # the counters and statuses that the search goes by
    left = limit
    for n, call_list in unit.rows(CANCELED_LISTS, (limit,)):
        contacts = [contact for (contact,) in unit.rows(OPEN_CONTACTS_OF, (n, left))]
        if len(contacts) < left and widen_first(unit, call_list, math.inf):
            contacts = [contact for (contact,) in unit.rows(OPEN_CONTACTS_OF, (n, left))]
        left -= _complete_contacts(unit, contacts, "canceled", at)
        if left == 0:
            break
    return limit - left
