"""A labelled corpus of what is heard after an answer, made on the spot.

espeak-ng speaks the greetings of `amd_greetings` in several voices, speeds and pitches; levels, noise,
ring-back, a telephone line's band, beeps and fax tones are mixed in, and all of it goes through G.711.
The same seed and the same espeak-ng give the same corpus, sample by sample.

These are synthetic voices: the figures compare one rule with another and show what a change breaks.
They promise nothing of a given country's callees.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Final, Literal

import numpy as np
import soxr
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.codecs.g711 import ALAW, SAMPLE_RATE_HZ, ULAW, Law
from bench.amd_greetings import HUMAN, MACHINE, RECEPTION, Spoken

Signal = NDArray[np.float64]
"""Samples at 8 kHz on the scale of signed 16 bits."""

Label = Literal["human", "reception", "machine", "fax", "unknown"]
"""Who answers; `reception` is a person with a long greeting, `unknown` is nobody, or only tones."""

SCENE_S: Final = 8.0
"""So long is a scene at least: longer than any analysis."""

_ESPEAK_RATE_HZ: Final = 22_050
_WAV_HEADER_BYTES: Final = 44
_FULL_SCALE: Final = 32_124.0 / 10 ** (3.17 / 20)
"""Amplitude of a sine of 0 dBm0 (ITU-T G.711: full scale is 3.17 dBm0 in the μ-law)."""
_INAUDIBLE: Final = 300.0
"""espeak-ng's own voice peaks near 20,000."""
_TONES_PER_RENDITION: Final = 6
_VARIANTS: Final = ("", "+m1", "+m3", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5", "+grandpa")

_RING_BACKS: Final[tuple[tuple[float, ...], ...]] = ((440, 480), (400, 450), (425,))
"""North America, United Kingdom, most of Europe (ITU-T E.180 supplement 2)."""
_BEEPS_HZ: Final = (440, 500, 620, 850, 1000, 1200, 1400, 1750)


class Scene(Struct, frozen=True):
    """One call, from its answer on."""

    name: str
    label: Label
    samples: NDArray[np.int16]
    """Decoded G.711."""
    speech_begins_ms: int = 0
    """When somebody begins to speak."""
    beep_ends_ms: int | None = None
    """When the machine's beep ends."""


class _Line(Struct, frozen=True):
    """How a scene's sound comes here."""

    loudness: float
    """Root mean square of the speech where it is not silent."""
    noise: Noise
    noise_share: float
    """Root mean square of the noise, beside that of the speech."""
    is_narrow: bool
    """Whether the line carries 300 to 3,400 Hz only."""
    law: Law


Noise = Literal["none", "white", "pink", "babble"]
_NOISE_KINDS: Final[tuple[Noise, ...]] = ("none", "white", "pink", "babble")


class _Played(Struct):
    """What is played to us on a line, before the line's own noise."""

    parts: list[Signal]
    speech: int | None = None
    """Which part is speech that begins."""
    beep: int | None = None
    """Which part is a beep."""

    def end_ms(self, parts: int) -> int:
        """When so many parts are over."""
        return round(sum(len(part) for part in self.parts[:parts]) / SAMPLE_RATE_HZ * 1000)


def make_corpus(espeak: str, seed: int, renditions: int) -> Iterator[Scene]:
    """Scenes of every greeting, each in so many renditions, and of the tones beside them.

    `espeak` is the path of the program. Raises `OSError` where it cannot be run and
    `subprocess.CalledProcessError` where it fails.
    """
    for kind, (label, greetings, play) in enumerate(_SPOKEN):
        for number, spoken in enumerate(greetings):
            for rendition in range(renditions):
                # Chance begins anew for each scene: one more greeting changes no other scene.
                chance = np.random.default_rng([seed, kind, number, rendition])
                line = _draw_line(chance)
                speech = _level(_speak_somehow(espeak, spoken, chance), line.loudness)
                name = f"{label} {number}.{rendition} {spoken[1][:24]}"
                yield _finish(espeak, name, label, play(speech, chance), line, chance)
    for kind, (label, play_tones) in enumerate(_TONES, start=len(_SPOKEN)):
        for number in range(_TONES_PER_RENDITION * renditions):
            chance = np.random.default_rng([seed, kind, number])
            line = _draw_line(chance)
            yield _finish(espeak, f"{label} {number}", label, play_tones(chance), line, chance)


def tone(hz: tuple[float, ...], duration_s: float, dbm0: float) -> Signal:
    """One tone, or several of the same level each."""
    moments = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    amplitude = _FULL_SCALE * 10 ** (dbm0 / 20)
    return sum(
        (amplitude * np.sin(2 * np.pi * one * moments) for one in hz), np.zeros_like(moments)
    )


def silence(duration_s: float) -> Signal:
    """Nothing."""
    return np.zeros(round(duration_s * SAMPLE_RATE_HZ))


def speak(espeak: str, voice: str, text: str, words_per_minute: int, pitch: int) -> Signal:
    """What espeak-ng says, at 8 kHz."""
    command = [espeak, "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "--stdout", text]
    # The program is the caller's, and the text is never read by a shell.
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603
    spoken = np.frombuffer(done.stdout[_WAV_HEADER_BYTES:], "<i2").astype(np.float64)
    resampled: Signal = soxr.resample(spoken, _ESPEAK_RATE_HZ, SAMPLE_RATE_HZ)
    return resampled


def _speak_somehow(espeak: str, spoken: Spoken, chance: np.random.Generator) -> Signal:
    language, text = spoken
    variant = _VARIANTS[chance.integers(len(_VARIANTS))]
    speed, pitch = int(chance.integers(140, 195)), int(chance.integers(30, 70))
    return _trim(speak(espeak, language + variant, text, speed, pitch))


def _trim(speech: Signal) -> Signal:
    """Without the silence that espeak-ng puts after a sentence."""
    loud = np.flatnonzero(np.abs(speech) > _INAUDIBLE)
    return speech[loud[0] : loud[-1] + 1]


def _level(speech: Signal, loudness: float) -> Signal:
    active = speech[np.abs(speech) > _INAUDIBLE]
    leveled: Signal = speech * (loudness / np.sqrt(np.mean(active**2)))
    return leveled


def _play_human(speech: Signal, chance: np.random.Generator) -> _Played:
    parts = [_ring_back(chance), silence(chance.uniform(0.1, 1.4)), speech]
    if chance.random() < 0.25:
        # Nobody answers the person, who asks again.
        parts += [silence(chance.uniform(1.2, 2.5)), speech]
    return _Played(parts, speech=2)


def _play_machine(speech: Signal, chance: np.random.Generator) -> _Played:
    parts = [_ring_back(chance), silence(chance.uniform(0.2, 1.6)), speech]
    if chance.random() < 0.3:
        return _Played(parts, speech=2)
    parts.append(silence(chance.uniform(0.2, 1.0)))
    hz = float(chance.choice(_BEEPS_HZ))
    parts.append(tone((hz,), chance.uniform(0.15, 0.9), chance.uniform(-20, -8)))
    return _Played([*parts, silence(2.0)], speech=2, beep=4)


def _play_fax(chance: np.random.Generator) -> _Played:
    """A fax that answers sends CED; one that calls sends CNG (ITU-T T.30 §4)."""
    dbm0 = chance.uniform(-25, -10)
    before = silence(chance.uniform(0.2, 2.0))
    if chance.random() < 0.5:
        return _Played([before, tone((2100 + chance.uniform(-15, 15),), 3.0, dbm0)])
    burst = tone((1100 + chance.uniform(-38, 38),), 0.5, dbm0)
    return _Played([before, burst, silence(3.0), burst])


def _play_nobody(chance: np.random.Generator) -> _Played:
    """Nobody speaks; every second of these lines rings."""
    before = silence(chance.uniform(0.2, 1.0))
    if chance.random() < 0.5:
        return _Played([before])
    burst = tone(_RING_BACKS[chance.integers(len(_RING_BACKS))], 1.0, -16)
    return _Played([before, burst, silence(4.0), burst])


def _ring_back(chance: np.random.Generator) -> Signal:
    """The end of the ringing, in every fourth call."""
    hz = _RING_BACKS[chance.integers(len(_RING_BACKS))]
    ringing = tone(hz, chance.uniform(0.2, 1.0), chance.uniform(-20, -12))
    return ringing if chance.random() < 0.25 else silence(0)


def _draw_line(chance: np.random.Generator) -> _Line:
    return _Line(
        loudness=_FULL_SCALE / np.sqrt(2) * 10 ** (chance.uniform(-30, -14) / 20),
        noise=_NOISE_KINDS[chance.integers(len(_NOISE_KINDS))],
        noise_share=10 ** (-chance.uniform(15, 35) / 20),
        is_narrow=bool(chance.random() < 0.6),
        law=ALAW if chance.random() < 0.5 else ULAW,
    )


def _finish(
    espeak: str, name: str, label: Label, played: _Played, line: _Line, chance: np.random.Generator
) -> Scene:
    sound = np.concatenate(played.parts)
    sound = np.concatenate([sound, silence(max(0.0, SCENE_S - len(sound) / SAMPLE_RATE_HZ))])
    noise = _make_noise(espeak, line.noise, len(sound), chance)
    sound = sound + noise * (line.loudness * line.noise_share)
    if line.is_narrow:
        sound = _limit_band(sound)
    linear = np.clip(np.rint(sound), -32_768, 32_767).astype(np.int16)
    return Scene(
        name=name,
        label=label,
        samples=line.law.decode(line.law.encode(linear)),
        speech_begins_ms=0 if played.speech is None else played.end_ms(played.speech),
        beep_ends_ms=None if played.beep is None else played.end_ms(played.beep + 1),
    )


def _make_noise(espeak: str, kind: Noise, count: int, chance: np.random.Generator) -> Signal:
    """Noise of a root mean square of 1."""
    if kind == "none":
        return np.zeros(count)
    if kind == "babble":
        sound = sum(
            (np.roll(np.resize(one, count), chance.integers(count)) for one in _crowd(espeak)),
            np.zeros(count),
        )
    elif kind == "pink":
        sound = _shape(chance.standard_normal(count), lambda hz: 1 / np.sqrt(np.maximum(hz, 50)))
    else:
        sound = chance.standard_normal(count)
    scaled: Signal = sound / np.sqrt(np.mean(sound**2))
    return scaled


@cache
def _crowd(espeak: str) -> tuple[Signal, ...]:
    """Six people who talk elsewhere in the room."""
    talkers = zip(_VARIANTS[1:], MACHINE, strict=False)
    spoken = (speak(espeak, of[0] + variant, of[1], 170, 50) for variant, of in talkers)
    return tuple(_level(one, 1.0) for one in islice(spoken, 6))


def _limit_band(sound: Signal) -> Signal:
    def passes(hz: Signal) -> Signal:
        gain: Signal = np.clip((hz - 200) / 100, 0, 1) * np.clip((3600 - hz) / 200, 0, 1)
        return gain

    return _shape(sound, passes)


def _shape(sound: Signal, gain: Callable[[Signal], Signal]) -> Signal:
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE_HZ).astype(np.float64)
    shaped: Signal = np.fft.irfft(spectrum * gain(hz), len(sound))
    return shaped


_SPOKEN: Final[
    tuple[tuple[Label, tuple[Spoken, ...], Callable[[Signal, np.random.Generator], _Played]], ...]
] = (
    ("human", HUMAN, _play_human),
    ("reception", RECEPTION, _play_human),
    ("machine", MACHINE, _play_machine),
)
_TONES: Final[tuple[tuple[Label, Callable[[np.random.Generator], _Played]], ...]] = (
    ("fax", _play_fax),
    ("unknown", _play_nobody),
)
