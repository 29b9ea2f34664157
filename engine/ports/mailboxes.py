"""A mailbox on somebody else's server, out of which mails for flows come into the spool."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct


class MailboxFailed(Exception):
    """The mailbox cannot be used as it should be.

    Codes: `unreachable` `certificate` `login_failed` `no_folder` `no_room` (in the spool) `timeout` `failed`
    (the server refuses something else) `unavailable` (our own part of it).
    """

    def __init__(self, code: str, detail: str, said: str = "") -> None:
        super().__init__(f"{code}: {detail} {said}".rstrip())
        self.code = code
        self.detail = detail
        """One sentence for a person; every account hears of it."""
        self.said = said
        """What the server, or the system, said of it in its own words. It may name what belongs to the
        operator alone."""


class Fetched(Struct, frozen=True):
    """What one look brought."""

    kept: int
    """Mails that are in the spool now, for good."""
    has_more: bool
    """Whether there may be more at once."""
    passed_over: int = 0
    """Mails for flows that stay where they are, as they were begun with too often, or asked one too many
    to activate a listener."""


class MailboxSession(Protocol):
    """Somebody logged in."""

    async def fetch(self) -> Fetched:
        """Take some mails that are new, the oldest first. Each is in the spool for good before it is moved,
        marked or deleted. Raises `MailboxFailed`."""

    async def wait(self, within_s: float) -> None:
        """Return when there may be something new, at the latest after so long. Raises `MailboxFailed`."""


class Mailbox(Protocol):
    """Where sessions come from."""

    def open(self) -> AbstractAsyncContextManager[MailboxSession]:
        """Log in, for as long as the block lasts. Raises `MailboxFailed`."""
