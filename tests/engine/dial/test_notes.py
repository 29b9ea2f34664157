"""What happened on a call reaches the store in its order, and once, whatever is refused."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock

from engine.dial.notes import CallNotes
from engine.events import Event
from engine.flow.services import StepNote
from engine.model import Attempt
from engine.ports.stored import StoreUnavailable
from sim.memory_store import MemoryStore
from tests.contract.store_samples import FixedClock, a_contact, an_attempt


class SlowStore(MemoryStore):
    """Takes a second over everything, and refuses the first."""

    def __init__(self) -> None:
        super().__init__(lambda _events: None, FixedClock())
        self.told: list[str] = []
        self.asked = 0

    async def note_progress(self, attempt: Attempt, *events: Event) -> None:
        self.asked += 1
        is_first = self.asked == 1
        await trio.sleep(1)
        if is_first:
            raise StoreUnavailable("full")
        self.told += [event.data["node"] for event in events]


def step(node: str) -> StepNote:
    data: dict[str, Any] = {}
    return StepNote(node, "wait", trio.current_time(), "done", data)


async def test_what_is_refused_is_told_before_what_came_after_it_though_that_was_written_meanwhile(
    autojump_clock: MockClock,
) -> None:
    """A callee opts out while the steps before are on their way to a store that refuses."""
    store = SlowStore()
    notes = CallNotes(an_attempt(a_contact(1)), {}, store, FixedClock(), {})
    notes.note_step(step("hello"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notes.write)
        await trio.sleep(0.5)
        notes.note_step(step("stop"))
        nursery.start_soon(notes.write)
    assert store.told == ["hello", "stop"]
    assert notes.take_events() == []


async def test_whoever_is_cancelled_while_they_write_leaves_nothing_to_be_told_twice(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore()
    store.asked = 1
    notes = CallNotes(an_attempt(a_contact(1)), {}, store, FixedClock(), {})
    notes.note_step(step("hello"))
    with trio.move_on_after(0.5):
        await notes.write()
    assert (store.told, notes.take_events()) == (["hello"], [])
    assert notes.attempt.steps[0].node == "hello"
