"""Names of files at a place, and the name under which one is while it is being taken away.

A file is taken away by renaming it first, so that nobody can put another in its place any more, and then
looking whether it is the one that was meant. What a crash leaves under such a name is put back by the next
visit, as soon as nothing else has its name.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from engine.ports.drops import HIDDEN_PREFIX, LIST_NAME_BYTES_MAX, FileEntry

AWAY_PREFIX: Final = ".callwheel-away-"
PUT_PREFIX: Final = ".callwheel-put-"
"""Of a file that is being written."""

_AWAY: Final = re.compile(re.escape(AWAY_PREFIX) + r"[0-9a-f]{16}-(.+)", re.DOTALL)


def is_usable(name: str) -> bool:
    """Whether the name of a list can be shown, kept and used."""
    try:
        octets = name.encode()
    except UnicodeEncodeError:
        return False
    return name.isprintable() and "/" not in name and len(octets) <= LIST_NAME_BYTES_MAX


def is_hidden(name: str) -> bool:
    """Whether a name is nobody's list."""
    return name.startswith(HIDDEN_PREFIX)


def away_name(entry: FileEntry) -> str:
    """The name of a file while it is being taken away: another each time, and never too long."""
    return f"{AWAY_PREFIX}{secrets.token_hex(8)}-{entry.name}"


def read_away_name(name: str) -> str | None:
    """The name of the file that is under this one."""
    match = _AWAY.fullmatch(name)
    return None if match is None else match[1]
