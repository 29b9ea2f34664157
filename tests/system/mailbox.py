"""A mail server that takes letters and keeps them, as a smarthost would; in a process's thread of its own."""

from __future__ import annotations

import email
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from queue import Queue
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from msgspec import Struct


class Mailbox(Struct):
    """What came in."""

    port: int
    letters: Queue[EmailMessage]
    refusals: list[str]
    """Answers to the next letters, instead of taking them."""


class _Handler:
    def __init__(self, letters: Queue[EmailMessage], refusals: list[str]) -> None:
        self._letters = letters
        self._refusals = refusals

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd with a whole letter."""
        if self._refusals:
            return self._refusals.pop(0)
        content: Any = envelope.content
        message = email.message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self._letters.put(message)
        return "250 OK"


@contextmanager
def open_mailbox(port: int) -> Iterator[Mailbox]:
    """Take letters on this port of loopback."""
    letters: Queue[EmailMessage] = Queue()
    refusals: list[str] = []
    controller = Controller(_Handler(letters, refusals), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield Mailbox(port, letters, refusals)
    finally:
        controller.stop()
