"""The header lines that say who is calling: From, P-Asserted-Identity, Privacy, Diversion, and more.

How it works. What a trunk says of us never changes, so `open_identity` checks it once and writes its
bytes; it raises `UnsafeHeader` for whatever may not stand on the wire. `present` then makes the lines
of one call. What a call itself brings cannot stop it: a value that may not go out is left out, and
`Presented.dropped` says so.

Nothing here lets a value end its line: control characters, CR and LF among them, are refused and never
escaped into something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from adapters.sip.wire.fields import SipParseError, is_token
from adapters.sip.wire.uri import escape_user, read_uri
from engine.ports.telephony import Presentation

HEADERS_MAX: Final = 16
"""Most extra header lines of a trunk, and as many again of a call."""
NAME_LENGTH_MAX: Final = 64
"""Longest name of an extra header."""
VALUE_BYTES_MAX: Final = 2048
"""Longest value of an extra header: an Identity with a long certificate URL takes a third of it."""
HEADERS_BYTES_MAX: Final = 4096
"""All extra lines of a trunk together, and as many bytes again of a call."""
DISPLAY_NAME_BYTES_MAX: Final = 256
"""Longest display name, escapes counted; carriers show 15 characters of it at most."""
URI_BYTES_MAX: Final = 256
"""Longest URI that is configured."""
CERTIFICATE_URL_LENGTH_MAX: Final = 512
"""Longest URL of a certificate: it goes out twice in each INVITE."""

MADE_HERE: Final = frozenset({"diversion", "p-asserted-identity", "privacy"})
"""Headers that the settings beside them write; a second one would contradict the first."""
MADE_FOR_A_CALL: Final = frozenset({"date", "identity"})
"""Headers that a trunk cannot have once for all: they belong to one call and its moment."""
FORBIDDEN: Final = MADE_HERE | {
    "accept-encoding", "allow", "authentication-info", "authorization", "call-id", "contact",
    "content-disposition", "content-encoding", "content-language", "content-length", "content-type",
    "cseq", "event", "expires", "from", "join", "max-forwards", "mime-version", "min-expires",
    "min-se", "path", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
    "proxy-require", "rack", "record-route", "refer-to", "replaces", "require", "route", "rseq",
    "security-client", "security-server", "security-verify", "server", "session-expires",
    "supported", "target-dialog", "to", "unsupported", "user-agent", "via", "www-authenticate",
}  # fmt: skip
"""Names, in lower case, that no extra header may have: SIP itself needs them, or they are made here.
Names of one letter are refused as well, since each is the short form of another (RFC 3261 §7.3.3)."""

ANONYMOUS: Final = b'"Anonymous" <sip:anonymous@anonymous.invalid>'
"""The From of a caller who is not to be seen (RFC 3323 §4.1.1.3)."""
PRIVACY: Final = b"Privacy: id"
"""Tells the carrier to keep P-Asserted-Identity from the callee (RFC 3325 §9.3)."""

E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_URI: Final = re.compile(r"(?:sips?|tel):[A-Za-z0-9\-_.!~*'()&=+$,;:/@%\[\]]+", re.IGNORECASE)
_DOMAIN: Final = re.compile(rb"[A-Za-z0-9._:\[\]-]+")
_WEB_URL: Final = re.compile(r"https://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,=%]+")
_TO_BE_ESCAPED: Final = re.compile(r'["\\]')

NumberForm = Literal["sip", "tel", "both"]
"""How a number stands in P-Asserted-Identity: as a SIP URI of our domain, a tel URI, or in a line each
(RFC 3325 §9.1 allows one of either kind)."""


class UnsafeHeader(ValueError):
    """Something that may not stand in a message of ours; `reason` is a sentence for a person. The fault
    is that of whoever configured it, or of the call that brought it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TrunkIdentity(Struct, frozen=True):
    """How our calls on one trunk present themselves, as configured."""

    display_name: str = ""
    """Of calls that bring none of their own; empty shows none."""
    asserted: str = "none"
    """Who P-Asserted-Identity says is calling (RFC 3325): `none`, `did` for the DID of the call, or one
    and the same number (E.164) or URI (sip, sips, tel) for all."""
    asserted_form: NumberForm = "sip"
    """For a number in `asserted`; a URI goes out as it is."""
    diversion: str | None = None
    """E.164 or a URI: what calls claim to have been diverted from that bring nothing of their own."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields of every INVITE, name and value."""


class IdentityLines(Struct, frozen=True, gc=False):
    """A trunk's identity with its constant bytes written."""

    display: bytes
    """The quoted display name with a space behind it, or nothing."""
    domain: bytes
    """Host, or `host:port`, of the URIs that stand for our numbers."""
    is_asserted: bool
    """Whether a call that hides nothing has P-Asserted-Identity too."""
    asserted: tuple[bytes, ...]
    """Those lines where they are the same for all calls."""
    asserted_form: NumberForm
    """How they are made where they are not."""
    diversion: bytes
    """The value's URI in brackets; empty for none."""
    extra: tuple[tuple[str, bytes], ...]
    """Lower-case name and whole line of each extra header."""
    constant: tuple[bytes, ...]
    """The lines behind P-Asserted-Identity of a call that brings nothing of its own."""


