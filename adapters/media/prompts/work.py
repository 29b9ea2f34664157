"""What is done to prompts in worker processes. A worker imports the module of what it is to do, so that this
one brings in the library and nothing else."""

from __future__ import annotations

from pathlib import Path

from adapters.media.codecs.codec import CodecName
from adapters.media.prompts.library import PromptLibrary


def add_prompt(folder: Path, codecs: tuple[CodecName, ...], prompt_id: str, data: bytes) -> float:
    """As `PromptLibrary.add`."""
    return PromptLibrary(folder, codecs=codecs).add(prompt_id, data)


def complete_prompts(folder: Path, codecs: tuple[CodecName, ...]) -> int:
    """As `PromptLibrary.complete`."""
    return PromptLibrary(folder, codecs=codecs).complete()
