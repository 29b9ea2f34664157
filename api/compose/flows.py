"""What flows speak, play and ask with."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import trio

from adapters.media.codecs.codec import CodecName
from adapters.media.prompts.library import PromptError, PromptLibrary
from adapters.media.prompts.work import add_prompt, complete_prompts
from adapters.outgoing_http import GuardedHttp, JsonRequests
from adapters.speech.espeak import find_espeak
from adapters.speech.piper import PiperSynthesiser
from adapters.speech.spoken_texts import SpeechSettings, open_speech
from adapters.speech.synthesiser import Synthesiser
from adapters.workers import open_process_workers
from api.compose.settings import codecs_of
from api.config import Config
from api.data_folder import (
    PROMPTS,
)
from engine.dial.attempts.conversation import FlowParts
from engine.ports.prompts import PromptRefused
from engine.ports.workers import Workers

BEEP: Final = "tone:1000/400ms"
"""What tells a callee to speak."""
TALKERS: Final = 2
"""Processes that speak texts."""


async def open_flow_parts(config: Config, stack: AsyncExitStack) -> FlowParts:
    """What flows speak and ask with, for as long as the stack."""
    library = PromptLibrary(Path(config.data_dir) / PROMPTS, codecs=codecs_of(config))
    beep = await trio.to_thread.run_sync(_prepare_prompts, library)
    # Of their own: a text can end its worker, and must not wait behind the parsing of files.
    talkers = await stack.enter_async_context(open_process_workers(TALKERS))
    synthesisers: list[Synthesiser] = [find_espeak()]
    if config.speech.piper:
        synthesisers.insert(0, PiperSynthesiser(config.speech.piper))
    settings = SpeechSettings(
        default_voice=config.speech.voice,
        bytes_max=config.speech.bytes_max,
        at_once_max=TALKERS,
    )
    speech = await stack.enter_async_context(open_speech(synthesisers, talkers, library, settings))
    return FlowParts(
        speech=speech,
        requests=JsonRequests(GuardedHttp(config.webhooks.allow)),
        beep=beep,
    )


def _prepare_prompts(library: PromptLibrary) -> str:
    """Clear away what a crash left of prompts, and see that there is a beep; its id."""
    library.tidy()
    return library.add_signal(BEEP).prompt_id


class PromptsInWorkers:
    """Keeps prompts in the media plane's library, decoding them where that holds nobody up."""

    def __init__(self, folder: Path, codecs: tuple[CodecName, ...], workers: Workers) -> None:
        self._folder = folder
        self._codecs = codecs
        self._workers = workers

    async def complete(self) -> None:
        """Make what prompts lack that an earlier start, with other codecs, left."""
        library = PromptLibrary(self._folder, codecs=self._codecs)
        if not await trio.to_thread.run_sync(library.is_complete):
            await self._workers.run(complete_prompts, self._folder, self._codecs)

    async def add(self, prompt_id: str, data: bytes) -> float:
        """See `engine.ports.prompts.PromptKeeper`."""
        try:
            return await self._workers.run(add_prompt, self._folder, self._codecs, prompt_id, data)
        except PromptError as error:
            raise PromptRefused(error.code, error.detail) from None
