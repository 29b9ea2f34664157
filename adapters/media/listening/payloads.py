"""From packets to samples: where a packet's payload begins and ends, and what it says, of many at once.

`Decoders` is the one place that knows what a stream's payload is made of. G.711 is a table and needs
nothing of the packets before; a codec that does keeps a decoder for each row in a room of its own and
is asked here for the rows that speak it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.codecs.codec import CODECS_BY_NUMBER
from adapters.media.codecs.g711 import LAWS
from adapters.media.codecs.voices import make_decoder
from adapters.media.sockets.receiver import Batch
from adapters.media.wire.rtp import HEADER_BYTES, TIMESTAMPS_PER_MS, Arrivals

Places = NDArray[np.intp]

_PLAIN: Final = 0x80
"""The first octet of a header with nothing behind it: version 2, and no more."""
_EXTENSION: Final = 0x10
_PADDING: Final = 0x20
_SOURCES: Final = 0x0F
_LAWS_LAST: Final = max(LAWS)


class Payloads(Struct):
    """Payloads of equal length, of several streams: parallel arrays, one element a packet."""

    places: Places
    """Which of the arrivals it is."""
    octets: NDArray[np.uint8]
    """One payload in each row of a matrix."""


class Spoken(Struct):
    """Samples of equal number, of several streams: parallel arrays, one element a packet."""

    places: Places
    """Which of the arrivals it is."""
    samples: NDArray[np.int16]
    """At 8 kHz, one packet in each row of a matrix."""


def read_payloads(batch: Batch, arrivals: Arrivals, wanted: Places) -> Iterator[Payloads]:
    """The payloads of these arrivals, those of one length after the other. A packet without any, or that is
    shorter than it says, is left out."""
    places = arrivals.places[wanted]
    begin, length = _find_payloads(batch, places)
    if len(length) and length[0] > 0 and (length == length[0]).all() and not begin.any():
        # So it is where everybody's packets are alike.
        whole = slice(HEADER_BYTES, HEADER_BYTES + int(length[0]))
        yield Payloads(wanted, batch.packets[places, whole])
        return
    kind = np.where(length > 0, begin << 16 | length, 0)
    for one in np.unique(kind[kind > 0]).tolist():
        those = kind == one
        first = HEADER_BYTES + (one >> 16)
        part = slice(first, first + (one & 0xFFFF))
        yield Payloads(wanted[those], batch.packets[places[those], part])


def _find_payloads(batch: Batch, places: Places) -> tuple[Places, Places]:
    """How far behind the fixed header each payload begins, and how long it is, which may be negative."""
    first = batch.packets[places, 0]
    lengths = batch.lengths[places]
    if (first == _PLAIN).all():
        return np.zeros(len(places), np.intp), lengths - HEADER_BYTES
    begin = 4 * (first & _SOURCES).astype(np.intp)
    last = batch.packets.shape[1] - 1
    extended = first & _EXTENSION != 0
    # RFC 3550 §5.3.1: two octets of the profile's, then the number of words that follow.
    words_at = np.minimum(HEADER_BYTES + begin + 2, last - 1)
    words = batch.packets[places, words_at].astype(np.intp) << 8
    words |= batch.packets[places, words_at + 1]
    begin += np.where(extended, 4 + 4 * words, 0)
    padding = batch.packets[places, np.clip(lengths - 1, 0, last)]
    length = lengths - HEADER_BYTES - begin - np.where(first & _PADDING != 0, padding, 0)
    # What is said to begin beyond the packet has no length.
    return np.minimum(begin, last), np.where(begin < lengths - HEADER_BYTES, length, -1)


class Decoders:
    """What each of up to `capacity` streams speaks."""

    def __init__(
        self, capacity: int, note_length: Callable[[int, int], None] = lambda row, samples: None
    ) -> None:
        """`note_length` is told how many samples a packet of a row held that was decoded by itself."""
        self._note_length = note_length
        self._payload_type = np.zeros(capacity, np.uint8)
        self._ticks_per_sample = np.ones(capacity, np.int64)
        self._decoders: dict[int, Callable[[bytes], NDArray[np.int16]]] = {}
        """Of the rows whose codec remembers what was before."""

    def expect(self, row: int, payload_type: int) -> None:
        """What a stream speaks from now on; a decoder that remembers begins anew where that is another."""
        if payload_type != self._payload_type[row]:
            self._decoders.pop(row, None)
        if payload_type not in LAWS and row not in self._decoders:
            self._decoders[row] = make_decoder(payload_type)
        self._payload_type[row] = payload_type
        ticks_per_ms = CODECS_BY_NUMBER[payload_type].ticks_per_ms
        self._ticks_per_sample[row] = ticks_per_ms // TIMESTAMPS_PER_MS

    def close(self, row: int) -> None:
        """Forget a stream."""
        self._decoders.pop(row, None)

    def ticks_per_sample(self, rows: Places) -> NDArray[np.int64]:
        """By how much the timestamps of these streams grow with each sample of 8 kHz."""
        return self._ticks_per_sample[rows]

    def decode(self, rows: Places, payloads: Payloads) -> Iterator[Spoken]:
        """The samples of payloads, `rows` being their streams, in the order of which they came. What says
        nothing is left out."""
        payload_type = self._payload_type[rows]
        for one, law in LAWS.items():
            those = np.flatnonzero(payload_type == one)
            if len(those) == len(rows):
                yield Spoken(payloads.places, law.decode(payloads.octets))
                return
            if len(those):
                yield Spoken(payloads.places[those], law.decode(payloads.octets[those]))
        yield from self._decode_each(rows, payloads, np.flatnonzero(payload_type > _LAWS_LAST))

    def _decode_each(self, rows: Places, payloads: Payloads, those: Places) -> Iterator[Spoken]:
        """The samples of codecs that remember, those of one length together."""
        by_length: dict[int, list[tuple[int, NDArray[np.int16]]]] = {}
        for row, at in zip(rows[those].tolist(), those.tolist(), strict=True):
            samples = self._decoders[row](payloads.octets[at].tobytes())
            self._note_length(row, len(samples))
            by_length.setdefault(len(samples), []).append((at, samples))
        by_length.pop(0, None)
        for alike in by_length.values():
            places = np.array([at for at, _ in alike], np.intp)
            yield Spoken(payloads.places[places], np.stack([samples for _, samples in alike]))
