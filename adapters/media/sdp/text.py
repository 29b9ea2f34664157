"""The lines of a session description, read into its parts (RFC 8866)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct, field

from adapters.media.codecs.codec import CODECS, CodecName
from adapters.media.sdp.crypto import CryptoLine, read_crypto

SDP_BYTES_MAX: Final = 16_384
"""A longer body is refused unread."""
SDP_LINES_MAX: Final = 512
"""A body of more lines is refused."""
SDP_MEDIA_MAX: Final = 16
"""A body of more `m=` lines is refused."""
CRYPTO_LINES_MAX: Final = 16
"""Of one medium; further ones are not read."""
ADDRESS_LENGTH_MAX: Final = 64
"""No IP address in text is longer."""
ADDRESSES_REMEMBERED: Final = 1024

PTIME_DEFAULT_MS: Final = 20
PTIME_MIN_MS: Final = 10
PTIME_MAX_MS: Final = 60

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_DIRECTIONS: Final[Mapping[bytes, Direction]] = MappingProxyType(
    {
        b"sendrecv": "sendrecv",
        b"sendonly": "sendonly",
        b"recvonly": "recvonly",
        b"inactive": "inactive",
    }
)
_VISIBLE: Final = bytes(range(0x21, 0x7F))


class SdpError(Exception):
    """A body that gives no audio we can use, with the reason in one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Format(Struct, frozen=True):
    """What a payload type means."""

    codec: CodecName | None = None
    event_clock_hz: int | None = None
    """Of telephone-event. A format that is neither is something that we do not have."""


class Section(Struct):
    """The session part, or one media part, of a description: only the lines that matter here."""

    media: bytes = b""
    port: int = 0
    protocol: bytes = b""
    formats: list[bytes] = field(default_factory=list)
    connection: bytes | None = None
    direction: Direction | None = None
    ptime_ms: int | None = None
    maxptime_ms: int | None = None
    rtcp_port: int | None = None
    is_muxed: bool = False
    rtpmaps: dict[int, Format] = field(default_factory=dict)
    parameters: dict[int, bytes] = field(default_factory=dict)
    """What fmtp says, in lower case, by payload type."""
    crypto: list[CryptoLine] = field(default_factory=list)
    """Those that can be used, in order."""
    crypto_lines: int = 0
    """How many there were."""


@lru_cache(maxsize=ADDRESSES_REMEMBERED)
def read_ip(text: str) -> IPv4Address | IPv6Address:
    """The same few addresses, ours and the carriers', come with every call. Raises `ValueError`."""
    return ip_address(text)


def read_sections(body: bytes) -> tuple[Section, list[Section]]:
    """The session part and the media parts, in order. Lines that mean nothing here are passed over.

    Raises `SdpError`.
    """
    if len(body) > SDP_BYTES_MAX:
        raise SdpError(f"the description is longer than {SDP_BYTES_MAX} bytes")
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if len(lines) > SDP_LINES_MAX:
        raise SdpError(f"the description has more than {SDP_LINES_MAX} lines")
    session = Section()
    media: list[Section] = []
    section = session
    for line in lines:
        kind, equals, value = line.strip().partition(b"=")
        if not equals:
            continue
        if kind == b"m":
            section = _read_media_line(value)
            media.append(section)
            if len(media) > SDP_MEDIA_MAX:
                raise SdpError(f"the description has more than {SDP_MEDIA_MAX} media")
        elif kind == b"c":
            section.connection = section.connection or value
        elif kind == b"a":
            _read_attribute(section, value)
    if not media:
        raise SdpError("the description has no media")
    return session, media


