"""The sound arena: prompt files mapped into one stretch of address space, seen as one matrix.

A tick needs 20 ms of sound for each of thousands of streams, and each may be playing another file.
With a mapping for every file that is a loop over files. Here the files are mapped side by side into
one reserved stretch of addresses, so that the whole of it is a single matrix of 160-octet frames,
and one `numpy.take` gathers the sound of all streams whatever they play. Nothing is copied: the
pages are the page cache's, shared by every plane process. The first
frames are silence, one of each codec.

The stretch belongs to the process for its whole life, and costs no memory. Reading a frame that no
file is mapped to ends the process, so frames only ever come from a `Sound` that is held.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.codecs.g711 import Law
from adapters.media.codecs.voices import VOICES
from adapters.media.plane.extents import Extents
from adapters.media.prompts.files import prompt_file
from adapters.media.wire.rtp import FRAME_BYTES

ARENA_BYTES_MAX: Final = 4 << 30
"""Address space that is reserved: more than 140 hours of sound."""
SOUNDS_MAX: Final = 16_384
"""Files mapped at once; the kernel allows a process 65,530 mappings."""

SILENCE_FRAMES: Final = {payload_type: at for at, payload_type in enumerate(sorted(VOICES))}
"""The frame of silence, by payload type."""

_BLOCK_BYTES: Final = math.lcm(mmap.PAGESIZE, FRAME_BYTES)
"""Files begin on a boundary that is both a page's and a frame's."""
_MAP_FIXED: Final = 0x10
"""Put the mapping exactly there. The number is the same on Linux and the BSDs, macOS included."""
_MAP_NORESERVE: Final = getattr(mmap, "MAP_NORESERVE", 0)
_MAP_POPULATE: Final = getattr(mmap, "MAP_POPULATE", 0)
"""Read the file ahead while it is being mapped, so that no tick has to wait for the disk."""
_PROT_NONE: Final = 0
_MAP_FAILED: Final = ctypes.c_void_p(-1).value


class SoundUnavailable(Exception):
    """The sound cannot be mapped: there is no such file, it is damaged, or the arena is full."""


class Sound(Struct, eq=False):
    """One prompt in one law, mapped; a stretch of frames of the arena."""

    key: tuple[str, int]
    """Prompt id and payload type."""
    first: int
    count: int
    """Frames `first` to `first + count - 1` of the arena."""
    holders: int = 0


class SoundArena:
    """Maps the prompts of one folder when they are first played, and keeps the latest of them."""

    def __init__(self, folder: Path, size: int = ARENA_BYTES_MAX) -> None:
        self._folder = folder
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._libc.mmap.argtypes = [
            ctypes.c_void_p,
            ctypes.c_size_t,
            *[ctypes.c_int] * 3,
            ctypes.c_long,
        ]
        self._blocks = size // _BLOCK_BYTES
        self._extents = Extents(self._blocks)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        self._base = self._map(None, self._blocks * _BLOCK_BYTES, _PROT_NONE, flags, -1)
        self._write_silence()
        stretch = (ctypes.c_uint8 * (self._blocks * _BLOCK_BYTES)).from_address(self._base)
        self.frames: NDArray[np.uint8] = _as_frames(stretch)
        """Every frame of the arena; read only those of silence and of sounds that are held."""
        self._held: dict[tuple[str, int], Sound] = {}
        self._idle: OrderedDict[tuple[str, int], Sound] = OrderedDict()

    def hold(self, prompt_id: str, law: Law) -> Sound:
        """The sound of a prompt, mapped until it is released as often as it was held.

        Raises `KeyError` when there is no such prompt, `SoundUnavailable` when it cannot be mapped.
        """
        key = (prompt_id, law.payload_type)
        sound = self._held.get(key)
        if sound is None:
            sound = self._idle.pop(key, None) or self._load(key, law)
            self._held[key] = sound
        sound.holders += 1
        return sound

    def hold_made(self, name: str, law: Law, make: Callable[[], bytes]) -> Sound:
        """The same for a sound that is no file: `make` gives its octets, whole frames, where it is not
        here yet. The name is to be none of a prompt. Raises `SoundUnavailable`."""
        key = (name, law.payload_type)
        sound = self._held.get(key)
        if sound is None:
            sound = self._idle.pop(key, None) or self._load_made(key, make())
            self._held[key] = sound
        sound.holders += 1
        return sound

    def release(self, sound: Sound) -> None:
        """Give back what `hold` gave. The file stays mapped until its place is needed."""
        sound.holders -= 1
        assert sound.holders >= 0
        if not sound.holders:
            self._idle[sound.key] = self._held.pop(sound.key)

    def _load(self, key: tuple[str, int], law: Law) -> Sound:
        try:
            path = prompt_file(self._folder, key[0], law)
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, ValueError):
            raise KeyError(key[0]) from None
        except OSError as error:
            raise SoundUnavailable(f"{key[0]} cannot be opened: {error}") from error
        try:
            size = os.fstat(descriptor).st_size
            if not size or size % FRAME_BYTES:
                raise SoundUnavailable(f"{path.name} is not made of whole frames: {size} bytes")
            block = self._take_blocks(-(-size // _BLOCK_BYTES))
            address = self._base + block * _BLOCK_BYTES
            flags = mmap.MAP_SHARED | _MAP_FIXED | _MAP_POPULATE
            try:
                self._map(address, size, mmap.PROT_READ, flags, descriptor)
            except OSError as error:
                self._extents.give_back(block, -(-size // _BLOCK_BYTES))
                raise SoundUnavailable(f"{path.name} cannot be mapped: {error}") from error
        finally:
            os.close(descriptor)
        return Sound(key, block * (_BLOCK_BYTES // FRAME_BYTES), size // FRAME_BYTES)

    def _load_made(self, key: tuple[str, int], octets: bytes) -> Sound:
        assert octets
        assert len(octets) % FRAME_BYTES == 0
        block = self._take_blocks(-(-len(octets) // _BLOCK_BYTES))
        address = self._base + block * _BLOCK_BYTES
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED
        try:
            self._map(address, len(octets), mmap.PROT_READ | mmap.PROT_WRITE, flags, -1)
        except OSError as error:
            self._extents.give_back(block, -(-len(octets) // _BLOCK_BYTES))
            raise SoundUnavailable(f"a sound cannot be mapped: {error}") from error
        ctypes.memmove(address, octets, len(octets))
        return Sound(key, block * (_BLOCK_BYTES // FRAME_BYTES), len(octets) // FRAME_BYTES)

    def _take_blocks(self, count: int) -> int:
        """Room for so many blocks; the sounds that have been idle for longest give way to it."""
        while len(self._held) + len(self._idle) >= SOUNDS_MAX and self._idle:
            self._forget_longest_idle()
        while (block := self._extents.take(count)) is None:
            if not self._idle:
                raise SoundUnavailable("the sound arena is full of prompts that are playing")
            self._forget_longest_idle()
        return block

    def _forget_longest_idle(self) -> None:
        _, sound = self._idle.popitem(last=False)
        block = sound.first * FRAME_BYTES // _BLOCK_BYTES
        count = -(-sound.count * FRAME_BYTES // _BLOCK_BYTES)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE | _MAP_FIXED
        address = self._base + block * _BLOCK_BYTES
        self._map(address, count * _BLOCK_BYTES, _PROT_NONE, flags, -1)
        self._extents.give_back(block, count)

    def _write_silence(self) -> None:
        block = self._extents.take(1)
        assert block == 0
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED
        self._map(self._base, _BLOCK_BYTES, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1)
        for payload_type, frame in SILENCE_FRAMES.items():
            at = self._base + frame * FRAME_BYTES
            ctypes.memmove(at, VOICES[payload_type].silence, FRAME_BYTES)

    def _map(
        self, address: int | None, size: int, protection: int, flags: int, descriptor: int
    ) -> int:
        mapped = self._libc.mmap(address, size, protection, flags, descriptor, 0)
        if mapped == _MAP_FAILED:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return int(mapped)


def _as_frames(stretch: ctypes.Array[ctypes.c_uint8]) -> NDArray[np.uint8]:
    frames = np.frombuffer(memoryview(stretch).cast("B"), np.uint8)
    frames.flags.writeable = False
    return frames.reshape(-1, FRAME_BYTES)
