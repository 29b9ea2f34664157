"""Texts are spoken once, kept within bounds, and one text's trouble stays its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from adapters.speech import spoken_texts
from adapters.speech.spoken_texts import (
    SpeechSettings,
    SpeechStatistics,
    SpokenTexts,
    open_speech,
)
from adapters.workers import InlineWorkers
from engine.ports.speech import Speech, SpeechFailed, SpeechRefused, SpokenText, Voice
from engine.ports.workers import WorkerFailed
from tests.adapters.speech.stand_ins import Board, GatedWorkers, Parrot

SETTINGS = SpeechSettings(default_voice="en", bytes_max=1_000, at_once_max=1)


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def workers() -> GatedWorkers:
    return GatedWorkers()


@pytest.fixture
async def speech(parrot: Parrot, board: Board, workers: GatedWorkers) -> AsyncIterator[SpokenTexts]:
    async with open_speech([parrot], workers, board, SETTINGS) as opened:
        yield opened


async def speak(speech: Speech, text: str, voice: str | None = None) -> SpokenText:
    """Have a text made, and let it go."""
    async with speech.make(text, voice) as spoken:
        return spoken


async def speak_often(speech: Speech, text: str, times: int) -> list[SpokenText]:
    """The same text for so many at once."""
    spoken: list[SpokenText] = []

    async def once() -> None:
        spoken.append(await speak(speech, text))

    async with trio.open_nursery() as nursery:
        for _ in range(times):
            nursery.start_soon(once)
    return spoken


async def test_a_text_becomes_a_prompt_that_lies_on_the_shelf(
    speech: SpokenTexts, parrot: Parrot, board: Board
) -> None:
    spoken = await speak(speech, "Hello  you", "EN")
    assert (parrot.asked, spoken.duration_s) == ([("Hello you", "en")], 0.8)
    assert list(board.lying) == [spoken.prompt]


async def test_a_thousand_who_ask_at_once_have_it_made_once(
    speech: SpokenTexts, parrot: Parrot
) -> None:
    spoken = await speak_often(speech, "Hello", 1_000)
    assert (len(set(spoken)), len(spoken)) == (1, 1_000)
    assert (len(parrot.asked), speech.statistics()) == (
        1,
        SpeechStatistics(kept=1, kept_bytes=500, making=0, made=1, reused=999, failed=0),
    )


async def test_a_thousand_who_ask_one_after_the_other_have_it_made_once(
    speech: SpokenTexts, parrot: Parrot
) -> None:
    spoken = {await speak(speech, "Hello") for _ in range(1_000)}
    assert (len(spoken), parrot.asked) == (1, [("Hello", "en")])


async def test_another_text_another_voice_and_another_version_are_other_prompts(
    board: Board,
) -> None:
    prompts = []
    for version, text, voice in (
        ("1", "Hello", "en"),
        ("1", "hello", "en"),
        ("1", "Hello", "de"),
        ("2", "Hello", "en"),
        ("1", " Hello\n", "en"),
    ):
        async with open_speech([Parrot(version)], InlineWorkers(), board) as speech:
            prompts.append((await speak(speech, text, voice)).prompt)
    assert (len(set(prompts)), prompts[4]) == (4, prompts[0])


async def test_what_lay_on_the_shelf_before_the_start_is_not_made_again(board: Board) -> None:
    async with open_speech([Parrot()], InlineWorkers(), board, SETTINGS) as speech:
        before = await speak(speech, "Hello")
    parrot = Parrot()
    async with open_speech([parrot], InlineWorkers(), board, SETTINGS) as speech:
        assert (await speak(speech, "Hello"), parrot.asked) == (before, [])


async def test_a_smaller_bound_is_kept_from_the_start(board: Board) -> None:
    async with open_speech([Parrot()], InlineWorkers(), board, SETTINGS) as speech:
        kept = [(await speak(speech, text)).prompt for text in ("aaaa", "bbbb", "cc")]
    fewer = SpeechSettings(default_voice="en", bytes_max=600)
    async with open_speech([Parrot()], InlineWorkers(), board, fewer) as speech:
        await speech.list_voices()
        assert (list(board.lying), speech.statistics().kept_bytes) == (kept[1:], 600)


async def test_prompts_that_are_no_spoken_texts_are_left_alone(
    speech: SpokenTexts, board: Board
) -> None:
    board.add_samples("prm_1", Parrot().make("a" * 50, "en").samples, 8_000)
    await speak(speech, "a" * 9)
    await speak(speech, "b" * 9)
    assert "prm_1" in board.lying
    assert speech.statistics().kept_bytes == 900


async def test_the_text_that_was_not_used_for_longest_makes_way(
    speech: SpokenTexts, parrot: Parrot, board: Board
) -> None:
    first, second = [(await speak(speech, text)).prompt for text in ("aaaa", "bbbb")]
    await speak(speech, "aaaa")
    third = await speak(speech, "cccc")
    await trio.testing.wait_all_tasks_blocked()
    assert (list(board.lying), board.discarded) == ([first, third.prompt], [second])
    assert [text for text, _ in parrot.asked] == ["aaaa", "bbbb", "cccc"]


async def test_a_text_that_is_being_used_never_makes_way(speech: SpokenTexts, board: Board) -> None:
    async with speech.make("aaaa") as held:
        await speak(speech, "bbbb")
        await speak(speech, "cccc")
        await trio.testing.wait_all_tasks_blocked()
        assert held.prompt in board.lying
    assert len(board.lying) == 2


async def test_when_all_room_is_in_use_the_next_text_fails_and_leaves_nothing(
    speech: SpokenTexts, board: Board
) -> None:
    async with speech.make("aaaaaa") as held:
        with pytest.raises(SpeechFailed, match="full of texts that are being used"):
            await speak(speech, "bbbbb")
        assert list(board.lying) == [held.prompt]
    await speak(speech, "bbbbb")


async def test_a_text_whose_file_is_being_removed_is_made_anew_after_that(
    workers: GatedWorkers, parrot: Parrot, board: Board
) -> None:
    settings = SpeechSettings(default_voice="en", bytes_max=1_000, at_once_max=2)
    again: list[SpokenText] = []

    async with open_speech([parrot], workers, board, settings) as speech:

        async def ask() -> None:
            again.append(await speak(speech, "aaaaaa"))

        await speak(speech, "aaaaaa")
        workers.closed.add("discard_all")
        await speak(speech, "bbbbbb")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            assert (len(parrot.asked), again) == (2, [])
            workers.open("discard_all")
        await trio.testing.wait_all_tasks_blocked()
        assert list(board.lying) == [again[0].prompt]


async def test_the_first_asker_may_go_without_the_second_losing_anything(
    speech: SpokenTexts, workers: GatedWorkers, parrot: Parrot
) -> None:
    workers.closed.add("put_on_shelf")
    spoken: list[SpokenText] = []

    async def ask() -> None:
        spoken.append(await speak(speech, "Hello"))

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as first:
            nursery.start_soon(cancel_when_blocked, first)
            await speak(speech, "Hello")
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        workers.open("put_on_shelf")
    assert (len(spoken), len(parrot.asked), first.cancelled_caught) == (1, 1, True)


async def cancel_when_blocked(scope: trio.CancelScope) -> None:
    await trio.testing.wait_all_tasks_blocked()
    scope.cancel()


async def test_a_text_that_nobody_waits_for_any_more_is_not_made(
    speech: SpokenTexts, workers: GatedWorkers, parrot: Parrot
) -> None:
    workers.closed.add("put_on_shelf")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak, speech, "being made")
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel_when_blocked, scope)
            await speak(speech, "never made")
        workers.open("put_on_shelf")
    await trio.testing.wait_all_tasks_blocked()
    assert ([text for text, _ in parrot.asked], speech.statistics().making) == (["being made"], 0)


async def test_whoever_is_cancelled_holds_nothing(
    speech: SpokenTexts, workers: GatedWorkers
) -> None:
    """A call that ends while its text is made, and one that ends while it is played."""
    workers.closed.add("put_on_shelf")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak, speech, "aaaaaa")
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel_when_blocked, scope)
            await speak(speech, "aaaaaa")
        workers.open("put_on_shelf")
    with trio.CancelScope() as scope:
        async with speech.make("aaaaaa"):
            scope.cancel()
            await trio.sleep_forever()
    # It would not fit beside the first text, if that were still held.
    await speak(speech, "bbbbbb")


async def test_whoever_is_cancelled_in_the_moment_that_the_text_is_made_holds_nothing(
    speech: SpokenTexts, workers: GatedWorkers
) -> None:
    """Trio runs the two in any order, so it is tried often; the room is for one text at a time."""
    for letter in "abcdefghijklmnopqrst":
        workers.closed.add("put_on_shelf")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(speak, speech, letter * 6)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            workers.open("put_on_shelf")
        await trio.testing.wait_all_tasks_blocked()
    await speak(speech, "A" * 10)
    assert speech.statistics().kept == 1


async def test_a_failure_is_told_to_all_who_wait_and_the_next_tries_again(
    speech: SpokenTexts, parrot: Parrot
) -> None:
    parrot.failures.append(RuntimeError("beak"))
    failures: list[SpeechFailed] = []

    async def ask() -> None:
        try:
            await speak(speech, "Hello")
        except SpeechFailed as error:
            failures.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
    assert [str(failure) for failure in failures] == ["the text was not spoken: RuntimeError"] * 3
    await speak(speech, "Hello")
    assert speech.statistics() == SpeechStatistics(1, 500, 0, made=1, reused=2, failed=1)


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (
            WorkerFailed("the worker process died at its work"),
            "the worker process died at its work",
        ),
        (OSError(28, "No space left on device"), "OSError"),
    ],
)
async def test_a_dead_worker_and_a_full_disk_are_failures(
    speech: SpokenTexts, parrot: Parrot, failure: Exception, says: str
) -> None:
    parrot.failures.append(failure)
    with pytest.raises(SpeechFailed) as caught:
        await speak(speech, "Hello")
    assert str(caught.value) == f"the text was not spoken: {says}"


async def test_a_text_that_ends_its_worker_twice_is_not_tried_a_third_time(
    speech: SpokenTexts, parrot: Parrot
) -> None:
    parrot.failures += [WorkerFailed("died"), WorkerFailed("died")]
    failures = []
    for _ in range(4):
        with pytest.raises(SpeechFailed) as caught:
            await speak(speech, "poison")
        failures.append(str(caught.value))
    given_up = "the text was tried 2 times, and ended its worker each time"
    assert failures == ["the text was not spoken: died"] * 2 + [given_up] * 2
    await speak(speech, "Hello")
    assert [text for text, _ in parrot.asked] == ["poison", "poison", "Hello"]


async def test_texts_that_ended_a_worker_are_not_remembered_for_ever(
    speech: SpokenTexts, parrot: Parrot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken_texts, "STRUCK_MAX", 1)
    parrot.failures += [WorkerFailed("died")] * 3
    for text in ("poison", "poison", "venom"):
        with pytest.raises(SpeechFailed, match="died"):
            await speak(speech, text)
    await speak(speech, "poison")


async def test_a_text_that_makes_no_sound_is_refused(speech: SpokenTexts, board: Board) -> None:
    with pytest.raises(SpeechRefused) as caught:
        await speak(speech, "...")
    assert (caught.value.code, board.lying) == ("no_text", {})


async def test_a_synthesiser_that_does_not_end_is_given_up(
    speech: SpokenTexts, workers: GatedWorkers, autojump_clock: trio.testing.MockClock
) -> None:
    workers.closed.add("put_on_shelf")
    with pytest.raises(SpeechFailed, match="the text took longer than 20 s to be spoken"):
        await speak(speech, "Hello")
    assert (trio.current_time(), workers.waiting) == (20.0, [])


async def test_no_more_texts_wait_than_may(
    speech: SpokenTexts, workers: GatedWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken_texts, "MAKING_MAX", 2)
    workers.closed.add("put_on_shelf")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak, speech, "a")
        nursery.start_soon(speak, speech, "b")
        await trio.testing.wait_all_tasks_blocked()
        assert workers.waiting == ["put_on_shelf"]
        with pytest.raises(SpeechFailed, match="2 texts are waiting to be spoken already"):
            await speak(speech, "c")
        workers.open("put_on_shelf")


async def test_what_is_refused_is_refused_by_the_check_too(
    speech: SpokenTexts, parrot: Parrot
) -> None:
    codes = []
    for text, voice in (("", None), ("a" * 2_001, None), ("a\0", None), ("Hello", "fr")):
        with pytest.raises(SpeechRefused) as checked:
            await speech.check(text, voice)
        with pytest.raises(SpeechRefused) as made:
            await speak(speech, text, voice)
        assert checked.value.args == made.value.args
        codes.append(made.value.code)
    await speech.check("Hello", "de")
    assert codes == ["no_text", "text_too_long", "forbidden_character", "unknown_voice"]
    assert parrot.asked == []


async def test_voices_are_listed(speech: SpokenTexts) -> None:
    assert await speech.list_voices() == (Voice("en", "en", "Parrot"), Voice("de", "de", "Papagei"))


async def test_a_synthesiser_that_is_missing_is_left_out(board: Board) -> None:
    absent = Parrot(missing=True)
    async with open_speech([absent, Parrot()], InlineWorkers(), board, SETTINGS) as speech:
        await speak(speech, "Hello")
    async with open_speech([absent], InlineWorkers(), board, SETTINGS) as speech:
        assert await speech.list_voices() == ()
        with pytest.raises(SpeechRefused, match="nothing is installed that speaks"):
            await speech.check("Hello")
    assert absent.asked == []


async def test_nothing_is_started_before_speech_is_asked_for(board: Board) -> None:
    workers = GatedWorkers()
    workers.closed |= {"describe", "list_shelf"}
    async with open_speech([Parrot()], workers, board, SETTINGS) as speech:
        await trio.testing.wait_all_tasks_blocked()
        assert (workers.waiting, speech.statistics().kept) == ([], 0)


async def test_what_is_being_made_at_the_end_fails(board: Board) -> None:
    workers = GatedWorkers()
    workers.closed.add("put_on_shelf")
    failures: list[str] = []

    async def ask(speech: Speech, text: str) -> None:
        try:
            await speak(speech, text)
        except SpeechFailed as error:
            failures.append(str(error))

    async with (
        trio.open_nursery() as nursery,
        open_speech([Parrot()], workers, board, SETTINGS) as speech,
    ):
        nursery.start_soon(ask, speech, "being made")
        nursery.start_soon(ask, speech, "waiting")
        await trio.testing.wait_all_tasks_blocked()
    assert (workers.waiting, failures) == ([], ["the engine is stopping"] * 2)
