"""Dialogs: RFC 3261 §12, from the side that sent the INVITE."""

from __future__ import annotations

from msgspec import Struct

from adapters.sip.call.reach import Reach
from adapters.sip.wire.fields import SipParseError, read_address
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request, Response
from adapters.sip.wire.uri import is_loose, next_hop


class Dialog(Struct, eq=False, gc=False):
    """One dialog: what a request inside it is addressed with, and the numbers both sides count."""

    remote_tag: bytes
    """Empty where a peer of RFC 2543 gave none."""
    remote: bytes
    """The callee's name-addr with its tag, as it came, for our To."""
    target: bytes
    """The remote target: the URI of the callee's last Contact."""
    routes: tuple[bytes, ...]
    """The route set, nearest proxy first, each value as it came."""
    local_cseq: int
    """The number of our last request in it."""
    remote_cseq: int | None = None
    """The number of the callee's last request, None before the first."""

    def next_cseq(self) -> int:
        """Count one request of ours."""
        self.local_cseq += 1
        return self.local_cseq


def establish(response: Response, request_uri: bytes, cseq: int) -> Dialog:
    """The dialog that a response to our INVITE makes (§12.1.2).

    A Contact or Record-Route that cannot be read is passed over, and the Request-URI stands in for
    the target: the callee did answer, and a call that cannot be acknowledged cannot be ended either.
    """
    return Dialog(
        remote_tag=response.to_tag or b"",
        remote=response.fields[b"to"][0],
        target=_contact(response) or request_uri,
        routes=_recorded_routes(response),
        local_cseq=cseq,
    )


def confirm(dialog: Dialog, response: Response) -> None:
    """Make an early dialog one that is up, by the 2xx that confirms it: the route set is taken anew,
    and what both sides have counted so far stands (§13.2.2.4)."""
    dialog.routes = _recorded_routes(response)
    refresh(dialog, response)


def refresh(dialog: Dialog, message: Request | Response) -> None:
    """Take the new target that a re-INVITE or UPDATE of the callee's names, or its 2xx to one of ours
    (§12.2.1.2, §12.2.2)."""
    dialog.target = _contact(message) or dialog.target


def _recorded_routes(response: Response) -> tuple[bytes, ...]:
    if b"record-route" not in response.fields:
        return ()
    try:
        routes = tuple(reversed(response.listed(b"record-route")))
        for route in routes:
            read_address(route)
    except SipParseError:
        return ()
    return routes


def _contact(message: Request | Response) -> bytes | None:
    try:
        uri = message.contact
    except SipParseError:
        return None
    return uri if uri is not None and uri != b"*" else None


def addressing(dialog: Dialog) -> tuple[bytes, tuple[bytes, ...]]:
    """The Request-URI and the Route values of a request in the dialog (§12.2.1.1)."""
    routes = dialog.routes
    if not routes:
        return dialog.target, ()
    first = read_address(routes[0])
    if is_loose(first):
        return dialog.target, routes
    # A strict router expects itself in the Request-URI, and the target at the end of the route.
    return first, (*routes[1:], b"<%b>" % dialog.target)


def destination(dialog: Dialog, before: Hop, reach: Reach) -> Hop:
    """Where a request in the dialog is sent. Only IP addresses can be followed here; for a host name,
    and for an address that nobody may send us to, where the INVITE went `before` is as good as it
    gets."""
    routes = dialog.routes
    uri = read_address(routes[0]) if routes else dialog.target
    hop = next_hop(uri, before)
    return before if hop is None or not reach.allows(hop, before) else hop
