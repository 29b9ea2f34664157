"""Pages of what lies in memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from adapters.sqlite import cursors
from engine.ports.stored import Page

T = TypeVar("T")


def page_of(
    items: Sequence[T],
    after: Any,
    limit: int,
    key: Callable[[T], Any],
    cursor: Callable[[T], str],
) -> Page[T]:
    """A page of items that are sorted by `key`: those above `after`, or from the first when it is None."""
    start = 0 if after is None else bisect_left(items, True, key=lambda one: key(one) > after)
    size = cursors.rows_of_page(limit)
    some = tuple(items[start : start + size])
    return Page(some, cursor(some[-1]) if len(items) > start + size else None)


def page_by_text(
    items: Iterable[T], key: Callable[[T], str], limit: int, cursor: str | None
) -> Page[T]:
    """A page of a few items in the order of an id or a number. Raises `Conflict("invalid_cursor")`."""
    after = cursors.read_cursor(cursor, cursors.ID_CURSOR)[0] if cursor is not None else None
    return page_of(
        sorted(items, key=key), after, limit, key, lambda one: cursors.cursor_of(key(one))
    )
