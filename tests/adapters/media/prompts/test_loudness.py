"""Loudness as the standards' own test signals have it, and peaks that are never cut off."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adapters.media.prompts.loudness import CEILING, GAIN_DB_MAX, TARGET_LUFS, level, measure_lufs


def tone(dbfs: float, duration_s: float, hz: float = 1_000.0) -> NDArray[np.float32]:
    """A tone whose peaks are so many dB from full scale."""
    at = np.arange(int(duration_s * 8_000))
    wave: NDArray[np.float64] = 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz / 8_000 * at)
    return wave.astype(np.float32)


EBU_TECH_3341 = {
    "case 1": [(-23.0, 20.0)],
    "case 2": [(-33.0, 20.0)],
    "case 3": [(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)],
    "case 4": [(-72.0, 10.0), (-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0), (-72.0, 10.0)],
    "case 5": [(-26.0, 20.0), (-20.0, 20.1), (-26.0, 20.0)],
}
"""Peaks in dBFS and seconds of each part. The loudness to be shown is -23 LUFS (-33 in case 2) for two
channels, and 3.01 LU less for one."""


@pytest.mark.parametrize("case", EBU_TECH_3341)
def test_the_test_signals_of_ebu_tech_3341_are_measured_within_its_tolerance(case: str) -> None:
    sound = np.concatenate([tone(dbfs, duration_s) for dbfs, duration_s in EBU_TECH_3341[case]])
    expected = -33.0 if case == "case 2" else -23.0
    assert measure_lufs(sound) == pytest.approx(expected - 3.01, abs=0.1)


def test_a_tone_of_full_scale_has_the_loudness_of_bs_1770() -> None:
    assert measure_lufs(tone(0.0, 5.0, hz=997.0)) == pytest.approx(-3.01, abs=0.02)


def test_low_sound_counts_little_and_high_sound_more() -> None:
    at_1_khz, low, high = (measure_lufs(tone(-20.0, 2.0, hz)) for hz in (1_000.0, 40.0, 3_400.0))
    assert (low < at_1_khz - 4, at_1_khz + 2 < high < at_1_khz + 4) == (True, True)


@pytest.mark.parametrize("count", [0, 1, 100, 8_000])
def test_silence_has_no_loudness_and_stays_silence(count: int) -> None:
    silence = np.zeros(count, np.float32)
    assert measure_lufs(silence) == -math.inf
    np.testing.assert_array_equal(level(silence), silence)


def test_a_beep_shorter_than_a_block_is_measured_too() -> None:
    assert measure_lufs(tone(-20.0, 0.1)) == pytest.approx(-23.01, abs=0.1)


def test_pauses_do_not_make_speech_louder() -> None:
    words = tone(-10.0, 1.0)
    with_pauses = np.concatenate([words, np.zeros(40_000, np.float32), words])
    assert measure_lufs(level(with_pauses)) == pytest.approx(TARGET_LUFS, abs=0.2)
    np.testing.assert_allclose(level(with_pauses)[:8_000], level(words), rtol=0.1, atol=1e-3)


def test_a_whisper_is_raised_by_no_more_than_the_bound() -> None:
    whisper = tone(-60.0, 1.0)
    np.testing.assert_allclose(level(whisper), whisper * 10 ** (GAIN_DB_MAX / 20), rtol=1e-5)


def test_a_peak_is_turned_down_with_what_is_around_it_and_nothing_else() -> None:
    sound = np.where(np.arange(16_000) % 2, np.float32(0.02), np.float32(-0.02))
    sound[8_000] = 0.9
    raised = level(sound)
    far = np.r_[0:7_800, 8_200:16_000]
    gains = raised / sound
    assert float(raised[8_000]) == pytest.approx(CEILING, rel=1e-5)
    np.testing.assert_allclose(gains[far], gains[0], rtol=1e-5)
    # The gain glides: from one sample to the next it changes by a few per cent at most.
    assert float(np.abs(np.diff(gains)).max()) < 0.05 * float(gains[0])


@given(
    st.lists(st.floats(-1.0, 1.0, width=32), min_size=1, max_size=400),
    st.integers(1, 40),
)
def test_whatever_is_levelled_keeps_its_length_and_signs_below_the_ceiling(
    values: list[float], repeat: int
) -> None:
    sound = np.repeat(np.array(values, np.float32), repeat)
    raised = level(sound)
    assert (len(raised), raised.dtype) == (len(sound), np.dtype(np.float32))
    assert float(np.abs(raised).max()) <= np.float32(CEILING)
    assert bool((raised * sound >= 0).all())
