"""A stream of lines, as NDJSON is, cut into blocks that are judged and stored one by one."""

from __future__ import annotations

from typing import Final, Protocol

import trio
from msgspec import Struct

from engine.intake.refused import Refused
from engine.intake.table import RECORD_CHARS_MAX

BLOCK_LINES: Final = 1_000
"""Lines that are a block by themselves: more are not waited for."""
BLOCK_LINES_MAX: Final = 4_000
"""Lines of a block, where more are there already: some 5 ms of the engine's time, and one commit."""
BLOCK_BYTES: Final = 262_144
"""A block that is as large is not waited for to grow."""
LINE_BYTES_MAX: Final = 4 * RECORD_CHARS_MAX
FLUSH_S: Final = 0.1
"""How long whole lines wait for others to come."""


class ByteSource(Protocol):
    """Bytes as they come."""

    async def receive(self) -> bytes:
        """Some of them; none at the end. Nothing is lost where it is cancelled."""

    def receive_nowait(self) -> bytes:
        """Those that are there; none where none are."""


class Block(Struct, frozen=True):
    """Some whole lines."""

    data: bytes
    lines_before: int
    lines: int
    """How many, blank ones included."""


class LineCutter:
    """Cuts a source into blocks."""

    def __init__(self, source: ByteSource, lines_before: int) -> None:
        self._source = source
        self._lines_before = lines_before
        self._held = bytearray()
        self._lines = 0
        """Whole lines in `_held`."""
        self._is_ended = False

    async def next(self) -> Block | None:
        """The next block, as large as one may be or as what came when nothing has come for `FLUSH_S`; None at
        the end. Raises `Refused("body_too_large")` for a line that is too long."""
        while not self._is_full and not self._is_ended:
            if not self._lines:
                self._take(await self._source.receive())
                continue
            with trio.move_on_after(FLUSH_S) as waited:
                self._take(await self._source.receive())
            if waited.cancelled_caught:
                break
        return self._cut()

    def next_nowait(self) -> Block | None:
        """The next block, if it is there and as large as one may be."""
        while not self._is_full and not self._is_ended:
            data = self._source.receive_nowait()
            if not data:
                return None
            self._take(data)
        return self._cut() if self._is_full else None

    @property
    def _is_full(self) -> bool:
        return self._lines >= BLOCK_LINES or (self._lines > 0 and len(self._held) >= BLOCK_BYTES)

    def _take(self, data: bytes) -> None:
        self._held += data
        self._lines += data.count(b"\n")
        self._is_ended = not data
        if not self._lines and len(self._held) > LINE_BYTES_MAX:
            raise Refused("body_too_large", f"A line has at most {LINE_BYTES_MAX} bytes.")

    def _cut(self) -> Block | None:
        end = self._find_end()
        if not end:
            return None
        data = bytes(memoryview(self._held)[:end])
        del self._held[:end]
        newlines = data.count(b"\n")
        self._lines -= newlines
        block = Block(data, self._lines_before, newlines + (not data.endswith(b"\n")))
        self._lines_before += block.lines
        return block

    def _find_end(self) -> int:
        """Where the next block ends: after its lines, or with all that there is."""
        if self._lines > BLOCK_LINES_MAX:
            at = 0
            for _ in range(BLOCK_LINES_MAX):
                at = self._held.index(b"\n", at) + 1
            return at
        return len(self._held) if self._is_ended else self._held.rfind(b"\n") + 1
