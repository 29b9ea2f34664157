"""What the engine and the process that looks into a mailbox say to each other, as JSON, a line each."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.ports.mailboxes import Fetched

Tls = Literal["on", "starttls", "off"]
Taken = Literal["move", "flag", "delete"]


class MailboxSettings(Struct, frozen=True):
    """Which mailbox, and what becomes of its mails."""

    host: str
    port: int
    user: str
    spool: str
    """Folder."""
    domain: str
    """Of the addresses of flows."""
    secret: bytes
    """Of `engine.mail.address`."""
    password: str | None = None
    password_file: str | None = None
    """It is read each time somebody logs in."""
    tls: Tls = "on"
    tls_ca: str | None = None
    """PEM file of authorities that are trusted; None trusts those that the machine does."""
    folder: str = "INBOX"
    taken: Taken = "move"
    taken_folder: str = "Callwheel"
    """Where mails are moved to."""
    address: str | None = None
    """Of the mailbox, where flows' addresses are made of it with a `+`."""
    activation: str | None = None
    """The address of the domain for requests to activate a listener; None takes none."""


class Order(Struct, frozen=True):
    """What is to be done."""

    wait_s: float | None = None
    """Wait for something new, so long; None fetches."""


class Outcome(Struct, frozen=True):
    """What came of an order."""

    fetched: Fetched | None = None
    code: str = ""
    """What went wrong; empty where nothing did."""
    detail: str = ""
    said: str = ""
    """See `MailboxFailed`."""
