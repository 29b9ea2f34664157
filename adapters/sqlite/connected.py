"""What every part of the store works with."""

from __future__ import annotations

from adapters.sqlite.readers import Readers
from adapters.sqlite.recalled import Recalled
from adapters.sqlite.writer import Writer
from engine.model import Flow
from engine.ports.clock import WallClock


class Connected:
    """The writer, the readers and a clock."""

    def __init__(self, writer: Writer, readers: Readers, clock: WallClock) -> None:
        self._writer = writer
        self._readers = readers
        self._clock = clock
        self._flows = Recalled[Flow | None](lambda: writer.epoch)
        self._unlisted = Recalled[bool](lambda: writer.epoch)
        """By account, whether nobody at all is on its do-not-call list."""
