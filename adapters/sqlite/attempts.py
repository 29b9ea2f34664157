"""What is written of attempts: their intents, what they go through, and their ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from adapters.sqlite import rules
from adapters.sqlite.blocks import change_open
from adapters.sqlite.connected import Connected
from adapters.sqlite.countries import note_country
from adapters.sqlite.do_not_call import LISTED, listed_row, put_do_not_call
from adapters.sqlite.moving_rules import ROUNDING_S, bars_attempts
from adapters.sqlite.rows import (
    ATTEMPT_COLUMNS,
    ATTEMPT_INSERT,
    CONTACT_COLUMNS,
    CONTACT_WIDTH,
    END_CONTACT,
    OF_LIST,
    Row,
    attempt_row,
    contact_progress_row,
    detail_text,
    to_attempt,
    to_contact,
)
from adapters.sqlite.unit import Unit
from engine.model import Attempt, Contact
from engine.model.agent import day_of
from engine.model.do_not_call import entries_of
from engine.model.events import Event
from engine.ports.dial_store import Progress, Refusal

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

GATHER_S: Final = 0.01
"""How long what is written of one attempt may wait for others to share its commit: an intent is written
50 ms before its INVITE leaves, and nobody hears the rest."""

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
OPEN_ATTEMPTS: Final = (
    f"SELECT {CONTACT_COLUMNS}, {ATTEMPT_COLUMNS} FROM attempts t "
    f"JOIN contacts c ON c.id = t.contact JOIN lists l ON l.n = c.list {OF_LIST} "
    "WHERE t.ended_at IS NULL ORDER BY t.id"
)

NO_LIST: Final = -1
"""Where single calls are looked for that reached a number: each of them is somebody's wish by itself."""
DIALABLE: Final = frozenset({"scheduled", "running"})
"""Statuses of a list whose contacts may be dialled now."""


class SqliteAttempts(Connected):
    """The methods of `engine.ports.dial_store.DialStore` that are about attempts."""

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

    async def open_attempts(self) -> list[tuple[Attempt, Contact]]:
        """Attempts without an end, in the order of their ids."""
        return await self._readers.rows(OPEN_ATTEMPTS, (), _to_pair)


def _to_pair(row: Row) -> tuple[Attempt, Contact]:
    return to_attempt(row[CONTACT_WIDTH:]), to_contact(row[:CONTACT_WIDTH])


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
    if not (is_dialable and change_open(unit, attempt.contact, BEGIN_CONTACT, begin)):
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
    unit.tell(rules.told_of_end(settled, state, events, attempt))
    if settled.disposition is None:
        rules.reopen(state)
    else:
        unit.tell(rules.complete(state, "dialing", settled.disposition, at))
    return True
