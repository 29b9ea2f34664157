"""RTCP on the wire (RFC 3550 §6): reports of senders and receivers, the CNAME, and BYE.

Everything travels in compound packets that begin with a report. What is read is checked as RFC 3550
A.2 says; whatever is not such a packet is None, and nothing here raises for it.
"""

from __future__ import annotations

import struct
from typing import Final

from msgspec import Struct, structs

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
DESCRIPTION: Final = 202
BYE: Final = 203
_CNAME: Final = 1
CNAME_BYTES_MAX: Final = 255
PACKETS_MAX: Final = 16
"""Packets that are read of one compound; more make it no compound of ours."""
WORD: Final = 0xFFFF_FFFF
LOST_MAX: Final = 0x7F_FFFF
LOST_MIN: Final = -0x80_0000
"""Packets lost, a signed number of 24 bits: duplicates make it negative."""

_HEAD: Final = struct.Struct("!BBH")
_SENDER: Final = struct.Struct("!QIII")
_BLOCK: Final = struct.Struct("!IIIIII")
_SSRC: Final = struct.Struct("!I")
_VERSION: Final = 0x80
_PADDING: Final = 0x20
_COUNT: Final = 0x1F

NTP_EPOCH_S: Final = 2_208_988_800
"""Seconds from 1900, with which NTP begins, to 1970."""
_NTP_SECOND: Final = 1 << 32
_NS: Final = 1_000_000_000
SHORT_UNITS_PER_S: Final = 65_536
"""The middle 32 bits of an NTP timestamp count in these."""


def ntp_of(unix_ns: int) -> int:
    """The 64-bit NTP timestamp of a moment, nanoseconds since 1970."""
    seconds, rest = divmod(unix_ns, _NS)
    return (seconds + NTP_EPOCH_S & WORD) << 32 | rest * _NTP_SECOND // _NS


def short_of(ntp: int) -> int:
    """The middle 32 bits, by which reports name a moment."""
    return ntp >> 16 & WORD


class SenderInfo(Struct, frozen=True):
    """What a sender says of itself (RFC 3550 §6.4.1)."""

    ntp: int
    """64 bits, when the report was sent."""
    rtp_timestamp: int
    """The same moment in the count of its RTP timestamps."""
    packets: int
    octets: int
    """Of payload alone."""


class Block(Struct, frozen=True):
    """What a receiver says of one source (RFC 3550 §6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Since the report before, in 256ths."""
    lost: int
    """Since the beginning; negative where packets came twice."""
    highest: int
    """The highest sequence number, extended by its cycles."""
    jitter: int
    """In timestamp units."""
    last_report: int = 0
    """Middle 32 bits of the NTP timestamp of the source's last sender report; 0 before there was one."""
    delay: int = 0
    """Since that report came, in 65,536ths of a second."""


class Compound(Struct, frozen=True):
    """One compound packet, as far as it matters here."""

    ssrc: int
    """Who sent it."""
    sender: SenderInfo | None = None
    """None for whoever sends no sound at present."""
    blocks: tuple[Block, ...] = ()
    cname: bytes = b""
    is_bye: bool = False
    """Whether the sender leaves."""


def build(compound: Compound) -> bytes:
    """The octets of a compound packet: the report, the CNAME where there is one, and the BYE."""
    assert len(compound.blocks) <= _COUNT
    assert len(compound.cname) <= CNAME_BYTES_MAX
    body = _SSRC.pack(compound.ssrc)
    kind = RECEIVER_REPORT
    if compound.sender is not None:
        kind, info = SENDER_REPORT, compound.sender
        body += _SENDER.pack(info.ntp, info.rtp_timestamp, info.packets & WORD, info.octets & WORD)
    for block in compound.blocks:
        body += _pack_block(block)
    octets = _packet(kind, len(compound.blocks), body)
    if compound.cname:
        octets += build_description(compound.ssrc, compound.cname)
    if compound.is_bye:
        octets += _packet(BYE, 1, _SSRC.pack(compound.ssrc))
    return octets


def build_description(ssrc: int, cname: bytes) -> bytes:
    """The source description of one source: its CNAME (RFC 3550 §6.5.1)."""
    chunk = _SSRC.pack(ssrc) + bytes((_CNAME, len(cname))) + cname
    # One to four zeros end the chunk, so that it is whole words.
    return _packet(DESCRIPTION, 1, chunk + bytes(4 - len(chunk) % 4))


def parse(octets: bytes) -> Compound | None:
    """What a compound packet says; None for what is none (RFC 3550 A.2).

    Packets of kinds that are not known here are passed over, as are reports about more sources than
    one packet holds; of several reports the blocks count together.
    """
    if not octets or len(octets) % 4:
        return None
    found = Compound(0)
    at = packets = 0
    while at < len(octets):
        if len(octets) - at < 8:
            return None
        first, kind, words = _HEAD.unpack_from(octets, at)
        end = at + 4 * (words + 1)
        is_report = kind in (SENDER_REPORT, RECEIVER_REPORT)
        packets += 1
        if first & 0xC0 != _VERSION or end > len(octets) or packets > PACKETS_MAX:
            return None
        # The compound begins with a report, and only its last packet may be padded.
        if (at == 0 and not is_report) or (first & _PADDING and end < len(octets)):
            return None
        body = octets[at + 4 : end]
        if is_report:
            read = _read_report(found, kind, first & _COUNT, body, is_first=at == 0)
            if read is None:
                return None
            found = read
        elif kind == DESCRIPTION:
            found = _with_cname(found, body)
        elif kind == BYE:
            sources = body[: 4 * (first & _COUNT)]
            if len(sources) < 4 * (first & _COUNT):
                return None
            leaves = _SSRC.pack(found.ssrc) in (
                sources[n : n + 4] for n in range(0, len(sources), 4)
            )
            found = structs.replace(found, is_bye=found.is_bye or leaves)
        at = end
    return found


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEAD.pack(_VERSION | count, kind, len(body) // 4) + body


def _pack_block(block: Block) -> bytes:
    lost = min(max(block.lost, LOST_MIN), LOST_MAX) & 0xFF_FFFF
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | lost,
        block.highest & WORD,
        min(block.jitter, WORD),
        block.last_report,
        block.delay,
    )


def _read_block(fields: tuple[int, ...]) -> Block:
    ssrc, losses, highest, jitter, last_report, delay = fields
    lost = losses & 0xFF_FFFF
    lost -= (lost & 0x80_0000) << 1
    return Block(ssrc, losses >> 24, lost, highest, jitter, last_report, delay)


def _read_report(
    found: Compound, kind: int, count: int, body: bytes, *, is_first: bool
) -> Compound | None:
    start = _SSRC.size + (_SENDER.size if kind == SENDER_REPORT else 0)
    end = start + count * _BLOCK.size
    if end > len(body):
        return None
    (ssrc,) = _SSRC.unpack_from(body)
    sender = SenderInfo(*_SENDER.unpack_from(body, 4)) if kind == SENDER_REPORT else None
    blocks = tuple(_read_block(fields) for fields in _BLOCK.iter_unpack(body[start:end]))
    if is_first:
        return Compound(ssrc, sender, blocks)
    return structs.replace(found, blocks=found.blocks + blocks)


def _with_cname(found: Compound, body: bytes) -> Compound:
    """The CNAME of the first chunk, if that is the sender's."""
    if len(body) < 6 or _SSRC.unpack_from(body)[0] != found.ssrc or body[4] != _CNAME:
        return found
    name = body[6 : 6 + body[5]]
    return structs.replace(found, cname=name) if len(name) == body[5] else found
