"""Reliable provisional responses, RFC 3262, from the side that sent the INVITE: which of them are
acknowledged, and with what. Pure functions; who keeps the numbers is `early`."""

from __future__ import annotations

from adapters.sip.wire.fields import SipParseError, read_number
from adapters.sip.wire.message import Response

EXTENSION = b"100rel"
"""The option tag."""
RSEQ_MAX = 2**32 - 1
"""Largest number of a provisional response (§7.1)."""


def is_next(rseq: int, last: int | None) -> bool:
    """Whether a reliable provisional response wants a PRACK (§4). Any other is to be discarded: it was
    acknowledged before, or came too early.

    `last` is the number of the one that was acknowledged last in its dialog, None before the first,
    which may have any.
    """
    return last is None or rseq == last + 1


def read_rseq(response: Response) -> int | None:
    """The number of a reliable provisional response; None where it is not reliable, or says so in a
    way that nobody could acknowledge."""
    if b"require" not in response.fields or response.status == 100:
        return None
    try:
        required = {tag.lower() for tag in response.listed(b"require")}
        if EXTENSION not in required:
            return None
        return read_number(response.first(b"rseq") or b"", RSEQ_MAX)
    except SipParseError:
        return None


def rack_line(rseq: int, invite_cseq: int) -> bytes:
    """What a PRACK says it acknowledges (§7.2)."""
    return b"RAck: %d %d INVITE" % (rseq, invite_cseq)
