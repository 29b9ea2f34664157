"""Recordings on disk: WAV files whose header is right at any moment, as far as the data on disk goes.

A file is 16-bit PCM at 8 kHz, one channel. Its header tells of no more than was written before it, so that
a file whose writer was killed is a shorter recording, not a broken one.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from pathlib import Path
from typing import Final

from msgspec import Struct

SAMPLE_RATE_HZ: Final = 8_000
SAMPLE_BYTES: Final = 2
HEADER_BYTES: Final = 44

_RECORDING_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Neither a dot nor a slash: an id can never name a file elsewhere."""
_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
_PCM: Final = 1


def is_recording_id(recording: str) -> bool:
    """Whether this can be the id of a recording at all."""
    return _RECORDING_ID.fullmatch(recording) is not None


def recording_file(folder: Path, recording: str) -> Path:
    """The file of a recording. Raises `ValueError` for what cannot be an id."""
    if not is_recording_id(recording):
        raise ValueError(f"not the id of a recording: {recording!r}")
    return folder / f"{recording}.wav"


def make_header(data_bytes: int) -> bytes:
    """The header before so many octets of samples."""
    return _HEADER.pack(
        *(b"RIFF", HEADER_BYTES - 8 + data_bytes, b"WAVE"),
        *(b"fmt ", 16, _PCM, 1, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * SAMPLE_BYTES),
        *(SAMPLE_BYTES, 8 * SAMPLE_BYTES, b"data", data_bytes),
    )


class WavFile:
    """A recording that is being written. Every method but `close` may raise `OSError`."""

    def __init__(self, path: Path) -> None:
        """Make the file. Raises `FileExistsError` where there is one: no recording replaces another."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        self._folder = path.parent
        self.data_bytes = 0
        """Octets of samples that are in the file."""
        try:
            self._write(make_header(0), 0)
        except OSError:
            self.close()
            path.unlink()
            raise

    def append(self, samples: bytes) -> None:
        """Write these octets, and then the header that tells of them."""
        self._write(samples, HEADER_BYTES + self.data_bytes)
        self.data_bytes += len(samples)
        self._write(make_header(self.data_bytes), 0)

    def sync(self) -> None:
        """Return when the file, and its name, would survive a loss of power."""
        os.fsync(self._descriptor)
        folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Let go of the file; what was written stays. It never raises."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            # Whatever the disk says now it has said to `sync` before.
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _write(self, octets: bytes, at: int) -> None:
        rest = memoryview(octets)
        while rest:
            written = os.pwrite(self._descriptor, rest, at)
            at += written
            rest = rest[written:]


class RecordingFile(Struct, frozen=True):
    """What a recording's file has now."""

    path: Path
    data_bytes: int
    """Octets of samples that its header tells of and that are there."""

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return self.data_bytes / SAMPLE_BYTES / SAMPLE_RATE_HZ


def find_recording(folder: Path, recording: str) -> RecordingFile | None:
    """The file of a recording, or None where there is no such file, or none of ours. Raises `ValueError` for
    what cannot be an id."""
    path = recording_file(folder, recording)
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return None
    if len(header) < HEADER_BYTES:
        return None
    data_bytes = _HEADER.unpack(header)[-1]
    if header != make_header(data_bytes):
        return None
    # A machine that lost power may have kept the header's last change, and not the samples.
    return RecordingFile(path, min(data_bytes, (size - HEADER_BYTES) & -SAMPLE_BYTES))
