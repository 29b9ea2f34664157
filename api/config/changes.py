"""What of a changed configuration holds at once, and what waits for a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct, structs

from api.config.reading import ADMIN_KEY_VARIABLE
from api.config.tables import Config
from api.config.understood import KEYS

AT_ONCE: Final = frozenset(
    {
        "drain_s",
        "trunks",
        "routes",
        "dids",
        "limits.channels",
        "limits.cps",
        "limits.caps",
        "limits.destinations",
    }
)
"""Keys, and tables with all of theirs, that hold from the moment at which they are read."""
ADMIN_KEY: Final = "admin_key"

Marks = Mapping[str, bytes | None]
"""What tells whether a file is another, by the key that names it: see `api.config.files.read_marks`."""


def find_waiting_keys(before: Config, now: Config, marks: Marks, marks_now: Marks) -> list[str]:
    """The keys that differ, or whose files do, and of which the earlier values hold until a restart.

    Args:
        before: what was started with.
        marks: of the files as they were then.
    """
    changed = [
        ADMIN_KEY_VARIABLE if key == ADMIN_KEY else key for key in _differences(before, now, "")
    ]
    renewed = [key for key in marks_now if key in marks and marks[key] != marks_now[key]]
    return [*dict.fromkeys([*changed, *renewed])]


def _differences(one: Struct, other: Struct, place: str) -> Iterator[str]:
    """Keys that differ and do not hold at once. `place` is that of the table, with its dot."""
    for field in structs.fields(one):
        key = f"{place}{field.name}"
        old, new = getattr(one, field.name), getattr(other, field.name)
        if old == new or key in AT_ONCE:
            continue
        if isinstance(old, Struct) and type(old) is type(new) and key not in KEYS:
            yield from _differences(old, new, f"{key}.")
        else:
            yield key
