"""SDP offer and answer for one G.711 audio stream with telephone-event (RFC 8866, RFC 3264, RFC 4733).

It reads what the field sends, not only what the grammar allows: bare LF, a session-level or a
media-level `c=`, several `m=` lines, static payload types without their rtpmap, dynamic numbers for
PCMU. It is bounded in bytes and lines, linear in time, and raises `SdpError` alone.

What a callee on hold means here:

- `a=sendonly` or `a=inactive` with a usable address is accepted, and we go on sending. Nobody plays
  those packets, but they keep address translations and a carrier's media timers alive, and a prompt
  ends when it should. `build_answer` answers with the matching direction.
- The address 0.0.0.0 (RFC 3264 §8.4, the hold of RFC 2543) is not usable in an answer to our first
  offer: there is nowhere to send. Later, in an offer or an answer, it is accepted: the `Remote`
  carries 0.0.0.0, and a stream that is connected to it pauses until it is connected to an address
  again.

PCMU or PCMA under a dynamic number is recognised, but sent under its static number 0 or 8, which
RFC 3551 §6 defines for every session; a static number in the list is preferred for that reason.
A ptime other than 20 is reported and may be ignored: RFC 3551 §4.2 has receivers take 0 to 200 ms.

RTP and RTCP share a port (RFC 5761) where an offer asks us for it. Our own offers do not: the port for
RTCP is open anyway, so that nothing is won, and a carrier that echoes lines which it does not know would
agree to what it does not do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct, field, structs

from adapters.media.types import Remote

SDP_BYTES_MAX: Final = 16_384
"""A longer body is refused unread."""
SDP_LINES_MAX: Final = 512
"""A body of more lines is refused."""
SDP_MEDIA_MAX: Final = 16
"""A body of more `m=` lines is refused."""
ADDRESS_LENGTH_MAX: Final = 64
"""No IP address in text is longer."""

PCMU: Final = 0
PCMA: Final = 8
TELEPHONE_EVENT: Final = 101
"""The number that our own offers give telephone-event."""

PTIME_DEFAULT_MS: Final = 20
PTIME_MIN_MS: Final = 10
PTIME_MAX_MS: Final = 60

Encoding = Literal["pcmu", "pcma", "telephone-event", "other"]
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_ENCODINGS: Final[Mapping[bytes, Encoding]] = MappingProxyType(
    {b"PCMU": "pcmu", b"PCMA": "pcma", b"TELEPHONE-EVENT": "telephone-event"}
)
_NAMES: Final[Mapping[Encoding, str]] = MappingProxyType({"pcmu": "PCMU", "pcma": "PCMA"})
_STATIC: Final[Mapping[Encoding, int]] = MappingProxyType({"pcmu": PCMU, "pcma": PCMA})
_STATIC_NUMBERS: Final[Mapping[int, Encoding]] = MappingProxyType({PCMU: "pcmu", PCMA: "pcma"})
_OFFERED_NUMBERS: Final[Mapping[int, Encoding]] = MappingProxyType(
    {**_STATIC_NUMBERS, TELEPHONE_EVENT: "telephone-event"}
)
_DIRECTIONS: Final[Mapping[bytes, Direction]] = MappingProxyType(
    {
        b"sendrecv": "sendrecv",
        b"sendonly": "sendonly",
        b"recvonly": "recvonly",
        b"inactive": "inactive",
    }
)
_ANSWERED: Final[Mapping[Direction, Direction]] = MappingProxyType(
    {
        "sendrecv": "sendrecv",
        "sendonly": "recvonly",
        "recvonly": "sendonly",
        "inactive": "inactive",
    }
)
"""RFC 3264 §6.1: the direction of an answer, by the direction of its offer."""
_ANSWERED_ON_HOLD: Final[Mapping[Direction, Direction]] = MappingProxyType(
    {
        "sendrecv": "recvonly",
        "sendonly": "recvonly",
        "recvonly": "inactive",
        "inactive": "inactive",
    }
)
"""The same for an offer with the address 0.0.0.0: it wants nothing sent."""

_VISIBLE: Final = bytes(range(0x21, 0x7F))

ADDRESSES_REMEMBERED: Final = 1024


@lru_cache(maxsize=ADDRESSES_REMEMBERED)
def _read_ip(text: str) -> IPv4Address | IPv6Address:
    """The same few addresses, ours and the carriers', come with every call. Raises `ValueError`."""
    return ip_address(text)


