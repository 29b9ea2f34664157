"""Prompts: uploads, spoken sentences and signals, made into the files that the plane plays.

Whatever the sound is, it goes one way: one channel at 8 kHz, brought to the loudness of all prompts,
encoded in both laws of G.711 and in whatever else the trunks speak, safe on disk.

This is CPU work (decoding and resampling an MP3 take about 1 ms for each second of sound) and writes to
the disk: the caller runs it in a worker. Memory stays small whatever the upload claims to be: it is
decoded, mixed and resampled block by block, and given up at the first sample beyond a bound.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import numpy as np
import soundfile
import soxr
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.codecs.codec import CODECS, CodecName
from adapters.media.codecs.g711 import LAWS, SAMPLE_RATE_HZ, ULAW
from adapters.media.codecs.voices import VOICES
from adapters.media.prompts.files import is_prompt_id, list_prompt_files, prompt_file
from adapters.media.prompts.loudness import level
from adapters.media.prompts.signals import BadSignal, read_signal
from adapters.media.wire.rtp import FRAME_BYTES

PROMPT_BYTES_MAX: Final = 50 * 1024 * 1024
"""The largest upload that is decoded at all."""
PROMPT_DURATION_S_MAX: Final = 600.0
"""The longest prompt, unless the library is told otherwise."""
SOURCE_RATE_HZ_MIN: Final = 1_000
SOURCE_RATE_HZ_MAX: Final = 384_000
SOURCE_CHANNELS_MAX: Final = 16
SOURCE_SAMPLES_MAX: Final = 250_000_000
"""What is decoded of one upload, all channels together: ten minutes of stereo at 192 kHz. A few KB of
FLAC could ask for hours of work otherwise, without being too long."""
_BLOCK_SAMPLES: Final = 65_536
"""What is decoded at once, all channels together: 256 KB of 32-bit samples."""

_MAGIC: Final = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3")
"""How the files begin that are decoded. libsndfile knows thirty more kinds, each a parser of its own
that a stranger's file could reach."""

PromptErrorCode = Literal["bad_id", "bad_signal", "empty", "not_audio", "too_big", "too_long"]


