"""Whose recordings are."""

from __future__ import annotations

import trio

from engine.model import Recording
from engine.ports.stored import Page
from sim.memory_store.paging import page_by_text
from sim.memory_store.tables import Tables


class MemoryRecordings:
    """The methods of `engine.ports.recordings.RecordingStore`."""

    _tables: Tables

    async def add_recording(self, recording: Recording) -> None:
        """Write a recording down. Raises LookupError for an unknown account."""
        await trio.lowlevel.checkpoint()
        self._tables.the_account(recording.account)
        self._tables.recordings[recording.id] = recording

    async def get_recording(self, account: str, recording: str) -> Recording | None:
        """One recording of the account."""
        await trio.lowlevel.checkpoint()
        found = self._tables.recordings.get(recording)
        return found if found is not None and found.account == account else None

    async def list_recordings(
        self, account: str, attempt: str | None, limit: int, cursor: str | None
    ) -> Page[Recording]:
        """Those of an attempt, or all of the account's, in the order of their ids."""
        await trio.lowlevel.checkpoint()
        recordings = [
            one
            for one in self._tables.recordings.values()
            if one.account == account and attempt in (None, one.attempt)
        ]
        return page_by_text(recordings, lambda one: one.id, limit, cursor)
