"""Letters to people, and how far they have come."""

from __future__ import annotations

from typing import Final

import msgspec

from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import ID_CURSOR, cursor_of, read_cursor
from adapters.sqlite.rows import Row
from adapters.sqlite.unit import Unit
from engine.model.events import Event
from engine.model.letter import Attachment, Letter
from engine.ports.stored import Page

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

_COLUMNS: Final = (
    "l.id, l.key, a.id, l.recipient, l.subject, l.text, l.created_at, l.due_at, l.in_reply_to, "
    "l.state, l.tries, l.last, l.done_at"
)
_TABLES: Final = "letters l JOIN accounts a ON a.n = l.account"
DUE_LETTERS: Final = (
    f"SELECT {_COLUMNS}, l.attachments FROM {_TABLES} WHERE l.due_at IS NOT NULL AND l.due_at <= ? "
    "ORDER BY l.due_at, l.id LIMIT ?"
)
NEXT_LETTER: Final = "SELECT MIN(due_at) FROM letters WHERE due_at IS NOT NULL"
COUNT_LETTERS: Final = (
    "SELECT COUNT(*) FROM letters WHERE account = (SELECT n FROM accounts WHERE id = ?) "
    "AND recipient = ? AND created_at >= ?"
)
LIST_LETTERS: Final = (
    f"SELECT {_COLUMNS} FROM {_TABLES} WHERE a.id = ? AND l.id < ? ORDER BY l.id DESC LIMIT ?"
)
_INSERT: Final = (
    "INSERT INTO letters (id, account, key, recipient, subject, text, created_at, due_at, in_reply_to, "
    "state, tries, last, done_at, attachments) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (account, key) DO NOTHING"
)
_NOTE: Final = (
    "UPDATE letters SET state = ?, tries = ?, due_at = ?, last = ?, done_at = ? WHERE id = ?"
)
_CLEAR: Final = "DELETE FROM letters WHERE id IN (SELECT id FROM letters WHERE done_at < ? LIMIT ?)"
_LAST: Final = "~"
"""Behind every id."""

_read_attachments = msgspec.msgpack.Decoder(tuple[Attachment, ...]).decode


class SqliteLetters(Connected):
    """The methods of `engine.ports.letters.LetterStore`."""

    async def keep_letter(self, letter: Letter) -> bool:
        """Keep a new letter. Raises LookupError for an unknown account."""
        return await self._writer.submit(lambda unit: keep_letter(unit, letter))

    async def due_letters(self, until: float, limit: int) -> list[Letter]:
        """The earliest first."""
        return await self._readers.rows(DUE_LETTERS, (until, limit), to_letter)

    async def next_letter_at(self) -> float | None:
        """When the next is due."""
        rows: list[float | None] = await self._readers.rows(NEXT_LETTER, (), lambda row: row[0])
        return rows[0]

    async def note_letter(self, letter: Letter, event: Event | None) -> None:
        """Keep how far it has come."""
        await self._writer.submit(lambda unit: _note(unit, letter, event))

    async def count_letters(self, account: str, to: str, since: float) -> int:
        """How many an address has had."""
        rows: list[int] = await self._readers.rows(
            COUNT_LETTERS, (account, to, since), lambda row: row[0]
        )
        return rows[0]

    async def list_letters(self, account: str, limit: int, cursor: str | None) -> Page[Letter]:
        """The newest first."""
        before = _LAST if cursor is None else read_cursor(cursor, ID_CURSOR)[0]
        return await self._readers.page(
            LIST_LETTERS, (account, before), limit, to_letter, lambda one: cursor_of(one.id)
        )

    async def clear_letters(self, before: float, limit: int) -> int:
        """Forget letters that are done."""
        return await self._writer.submit(
            lambda unit: unit.execute(_CLEAR, (before, limit)).rowcount
        )


def to_letter(row: Row) -> Letter:
    """A letter, from `_COLUMNS`, perhaps with its attachments behind."""
    id_, key, account, to, subject, text, created_at, due_at, in_reply_to, *how, done_at = row[:13]
    attachments = _read_attachments(row[13]) if len(row) > 13 else ()
    state, tries, last = how
    return Letter(
        *(id_, key, account, to, subject, text, created_at, due_at, in_reply_to),
        attachments=attachments,
        state=state,
        tries=tries,
        last=last,
        done_at=done_at,
    )


def keep_letter(unit: Unit, letter: Letter) -> bool:
    """Write a new letter down, as the method does."""
    row = unit.row("SELECT n FROM accounts WHERE id = ?", (letter.account,))
    if row is None:
        raise LookupError(f"there is no account {letter.account}")
    values: Row = (
        *(letter.id, row[0], letter.key, letter.to, letter.subject, letter.text),
        *(letter.created_at, letter.due_at, letter.in_reply_to, letter.state, letter.tries),
        *(letter.last, letter.done_at, msgspec.msgpack.encode(letter.attachments)),
    )
    return unit.execute(_INSERT, values).rowcount == 1


def _note(unit: Unit, letter: Letter, event: Event | None) -> None:
    how = (letter.state, letter.tries, letter.due_at, letter.last, letter.done_at)
    unit.execute(_NOTE, (*how, letter.id))
    if event is not None:
        unit.tell((event,))
