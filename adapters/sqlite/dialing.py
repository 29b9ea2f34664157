"""What dialling writes down, and what it reads: the hot paths."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, TypeVar

from adapters.sqlite import rules
from adapters.sqlite.blocks import first_are_wide, widen_block_of, widen_first
from adapters.sqlite.connected import Connected
from adapters.sqlite.countries import note_country
from adapters.sqlite.do_not_call import LISTED, RANGES_OF, listed_row, put_do_not_call
from adapters.sqlite.moving_rules import ROUNDING_S, bars_attempts
from adapters.sqlite.rows import (
    ATTEMPT_COLUMNS,
    ATTEMPT_INSERT,
    CONTACT_COLUMNS,
    CONTACT_PROGRESS,
    CONTACT_WIDTH,
    LIST_COLUMNS,
    Row,
    attempt_row,
    contact_progress_row,
    detail_text,
    read_strings,
    text,
    to_attempt,
    to_contact,
    to_list,
)
from adapters.sqlite.unit import Unit
from engine.agent import day_of
from engine.did_health import ANSWERED, COUNTED, HEALTH_STEP_S, HealthStep, Tally
from engine.disposition import Disposition
from engine.do_not_call import entries_of
from engine.events import Event
from engine.model import CALLEE_CALLS_MAX, Attempt, BlockerCode, CallList, Contact
from engine.ports.dial_store import (
    CALLERS_KEPT,
    Deferral,
    OpenList,
    PastCall,
    Progress,
    RecentStart,
    Refusal,
)

GATHER_S: Final = 0.01
"""How long what is written of one attempt may wait for others to share its commit: an intent is written
50 ms before its INVITE leaves, and nobody hears the rest."""

T = TypeVar("T")

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)


def _any_of(words: Iterable[str]) -> str:
    """Constants, as a statement lists them."""
    return ", ".join(f"'{word}'" for word in sorted(words))


_OF_LIST: Final = "JOIN accounts a ON a.n = l.account JOIN flows f ON f.n = l.flow"
_OPEN: Final = (
    "SELECT a.id, f.id, l.id, l.status, "
    "min(ifnull((SELECT min(c.due_at) FROM contacts c WHERE c.list = l.n AND c.state = 'open'), 9e999), "
    "ifnull((SELECT min(b.due_at) FROM contact_blocks b WHERE b.list = l.n), 9e999)) "
    f"FROM lists l {_OF_LIST} "
    "WHERE l.has_open AND l.status IN ('scheduled', 'running', 'paused')"
)
OPEN_LISTS: Final = f"{_OPEN} ORDER BY l.n"
OPEN_LIST: Final = f"{_OPEN} AND l.id = ?"
DUE_CONTACTS: Final = (
    f"SELECT {CONTACT_COLUMNS} FROM lists l {_OF_LIST} JOIN contacts c ON c.list = l.n "
    "WHERE l.id = ? AND c.state = 'open' AND c.due_at <= ? ORDER BY c.due_at, c.id LIMIT ?"
)
URGENT_CONTACTS: Final = (
    f"SELECT {CONTACT_COLUMNS} FROM lists l {_OF_LIST} "
    "JOIN contacts c INDEXED BY contacts_urgent ON c.list = l.n "
    "WHERE l.id = ? AND c.state = 'open' AND c.priority = 'urgent' AND c.due_at <= ? "
    "ORDER BY c.due_at, c.id LIMIT ?"
)
LISTED_CONTACTS: Final = (
    "SELECT x.id FROM (SELECT c.id, l.account, f.id AS flow, "
    "json_extract(c.tel, '$[' || c.tel_index || ']') AS number "
    f"FROM lists l {_OF_LIST} JOIN contacts c ON c.list = l.n "
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
REACHED: Final = (
    "EXISTS (SELECT 1 FROM attempts r INDEXED BY attempts_reached WHERE r.list = ?7 AND r.number = ?2 "
    "AND r.disposition IN ('answered', 'declined') AND r.contact <> ?6)"
)
"""Whether another contact of the list has reached somebody on the number. As the next two, with the
parameters of `LISTED` and then contact, list, and the latest start time that has come."""
BEGIN_CONTACT: Final = (
    "UPDATE contacts SET state = 'dialing' "
    "WHERE id = ?6 AND state = 'open' AND NOT (wait_code = 'starttime' AND due_at > ?8) "
    f"AND NOT {LISTED} "
    f"AND NOT {REACHED}"
)
WHY_NOT_BEGUN: Final = f"SELECT c.state, {LISTED}, {REACHED} FROM contacts c WHERE c.id = ?6"
NOTE_PROGRESS: Final = (
    "UPDATE attempts SET status = ?, ringing_at = ?, answered_at = ?, detail = ? "
    "WHERE account = ? AND id = ? AND ended_at IS NULL"
)
END_ATTEMPT: Final = (
    "UPDATE attempts SET status = ?, ringing_at = ?, answered_at = ?, detail = ?, disposition = ?, "
    "ended_at = ? WHERE account = ? AND id = ? AND ended_at IS NULL"
)
COUNT_ANSWER: Final = (
    "INSERT INTO answer_days (flow, day, answered, abandoned) VALUES (?, ?, 1, ?) "
    "ON CONFLICT (flow, day) DO UPDATE SET answered = answered + 1, "
    "abandoned = abandoned + excluded.abandoned"
)
END_CONTACT: Final = f"UPDATE contacts SET {CONTACT_PROGRESS} WHERE id = ?"
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
OPEN_ATTEMPTS: Final = (
    f"SELECT {CONTACT_COLUMNS}, {ATTEMPT_COLUMNS} FROM attempts t "
    f"JOIN contacts c ON c.id = t.contact JOIN lists l ON l.n = c.list {_OF_LIST} "
    "WHERE t.ended_at IS NULL ORDER BY t.id"
)
RECENT_STARTS: Final = (
    "SELECT a.id, f.id, t.did, t.trunk, t.number, t.initiated_at AS at, t.id AS id FROM accounts a "
    "CROSS JOIN attempts t ON t.account = a.n "
    "AND t.initiated_at >= ?1 AND t.initiated_at < ?2 "
    "JOIN flows f ON f.n = t.flow "
    "UNION ALL "
    "SELECT a.id, f.id, g.did, g.trunk, g.number, g.initiated_at, g.id FROM legs g "
    "JOIN accounts a ON a.n = g.account JOIN flows f ON f.n = g.flow "
    "WHERE g.initiated_at >= ?1 AND g.initiated_at < ?2 ORDER BY at, id"
)
LAST_CALLERS: Final = (
    "SELECT j.value, (SELECT json_group_array(x.did) FROM (SELECT t.did FROM attempts t "
    "INDEXED BY attempts_by_number WHERE t.account = a.n AND t.number = j.value "
    f"ORDER BY t.id DESC LIMIT {CALLERS_KEPT}) x) "
    "FROM accounts a CROSS JOIN json_each(?) j WHERE a.id = ?"
)
PAST_CALLS: Final = (
    "SELECT t.number, t.id, t.initiated_at FROM accounts a CROSS JOIN json_each(?) j "
    "CROSS JOIN attempts t ON t.account = a.n AND t.id IN (SELECT x.id FROM attempts x "
    "INDEXED BY attempts_by_number WHERE x.account = a.n AND x.number = j.value "
    "AND (x.disposition IS NOT 'congested' OR x.ringing_at IS NOT NULL) "
    f"ORDER BY x.id DESC LIMIT {CALLEE_CALLS_MAX}) "
    "WHERE a.id = ? ORDER BY t.id DESC"
)
DID_HEALTH: Final = (
    f"SELECT t.did, CAST(t.ended_at / {HEALTH_STEP_S} AS INTEGER) AS step, count(*), "
    f"sum(t.disposition IN ({_any_of(ANSWERED)})), sum(t.disposition = 'blocked') "
    "FROM accounts a CROSS JOIN attempts t ON t.account = a.n AND t.initiated_at >= ? "
    "JOIN dids d ON d.number = t.did AND t.ended_at >= d.counts_from "
    f"WHERE t.disposition IN ({_any_of(COUNTED)}) GROUP BY t.did, step ORDER BY t.did, step"
)
DID_STARTS: Final = (
    "SELECT t.initiated_at AS at FROM accounts a "
    "CROSS JOIN attempts t ON t.account = a.n AND t.initiated_at >= ? WHERE t.did = ? "
    "UNION ALL SELECT g.initiated_at FROM legs g WHERE g.initiated_at >= ? AND g.did = ? "
    "ORDER BY at DESC LIMIT ?"
)
THE_LIST: Final = f"SELECT {LIST_COLUMNS} FROM lists l {_OF_LIST} WHERE l.n = ?"


NUMBERS_ASKED_AT_ONCE: Final = 5_000
"""Numbers of one question; more are asked for in turn."""
WIDENED_ROWS: Final = 500
"""About how many rows come of a block."""
NO_LIST: Final = -1
"""Where single calls are looked for that reached a number: each of them is somebody's wish by itself."""
DIALABLE: Final = frozenset({"scheduled", "running"})
"""Statuses of a list whose contacts may be dialled now."""


