"""Reads recordings back from the folder that the planes' recorders write them into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import trio

from adapters.media.recording.files import (
    HEADER_BYTES,
    RecordingFile,
    find_recording,
    is_recording_id,
    make_header,
)
from engine.ports.recordings import KeptRecording

PIECE_BYTES: Final = 128 * 1024
READERS_MAX: Final = 4
"""Threads that read files at once, so that a slow disk keeps none from anybody else."""


class RecordingArchive:
    """Implements `engine.ports.recordings.RecordingReader`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._readers = trio.CapacityLimiter(READERS_MAX)

    async def read(self, recording: str) -> KeptRecording | None:
        """A recording as far as it has been written, or None where there is no sound of it."""
        if not is_recording_id(recording):
            return None
        found = await trio.to_thread.run_sync(
            find_recording, self._folder, recording, limiter=self._readers
        )
        if found is None or not found.data_bytes:
            return None
        size = HEADER_BYTES + found.data_bytes
        return KeptRecording(found.duration_s, size, self._pieces(found))

    async def _pieces(self, found: RecordingFile) -> AsyncIterator[bytes]:
        """The header that tells of what there was, and so many samples, though there be more by now."""
        yield make_header(found.data_bytes)
        left = found.data_bytes
        async with await trio.open_file(found.path, "rb") as file:
            await file.seek(HEADER_BYTES)
            while left and (piece := await file.read(min(PIECE_BYTES, left))):
                left -= len(piece)
                yield piece
