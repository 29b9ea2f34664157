"""What the control process and the plane say to each other, and how it is framed.

A frame is four octets of length, big-endian, and a msgpack array of messages: whatever was written
between two looks at the socket travels together. Streams are named by numbers that the control
process chooses and never uses twice, so that an answer about a stream that is gone reaches nobody.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, Literal, TypeVar

import msgspec

from adapters.media.control_listening import ListeningCommand, ListeningEvent
from adapters.media.types import SrtpKeys
from adapters.media.wire.numbers import Numbers
from engine.ports.telephony import MediaStatistics

FRAME_LENGTH_MAX: Final = 4 << 20
"""A longer frame means that the two sides have lost each other."""
LATENESS_MS_MAX: Final = 20
"""Packets later than this share the last place of the histogram."""

_LENGTH: Final = struct.Struct("!I")


class ControlBroken(Exception):
    """What came is no frame of ours; the connection cannot go on."""


class Open(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """Open these streams, each on a port of its own; `Opened` or `Refused` follows for each."""

    streams: list[int]


class Connect(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """Send to and hear this remote alone. An unspecified host pauses the stream."""

    stream: int
    host: str
    port: int
    payload_type: int
    """The codec, as in `codec.CODECS`."""
    telephone_event: int | None = None
    """Payload type of the RFC 4733 events that are sent, None where they were not agreed."""
    rtcp_port: int | None = None
    """None is the port above `port`."""
    is_muxed: bool = False
    """Whether RTCP goes with RTP (RFC 5761)."""
    is_certain: bool = False
    """Whether the remote is where it says it is, so that nobody else is looked for."""
    srtp: SrtpKeys | None = None
    """None sends and hears in the clear."""
    numbered: int | None = None
    """What is sent in place of `payload_type`."""
    heard_numbered: int | None = None
    """What comes in place of what is sent."""
    heard_event: int | None = None
    """The same for events."""
    event_clock_hz: int | None = None
    """None is the codec's."""

    @property
    def numbers(self) -> Numbers:
        """The payload types on the wire."""
        sent = self.payload_type if self.numbered is None else self.numbered
        return Numbers(
            voice=self.payload_type,
            sent_voice=sent,
            sent_event=self.telephone_event,
            heard_voice=sent if self.heard_numbered is None else self.heard_numbered,
            heard_event=self.telephone_event if self.heard_event is None else self.heard_event,
        )