class SdpError(Exception):
    """A body that gives no audio we can use, with the reason in one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Section(Struct):
    """The session part, or one media part, of a description: only the lines that matter here."""

    media: bytes = b""
    port: int = 0
    protocol: bytes = b""
    formats: list[bytes] = field(default_factory=list)
    connection: bytes | None = None
    direction: Direction | None = None
    ptime_ms: int | None = None
    rtcp_port: int | None = None
    is_muxed: bool = False
    rtpmaps: dict[int, Encoding] = field(default_factory=dict)


class _Audio(Struct):
    """The audio part that was chosen, and what it says once read."""

    position: int
    number: int
    """The payload type under which the description lists the codec; 96 to 127 if dynamic."""
    encoding: Encoding
    direction: Direction
    remote: Remote


def build_offer(address: str, port: int, session_id: int, session_version: int = 1) -> bytes:
    """An offer of PCMU, PCMA and telephone-event (0-16), 20 ms, both ways (RFC 3264 §5).

    Raises `ValueError` when `address` is not an IP address: that is a mistake of our own.
    """
    lines = [
        *_session_lines(address, session_id, session_version),
        f"m=audio {port} RTP/AVP {PCMU} {PCMA} {TELEPHONE_EVENT}",
        f"a=rtpmap:{PCMU} PCMU/8000",
        f"a=rtpmap:{PCMA} PCMA/8000",
        f"a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000",
        f"a=fmtp:{TELEPHONE_EVENT} 0-16",
        f"a=ptime:{PTIME_DEFAULT_MS}",
        "a=sendrecv",
    ]
    return _joined(lines)


def read_answer(body: bytes) -> Remote:
    """Where the answerer of our first offer wants its audio (RFC 3264 §7).

    Raises `SdpError` for anything that cannot be sent to, the hold address 0.0.0.0 included. The
    number 101 without an rtpmap means telephone-event, because our offer said so.
    """
    remote = read_later_answer(body)
    if _read_ip(remote.host).is_unspecified:
        raise SdpError("the answer puts the call on hold: its address is unspecified")
    return remote


def read_later_answer(body: bytes) -> Remote:
    """The same for a later offer of ours, when the audio runs already: the hold address 0.0.0.0 is an
    answer like any other then. Raises `SdpError`."""
    session, media = _read(body)
    remote = _choose_audio(session, media, _OFFERED_NUMBERS).remote
    # Our offers do not ask for it, so that an answer cannot agree to it (RFC 5761 §5.1.1).
    return structs.replace(remote, is_muxed=False) if remote.is_muxed else remote


def build_answer(
    offer: bytes, address: str, port: int, session_id: int, session_version: int
) -> tuple[bytes, Remote]:
    """Answer an offer with its first codec that we have; every other medium is refused (RFC 3264 §6).

    The remote's host is 0.0.0.0 or :: where the offer puts us on hold in the old way. Raises
    `SdpError` when nothing of the offer can be used, `ValueError` when `address` is not an IP.
    """
    session, media = _read(offer)
    audio = _choose_audio(session, media, _STATIC_NUMBERS)
    lines = _session_lines(address, session_id, session_version)
    for position, section in enumerate(media):
        if position == audio.position:
            lines += _audio_lines(audio, port)
        else:
            lines.append(_refused_line(section))
    return _joined(lines), audio.remote


def _session_lines(address: str, session_id: int, session_version: int) -> list[str]:
    where = f"IN IP{_read_ip(address).version} {address}"
    return [
        "v=0",
        f"o=- {session_id} {session_version} {where}",
        "s=-",
        f"c={where}",
        "t=0 0",
    ]


def _audio_lines(audio: _Audio, port: int) -> list[str]:
    event = audio.remote.telephone_event
    table = _ANSWERED_ON_HOLD if _read_ip(audio.remote.host).is_unspecified else _ANSWERED
    numbers = f"{audio.number}" if event is None else f"{audio.number} {event}"
    lines = [
        f"m=audio {port} RTP/AVP {numbers}",
        f"a=rtpmap:{audio.number} {_NAMES[audio.encoding]}/8000",
    ]
    if event is not None:
        lines += [f"a=rtpmap:{event} telephone-event/8000", f"a=fmtp:{event} 0-16"]
    if audio.remote.is_muxed:
        lines.append("a=rtcp-mux")
    return [*lines, f"a=ptime:{PTIME_DEFAULT_MS}", f"a={table[audio.direction]}"]


def _refused_line(section: _Section) -> str:
    # A refused medium keeps its place and its formats, with port 0 (RFC 3264 §6).
    formats = b" ".join(section.formats) or b"0"
    return (b"m=%b 0 %b %b" % (section.media, section.protocol, formats)).decode("ascii")


def _joined(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def _read(body: bytes) -> tuple[_Section, list[_Section]]:
    """The session part and the media parts, in order. Lines that mean nothing here are passed over."""
    if len(body) > SDP_BYTES_MAX:
        raise SdpError(f"the description is longer than {SDP_BYTES_MAX} bytes")
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if len(lines) > SDP_LINES_MAX:
        raise SdpError(f"the description has more than {SDP_LINES_MAX} lines")
    session = _Section()
    media: list[_Section] = []
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


def _read_media_line(value: bytes) -> _Section:
    fields = value.split()
    # An answer repeats these words, so that nothing but visible ASCII may be in them.
    if len(fields) < 3 or b"".join(fields).translate(None, _VISIBLE):
        raise SdpError("a media line cannot be read")
    port = _number(fields[1].partition(b"/")[0], 65_535)
    if port is None:
        raise SdpError("a media line has no port")
    return _Section(media=fields[0], port=port, protocol=fields[2], formats=fields[3:])


def _read_attribute(section: _Section, value: bytes) -> None:
    name, _, rest = value.partition(b":")
    name = name.strip().lower()
    if name in _DIRECTIONS:
        section.direction = _DIRECTIONS[name]
    elif name == b"ptime":
        # Some send "20.0", and some say nothing sensible: the default then stands.
        ptime_ms = _number(rest.strip().partition(b".")[0], PTIME_MAX_MS)
        if ptime_ms is not None and ptime_ms >= PTIME_MIN_MS:
            section.ptime_ms = ptime_ms
    elif name == b"rtcp":
        # A second address behind the port (RFC 3605) is not gone to: RTCP follows the sound.
        section.rtcp_port = _number((rest.split() or [b""])[0], 65_535) or None
    elif name == b"rtcp-mux":
        section.is_muxed = True
    elif name == b"rtpmap":
        number_text, _, mapping = rest.strip().partition(b" ")
        number = _number(number_text, 127)
        if number is not None:
            section.rtpmaps[number] = _encoding(mapping)


def _encoding(mapping: bytes) -> Encoding:
    """What `PCMU/8000/1` names. A missing clock rate is taken for the only one it can be."""
    parts = [part.strip() for part in mapping.strip().split(b"/", 3)]
    rate = parts[1] if len(parts) > 1 else b"8000"
    channels = parts[2] if len(parts) > 2 else b"1"
    if rate not in (b"8000", b"") or channels not in (b"1", b""):
        return "other"
    return _ENCODINGS.get(parts[0].upper(), "other")


def _choose_audio(
    session: _Section, media: list[_Section], known: Mapping[int, Encoding]
) -> _Audio:
    """The first audio part that is not refused and is plain RTP, with its first codec of ours."""
    usable = (position for position, section in enumerate(media) if _is_usable_audio(section))
    position = next(usable, None)
    if position is None:
        raise SdpError("the description has no audio over RTP/AVP with a port")
    section = media[position]
    offered = _listed_encodings(section, known)
    voices = [item for item in offered if item[1] in _STATIC]
    if not voices:
        raise SdpError("the description has no codec in common with us: PCMU or PCMA is needed")
    # A static number goes first: under it both sides mean the same on the wire for certain.
    number, encoding = next((item for item in voices if item[0] in _STATIC_NUMBERS), voices[0])
    events = [listed for listed, what in offered if what == "telephone-event"]
    remote = Remote(
        host=_address(section.connection or session.connection),
        port=section.port,
        payload_type=_STATIC[encoding],
        telephone_event=events[0] if events else None,
        ptime_ms=section.ptime_ms or session.ptime_ms or PTIME_DEFAULT_MS,
        rtcp_port=section.rtcp_port,
        is_muxed=section.is_muxed,
    )
    direction = section.direction or session.direction or "sendrecv"
    return _Audio(position, number, encoding, direction, remote)


def _is_usable_audio(section: _Section) -> bool:
    is_audio = section.media.lower() == b"audio"
    return is_audio and section.port > 0 and section.protocol.upper() == b"RTP/AVP"


def _listed_encodings(
    section: _Section, known: Mapping[int, Encoding]
) -> list[tuple[int, Encoding]]:
    numbers = (_number(word, 127) for word in section.formats)
    return [
        (number, section.rtpmaps.get(number, known.get(number, "other")))
        for number in numbers
        if number is not None
    ]


def _address(connection: bytes | None) -> str:
    """The address of `IN IP4 192.0.2.1/127`, unicast or unspecified, an IPv4 one never wrapped in IPv6."""
    fields = (connection or b"").split()
    if len(fields) < 3:
        raise SdpError("the description has no address for its audio")
    text = fields[2].partition(b"/")[0]
    address: IPv4Address | IPv6Address
    try:
        if len(text) > ADDRESS_LENGTH_MAX or b"%" in text:
            raise ValueError(text)
        address = _read_ip(text.decode("ascii"))
    except ValueError:
        raise SdpError("the address of the audio is not an IP address") from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or address == IPv4Address("255.255.255.255"):
        raise SdpError("the address of the audio is not a unicast address")
    return str(address)


def _number(word: bytes, most: int) -> int | None:
    """A decimal number from 0 to `most`, or None. `bytes.isdigit` takes ASCII digits alone."""
    if not word.isdigit() or len(word) > 9:
        return None
    number = int(word)
    return number if number <= most else None
