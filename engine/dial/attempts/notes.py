"""What an answered call goes through: what its attempt's record has of that, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
import trio

from engine.dial.attempts.progress import ProgressPage
from engine.dial.attempts.record import attempt_event
from engine.flow.services import StepNote
from engine.model import Attempt, Step
from engine.model.events import EventType
from engine.ports.clock import WallClock

log = structlog.get_logger(__name__)

NOTES_MAX: Final = 500
"""Steps and answers of one call that are told; what follows is not, so that a graph that goes in circles
cannot fill the disk."""
DIGITS_MAX: Final = 1_024
"""Keys of one call that are kept in its attempt."""


class CallNotes:
    """The notes on one answered call."""

    def __init__(
        self,
        attempt: Attempt,
        result: Mapping[str, str],
        page: ProgressPage,
        clock: WallClock,
        names: Mapping[str, str],
    ) -> None:
        """
        Args:
            result: what the call sets, as it stands at any moment.
            page: takes what is told.
            names: what every line of the log about this attempt carries.
        """
        self._attempt = attempt
        self._result = result
        self._page = page
        self._clock = clock
        self._names = names
        self._answered_at = trio.current_time()
        self._steps: list[Step] = []
        self._digits = ""
        self._amd: str | None = None
        self._agent: str | None = None
        self._abandoned: bool | None = None
        self._noted = 0

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
    def answerer(self) -> str | None:
        """Who is known to have answered; None where nobody listened for it."""
        return self._amd

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
        self._page.tell(attempt_event(event_type, self._attempt, self._clock.now(), **data))

    async def write(self) -> bool:
        """Write down what is not written yet; as `ProgressPage.write`."""
        return await self._page.write()

    def _has_room(self) -> bool:
        self._noted += 1
        if self._noted == NOTES_MAX + 1:
            log.warning("further steps of a call are not told", told=NOTES_MAX, **self._names)
        return self._noted <= NOTES_MAX
