"""Digits in the sound itself, at the tolerances of ITU-T Q.24."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from adapters.media.listening.goertzel import COLUMNS_HZ, KEYS, ROWS_HZ, DigitTable, Press
from tests.adapters.media.sounds import (
    Samples,
    Sound,
    frames,
    noise,
    silence,
    stack,
    through_g711,
    tone,
    voice,
)

ALL = "".join(KEYS)
TONES = {
    key: (row_hz, column_hz)
    for row_hz, keys in zip(ROWS_HZ, KEYS, strict=True)
    for column_hz, key in zip(COLUMNS_HZ, keys, strict=True)
}
ROW = np.array([0])


def key(
    digit: str,
    duration_ms: float = 50,
    row_dbm0: float = -12,
    column_dbm0: float = -12,
    row_off: float = 0,
    column_off: float = 0,
) -> Sound:
    row_hz, column_hz = TONES[digit]
    return tone(duration_ms, row_hz * (1 + row_off), dbm0=row_dbm0) + tone(
        duration_ms, column_hz * (1 + column_off), dbm0=column_dbm0
    )


def hear(samples: Samples) -> str:
    table = DigitTable(1)
    return "".join(press.digit for frame in frames(samples) for press in table.hear(ROW, frame))


def dialled(
    digits: str, before_ms: float = 13, tone_ms: float = 50, pause_ms: float = 50, **how: float
) -> Sound:
    parts = [silence(before_ms)]
    for digit in digits:
        parts += [key(digit, tone_ms, **how), silence(pause_ms)]
    return np.concatenate([*parts, silence(40)])


def test_each_of_the_sixteen_digits_is_heard_once() -> None:
    assert hear(through_g711(dialled(ALL))) == ALL


@pytest.mark.parametrize("before_ms", range(20))
def test_40_ms_of_tone_and_40_of_pause_are_enough_wherever_a_frame_begins(before_ms: int) -> None:
    assert hear(through_g711(dialled(ALL, before_ms, 40, 40))) == ALL


@pytest.mark.parametrize(("row_off", "column_off"), list(product((-0.015, 0.015), (-0.015, 0.015))))
def test_frequencies_may_be_off_by_one_and_a_half_percent(
    row_off: float, column_off: float
) -> None:
    sound = dialled(ALL, tone_ms=40, pause_ms=40, row_off=row_off, column_off=column_off)
    assert hear(through_g711(sound)) == ALL


@pytest.mark.parametrize("off", [-0.035, 0.035])
def test_frequencies_off_by_three_and_a_half_percent_are_no_digit(off: float) -> None:
    assert hear(through_g711(dialled(ALL, row_off=off), dialled(ALL, column_off=off))) == ""


@pytest.mark.parametrize(("row_dbm0", "column_dbm0"), [(-10, -18), (-14, -10)])
@pytest.mark.parametrize("off", [-0.015, 0, 0.015])
def test_the_higher_tone_may_be_8_db_softer_or_4_db_louder(
    row_dbm0: float, column_dbm0: float, off: float
) -> None:
    sound = dialled(ALL, row_dbm0=row_dbm0, column_dbm0=column_dbm0, row_off=off, column_off=-off)
    assert hear(through_g711(sound)) == ALL


@pytest.mark.parametrize(("row_dbm0", "column_dbm0"), [(-8, -22), (-22, -12)])
def test_tones_too_unequal_are_no_digit(row_dbm0: float, column_dbm0: float) -> None:
    sound = dialled(ALL, row_dbm0=row_dbm0, column_dbm0=column_dbm0)
    assert hear(through_g711(sound)) == ""


@pytest.mark.parametrize("dbm0", [-3, -12, -25, -33])
def test_loud_and_soft_digits_are_heard(dbm0: float) -> None:
    assert hear(through_g711(dialled(ALL, row_dbm0=dbm0, column_dbm0=dbm0))) == ALL


def test_a_digit_at_the_level_of_crosstalk_is_not_heard() -> None:
    assert hear(through_g711(dialled(ALL, row_dbm0=-45, column_dbm0=-45))) == ""


@pytest.mark.parametrize("below_db", [15, 20])
@pytest.mark.parametrize("seed", range(5))
def test_digits_are_heard_through_white_noise(below_db: float, seed: int) -> None:
    sound = dialled(ALL * 4, tone_ms=50, row_dbm0=-12, column_dbm0=-15, row_off=0.01)
    power = np.mean(key("1", 500, -12, -15) ** 2)
    # The mean magnitude of Gaussian noise is its root mean square times 0.8.
    level = np.sqrt(power * 2 / np.pi) * 10 ** (-below_db / 20)
    assert hear(through_g711(sound + noise(len(sound) / 8, level, seed))) == ALL * 4


@pytest.mark.parametrize("before_ms", range(10))
def test_a_tone_of_20_ms_is_no_digit(before_ms: int) -> None:
    assert hear(through_g711(dialled(ALL, before_ms, tone_ms=20))) == ""


@pytest.mark.parametrize("before_ms", range(20))
def test_a_break_of_10_ms_does_not_make_two_digits_of_one(before_ms: int) -> None:
    sound = through_g711(silence(before_ms), key("5"), silence(10), key("5"), silence(60))
    assert hear(sound) == "5"


def test_a_packet_that_is_lost_does_not_make_two_digits_of_one() -> None:
    sound = through_g711(silence(33), key("5", 120), silence(60))
    sound[4 * 160 : 5 * 160] = 0
    assert hear(sound) == "5"


def test_digits_without_a_pause_between_them_are_heard() -> None:
    assert hear(through_g711(key("1"), key("5"), key("9"), silence(40))) == "159"


def test_a_long_press_is_one_digit() -> None:
    assert hear(through_g711(key("7", 5_000), silence(40))) == "7"


@pytest.mark.parametrize("hz", [*ROWS_HZ, *COLUMNS_HZ, 1000.0, 425.0])
def test_a_single_tone_is_no_digit(hz: float) -> None:
    assert hear(through_g711(tone(500, hz), silence(40))) == ""


def test_call_progress_tones_are_no_digits() -> None:
    pairs = ((350, 440), (440, 480), (480, 620), (400, 450), (941, 770), (1209, 1477))
    assert hear(through_g711(*(tone(300, *pair) for pair in pairs))) == ""


def test_three_tones_are_no_digit() -> None:
    assert hear(through_g711(tone(300, 697, 1209, 1477), tone(300, 697, 852, 1336))) == ""


def test_a_third_tone_5_db_below_the_other_two_makes_it_no_digit() -> None:
    assert hear(through_g711(key("1", 300) + tone(300, 1336, dbm0=-17))) == ""


def test_a_digit_with_strong_second_harmonics_is_a_voice() -> None:
    row_hz, column_hz = TONES["1"]
    harmonics = tone(300, 2 * row_hz, 2 * column_hz, dbm0=-14)
    assert hear(through_g711(key("1", 300) + harmonics)) == ""


def test_dial_pulses_are_no_digits() -> None:
    """Ten breaks a second, each a click of a millisecond or two at its beginning and its end."""
    chance = np.random.default_rng(1)
    pulses = np.zeros(8_000)
    for begin in range(0, 8_000, 800):
        for edge in (begin, begin + 480):
            pulses[edge : edge + 12] = chance.uniform(-30_000, 30_000, 12)
    assert hear(through_g711(pulses)) == ""


def test_a_voice_and_noise_are_no_digits() -> None:
    assert hear(through_g711(voice(5_000), noise(5_000, 3_000), silence(500))) == ""


def test_every_stream_has_its_own_digits_whatever_the_others_hear() -> None:
    calls = [through_g711(silence(7 * place), dialled(ALL[place:])) for place in range(16)]
    sound = stack(*calls, through_g711(voice(500)))
    rows = np.arange(17)[::-1]
    table = DigitTable(20)
    heard = [""] * 17
    for first in range(0, sound.shape[1], 160):
        for press in table.hear(rows, sound[rows, first : first + 160]):
            heard[press.row] += press.digit
    assert heard == [*(ALL[place:] for place in range(16)), ""]


@pytest.mark.parametrize("length", [320, 480, 960])
def test_sound_may_come_in_any_multiple_of_20_ms(length: int) -> None:
    sound = through_g711(dialled(ALL), silence(500))
    table = DigitTable(1)
    heard = [
        press
        for first in range(0, len(sound) - length + 1, length)
        for press in table.hear(ROW, sound[np.newaxis, first : first + length])
    ]
    assert heard == [Press(0, digit) for digit in ALL]


def test_floats_are_heard_as_integers_are() -> None:
    sound = through_g711(dialled("42"))
    table = DigitTable(1)
    heard = [table.hear(ROW, frame.astype(np.float32)) for frame in frames(sound)]
    assert [press.digit for presses in heard for press in presses] == ["4", "2"]


def test_a_row_that_is_cleared_knows_nothing_of_the_call_before() -> None:
    table = DigitTable(1)
    for frame in frames(through_g711(key("5", 60))):
        table.hear(ROW, frame)
    table.clear(0)
    again = [table.hear(ROW, frame) for frame in frames(through_g711(key("5", 60)))]
    assert [press for presses in again for press in presses] == [Press(0, "5")]
