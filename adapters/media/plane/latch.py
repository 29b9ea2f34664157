"""Symmetric RTP: whether another address than the one in the SDP is where the callee really is.

Behind address translation a callee writes an address into its SDP that it does not send from, and
that cannot be sent to (RFC 4961). The only thing to go by is then whoever sends. A stranger may
send as well, so that one packet proves nothing: an address has to send a stream, which goes on in
its numbers, has one source, speaks as was agreed, and takes the time that its sound takes. A flood
of forged packets is too fast for that. Somebody who sends a whole forged stream at its own pace
during the first seconds, while the callee itself is silent, cannot be told from the callee by
anything but SRTP: of a secure stream only packets come here that are authentic, and none twice.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec import Struct

from adapters.media.wire.rtp import Header

Source = tuple[str, int]
"""IP address and port that packets come from."""

PROOF_PACKETS: Final = 5
"""So many packets, one after the other, make a stream."""
PACE_NS_MIN: Final = 8_000_000
"""A stream has at most a packet in this time on the average: the shortest in use is 10 ms."""
SOURCES_MAX: Final = 4
"""Addresses that are weighed at once for one call; the one that was silent for longest goes."""


class _Stream(Struct):
    """What one source has sent, unbroken."""

    ssrc: int
    sequence: int
    began_ns: int
    packets: int = 1


class Latch:
    """Weighs the strangers of one call."""

    def __init__(self, payload_type: int) -> None:
        self._payload_type = payload_type
        self._streams: OrderedDict[Source, _Stream] = OrderedDict()

    def take(self, source: Source, header: Header, now_ns: int) -> bool:
        """Whether this packet proves that its source is the callee."""
        if header.payload_type != self._payload_type:
            return False
        stream = self._streams.pop(source, None)
        if stream is None or not _continues(stream, header):
            stream = _Stream(header.ssrc, header.sequence, now_ns)
        else:
            stream.sequence = header.sequence
            stream.packets += 1
        self._streams[source] = stream
        if len(self._streams) > SOURCES_MAX:
            self._streams.popitem(last=False)
        took_ns_min = (stream.packets - 1) * PACE_NS_MIN
        return stream.packets >= PROOF_PACKETS and now_ns - stream.began_ns >= took_ns_min


def _continues(stream: _Stream, header: Header) -> bool:
    return header.ssrc == stream.ssrc and header.sequence == (stream.sequence + 1) & 0xFFFF
