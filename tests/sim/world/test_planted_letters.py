"""Bugs planted in what becomes of letters: the judge finds each."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from msgspec.structs import replace

from engine.model.letter import Letter
from engine.post.postman import Postman
from sim.memory_store.letters import MemoryLetters
from sim.world.judge import judge
from sim.world.plan import Plan, draw_plan
from sim.world.run import run_plan
from sim.world.tape import Posted

SEEDS = [
    seed for seed in range(120) if any(one.deed == "letter" for one in draw_plan(seed).actions)
]


def calm(plan: Plan) -> Plan:
    """A plan in which neither the disk nor the process fails."""
    return replace(plan, disk=(), dies_at_step=())


def broken(promise: str) -> bool:
    """Whether the judge finds a promise broken in any of the first seeds with letters."""
    return any(
        promise in {one.promise for one in judge(run_plan(calm(draw_plan(seed))))} for seed in SEEDS
    )


def test_in_worlds_with_letters_some_are_taken_and_some_refused_for_good() -> None:
    wanted = {"ok", "refused", "refused for good"}
    for seed in SEEDS:
        entries = run_plan(draw_plan(seed)).tape.entries
        wanted -= {entry.code for entry in entries if isinstance(entry, Posted)}
        if not wanted:
            return
    raise AssertionError(f"in no seed any is {wanted}")


def test_a_letter_that_is_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def keep_letter(_self: MemoryLetters, _letter: Letter) -> bool:
        return True

    monkeypatch.setattr(MemoryLetters, "keep_letter", keep_letter)
    assert broken("every letter that was promised comes, or is given up")


def test_a_postman_who_sends_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_self: Postman, **_settings: Any) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(Postman, "run", run)
    assert broken("a letter that is due is sent")


def test_a_letter_that_is_said_to_be_sent_and_is_not_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hand_over(*_args: Any) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(Postman, "_hand_over", hand_over)
    assert broken("what is kept of a letter is what became of it")


def test_a_letter_that_comes_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = MemoryLetters.note_letter

    async def note_letter(self: MemoryLetters, letter: Letter, event: Any) -> None:
        is_first = not hasattr(self, "noted")
        self.noted = True  # type: ignore[attr-defined]
        if not is_first:
            await keep(self, letter, event)

    monkeypatch.setattr(MemoryLetters, "note_letter", note_letter)
    assert broken("no letter that was taken is sent again")


def test_a_letter_that_is_given_up_and_nobody_is_told_of_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep = MemoryLetters.note_letter

    async def note_letter(self: MemoryLetters, letter: Letter, _event: Any) -> None:
        await keep(self, letter, None)

    monkeypatch.setattr(MemoryLetters, "note_letter", note_letter)
    assert broken("what is kept of a letter is what became of it")
