"""The typed values inside SIP header fields: Via, name-addr, CSeq, parameters, lists.

Each function takes the raw bytes of one field value and reads them in linear time: quoted strings
are matched with possessive patterns, and whatever does not close raises at once instead of being
tried again from its next character.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

LIST_ITEMS_MAX = 64
"""Most values of one comma-separated list, and most parameters of one value."""
MARKS_MAX = 4 * LIST_ITEMS_MAX
"""Most quotes and angle brackets of one field: each costs a search, and a head has room for
thousands."""
DIGITS_MAX = 20
"""Most digits of a number, zeros in front of it counted."""

INTERVAL_MAX = 2**31 - 1
"""Longest session interval that is read, seconds."""
RETRY_AFTER_MAX = 2**32 - 1
"""What any longer Retry-After is read as, seconds: the largest `delta-seconds` (RFC 3261 §20.19)."""

# A single byte is looked for as the number that it is. Asked for `b","` in place of it, CPython first takes
# that for a number as well, and raises and catches an exception for it: a microsecond each time.
_QUOTE = ord('"')
_COMMA = ord(",")
_BRACKET = ord("<")
_SPACE = ord(" ")
_TAB = ord("\t")

_QUOTED = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STOPS = {b",": re.compile(rb'[",<]'), b";": re.compile(rb'[";<]')}
_TOKEN = re.compile(rb"[A-Za-z0-9.!%*_+`'~-]+")
_SENT_PROTOCOL = re.compile(
    rb"SIP[ \t]*/[ \t]*[0-9]++\.[0-9]++[ \t]*/[ \t]*([A-Za-z0-9.!%*_+`'~-]++)[ \t]++", re.IGNORECASE
)
_SENT_BY = re.compile(
    rb"(\[[0-9A-Fa-f:.]++\]|[^\s:;,\[\]]++)[ \t]*+(?::[ \t]*+([0-9]{1,5}))?[ \t]*+\Z"
)
_COMMON_METHODS = frozenset((b"INVITE", b"ACK", b"CANCEL", b"BYE", b"PRACK", b"UPDATE"))
_DIGITS_BELOW_2_31 = 10
"""A number of fewer digits cannot be too large."""
_ODD_IN_URI = re.compile(rb"[\s<]")
_RETRY_AFTER = re.compile(rb"0*+([0-9]*+)")

Params = dict[bytes, bytes | None]
"""Parameters by their name in lower case; None is a parameter without `=`. A quoted value keeps
its quotes."""


class SipParseError(Exception):
    """The bytes that came are not the SIP they should be. `reason` says why, for logs and counters;
    the fault is the sender's."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Via(Struct, frozen=True, gc=False):
    """One hop of a Via field (RFC 3261 §20.42)."""

    transport: bytes
    """Upper case: `UDP`, `TCP`, `TLS` …"""
    host: bytes
    """As written; an IPv6 address keeps its brackets."""
    port: int | None
    params: Params

    @property
    def branch(self) -> bytes | None:
        """The transaction's id, None where there is none (RFC 2543)."""
        return self.params.get(b"branch")


class NameAddr(Struct, frozen=True, gc=False):
    """The value of From, To, Contact, Route … (RFC 3261 §20.10)."""

    display: bytes
    """As written, without the quotes around it; empty where there is none."""
    uri: bytes
    """As written; `*` in a Contact that unregisters."""
    params: Params
    """Parameters of the header field, not those of the URI."""


class CSeq(Struct, frozen=True, gc=False):
    """RFC 3261 §20.16."""

    number: int
    method: bytes


class SessionExpires(Struct, frozen=True, gc=False):
    """RFC 4028 §4."""

    interval_s: int
    refresher: Literal["uac", "uas"] | None
    """Which end of the transaction that it stands in is to refresh; None where it does not say."""


def is_token(value: bytes) -> bool:
    """Whether the value is a `token` of RFC 3261 §25.1."""
    return _TOKEN.fullmatch(value) is not None


def read_number(value: bytes, largest: int) -> int:
    """A decimal number from 0 to `largest`. Raises `SipParseError`."""
    if not value.isdigit() or len(value) > DIGITS_MAX:
        raise SipParseError("not a number")
    number = int(value)
    if number > largest:
        raise SipParseError("number out of range")
    return number