class Presented(Struct, frozen=True, gc=False):
    """One call's identity."""

    from_value: bytes
    """The value of From, without a tag."""
    lines: tuple[bytes, ...]
    """Whole header lines of the INVITE."""
    has_identity: bool = False
    """Whether an Identity header is among them, so that none is to be added (RFC 8224)."""
    dropped: tuple[str, ...] = ()
    """A sentence for each thing that the call brought and that could not go out: to be logged."""


def open_identity(identity: TrunkIdentity, domain: bytes) -> IdentityLines:
    """Check a trunk's identity and write its constant bytes. `domain` stands behind the `@` of our
    numbers. Raises `UnsafeHeader`."""
    if not _DOMAIN.fullmatch(domain):
        raise UnsafeHeader(
            f"The domain of our numbers is a host name or an address, not {domain!r}."
        )
    fixed: tuple[bytes, ...] = ()
    if identity.asserted not in ("none", "did"):
        fixed = _asserted_lines(identity.asserted, identity.asserted_form, domain)
    diversion = b""
    if identity.diversion is not None:
        diversion = _bracketed(identity.diversion, domain)
    extra = _extra_lines(identity.headers)
    constant = [_diversion_line(diversion, b"")] if diversion else []
    return IdentityLines(
        display=quote_display_name(identity.display_name),
        domain=domain,
        is_asserted=identity.asserted != "none",
        asserted=fixed,
        asserted_form=identity.asserted_form,
        diversion=diversion,
        extra=extra,
        constant=(*constant, *(line for _, line in extra)),
    )


def present(identity: IdentityLines, caller: str, presentation: Presentation) -> Presented:
    """The lines of one call. It never raises: what may not go out is left out and told.

    Args:
        identity: what `open_identity` made of the trunk.
        caller: the DID, E.164 with `+`.
        presentation: what the call says of itself; it goes before what the trunk says, and an extra
            header of the call takes the place of the trunk's of the same name.
    """
    dropped: list[str] = []
    lines: list[bytes] = []
    if presentation.withhold:
        from_value = ANONYMOUS
        lines.append(PRIVACY)
    else:
        display = identity.display
        if presentation.display_name:
            display = _display_of(presentation, display, dropped)
        from_value = b"%b<sip:%b@%b>" % (display, escape_user(caller), identity.domain)
    if identity.is_asserted or presentation.withhold:
        # Without it the carrier of a call that hides its number could not tell whose call it is.
        lines += identity.asserted or _number_lines(caller, identity.asserted_form, identity.domain)
    if not (presentation.withhold or presentation.diverted_from or presentation.headers):
        return Presented(from_value, (*lines, *identity.constant), dropped=tuple(dropped))
    diversion = _diversion_of(presentation, identity, dropped)
    if diversion:
        hidden = b";privacy=full" if presentation.withhold else b""
        lines.append(_diversion_line(diversion, hidden))
    brought = _brought_lines(presentation.headers, dropped)
    names = {name for name, _ in brought}
    lines += [line for name, line in identity.extra if name not in names]
    lines += [line for _, line in brought]
    return Presented(from_value, tuple(lines), "identity" in names, tuple(dropped))


def quote_display_name(name: str) -> bytes:
    """A display name as a quoted string with a space behind it, in UTF-8 (RFC 3261 §25.1); nothing for
    an empty one. Raises `UnsafeHeader`."""
    name = name.strip()
    if not name:
        return b""
    if _UNSAFE.search(name):
        raise UnsafeHeader("A display name has no line breaks and no control characters.")
    quoted = b'"%b" ' % _TO_BE_ESCAPED.sub(r"\\\g<0>", name).encode()
    if len(quoted) > DISPLAY_NAME_BYTES_MAX:
        raise UnsafeHeader(f"A display name is up to {DISPLAY_NAME_BYTES_MAX} bytes long.")
    return quoted


def header_line(name: str, value: str) -> bytes:
    """An extra header as a line. Raises `UnsafeHeader`, which never shows the value."""
    shown = repr(name[:NAME_LENGTH_MAX])
    if not name.isascii() or not is_token(name.encode()) or len(name) > NAME_LENGTH_MAX:
        raise UnsafeHeader(
            f"A header's name is up to {NAME_LENGTH_MAX} letters, digits and dashes, not {shown}."
        )
    if len(name) == 1:
        raise UnsafeHeader(f"The header {shown} is a short form: write its long name.")
    if name.lower() in MADE_HERE:
        raise UnsafeHeader(f"The header {shown} is made from settings of its own.")
    if name.lower() in FORBIDDEN:
        raise UnsafeHeader(f"The header {shown} belongs to SIP itself and cannot be set.")
    if _UNSAFE.search(value.replace("\t", " ")):
        raise UnsafeHeader(f"The header {shown} has a line break or a control character in it.")
    raw = value.strip(" \t").encode()
    if len(raw) > VALUE_BYTES_MAX:
        raise UnsafeHeader(f"The header {shown} is longer than {VALUE_BYTES_MAX} bytes.")
    return b"%b: %b" % (name.encode(), raw)


