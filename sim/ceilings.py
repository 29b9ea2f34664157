"""What the carrier takes at most: calls in any sliding second, and calls at once."""

from __future__ import annotations

from collections import deque


class Ceilings:
    """Counts what was accepted. A refused call counts towards nothing."""

    def __init__(self, cps_max: int | None, channels_max: int) -> None:
        self._cps_max = cps_max
        self._channels_max = channels_max
        self._accepted_at: deque[float] = deque()
        """Moments of the last second's calls, `cps_max` of them at most."""
        self.channels = 0
        """Calls accepted and not yet released."""
        self.channels_peak = 0

    def accept(self, now: float) -> bool:
        """Whether one more call may begin at `now`, seconds; if so it is counted."""
        if self.channels >= self._channels_max:
            return False
        if self._cps_max is not None:
            accepted_at = self._accepted_at
            while accepted_at and accepted_at[0] <= now - 1.0:
                accepted_at.popleft()
            if len(accepted_at) >= self._cps_max:
                return False
            accepted_at.append(now)
        self.channels += 1
        self.channels_peak = max(self.channels_peak, self.channels)
        return True

    def release(self) -> None:
        """A call that was accepted is over."""
        assert self.channels > 0
        self.channels -= 1
