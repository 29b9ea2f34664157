"""Which audio of a description is used, in which codec, with which keys (RFC 3264 §6 and §7)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from msgspec import Struct, structs

from adapters.media.codecs.codec import CODECS, OPUS_BIT_RATE, Codec, CodecName
from adapters.media.sdp.crypto import CryptoLine
from adapters.media.sdp.terms import PLAIN, MediaTerms
from adapters.media.sdp.text import (
    PTIME_DEFAULT_MS,
    SDP_LINES_MAX,
    Direction,
    Format,
    SdpError,
    Section,
    read_address,
    read_ip,
    read_number,
    read_sections,
)
from adapters.media.types import Remote, SrtpKeys

TELEPHONE_EVENT: Final = 101
"""The number that our own offers give telephone-event."""
TELEPHONE_EVENT_48: Final = 110
"""The same by Opus's clock: events share the clock of the sound beside them (RFC 4733 §2.1)."""
EVENT_NUMBERS: Final = MappingProxyType({8_000: TELEPHONE_EVENT, 48_000: TELEPHONE_EVENT_48})
"""By clock."""

WORDING_BYTES_MAX: Final = SDP_LINES_MAX
"""A longer answer is read anew each time. One that is no longer cannot have too many lines either."""
WORDINGS_REMEMBERED: Final = 256
PORT_MAX: Final = 65_535

_OPEN_PROTOCOLS: Final = frozenset({b"RTP/AVP", b"RTP/AVPF"})
_SECURE_PROTOCOLS: Final = frozenset({b"RTP/SAVP", b"RTP/SAVPF"})
_STATIC: Final[Mapping[int, Format]] = MappingProxyType(
    {codec.payload_type: Format(codec.name) for codec in CODECS.values() if codec.is_static}
)
_OFFERED: Final[Mapping[int, Format]] = MappingProxyType(
    {
        **{codec.payload_type: Format(codec.name) for codec in CODECS.values()},
        TELEPHONE_EVENT: Format(None, 8_000),
        TELEPHONE_EVENT_48: Format(None, 48_000),
    }
)
"""What our own offers say, for answers that do not repeat it."""


class Audio(Struct):
    """The audio part that was chosen, and what it says once read."""

    position: int
    number: int
    """The payload type under which the description lists the codec; 96 to 127 if dynamic."""
    codec: Codec
    event_clock_hz: int
    direction: Direction
    remote: Remote
    crypto: CryptoLine | None
    """The line whose key the callee sends with; None for RTP in the clear."""


def read_answer(body: bytes, terms: MediaTerms = PLAIN) -> Remote:
    """Where the answerer of our first offer wants its audio (RFC 3264 §7).

    Raises `SdpError` for anything that cannot be sent to, the hold address 0.0.0.0 included, and
    where SRTP is required and not given. A number without an rtpmap means what our offer said.
    """
    remote = read_later_answer(body, terms)
    if read_ip(remote.host).is_unspecified:
        raise SdpError("the answer puts the call on hold: its address is unspecified")
    return remote


def read_later_answer(body: bytes, terms: MediaTerms = PLAIN) -> Remote:
    """The same for a later offer of ours, when the audio runs already: the hold address 0.0.0.0 is an
    answer like any other then. Raises `SdpError`."""
    found = _cut_out_port(body) if terms.srtp == "off" else None
    if found is None:
        return read_anew(body, terms)
    wording, port = found
    return structs.replace(_read_wording(wording, terms.codecs), port=port)


def _cut_out_port(body: bytes) -> tuple[bytes, int] | None:
    """An answer with one medium, which is audio, without what is new in each call's: the line of its
    origin, which nobody reads, and its port. None where it is not as simple as that."""
    head, mark, tail = body.partition(b"\r\nm=audio ")
    port, space, rest = tail.partition(b" ")
    end = head.find(b"\r\n", len(_ORIGIN))
    if not (mark and space and end > 0 and head.startswith(_ORIGIN)):
        return None
    if len(body) > WORDING_BYTES_MAX or body.count(b"m=") != 1 or _CR in head[len(_ORIGIN) : end]:
        return None
    number = read_number(port, PORT_MAX)
    if not number or _LF in head[len(_ORIGIN) : end]:
        return None
    return b"%b\r\nm=audio 9 %b" % (head[end:], rest), number


_ORIGIN: Final = b"v=0\r\no="
_CR: Final = ord("\r")
_LF: Final = ord("\n")


@lru_cache(maxsize=WORDINGS_REMEMBERED)
def _read_wording(wording: bytes, codecs: tuple[CodecName, ...]) -> Remote:
    """A carrier says the same in every answer. Raises `SdpError`, which is not remembered."""
    return read_anew(wording, MediaTerms(codecs))


def read_anew(body: bytes, terms: MediaTerms) -> Remote:
    """What `read_later_answer` says, with every line looked at. Raises `SdpError`."""
    session, media = read_sections(body)
    audio = _choose(session, media, terms, _OFFERED, by_our_order=False)
    remote = audio.remote
    # What comes to us is numbered as our offer says, whatever the answer says (RFC 3264 §5.1).
    if remote.numbered is not None:
        remote = structs.replace(remote, heard_numbered=remote.payload_type)
    event = EVENT_NUMBERS[audio.event_clock_hz]
    if remote.telephone_event is not None and remote.telephone_event != event:
        remote = structs.replace(remote, heard_event=event)
    # Our offers do not ask for it, so that an answer cannot agree to it (RFC 5761 §5.1.1).
    return structs.replace(remote, is_muxed=False) if remote.is_muxed else remote


