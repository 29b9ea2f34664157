"""What a call's actions look like as bytes: responses to its INVITE, its SDP answer, its BYE.

Responses are put together from header lines that are kept, because a carrier sends four for each
call; `compose` still looks at every line. Whatever is answered is sent to where the request came
from, as RFC 3581 has it, whether the request asks for it or not: the simulator looks up no names.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from adapters.media.sdp import build_answer
from adapters.media.types import Remote
from adapters.sip.wire.fields import read_list, read_name_addr
from adapters.sip.wire.message import REASONS, Request, SipParseError, compose
from sim.profile import Answer

Address = tuple[str, int]
"""IP address in text, and port."""

Q850: Final[dict[int, int]] = {
    404: 1, 410: 22, 480: 19, 484: 28, 486: 17, 503: 34, 600: 17, 603: 21, 604: 1,
}  # fmt: skip
"""Q.850 cause for the Reason header (RFC 3326) of a refusal, as a gateway to the telephone network
adds it; other refusals carry none."""

NUMBER_CHARS_MAX: Final = 64
"""A longer user part is refused as an incomplete address."""
SDP_CACHE_MAX: Final = 256
"""Shapes of offers whose answer is remembered; the one used longest ago is forgotten first."""

_SDP_TYPE: Final = b"Content-Type: application/sdp"
ALLOW: Final = b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"


def echo(request: Request, source: Address) -> tuple[bytes, ...]:
    """The header lines that every response to the request repeats (RFC 3261 §8.2.6.2), with the
    request's true source in a top Via that asks for it (RFC 3581 §4)."""
    fields = request.fields
    vias = fields[b"via"]
    top = vias[0]
    if b";rport" in top:
        top = _mark_source(top, source)
    return (
        b"Via: " + top,
        *[b"Via: " + via for via in vias[1:]],
        b"From: " + fields[b"from"][0],
        b"To: " + fields[b"to"][0],
        b"Call-ID: " + fields[b"call-id"][0],
        b"CSeq: " + fields[b"cseq"][0],
    )


def _mark_source(via: bytes, source: Address) -> bytes:
    """A Via with rport and received filled in, where rport has no value yet."""
    first, comma, rest = via.partition(b",")
    host, port = source
    marked = b";rport=%d;received=%b" % (port, host.encode())
    return re.sub(rb";rport(?=[ \t;]|$)", marked, first, count=1) + comma + rest


def tagged(lines: tuple[bytes, ...], tag: bytes) -> tuple[bytes, ...]:
    """Echoed lines with our tag added to To, which has none yet."""
    return (*lines[:-3], lines[-3] + b";tag=" + tag, *lines[-2:])


def respond(status: int, lines: tuple[bytes, ...], *more: bytes, body: bytes = b"") -> bytes:
    """A response from echoed lines and further complete ones. Raises `UnsafeValueError`."""
    return compose((b"SIP/2.0 %d %b" % (status, REASONS.get(status, b"")), *lines, *more), body)


def refuse(status: int, lines: tuple[bytes, ...], retry_after_s: int | None = None) -> bytes:
    """A refusal of an INVITE, with a cause where it is one that has one, and with a Retry-After where it
    asks for a pause."""
    more = []
    if status in Q850:
        more.append(b"Reason: Q.850;cause=%d" % Q850[status])
    if retry_after_s is not None:
        more.append(b"Retry-After: %d" % retry_after_s)
    return respond(status, lines, *more)


def user_of(address: bytes) -> str:
    """The user part of a `sip:`, `sips:` or `tel:` URI, or of a From value that holds one, without
    its parameters; empty where there is none."""
    _, _, rest = address.rpartition(b"<")
    scheme, colon, rest = rest.partition(b":")
    if not colon:
        return ""
    user, at, _ = rest.partition(b"@")
    if not at and scheme.strip().lower() != b"tel":
        return ""
    user = user.partition(b";")[0].partition(b">")[0].partition(b":")[0]
    if b"%" in user:
        user = unquote_to_bytes(user)
    return user.decode("utf-8", "replace")