class SqliteDialing(Connected):
    """The methods of `engine.ports.dial_store.DialStore`."""

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

    async def begin_attempt(self, attempt: Attempt, event: Event) -> Refusal | None:
        """Write down the intent to dial."""
        return await self._writer.submit(
            lambda unit: _begin_attempt(unit, attempt, event), gather_s=GATHER_S
        )

    async def note_progress(self, noted: Sequence[Progress]) -> None:
        """Keep what changed on attempts. Does nothing to one that has ended, or is not known."""
        rows = sum(1 + len(one.events) for one in noted)
        await self._writer.submit(lambda unit: _note_progress(unit, noted), rows, GATHER_S)

    async def opt_out(self, numbers: Sequence[str], flow: str | None, event: Event) -> bool:
        """Put numbers on the do-not-call list, with the event. Raises LookupError for an unknown
        account."""
        return await self._writer.submit(lambda unit: _opt_out(unit, numbers, flow, event))

    async def end_attempt(
        self, attempt: Attempt, contact: Contact, events: Sequence[Event]
    ) -> bool:
        """Keep an attempt's end and what follows for its contact. The contact's completion is told by the
        store unless `events` tell of it."""
        return await self._writer.submit(
            lambda unit: _end_attempt(unit, attempt, contact, events), gather_s=GATHER_S
        )

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

    async def open_attempts(self) -> list[tuple[Attempt, Contact]]:
        """Attempts without an end, in the order of their ids."""
        return await self._readers.rows(OPEN_ATTEMPTS, (), _to_pair)

    async def last_callers(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[str, ...]]:
        """Which DIDs called each of the numbers, the latest first."""
        found: dict[str, tuple[str, ...]] = {}
        for start in range(0, len(numbers), NUMBERS_ASKED_AT_ONCE):
            some = text(numbers[start : start + NUMBERS_ASKED_AT_ONCE])
            rows = await self._readers.rows(LAST_CALLERS, (some, account), _to_callers)
            found.update(row for row in rows if row[1])
        return found

    async def past_calls(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[PastCall, ...]]:
        """The latest attempts on each number that may have reached somebody."""
        found: dict[str, list[PastCall]] = {}
        for start in range(0, len(numbers), NUMBERS_ASKED_AT_ONCE):
            some = text(numbers[start : start + NUMBERS_ASKED_AT_ONCE])
            for number, call in await self._readers.rows(PAST_CALLS, (some, account), _to_call):
                found.setdefault(number, []).append(call)
        return {number: tuple(calls) for number, calls in found.items()}

    async def did_health(self, since: float) -> list[HealthStep]:
        """What the calls of each DID came to."""
        return await self._readers.rows(DID_HEALTH, (since,), _to_health_step)

    async def did_starts(self, number: str, since: float, limit: int) -> list[float]:
        """When the latest calls of a DID began."""
        found = await self._readers.rows(
            DID_STARTS, (since, number, since, number, limit), lambda row: float(row[0])
        )
        return found[::-1]

    async def recent_starts(self, since: float, until: float = math.inf) -> list[RecentStart]:
        """Attempts and legs initiated within a time."""
        return await self._readers.rows(
            RECENT_STARTS, (since, until), lambda row: RecentStart(*row[:6])
        )