def choose_of_offer(offer: bytes, terms: MediaTerms) -> tuple[Audio, list[Section]]:
    """What of an offer is taken, and all its media. Raises `SdpError`."""
    session, media = read_sections(offer)
    return _choose(session, media, terms, _STATIC, by_our_order=True), media


def _choose(
    session: Section,
    media: list[Section],
    terms: MediaTerms,
    known: Mapping[int, Format],
    *,
    by_our_order: bool,
) -> Audio:
    """The first audio part that we can speak over, as secure as is wanted, in a codec of ours."""
    usable = (
        (position, section)
        for position, section in enumerate(media)
        if section.media.lower() == b"audio" and section.port and _may_speak(section, terms)
    )
    found = next(usable, None)
    if found is None:
        raise SdpError(_NO_AUDIO[terms.srtp])
    position, section = found
    offered = _listed(section, known)
    number, codec = _choose_codec(section, offered, terms, by_our_order=by_our_order)
    event, event_clock_hz = _choose_event(offered, codec)
    crypto = _crypto_of(section, terms)
    remote = Remote(
        host=read_address(section.connection or session.connection),
        port=section.port,
        payload_type=codec.payload_type,
        telephone_event=event,
        ptime_ms=section.ptime_ms or session.ptime_ms or PTIME_DEFAULT_MS,
        rtcp_port=section.rtcp_port,
        is_muxed=section.is_muxed,
        numbered=None if codec.is_static or number == codec.payload_type else number,
        event_clock_hz=None if event_clock_hz == codec.clock_hz else event_clock_hz,
        srtp=None if crypto is None else _keys(crypto, terms),
    )
    direction = section.direction or session.direction or "sendrecv"
    return Audio(position, number, codec, event_clock_hz, direction, remote, crypto)


_NO_AUDIO: Final = MappingProxyType(
    {
        "off": "the description has no audio over RTP/AVP with a port",
        "optional": "the description has no audio over RTP/AVP, or over SRTP with a key we can use",
        "required": "the description has no audio over SRTP with a key we can use",
    }
)


def _may_speak(section: Section, terms: MediaTerms) -> bool:
    protocol = section.protocol.upper()
    if terms.srtp == "off":
        return protocol in _OPEN_PROTOCOLS
    is_secure = _crypto_of(section, terms) is not None
    if terms.srtp == "required":
        # Keys say enough: some answer RTP/AVP to an offer of RTP/SAVP and encrypt all the same.
        return is_secure and protocol in _OPEN_PROTOCOLS | _SECURE_PROTOCOLS
    return protocol in _OPEN_PROTOCOLS or (protocol in _SECURE_PROTOCOLS and is_secure)


def _crypto_of(section: Section, terms: MediaTerms) -> CryptoLine | None:
    """The first key of a suite that we have. Our offers have each suite once, so that the suite alone
    tells which of our keys belongs to it, whatever tag an answer repeats."""
    if terms.srtp == "off":
        return None
    return next((line for line in section.crypto if line.suite in terms.keys), None)


def _keys(crypto: CryptoLine, terms: MediaTerms) -> SrtpKeys:
    return SrtpKeys(crypto.suite, terms.keys[crypto.suite], crypto.key)


def _listed(section: Section, known: Mapping[int, Format]) -> list[tuple[int, Format]]:
    numbers = (read_number(word, 127) for word in section.formats)
    return [
        (number, section.rtpmaps.get(number) or known.get(number) or Format())
        for number in numbers
        if number is not None
    ]


def _choose_codec(
    section: Section,
    offered: list[tuple[int, Format]],
    terms: MediaTerms,
    *,
    by_our_order: bool,
) -> tuple[int, Codec]:
    order = terms.codecs
    voices = [
        (number, CODECS[what.codec])
        for number, what in offered
        if what.codec in order and _can_carry(section, number, CODECS[what.codec])
    ]
    if not voices:
        wanted = " or ".join(order)
        raise SdpError(f"the description has no codec in common with us: {wanted} is needed")
    if by_our_order:
        best = min(order.index(codec.name) for _, codec in voices)
        voices = [voice for voice in voices if voice[1].name == order[best]]
    # Under its static number a codec goes first: both sides mean the same on the wire for certain.
    plain = (voice for voice in voices if voice[0] in _STATIC or not voice[1].is_static)
    return next(plain, voices[0])


def _can_carry(section: Section, number: int, codec: Codec) -> bool:
    """Whether a packet of ours is something that they take: Opus may be asked to keep below the rate
    that we send (RFC 7587 §6.1), and any codec below 20 ms a packet."""
    if section.maxptime_ms is not None and section.maxptime_ms < PTIME_DEFAULT_MS:
        return codec.is_static
    if codec.name != "opus":
        return True
    for parameter in section.parameters.get(number, b"").split(b";"):
        name, _, value = parameter.strip().partition(b"=")
        rate = read_number(value.strip(), 999_999_999)
        if name.strip() == b"maxaveragebitrate" and rate is not None and rate < OPUS_BIT_RATE:
            return False
    return True


def _choose_event(offered: list[tuple[int, Format]], codec: Codec) -> tuple[int | None, int]:
    """The number of telephone-event by the codec's clock; failing that, by another."""
    events = [(number, what.event_clock_hz) for number, what in offered if what.event_clock_hz]
    for number, clock_hz in events:
        if clock_hz == codec.clock_hz:
            return number, codec.clock_hz
    # Beside Opus some list events by 8,000 alone, and send and take them so.
    if codec.name == "opus" and events:
        return events[0][0], events[0][1] or codec.clock_hz
    return None, codec.clock_hz
