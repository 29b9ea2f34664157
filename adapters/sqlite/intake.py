"""Lists and single calls coming in.

A large list would hold the writer for a second, and with it every call that is about to be dialled. So it
goes in a piece at a time, each piece an operation among others, under a list that has no id yet and that
nothing finds. The last operation gives it its id, its answer and its event: that is when the list comes to
be, all of it at once. What a crash or a cancelled caller leaves of such a list is cleared away later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import msgspec
import trio

from adapters.sqlite.answers import earlier_answer, keep_answer
from adapters.sqlite.blocks import COUNT_CONTACTS, add_batch, drop_blocks, rows_of
from adapters.sqlite.connected import Connected
from adapters.sqlite.pickups import find_pickup, keep_pickup
from adapters.sqlite.readers import Readers
from adapters.sqlite.refusals import duplicate_list, flow_deleted
from adapters.sqlite.rows import (
    CONTACT_INSERT,
    LIST_COLUMNS,
    LIST_SET,
    REJECTED_INSERT,
    contact_row,
    list_row,
    rejected_row,
    text,
    to_list,
)
from adapters.sqlite.rules import accepted, list_accepted, repeats_since
from adapters.sqlite.unit import Unit
from adapters.sqlite.writer import Writer
from engine.drafts import Batch
from engine.model import CallList, Contact, RejectedRow
from engine.ports.clock import WallClock
from engine.ports.intake_store import NewList, Promise
from engine.ports.stored import Conflict, IdempotentAnswer, PickedUp

PIECE_ROWS: Final = 1000
"""Contacts, or rejected rows, of one piece: about 6 ms of the writer's time."""
GATHERED_ROWS: Final = 160
"""Rows, as `blocks.rows_of` counts them, that go into one commit where nobody waits for each batch."""

_read_list: Final = msgspec.json.Decoder(CallList).decode
_PROMISE: Final = "INSERT OR REPLACE INTO promised_lists (list, call_list) VALUES (?, ?)"
_FIND_CONTENT: Final = (
    f"SELECT {LIST_COLUMNS} FROM lists l "  # noqa: S608, a constant
    "JOIN accounts a ON a.n = l.account JOIN flows f ON f.n = l.flow "
    "WHERE a.id = ? AND l.flow = (SELECT n FROM flows WHERE id = ?) AND l.content_sha256 = ? "
    "AND l.created_at > ? ORDER BY l.created_at DESC, l.id DESC LIMIT 1"
)


class SqliteIntake(Connected):
    """The methods of `engine.ports.intake_store.IntakeStore`."""

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
        earlier = await self._writer.submit_step(lambda unit: _check(unit, new, answer))
        if earlier is not None:
            return earlier
        async with self.take_list(new.call_list.account, new.call_list.flow) as taking:
            for at in range(0, max(len(new.contacts), len(new.rejected)), PIECE_ROWS):
                piece = slice(at, at + PIECE_ROWS)
                await taking.add(new.contacts[piece], new.rejected[piece])
            rest = msgspec.structs.replace(new, contacts=(), rejected=())
            return await taking.publish(rest, answer)

    @asynccontextmanager
    async def take_list(self, account: str, flow: str) -> AsyncIterator[SqliteListTaking]:
        """Take a list in piece by piece."""
        await self._clear_away()
        n = await self._writer.submit_step(lambda unit: _begin_list(unit, account, flow))
        taking = SqliteListTaking(self._writer, n)
        try:
            yield taking
        finally:
            if not taking.is_settled:
                self._abandoned.append(n)

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
        """Publish what was promised of lists that a crash interrupted, and clear away the rest. Called once,
        at the start."""
        promised = await self._readers.rows(
            "SELECT list, call_list FROM promised_lists", (), lambda row: (int(row[0]), row[1])
        )
        for n, call_list in promised:
            await self._writer.submit_step(partial(_keep_promise, n, _read_list(call_list)))
        sql = "SELECT n FROM lists WHERE id IS NULL"
        self._abandoned += await self._readers.rows(sql, (), lambda row: int(row[0]))
        await self._clear_away()

    async def _clear_away(self) -> None:
        while self._abandoned:
            n = self._abandoned.pop()
            try:
                while not await self._writer.submit_step(partial(_clear_piece, n), PIECE_ROWS):
                    pass
            except BaseException:
                self._abandoned.append(n)
                raise


