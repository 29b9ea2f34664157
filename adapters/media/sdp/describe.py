"""Our own offers and answers (RFC 3264 §5 and §6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from adapters.media.codecs.codec import CODECS, Codec, CodecName
from adapters.media.sdp.choice import EVENT_NUMBERS, Audio, choose_of_offer
from adapters.media.sdp.crypto import write_crypto
from adapters.media.sdp.terms import PLAIN, MediaTerms
from adapters.media.sdp.text import PTIME_DEFAULT_MS, Direction, Section, read_ip
from adapters.media.types import Remote

OFFERS_REMEMBERED: Final = 64
"""Lists of codecs of which it is remembered how they are offered."""

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


def build_offer(
    address: str,
    port: int,
    session_id: int,
    session_version: int = 1,
    terms: MediaTerms = PLAIN,
) -> bytes:
    """An offer of the codecs in their order and telephone-event (0-16), 20 ms, both ways (RFC 3264 §5).

    Raises `ValueError` when `address` is not an IP address: that is a mistake of our own.
    """
    numbers, formats = _offered_formats(terms.codecs)
    protocol = "RTP/SAVP" if terms.srtp == "required" else "RTP/AVP"
    lines = [
        *_session_lines(address, session_id, session_version),
        f"m=audio {port} {protocol} {numbers}",
        *formats,
        *_offered_keys(terms),
        f"a=ptime:{PTIME_DEFAULT_MS}",
        "a=sendrecv",
    ]
    return _joined(lines)


@lru_cache(maxsize=OFFERS_REMEMBERED)
def _offered_formats(names: tuple[CodecName, ...]) -> tuple[str, tuple[str, ...]]:
    """The payload types of an offer and the lines that explain them; a trunk's are always the same."""
    codecs = [CODECS[name] for name in names]
    clocks = [hz for hz in EVENT_NUMBERS if any(codec.clock_hz == hz for codec in codecs)]
    numbers = [codec.payload_type for codec in codecs] + [EVENT_NUMBERS[hz] for hz in clocks]
    lines = [line for codec in codecs for line in _codec_lines(codec, codec.payload_type)]
    lines += [line for hz in clocks for line in _event_lines(EVENT_NUMBERS[hz], hz)]
    return " ".join(map(str, numbers)), tuple(lines)


def build_answer(
    offer: bytes,
    address: str,
    port: int,
    session_id: int,
    session_version: int,
    terms: MediaTerms = PLAIN,
) -> tuple[bytes, Remote]:
    """Answer an offer with the first codec of ours that it lists; every other medium is refused
    (RFC 3264 §6).

    The remote's host is 0.0.0.0 or :: where the offer puts us on hold in the old way. Raises
    `SdpError` when nothing of the offer can be used, `ValueError` when `address` is not an IP.
    """
    audio, media = choose_of_offer(offer, terms)
    lines = _session_lines(address, session_id, session_version)
    for position, section in enumerate(media):
        if position == audio.position:
            lines += _audio_lines(audio, section, port, terms)
        else:
            lines.append(_refused_line(section))
    return _joined(lines), audio.remote


def _session_lines(address: str, session_id: int, session_version: int) -> list[str]:
    where = f"IN IP{read_ip(address).version} {address}"
    return [
        "v=0",
        f"o=- {session_id} {session_version} {where}",
        "s=-",
        f"c={where}",
        "t=0 0",
    ]


def _codec_lines(codec: Codec, number: int) -> Iterator[str]:
    yield f"a=rtpmap:{number} {codec.rtpmap}"
    if codec.parameters:
        yield f"a=fmtp:{number} {codec.parameters}"


def _event_lines(number: int, clock_hz: int) -> tuple[str, str]:
    return (f"a=rtpmap:{number} telephone-event/{clock_hz}", f"a=fmtp:{number} 0-16")


def _offered_keys(terms: MediaTerms) -> Iterator[str]:
    if terms.srtp != "off":
        assert terms.keys, "SRTP without a key"
        for tag, (suite, key) in enumerate(terms.keys.items(), start=1):
            yield write_crypto(tag, suite, key)


def _audio_lines(audio: Audio, section: Section, port: int, terms: MediaTerms) -> list[str]:
    event = audio.remote.telephone_event
    table = _ANSWERED_ON_HOLD if read_ip(audio.remote.host).is_unspecified else _ANSWERED
    numbers = f"{audio.number}" if event is None else f"{audio.number} {event}"
    lines = [f"m=audio {port} {section.protocol.decode('ascii')} {numbers}"]
    lines += _codec_lines(audio.codec, audio.number)
    if event is not None:
        lines += _event_lines(event, audio.event_clock_hz)
    if audio.remote.is_muxed:
        lines.append("a=rtcp-mux")
    if audio.crypto is not None:
        suite = audio.crypto.suite
        lines.append(write_crypto(audio.crypto.tag, suite, terms.keys[suite]))
    return [*lines, f"a=ptime:{PTIME_DEFAULT_MS}", f"a={table[audio.direction]}"]


def _refused_line(section: Section) -> str:
    # A refused medium keeps its place and its formats, with port 0 (RFC 3264 §6).
    formats = b" ".join(section.formats) or b"0"
    return (b"m=%b 0 %b %b" % (section.media, section.protocol, formats)).decode("ascii")


def _joined(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode("ascii")
