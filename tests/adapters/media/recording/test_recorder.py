"""A recorder's process, and the plane's end of it."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from adapters.media.recording.link import (
    BACKLOG_BYTES_MAX,
    RECORDINGS_MAX,
    START_EVERY_NS,
    RecorderLink,
)
from adapters.media.recording.records import Answer, AnswerReader, encode_answer

GUARD_S = 20
FRAME = np.arange(1, 161, dtype=np.int16)


@contextmanager
def open_link(folder: Path) -> Iterator[RecorderLink]:
    """A recorder, and the plane's end of it."""
    link = RecorderLink(folder)
    try:
        yield link
    finally:
        link.close()
        link.wait_ended(GUARD_S)


def begin(link: RecorderLink, recording: str, now_ns: int = 0) -> int:
    place = link.begin(recording, now_ns)
    assert place is not None
    return place


def wait_for_answers(link: RecorderLink, count: int) -> list[Answer]:
    """So many answers, however long the recorder takes for them."""
    answers: list[Answer] = []
    until = time.monotonic() + GUARD_S
    while len(answers) < count:
        answers += link.exchange(0)
        assert time.monotonic() < until
        # The plane's pace.
        time.sleep(0.002)
    return answers


def read(folder: Path, recording: str) -> list[int]:
    samples, _ = soundfile.read(folder / f"{recording}.wav", dtype="int16")
    found: list[int] = samples.tolist()
    return found


def test_files_are_written_side_by_side_and_answered_for_when_they_are_safe(
    tmp_path: Path,
) -> None:
    with open_link(tmp_path) as link:
        places = [begin(link, f"rec_{number}") for number in range(3)]
        for frame in range(120):
            sounds = np.stack([FRAME + number + 3 * frame for number in range(3)])
            link.write(np.array(places), sounds)
        for place in places:
            link.end(place)
        busy = [link.is_busy]
        answers = wait_for_answers(link, 3)
        assert sorted(answers, key=lambda answer: answer.place) == [
            Answer(place) for place in sorted(places)
        ]
        assert [*busy, link.is_busy] == [True, False]
    for number in range(3):
        expected = np.concatenate([FRAME + number + 3 * frame for frame in range(120)])
        assert read(tmp_path, f"rec_{number}") == expected.tolist()


def test_a_disk_that_is_full_ends_its_file_with_what_it_has_and_no_other(tmp_path: Path) -> None:
    """A limit on the size of the recorder's files stands for the disk: the second one is too long."""
    with open_link(tmp_path) as link:
        assert link.process_id is not None
        resource.prlimit(link.process_id, resource.RLIMIT_FSIZE, (40_000, 40_000))
        short, long = begin(link, "rec_short"), begin(link, "rec_long")
        for frame in range(200):
            places = [long, short] if frame < 50 else [long]
            link.write(np.array(places), np.stack([FRAME] * len(places)))
        link.end(short)
        answers = wait_for_answers(link, 2)
        by_place = {answer.place: answer.failure for answer in answers}
        assert by_place[short] == ""
        assert "File too large" in by_place[long]
        # What was on its way to the file that failed harms nobody.
        again = begin(link, "rec_again")
        link.write(np.array([again]), FRAME[np.newaxis])
        link.end(again)
        assert wait_for_answers(link, 1) == [Answer(again)]
    assert read(tmp_path, "rec_short") == FRAME.tolist() * 50
    assert read(tmp_path, "rec_again") == FRAME.tolist()
    # A second at a time: two are whole, and the third has no header that tells of it.
    assert read(tmp_path, "rec_long") == FRAME.tolist() * 100


def test_a_file_that_cannot_be_made_has_failed(tmp_path: Path) -> None:
    with open_link(tmp_path / "nowhere") as link:
        place = begin(link, "rec_1")
        link.write(np.array([place]), FRAME[np.newaxis])
        [answer] = wait_for_answers(link, 1)
        assert "No such file or directory" in answer.failure
        link.end(place)


def test_there_are_no_more_recordings_at_once_than_the_bound(tmp_path: Path) -> None:
    with open_link(tmp_path) as link:
        places = [begin(link, f"rec_{number}") for number in range(RECORDINGS_MAX)]
        assert link.begin("rec_more", 0) is None
        link.end(places[0])
        wait_for_answers(link, 1)
        assert link.begin("rec_more", 0) is not None


@pytest.mark.punctual
def test_a_disk_that_stands_still_costs_the_plane_no_wait_and_in_the_end_the_recordings(
    tmp_path: Path,
) -> None:
    with open_link(tmp_path) as link:
        assert link.process_id is not None
        place = begin(link, "rec_1")
        os.kill(link.process_id, signal.SIGSTOP)
        try:
            frames = np.stack([FRAME] * 512)
            places = np.full(512, place)
            longest_s, answers = 0.0, []
            for _ in range(2 + BACKLOG_BYTES_MAX // frames.nbytes + 10):
                began = time.monotonic()
                link.write(places, frames)
                answers += link.exchange(0)
                longest_s = max(longest_s, time.monotonic() - began)
                if answers:
                    break
            assert answers == [Answer(place, "the disk does not keep up")]
            assert longest_s < 1.0  # it would have been for ever
        finally:
            os.kill(link.process_id, signal.SIGCONT)


def test_a_recorder_that_dies_fails_its_recordings_and_is_started_again(tmp_path: Path) -> None:
    with open_link(tmp_path) as link:
        assert link.process_id is not None
        place = begin(link, "rec_1")
        first = link.process_id
        os.kill(first, signal.SIGKILL)
        [answer] = wait_for_answers(link, 1)
        assert (answer.place, "the recorder is gone" in answer.failure) == (place, True)
        assert link.begin("rec_2", START_EVERY_NS - 1) is None
        again = begin(link, "rec_2", START_EVERY_NS)
        assert link.process_id != first
        link.end(again)
        assert wait_for_answers(link, 1) == [Answer(again)]


def test_the_recorder_makes_safe_what_it_has_when_the_plane_is_gone(tmp_path: Path) -> None:
    with open_link(tmp_path) as link:
        place = begin(link, "rec_1")
        for _ in range(2_000):
            link.write(np.array([place]), FRAME[np.newaxis])
    assert read(tmp_path, "rec_1") == FRAME.tolist() * 2_000


@pytest.mark.parametrize("size", [1, 7, 100])
def test_answers_are_read_however_they_are_cut(size: int) -> None:
    answers = [Answer(3), Answer(511, "Kein Platz: Datenträger voll"), Answer(0)]
    octets = b"".join(encode_answer(answer) for answer in answers)
    reader = AnswerReader()
    pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
    assert [answer for piece in pieces for answer in reader.feed(piece)] == answers
