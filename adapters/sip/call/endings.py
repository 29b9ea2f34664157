"""How a call ends, and what its owner is told then: the table's endings, and what is noted before."""

from __future__ import annotations

from collections.abc import Callable

from adapters.sip.call.redirect import redirected_to
from adapters.sip.call.states import Action
from adapters.sip.trunk import Trunk
from adapters.sip.wire.fields import read_q850, read_retry_after
from adapters.sip.wire.message import Message, Response
from engine.ports.telephony import Ended, How

Lines = tuple[bytes, ...]

NOTES: dict[Action, tuple[How, Lines]] = {
    "note_no_media": ("no_media", ()),
    "note_lost": ("lost", ()),
    "note_expired": ("lost", (b"Reason: SIP;cause=408",)),
}
"""Why a call is ended that our BYE or CANCEL is about to end, and what the BYE says of it (RFC 3326).
What is not noted ends because its owner hung up, and that needs no words."""


def _refused(how: How, message: Message | None, trunk: Trunk) -> Ended:
    """A final response of 300 to 699 came. A 3xx ends the call like any other; the number that it names
    is told where the trunk may name one, and calling it is the business of whoever asks again whether
    it may be called."""
    assert isinstance(message, Response)
    return Ended(
        "rejected",
        sip_code=message.status,
        sip_reason=message.reason_text,
        q850=read_q850(message.raw(b"reason")),
        retry_after_s=read_retry_after(message.first(b"retry-after")),
        redirected_to=redirected_to(message) if trunk.follows_redirects else None,
    )


def _canceled(how: How, message: Message | None, trunk: Trunk) -> Ended:
    """It ended before any answer, as noted; the message is what the INVITE was answered with at last,
    if anything came."""
    if isinstance(message, Response):
        return Ended(how, message.status, message.reason_text)
    return Ended(how)


def _unreachable(how: How, message: Message | None, trunk: Trunk) -> Ended:
    return Ended("unreachable")


def _left_by_callee(how: How, message: Message | None, trunk: Trunk) -> Ended:
    assert message is not None
    return Ended("callee_hung_up", 200, "OK", read_q850(message.raw(b"reason")))


def _as_noted(how: How, message: Message | None, trunk: Trunk) -> Ended:
    return Ended(how, 200, "OK")


ENDINGS: dict[Action, Callable[[How, Message | None, Trunk], Ended]] = {
    "end_canceled": _canceled,
    "end_rejected": _refused,
    "end_unreachable": _unreachable,
    "end_by_callee": _left_by_callee,
    "end_as_noted": _as_noted,
}
"""What is told, made of what was noted, the message that ended the call, and its trunk."""
