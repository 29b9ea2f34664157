"""How a route is described, beside what the table of routes says of it."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Struct

JSON_TYPE: Final = "application/json"
CSV_TYPE: Final = "text/csv"


class Described(Struct, frozen=True):
    """What a route does, takes and gives."""

    summary: str
    """Half a sentence: what it does."""
    gives: Any = None
    """The type of its JSON answer; None where the answer is empty, or of another media type."""
    status: int = 200
    takes: Any = None
    """The type of its JSON body."""
    example: Any = None
    """A body that it takes, as JSON has it."""
    media_type: str = JSON_TYPE
    """Of the answer."""
    codes: tuple[str, ...] = ()
    """Errors of its own, beside those that follow from what it takes and who may use it."""
    detail: str = ""
    """What else a user should know."""


@cache
def page_of(item: type[Struct]) -> type[Struct]:
    """The type of a page of these."""
    name = f"{item.__name__.removesuffix('View')}Page"
    made: type[Struct] = msgspec.defstruct(
        name,
        [("items", list[item]), ("next", str | None)],  # type: ignore[valid-type]
        module=__name__,
    )
    made.__doc__ = "A part of a long answer. `next` is the `cursor` of the part that follows."
    return made
