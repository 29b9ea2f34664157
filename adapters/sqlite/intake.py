"""Lists and single calls coming in.

A large list would hold the writer for a second, and with it every call that is about to be dialled. So it
goes in a piece at a time, each piece an operation among others, under a list that has no id yet and that
nothing finds. The last operation gives it its id, its answer and its event: that is when the list comes to
be, all of it at once. What a crash or a cancelled caller leaves of such a list is cleared away later.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from adapters.sqlite.answers import earlier_answer, keep_answer
from adapters.sqlite.connected import Connected
from adapters.sqlite.readers import Readers
from adapters.sqlite.rows import (
    CONTACT_INSERT,
    LIST_COLUMNS,
    LIST_SET,
    REJECTED_INSERT,
    contact_row,
    list_row,
    rejected_row,
    to_list,
)
from adapters.sqlite.rules import (
    accepted,
    duplicate_list,
    flow_deleted,
    list_accepted,
    repeats_since,
)
from adapters.sqlite.unit import Unit
from adapters.sqlite.writer import Writer
from engine.model import CallList, Contact, RejectedRow
from engine.ports.clock import WallClock
from engine.ports.store import IdempotentAnswer, NewList

PIECE_ROWS: Final = 1000
"""Contacts, or rejected rows, of one piece: about 6 ms of the writer's time."""

_FIND_CONTENT: Final = (
    f"SELECT {LIST_COLUMNS} FROM lists l "  # noqa: S608, a constant
    "JOIN accounts a ON a.n = l.account JOIN flows f ON f.n = l.flow "
    "WHERE a.id = ? AND l.flow = (SELECT n FROM flows WHERE id = ?) AND l.content_sha256 = ? "
    "AND l.created_at > ? ORDER BY l.created_at DESC, l.id DESC LIMIT 1"
)


