"""Who answered: each rule by itself, and what must not be taken for a machine."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from adapters.media.listening.amd import AmdTable, Verdict
from adapters.media.listening.tone import ToneTable
from engine.ports.amd import AmdParameters
from tests.adapters.media.sounds import (
    Samples,
    Sound,
    frames,
    noise,
    silence,
    stack,
    syllables,
    through_g711,
    tone,
    voice,
)

ROW = np.array([0])
PRESET = AmdParameters()
PLAIN = AmdParameters(shortest_machine_greeting=0, noise_margin=0, background_share=0)


def hear(*parts: Sound, parameters: AmdParameters = PRESET) -> Verdict | None:
    """The verdict on a call, which is silent for 12 s after these."""
    tones, analysis = ToneTable(1), AmdTable(1)
    analysis.start(0, parameters)
    told = [
        verdict
        for frame in frames(through_g711(*parts, silence(12_000)))
        for verdict in analysis.hear(tones.hear(ROW, frame))
    ]
    assert len(told) <= 1
    return told[0] if told else None


def words(*durations_ms: float, pause_ms: float = 160) -> list[Sound]:
    return [part for one in durations_ms for part in (voice(one), silence(pause_ms))]


def verdict(
    answer: str, cause: str, elapsed_ms: int, said: int = 0, voice_ms: int = 0, greeting_ms: int = 0
) -> Verdict:
    return msgspec.convert(
        {
            "row": 0,
            "answer": answer,
            "cause": cause,
            "elapsed_ms": elapsed_ms,
            "words": said,
            "voice_ms": voice_ms,
            "greeting_ms": greeting_ms,
        },
        Verdict,
    )


def test_the_presets_are_those_of_asterisk() -> None:
    assert msgspec.structs.asdict(PRESET) == {
        "initial_silence": 2500,
        "greeting": 1500,
        "after_greeting_silence": 800,
        "total_analysis_time": 5000,
        "min_word_length": 100,
        "between_words_silence": 50,
        "maximum_number_of_words": 3,
        "silence_threshold": 256,
        "maximum_word_length": 5000,
        "shortest_machine_greeting": 2400,
        "noise_margin": 2.5,
        "background_share": 0.17,
    }


def test_a_person_says_a_word_and_waits() -> None:
    heard = hear(silence(400), voice(500))
    assert heard == verdict("human", "after_greeting_silence", 1_700, 1, 500, 500)


def test_a_person_may_say_many_short_words() -> None:
    heard = hear(silence(400), *words(*[140] * 7))
    assert heard == verdict("human", "after_greeting_silence", 3_140, 7, 980, 1_940)


def test_a_person_may_speak_for_two_seconds_without_a_pause() -> None:
    heard = hear(silence(400), syllables(10))
    assert heard == verdict("human", "after_greeting_silence", 3_160, 1, 1_600, 1_960)


def test_a_person_who_asks_again_after_a_second_has_been_known_by_then() -> None:
    heard = hear(silence(400), voice(400), silence(1_000), voice(400))
    assert heard == verdict("human", "after_greeting_silence", 1_600, 1, 400, 400)


def test_a_machine_goes_on() -> None:
    heard = hear(silence(400), syllables(40))
    assert heard == verdict("machine", "greeting", 2_820, 1, 1_940, 2_420)


def test_a_machine_that_is_heard_little_is_known_by_the_number_of_its_words() -> None:
    heard = hear(silence(400), *words(*[120] * 20))
    assert heard == verdict("machine", "maximum_number_of_words", 3_020, 10, 1_180, 2_620)


def test_a_single_word_that_does_not_end_is_a_machine() -> None:
    parameters = AmdParameters(greeting=60_000, maximum_word_length=2_000)
    heard = hear(silence(400), syllables(40), parameters=parameters)
    assert heard == verdict("machine", "maximum_word_length", 2_880, 1, 2_000, 2_480)


def test_when_time_is_over_who_has_said_a_word_is_a_person() -> None:
    heard = hear(silence(2_000), *words(200, 200, 200, pause_ms=780), syllables(20))
    assert heard == verdict("human", "total_analysis_time", 5_000, 3, 600, 2_160)


@pytest.mark.parametrize("level", [0, 400])
def test_a_line_on_which_nobody_speaks_is_unknown(level: float) -> None:
    assert hear(noise(12_000, level)) == verdict("unknown", "initial_silence", 2_500)


def test_knocks_and_clicks_are_nobody() -> None:
    knocks = [part for _ in range(10) for part in (voice(60), silence(600))]
    assert hear(*knocks) == verdict("unknown", "total_analysis_time", 5_000)


def test_a_greeting_is_heard_through_noise() -> None:
    quiet = np.concatenate([silence(900), *words(400, 300), silence(4_000)])
    heard = hear(quiet + noise(len(quiet) / 8, 400))
    assert heard == verdict("human", "after_greeting_silence", 2_560, 2, 700, 860)


@pytest.mark.parametrize("hz", [(440, 480), (400, 450), (425,)])
def test_ring_back_before_a_greeting_is_no_word_and_takes_none_of_its_time(
    hz: tuple[float, ...],
) -> None:
    heard = hear(tone(1_000, *hz), silence(2_000), voice(400))
    assert heard == verdict("human", "after_greeting_silence", 4_200, 1, 400, 400)


def test_a_line_that_only_rings_is_unknown() -> None:
    ringing = [part for _ in range(4) for part in (tone(1_000, 425), silence(2_000))]
    heard = hear(*ringing)
    assert heard is not None
    assert (heard.answer, heard.cause) == ("unknown", "total_analysis_time")


def test_a_tone_that_never_ends_is_unknown_within_twice_the_time() -> None:
    assert hear(tone(15_000, 425)) == verdict("unknown", "total_analysis_time", 10_000)


def test_a_fax_that_answers_is_known_within_a_second_of_its_tone() -> None:
    assert hear(silence(1_000), tone(3_000, 2_100)) == verdict("fax", "fax_ced", 1_700)


def test_a_fax_is_known_though_the_phase_of_its_tone_is_reversed() -> None:
    """ITU-T V.8: every 450 ms, against echo cancellers."""
    heard = hear(silence(1_000), tone(450, 2_100), -tone(450, 2_100), tone(450, 2_100))
    assert heard is not None
    assert (heard.answer, heard.cause, heard.elapsed_ms <= 1_800) == ("fax", "fax_ced", True)


@pytest.mark.parametrize("hz", [1_062, 1_100, 1_138])
def test_a_fax_that_calls_is_known_by_its_first_tone(hz: float) -> None:
    heard = hear(silence(1_000), tone(500, hz), silence(3_000), tone(500, hz))
    assert heard == verdict("fax", "fax_cng", 1_580)


@pytest.mark.parametrize("duration_ms", [200, 1_000])
def test_a_tone_of_1100_hz_that_lasts_otherwise_is_no_fax(duration_ms: int) -> None:
    heard = hear(tone(duration_ms, 1_100), silence(500), voice(400))
    assert heard is not None
    assert heard.answer == "human"


def test_a_beep_soon_after_words_is_a_machine() -> None:
    heard = hear(silence(400), *words(500, 400), tone(300, 1_000))
    assert heard == verdict("machine", "beep", 2_000, 2, 900, 1_060)


def test_a_beep_of_1100_hz_after_words_is_a_machine_and_no_fax() -> None:
    heard = hear(silence(400), voice(500), silence(300), tone(500, 1_100))
    assert heard is not None
    assert (heard.answer, heard.cause) == ("machine", "beep")


def test_a_beep_before_any_word_says_nothing() -> None:
    heard = hear(silence(400), tone(300, 1_000), silence(500), voice(500))
    assert heard == verdict("human", "after_greeting_silence", 2_500, 1, 500, 500)


def test_a_digit_is_no_word() -> None:
    heard = hear(tone(400, 770, 1_336), silence(400), tone(400, 770, 1_336))
    assert heard is not None
    assert (heard.answer, heard.words) == ("unknown", 0)


def test_without_our_additions_the_limits_alone_decide() -> None:
    heard = hear(silence(400), *words(*[140] * 7), parameters=PLAIN)
    assert heard == verdict("machine", "maximum_number_of_words", 1_400, 4, 520, 1_000)


def test_each_limit_can_be_set() -> None:
    call = (silence(400), *words(150, 150, 150), silence(400))
    assert [
        hear(*call, parameters=msgspec.structs.replace(PRESET, **limit))
        for limit in (
            {"after_greeting_silence": 100},
            {"min_word_length": 200, "total_analysis_time": 1_500},
            {"silence_threshold": 4_000, "initial_silence": 1_000},
            {"initial_silence": 300},
        )
    ] == [
        verdict("human", "after_greeting_silence", 660, 1, 160, 160),
        verdict("unknown", "total_analysis_time", 1_500),
        verdict("unknown", "initial_silence", 1_000),
        verdict("unknown", "initial_silence", 300),
    ]


def test_a_call_that_ends_before_the_verdict_is_a_persons_if_there_was_a_word() -> None:
    def conclude(samples: Samples) -> Verdict:
        tones, analysis = ToneTable(1), AmdTable(1)
        analysis.start(0, PRESET)
        for frame in frames(samples):
            assert analysis.hear(tones.hear(ROW, frame)) == []
        return analysis.conclude(0)

    assert [
        conclude(through_g711(silence(400), voice(300))),
        conclude(through_g711(silence(400))),
    ] == [
        verdict("human", "ended", 700, 1, 300, 300),
        verdict("unknown", "ended", 400),
    ]


def test_a_stream_without_a_verdict_to_come_is_passed_over() -> None:
    tones, analysis = ToneTable(2), AmdTable(2)
    analysis.start(0, PRESET)
    analysis.start(1, PRESET)
    analysis.stop(1)
    both, told = np.array([0, 1]), []
    for frame in frames(through_g711(silence(8_000))):
        told += analysis.hear(tones.hear(both, np.vstack((frame, frame))))
    assert (told, analysis.watching.tolist()) == (
        [verdict("unknown", "initial_silence", 2_500)],
        [False, False],
    )


def test_each_stream_has_its_own_verdict_and_its_own_limits() -> None:
    calls = stack(
        through_g711(silence(400), voice(500), silence(8_000)),
        through_g711(silence(400), syllables(40)),
        through_g711(silence(400), voice(500)),
    )
    tones, analysis = ToneTable(9), AmdTable(9)
    rows = np.array([7, 2, 5])
    analysis.start(7, PRESET)
    analysis.start(2, PRESET)
    analysis.start(5, AmdParameters(after_greeting_silence=400))
    told = []
    for first in range(0, calls.shape[1], 160):
        told += analysis.hear(tones.hear(rows, calls[:, first : first + 160]))
    assert {(one.row, one.answer, one.elapsed_ms) for one in told} == {
        (7, "human", 1_700),
        (2, "machine", 2_820),
        (5, "human", 1_300),
    }


def test_a_row_can_be_started_again_for_another_call() -> None:
    tones, analysis = ToneTable(1), AmdTable(1)
    told = []
    for call in (
        through_g711(noise(600, 900), syllables(20)),
        through_g711(voice(300), silence(900)),
    ):
        tones.clear(0)
        analysis.start(0, PRESET)
        for frame in frames(call):
            told += analysis.hear(tones.hear(ROW, frame))
    assert [one.answer for one in told] == ["machine", "human"]
