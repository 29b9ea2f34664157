"""What happens on calls reaches the store in its order, and once, whatever is refused."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from trio.testing import MockClock

from engine.dial.attempts.progress import TOLD_WITHIN_S, ProgressDesk, ProgressPage
from engine.model import Attempt
from engine.ports.dial_store import Progress
from engine.ports.stored import StoreUnavailable
from sim.memory_store import MemoryStore
from tests.contract.store_samples import FixedClock, a_contact, about, an_attempt


class SlowStore(MemoryStore):
    """Takes a second over everything, refuses the first few, and chokes on one attempt."""

    def __init__(self, refusals: int = 0, choking: str = "") -> None:
        super().__init__(lambda _events: None, FixedClock())
        self.written: list[list[str]] = []
        """Of each write, what was told."""
        self._refusals = refusals
        self._choking = choking

    async def note_progress(self, noted: Sequence[Progress]) -> None:
        await trio.sleep(1)
        if self._refusals:
            self._refusals -= 1
            raise StoreUnavailable("full")
        if any(one.attempt.id == self._choking for one in noted):
            raise LookupError("there is no such account")
        self.written.append([event.data["what"] for one in noted for event in one.events])


def open_page(desk: ProgressDesk, number: int = 1) -> tuple[Attempt, ProgressPage]:
    attempt = an_attempt(a_contact(number), number)
    return attempt, desk.open_page(lambda: attempt)


def tell(attempt: Attempt, page: ProgressPage, what: str) -> None:
    page.tell(about(attempt, "attempt.step", what=what))


async def test_what_several_calls_go_through_is_written_in_one_go(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore()
    desk = ProgressDesk(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.run)
        for number in (1, 2):
            tell(*open_page(desk, number), f"rings {number}")
        await trio.sleep(TOLD_WITHIN_S + 1.1)
        nursery.cancel_scope.cancel()
    assert store.written == [["rings 1", "rings 2"]]


async def test_what_is_refused_is_told_before_what_came_after_it_though_that_was_written_meanwhile(
    autojump_clock: MockClock,
) -> None:
    """A callee opts out while the steps before are on their way to a store that refuses."""
    store = SlowStore(refusals=1)
    attempt, page = open_page(ProgressDesk(store))
    tell(attempt, page, "hello")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(page.write)
        await trio.sleep(0.5)
        tell(attempt, page, "stop")
        nursery.start_soon(page.write)
    assert store.written == [["hello", "stop"]]
    assert await page.close() == []


async def test_whoever_is_cancelled_while_they_write_leaves_nothing_to_be_told_twice(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore()
    attempt, page = open_page(ProgressDesk(store))
    tell(attempt, page, "hello")
    with trio.move_on_after(0.5):
        await page.write()
    assert (store.written, await page.close()) == ([["hello"]], [])


async def test_an_attempt_that_ends_while_its_progress_is_refused_tells_of_it_itself(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore(refusals=1)
    attempt, page = open_page(ProgressDesk(store))
    tell(attempt, page, "hello")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(page.write)
        await trio.sleep(0.5)
        tell(attempt, page, "bye")
        left = await page.close()
    assert [one.data["what"] for one in left] == ["hello", "bye"]
    assert store.written == []


async def test_an_attempt_that_cannot_be_written_harms_no_other(autojump_clock: MockClock) -> None:
    store = SlowStore(choking="att_000002")
    desk = ProgressDesk(store)
    pages = [open_page(desk, number) for number in (1, 2, 3)]
    for attempt, page in pages:
        tell(attempt, page, attempt.id)
    await desk.write([page for _, page in pages])
    assert store.written == [["att_000001"], ["att_000003"]]
    left = await pages[1][1].close()
    assert [one.data["what"] for one in left] == ["att_000002"]
