"""Digits as telephone events (RFC 4733): read from what a callee sends, and made to be sent.

An event is a burst of packets that all carry the RTP timestamp of its beginning, while their duration
grows; the last one, with the end bit, comes three times. Any of them may be lost, doubled or late.
So an event is known by its timestamp and its code, and nothing else of it has to arrive.
"""

from __future__ import annotations

import struct
from typing import Final

from msgspec import Struct

from adapters.media.wire.rtp import FRAME_BYTES, Header

DIGITS: Final = "0123456789*#ABCD"
"""In the order of their event codes (RFC 4733 §3.2, table 3)."""

_BLOCK: Final = struct.Struct("!BBH")
"""One event: its code, then the end bit, a reserved bit and six bits of volume, then its duration."""
_END: Final = 0x80

CLOCK_HZ: Final = 8_000
BLOCKS_MAX: Final = 4
"""Events that are read of one packet; more are left out."""
KNOWN_MAX: Final = 4
"""Events that a receiver remembers: at the fastest, 40 ms of tone and 40 of pause, those of 320 ms."""
LATE_MAX: Final = 2_400
"""An event that nothing was known of, and that began up to so long before the newest one (300 ms), has
only been overtaken; an older one is told no more, as the order of the digits would be lost."""
RESTART: Final = 16_000
"""An unknown timestamp so far back (2 s) is no late packet: the sender has begun a new count."""
SEGMENT: Final = 0xFFFF
"""The longest duration. A longer event goes on in segments of this length (RFC 4733 §2.5.1.3)."""


class _Event(Struct):
    """One event that has been told."""

    code: int
    first: int
    """Timestamp of its beginning."""
    latest: int
    """Timestamp of its present segment."""
    length: int
    """How far it is known to reach from its beginning, in timestamp units."""
    is_over: bool

    def has(self, timestamp: int, *, is_marked: bool) -> bool:
        """Whether a packet of this timestamp, and of the same code, belongs to this event.

        Beside the event's own timestamp it may carry that of a further segment; and some senders move
        the timestamp with each packet. A marked packet is always the first of its event.
        """
        if timestamp in (self.first, self.latest):
            return True
        if is_marked:
            return False
        if timestamp == (self.latest + SEGMENT) & 0xFFFF_FFFF:
            return not self.is_over
        # A key that went down again when it came up would be a new event.
        return 0 < _ahead(timestamp, self.first) < self.length + (not self.is_over)

    def extend(self, timestamp: int, duration: int, *, is_end: bool) -> None:
        """Take note of one more of its packets."""
        if _ahead(timestamp, self.latest) > 0:
            self.latest = timestamp
        self.length = max(self.length, _ahead(timestamp, self.first) + duration)
        self.is_over |= is_end


