"""What is said and heard on the calls of flows: tones, texts, and what of them reached the callee."""

from __future__ import annotations

import io
import subprocess
import wave
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from adapters.media.codecs.g711 import SAMPLE_RATE_HZ, decode_ulaw

FRAME = 160
LOUD = 120.0
"""Root mean square from which 20 ms are no silence."""
PURE = 0.8
"""Share of its power that a tone has in one frequency."""
TONE_FRAMES_MIN = 3
HOP = 80
"""A picture of a sound has a line every 10 ms."""
WINDOW = 256
BAND_EDGES = (3, 6, 10, 14, 18, 23, 28, 34, 41, 50, 61, 74, 90, 110)
FLOOR = 1e7
"""Power below which it is quiet."""
PROBE = 80
"""A text is found by the first lines of its picture."""
BLOCK = 40
"""… and followed in pieces of so many lines."""
DRIFT = 6
"""Lines that a piece may be earlier or later than the one before."""
LOST_BLOCKS = 4
"""It has ended where so many pieces in a row are not alike: versions of espeak-ng pause differently."""
END_BLOCKS = 2
"""It was heard to its end where no more pieces than these are missing."""
ALIKE = 0.85
ALIKE_BLOCK = 0.6
"""Correlations from which a beginning, and a piece, are the same."""
UNEXPLAINED_S = 0.12
"""Sound of this length that belongs to nothing expected is told as `?`."""

Samples = NDArray[np.int16]
Picture = NDArray[np.float64]


def make_wave(samples: Samples, rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """A WAV file, mono."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def read_wave(content: bytes) -> Samples:
    """The samples of a WAV file of 8,000 Hz."""
    with wave.open(io.BytesIO(content), "rb") as reader:
        assert (reader.getnchannels(), reader.getframerate()) == (1, SAMPLE_RATE_HZ)
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2")


def make_tone(hz: int, duration_s: float, level: int = 8_000) -> Samples:
    """A sine."""
    seconds = np.arange(round(SAMPLE_RATE_HZ * duration_s)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * hz * seconds)).astype(np.int16)


@cache
def make_speech(text: str) -> Samples:
    """A text as the program espeak-ng speaks it, at 8,000 Hz."""
    command = ["espeak-ng", "-v", "en-us", "--stdout", "--", text]
    said = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    with wave.open(io.BytesIO(said), "rb") as reader:
        # It writes to a pipe, and so cannot say how long it is.
        samples = np.frombuffer(reader.readframes(10**7), "<i2").astype(np.float64)
        rate_hz = reader.getframerate()
    count = round(len(samples) * SAMPLE_RATE_HZ / rate_hz)
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    made = np.fft.irfft(spectrum, count) * (count / len(samples))
    return made.clip(-32_768, 32_767).astype(np.int16)


class Heard:
    """One direction of a call: 20 ms of G.711 μ-law a packet, in their places by their timestamps."""

    def __init__(self) -> None:
        self._frames: dict[int, Samples] = {}
        self._first: int | None = None
        self.latest: Samples = np.zeros(FRAME, np.int16)

    def take(self, timestamp: int, payload: bytes) -> None:
        """One packet of sound."""
        if self._first is None:
            self._first = timestamp
        place = (timestamp - self._first) & 0xFFFF_FFFF
        self.latest = decode_ulaw(np.frombuffer(payload, np.uint8))
        self._frames[place // FRAME] = self.latest

    @property
    def samples(self) -> Samples:
        """All of it, with silence where nothing came."""
        whole = np.zeros((max(self._frames, default=-1) + 1, FRAME), np.int16)
        for place, frame in self._frames.items():
            whole[place, : len(frame)] = frame
        return whole.reshape(-1)


def is_loud(samples: Samples) -> bool:
    """Whether there is anything to hear."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) > LOUD


def tone_of(frame: Samples) -> int | None:
    """The frequency of 20 ms that are a tone, in steps of 50 Hz."""
    if not is_loud(frame):
        return None
    power = np.abs(np.fft.rfft(frame.astype(np.float64))) ** 2
    best = int(np.argmax(power))
    near = power[max(0, best - 1) : best + 2].sum()
    return best * SAMPLE_RATE_HZ // FRAME if near > PURE * power.sum() else None


def read_tones(samples: Samples) -> list[int]:
    """The tones that were heard, in order; one after itself counts once where no pause lies between."""
    found: list[int] = []
    last, lasted = None, 0
    for start in range(0, len(samples) - FRAME + 1, FRAME):
        tone = tone_of(samples[start : start + FRAME])
        lasted = lasted + 1 if tone == last else 1
        last = tone
        if tone is not None and lasted == TONE_FRAMES_MIN:
            found.append(tone)
    return found


def read_texts(samples: Samples, texts: Sequence[str]) -> list[str]:
    """Which of these texts were heard, in order. One that was not heard to its end has `…` behind it; sound
    that is none of them is `?`. The beginnings of the texts must differ."""
    heard = _picture(samples)
    found: list[tuple[int, int, str]] = []
    for text in texts:
        wanted = _picture(make_speech(text))
        for start in _find(heard, wanted[:PROBE]):
            matched = _matched(heard[start:], wanted)
            is_whole = matched >= len(wanted) - END_BLOCKS * BLOCK
            found.append((start, matched, text if is_whole else f"{text}…"))
    for start, length in _loud_stretches(samples):
        begins, ends = start // HOP, (start + length) // HOP
        if not any(
            at - BLOCK <= begins and ends <= at + size + BLOCK * END_BLOCKS for at, size, _ in found
        ):
            found.append((begins, length // HOP, "?"))
    return [text for _, _, text in sorted(found)]


def correlate(samples: Samples, wanted: Samples) -> float:
    """How alike the best stretch of a sound is to another one, 0 to 1."""
    return float(_correlations(samples, wanted).max(initial=0.0))


def _correlations(samples: Samples, wanted: Samples) -> NDArray[np.float64]:
    """Normalised, at every place where the wanted one fits."""
    if len(samples) < len(wanted) or not len(wanted):
        return np.zeros(0)
    heard, like = samples.astype(np.float64), wanted.astype(np.float64)
    size = 1 << (len(heard) + len(like) - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(like, size)), size)
    energy = np.concatenate(([0.0], np.cumsum(heard**2)))
    energies = energy[len(like) :] - energy[: -len(like)]
    scale = np.sqrt(energies * np.sum(like**2)) + 1e-9 + LOUD**2 * 0.01 * len(like)
    result: NDArray[np.float64] = products[: len(energies)] / scale
    return result


def _picture(samples: Samples) -> Picture:
    """How loud each band of the sound is, every 10 ms, on a scale of levels. The same text sounds a little
    different each time that espeak-ng speaks it, and looks the same."""
    padded = np.pad(samples.astype(np.float64), (0, WINDOW))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW))) ** 2
    bands = np.add.reduceat(power, BAND_EDGES, axis=1)[:, :-1]
    picture: Picture = np.log10(bands + FLOOR)
    return picture


