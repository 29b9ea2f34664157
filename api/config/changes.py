"""What of a changed configuration holds at once, and what waits for a restart."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, structs

from api.config import Config

AT_ONCE: Final = frozenset({"drain_s", "trunks", "routes"})
LIMITS_AT_ONCE: Final = frozenset({"channels", "cps", "caps", "destinations"})
ADMIN_KEY: Final = "admin_key"


def find_waiting_keys(before: Config, now: Config) -> list[str]:
    """The keys that differ and of which the earlier values hold until a restart."""
    found = []
    for name in _differences(before, now):
        if name in AT_ONCE:
            continue
        table = getattr(now, name)
        if not isinstance(table, Struct):
            found.append("CALLWHEEL_ADMIN_KEY" if name == ADMIN_KEY else name)
            continue
        at_once = LIMITS_AT_ONCE if name == "limits" else frozenset()
        changed = _differences(getattr(before, name), table)
        found += [f"{name}.{key}" for key in changed if key not in at_once]
    return found


def _differences(one: Struct, other: Struct) -> list[str]:
    names = [field.name for field in structs.fields(one)]
    return [name for name in names if getattr(one, name) != getattr(other, name)]
