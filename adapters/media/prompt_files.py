"""Where a prompt's sound lies: one headerless file of whole 20 ms frames for each law.

`PromptLibrary` writes these files and the plane maps them; neither needs to know the other. A file
is never changed once it has its name: other sound is another prompt.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from adapters.media.g711 import Law

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
