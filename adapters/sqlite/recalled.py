"""Answers that are given again without asking the database, as long as nothing has changed that they hang on.

Every trigger asks for its flow, and whether anybody must not be called. Each question costs a hop to a thread
and back, a sixth of the trigger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

KEPT_MAX: Final = 1_000
"""Answers that are kept; with more, all are asked for anew."""


class Recalled(Generic[T]):
    """Answers by what was asked.

    One that was found counts as long as `epoch` gives the same number as before it was asked for. The
    writer raises that number before a change is committed and again after it, before anybody hears of the
    change: so an answer of the old state is never given to who knows of the new one.
    """

    def __init__(self, epoch: Callable[[], int]) -> None:
        self._epoch = epoch
        self._answers: dict[tuple[str, ...], tuple[int, T]] = {}

    async def ask(self, about: tuple[str, ...], question: Callable[[], Awaitable[T]]) -> T:
        """The answer that is known, or else that of the question. Those that are None or false are not kept:
        anybody can ask for what is not there."""
        epoch = self._epoch()
        kept = self._answers.get(about)
        if kept is not None and kept[0] == epoch:
            return kept[1]
        answer = await question()
        if answer:
            if len(self._answers) >= KEPT_MAX:
                self._answers.clear()
            self._answers[about] = (epoch, answer)
        return answer
