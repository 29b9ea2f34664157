"""What every part of the store works with."""

from __future__ import annotations

from adapters.sqlite.readers import Readers
from adapters.sqlite.writer import Writer
from engine.ports.clock import WallClock


class Connected:
    """The writer, the readers and a clock."""

    def __init__(self, writer: Writer, readers: Readers, clock: WallClock) -> None:
        self._writer = writer
        self._readers = readers
        self._clock = clock
