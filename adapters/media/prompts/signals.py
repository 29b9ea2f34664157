"""Prompts that need no recording: silence and tones, written down as text.

    silence:2s    tone:440/500ms    tone:350+440/2s

A signal is made into a prompt as any recording is, and is then played as any prompt.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.codecs.g711 import SAMPLE_RATE_HZ

TONES_MAX: Final = 4
"""Frequencies that sound together."""
FREQUENCY_HZ_MIN: Final = 100
FREQUENCY_HZ_MAX: Final = 3_400
"""A telephone line carries no more."""
DURATION_MS_MIN: Final = 20
DURATION_MS_MAX: Final = 60_000
FADE_MS: Final = 5
"""A tone comes and goes for so long, because a sudden one clicks."""

_SIGNAL: Final = re.compile(
    r"(?:silence:|tone:(?P<tones>[0-9]{1,4}(?:\+[0-9]{1,4}){0,9})/)(?P<number>[0-9]{1,5})(?P<unit>ms|s)"
)
_UNITS_MS: Final = {"ms": 1, "s": 1000}


class BadSignal(ValueError):
    """A text that says no silence and no tone; its message says what is wrong."""


class Signal(Struct, frozen=True):
    """Silence, or tones that sound together."""

    duration_ms: int
    frequencies_hz: tuple[int, ...] = ()
    """None is silence."""

    @property
    def prompt_id(self) -> str:
        """The id of the prompt that sounds like this, whichever way it was written down."""
        kind = (
            "-".join(("tone", *map(str, self.frequencies_hz))) if self.frequencies_hz else "silence"
        )
        return f"{kind}-{self.duration_ms}ms"

    def make_samples(self) -> NDArray[np.float32]:
        """The sound at 8 kHz, -1 to 1; all tones are equally strong, and together fill the scale."""
        at = np.arange(SAMPLE_RATE_HZ * self.duration_ms // 1000)
        sound = np.zeros(len(at))
        for frequency_hz in self.frequencies_hz:
            sound += np.sin(2 * np.pi * frequency_hz / SAMPLE_RATE_HZ * at)
        fade = SAMPLE_RATE_HZ * FADE_MS // 1000
        to_the_end = np.minimum(at, at[::-1])
        sound *= np.minimum(1.0, to_the_end / fade) / max(1, len(self.frequencies_hz))
        return sound.astype(np.float32)


def read_signal(text: str) -> Signal:
    """What `silence:DURATION` or `tone:HZ[+HZ…]/DURATION` says. Raises `BadSignal`."""
    match = _SIGNAL.fullmatch(text)
    if match is None:
        raise BadSignal("a signal is written silence:2s, tone:440/500ms or tone:350+440/2s")
    duration_ms = int(match["number"]) * _UNITS_MS[match["unit"]]
    if not DURATION_MS_MIN <= duration_ms <= DURATION_MS_MAX:
        raise BadSignal(f"a signal lasts {DURATION_MS_MIN} to {DURATION_MS_MAX} ms")
    frequencies_hz = tuple(sorted(map(int, match["tones"].split("+")))) if match["tones"] else ()
    if len(frequencies_hz) > TONES_MAX:
        raise BadSignal(f"at most {TONES_MAX} tones sound together")
    if any(not FREQUENCY_HZ_MIN <= hz <= FREQUENCY_HZ_MAX for hz in frequencies_hz):
        raise BadSignal(f"a tone is of {FREQUENCY_HZ_MIN} to {FREQUENCY_HZ_MAX} Hz")
    return Signal(duration_ms, frequencies_hz)
