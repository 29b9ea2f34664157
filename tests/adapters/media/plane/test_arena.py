"""Prompt files side by side in one matrix of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adapters.media.codecs.g711 import ALAW, ULAW, Law
from adapters.media.plane.arena import SILENCE_FRAMES, SoundArena, SoundUnavailable

ARENA_BYTES = 1 << 20


def write_sound(folder: Path, prompt_id: str, frames: int, law: Law = ULAW, seed: int = 0) -> bytes:
    sound = np.random.default_rng(seed).integers(0, 256, frames * 160, dtype=np.uint8).tobytes()
    (folder / f"{prompt_id}.{law.name}").write_bytes(sound)
    return sound


def read_back(arena: SoundArena, prompt_id: str, law: Law = ULAW) -> bytes:
    sound = arena.hold(prompt_id, law)
    frames = arena.frames[sound.first : sound.first + sound.count].tobytes()
    arena.release(sound)
    return frames


def test_silence_lies_in_its_frames(tmp_path: Path) -> None:
    arena = SoundArena(tmp_path, ARENA_BYTES)
    silence = {kind: arena.frames[frame].tobytes() for kind, frame in SILENCE_FRAMES.items()}
    # What libopus makes of silence: three octets, and the rest of a frame of constant size.
    opus = b"\x98\xff\xfe".ljust(160, b"\0")
    assert silence == {0: b"\xff" * 160, 8: b"\xd5" * 160, 9: b"\xfc" * 160, 111: opus}


def test_prompts_of_any_length_and_both_laws_lie_side_by_side(tmp_path: Path) -> None:
    lengths = [1, 25, 26, 127, 128, 129, 400]
    written = {
        (f"p{frames}", law): write_sound(tmp_path, f"p{frames}", frames, law, seed=frames)
        for frames in lengths
        for law in (ULAW, ALAW)
    }
    arena = SoundArena(tmp_path, ARENA_BYTES)
    held = {key: arena.hold(*key) for key in written}
    found = {
        key: arena.frames[sound.first : sound.first + sound.count].tobytes()
        for key, sound in held.items()
    }
    assert found == written


def test_a_prompt_that_is_held_twice_is_mapped_once(tmp_path: Path) -> None:
    write_sound(tmp_path, "p", 3)
    arena = SoundArena(tmp_path, ARENA_BYTES)
    assert arena.hold("p", ULAW) is arena.hold("p", ULAW)


def test_idle_prompts_give_way_and_come_back(tmp_path: Path) -> None:
    # Room for 50 blocks of 128 frames beside the one of silence: 60 prompts of one block each.
    written = {f"p{n}": write_sound(tmp_path, f"p{n}", 100, seed=n) for n in range(60)}
    arena = SoundArena(tmp_path, ARENA_BYTES)
    for _ in range(2):
        assert {name: read_back(arena, name) for name in written} == written
    large = write_sound(tmp_path, "large", 128 * 40, seed=99)
    assert read_back(arena, "large") == large


def test_prompts_that_play_never_give_way(tmp_path: Path) -> None:
    kept = write_sound(tmp_path, "kept", 128 * 30, seed=1)
    write_sound(tmp_path, "other", 128 * 30, seed=2)
    arena = SoundArena(tmp_path, ARENA_BYTES)
    sound = arena.hold("kept", ULAW)
    with pytest.raises(SoundUnavailable, match="full of prompts that are playing"):
        arena.hold("other", ULAW)
    assert arena.frames[sound.first : sound.first + sound.count].tobytes() == kept
    arena.release(sound)
    arena.release(arena.hold("other", ULAW))


@pytest.mark.parametrize("prompt_id", ["missing", "", "../secret", "a/b", "p.ulaw", "x" * 65])
def test_what_is_no_prompt_is_a_key_error(tmp_path: Path, prompt_id: str) -> None:
    with pytest.raises(KeyError):
        SoundArena(tmp_path, ARENA_BYTES).hold(prompt_id, ULAW)


@pytest.mark.parametrize("size", [0, 159, 161])
def test_a_file_that_is_not_whole_frames_is_not_played(tmp_path: Path, size: int) -> None:
    (tmp_path / "p.ulaw").write_bytes(b"x" * size)
    with pytest.raises(SoundUnavailable, match="not made of whole frames"):
        SoundArena(tmp_path, ARENA_BYTES).hold("p", ULAW)


def test_a_folder_in_the_place_of_a_prompt_is_not_played(tmp_path: Path) -> None:
    (tmp_path / "p.ulaw").mkdir()
    with pytest.raises(SoundUnavailable):
        SoundArena(tmp_path, ARENA_BYTES).hold("p", ULAW)
