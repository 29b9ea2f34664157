"""Reading recordings back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adapters.media.recording.archive import PIECE_BYTES, RecordingArchive
from adapters.media.recording.files import WavFile, make_header, recording_file

SOUND = np.arange(-30_000, 30_000, dtype="<i2").tobytes() * 3


async def test_a_recording_is_read_as_it_was_when_it_was_asked_for(tmp_path: Path) -> None:
    file = WavFile(recording_file(tmp_path, "rec_1"))
    file.append(SOUND)
    kept = await RecordingArchive(tmp_path).read("rec_1")
    assert kept is not None
    file.append(SOUND)
    file.close()
    pieces = [piece async for piece in kept.octets]
    assert b"".join(pieces) == make_header(len(SOUND)) + SOUND
    assert (kept.size, kept.duration_s) == (44 + len(SOUND), 22.5)
    assert max(map(len, pieces)) == PIECE_BYTES


async def test_of_what_is_not_there_or_says_nothing_there_is_no_sound(tmp_path: Path) -> None:
    archive = RecordingArchive(tmp_path)
    WavFile(recording_file(tmp_path, "rec_1")).close()
    (tmp_path / "rec_2.wav").write_bytes(b"something else")
    assert [await archive.read(f"rec_{n}") for n in (1, 2, 3)] == [None] * 3
    assert await archive.read("../rec_1") is None
