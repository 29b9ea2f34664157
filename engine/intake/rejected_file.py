"""The rows of a list that were not taken, as one file for a door without a screen."""

from __future__ import annotations

import csv
import io
from typing import Final

from engine.intake.answer import make_rejected_header, make_rejected_row
from engine.ports.store import Store

REJECTED_CHARS_MAX: Final = 8_000_000
"""Of such a file; the API has the rest."""
PAGE: Final = 500


async def write_rejected_file(
    store: Store, account: str, call_list: str, rejected: int
) -> bytes | None:
    """A CSV (RFC 4180, UTF-8) of a list that is stored; None where all its rows were taken."""
    found = await store.get_list(account, call_list) if rejected else None
    if found is None:
        return None
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(make_rejected_header(found.header))
    cursor: str | None = None
    while text.tell() < REJECTED_CHARS_MAX:
        page = await store.list_rejected(account, call_list, PAGE, cursor)
        writer.writerows(make_rejected_row(row, len(found.header)) for row in page.items)
        cursor = page.next
        if cursor is None:
            break
    return text.getvalue().encode()
