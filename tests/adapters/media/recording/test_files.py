"""Recordings on disk."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from adapters.media.recording.files import (
    HEADER_BYTES,
    RecordingFile,
    WavFile,
    find_recording,
    is_recording_id,
    make_header,
    recording_file,
)

SOUND = np.arange(-800, 800, dtype="<i2")


def test_a_file_is_a_wav_file_to_others_after_each_append(tmp_path: Path) -> None:
    path = recording_file(tmp_path, "rec_1")
    file = WavFile(path)
    for count in range(1, 4):
        file.append(SOUND.tobytes())
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == 8_000
        assert samples.tolist() == SOUND.tolist() * count
    file.sync()
    file.close()
    file.close()
    assert find_recording(tmp_path, "rec_1") == RecordingFile(path, 3 * 3_200)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_header_of_a_writer_that_was_killed_tells_of_what_came_before(tmp_path: Path) -> None:
    """Samples go first: a death between the two writes leaves more data than the header tells of."""
    octets = make_header(200) + b"\1" * 300
    samples, _ = soundfile.read(io.BytesIO(octets), dtype="int16")
    assert len(samples) == 100
    (tmp_path / "rec_1.wav").write_bytes(octets)
    found = find_recording(tmp_path, "rec_1")
    assert found == RecordingFile(tmp_path / "rec_1.wav", 200)
    assert found.duration_s == 100 / 8_000


def test_samples_that_a_loss_of_power_took_are_not_told_of(tmp_path: Path) -> None:
    (tmp_path / "rec_1.wav").write_bytes(make_header(200) + b"\1" * 51)
    found = find_recording(tmp_path, "rec_1")
    assert found is not None
    assert found.data_bytes == 50


@pytest.mark.parametrize("octets", [b"", b"RIFF", b"\0" * HEADER_BYTES, b"RIFF" + b"\1" * 100])
def test_what_is_no_recording_of_ours_is_none(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "rec_1.wav").write_bytes(octets)
    assert find_recording(tmp_path, "rec_1") is None
    assert find_recording(tmp_path, "rec_2") is None


@pytest.mark.parametrize(
    "recording", ["", ".", "..", "../x", "a/b", "rec_1.wav", "ä", "x" * 65, "a\n"]
)
def test_an_id_names_no_file_elsewhere(tmp_path: Path, recording: str) -> None:
    assert not is_recording_id(recording)
    with pytest.raises(ValueError, match="not the id"):
        recording_file(tmp_path, recording)


def test_a_file_is_not_made_where_there_is_one(tmp_path: Path) -> None:
    path = recording_file(tmp_path, "rec_1")
    path.write_bytes(b"x")
    with pytest.raises(FileExistsError):
        WavFile(path)
    assert path.read_bytes() == b"x"
