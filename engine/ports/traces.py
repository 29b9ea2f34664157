"""What was said on the wire for one attempt, for whoever has to explain a call."""

from __future__ import annotations

from typing import Protocol


class CallTraces(Protocol):
    """Keeps each attempt's signalling for a while. No credential is in what it gives out."""

    async def ladder(self, attempt: str) -> str | None:
        """The messages of an attempt as a ladder in plain text; None where none are kept (any more)."""

    async def full_ladder(self, attempt: str) -> str | None:
        """The ladder with every message in full below it; None where none are kept (any more)."""

    async def pcap(self, attempt: str) -> bytes | None:
        """The same as a capture file that Wireshark opens; None where none are kept (any more)."""
