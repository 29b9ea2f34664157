"""Prompts: whatever audio a customer uploads, made into the two files that the plane plays.

This is CPU work (decoding and resampling an MP3 take about 1 ms for each second of sound) and writes to
the disk: the caller runs it in a worker. Memory stays small whatever the upload claims to be: it is
decoded, mixed and resampled block by block, and given up at the first sample beyond the bound.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from adapters.media.g711 import LAWS, SAMPLE_RATE_HZ
from adapters.media.prompt_files import is_prompt_id, prompt_file
from adapters.media.rtp import FRAME_BYTES

PROMPT_BYTES_MAX: Final = 50 * 1024 * 1024
"""The largest upload that is decoded at all."""
PROMPT_DURATION_S_MAX: Final = 600.0
"""The longest prompt, unless the library is told otherwise."""
SOURCE_RATE_HZ_MIN: Final = 1_000
SOURCE_RATE_HZ_MAX: Final = 384_000
SOURCE_CHANNELS_MAX: Final = 16
_BLOCK_SAMPLES: Final = 65_536
"""What is decoded at once, all channels together: 256 KB of 32-bit samples."""

PromptErrorCode = Literal["bad_id", "empty", "not_audio", "too_big", "too_long"]


class PromptError(Exception):
    """An upload that cannot become a prompt: a stable code, and a sentence for its sender."""

    def __init__(self, code: PromptErrorCode, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class PromptLibrary:
    """The prompts of an installation, in one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = PROMPT_BYTES_MAX,
        max_duration_s: float = PROMPT_DURATION_S_MAX,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_duration_s = max_duration_s

    def add(self, prompt_id: str, data: bytes) -> float:
        """Make a prompt of a WAV, FLAC, OGG or MP3 file of any rate and number of channels.

        Returns its duration in seconds once both files are safe on disk. The files are filled up
        with silence to a whole number of 20 ms frames. Raises `PromptError`, and `OSError` when
        the disk refuses.
        """
        if not is_prompt_id(prompt_id):
            raise PromptError("bad_id", "an id has 1 to 64 letters, digits, dashes and underscores")
        samples = self._decode(data)
        missing = -len(samples) % FRAME_BYTES
        for law in LAWS.values():
            silence = np.full(missing, law.silence, np.uint8)
            sound = np.concatenate([law.encode(samples), silence])
            _write_durably(prompt_file(self._folder, prompt_id, law), sound.tobytes())
        return len(samples) / SAMPLE_RATE_HZ

    def _decode(self, data: bytes) -> NDArray[np.int16]:
        """The sound as one channel of 16-bit samples at 8 kHz."""
        if not data:
            raise PromptError("empty", "the file is empty")
        if len(data) > self._max_bytes:
            raise PromptError("too_big", f"the file is larger than {self._max_bytes} bytes")
        samples_max = int(self._max_duration_s * SAMPLE_RATE_HZ)
        blocks: list[NDArray[np.int16]] = []
        count = 0
        try:
            with _ForwardFile(io.BytesIO(data)) as source:
                for block in _telephone_blocks(source):
                    blocks.append(_to_16_bit(block))
                    count += len(block)
                    if count > samples_max:
                        raise PromptError(
                            "too_long", f"the sound is longer than {self._max_duration_s:g} s"
                        )
        except soundfile.SoundFileError as error:
            raise PromptError(
                "not_audio", "the file cannot be read as WAV, FLAC, OGG or MP3"
            ) from error
        if not count:
            raise PromptError("empty", "the file holds no sound")
        return np.concatenate(blocks)


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file that is read from its start to its end.

    soundfile 0.14 seeks after every read of a file that can seek, to where it already is. In an MP3
    that throws the decoder's state away, and the next block begins with noise.
    """

    def seekable(self) -> bool:
        return False


def _telephone_blocks(source: _ForwardFile) -> Iterator[NDArray[np.float32]]:
    """The sound mixed to one channel and resampled to 8 kHz, block by block, -1 to 1."""
    rate_hz, channels = source.samplerate, source.channels
    if not SOURCE_RATE_HZ_MIN <= rate_hz <= SOURCE_RATE_HZ_MAX or channels > SOURCE_CHANNELS_MAX:
        raise PromptError("not_audio", f"{channels} channels at {rate_hz} Hz are no usual sound")
    resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    frames = _BLOCK_SAMPLES // channels
    while True:
        block = source.read(frames, dtype="float32", always_2d=True)
        is_last = len(block) < frames
        # A file of floats may hold what is no number, or far too large: the resampler spreads both.
        mono = np.clip(np.nan_to_num(block), -1.0, 1.0).mean(axis=1)
        if rate_hz == SAMPLE_RATE_HZ:
            yield mono
        else:
            yield resampler.resample_chunk(mono, last=is_last)
        if is_last:
            return


def _to_16_bit(block: NDArray[np.float32]) -> NDArray[np.int16]:
    scaled: NDArray[np.float32] = np.rint(block * 32_768.0)
    return np.clip(scaled, -32_768, 32_767).astype(np.int16)


def _write_durably(path: Path, data: bytes) -> None:
    """Write a file so that its name never shows less than the whole, whatever crashes."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
