"""Steady tones: their frequency, how long they stand, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.media.listening.tone import FRAME_MS, ToneFrames, ToneTable
from tests.adapters.media.sounds import (
    Samples,
    frames,
    noise,
    silence,
    stack,
    through_g711,
    tone,
    voice,
)

ROW = np.array([0])


def hear(samples: Samples) -> list[ToneFrames]:
    table = ToneTable(1)
    return [table.hear(ROW, frame) for frame in frames(samples)]


def steady_ms(samples: Samples) -> int:
    return FRAME_MS * sum(bool(heard.steady[0]) for heard in hear(samples))


def ended(samples: Samples) -> list[tuple[int, int]]:
    """Frequency and duration of each tone that ended."""
    return [
        (round(float(heard.hz[0])), int(heard.duration_ms[0]))
        for heard in hear(samples)
        if heard.ended[0]
    ]


@pytest.mark.parametrize("hz", [400, 437.5, 850, 1000, 1399, 1760, 2100])
def test_a_tone_is_measured_within_two_hertz(hz: float) -> None:
    found = hear(through_g711(silence(55), tone(300, hz), silence(200)))[12]
    assert (abs(float(found.hz[0]) - hz) < 2, bool(found.ended[0])) == (True, False)


@pytest.mark.parametrize("duration_ms", [120, 300, 1000])
@pytest.mark.parametrize("before_ms", [0, 7, 13])
def test_a_tone_that_ended_has_its_duration_within_a_frame(
    duration_ms: int, before_ms: int
) -> None:
    [(hz, lasted_ms)] = ended(
        through_g711(silence(before_ms), tone(duration_ms, 1000), silence(300))
    )
    assert (abs(hz - 1000) <= 4, abs(lasted_ms - duration_ms) <= 20) == (True, True)


def test_a_tone_may_be_broken_for_40_ms() -> None:
    sound = through_g711(tone(400, 2100), silence(40), tone(400, 2100), silence(300))
    [(hz, lasted_ms)] = ended(sound)
    assert (abs(hz - 2100) <= 4, abs(lasted_ms - 840) <= 20) == (True, True)


def test_a_tone_goes_on_after_a_crackle_of_20_ms() -> None:
    sound = through_g711(tone(300, 1000), noise(20, 8_000), tone(300, 1000), silence(300))
    [(_, lasted_ms)] = ended(sound)
    assert abs(lasted_ms - 620) <= 20


@pytest.mark.parametrize("before_ms", range(0, 20, 2))
def test_a_tone_goes_on_where_its_phase_is_reversed(before_ms: int) -> None:
    sound = through_g711(silence(before_ms), tone(450, 2100), -tone(450, 2100), silence(300))
    [(hz, lasted_ms)] = ended(sound)
    assert (abs(hz - 2100) <= 4, abs(lasted_ms - 900) <= 20) == (True, True)


def test_a_tone_that_turns_into_a_voice_has_not_ended_as_a_signal_does() -> None:
    assert ended(through_g711(tone(300, 600), voice(600), silence(300))) == []


def test_a_tone_that_turns_into_another_is_the_other_one() -> None:
    [(hz, lasted_ms)] = ended(through_g711(tone(300, 950), tone(300, 1400), silence(300)))
    assert (abs(hz - 1400) <= 4, abs(lasted_ms - 300) <= 20) == (True, True)


def test_two_tones_at_once_are_not_a_single_one() -> None:
    assert ended(through_g711(tone(300, 770, 1336), silence(300))) == []


@pytest.mark.parametrize("hz", [(440, 480), (400, 450), (425,), (350, 440), (480, 620), (1100,)])
@pytest.mark.parametrize("phase_ms", [0, 5, 11])
def test_call_progress_is_steady_but_for_its_first_three_frames(
    hz: tuple[float, ...], phase_ms: int
) -> None:
    sound = through_g711(silence(phase_ms), tone(1000, *hz), silence(200))
    assert 940 <= steady_ms(sound) <= 1000


def test_call_progress_is_steady_through_noise_16_db_below() -> None:
    sound = tone(1000, 440, 480) + noise(1000, 500)
    assert steady_ms(through_g711(sound)) >= 900


def test_a_voice_and_noise_are_not_steady() -> None:
    assert steady_ms(through_g711(voice(3_000), noise(3_000, 2_000), silence(500))) == 0


def test_the_level_is_the_mean_magnitude() -> None:
    square = np.tile(np.repeat([1_000, -1_000], 8), 10).astype(np.int16)[np.newaxis]
    assert ToneTable(1).hear(ROW, square).level.tolist() == [1_000]


def test_what_is_too_soft_to_matter_is_no_tone() -> None:
    assert steady_ms(through_g711(tone(1000, 1000, dbm0=-55))) == 0


def test_every_stream_is_heard_by_itself() -> None:
    sound = stack(
        through_g711(tone(300, 500), silence(300)),
        through_g711(voice(600)),
        through_g711(silence(100), tone(300, 1500), silence(200)),
    )
    table, rows = ToneTable(9), np.array([8, 0, 4])
    found = []
    for first in range(0, sound.shape[1], 160):
        heard = table.hear(rows, sound[:, first : first + 160])
        over = heard.only(heard.ended)
        found += [(int(row), round(float(hz))) for row, hz in zip(over.rows, over.hz, strict=True)]
    assert found == [(8, 500), (4, 1500)]


def test_a_row_that_is_cleared_knows_nothing_of_the_call_before() -> None:
    table = ToneTable(1)
    for frame in frames(through_g711(tone(300, 1000))):
        table.hear(ROW, frame)
    table.clear(0)
    after = [table.hear(ROW, frame) for frame in frames(through_g711(silence(300)))]
    assert [bool(heard.ended[0]) or bool(heard.duration_ms[0]) for heard in after] == [False] * 15