class Play(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """Play a prompt from the next packet on; `PlayEnded` follows unless it is stopped."""

    stream: int
    play: int
    """Tells one playing on a stream from the next."""
    prompt: str


class Stop(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """Fall silent, if this is still what plays. Nothing follows."""

    stream: int
    play: int


class Close(msgspec.Struct, frozen=True, tag=5, array_like=True):
    """Close a stream; `Closed` follows."""

    stream: int


class Report(msgspec.Struct, frozen=True, tag=6, array_like=True):
    """Say how the plane is; `Reported` follows."""


class Press(msgspec.Struct, frozen=True, tag=8, array_like=True):
    """Press these keys, in place of what plays, which goes on afterwards; `Pressed` follows."""

    stream: int
    press: int
    """Tells one command from the next."""
    digits: str
    """Of those of `dtmf.DIGITS`."""


class CutPress(msgspec.Struct, frozen=True, tag=9, array_like=True):
    """Press no further key, if this is still what is being pressed. Nothing follows."""

    stream: int
    press: int


class Bridge(msgspec.Struct, frozen=True, tag=10, array_like=True):
    """Relay between two streams of this plane, each of which leaves any other bridge. Nothing follows."""

    stream: int
    other: int


class Part(msgspec.Struct, frozen=True, tag=11, array_like=True):
    """End the bridge of these two, if there is one. Nothing follows."""

    stream: int
    other: int


Command = (
    Open
    | Connect
    | Play
    | Stop
    | Close
    | Report
    | Press
    | CutPress
    | Bridge
    | Part
    | ListeningCommand
)


class Started(msgspec.Struct, frozen=True, tag=7, array_like=True):
    """The first word of a plane: how it works here."""

    way: str
    """`io_uring` or `sockets`: how packets go into the kernel and come out of it."""
    reason: str
    """Why it is not io_uring, where it is not."""
    is_realtime: bool
    """Whether the plane goes before ordinary processes."""


class Opened(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """A stream has a port."""

    stream: int
    port: int


RefusalReason = Literal["no_port", "no_stream", "no_descriptor"]
"""`no_port`: every port of the range is taken; `no_stream`: the plane is full; `no_descriptor`:
the system allows the process no more sockets."""


class Refused(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """A stream could not be opened."""

    stream: int
    reason: RefusalReason


PlayOutcome = Literal["finished", "unknown_prompt", "unavailable", "replaced"]


class PlayEnded(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """A prompt's last packet has had its 20 ms, or the prompt never began."""

    stream: int
    play: int
    outcome: PlayOutcome
    statistics: MediaStatistics


class Dropped(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """The plane had to close a stream by itself: its remote cannot be reached from here."""

    stream: int
    reason: str
    statistics: MediaStatistics


class Closed(msgspec.Struct, frozen=True, tag=5, array_like=True):
    """A stream is closed as it was asked for, and its port is free."""

    stream: int
    statistics: MediaStatistics


class DigitHeard(msgspec.Struct, frozen=True, tag=8, array_like=True):
    """The callee has pressed a key."""

    stream: int
    digit: str
    """`0` to `9`, `*`, `#`, `A` to `D`."""


class Pressed(msgspec.Struct, frozen=True, tag=10, array_like=True):
    """The last of the keys has been pressed, and its gap is over."""

    stream: int
    press: int


class Moved(msgspec.Struct, frozen=True, tag=9, array_like=True):
    """The callee has proven to be somewhere else than its SDP says; the stream goes there now."""

    stream: int
    host: str
    port: int


class PlaneStatistics(msgspec.Struct, frozen=True):
    """How the plane is, since it started."""

    streams: int = 0
    """Open now, the ones kept ready included."""
    sending: int = 0
    """Connected now: each of them sends a packet every 20 ms."""
    packets_sent: int = 0
    packets_failed: int = 0
    """Refused by the kernel; the remote's host may have said that nobody listens."""
    packets_received: int = 0
    """RTP of the callees alone."""
    rtcp_received: int = 0
    rtcp_sent: int = 0
    rtcp_malformed: int = 0
    """Of those received, what was no RTCP (RFC 3550 A.2)."""
    packets_relayed: int = 0
    """Sent for bridges, beside `packets_sent`."""
    bridges: int = 0
    """Pairs of streams that are bridged now."""
    packets_flooded: int = 0
    """Packets of callees that were thrown away unread: they came faster than any sound is spoken."""
    srtp_rejected: int = 0
    """Packets to secure streams that were forged, replayed or in the clear."""
    strangers_packets: int = 0
    """Packets that were looked at while a callee's address was being learnt; all others of strangers
    are dropped by the kernel."""
    ticks: int = 0
    """There are ten in 20 ms while streams are sending; each serves a tenth of them."""
    ticks_late: int = 0
    """Begun when the next was due already."""
    ticks_skipped: int = 0
    """Given up because the process had stood still for too long; their packets were sent later."""
    lateness_ms: list[int] = msgspec.field(default_factory=lambda: [0] * (LATENESS_MS_MAX + 1))
    """Packets by the whole milliseconds between their time and their departure."""


class Reported(msgspec.Struct, frozen=True, tag=6, array_like=True):
    """How the plane is."""

    statistics: PlaneStatistics


Event = (
    Started
    | Opened
    | Refused
    | PlayEnded
    | Pressed
    | DigitHeard
    | ListeningEvent
    | Moved
    | Dropped
    | Closed
    | Reported
)

_encoder: Final = msgspec.msgpack.Encoder()
_commands: Final = msgspec.msgpack.Decoder(list[Command])
_events: Final = msgspec.msgpack.Decoder(list[Event])


def encode_frame(messages: Iterable[Command] | Iterable[Event]) -> bytes:
    """One frame of these messages."""
    body = _encoder.encode(messages)
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Cuts a stream of octets into frames; holds at most one frame that is not complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies of the frames that are complete now. Raises `ControlBroken`."""
        self._buffer += data
        bodies: list[bytes] = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > FRAME_LENGTH_MAX:
                raise ControlBroken(f"a frame of {length} octets")
            end = start + _LENGTH.size + length
            if end > len(self._buffer):
                break
            bodies.append(bytes(self._buffer[start + _LENGTH.size : end]))
            start = end
        del self._buffer[:start]
        return bodies


def decode_commands(body: bytes) -> list[Command]:
    """The commands of one frame. Raises `ControlBroken`."""
    return _decoded(_commands, body)


def decode_events(body: bytes) -> list[Event]:
    """The events of one frame. Raises `ControlBroken`."""
    return _decoded(_events, body)


_Message = TypeVar("_Message")


def _decoded(decoder: msgspec.msgpack.Decoder[list[_Message]], body: bytes) -> list[_Message]:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlBroken(f"a frame that cannot be read: {error}") from error