class EventReceiver:
    """The digits of one stream."""

    __slots__ = ("_known", "_scale", "_ssrc")

    def __init__(self) -> None:
        self._scale = 1
        """How many units of the callee's clock are one of 8,000 Hz, in which the bounds are."""
        self._ssrc = -1
        self._known: list[_Event] = []
        """The latest events, in the order in which they were told."""

    def count_by(self, clock_hz: int) -> None:
        """What the timestamps count from now on."""
        self._scale = clock_hz // CLOCK_HZ

    def take(self, header: Header, payload: bytes) -> str:
        """The digits whose first packet this is: mostly none, which is the empty text.

        Whatever is no digit (flash, fax tones, a payload too short) is passed over. A packet may hold
        several events, each beginning where the one before ends.
        """
        if header.ssrc != self._ssrc:
            self._ssrc = header.ssrc
            self._known.clear()
        told = ""
        timestamp, is_marked = header.timestamp, bool(header.marker)
        blocks = min(len(payload) // _BLOCK.size, BLOCKS_MAX)
        for code, second, duration in _BLOCK.iter_unpack(payload[: blocks * _BLOCK.size]):
            is_end = bool(second & _END)
            if code < len(DIGITS):
                told += self._take_event(code, timestamp, duration, is_end, is_marked)
            timestamp = (timestamp + duration) & 0xFFFF_FFFF
            is_marked = False
        return told

    def _take_event(
        self, code: int, timestamp: int, duration: int, is_end: bool, is_marked: bool
    ) -> str:
        for event in self._known:
            if event.code == code and event.has(timestamp, is_marked=is_marked):
                event.extend(timestamp, duration, is_end=is_end)
                return ""
        behind = max((_ahead(event.first, timestamp) for event in self._known), default=0)
        if behind > RESTART * self._scale:
            self._known.clear()
        elif behind > LATE_MAX * self._scale:
            return ""
        self._remember(_Event(code, timestamp, timestamp, duration, is_end))
        return DIGITS[code]

    def _remember(self, event: _Event) -> None:
        if len(self._known) == KNOWN_MAX:
            # A key that is still held will be heard of again.
            held = [known for known in self._known if not known.is_over]
            over = [known for known in self._known if known.is_over]
            self._known.remove((over or held)[0])
        self._known.append(event)


def _ahead(timestamp: int, of: int) -> int:
    """How far one timestamp is ahead of another, whichever way they wrapped; negative when behind."""
    return (timestamp - of + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000


def scale_durations(payload: bytes, from_hz: int, to_hz: int) -> bytes:
    """What a packet tells of events, with durations by another clock. Whatever is cut short stays so."""
    if from_hz == to_hz:
        return payload
    blocks = min(len(payload) // _BLOCK.size, BLOCKS_MAX)
    return b"".join(
        _BLOCK.pack(code, second, min(duration * to_hz // from_hz, SEGMENT))
        for code, second, duration in _BLOCK.iter_unpack(payload[: blocks * _BLOCK.size])
    )


TICK_MS: Final = 20
TONE_MS_MIN: Final = 100
TONE_MS_MAX: Final = 8_000
"""At 8,000 Hz longer ones would have to be sent in segments."""
GAP_MS_MIN: Final = 50
END_PACKETS: Final = 3
"""The last packet is sent so often, as it is the one that must not be lost (RFC 4733 §2.5.1.4)."""
VOLUME_DBM0: Final = -10
DIGITS_MAX: Final = 64
"""Digits of one script."""


class DigitPacket(Struct, frozen=True):
    """One packet of a script, to be sent in place of audio."""

    tick: int
    """So many times 20 ms after the script's beginning."""
    marker: int
    timestamp: int
    """To be added to the RTP timestamp of the script's first tick."""
    payload: bytes


class EventClock(Struct, frozen=True):
    """What 20 ms are on the wire."""

    timestamps: int = FRAME_BYTES
    """By the clock of the stream."""
    durations: int = FRAME_BYTES
    """By that which the events were agreed to have; nearly always the same (RFC 4733 §2.1)."""


class DigitScript(Struct, frozen=True):
    """Digits as they are sent: at most one packet a tick, audio in the ticks between."""

    packets: tuple[DigitPacket, ...]
    """In order. Sequence numbers go on through them as through audio."""
    ticks: int
    """How long it takes, the gap after the last digit included."""


def make_script(
    digits: str,
    tone_ms: int = TONE_MS_MIN,
    gap_ms: int = GAP_MS_MIN,
    clock: EventClock | None = None,
) -> DigitScript:
    """The packets of these digits, times rounded up to 20 ms.

    Raises `ValueError` for what is no digit (lower-case letters are), for more than `DIGITS_MAX`, and
    for a tone or gap out of bounds.
    """
    clock = clock or EventClock()
    digits = digits.upper()
    if len(digits) > DIGITS_MAX or not all(digit in DIGITS for digit in digits):
        raise ValueError(f"up to {DIGITS_MAX} of {DIGITS} can be sent, not {digits!r}")
    if not TONE_MS_MIN <= tone_ms <= TONE_MS_MAX:
        raise ValueError(f"a digit lasts {TONE_MS_MIN} to {TONE_MS_MAX} ms, not {tone_ms}")
    if not GAP_MS_MIN <= gap_ms <= TONE_MS_MAX:
        raise ValueError(f"the gap lasts {GAP_MS_MIN} to {TONE_MS_MAX} ms, not {gap_ms}")
    tone_ticks = -(-tone_ms // TICK_MS)
    # The last packet is repeated within the gap.
    gap_ticks = max(-(-gap_ms // TICK_MS), END_PACKETS - 1)
    each = tone_ticks + gap_ticks
    packets = [
        packet
        for place, digit in enumerate(digits)
        for packet in _make_event(DIGITS.index(digit), place * each, tone_ticks, clock)
    ]
    return DigitScript(tuple(packets), each * len(digits))


def _make_event(
    code: int, first_tick: int, tone_ticks: int, clock: EventClock
) -> list[DigitPacket]:
    packets = []
    for number in range(tone_ticks + END_PACKETS - 1):
        # A packet tells of the tone until the end of its own tick.
        ticks = min(number + 1, tone_ticks)
        second = -VOLUME_DBM0 | (_END if ticks == tone_ticks else 0)
        packets.append(
            DigitPacket(
                tick=first_tick + number,
                marker=int(number == 0),
                timestamp=first_tick * clock.timestamps,
                payload=_BLOCK.pack(code, second, min(ticks * clock.durations, SEGMENT)),
            )
        )
    return packets
