"""Letters: what the store keeps of them, and who takes them on their way."""

from __future__ import annotations

from typing import Protocol

from engine.model.events import Event
from engine.model.letter import Letter
from engine.ports.stored import Page


class LetterStore(Protocol):
    """Part of `engine.ports.store.Store`; what is said there of transactions, accounts and cursors holds."""

    async def keep_letter(self, letter: Letter) -> bool:
        """Keep a new letter; False, with nothing changed, where its account has one with this key."""

    async def due_letters(self, until: float, limit: int) -> list[Letter]:
        """Letters of all accounts that are due by `until`, with their attachments, the earliest first."""

    async def next_letter_at(self) -> float | None:
        """The earliest `due_at` of the letters that wait."""

    async def note_letter(self, letter: Letter, event: Event | None) -> None:
        """Keep how far a letter has come (`state`, `tries`, `due_at`, `last`, `done_at`), with the event that
        tells of it."""

    async def count_letters(self, account: str, to: str, since: float) -> int:
        """How many letters to an address the account has had since a moment."""

    async def list_letters(self, account: str, limit: int, cursor: str | None) -> Page[Letter]:
        """Without their attachments, the newest first."""

    async def clear_letters(self, before: float, limit: int) -> int:
        """Forget up to `limit` letters that were done before a moment; how many."""


class NotSent(Exception):
    """A mail server did not take a letter. `detail` is one sentence, `is_final` whether it never will."""

    def __init__(self, detail: str, is_final: bool) -> None:
        super().__init__(detail)
        self.detail = detail
        self.is_final = is_final


class Smarthost(Protocol):
    """A mail server that brings letters on their way."""

    async def send(self, letter: Letter) -> None:
        """Hand a letter over. Once this returns the server answers for it. Raises `NotSent`."""
