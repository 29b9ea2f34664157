"""Chance for tests."""

from __future__ import annotations

from hashlib import blake2b


class Dice:
    """Chance that comes out the same each time."""

    def __init__(self) -> None:
        self._throws = 0

    def random(self) -> float:
        return self.getrandbits(32) / 2**32

    def getrandbits(self, bits: int, /) -> int:
        self._throws += 1
        size = max(16, (bits + 7) // 8)
        digest = blake2b(b"%d" % self._throws, digest_size=size).digest()
        return int.from_bytes(digest, "big") >> (8 * size - bits)
