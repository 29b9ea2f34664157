"""Whoever answers for an account, and is told of what came in where nobody looks at a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class Attachment(Struct, frozen=True):
    """A file that goes with a letter."""

    name: str
    data: bytes


class Letter(Struct, frozen=True):
    """What an account's holder is told."""

    key: str
    """What it is about: two letters with the same key are one."""
    account: str
    subject: str
    """One line."""
    text: str
    attachments: Sequence[Attachment] = ()


class Holder(Protocol):
    """Brings letters to the holders of accounts."""

    async def tell(self, letter: Letter) -> None:
        """Take a letter, which is not lost once this returns, and is sent once, however often it is taken.
        For an account without an address it does nothing. Raises `StoreUnavailable`."""


class NobodyTold:
    """Where no letters go out."""

    async def tell(self, letter: Letter) -> None:
        """See the port."""
