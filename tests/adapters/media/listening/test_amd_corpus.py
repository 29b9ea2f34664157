"""The analysis on espeak-ng's voices: a small corpus, which nothing was set by."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from adapters.media.listening.goertzel import DigitTable
from bench.amd import ASTERISK, OURS, analyze, find_beeps, ignore_tones
from bench.amd_corpus import Scene, make_corpus
from tests.adapters.media.sounds import stack
from tests.peers import require
from tests.sizes import size

SEED = 777
RENDITIONS = size(1, 10)

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return list(make_corpus(require("espeak-ng", "espeak-ng"), SEED, RENDITIONS))


def answers(scenes: list[Scene]) -> dict[tuple[str, str], float]:
    """The share of each label's calls that got each answer."""
    total = Counter(scene.label for scene in scenes)
    pairs = zip(scenes, analyze(scenes, OURS).verdicts, strict=True)
    count = Counter((scene.label, verdict.answer) for scene, verdict in pairs)
    return {key: number / total[key[0]] for key, number in count.items()}


def test_people_are_not_taken_for_machines_and_few_machines_for_people(
    scenes: list[Scene],
) -> None:
    share = Counter(answers(scenes))
    assert (
        share["human", "machine"] <= 0.03,
        share["machine", "human"] <= 0.15,
        share["fax", "fax"] >= 0.95,
        share["unknown", "unknown"] >= 0.95,
    ) == (True, True, True, True)


def test_asterisks_rules_alone_take_more_people_for_machines(scenes: list[Scene]) -> None:
    people = [scene for scene in scenes if scene.label == "human"]
    ours, plain = analyze(people, OURS), analyze(people, ASTERISK, ignore_tones)
    wrong = [sum(one.answer == "machine" for one in of.verdicts) for of in (ours, plain)]
    assert wrong[0] < wrong[1]


def test_every_beep_is_heard_when_it_ends_and_none_in_what_is_said(scenes: list[Scene]) -> None:
    calls = [scene for scene in scenes if scene.label in ("human", "machine")]
    heard = [
        [
            scene.beep_ends_ms is not None and abs(beep.ended_ms - scene.beep_ends_ms) <= 60
            for beep in beeps
            if beep.ended_ms > scene.speech_begins_ms
        ]
        for scene, beeps in zip(calls, find_beeps(calls), strict=True)
    ]
    assert heard == [[] if scene.beep_ends_ms is None else [True] for scene in calls]


def test_nothing_that_is_said_is_heard_as_a_digit(scenes: list[Scene]) -> None:
    sound = stack(*(scene.samples for scene in scenes))
    table, rows = DigitTable(len(scenes)), np.arange(len(scenes))
    whole = range(0, sound.shape[1] // 160 * 160, 160)
    assert [press for at in whole for press in table.hear(rows, sound[:, at : at + 160])] == []


def test_the_corpus_is_the_same_each_time() -> None:
    espeak = require("espeak-ng", "espeak-ng")
    first, second = (
        [next(corpus).samples for _ in range(3)]
        for corpus in (make_corpus(espeak, SEED, 1), make_corpus(espeak, SEED, 1))
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