class SqliteListTaking:
    """A list without an id, and what it has so far. See `engine.ports.intake_store.ListTaking`."""

    def __init__(self, writer: Writer, n: int) -> None:
        self._writer = writer
        self._n = n
        self._rejected = 0
        self._gathered: list[Batch] = []
        """What is written with the next batch or with the list, as nobody was promised it."""
        self.is_settled = False
        """Whether it is published, or will be without its caller."""

    async def add(
        self,
        contacts: Sequence[Contact],
        rejected: Sequence[RejectedRow],
        promise: Promise | None = None,
    ) -> None:
        """Keep a piece."""
        keep = partial(_add_contacts, self._n, contacts)
        await self._write(keep, len(contacts), rejected, promise)

    async def add_batch(
        self, batch: Batch, rejected: Sequence[RejectedRow], promise: Promise | None = None
    ) -> None:
        """Keep a piece as the block that it is."""
        self._gathered.append(batch)
        rows = sum(map(rows_of, self._gathered))
        if promise is None and not rejected and rows < GATHERED_ROWS:
            await trio.lowlevel.checkpoint()
            return
        gathered, self._gathered = self._gathered, []
        await self._write(partial(_add_batches, self._n, gathered), rows, rejected, promise)

    async def _write(
        self,
        keep: Callable[[Unit], None],
        rows: int,
        rejected: Sequence[RejectedRow],
        promise: Promise | None,
    ) -> None:
        n, place = self._n, self._rejected
        self._rejected += len(rejected)

        def write(unit: Unit) -> None:
            keep(unit)
            _add_rejected(n, place, rejected, unit)
            if promise is not None:
                unit.execute(_PROMISE, (n, text(promise.call_list)))
                keep_answer(unit, promise.answer)

        await self._writer.submit_step(write, rows + len(rejected))
        self.is_settled = promise is not None

    async def drop_contacts(self) -> None:
        """Forget the contacts, a piece at a time."""
        while await self._writer.submit_step(partial(_drop_contacts, self._n), PIECE_ROWS):
            pass
        self._gathered.clear()

    async def publish(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make the list. Raises as `SqliteIntake.accept_list`."""
        gathered = self._gathered

        def publish(unit: Unit) -> IdempotentAnswer | None:
            # What is there counts, not what was handed in: some of that may have failed.
            contacts = _count_contacts(unit, self._n)
            contacts += sum(batch.drafts.count for batch in gathered)
            earlier = _publish(unit, self._n, new, contacts, answer)
            if earlier is None:
                _add_batches(self._n, gathered, unit)
            return earlier

        earlier = await self._writer.submit(publish, sum(map(rows_of, gathered)) + 1)
        self.is_settled = earlier is None
        return earlier


def insert_list(unit: Unit, call_list: CallList) -> int:
    """Make a list that has no contacts; the number that its rows refer to it by."""
    n = _insert_nameless(unit)
    _name(unit, n, call_list, 0)
    return n


def _accept_list(
    unit: Unit, new: NewList, answer: IdempotentAnswer | None
) -> IdempotentAnswer | None:
    earlier = _check(unit, new, answer)
    if earlier is not None:
        return earlier
    begun = _begin_list(unit, new.call_list.account, new.call_list.flow)
    _add_contacts(begun, new.contacts, unit)
    _add_rejected(begun, 0, new.rejected, unit)
    return _publish(unit, begun, new, len(new.contacts), answer)


def _check(unit: Unit, new: NewList, answer: IdempotentAnswer | None) -> IdempotentAnswer | None:
    """The answer that there is already. Raises `PickedUp` and `DuplicateList`."""
    earlier = earlier_answer(unit, answer)
    if earlier is None:
        _check_pickup(unit, new)
        _check_repeat(unit, new, len(new.contacts))
    return earlier


def _begin_list(unit: Unit, account: str, flow: str) -> int:
    """The number of a list without an id."""
    _find_flow(unit, account, flow)
    return _insert_nameless(unit)


def _add_contacts(list_n: int, contacts: Sequence[Contact], unit: Unit) -> None:
    unit.executemany(CONTACT_INSERT, [contact_row(one, list_n, one.row) for one in contacts])


def _add_batches(list_n: int, batches: Sequence[Batch], unit: Unit) -> None:
    for batch in batches:
        add_batch(unit, list_n, batch)


def _add_rejected(list_n: int, place: int, rejected: Sequence[RejectedRow], unit: Unit) -> None:
    rows = [rejected_row(one, list_n, at) for at, one in enumerate(rejected, place)]
    unit.executemany(REJECTED_INSERT, rows)


def _publish(
    unit: Unit, n: int, new: NewList, contacts: int, answer: IdempotentAnswer | None
) -> IdempotentAnswer | None:
    """Give a list its id, with so many contacts that were added to it."""
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    call_list = accepted(new.call_list, contacts)
    _check_pickup(unit, new)
    _check_repeat(unit, new, contacts)
    _name(unit, n, call_list, contacts)
    if contacts and new.content_sha256 is not None:
        unit.execute("UPDATE lists SET content_sha256 = ? WHERE n = ?", (new.content_sha256, n))
    unit.execute("DELETE FROM promised_lists WHERE list = ?", (n,))
    unit.tell(list_accepted(call_list, contacts))
    if new.pickup is not None:
        keep_pickup(unit, new.pickup)
    keep_answer(unit, answer)
    return None


def _count_contacts(unit: Unit, n: int) -> int:
    counted = unit.row(COUNT_CONTACTS, (n,))
    assert counted is not None
    return int(counted[0])


def _keep_promise(n: int, call_list: CallList, unit: Unit) -> None:
    try:
        _publish(unit, n, NewList(call_list, ()), _count_contacts(unit, n), None)
    except Conflict:  # the flow was deleted meanwhile
        unit.execute("DELETE FROM promised_lists WHERE list = ?", (n,))


def _check_pickup(unit: Unit, new: NewList) -> None:
    """Raises `PickedUp` where the file was picked up before, and may be where it was."""
    earlier = None if new.pickup is None else find_pickup(unit, new.pickup)
    if earlier is not None:
        raise PickedUp(earlier)


def _check_repeat(unit: Unit, new: NewList, contacts: int) -> None:
    """Raises `DuplicateList` where the file came in for its flow before, and that matters."""
    since = repeats_since(new, contacts)
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
    sql = (
        "SELECT 1 FROM lists WHERE n = ? AND id IS NULL "
        "AND n NOT IN (SELECT list FROM promised_lists)"
    )
    if unit.row(sql, (n,)) is None:
        return True  # its caller had gone, but the commit that made or promised it came through
    if _drop_contacts(n, unit):
        return False
    sql = (
        "DELETE FROM rejected WHERE (list, place) IN "
        "(SELECT list, place FROM rejected WHERE list = ? LIMIT ?)"
    )
    if unit.execute(sql, (n, PIECE_ROWS)).rowcount == PIECE_ROWS:
        return False
    unit.execute("DELETE FROM lists WHERE n = ?", (n,))
    return True


def _drop_contacts(n: int, unit: Unit) -> bool:
    """Delete a piece of a list's contacts; whether there may be more."""
    if drop_blocks(unit, n):
        return True
    sql = "DELETE FROM contacts WHERE id IN (SELECT id FROM contacts WHERE list = ? LIMIT ?)"
    return unit.execute(sql, (n, PIECE_ROWS)).rowcount == PIECE_ROWS


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
