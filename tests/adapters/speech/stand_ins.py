"""A synthesiser and a shelf that run where the test runs, and write down what they were asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar, TypeVarTuple

import numpy as np
import trio
from msgspec import Struct, field
from numpy.typing import NDArray

from adapters.speech.synthesiser import Description, Sound, SynthesiserMissing
from adapters.workers import InlineWorkers
from engine.ports.speech import Voice

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


class Parrot(Struct, eq=False):
    """A synthesiser whose texts sound for a tenth of a second a letter."""

    version: str = "parrot 1"
    missing: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(text, voice) of each synthesis."""
    failures: list[Exception] = field(default_factory=list)
    """Raised by the next syntheses, one by each."""

    def describe(self) -> Description:
        if self.missing:
            raise SynthesiserMissing("no parrot")
        return Description(
            self.version, (Voice("en", "en", "Parrot"), Voice("de", "de", "Papagei"))
        )

    def make(self, text: str, voice: str) -> Sound:
        self.asked.append((text, voice))
        if self.failures:
            raise self.failures.pop(0)
        letters = sum(character.isalpha() for character in text)
        return Sound(np.ones(800 * letters, np.int16), 8_000)


class Lying(NamedTuple):
    """A sound on the shelf of a test."""

    prompt_id: str
    duration_s: float
    size_bytes: int


class Board(Struct, eq=False):
    """A shelf in memory: a hundred bytes for each tenth of a second."""

    lying: dict[str, Lying] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)

    def add_samples(self, prompt_id: str, samples: NDArray[np.int16], rate_hz: int) -> Lying:
        duration_s = len(samples) / rate_hz
        self.lying[prompt_id] = Lying(prompt_id, duration_s, round(duration_s * 1_000))
        return self.lying[prompt_id]

    def discard(self, prompt_id: str) -> None:
        self.discarded.append(prompt_id)
        self.lying.pop(prompt_id, None)

    def list_kept(self, prefix: str) -> list[Lying]:
        return [lying for lying in self.lying.values() if lying.prompt_id.startswith(prefix)]


class GatedWorkers(InlineWorkers):
    """Does the work where it stands, but waits before work whose name is in `closed`."""

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.waiting: list[str] = []
        self._changed = trio.Event()

    async def run(self, function: Callable[[*Ts], R], *args: *Ts) -> R:
        await trio.lowlevel.checkpoint()
        self.waiting.append(function.__name__)
        try:
            while function.__name__ in self.closed:
                await self._changed.wait()
        finally:
            self.waiting.remove(function.__name__)
        return function(*args)

    def open(self, name: str) -> None:
        self.closed.discard(name)
        self._changed.set()
        self._changed = trio.Event()
