"""Whoever answers for an account, and is told of what came in where nobody looks at a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.model.letter import Attachment


class Holder(Protocol):
    """Brings letters to the holders of accounts."""

    async def tell(
        self,
        account: str,
        key: str,
        subject: str,
        text: str,
        attachments: Sequence[Attachment] = (),
    ) -> None:
        """Take a letter, which is not lost once this returns, and is sent once, however often it is taken.
        For an account without an address it does nothing. Raises `StoreUnavailable`.

        Args:
            key: what it is about: two letters with the same key are one.
            subject: one line.
        """
