"""What the payload types that callees send mean (RFC 3264 §5.1 and §6.1).

A callee sends to us under the numbers of our own description, and we to it under those of its own. Where
the two differ, as they may for telephone-event and for Opus, some callees send under their own all the
same; that is taken too, where it cannot mean anything else.

From here on a packet has the number that stands for its codec everywhere in this room, whatever was agreed,
or that of an event, which none on the wire has.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

EVENT: Final = 0x80
"""A telephone event. On the wire a payload type has seven bits."""
NOTHING: Final = 0xFF
"""What was not agreed."""
_TYPES: Final = 128


class Numbers(Struct, frozen=True):
    """The payload types of one call, as they are on the wire."""

    voice: int
    """The codec, by the number that stands for it in this room."""
    sent_voice: int
    sent_event: int | None
    """None where no events were agreed."""
    heard_voice: int
    """What our own description calls the codec."""
    heard_event: int | None

    def meanings(self) -> dict[int, int]:
        """What each number means that the callee may send. Those that we gave count before its own."""
        found = {self.sent_voice: self.voice}
        if self.sent_event is not None:
            found[self.sent_event] = EVENT
        found[self.heard_voice] = self.voice
        if self.heard_event is not None:
            found[self.heard_event] = EVENT
        return found


class NumberTable:
    """The meanings of the payload types of up to `capacity` streams."""

    def __init__(self, capacity: int) -> None:
        self._meanings = np.full((capacity, _TYPES), NOTHING, np.uint8)

    def clear(self, row: int) -> None:
        """Nothing was agreed for a stream yet."""
        self._meanings[row] = NOTHING

    def agree(self, row: int, numbers: Numbers) -> None:
        """What its callee sends from now on means this."""
        self.clear(row)
        for number, meaning in numbers.meanings().items():
            self._meanings[row, number] = meaning

    def read(self, rows: NDArray[np.intp], types: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What these payload types mean, each of another stream's packet."""
        meanings: NDArray[np.uint8] = self._meanings[rows, types]
        return meanings

    def read_one(self, row: int, payload_type: int) -> int:
        """The same for one packet."""
        return int(self._meanings[row, payload_type])
