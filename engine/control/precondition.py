"""What must still be so for a request to change something (If-Match, RFC 9110 §13.1.1).

Whoever answers a request says so with `begin`. The store asks it in the transaction of the change itself,
whichever of its methods makes it, so that nothing can come in between. What the engine does by itself has no
condition.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from msgspec import Struct

from engine.ports.stored import Conflict

T = TypeVar("T")


class Precondition(Struct, frozen=True):
    """A condition on the one thing that a request is about."""

    of: type[Struct]
    """The kind of that thing; a request may change others, too, on which there is no condition."""
    holds: Callable[[Any], bool]
    """Whether it holds for the thing as it is now. Pure and quick, may run in another thread."""


CODE: Final = "precondition_failed"
_PRECONDITION: ContextVar[Precondition | None] = ContextVar("precondition", default=None)


def begin(precondition: Precondition | None) -> None:
    """The task, and those that it starts, answer a request with this condition from now on."""
    _PRECONDITION.set(precondition)


def checking(kind: type[T]) -> Callable[[T], None]:
    """What raises `Conflict("precondition_failed")` for a thing of this kind that is not as the request of
    this task wants it."""
    precondition = _PRECONDITION.get()

    def check(present: T) -> None:
        if precondition is None or precondition.of is not kind or precondition.holds(present):
            return
        raise Conflict(CODE, "It was changed since you read it. Read it again, and change that.")

    return check


def guarding(kind: type[T], change: Callable[[T], T]) -> Callable[[T], T]:
    """`change`, made only where the condition of this task's request holds; raises as `checking`."""
    if _PRECONDITION.get() is None:
        return change
    check = checking(kind)

    def guarded(present: T) -> T:
        check(present)
        return change(present)

    return guarded