class PromptError(Exception):
    """An upload that cannot become a prompt: a stable code, and a sentence for its sender."""

    def __init__(self, code: PromptErrorCode, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class KeptPrompt(Struct, frozen=True):
    """A prompt as it lies on the disk."""

    prompt_id: str
    duration_s: float
    """In whole frames of 20 ms, as it is played."""
    size_bytes: int
    """Of all its files."""


class PromptLibrary:
    """The prompts of an installation, in one folder. It holds nothing open, and may be pickled."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = PROMPT_BYTES_MAX,
        max_duration_s: float = PROMPT_DURATION_S_MAX,
        codecs: Iterable[CodecName] = (),
    ) -> None:
        """`codecs` are those that prompts are kept in beside G.711."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_duration_s = max_duration_s
        self._further = tuple(sorted({CODECS[name].payload_type for name in codecs} - set(LAWS)))
        """By the numbers of `VOICES`, which cannot be pickled."""

    def add(self, prompt_id: str, data: bytes) -> float:
        """Make a prompt of a WAV, FLAC, OGG or MP3 file of any rate and number of channels.

        Returns its duration in seconds once both files are safe on disk. The files are filled up
        with silence to a whole number of 20 ms frames. Raises `PromptError`, and `OSError` when
        the disk refuses.
        """
        _check_id(prompt_id)
        sound = self._decode(data)
        self._keep(prompt_id, sound)
        return len(sound) / SAMPLE_RATE_HZ

    def add_samples(self, prompt_id: str, samples: NDArray[np.int16], rate_hz: int) -> KeptPrompt:
        """Make a prompt of one channel of 16-bit samples, as a speech synthesiser makes them.

        Raises `PromptError`, and `OSError` when the disk refuses.
        """
        _check_id(prompt_id)
        _check_form(rate_hz, 1)
        if not len(samples):
            raise PromptError("empty", "there are no samples")
        if len(samples) > self._max_duration_s * rate_hz:
            raise self._too_long()
        sound = samples.astype(np.float32) / np.float32(32_768)
        return self._keep(prompt_id, soxr.resample(sound, rate_hz, SAMPLE_RATE_HZ))

    def add_signal(self, text: str) -> KeptPrompt:
        """The prompt of a signal such as `silence:2s` or `tone:440/500ms`, made if it is not kept
        yet. Raises `PromptError`, and `OSError` when the disk refuses."""
        try:
            signal = read_signal(text)
        except BadSignal as error:
            raise PromptError("bad_signal", str(error)) from None
        kept = self.find(signal.prompt_id)
        return kept or self._keep(signal.prompt_id, signal.make_samples())

    def find(self, prompt_id: str) -> KeptPrompt | None:
        """The prompt of that id, if there is one. Raises `ValueError` for what cannot be an id."""
        paths = [prompt_file(self._folder, prompt_id, law) for law in LAWS.values()]
        try:
            return self._kept(prompt_id, max(path.stat().st_size for path in paths))
        except FileNotFoundError:
            return None

    def discard(self, prompt_id: str) -> None:
        """Forget a prompt; one that is not kept is forgotten already. What plays it plays on: a file
        that is mapped lasts as long as its mapping. Raises `ValueError` for what cannot be an id."""
        for voice in VOICES.values():
            prompt_file(self._folder, prompt_id, voice).unlink(missing_ok=True)

    def list_kept(self, prefix: str = "") -> list[KeptPrompt]:
        """The prompts whose id begins so, the one that was made first in front."""
        found = list_prompt_files(self._folder, prefix)
        whole = [files for files in found if len(files.sizes) == len(LAWS)]
        whole.sort(key=lambda files: (files.made_ns, files.prompt_id))
        return [self._kept(files.prompt_id, max(files.sizes)) for files in whole]

    def tidy(self) -> None:
        """Remove what a crash left: temporary files, and prompts that have one file of two. Call it
        before anything is added, never while something is."""
        for abandoned in self._folder.glob(".*.*.*"):
            abandoned.unlink(missing_ok=True)
        for files in list_prompt_files(self._folder, ""):
            if len(files.sizes) < len(LAWS):
                self.discard(files.prompt_id)

    def complete(self) -> int:
        """Make the files of further codecs that prompts lack which were kept before a trunk spoke them:
        2 ms for each second of sound in G.722, 10 ms in Opus. How many were made. A prompt that goes
        meanwhile is passed over."""
        made = 0
        for prompt_id, number, missing in self._find_missing():
            with suppress(FileNotFoundError):
                octets = prompt_file(self._folder, prompt_id, ULAW).read_bytes()
                samples = ULAW.decode(np.frombuffer(octets, np.uint8))
                _write_durably({missing: VOICES[number].encode(samples).tobytes()})
                made += 1
        return made

    def is_complete(self) -> bool:
        """Whether `complete` has nothing to do: looking costs less than a process that looks."""
        return not any(self._find_missing())

    def _find_missing(self) -> Iterator[tuple[str, int, Path]]:
        """Prompt, codec and place of each file of a further codec that there is not."""
        if not self._further:
            return
        for files in list_prompt_files(self._folder, ""):
            for number in self._further:
                missing = prompt_file(self._folder, files.prompt_id, VOICES[number])
                if len(files.sizes) == len(LAWS) and not missing.exists():
                    yield files.prompt_id, number, missing

    def _keep(self, prompt_id: str, sound: NDArray[np.float32]) -> KeptPrompt:
        """Bring a sound at 8 kHz to its loudness, encode it, and write it."""
        samples = _to_16_bit(level(sound))
        samples = np.pad(samples, (0, -len(samples) % FRAME_BYTES))
        voices = [VOICES[number] for number in (*LAWS, *self._further)]
        _write_durably(
            {
                prompt_file(self._folder, prompt_id, voice): voice.encode(samples).tobytes()
                for voice in voices
            }
        )
        return self._kept(prompt_id, len(samples))

    def _kept(self, prompt_id: str, size: int) -> KeptPrompt:
        """A prompt whose files have so many octets each."""
        files = len(LAWS) + len(self._further)
        return KeptPrompt(prompt_id, size / SAMPLE_RATE_HZ, size * files)

    def _decode(self, data: bytes) -> NDArray[np.float32]:
        """The sound of an uploaded file as one channel at 8 kHz, -1 to 1."""
        if not data:
            raise PromptError("empty", "the file is empty")
        if len(data) > self._max_bytes:
            raise PromptError("too_big", f"the file is larger than {self._max_bytes} bytes")
        if not _looks_like_audio(data):
            raise _not_audio()
        samples_max = int(self._max_duration_s * SAMPLE_RATE_HZ)
        blocks: list[NDArray[np.float32]] = []
        count = 0
        try:
            with _ForwardFile(io.BytesIO(data)) as source:
                for block in _telephone_blocks(source):
                    blocks.append(block)
                    count += len(block)
                    if count > samples_max:
                        raise self._too_long()
        except soundfile.SoundFileError as error:
            raise _not_audio() from error
        if not count:
            raise PromptError("empty", "the file holds no sound")
        return np.concatenate(blocks)

    def _too_long(self) -> PromptError:
        return PromptError("too_long", f"the sound is longer than {self._max_duration_s:g} s")


def _check_id(prompt_id: str) -> None:
    if not is_prompt_id(prompt_id):
        raise PromptError("bad_id", "an id has 1 to 64 letters, digits, dashes and underscores")


def _check_form(rate_hz: int, channels: int) -> None:
    if not SOURCE_RATE_HZ_MIN <= rate_hz <= SOURCE_RATE_HZ_MAX or channels > SOURCE_CHANNELS_MAX:
        raise PromptError("not_audio", f"{channels} channels at {rate_hz} Hz are no usual sound")


def _looks_like_audio(data: bytes) -> bool:
    """Whether a decoder should see it at all. An MP3 without a tag begins with eleven set bits."""
    is_frame = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0
    return is_frame or data.startswith(_MAGIC)


def _not_audio() -> PromptError:
    return PromptError("not_audio", "the file cannot be read as WAV, FLAC, OGG or MP3")


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
    _check_form(rate_hz, channels)
    resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    frames = _BLOCK_SAMPLES // channels
    decoded = 0
    while True:
        block = source.read(frames, dtype="float32", always_2d=True)
        decoded += block.size
        if decoded > SOURCE_SAMPLES_MAX:
            raise PromptError("too_big", "the file holds more sound than is needed; use 48 kHz")
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


def _write_durably(files: dict[Path, bytes]) -> None:
    """Write files of one folder so that no name ever shows less than the whole, whatever crashes."""
    waiting: list[tuple[str, Path]] = []
    """Temporary files that have not got their names yet."""
    try:
        for path, data in files.items():
            descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            waiting.append((temporary, path))
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        folder = waiting[0][1].parent
        while waiting:
            os.replace(*waiting[0])
            del waiting[0]
    except BaseException:
        for temporary, _ in waiting:
            os.unlink(temporary)
        raise
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
