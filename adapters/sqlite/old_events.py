"""Events that are old enough to be forgotten."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from adapters.sqlite.connected import Connected
from adapters.sqlite.unit import Unit
from engine.model.events import time_of

ENDS: Final = (
    "SELECT n, (SELECT MIN(seq) FROM events e WHERE e.account = n), last_seq FROM accounts "
    "WHERE last_seq > 0"
)
FIND_BODY: Final = "SELECT body FROM events WHERE account = ? AND seq = ?"
FIND_WAITED_FOR: Final = (
    "SELECT MIN(seq) FROM deliveries "
    "WHERE account = ? AND seq >= ? AND seq < ? AND state = 'pending'"
)
_CLEAR: Final = "DELETE FROM events WHERE account = ? AND seq < ?"


class SqliteOldEvents(Connected):
    """One method of `engine.ports.settings_store.InstallationStore`."""

    async def clear_events(self, before: float, limit: int) -> int:
        """Forget the oldest events."""
        return await self._writer.submit(lambda unit: _clear(unit, before, limit))


def _clear(unit: Unit, before: float, limit: int) -> int:
    """Of one account, so that a transaction is short."""
    for account, first, last in unit.rows(ENDS, ()):
        if first is None:
            continue
        # Events have no column for their time, as this is all that would ask for it.
        end = min(last + 1, first + limit)
        until = bisect_left(
            range(end), before, lo=first, hi=end, key=lambda seq: _time_of(unit, account, seq)
        )
        # A delivery without its event could neither be sent nor given up.
        (waited_for,) = unit.rows(FIND_WAITED_FOR, (account, first, until))[0]
        until = until if waited_for is None else waited_for
        if until > first:
            return unit.execute(_CLEAR, (account, until)).rowcount
    return 0


def _time_of(unit: Unit, account: int, seq: int) -> float:
    row = unit.row(FIND_BODY, (account, seq))
    assert row is not None  # between the first and the last none is missing
    return time_of(row[0])
