"""CSV (RFC 4180) that is written while it is read from the store, a page at a time.

Cells that outsiders wrote are guarded: a spreadsheet would run one that begins like a formula. A leading
apostrophe makes it text again, and reading a call list drops that apostrophe from numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Final, TypeVar

from api.http.exchange import Answer
from engine.ports.stored import Page

T = TypeVar("T")
Row = Sequence[str | int | float | None]

PAGE_ROWS: Final = 1_000
"""Rows that are in memory at once."""
CSV_TYPE: Final = "text/csv; charset=utf-8"


async def stream_pages(
    read: Callable[[int, str | None], Awaitable[Page[T]]], make_row: Callable[[T], Row]
) -> AsyncGenerator[Sequence[Row], None]:
    """Every row of a long answer, page by page.

    Args:
        read: gives the page of (limit, cursor).
        make_row: an item of a page → its row.
    """
    cursor: str | None = None
    while True:
        page = await read(PAGE_ROWS, cursor)
        yield [make_row(item) for item in page.items]
        cursor = page.next
        if cursor is None:
            return


def stream_rows(
    name: str, header: Row, pages: AsyncGenerator[Sequence[Row], None] | None
) -> Answer:
    """An answer that is a CSV file.

    Args:
        name: what a browser calls the file; ASCII without quotes.
        header: the first row.
        pages: the other rows; None for none.
    """
    return Answer(
        200,
        _encode_pages(header, pages),
        CSV_TYPE,
        {"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _encode_pages(
    header: Row, pages: AsyncGenerator[Sequence[Row], None] | None
) -> AsyncGenerator[bytes, None]:
    yield _encode([header])
    if pages is not None:
        async with aclosing(pages):
            async for rows in pages:
                if rows:
                    yield _encode(rows)


def _encode(rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
