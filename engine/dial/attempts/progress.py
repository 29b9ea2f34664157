"""What attempts go through between their intents and their ends, on its way into the store.

Nobody waits for it, and a commit for each ring, answer and step would cost as much as the rest of a call. So
what all attempts go through is written down together, `TOLD_WITHIN_S` after the first of it, and what is left
of one that ends goes with its end. A crash loses no more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import structlog
import trio

from engine.model import Attempt
from engine.model.events import Event
from engine.ports.dial_store import DialStore, Progress
from engine.ports.stored import StoreUnavailable

log = structlog.get_logger(__name__)

TOLD_WITHIN_S: Final = 0.1
"""How long what happens on a call may wait to be written down and told."""
STORE_RETRY_S: Final = 1.0
"""How soon a store that did not take it is asked again."""


class ProgressPage:
    """What was told of one attempt and is not written down yet. Made by `ProgressDesk.open_page`."""

    def __init__(self, desk: ProgressDesk, state: Callable[[], Attempt]) -> None:
        self._desk = desk
        self.state = state
        """The attempt as it stands."""
        self.events: list[Event] = []
        """In their order; whoever opens the page bounds them."""
        self.is_in_hand = False
        """Whether some of it is being written."""

    def tell(self, event: Event) -> None:
        """Something happened, and is written down soon."""
        self.events.append(event)
        self._desk.note(self)

    async def write(self) -> bool:
        """Write down what is not written yet; False where the store cannot be written. Never raises: what the
        store does not take waits for the next time, or for the attempt's end."""
        # Whoever is cancelled does not know whether it came to a commit, and it must not come twice.
        is_taken = False
        with trio.CancelScope(shield=True):
            is_taken = await self._desk.write([self])
        return is_taken

    async def close(self) -> list[Event]:
        """What is left to be told; whoever takes it writes it."""
        return await self._desk.close(self)

    def take(self) -> list[Event]:
        """What is on it, which it is then no more."""
        events, self.events = self.events, []
        return events


class ProgressDesk:
    """The pages of all attempts that go on. `run` is its only task."""

    def __init__(self, store: DialStore) -> None:
        self._store = store
        self._waiting: dict[ProgressPage, None] = {}
        """Pages with something on them."""
        self._pause = trio.CancelScope()
        """In which `run` waits until something is to be written."""
        self._is_writing = False
        """Whoever comes while something is being written waits for that: where it is refused, nothing that
        happened later is told before it."""
        self._written = trio.lowlevel.ParkingLot()

    def open_page(self, state: Callable[[], Attempt]) -> ProgressPage:
        """The page of an attempt that begins; `state` gives the attempt as it stands at any moment."""
        return ProgressPage(self, state)

    def note(self, page: ProgressPage) -> None:
        """There is something on a page."""
        if not self._waiting:
            self._pause.deadline = min(self._pause.deadline, trio.current_time() + TOLD_WITHIN_S)
        self._waiting[page] = None

    async def run(self) -> None:
        """Write down what is noted, until cancelled: when no attempt goes on any more."""
        while True:
            with self._pause:
                await trio.sleep_forever()
            self._pause = trio.CancelScope()
            await self.write([*self._waiting])
            if self._waiting:  # it was refused, or came meanwhile, which set a moment
                retry_at = trio.current_time() + STORE_RETRY_S
                self._pause.deadline = min(self._pause.deadline, retry_at)

    async def write(self, pages: Collection[ProgressPage]) -> bool:
        """Write down what is on these pages; False where the store cannot be written. Never raises: what the
        store does not take stays on them."""
        while self._is_writing:
            await self._written.park()
        self._is_writing = True
        try:
            return await self._write([page for page in pages if page.events])
        finally:
            self._is_writing = False
            self._written.unpark_all()

    async def close(self, page: ProgressPage) -> list[Event]:
        """See `ProgressPage.close`."""
        while page.is_in_hand:
            await self._written.park()
        self._waiting.pop(page, None)
        return page.take()

    async def _write(self, pages: Collection[ProgressPage]) -> bool:
        """Whoever is the fault of it that some cannot be written harms nobody else's."""
        if not pages:
            return True
        taken = [(page, page.take()) for page in pages]
        for page in pages:
            self._waiting.pop(page, None)
            page.is_in_hand = True
        refused: Exception | None = None
        try:
            await self._store.note_progress(
                [Progress(page.state(), events) for page, events in taken]
            )
        except Exception as error:
            refused = error
        for page, events in taken:
            page.is_in_hand = False
            if refused is not None:
                page.events = events + page.events
        if isinstance(refused, StoreUnavailable):
            log.error("cannot note progress", attempts=len(pages), error=str(refused))
            self._waiting |= dict.fromkeys(pages)
        elif refused is not None and len(pages) > 1:
            for page in pages:
                await self._write([page])
        elif refused is not None:
            # It goes with the end of its attempt.
            log.error("progress cannot be noted by a fault of ours", exc_info=refused)
        return not isinstance(refused, StoreUnavailable)