def _find(heard: Picture, probe: Picture) -> list[int]:
    """Where something begins that looks like the probe."""
    if len(heard) < len(probe):
        return []
    windows = np.lib.stride_tricks.sliding_window_view(heard, len(probe), axis=0)
    wanted = (probe - probe.mean()).T
    count = wanted.size
    sums = windows.sum(axis=(1, 2))
    energies = np.einsum("nbt,nbt->n", windows, windows) - sums**2 / count
    products = np.einsum("nbt,bt->n", windows, wanted)
    scale = np.sqrt(np.maximum(energies, 1e-6) * (wanted**2).sum())
    alike = products / scale
    places: list[int] = []
    for at in np.argsort(alike)[::-1]:
        if alike[at] < ALIKE:
            break
        if all(abs(int(at) - place) > len(probe) // 2 for place in places):
            places.append(int(at))
    return places


def _matched(heard: Picture, wanted: Picture) -> int:
    """For how long two pictures are alike from their beginning on: they may drift apart a little."""
    shift = 0
    matched = missed = 0
    for at in range(0, len(wanted) - BLOCK + 1, BLOCK):
        block = wanted[at : at + BLOCK]
        reach = DRIFT * (1 + missed)
        best, best_shift = max(
            (_likeness(heard[max(0, at + moved) :][:BLOCK], block), moved)
            for moved in range(shift - reach, shift + reach + 1)
        )
        if best >= ALIKE_BLOCK:
            matched, missed, shift = at + BLOCK, 0, best_shift
        else:
            missed += 1
            if missed == LOST_BLOCKS:
                break
    return matched


def _likeness(one: Picture, other: Picture) -> float:
    """Their correlation, -1 to 1."""
    if one.shape != other.shape:
        return -1.0
    first, second = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    if scale < 1e-6:
        return 1.0 if abs(float(one.mean() - other.mean())) < 1.0 else 0.0
    return float((first * second).sum()) / scale


def _loud_stretches(samples: Samples) -> list[tuple[int, int]]:
    """(begin, length) of every stretch of sound that is too long for a click."""
    loud = [is_loud(samples[at : at + FRAME]) for at in range(0, len(samples) - FRAME + 1, FRAME)]
    stretches = []
    begun: int | None = None
    for place, now in enumerate([*loud, False]):
        if now and begun is None:
            begun = place
        elif not now and begun is not None:
            if (place - begun) * FRAME >= UNEXPLAINED_S * SAMPLE_RATE_HZ:
                stretches.append((begun * FRAME, (place - begun) * FRAME))
            begun = None
    return stretches
