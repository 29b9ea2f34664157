"""SIP messages: bytes in, bytes out (RFC 3261 §7).

How it works. `parse` cuts a datagram at its first blank line, the head at its line ends and each
line at its colon, and that is all: the values of a field stay the bytes that came, and are looked
into only when one of the views (`cseq`, `from_tag`, `contact` …) is asked for. A view is computed at
each access, so keep what you use twice. From, To, Via and Route are echoed as they came.

What goes out passes `compose`, whatever made it, and `compose` refuses every line with a CR, LF or
bare NUL in it: nothing that a caller, a callee or a list of contacts can name ends a line of ours.

Everything is bounded by the constants below, and everything a sender can do wrong raises
`SipParseError`, here or in a view, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from msgspec import Struct

from adapters.sip.wire.fields import (
    LIST_ITEMS_MAX,
    CSeq,
    NameAddr,
    SipParseError,
    Via,
    is_token,
    read_address,
    read_branch,
    read_cseq,
    read_list,
    read_name_addr,
    read_number,
    read_tag,
    read_via,
)

__all__ = [
    "HEADERS_MAX",
    "HEAD_BYTES_MAX",
    "METHODS",
    "REASONS",
    "CSeq",
    "Message",
    "NameAddr",
    "Request",
    "Response",
    "SipParseError",
    "UnsafeValueError",
    "Via",
    "build_request",
    "build_response",
    "compose",
    "parse",
]

HEAD_BYTES_MAX = 8192
"""Longest start line and headers together."""
HEADERS_MAX = 64
"""Most header lines, folded continuations not counted."""
LINES_MAX = 256
"""Most lines of a head, continuations counted."""
BODY_BYTES_MAX = 65535
"""Longest body that a Content-Length may announce."""

Fields = dict[bytes, list[bytes]]
"""The values of each header, one for each line it came on, by its long name in lower case."""

_NAMES = (
    b"Accept", b"Accept-Encoding", b"Accept-Language", b"Alert-Info", b"Allow", b"Allow-Events",
    b"Authentication-Info", b"Authorization", b"Call-ID", b"Call-Info", b"Contact",
    b"Content-Disposition", b"Content-Encoding", b"Content-Language", b"Content-Length",
    b"Content-Type", b"CSeq", b"Date", b"Diversion", b"Error-Info", b"Event", b"Expires", b"From",
    b"Identity", b"In-Reply-To", b"Max-Forwards", b"MIME-Version", b"Min-Expires", b"Min-SE",
    b"Organization", b"P-Asserted-Identity", b"Path", b"Priority", b"Privacy",
    b"Proxy-Authenticate", b"Proxy-Authorization", b"Proxy-Require", b"RAck", b"Reason",
    b"Record-Route", b"Refer-To", b"Referred-By", b"Replaces", b"Reply-To", b"Require",
    b"Retry-After", b"Route", b"RSeq", b"Server", b"Session-Expires", b"Subject",
    b"Subscription-State", b"Supported", b"Timestamp", b"To", b"Unsupported", b"User-Agent",
    b"Via", b"Warning", b"WWW-Authenticate",
)  # fmt: skip
_COMPACT = {
    b"a": b"accept-contact", b"b": b"referred-by", b"c": b"content-type", b"d": b"request-disposition",
    b"e": b"content-encoding", b"f": b"from", b"i": b"call-id", b"j": b"reject-contact",
    b"k": b"supported", b"l": b"content-length", b"m": b"contact", b"n": b"identity-info",
    b"o": b"event", b"r": b"refer-to", b"s": b"subject", b"t": b"to", b"u": b"allow-events",
    b"v": b"via", b"x": b"session-expires", b"y": b"identity",
}  # fmt: skip
_SPELLINGS = {
    **{
        spelling: name.lower() for name in _NAMES for spelling in (name, name.lower(), name.upper())
    },
    **{spelling: name for short, name in _COMPACT.items() for spelling in (short, short.upper())},
}
_ONCE = frozenset(
    (b"call-id", b"content-length", b"content-type", b"cseq", b"from", b"max-forwards", b"to")
)
METHODS = frozenset(
    (b"INVITE", b"ACK", b"CANCEL", b"BYE", b"OPTIONS", b"INFO", b"UPDATE", b"PRACK", b"REGISTER",
     b"SUBSCRIBE", b"NOTIFY", b"PUBLISH", b"MESSAGE", b"REFER")
)  # fmt: skip
"""The methods that some RFC defines; whether we take them is another matter."""
_RESPONSE_FIELDS = (b"Via", b"From", b"To", b"Call-ID", b"CSeq")
_NUL = 0
"""As a number, which is found sooner than `b"\\0"`; see `fields`."""
_MANDATORY = frozenset(name.lower() for name in _RESPONSE_FIELDS)

REASONS = {
    100: b"Trying", 180: b"Ringing", 183: b"Session Progress", 200: b"OK", 202: b"Accepted",
    301: b"Moved Permanently", 302: b"Moved Temporarily", 400: b"Bad Request", 401: b"Unauthorized",
    403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed", 406: b"Not Acceptable",
    407: b"Proxy Authentication Required", 408: b"Request Timeout", 410: b"Gone",
    415: b"Unsupported Media Type", 416: b"Unsupported URI Scheme", 420: b"Bad Extension",
    422: b"Session Interval Too Small",
    429: b"Too Many Requests", 480: b"Temporarily Unavailable",
    481: b"Call/Transaction Does Not Exist", 482: b"Loop Detected", 484: b"Address Incomplete",
    486: b"Busy Here", 487: b"Request Terminated", 488: b"Not Acceptable Here",
    491: b"Request Pending", 500: b"Server Internal Error", 501: b"Not Implemented",
    503: b"Service Unavailable", 505: b"Version Not Supported", 600: b"Busy Everywhere",
    603: b"Decline", 604: b"Does Not Exist Anywhere", 607: b"Unwanted", 608: b"Rejected",
}  # fmt: skip
"""Reason phrases of the status codes that are sent here or by the simulated carrier."""


class UnsafeValueError(ValueError):
    """A message of ours would have carried a CR, LF or NUL inside a line, or a bad header name. The
    fault is ours, or that of an input which should have been refused long before."""


class Message(Struct):
    """What requests and responses share. Every view may raise `SipParseError`."""

    fields: Fields
    """Via, From, To, Call-ID and CSeq are always there."""
    body: bytes
    """As long as Content-Length says; without one, the rest of the datagram (RFC 3261 §18.3)."""

    def first(self, name: bytes) -> bytes | None:
        """The raw value of a header's first line, by its long name in lower case."""
        values = self.fields.get(name)
        return None if values is None else values[0]

    def raw(self, name: bytes) -> list[bytes]:
        """The raw values of a header, one for each line."""
        return self.fields.get(name, [])

    def listed(self, name: bytes) -> list[bytes]:
        """The values of a header, with comma-separated ones taken apart, in their order."""
        values = [item for line in self.fields.get(name, ()) for item in read_list(line)]
        if len(values) > LIST_ITEMS_MAX:
            raise SipParseError("too many values in one field")
        return values

    @property
    def call_id(self) -> bytes:
        """The Call-ID as it came."""
        return self.fields[b"call-id"][0]

    @property
    def branch(self) -> bytes | None:
        """The branch of the top Via."""
        return read_branch(self.fields[b"via"][0])

    @property
    def from_tag(self) -> bytes | None:
        return read_tag(self.fields[b"from"][0])

    @property
    def to_tag(self) -> bytes | None:
        return read_tag(self.fields[b"to"][0])

    @property
    def from_addr(self) -> NameAddr:
        return read_name_addr(self.fields[b"from"][0])

    @property
    def to_addr(self) -> NameAddr:
        return read_name_addr(self.fields[b"to"][0])

    @property
    def cseq(self) -> CSeq:
        """A request's CSeq whose method is not the request's raises too (RFC 3261 §8.1.1.5)."""
        return read_cseq(self.fields[b"cseq"][0])

    @property
    def vias(self) -> list[Via]:
        """All of them, top first."""
        return [read_via(item) for item in self.listed(b"via")]

    @property
    def top_via(self) -> Via:
        """The hop that sent the request, or that the response is for."""
        items = read_list(self.fields[b"via"][0])
        if not items:
            raise SipParseError("empty Via")
        return read_via(items[0])

    @property
    def contact(self) -> bytes | None:
        """The URI of the first Contact."""
        items = self.listed(b"contact")
        return read_address(items[0]) if items else None

    @property
    def content_type(self) -> bytes:
        """The media type in lower case without its parameters; empty where none is said."""
        value = self.first(b"content-type") or b""
        return value.partition(b";")[0].strip(b" \t").lower()


