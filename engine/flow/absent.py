"""What stands in for a service that an installation does not have: it fails at once, as its port says, and
the flow goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from engine.ports.requests import Question, RequestFailed
from engine.ports.speech import SpeechFailed, SpokenText, Voice


class NoSpeech:
    """Nobody speaks."""

    async def list_voices(self) -> tuple[Voice, ...]:
        """See `Speech`."""
        await trio.lowlevel.checkpoint()
        return ()

    async def find_voice(self, name: str | None, language: str | None = None) -> Voice:
        """See `Speech`."""
        await self.check("")
        raise AssertionError  # never reached

    async def check(self, text: str, voice: str | None = None) -> None:
        """See `Speech`."""
        await trio.lowlevel.checkpoint()
        raise SpeechFailed("nothing is installed that speaks")

    @asynccontextmanager
    async def make(self, text: str, voice: str | None = None) -> AsyncIterator[SpokenText]:
        """See `Speech`."""
        await self.check(text, voice)
        yield SpokenText("", 0.0)  # never reached


class NoRequests:
    """Nobody is asked."""

    async def ask(self, question: Question) -> Any:
        """See `Requests`."""
        await trio.lowlevel.checkpoint()
        raise RequestFailed("not_available", "This engine sends no requests.")
