"""The time of day."""

from __future__ import annotations

import time


class SystemClock:
    """The machine's time of day."""

    def now(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        return time.time()  # noqa: TID251 - this is where the engine's clock comes from
