"""Speech that is made once: the trio side, which implements `engine.ports.speech.Speech`.

A text in a voice has one prompt id, a hash of all that decides how it sounds. Whoever asks for a text
that is being made waits for it with the others. It is made in a task of nobody's own, so that the first
asker's call may end without the others' losing anything; a text that nobody waits for any more when its
turn comes is not made.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
import trio
from msgspec import Struct

from adapters.speech.catalogue import Catalogue, Speaker
from adapters.speech.room import Kept, Room, RoomFull
from adapters.speech.shelf import Shelf, describe, discard_all, list_shelf, put_on_shelf
from adapters.speech.synthesiser import Description, Synthesiser, SynthesiserMissing
from adapters.speech.text import read_text
from engine.ports.speech import SpeechFailed, SpeechRefused, SpokenText, Voice
from engine.ports.workers import WorkerFailed, Workers

STRIKES_MAX: Final = 2
"""A text that killed its worker, or kept it for too long, so often is not tried again until the next
start: a list may hold it a thousand times, and every time would cost a process."""
STRUCK_MAX: Final = 10_000
"""Texts of which that is remembered; the one that failed first is forgotten first."""
MAKING_MAX: Final = 10_000
"""Different texts that are being made or wait for it; one more is turned away."""
PREFIX: Final = "say-"
"""Every prompt whose id begins so is a spoken text, and may be discarded."""
_FORM: Final = 1
"""Part of every id. It goes up when the way from samples to a prompt sounds different."""

log = structlog.get_logger(__name__)


class SpeechSettings(Struct, frozen=True):
    """What an operator may choose."""

    default_voice: str = "en-us"
    bytes_max: int = 2 << 30
    """What spoken texts may take of the disk: 2 GiB are 37 hours of speech."""
    at_once_max: int = 2
    """Texts that are being made at the same time; the workers should have as many processes."""
    making_s_max: float = 20.0
    """How long one text may take to be made, seconds."""


class SpeechStatistics(Struct, frozen=True):
    """How much was spoken."""

    kept: int
    kept_bytes: int
    making: int
    """Texts that are being made, or wait for it."""
    made: int
    """Since the start, as are all that follow."""
    reused: int
    """Times that a text was there already, or was waited for with others."""
    failed: int


class _Making(Struct, eq=False):
    """A text that is being made, or waits for it."""

    prompt_id: str
    text: str
    speaker: Speaker
    done: trio.Event
    askers: int = 0
    kept: Kept | None = None
    failure: SpeechFailed | SpeechRefused | None = None
    """One of the two is set when it is done."""


class SpokenTexts:
    """Implements `Speech`. Made by `open_speech`."""

    def __init__(
        self,
        synthesisers: Sequence[Synthesiser],
        workers: Workers,
        shelf: Shelf,
        settings: SpeechSettings,
        nursery: trio.Nursery,
    ) -> None:
        self._synthesisers = synthesisers
        self._workers = workers
        self._shelf = shelf
        self._settings = settings
        self._nursery = nursery
        self._room = Room(settings.bytes_max)
        self._making: dict[str, _Making] = {}
        self._leaving: dict[str, trio.Event] = {}
        """Texts whose files are being removed: until that is done, they cannot be made again."""
        self._at_once = trio.CapacityLimiter(settings.at_once_max)
        self._strikes: OrderedDict[str, int] = OrderedDict()
        self._catalogue: Catalogue | None = None
        self._catalogue_lock = trio.Lock()
        self._made = self._reused = self._failed = 0

    async def list_voices(self) -> tuple[Voice, ...]:
        """See `Speech`."""
        return (await self._learn_voices()).voices

    async def find_voice(self, name: str | None, language: str | None = None) -> Voice:
        """See `Speech`."""
        catalogue = await self._learn_voices()
        if name is None and language is not None:
            return catalogue.choose(language, self._settings.default_voice)
        return catalogue.describe(name or self._settings.default_voice)

    async def check(self, text: str, voice: str | None = None) -> None:
        """See `Speech`."""
        await self._read(text, voice)

    @asynccontextmanager
    async def make(self, text: str, voice: str | None = None) -> AsyncIterator[SpokenText]:
        """See `Speech`."""
        spoken, speaker = await self._read(text, voice)
        prompt_id = _prompt_id(spoken, speaker)
        kept = self._room.hold(prompt_id)
        if kept is None:
            kept = await self._wait_made(prompt_id, spoken, speaker)
        else:
            self._reused += 1
        try:
            yield SpokenText(kept.prompt_id, kept.duration_s)
        finally:
            self._room.release(kept)

    def give_up(self) -> None:
        """Tell everyone who waits for a text that it does not come."""
        for making in self._making.values():
            making.failure = SpeechFailed("the engine is stopping")
            making.done.set()

    def statistics(self) -> SpeechStatistics:
        """How things are now."""
        return SpeechStatistics(
            kept=len(self._room),
            kept_bytes=self._room.size_bytes,
            making=len(self._making),
            made=self._made,
            reused=self._reused,
            failed=self._failed,
        )

    async def _read(self, text: str, voice: str | None) -> tuple[str, Speaker]:
        spoken = read_text(text)
        catalogue = await self._learn_voices()
        return spoken, catalogue.find(voice or self._settings.default_voice)

    async def _learn_voices(self) -> Catalogue:
        """The catalogue. It is made, and the shelf looked through, when speech is first asked for: an
        engine that never speaks starts no process for it."""
        async with self._catalogue_lock:
            if self._catalogue is None:
                described: list[tuple[Synthesiser, Description]] = []
                try:
                    for synthesiser in self._synthesisers:
                        try:
                            description = await self._workers.run(describe, synthesiser)
                        except SynthesiserMissing as error:
                            log.warning("speech_missing", detail=str(error))
                        else:
                            described.append((synthesiser, description))
                    shelved = await self._workers.run(list_shelf, self._shelf, PREFIX)
                except (WorkerFailed, OSError) as error:
                    raise SpeechFailed(f"speech does not start: {error}") from error
                await self._take_over(shelved)
                self._catalogue = Catalogue(described)
            return self._catalogue

    async def _take_over(self, shelved: list[tuple[str, float, int]]) -> None:
        """Go on with what lay on the shelf already."""
        for prompt_id, duration_s, size_bytes in shelved:
            try:
                gone = self._room.make_way(size_bytes)
            except RoomFull:
                await self._discard((prompt_id,))
            else:
                self._room.add(Kept(prompt_id, duration_s, size_bytes))
                await self._discard(tuple(kept.prompt_id for kept in gone))

    async def _wait_made(self, prompt_id: str, text: str, speaker: Speaker) -> Kept:
        """Wait for a text, with a hold on it that the caller gives back."""
        making = self._making.get(prompt_id)
        if self._strikes.get(prompt_id, 0) >= STRIKES_MAX:
            raise SpeechFailed(
                f"the text was tried {STRIKES_MAX} times, and ended its worker each time"
            )
        if making is None:
            making = self._start_making(prompt_id, text, speaker)
        else:
            self._reused += 1
        making.askers += 1
        try:
            await making.done.wait()
        except BaseException:
            if making.kept is not None:
                self._room.release(making.kept)
            making.askers -= 1
            raise
        if making.kept is None:
            assert making.failure is not None
            # A copy: an exception that many tasks raise would gather all their tracebacks.
            raise type(making.failure)(*making.failure.args) from making.failure
        return making.kept

    def _start_making(self, prompt_id: str, text: str, speaker: Speaker) -> _Making:
        if len(self._making) >= MAKING_MAX:
            raise SpeechFailed(f"{MAKING_MAX} texts are waiting to be spoken already")
        making = _Making(prompt_id, text, speaker, trio.Event())
        self._making[prompt_id] = making
        self._nursery.start_soon(self._make_one, making)
        return making

    async def _make_one(self, making: _Making) -> None:
        """Make a text when its turn comes, and tell whoever waits. Nothing that goes wrong leaves it."""
        gone: tuple[Kept, ...] = ()
        async with self._at_once:
            if (leaving := self._leaving.get(making.prompt_id)) is not None:
                await leaving.wait()
            if making.askers:
                try:
                    gone = await self._make_now(making)
                except (SpeechFailed, SpeechRefused) as failure:
                    making.failure = failure
                    self._failed += 1
            del self._making[making.prompt_id]
            making.done.set()
            await self._discard(tuple(kept.prompt_id for kept in gone))

    async def _make_now(self, making: _Making) -> tuple[Kept, ...]:
        """Make a text; what had to go for it. Raises `SpeechFailed` and `SpeechRefused`."""
        duration_s, size_bytes = await self._run(making)
        try:
            gone = self._room.make_way(size_bytes)
        except RoomFull:
            await self._discard((making.prompt_id,))
            raise SpeechFailed("the room for speech is full of texts that are being used") from None
        self._made += 1
        making.kept = Kept(making.prompt_id, duration_s, size_bytes, holders=making.askers)
        self._room.add(making.kept)
        return gone

    async def _run(self, making: _Making) -> tuple[float, int]:
        """The work itself, in a worker: seconds and bytes of what was made."""
        synthesiser, _, voice = making.speaker
        limit_s = self._settings.making_s_max
        try:
            with trio.fail_after(limit_s):
                return await self._workers.run(
                    put_on_shelf, synthesiser, self._shelf, making.prompt_id, making.text, voice
                )
        except SpeechRefused:
            raise
        except trio.TooSlowError:
            self._strike(making)
            raise SpeechFailed(f"the text took longer than {limit_s:g} s to be spoken") from None
        except WorkerFailed as error:
            self._strike(making)
            raise SpeechFailed(f"the text was not spoken: {error}") from error
        except Exception as error:
            # A synthesiser is foreign code, and a shelf another room's: whatever they raise is this
            # one text's, and must not end the task that all others hang on.
            log.exception("speech_failed", prompt=making.prompt_id, voice=voice)
            raise SpeechFailed(f"the text was not spoken: {type(error).__name__}") from error

    def _strike(self, making: _Making) -> None:
        """Remember that a text cost a worker."""
        log.warning("speech_worker_lost", prompt=making.prompt_id, voice=making.speaker.voice)
        self._strikes[making.prompt_id] = self._strikes.get(making.prompt_id, 0) + 1
        if len(self._strikes) > STRUCK_MAX:
            self._strikes.popitem(last=False)

    async def _discard(self, prompt_ids: tuple[str, ...]) -> None:
        """Remove files of texts that are in the room no longer."""
        if not prompt_ids:
            return
        removed = trio.Event()
        self._leaving |= dict.fromkeys(prompt_ids, removed)
        try:
            await self._workers.run(discard_all, self._shelf, prompt_ids)
        except (WorkerFailed, OSError) as error:
            # They are found again at the next start, and when they are made again.
            log.warning("speech_not_discarded", prompts=len(prompt_ids), error=str(error))
        finally:
            for prompt_id in prompt_ids:
                del self._leaving[prompt_id]
            removed.set()


@asynccontextmanager
async def open_speech(
    synthesisers: Sequence[Synthesiser],
    workers: Workers,
    shelf: Shelf,
    settings: SpeechSettings | None = None,
) -> AsyncIterator[SpokenTexts]:
    """Speech for as long as the block lasts; what is being made at its end fails.

    Args:
        synthesisers: where two have a voice of the same name, the first speaks. One that is missing is
            logged when speech is first asked for, and left out.
        workers: best processes of speech's own, because a synthesiser may crash, and must not wait
            behind the parsing of files.
        shelf: where spoken texts lie. Prompts whose id begins with `PREFIX` are nobody else's.
    """
    async with trio.open_nursery() as nursery:
        speech = SpokenTexts(synthesisers, workers, shelf, settings or SpeechSettings(), nursery)
        try:
            yield speech
        finally:
            nursery.cancel_scope.cancel()
            speech.give_up()


def _prompt_id(text: str, speaker: Speaker) -> str:
    """The same id for whatever sounds the same, and another for all else."""
    parts = msgspec.json.encode((_FORM, speaker.version, speaker.voice, text))
    return PREFIX + hashlib.blake2b(parts, digest_size=20).hexdigest()