class Request(Message):
    """A request."""

    method: bytes
    """As written: methods are case-sensitive."""
    uri: bytes
    """The Request-URI as written."""

    @property
    def cseq(self) -> CSeq:
        cseq = read_cseq(self.fields[b"cseq"][0])
        if cseq.method != self.method:
            raise SipParseError("CSeq is of another method")
        return cseq


class Response(Message):
    """A response."""

    status: int
    """100 to 699."""
    reason: bytes
    """The reason phrase as it came, often UTF-8 and sometimes not; may be empty."""

    @property
    def reason_text(self) -> str:
        """The reason phrase for reading."""
        return self.reason.decode("utf-8", "replace")


def parse(data: bytes) -> Request | Response:
    """Read one datagram. Raises `SipParseError`, and nothing else."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not head or head.startswith(b"\r\n"):
        # Line ends before a message are to be passed over (RFC 3261 §7.5).
        head, blank, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not blank:
        raise SipParseError("no blank line behind the headers")
    message = parse_head(head)
    fields = message.fields
    if b"content-length" in fields:
        length = read_number(fields[b"content-length"][0], BODY_BYTES_MAX)
        if length > len(body):
            raise SipParseError("body shorter than its Content-Length")
        body = body[:length]
    message.body = body
    return message


def parse_head(head: bytes) -> Request | Response:
    """Read a start line and headers, without the blank line; the body stays empty.

    Raises `SipParseError`.
    """
    if len(head) > HEAD_BYTES_MAX:
        raise SipParseError("head too long")
    lines = head.split(b"\r\n")
    breaks = len(lines) - 1
    if breaks >= LINES_MAX:
        raise SipParseError("too many lines")
    if head.count(b"\r") != breaks or head.count(b"\n") != breaks:
        raise SipParseError("CR or LF inside a line")
    if _has_bare_nul(head):
        raise SipParseError("NUL inside a line")
    fields = _read_fields(lines)
    if not fields.keys() >= _MANDATORY:
        raise SipParseError("a mandatory header is missing")
    start = lines[0]
    if start[:4].upper() == b"SIP/":
        return _response(start, fields)
    return _request(start, fields)


def _has_bare_nul(head: bytes) -> bool:
    # RFC 3261 §25.1 allows it behind a backslash in a quoted string, and nowhere else.
    return _NUL in head and head.count(b"\0") != head.count(b"\\\0")


def _read_fields(lines: list[bytes]) -> Fields:
    fields: Fields = {}
    spelling = _SPELLINGS.get
    last: list[bytes] = []
    continuations = 0
    for line in islice(lines, 1, None):
        name, colon, value = line.partition(b":")
        key = spelling(name)
        if key is None:
            if line[:1] in (b" ", b"\t"):
                # Folding costs nothing where nobody folds: no known name begins with a space.
                if not last:
                    raise SipParseError("continuation of nothing")
                last[-1] = (last[-1] + b" " + line.strip(b" \t")).strip(b" \t")
                continuations += 1
                continue
            key = _unusual_name(name)
        if not colon:
            raise SipParseError("header without a colon")
        if key in fields:
            if key in _ONCE:
                raise SipParseError("repeated header")
            last = fields[key]
            last.append(value.strip(b" \t"))
        else:
            fields[key] = last = [value.strip(b" \t")]
    if len(lines) - 1 - continuations > HEADERS_MAX:
        raise SipParseError("too many headers")
    return fields


def _unusual_name(name: bytes) -> bytes:
    """The key of a header that is spelled in its own way."""
    stripped = name.rstrip(b" \t")
    if not is_token(stripped):
        raise SipParseError("bad header name")
    lower = stripped.lower()
    return _COMPACT.get(lower, lower)


def _response(start: bytes, fields: Fields) -> Response:
    if start[:8].upper() != b"SIP/2.0 ":
        raise SipParseError("not SIP 2.0")
    code, _, reason = start[8:].partition(b" ")
    if len(code) != 3 or not code.isdigit() or not b"100" <= code <= b"699":
        raise SipParseError("bad status code")
    return Response(fields, b"", int(code), reason)


def _request(start: bytes, fields: Fields) -> Request:
    parts = start.split(b" ")
    if len(parts) != 3:
        raise SipParseError("bad request line")
    method, uri, version = parts
    if version != b"SIP/2.0" and version.upper() != b"SIP/2.0":
        raise SipParseError("not SIP 2.0")
    if method not in METHODS and not is_token(method):
        raise SipParseError("bad method")
    if not uri or uri[:1] == b"<" or b"\t" in uri:
        raise SipParseError("bad Request-URI")
    return Request(fields, b"", method, uri)


def compose(lines: Sequence[bytes], body: bytes = b"") -> bytes:
    """Put a start line and complete header lines together, with a Content-Length behind them.

    Raises `UnsafeValueError` when a line holds a CR, LF or bare NUL. The NUL behind a backslash that
    `parse` lets in goes out too: what came in From or To must be echoed as it came.
    """
    head = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count(b"\r") != breaks or head.count(b"\n") != breaks or _has_bare_nul(head):
        raise UnsafeValueError("CR, LF or NUL in a header line")
    return b"%b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def _header_lines(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    lines = []
    for name, value in headers:
        if not is_token(name):
            raise UnsafeValueError("bad header name")
        lines.append(b"%b: %b" % (name, value))
    return lines


def build_request(
    method: bytes, uri: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes = b""
) -> bytes:
    """A request; Content-Length is added. Raises `UnsafeValueError`."""
    if not is_token(method) or not uri or b" " in uri:
        raise UnsafeValueError("bad method or Request-URI")
    return compose([b"%b %b SIP/2.0" % (method, uri), *_header_lines(headers)], body)


def build_response(
    request: Request,
    status: int,
    *,
    reason: bytes | None = None,
    to_tag: bytes | None = None,
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes = b"",
) -> bytes:
    """The response to a request: Via, From, To, Call-ID and CSeq are echoed as they came, `to_tag`
    is added to a To that has no tag yet, Content-Length is added (RFC 3261 §8.2.6).

    Raises `UnsafeValueError`, and `SipParseError` when the request's To cannot be read.
    """
    phrase = REASONS.get(status, b"") if reason is None else reason
    lines = [b"SIP/2.0 %d %b" % (status, phrase)]
    for name in _RESPONSE_FIELDS:
        lines += [b"%b: %b" % (name, value) for value in request.fields[name.lower()]]
    if to_tag is not None and request.to_tag is None:
        at = next(i for i, line in enumerate(lines) if line.startswith(b"To: "))
        lines[at] += b";tag=" + to_tag
    lines += _header_lines(headers)
    return compose(lines, body)
