"""A trunk as dialling sees it: its limits, and whether it answers."""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

from engine.dial.limits import Limits, limits_of_trunk

BACKOFF_FIRST_S: Final = 2.0
BACKOFF_MAX_S: Final = 60.0


class TrunkSettings(Struct, frozen=True):
    """What the engine must know of a trunk; how to reach it is the telephony adapter's matter."""

    name: str
    channels: int
    cps: float


class Trunk:
    """Counts the calls to which a trunk gave no answer at all, and rests it for twice as long with each."""

    def __init__(self, settings: TrunkSettings) -> None:
        self.name = settings.name
        self.limits: Limits = limits_of_trunk(settings.cps, settings.channels)
        self._silent_calls = 0
        self._down_until = -math.inf

    def down_until(self, now: float) -> float | None:
        """When the trunk is tried again; None while it is up. `trio.current_time()`."""
        return self._down_until if self._down_until > now else None

    def note_silence(self, now: float) -> None:
        """A call got no answer at all. Calls that were under way together count once."""
        if self._down_until > now:
            return
        self._silent_calls += 1
        wait_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(self._silent_calls - 1, 10))
        self._down_until = now + wait_s

    def note_answer(self) -> None:
        """Some answer came, whatever it said."""
        self._silent_calls = 0
        self._down_until = -math.inf
