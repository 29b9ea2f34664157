"""What the process that takes mails is told by the engine, which needs nothing else of it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

PEER_MAILS_MAX: Final = 60
"""Of one IP address in a minute, unless the configuration says otherwise."""


class ReceiverSettings(Struct, frozen=True):
    """What the process works by."""

    host: str
    port: int
    domain: str
    secret: bytes
    """Of `engine.mail.address`."""
    spool: str
    """Folder."""
    certificate: str | None = None
    """PEM file with key or chain; None offers no STARTTLS."""
    key: str | None = None
    peer_mails_max: int = PEER_MAILS_MAX
    activation: str | None = None
    """The address for requests to activate listeners; None takes none."""
