"""Words, on quiet lines and on noisy ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from adapters.media.listening.tone import ToneTable
from adapters.media.listening.words import Speech, WordLimits, WordTable
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
LIMITS = WordLimits(
    silence_threshold=256,
    min_word_frames=5,
    between_words_frames=3,
    noise_margin=2.5,
    background_share=0.17,
)
FIXED = WordLimits(256, 5, 3, noise_margin=0, background_share=0)


def said(
    samples: Samples, limits: WordLimits = LIMITS, known_noise: float = math.inf
) -> tuple[int, int, int, int, int]:
    """Words, voice, voice of the present word, silence and greeting: all but the first in ms."""
    tones, words = ToneTable(1), WordTable(1)
    words.start(0, limits, noise=known_noise)
    speech = words.read(ROW)
    for frame in frames(samples):
        speech = words.hear(tones.hear(ROW, frame))
    return _figures(speech)


def _figures(speech: Speech) -> tuple[int, int, int, int, int]:
    return (
        int(speech.words[0]),
        int(speech.voice_ms[0]),
        int(speech.word_ms[0]),
        int(speech.silence_ms[0]),
        int(speech.greeting_ms[0]),
    )


def test_nothing_is_said_before_anything_is_heard() -> None:
    words = WordTable(1)
    words.start(0, LIMITS)
    assert _figures(words.read(ROW)) == (0, 0, 0, 0, 0)


def test_two_words_and_the_silence_after_them() -> None:
    sound = through_g711(silence(200), voice(300), silence(100), voice(200), silence(400))
    assert said(sound) == (2, 500, 0, 400, 600)


def test_what_is_said_at_once_is_the_noise_until_the_line_is_known_to_be_quiet() -> None:
    at_once = through_g711(voice(500))
    assert said(at_once) == (0, 0, 0, 500, 0)
    assert said(at_once, known_noise=0.0) == (1, 500, 500, 0, 500)


def test_a_word_that_is_being_said_has_its_length() -> None:
    assert said(through_g711(silence(200), voice(300))) == (1, 300, 300, 0, 300)


def test_the_noise_is_not_forgotten_while_somebody_speaks() -> None:
    """600 ms after the beginning the noise is measured anew, and the voice is not taken for it."""
    assert said(through_g711(silence(400), voice(220))) == (1, 220, 220, 0, 220)


def test_a_gap_of_two_frames_is_within_a_word() -> None:
    sound = through_g711(silence(200), voice(200), silence(40), voice(200), silence(100))
    assert said(sound) == (1, 400, 0, 100, 440)


def test_a_noise_shorter_than_a_word_is_none() -> None:
    sound = through_g711(silence(200), voice(80), silence(200), voice(80), silence(200))
    assert said(sound) == (0, 0, 0, 200, 0)


@pytest.mark.parametrize("level", [100, 300, 600, 900])
def test_noise_on_the_line_is_not_voice(level: float) -> None:
    """It begins with the call, and the first word comes at once or after a second."""
    for before_ms in (40, 1_000):
        speech = np.concatenate(
            [silence(before_ms), voice(300, 6_000), silence(100), voice(200, 6_000), silence(900)]
        )
        heard = said(through_g711(speech + noise(len(speech) / 8, level)))
        assert heard == (2, 500, 0, 900, 600)


def test_a_fixed_threshold_takes_the_same_noise_for_a_word() -> None:
    sound = through_g711(noise(2_000, 600))
    assert (said(sound, FIXED)[0], said(sound)[0]) == (1, 0)


def test_noise_that_begins_after_silence_is_known_for_noise_within_1200_ms() -> None:
    assert said(through_g711(silence(500), noise(1_240, 600)))[0] == 0


def test_what_is_said_elsewhere_in_the_room_is_not_counted() -> None:
    """Another voice, 18 dB below the callee's, goes on when the callee is silent."""
    behind: list[Sound] = [voice(400, 600), silence(100)]
    sound = through_g711(silence(100), voice(500, 5_000), silence(100), *behind, *behind)
    assert said(sound) == (1, 500, 0, 1_100, 500)


def test_a_tone_is_neither_a_word_nor_silence() -> None:
    ringing = tone(600, 440, 480)
    assert said(through_g711(silence(200), ringing)) == (0, 0, 0, 0, 0)


def test_a_tone_parts_the_words_before_and_after_it() -> None:
    sound = through_g711(silence(100), voice(300), tone(400, 1_000), voice(300), silence(100))
    assert said(sound)[0] == 2


def test_a_row_that_is_started_again_knows_nothing_of_the_call_before() -> None:
    tones, words = ToneTable(1), WordTable(1)
    words.start(0, LIMITS)
    for frame in frames(through_g711(noise(900, 2_000), voice(900))):
        words.hear(tones.hear(ROW, frame))
    words.start(0, LIMITS)
    tones.clear(0)
    for frame in frames(through_g711(silence(200), voice(300), silence(100))):
        speech = words.hear(tones.hear(ROW, frame))
    assert _figures(speech) == (1, 300, 0, 100, 300)
