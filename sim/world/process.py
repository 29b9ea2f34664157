"""One life of the engine's process: what it holds of the outside, and how it loses that when it dies.

A process dies at a step, which is when a commit is asked for or made or a call is dialled, or at a moment. It
does nothing from then on: whatever its tasks still ask of a port raises `ProcessDied`, which the engine does
not catch, and what was committed is all that is left.
"""

from __future__ import annotations

from collections.abc import Callable


class ProcessDied(BaseException):
    """The process of whoever asks is dead. It is no `Exception`, so that nothing goes on after it."""


class Process:
    """Whether a process lives, and for how long."""

    def __init__(self, number: int, dies_at_step: int | None) -> None:
        self.number = number
        """Counted from 0."""
        self.is_dead = False
        self.on_death: dict[object, Callable[[], None]] = {}
        """Who is told that it died, in the order of asking, by whoever asked."""
        self._steps_left = dies_at_step

    def step(self) -> None:
        """Something happens that a crash can come before. Raises `ProcessDied`."""
        self.check()
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left <= 0:
                self.die()
                raise ProcessDied

    def check(self) -> None:
        """Raises `ProcessDied` when it is dead."""
        if self.is_dead:
            raise ProcessDied

    def die(self) -> None:
        """End it here and now."""
        if not self.is_dead:
            self.is_dead = True
            for tell in [*self.on_death.values()]:
                tell()
