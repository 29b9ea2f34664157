"""Where spoken texts lie, and the work that is done with them in worker processes.

A shelf belongs to another room (the media plane's prompts are one); whoever puts the program together
hands it in. It takes samples and gives them an id that calls can play.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adapters.speech.synthesiser import Description, Synthesiser
from engine.ports.speech import SpeechRefused


class OnShelf(Protocol):
    """A sound that a shelf keeps."""

    @property
    def prompt_id(self) -> str: ...

    @property
    def duration_s(self) -> float: ...

    @property
    def size_bytes(self) -> int:
        """What it takes of the disk."""


class Shelf(Protocol):
    """Made of values only, because it is sent to worker processes; its methods are called there."""

    def add_samples(self, prompt_id: str, samples: NDArray[np.int16], rate_hz: int) -> OnShelf:
        """Keep one channel of sound so that calls can play it under the id."""

    def discard(self, prompt_id: str) -> None:
        """Forget a sound; one that is not kept is forgotten already."""

    def list_kept(self, prefix: str) -> Sequence[OnShelf]:
        """The sounds whose id begins so, the one that was made first in front."""


def describe(synthesiser: Synthesiser) -> Description:
    """What it can do. Raises `SynthesiserMissing`."""
    return synthesiser.describe()


def put_on_shelf(
    synthesiser: Synthesiser, shelf: Shelf, prompt_id: str, text: str, voice: str
) -> tuple[float, int]:
    """Speak a text and keep it: (its seconds, its bytes on the disk). Raises `SpeechRefused`, and
    whatever goes wrong in the synthesiser or on the shelf."""
    sound = synthesiser.make(text, voice)
    if not len(sound.samples):
        raise SpeechRefused("no_text", "nothing in the text can be spoken in this voice")
    kept = shelf.add_samples(prompt_id, sound.samples, sound.rate_hz)
    return kept.duration_s, kept.size_bytes


def discard_all(shelf: Shelf, prompt_ids: tuple[str, ...]) -> None:
    """Forget them all."""
    for prompt_id in prompt_ids:
        shelf.discard(prompt_id)


def list_shelf(shelf: Shelf, prefix: str) -> list[tuple[str, float, int]]:
    """(id, seconds, bytes) of what lies there, the one that was made first in front."""
    return [(kept.prompt_id, kept.duration_s, kept.size_bytes) for kept in shelf.list_kept(prefix)]