class SqliteIntake(Connected):
    """The methods of `engine.ports.store.IntakeStore`."""

    def __init__(self, writer: Writer, readers: Readers, clock: WallClock) -> None:
        super().__init__(writer, readers, clock)
        self._abandoned: list[int] = []
        """Lists whose taking in was given up, to be cleared away by the next that is as large."""

    async def accept_list(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make a list with all that belongs to it. Raises `DuplicateList`, `Conflict("flow_deleted")`, and
        LookupError for an unknown flow."""
        rows = len(new.contacts) + len(new.rejected)
        if rows <= PIECE_ROWS:
            return await self._writer.submit(lambda unit: _accept_list(unit, new, answer), rows + 1)
        await self._clear_away()
        begun = await self._writer.submit(lambda unit: _begin_list(unit, new, answer))
        if isinstance(begun, IdempotentAnswer):
            return begun
        try:
            earlier = await self._take_in(begun, new, answer)
        except BaseException:
            self._abandoned.append(begun)
            raise
        if earlier is not None:
            self._abandoned.append(begun)
        return earlier

    async def find_list_of_content(
        self, account: str, flow: str, content_sha256: bytes, since: float
    ) -> CallList | None:
        """The newest list of the flow that this file made."""
        return await self._readers.row(
            _FIND_CONTENT, (account, flow, content_sha256, since), to_list
        )

    async def accept_call(
        self, contact: Contact, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Add a contact to its flow's standing list, as the last row of it: its `row` is given here.
        Raises `Conflict("flow_deleted")`, and LookupError for an unknown list."""
        return await self._writer.submit(lambda unit: _accept_call(unit, contact, answer))

    async def clear_unfinished(self) -> None:
        """Clear away what a crash left of lists that were being taken in. Called once, at the start."""
        sql = "SELECT n FROM lists WHERE id IS NULL"
        self._abandoned += await self._readers.rows(sql, (), lambda row: int(row[0]))
        await self._clear_away()

    async def _take_in(
        self, n: int, new: NewList, answer: IdempotentAnswer | None
    ) -> IdempotentAnswer | None:
        for at in range(0, len(new.contacts), PIECE_ROWS):
            contacts = new.contacts[at : at + PIECE_ROWS]
            await self._writer.submit(partial(_add_contacts, n, contacts), len(contacts))
        for at in range(0, len(new.rejected), PIECE_ROWS):
            rejected = new.rejected[at : at + PIECE_ROWS]
            await self._writer.submit(partial(_add_rejected, n, at, rejected), len(rejected))
        return await self._writer.submit(lambda unit: _publish(unit, n, new, answer))

    async def _clear_away(self) -> None:
        while self._abandoned:
            n = self._abandoned.pop()
            try:
                while not await self._writer.submit(partial(_clear_piece, n), PIECE_ROWS):
                    pass
            except BaseException:
                self._abandoned.append(n)
                raise


def insert_list(unit: Unit, call_list: CallList) -> int:
    """Make a list that has no contacts; the number that its rows refer to it by."""
    n = _insert_nameless(unit)
    _name(unit, n, call_list, 0)
    return n


def _accept_list(
    unit: Unit, new: NewList, answer: IdempotentAnswer | None
) -> IdempotentAnswer | None:
    begun = _begin_list(unit, new, answer)
    if isinstance(begun, IdempotentAnswer):
        return begun
    _add_contacts(begun, new.contacts, unit)
    _add_rejected(begun, 0, new.rejected, unit)
    return _publish(unit, begun, new, answer)


def _begin_list(
    unit: Unit, new: NewList, answer: IdempotentAnswer | None
) -> int | IdempotentAnswer:
    """The number of a list without an id, or the answer that there is already."""
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    _find_flow(unit, new.call_list.account, new.call_list.flow)
    _check_repeat(unit, new)
    return _insert_nameless(unit)


def _add_contacts(list_n: int, contacts: Sequence[Contact], unit: Unit) -> None:
    unit.executemany(CONTACT_INSERT, [contact_row(one, list_n, one.row) for one in contacts])


def _add_rejected(list_n: int, place: int, rejected: Sequence[RejectedRow], unit: Unit) -> None:
    rows = [rejected_row(one, list_n, at) for at, one in enumerate(rejected, place)]
    unit.executemany(REJECTED_INSERT, rows)


def _publish(
    unit: Unit, n: int, new: NewList, answer: IdempotentAnswer | None
) -> IdempotentAnswer | None:
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    call_list = accepted(new)
    _check_repeat(unit, new)
    _name(unit, n, call_list, len(new.contacts))
    if new.contacts and new.content_sha256 is not None:
        unit.execute("UPDATE lists SET content_sha256 = ? WHERE n = ?", (new.content_sha256, n))
    unit.tell(list_accepted(call_list, len(new.contacts)))
    keep_answer(unit, answer)
    return None


def _check_repeat(unit: Unit, new: NewList) -> None:
    """Raises `DuplicateList` where the file came in for its flow before, and that matters."""
    since = repeats_since(new)
    if since is not None:
        of = new.call_list.account, new.call_list.flow
        row = unit.row(_FIND_CONTENT, (*of, new.content_sha256, since))
        if row is not None:
            raise duplicate_list(to_list(row))


def _insert_nameless(unit: Unit) -> int:
    n = unit.execute("INSERT INTO lists DEFAULT VALUES").lastrowid
    assert n is not None
    return n


def _name(unit: Unit, n: int, call_list: CallList, contacts: int) -> None:
    account_n, flow_n = _find_flow(unit, call_list.account, call_list.flow)
    unit.execute(
        f"UPDATE lists SET {LIST_SET} WHERE n = ?",  # noqa: S608, a constant
        (*list_row(call_list, account_n, flow_n, contacts), n),
    )


def _find_flow(unit: Unit, account: str, flow: str) -> tuple[int, int]:
    """The numbers of the account and of its flow, which takes calls."""
    row = unit.row(
        "SELECT f.account, f.n, f.deleted FROM flows f JOIN accounts a ON a.n = f.account "
        "WHERE f.id = ? AND a.id = ?",
        (flow, account),
    )
    if row is None:
        raise LookupError(f"the account {account} has no flow {flow}")
    if row[2]:
        raise flow_deleted()
    return row[0], row[1]


def _clear_piece(n: int, unit: Unit) -> bool:
    """Delete a piece of an abandoned list; whether nothing is left of it."""
    if unit.row("SELECT 1 FROM lists WHERE n = ? AND id IS NULL", (n,)) is None:
        return True  # it came to be after all: its caller had gone, but the commit came through
    for sql in (
        "DELETE FROM contacts WHERE id IN (SELECT id FROM contacts WHERE list = ? LIMIT ?)",
        "DELETE FROM rejected WHERE (list, place) IN "
        "(SELECT list, place FROM rejected WHERE list = ? LIMIT ?)",
    ):
        if unit.execute(sql, (n, PIECE_ROWS)).rowcount == PIECE_ROWS:
            return False
    unit.execute("DELETE FROM lists WHERE n = ?", (n,))
    return True


def _accept_call(
    unit: Unit, contact: Contact, answer: IdempotentAnswer | None
) -> IdempotentAnswer | None:
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    row = unit.the_list(contact.list)
    if not row.state.standing:
        raise LookupError(f"{contact.list} is not the standing list of a flow")
    _find_flow(unit, contact.account, contact.flow)
    state = unit.change(row)
    state.contacts += 1
    state.open += 1
    unit.execute(CONTACT_INSERT, contact_row(contact, row.n, state.contacts))
    keep_answer(unit, answer)
    return None
