"""How much room spoken texts take, and which of them goes when there is no more. Pure.

A text that is held stays whatever happens; of the others the one that was not used for longest goes
first.
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct


class RoomFull(Exception):
    """There is no room even without all the texts that nobody holds."""


class Kept(Struct, eq=False):
    """One spoken text that is kept."""

    prompt_id: str
    duration_s: float
    size_bytes: int
    holders: int = 0
    """Who uses it now."""


class Room:
    """Spoken texts of `bytes_max` at most."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held: dict[str, Kept] = {}
        self._idle: OrderedDict[str, Kept] = OrderedDict()
        """The one that was not used for longest is first."""
        self._held_bytes = 0
        self._idle_bytes = 0

    @property
    def size_bytes(self) -> int:
        """What all of them take."""
        return self._held_bytes + self._idle_bytes

    def __len__(self) -> int:
        return len(self._held) + len(self._idle)

    def hold(self, prompt_id: str) -> Kept | None:
        """A text that stays until it is released as often as it was held; None where it is not kept."""
        kept = self._held.get(prompt_id)
        if kept is None:
            kept = self._idle.pop(prompt_id, None)
            if kept is None:
                return None
            self._idle_bytes -= kept.size_bytes
            self._keep_held(kept)
        kept.holders += 1
        return kept

    def release(self, kept: Kept) -> None:
        """Give back what `hold` or `add` gave."""
        kept.holders -= 1
        assert kept.holders >= 0
        if not kept.holders:
            self._held_bytes -= self._held.pop(kept.prompt_id).size_bytes
            self._keep_idle(kept)

    def make_way(self, size_bytes: int) -> tuple[Kept, ...]:
        """Take as many texts out as one of this size needs to fit. Raises `RoomFull`, and takes none."""
        if self._held_bytes + size_bytes > self._bytes_max:
            raise RoomFull
        gone = []
        while self.size_bytes + size_bytes > self._bytes_max:
            _, kept = self._idle.popitem(last=False)
            self._idle_bytes -= kept.size_bytes
            gone.append(kept)
        return tuple(gone)

    def add(self, kept: Kept) -> None:
        """Keep a text that is not kept yet, as `make_way` made room for it."""
        assert kept.prompt_id not in self._held
        assert kept.prompt_id not in self._idle
        if kept.holders:
            self._keep_held(kept)
        else:
            self._keep_idle(kept)

    def _keep_held(self, kept: Kept) -> None:
        self._held[kept.prompt_id] = kept
        self._held_bytes += kept.size_bytes

    def _keep_idle(self, kept: Kept) -> None:
        self._idle[kept.prompt_id] = kept
        self._idle_bytes += kept.size_bytes
