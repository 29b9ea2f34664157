"""The beep of an answering machine, and when it is over."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.media.listening.beep import Beep, BeepTable
from adapters.media.listening.tone import END_MS, ToneTable
from tests.adapters.media.sounds import (
    Samples,
    Sound,
    frames,
    noise,
    silence,
    through_g711,
    tone,
    voice,
)

ROW = np.array([0])


def hear(samples: Samples) -> list[tuple[int, Beep]]:
    """Each beep, and when it was told."""
    tones, beeps = ToneTable(1), BeepTable(1)
    beeps.start(0)
    return [
        (20 * (number + 1), beep)
        for number, frame in enumerate(frames(samples))
        for beep in beeps.hear(tones.hear(ROW, frame))
    ]


def greeting_with(*beep: Sound) -> Samples:
    return through_g711(voice(1_000), silence(300), *beep, silence(500))


@pytest.mark.parametrize("hz", [400, 440, 620, 850, 1000, 1400, 1750, 2000])
@pytest.mark.parametrize("duration_ms", [120, 150, 400, 1000])
def test_a_beep_is_told_with_its_end(hz: float, duration_ms: int) -> None:
    [(told_ms, beep)] = hear(greeting_with(tone(duration_ms, hz)))
    assert (
        abs(beep.ended_ms - (1_300 + duration_ms)) <= 20,
        abs(beep.duration_ms - duration_ms) <= 20,
        abs(beep.hz - hz) < 3,
        told_ms - beep.ended_ms,
    ) == (True, True, True, END_MS)


@pytest.mark.parametrize("shift_ms", range(0, 20, 3))
def test_a_beep_of_120_ms_is_heard_wherever_a_frame_begins(shift_ms: int) -> None:
    assert len(hear(greeting_with(silence(shift_ms), tone(120, 1000)))) == 1


@pytest.mark.parametrize("dbm0", [-8, -20, -35])
def test_a_loud_beep_and_a_soft_one_are_heard(dbm0: float) -> None:
    assert len(hear(greeting_with(tone(300, 1000, dbm0=dbm0)))) == 1


def test_a_beep_is_heard_through_noise_15_db_below() -> None:
    sound = np.concatenate([silence(500), tone(300, 1000, dbm0=-15), silence(500)])
    # A tone's root mean square at -15 dBm0 is 2,800, and noise of that less 15 dB has this level.
    sound += noise(1_300, 2_800 * 10 ** (-15 / 20) * 0.8)
    assert len(hear(through_g711(sound))) == 1


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(tone(60, 1000), id="a click of 60 ms"),
        pytest.param(tone(3_500, 1000), id="a tone that stands for seconds"),
        pytest.param(tone(300, 300), id="a tone too low"),
        pytest.param(tone(300, 2_100), id="a fax's answer tone"),
        pytest.param(tone(300, 770, 1336), id="a digit"),
        pytest.param(tone(300, 440, 480), id="ring-back"),
        pytest.param(voice(300), id="a voice"),
        pytest.param(noise(300, 3_000), id="noise"),
    ],
)
def test_what_is_no_beep(sound: Sound) -> None:
    assert hear(greeting_with(sound)) == []


def test_a_digit_with_a_twist_of_8_db_is_no_beep() -> None:
    assert hear(greeting_with(tone(300, 770, dbm0=-10) + tone(300, 1336, dbm0=-18))) == []


def test_a_vowel_that_stands_and_ends_at_once_is_no_beep() -> None:
    """Even the harmonics of a monotone voice at 220 Hz are more than one tone."""
    vowel = np.sum([tone(400, 220 * n, dbm0=-15 - 4 * n) for n in range(1, 9)], axis=0)
    assert hear(greeting_with(vowel)) == []


def test_each_of_several_beeps_is_told() -> None:
    beeps = hear(greeting_with(tone(200, 1000), silence(300), tone(200, 1000)))
    assert [
        abs(beep.ended_ms - ends) <= 20
        for (_, beep), ends in zip(beeps, (1_500, 2_000), strict=True)
    ] == [
        True,
        True,
    ]


def test_a_stream_that_nobody_waits_for_is_passed_over() -> None:
    tones, beeps = ToneTable(2), BeepTable(2)
    beeps.start(0)
    beeps.start(1)
    beeps.stop(1)
    both = np.array([0, 1])
    told = [
        beep.row
        for frame in frames(greeting_with(tone(300, 1000)))
        for beep in beeps.hear(tones.hear(both, np.vstack((frame, frame))))
    ]
    assert told == [0]