def _to_callers(row: Row) -> tuple[str, tuple[str, ...]]:
    return row[0], tuple(dict.fromkeys(read_strings(row[1])))


def _to_call(row: Row) -> tuple[str, PastCall]:
    return row[0], PastCall(row[1], row[2])


def _to_health_step(row: Row) -> HealthStep:
    return HealthStep(row[0], row[1], Tally(*row[2:]))


def _to_open_list(row: Row) -> OpenList:
    return OpenList(*row)


def _to_pair(row: Row) -> tuple[Attempt, Contact]:
    return to_attempt(row[CONTACT_WIDTH:]), to_contact(row[:CONTACT_WIDTH])


def _change_open(unit: Unit, contact: str, sql: str, parameters: Row) -> bool:
    """Run a statement that changes a contact if it is open, wherever it is; whether it did."""
    unit.execute(sql, parameters)
    if unit.rowcount:
        return True
    if not widen_block_of(unit, contact):
        return False
    unit.execute(sql, parameters)
    return unit.rowcount > 0


def _begin_attempt(unit: Unit, attempt: Attempt, event: Event) -> Refusal | None:
    row = unit.find_list(attempt.list)
    if row is None or bars_attempts(row.state, attempt.initiated_at):
        return "gone"
    at = attempt.initiated_at
    redirected_from = attempt.redirected_from or attempt.number
    among = NO_LIST if row.state.standing else row.n
    begin = (
        *listed_row(row.account_n, attempt.number, redirected_from, attempt.flow, at),
        *(attempt.contact, among, at + ROUNDING_S),
    )
    is_dialable = row.state.status in DIALABLE
    if not (is_dialable and _change_open(unit, attempt.contact, BEGIN_CONTACT, begin)):
        found = unit.row(WHY_NOT_BEGUN, begin[:-1])
        state, listed, reached = found or ("completed", 0, 0)
        # With no other reason the contact was given a later start time since it was let go.
        return rules.refusal(state, row.state, bool(listed), bool(reached)) or "gone"
    unit.execute(ATTEMPT_INSERT, attempt_row(attempt, row.account_n, row.flow_n, row.n))
    started = rules.begin(unit.change(row), at)
    unit.tell((event, *started))
    note_country(unit, row.account_n, attempt)
    return None


