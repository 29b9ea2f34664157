"""Whose recordings are."""

from __future__ import annotations

from typing import Final

from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import cursor_of
from adapters.sqlite.paging import id_after
from adapters.sqlite.rows import Row
from adapters.sqlite.unit import Unit
from engine.model import Recording
from engine.ports.stored import Page

_RECORDING: Final = (
    "SELECT r.id, a.id, r.attempt, r.created_at "
    "FROM recordings r JOIN accounts a ON a.n = r.account"
)
GET_RECORDING: Final = f"{_RECORDING} WHERE r.id = ? AND a.id = ?"
LIST_RECORDINGS: Final = f"{_RECORDING} WHERE r.id > ? AND a.id = ? ORDER BY r.id LIMIT ?"
RECORDINGS_OF: Final = (
    f"{_RECORDING} WHERE r.id > ? AND r.attempt = ? AND a.id = ? ORDER BY r.id LIMIT ?"
)


class SqliteRecordings(Connected):
    """The methods of `engine.ports.recordings.RecordingStore`."""

    async def add_recording(self, recording: Recording) -> None:
        """Write a recording down. Raises LookupError for an unknown account."""
        await self._writer.submit(lambda unit: _add_recording(unit, recording))

    async def get_recording(self, account: str, recording: str) -> Recording | None:
        """One recording of the account."""
        return await self._readers.row(
            GET_RECORDING, (recording, account), lambda row: Recording(*row)
        )

    async def list_recordings(
        self, account: str, attempt: str | None, limit: int, cursor: str | None
    ) -> Page[Recording]:
        """Those of an attempt, or all of the account's, in the order of their ids."""
        after = id_after(cursor)
        sql = LIST_RECORDINGS
        of: Row = (after, account)
        if attempt is not None:
            sql, of = RECORDINGS_OF, (after, attempt, account)
        return await self._readers.page(
            sql, of, limit, lambda row: Recording(*row), lambda one: cursor_of(one.id)
        )


def _add_recording(unit: Unit, recording: Recording) -> None:
    unit.execute(
        "INSERT INTO recordings (account, id, attempt, created_at) VALUES (?, ?, ?, ?)",
        (
            unit.account_n(recording.account),
            recording.id,
            recording.attempt,
            recording.created_at,
        ),
    )