def _end_of_quoted(raw: bytes, start: int) -> int:
    """The place behind the quoted string whose opening quote stands before `start`."""
    match = _QUOTED.match(raw, start)
    if match is None:
        raise SipParseError("unbalanced quotes")
    return match.end()


def split_outside(raw: bytes, separator: bytes) -> list[bytes]:
    """Split at `separator` (`,` or `;`) outside of quotes and angle brackets; the parts are stripped.

    Raises `SipParseError` for unbalanced quotes or brackets, more than `LIST_ITEMS_MAX` parts, or
    more than `MARKS_MAX` quotes and brackets.
    """
    if raw.count(separator) >= LIST_ITEMS_MAX:
        # Separators inside quotes count here too: 64 of those is nobody's field either.
        raise SipParseError("too many values in one field")
    if _QUOTE not in raw and _BRACKET not in raw:
        return [part.strip(b" \t") for part in raw.split(separator)]
    if raw.count(b'"') + raw.count(b"<") > MARKS_MAX:
        raise SipParseError("too many quotes and brackets in one field")
    find_stop = _STOPS[separator].search
    parts: list[bytes] = []
    begin = at = 0
    while (stop := find_stop(raw, at)) is not None:
        at = stop.end()
        match stop.group():
            case b'"':
                at = _end_of_quoted(raw, at)
            case b"<":
                at = raw.find(b">", at) + 1
                if at == 0:
                    raise SipParseError("unbalanced angle brackets")
            case _:
                parts.append(raw[begin : stop.start()].strip(b" \t"))
                begin = at
    parts.append(raw[begin:].strip(b" \t"))
    return parts


def read_list(raw: bytes) -> list[bytes]:
    """The values of a comma-separated field; empty ones are left out. Raises `SipParseError`."""
    if _COMMA not in raw:
        return [raw] if raw else []
    return [part for part in split_outside(raw, b",") if part]


def read_params(raw: bytes) -> Params:
    """Parameters from `;a=b;c`, with or without white space around the marks.

    Raises `SipParseError` for an empty or repeated name.
    """
    params: Params = {}
    for part in split_outside(raw, b";"):
        if not part:
            continue
        name, equals, value = part.partition(b"=")
        name = name.rstrip(b" \t").lower()
        if not is_token(name) or name in params:
            raise SipParseError("bad parameter")
        params[name] = value.lstrip(b" \t") if equals else None
    return params


def unquote(value: bytes) -> bytes:
    """A quoted string without its quotes and backslashes; anything else as it is."""
    if len(value) >= 2 and value.startswith(b'"') and value.endswith(b'"'):
        return re.sub(rb"\\(.)", rb"\1", value[1:-1], flags=re.DOTALL)
    return value


def read_name_addr(raw: bytes) -> NameAddr:
    """The value of From, To, Contact, Route or Record-Route, one of a list at most.

    Raises `SipParseError`.
    """
    display = b""
    rest = raw
    if raw.startswith(b'"'):
        end = _end_of_quoted(raw, 1)
        display, rest = raw[1 : end - 1], raw[end:].lstrip(b" \t")
        if not rest.startswith(b"<"):
            raise SipParseError("no address behind the display name")
    open_at = rest.find(b"<")
    if open_at < 0:
        # Without brackets everything behind the first `;` belongs to the field (§20.10).
        uri, semicolon, tail = rest.partition(b";")
        uri = uri.rstrip(b" \t")
        if b"?" in uri or _COMMA in uri:
            raise SipParseError("address needs angle brackets")
        tail = semicolon + tail
    else:
        close_at = rest.find(b">", open_at)
        if close_at < 0:
            raise SipParseError("unbalanced angle brackets")
        display = display or rest[:open_at].strip(b" \t")
        uri, tail = rest[open_at + 1 : close_at], rest[close_at + 1 :].lstrip(b" \t")
        if _QUOTE in rest[:open_at] or (tail and not tail.startswith(b";")):
            raise SipParseError("something between address and parameters")
    if not uri or _SPACE in uri or _TAB in uri or _BRACKET in uri:
        raise SipParseError("bad address")
    return NameAddr(display, uri, read_params(tail))


def read_address(raw: bytes) -> bytes:
    """The URI of a name-addr, without looking at what stands around it where that is simple.

    Raises `SipParseError`.
    """
    if raw.startswith(b"<"):
        end = raw.find(b">")
        uri = raw[1:end]
        if (
            uri
            and end > 0
            and raw[end + 1 : end + 2] in (b"", b";")
            and not _ODD_IN_URI.search(uri)
        ):
            return uri
    return read_name_addr(raw).uri


