"""One request of ours and its response: a client transaction, and what more must be known of it."""

from __future__ import annotations

from msgspec import Struct

from adapters.sip.call.authentication import Tries
from adapters.sip.call.dialog import Dialog
from adapters.sip.call.transaction import Transaction
from adapters.sip.wire.hop import Hop

Sent = tuple[bytes, Hop]
"""A message, and where it went."""


class Exchange(Struct, eq=False, gc=False):
    """One request of ours that may still get a response."""

    transaction: Transaction
    dialog: Dialog | None
    """None for the INVITE that makes the dialogs, and for its CANCEL."""
    tries: Tries
    """Shared by the transactions of one request that is sent again with credentials."""
    lines: tuple[bytes, ...] = ()
    """What a request inside a dialog says beside its addressing, kept to be said again."""
    body: bytes = b""
    credentials: tuple[bytes, ...] = ()
    """The lines of an INVITE that its ACK repeats (RFC 3261 §22.1)."""
    datagram_hop: Hop | None = None
    """Where it would have gone by UDP, had it been smaller; None where nothing but its size decided."""
    ack: Sent | None = None
    """What acknowledged the 2xx of a re-INVITE."""

    @property
    def method(self) -> bytes:
        return self.transaction.method

    @property
    def is_reinvite(self) -> bool:
        return self.dialog is not None and self.transaction.method == b"INVITE"