def _note_progress(unit: Unit, noted: Sequence[Progress]) -> None:
    for one in noted:
        attempt = one.attempt
        unit.execute(
            NOTE_PROGRESS,
            (
                attempt.status,
                attempt.ringing_at,
                attempt.answered_at,
                detail_text(attempt),
                unit.account_n(attempt.account),
                attempt.id,
            ),
        )
        if unit.rowcount:
            unit.tell(one.events)


def _opt_out(unit: Unit, numbers: Sequence[str], flow: str | None, event: Event) -> bool:
    entries = entries_of(numbers, flow, event.time, "call", event.attempt)
    is_new = put_do_not_call(unit, event.account, entries) > 0
    if is_new:
        unit.tell((event,))
    return is_new


def _end_attempt(unit: Unit, attempt: Attempt, contact: Contact, events: Sequence[Event]) -> bool:
    at = attempt.ended_at
    assert at is not None
    row = unit.find_list(attempt.list)
    if row is None:
        return False
    unit.execute(
        END_ATTEMPT,
        (
            attempt.status,
            attempt.ringing_at,
            attempt.answered_at,
            detail_text(attempt),
            attempt.disposition,
            at,
            row.account_n,
            attempt.id,
        ),
    )
    if not unit.rowcount:
        return False
    if rules.counts_as_answered(attempt):
        unit.execute(COUNT_ANSWER, (row.flow_n, day_of(at), bool(attempt.abandoned)))
    settled = rules.settle(contact, row.state, at)
    unit.execute(END_CONTACT, (*contact_progress_row(settled), contact.id))
    state = unit.change(row)
    unit.tell(rules.told_of_end(settled, state, events))
    if settled.disposition is None:
        rules.reopen(state)
    else:
        unit.tell(rules.complete(state, "dialing", settled.disposition, at))
    return True


def _defer_contacts(unit: Unit, deferrals: Sequence[Deferral], events: Sequence[Event]) -> None:
    moved = set()
    for one in deferrals:
        defer = (one.due_at, one.wait_code, one.contact)
        if _change_open(unit, one.contact, DEFER_CONTACT, defer):
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
    if not _change_open(unit, contact.id, SETTLE_CONTACT, change):
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