def read_tag(raw: bytes) -> bytes | None:
    """The tag of a From or To value. Raises `SipParseError`."""
    if _QUOTE not in raw:
        # The form that nearly everybody sends: no quotes, so `;tag=` behind the address is it.
        tail = raw[raw.rfind(b">") + 1 :]
        at = tail.find(b";tag=")
        if at >= 0:
            end = tail.find(b";", at + 5)
            return (tail[at + 5 :] if end < 0 else tail[at + 5 : end]).rstrip(b" \t")
        if b"tag" not in tail.lower():
            return None
    return read_name_addr(raw).params.get(b"tag")


def read_via(raw: bytes) -> Via:
    """One value of a Via field. Raises `SipParseError`."""
    protocol = _SENT_PROTOCOL.match(raw)
    if protocol is None:
        raise SipParseError("bad Via")
    sent_by, semicolon, tail = raw[protocol.end() :].partition(b";")
    match = _SENT_BY.match(sent_by)
    if match is None:
        raise SipParseError("bad Via")
    port = match.group(2)
    return Via(
        transport=protocol.group(1).upper(),
        host=match.group(1),
        port=None if port is None else read_number(port, 65535),
        params=read_params(semicolon + tail),
    )


def read_branch(raw: bytes) -> bytes | None:
    """The branch of the first value in a raw Via field. Raises `SipParseError`."""
    if _QUOTE not in raw:
        at = raw.find(b";branch=")
        comma = raw.find(b",")
        if at >= 0 and (comma < 0 or at < comma):
            end = raw.find(b";", at + 8)
            branch = raw[at + 8 :] if end < 0 else raw[at + 8 : end]
            return branch.partition(b",")[0].rstrip(b" \t")
    first = read_list(raw)
    if not first:
        raise SipParseError("empty Via")
    return read_via(first[0]).branch


def read_cseq(raw: bytes) -> CSeq:
    """Raises `SipParseError` for anything but a number below 2³¹ and a method."""
    number, _, method = raw.partition(b" ")
    if method in _COMMON_METHODS and len(number) < _DIGITS_BELOW_2_31 and number.isdigit():
        # What nearly every message has.
        return CSeq(int(number), method)
    parts = raw.split()
    if len(parts) != 2 or not is_token(parts[1]):
        raise SipParseError("bad CSeq")
    return CSeq(read_number(parts[0], 2**31 - 1), parts[1])


def read_q850(values: list[bytes]) -> int | None:
    """The first Q.850 cause in a message's Reason fields (RFC 3326), None where there is none.

    `values` are their raw lines, each of which may list several. What cannot be read is passed over:
    nobody's call fails for its obituary.
    """
    for line in values:
        try:
            for value in read_list(line):
                cause = _cause(value)
                if cause is not None:
                    return cause
        except SipParseError:
            continue
    return None


def _cause(reason: bytes) -> int | None:
    protocol, semicolon, tail = reason.partition(b";")
    if protocol.strip(b" \t").upper() != b"Q.850":
        return None
    try:
        cause = read_params(semicolon + tail).get(b"cause")
        return None if cause is None else read_number(cause, 127)
    except SipParseError:
        return None


def read_session_expires(value: bytes) -> SessionExpires:
    """The value of a Session-Expires (RFC 4028 §4). Raises `SipParseError`."""
    interval, semicolon, tail = value.partition(b";")
    refresher = (read_params(semicolon + tail).get(b"refresher") or b"").lower()
    return SessionExpires(
        interval_s=read_number(interval.strip(b" \t"), INTERVAL_MAX),
        refresher="uac" if refresher == b"uac" else "uas" if refresher == b"uas" else None,
    )


def read_retry_after(value: bytes | None) -> float | None:
    """The seconds of a Retry-After such as `18000;duration=3600` or `120 (back soon)`, None where
    there is none that can be read (RFC 3261 §20.33). Whoever asks for more than `RETRY_AFTER_MAX` has
    asked for a long time, and gets that."""
    match = _RETRY_AFTER.match(value) if value is not None else None
    if match is None or not match.group():
        return None
    digits = match.group(1)
    # Of a number of thousands of digits nothing but its length is looked at.
    return float(min(int(digits[:DIGITS_MAX] or b"0"), RETRY_AFTER_MAX))
