"""Pages and their cursors, alike in every store. Pure, as `rules`."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from engine.ports.stored import (
    PAGE_MAX,
    Conflict,
)

Place = Annotated[int, Meta(ge=0, le=2**62)]
"""A row's number in a cursor; an outsider may have made it up, and no store need cope with a larger one."""

ID_CURSOR: Final = tuple[str]
ROW_CURSOR: Final = tuple[Place, str]
PLACE_CURSOR: Final = tuple[Place]
LIST_CURSOR: Final = tuple[float, str]
DO_NOT_CALL_CURSOR: Final = tuple[str, str | None]


def rows_of_page(limit: int) -> int:
    """How many rows a page of this limit has at most."""
    return max(1, min(limit, PAGE_MAX))


def cursor_of(*key: str | float | None) -> str:
    """The cursor of the page after the row with this sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def read_cursor(cursor: str, shape: Any) -> Any:
    """The sort key in a cursor, of the given tuple type. Raises `Conflict("invalid_cursor")` for one
    that this page did not give out."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded, b"-_", validate=True), type=shape)
    except (UnicodeError, binascii.Error, msgspec.DecodeError, RecursionError) as error:
        raise Conflict("invalid_cursor", "The cursor is not one that this page gave.") from error
