"""What a call goes through, on its way into the store.

Nobody waits for it, and a commit for each step would cost as much as the rest of the call: steps wait up to
`NOTES_WAIT_S` for others, and those of the end go with the attempt's end. A crash loses no more than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
import trio

from engine.dial.record import attempt_event
from engine.events import Event, EventType
from engine.flow.services import StepNote
from engine.model import Attempt, Step
from engine.ports.clock import WallClock
from engine.ports.dial_store import DialStore
from engine.ports.stored import StoreUnavailable

log = structlog.get_logger(__name__)

NOTES_WAIT_S: Final = 1.0
"""How long what happened on a call may wait to be written down and told."""
NOTES_MAX: Final = 500
"""Steps and answers of one call that are told; what follows is not, so that a graph that goes in circles
cannot fill the disk."""
DIGITS_MAX: Final = 1_024
"""Keys of one call that are kept in its attempt."""


class CallNotes:
    """The notes on one answered call. `attempt` is the call's record with all of them."""

    def __init__(
        self,
        attempt: Attempt,
        result: Mapping[str, str],
        store: DialStore,
        clock: WallClock,
        names: Mapping[str, str],
    ) -> None:
        """
        Args:
            result: what the call sets, as it stands at any moment.
            names: what every line of the log about this attempt carries.
        """
        self._attempt = attempt
        self._result = result
        self._store = store
        self._clock = clock
        self._names = names
        self._answered_at = trio.current_time()
        self._steps: list[Step] = []
        self._digits = ""
        self._amd: str | None = None
        self._agent: str | None = None
        self._abandoned: bool | None = None
        self._noted = 0
        self._pending: list[Event] = []
        self._something = trio.Event()
        self._writing = trio.Lock()

    @property
    def attempt(self) -> Attempt:
        """The attempt as it stands."""
        return self.add_to(self._attempt)

    def add_to(self, attempt: Attempt) -> Attempt:
        """Another state of the attempt, with everything that was noted."""
        return msgspec.structs.replace(
            attempt,
            amd=self._amd,
            digits=self._digits,
            result=dict(self._result),
            steps=tuple(self._steps),
            agent=self._agent,
            abandoned=self._abandoned,
        )

    def note_step(self, note: StepNote) -> None:
        """The call has left a node."""
        if self._has_room():
            at_s = round(note.began_at - self._answered_at, 3)
            self._steps.append(Step(note.node, note.type, at_s, note.outcome))
            what = {"node": note.node, "type": note.type, "outcome": note.outcome}
            self.tell("attempt.step", **what, **note.data)

    def note_digits(self, node: str, digits: str) -> None:
        """A node was answered with these keys."""
        self._digits = (self._digits + digits)[:DIGITS_MAX]
        if self._has_room():
            self.tell("attempt.digits", node=node, digits=digits)

    def note_answerer(self, answerer: str, cause: str, elapsed_ms: int) -> None:
        """It is known who answered."""
        self._amd = answerer
        self.tell("attempt.amd", answerer=answerer, cause=cause, elapsed_ms=elapsed_ms)

    @property
    def is_machine(self) -> bool:
        """Whether a machine is known to have answered."""
        return self._amd == "machine"

    def note_wanted(self) -> None:
        """Any agent is wanted for this callee."""
        self._abandoned = self._abandoned or False

    def note_abandoned(self, waited_s: float) -> None:
        """No agent took the callee in time, so long after the answer."""
        self._abandoned = True
        self.tell("attempt.abandoned", waited_s=waited_s)

    def note_connected(self, agent: str) -> None:
        """The callee speaks with an agent: an id, or the number of somebody who is none of the flow."""
        self._agent = agent
        self.tell("attempt.connected", agent=agent)

    def tell(self, event_type: EventType, **data: Any) -> None:
        """Something happened now, and is written down soon."""
        self._pending.append(attempt_event(event_type, self._attempt, self._clock.now(), **data))
        self._something.set()

    def take_events(self) -> list[Event]:
        """What is not written down yet; whoever takes it writes it."""
        events, self._pending = self._pending, []
        return events

    async def write_along(self) -> None:
        """Write down what is noted, until cancelled; what is being written then is still written."""
        while True:
            await self._something.wait()
            await trio.sleep(NOTES_WAIT_S)
            await self.write()

    async def write(self) -> None:
        """Write down what is not written yet. Never raises: what the store does not take waits for the
        next time, or for the attempt's end. Whoever comes while something is being written waits for that:
        where it is refused, nothing that happened later is told before it."""
        async with self._writing:
            await self._write()

    async def _write(self) -> None:
        self._something = trio.Event()
        events = self.take_events()
        if not events:
            return
        try:
            # Whoever is cancelled does not know whether it came to a commit, and it must not come twice.
            with trio.CancelScope(shield=True):
                await self._store.note_progress(self.attempt, *events)
        except Exception as error:
            if isinstance(error, StoreUnavailable):
                log.error("cannot note steps", error=str(error), **self._names)
            else:
                log.exception("steps cannot be noted by a fault of ours", **self._names)
            self._pending = events + self._pending
            self._something.set()

    def _has_room(self) -> bool:
        self._noted += 1
        if self._noted == NOTES_MAX + 1:
            log.warning("further steps of a call are not told", told=NOTES_MAX, **self._names)
        return self._noted <= NOTES_MAX