def check_certificate_url(url: str) -> str:
    """The URL, if verifiers can fetch a certificate by it and it can stand in an Identity header
    (RFC 8224 §4). Raises `UnsafeHeader`."""
    try:
        is_good = _WEB_URL.fullmatch(url) and urlsplit(url).hostname and urlsplit(url).port != 0
    except ValueError:
        is_good = False
    if not is_good or len(url) > CERTIFICATE_URL_LENGTH_MAX:
        raise UnsafeHeader(
            "The certificate's URL is as https://cert.example.com/shaken.pem, up to"
            f" {CERTIFICATE_URL_LENGTH_MAX} characters, not {url[:60]!r}."
        )
    return url


def _extra_lines(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, bytes], ...]:
    """A trunk's extra headers: name in lower case, and line. Raises `UnsafeHeader`."""
    extra = []
    room = HEADERS_BYTES_MAX
    for name, value in headers:
        if name.lower() in MADE_FOR_A_CALL:
            raise UnsafeHeader(f"The header {name!r} belongs to one call, not to a trunk.")
        line = header_line(name, value)
        room -= len(line)
        extra.append((name.lower(), line))
        if len(extra) > HEADERS_MAX or room < 0:
            raise UnsafeHeader(
                f"At most {HEADERS_MAX} headers of {HEADERS_BYTES_MAX} bytes together are added."
            )
    return tuple(extra)


def _brought_lines(
    headers: tuple[tuple[str, str], ...], dropped: list[str]
) -> list[tuple[str, bytes]]:
    """A call's extra headers that may go out: name in lower case, and line."""
    brought: list[tuple[str, bytes]] = []
    room = HEADERS_BYTES_MAX
    # A Date says when an Identity was made (RFC 8224 §4.1); without one it is none of the call's.
    is_dated = any(name.lower() == "identity" for name, _ in headers)
    for name, value in headers[:HEADERS_MAX]:
        if name.lower() == "date" and not is_dated:
            dropped.append("The header 'Date' goes out beside an Identity only.")
            continue
        try:
            line = header_line(name, value)
        except UnsafeHeader as unsafe:
            dropped.append(unsafe.reason)
            continue
        if len(line) > room:
            dropped.append(f"The header {name!r} is beyond {HEADERS_BYTES_MAX} bytes of headers.")
            continue
        room -= len(line)
        brought.append((name.lower(), line))
    if len(headers) > HEADERS_MAX:
        dropped.append(f"{len(headers) - HEADERS_MAX} headers are beyond {HEADERS_MAX} of a call.")
    return brought


def _display_of(presentation: Presentation, otherwise: bytes, dropped: list[str]) -> bytes:
    """The call's display name, or the trunk's where that of the call may not go out."""
    try:
        return quote_display_name(presentation.display_name) or otherwise
    except UnsafeHeader as unsafe:
        dropped.append(unsafe.reason)
        return otherwise


def _diversion_of(presentation: Presentation, identity: IdentityLines, dropped: list[str]) -> bytes:
    """What the call claims to have been diverted from, or else what the trunk's calls do."""
    if not presentation.diverted_from:
        return identity.diversion
    try:
        return _bracketed(presentation.diverted_from, identity.domain)
    except UnsafeHeader as unsafe:
        dropped.append(unsafe.reason)
        return identity.diversion


def _diversion_line(diversion: bytes, privacy: bytes) -> bytes:
    """RFC 5806 §4."""
    return b"Diversion: %b;reason=unconditional%b" % (diversion, privacy)


def _asserted_lines(who: str, form: NumberForm, domain: bytes) -> tuple[bytes, ...]:
    """P-Asserted-Identity for a configured number or URI. Raises `UnsafeHeader`."""
    if E164.fullmatch(who):
        return _number_lines(who, form, domain)
    return (b"P-Asserted-Identity: " + _bracketed(who, domain),)


def _number_lines(number: str, form: NumberForm, domain: bytes) -> tuple[bytes, ...]:
    """P-Asserted-Identity for a number."""
    escaped = escape_user(number)
    if form == "sip":
        return (b"P-Asserted-Identity: <sip:%b@%b>" % (escaped, domain),)
    if form == "tel":
        return (b"P-Asserted-Identity: <tel:%b>" % escaped,)
    return (*_number_lines(number, "sip", domain), *_number_lines(number, "tel", domain))


def _bracketed(who: str, domain: bytes) -> bytes:
    """A number or URI in angle brackets. Raises `UnsafeHeader`."""
    if E164.fullmatch(who):
        return b"<sip:%b@%b>" % (who.encode(), domain)
    try:
        if len(who) > URI_BYTES_MAX or not _URI.fullmatch(who):
            raise SipParseError("bad URI")
        read_uri(who.encode())
    except SipParseError:
        raise UnsafeHeader(
            "Who is named here is a number as +14155550100 or a URI as sip:sales@example.com,"
            f" not {who[:60]!r}."
        ) from None
    return b"<%b>" % who.encode()
