"""Where the sound of prompts is kept."""

from __future__ import annotations

from typing import Protocol


class PromptRefused(Exception):
    """A recording cannot be used as a prompt. `code` is stable; `detail` says what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class PromptKeeper(Protocol):
    """Keeps recordings so that calls can play them."""

    async def add(self, prompt_id: str, data: bytes) -> float:
        """Keep the recording in `data` (a whole sound file) under the id, durably, and return how long
        it plays, in seconds. Raises `PromptRefused` for what is no recording or is too long."""
