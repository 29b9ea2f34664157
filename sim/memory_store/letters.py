"""Letters to people, and how far they have come."""

from __future__ import annotations

import msgspec
import trio

from adapters.sqlite.cursors import ID_CURSOR, cursor_of, read_cursor
from engine.model.events import Event
from engine.model.letter import Letter
from engine.ports.stored import Page
from sim.memory_store.paging import page_of
from sim.memory_store.tables import Tables


class MemoryLetters:
    """The methods of `engine.ports.letters.LetterStore`."""

    _tables: Tables

    async def keep_letter(self, letter: Letter) -> bool:
        """Keep a new letter. Raises LookupError for an unknown account."""
        await trio.lowlevel.checkpoint()
        return self._tables.add_letter(letter)

    async def due_letters(self, until: float, limit: int) -> list[Letter]:
        """The earliest first."""
        await trio.lowlevel.checkpoint()
        return [one for at, one in self._waiting() if at <= until][:limit]

    async def next_letter_at(self) -> float | None:
        """When the next is due."""
        await trio.lowlevel.checkpoint()
        return next((at for at, _ in self._waiting()), None)

    async def note_letter(self, letter: Letter, event: Event | None) -> None:
        """Keep how far it has come."""
        await trio.lowlevel.checkpoint()
        known = self._tables.letters.get(letter.id)
        if known is not None:
            self._tables.letters[letter.id] = msgspec.structs.replace(
                known,
                state=letter.state,
                tries=letter.tries,
                due_at=letter.due_at,
                last=letter.last,
                done_at=letter.done_at,
            )
        if event is not None:
            self._tables.tell((event,))
            self._tables.commit()

    async def count_letters(self, account: str, to: str, since: float) -> int:
        """How many an address has had."""
        await trio.lowlevel.checkpoint()
        return sum(
            (one.account, one.to) == (account, to) and one.created_at >= since
            for one in self._tables.letters.values()
        )

    async def list_letters(self, account: str, limit: int, cursor: str | None) -> Page[Letter]:
        """The newest first."""
        await trio.lowlevel.checkpoint()
        kept = sorted(self._tables.letters.values(), key=lambda one: one.id, reverse=True)
        before = None if cursor is None else read_cursor(cursor, ID_CURSOR)[0]
        shown = [
            msgspec.structs.replace(one, attachments=())
            for one in kept
            if one.account == account and (before is None or one.id < before)
        ]
        return page_of(shown, None, limit, lambda one: one.id, lambda one: cursor_of(one.id))

    async def clear_letters(self, before: float, limit: int) -> int:
        """Forget letters that are done."""
        await trio.lowlevel.checkpoint()
        kept = self._tables.letters
        old = [one.id for one in kept.values() if one.done_at is not None and one.done_at < before][
            :limit
        ]
        for letter in old:
            del kept[letter]
        return len(old)

    def _waiting(self) -> list[tuple[float, Letter]]:
        """Letters that wait, each with when it is due, the earliest first."""
        due = [(one.due_at, one) for one in self._tables.letters.values() if one.due_at is not None]
        return sorted(due, key=lambda at_one: (at_one[0], at_one[1].id))
