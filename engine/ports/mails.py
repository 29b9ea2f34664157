"""Mails that came in and wait to be read."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class SpooledMail(Struct, frozen=True):
    """A mail as it came (RFC 5321)."""

    id: str
    """Sorts by when it came."""
    key: str
    """`engine.mail.identity.identify_mail` of it: two copies of a mail have one."""
    peer: str
    """IP address of who brought it."""
    mail_from: str
    """The return path; empty for mails that want no answer."""
    recipients: tuple[str, ...]
    received_at: float
    """Seconds since the epoch."""
    content: bytes
    """The message with its headers (RFC 5322)."""
    cut: str = ""
    """Why its headers are all that came of it; empty where it came whole."""


class MailSpool(Protocol):
    """Keeps mails from the moment at which their sender was told that they are safe."""

    async def list_mails(self, limit: int) -> list[str]:
        """Ids of mails, the oldest first. Raises OSError."""

    async def read_mail(self, mail: str) -> SpooledMail | None:
        """One of them; None where it is gone or damaged. Raises OSError."""

    async def remove_mail(self, mail: str) -> None:
        """Forget one, for good once this returns. Raises OSError."""

    async def set_aside(self, mail: str) -> None:
        """Put one that nobody can read where a person can look at it. Raises OSError."""