class Dialog(Struct, gc=False):
    """What is kept of an INVITE for the messages of its call."""

    lines: tuple[bytes, ...]
    """Echoed, with our tag; the last four are From, To, Call-ID and CSeq."""
    routes: tuple[bytes, ...]
    """Record-Route lines, complete."""
    target: bytes
    """The caller's Contact, where our own requests go (§12.1.1)."""
    contact: bytes
    """Our Contact line, complete."""
    sdp: bytes = b""
    """Our answer, or our offer where the caller made none."""

    @property
    def from_line(self) -> bytes:
        """The caller's From, complete."""
        return self.lines[-4]

    def progress(self, status: int) -> bytes:
        """A provisional response; 183 carries our SDP."""
        if status == 183:
            return self._with_sdp(status)
        return respond(status, self.lines, *self.routes, self.contact)

    def accept(self, answer: Answer) -> bytes:
        """The 200."""
        if answer == "empty":
            return respond(200, self.lines, *self.routes, self.contact)
        return self._with_sdp(200)

    def build_bye(self) -> bytes:
        """Our own BYE: From and To change sides (§12.2.1.1), and the routes keep their order (§12.1.1)."""
        from_line, to_line, call_id_line, _ = self.lines[-4:]
        _, _, tag = to_line.rpartition(b"=")
        via = b"Via: SIP/2.0/UDP %b;rport;branch=z9hG4bK-bye-%b" % (self._sent_by(), tag)
        return compose(
            (
                b"BYE %b SIP/2.0" % self.target,
                via,
                *[route.removeprefix(b"Record-") for route in self.routes],
                b"From:" + to_line.removeprefix(b"To:"),
                b"To:" + from_line.removeprefix(b"From:"),
                call_id_line,
                b"CSeq: 1 BYE",
                b"Max-Forwards: 70",
            )
        )

    def _sent_by(self) -> bytes:
        """Host and port of our own Contact line, `Contact: <sip:host:port>`."""
        return self.contact.partition(b"sip:")[2].removesuffix(b">")

    def _with_sdp(self, status: int) -> bytes:
        return respond(status, self.lines, *self.routes, self.contact, _SDP_TYPE, body=self.sdp)


def read_dialog(request: Request, source: Address, tag: bytes, contact: bytes) -> Dialog:
    """What to keep of an INVITE. Without a Contact that can be read its source is the target."""
    contacts = request.fields.get(b"contact")
    target = _only_uri(contacts[0]) if contacts else b""
    return Dialog(
        lines=tagged(echo(request, source), tag),
        routes=tuple([b"Record-Route: " + route for route in request.raw(b"record-route")]),
        target=target or b"sip:" + host_port(source),
        contact=contact,
    )


def _only_uri(contact: bytes) -> bytes:
    """The URI of a Contact; empty where it cannot be told."""
    if contact[:1] == b"<":
        uri, _, _ = contact[1:].partition(b">")
    else:
        try:
            uri = read_name_addr(read_list(contact)[0]).uri
        except (SipParseError, IndexError):
            return b""
    return b"" if b" " in uri or b"\t" in uri else uri


def host_port(address: Address) -> bytes:
    """As it stands in a URI or a Via."""
    host, port = address
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode()


class SdpAnswers:
    """Answers offers. A caller's offers differ in origin and port and in nothing else, so the rest
    of an offer is the key under which its answer is remembered: reading SDP costs more than all
    the rest of a call's signalling."""

    def __init__(self, address: str, port: int) -> None:
        """The address and port where all calls' RTP is taken in."""
        self._address = address
        self._port = port
        self._known: OrderedDict[tuple[bytes, bytes, bytes], tuple[bytes, Remote]] = OrderedDict()

    def answer(self, offer: bytes, session_id: int) -> tuple[bytes, Remote]:
        """Our SDP and where the caller wants its RTP. Raises `SdpError`."""
        head, mark, tail = offer.partition(b"m=audio ")
        word, _, rest = tail.partition(b" ")
        origin_at = head.find(b"\no=")
        # Another medium, or anything out of the ordinary, is read anew each time.
        ordinary = mark and origin_at >= 0 and b"m=" not in rest and word.isdigit()
        port = int(word) if ordinary and len(word) < 6 else 0
        if not 0 < port < 65_536:
            return build_answer(offer, self._address, self._port, session_id, 1)
        key = (head[:origin_at], head[head.find(b"\n", origin_at + 1) :], rest)
        known = self._known.get(key)
        if known is None:
            known = build_answer(offer, self._address, self._port, 0, 1)
            self._known[key] = known
            if len(self._known) > SDP_CACHE_MAX:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        sdp, remote = known
        remote = Remote(
            remote.host, port, remote.payload_type, remote.telephone_event, remote.ptime_ms
        )
        return sdp.replace(b"o=- 0 1 ", b"o=- %d 1 " % session_id, 1), remote
