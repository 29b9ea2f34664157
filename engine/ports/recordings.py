"""Recordings of callees: what the store knows of them, and who reads them back.

Recordings are made by `engine.ports.telephony.Call.record`. Whoever asks for one has it written down first,
so that it is found whatever becomes of the call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from msgspec import Struct

from engine.model import Recording
from engine.ports.stored import Page


class RecordingKeeper(Protocol):
    """Takes down whose each recording is; a part of what dialling writes."""

    async def add_recording(self, recording: Recording) -> None:
        """Write down whose a recording is that is about to be made. Raises LookupError for an unknown
        account."""


class RecordingStore(RecordingKeeper, Protocol):
    """Whose each recording is. Part of `engine.ports.store.Store`; what is said there of transactions,
    accounts and cursors holds here."""

    async def get_recording(self, account: str, recording: str) -> Recording | None:
        """One recording of the account."""

    async def list_recordings(
        self, account: str, attempt: str | None, limit: int, cursor: str | None
    ) -> Page[Recording]:
        """Those of an attempt, or all of the account's, in the order of their ids, which is that of their
        making."""


class KeptRecording(Struct, frozen=True):
    """A recording that is there to be read."""

    duration_s: float
    size: int
    """Octets of the whole WAV file."""
    octets: AsyncIterator[bytes]
    """The file, a piece at a time. Nothing is open before it is asked for the first."""


class RecordingReader(Protocol):
    """Reads recordings back."""

    async def read(self, recording: str) -> KeptRecording | None:
        """A recording as far as it has been written; None where there is no file of it (any more), or no
        sound in it yet."""