def read_address(connection: bytes | None) -> str:
    """The address of `IN IP4 192.0.2.1/127`, unicast or unspecified, an IPv4 one never wrapped in IPv6.

    Raises `SdpError`.
    """
    fields = (connection or b"").split()
    if len(fields) < 3:
        raise SdpError("the description has no address for its audio")
    text = fields[2].partition(b"/")[0]
    address: IPv4Address | IPv6Address
    try:
        if len(text) > ADDRESS_LENGTH_MAX or b"%" in text:
            raise ValueError(text)
        address = read_ip(text.decode("ascii"))
    except ValueError:
        raise SdpError("the address of the audio is not an IP address") from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or address == IPv4Address("255.255.255.255"):
        raise SdpError("the address of the audio is not a unicast address")
    return str(address)


def read_number(word: bytes, most: int) -> int | None:
    """A decimal number from 0 to `most`, or None. `bytes.isdigit` takes ASCII digits alone."""
    if not word.isdigit() or len(word) > 9:
        return None
    number = int(word)
    return number if number <= most else None


def _read_media_line(value: bytes) -> Section:
    fields = value.split()
    # An answer repeats these words, so that nothing but visible ASCII may be in them.
    if len(fields) < 3 or b"".join(fields).translate(None, _VISIBLE):
        raise SdpError("a media line cannot be read")
    port = read_number(fields[1].partition(b"/")[0], 65_535)
    if port is None:
        raise SdpError("a media line has no port")
    return Section(media=fields[0], port=port, protocol=fields[2], formats=fields[3:])


def _read_attribute(section: Section, value: bytes) -> None:
    name, _, rest = value.partition(b":")
    name = name.strip().lower()
    if name in _DIRECTIONS:
        section.direction = _DIRECTIONS[name]
    elif name == b"rtpmap" or name == b"fmtp":
        text, _, what = rest.strip().partition(b" ")
        number = read_number(text, 127)
        if number is not None and name == b"rtpmap":
            section.rtpmaps[number] = _read_rtpmap(what)
        elif number is not None:
            section.parameters[number] = what.lower()
    elif name == b"ptime":
        # Some send "20.0", and some say nothing sensible: the default then stands.
        ptime_ms = read_number(rest.strip().partition(b".")[0], PTIME_MAX_MS)
        if ptime_ms is not None and ptime_ms >= PTIME_MIN_MS:
            section.ptime_ms = ptime_ms
    elif name == b"maxptime":
        section.maxptime_ms = read_number(rest.strip().partition(b".")[0], 10_000)
    elif name == b"rtcp":
        # A second address behind the port (RFC 3605) is not gone to: RTCP follows the sound.
        section.rtcp_port = read_number((rest.split() or [b""])[0], 65_535) or None
    elif name == b"rtcp-mux":
        section.is_muxed = True
    elif name == b"crypto":
        section.crypto_lines += 1
        if section.crypto_lines <= CRYPTO_LINES_MAX:
            line = read_crypto(rest)
            if line is not None:
                section.crypto.append(line)


_OTHER: Final = Format()
_FORMATS: Final[Mapping[tuple[bytes, bytes], Format]] = MappingProxyType(
    {
        **{
            (codec.name.upper().encode("ascii"), b"%d" % codec.clock_hz): Format(codec.name)
            for codec in CODECS.values()
        },
        (b"TELEPHONE-EVENT", b"8000"): Format(None, 8_000),
        (b"TELEPHONE-EVENT", b"48000"): Format(None, 48_000),
    }
)
"""By name in capitals and clock."""


def _read_rtpmap(mapping: bytes) -> Format:
    """What `PCMU/8000/1` names. A missing clock rate is taken for the only one it can be."""
    parts = [part.strip() for part in mapping.strip().upper().split(b"/", 3)]
    name, clock, channels, *_ = [*parts, b"", b""] if len(parts) < 3 else parts
    clock = clock or (b"48000" if name == b"OPUS" else b"8000")
    # Opus is always said to have two channels (RFC 7587 §7), and everything else of ours one.
    if channels not in (b"", b"2" if name == b"OPUS" else b"1"):
        return _OTHER
    return _FORMATS.get((name, clock), _OTHER)
