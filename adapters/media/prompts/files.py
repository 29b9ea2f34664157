"""Where a prompt's sound lies: one headerless file of whole 20 ms frames for each codec.

The two files of the laws are the prompt. Those of further codecs are made of them where a trunk speaks them.

`PromptLibrary` writes these files and the plane maps them; neither needs to know the other. A file
is never changed once it has its name: other sound is another prompt.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from adapters.media.codecs.g711 import LAWS, Law

_PROMPT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Neither a dot nor a slash: an id can never name a file elsewhere."""


def is_prompt_id(prompt_id: str) -> bool:
    """Whether this can be the id of a prompt at all."""
    return _PROMPT_ID.fullmatch(prompt_id) is not None


def prompt_file(folder: Path, prompt_id: str, law: Law) -> Path:
    """The file of a prompt in one law. Raises `ValueError` for what cannot be an id."""
    if not is_prompt_id(prompt_id):
        raise ValueError(f"not the id of a prompt: {prompt_id!r}")
    return folder / f"{prompt_id}.{law.name}"


class PromptFiles(Struct, frozen=True):
    """The files that there are of one prompt."""

    prompt_id: str
    sizes: tuple[int, ...]
    """Octets of each file: one for each law, or fewer where a crash came between them."""
    made_ns: int
    """When the last of them was written, by the file system's clock."""


def list_prompt_files(folder: Path, prefix: str) -> list[PromptFiles]:
    """The prompts in the folder whose id begins so, in no order."""
    laws = {law.name for law in LAWS.values()}
    found: dict[str, list[tuple[int, int]]] = {}
    for path in folder.iterdir():
        prompt_id, _, law = path.name.partition(".")
        if law in laws and prompt_id.startswith(prefix) and is_prompt_id(prompt_id):
            # It may have been discarded since it was listed.
            with suppress(FileNotFoundError):
                status = path.stat()
                found.setdefault(prompt_id, []).append((status.st_size, status.st_mtime_ns))
    return [
        PromptFiles(
            prompt_id,
            tuple(size for size, _ in files),
            max(made_ns for _, made_ns in files),
        )
        for prompt_id, files in found.items()
    ]
