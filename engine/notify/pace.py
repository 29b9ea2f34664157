"""When a delivery is sent again, and how hard a receiver is pressed. Pure.

A delivery that fails is tried again after waits that grow, over three days. A receiver that fails time after
time is left alone for a while, whatever is due for it, and then asked with a single delivery.
"""

from __future__ import annotations

from typing import Final

from engine.model.webhook import Delivery

WAITS_S: Final = (
    5.0,
    60.0,
    300.0,
    1_800.0,
    7_200.0,
    18_000.0,
    36_000.0,
    50_400.0,
    64_800.0,
    72_000.0,
)
"""Before each further try of a delivery; not quite three days together."""
SPREAD: Final = 0.1
"""By which share of it a wait is longer at the most, so that what failed together does not come together."""
GIVE_UP_S: Final = 3 * 86_400.0
"""From a delivery's beginning, after which it is not sent any more."""
AT_ONCE_MAX: Final = 8
"""Requests to one hook that go on at once."""
REST_AFTER: Final = 5
"""Failures in a row after which a hook is left alone."""
REST_S: Final = 30.0
"""For how long at first; twice as long each time it fails again."""
REST_S_MAX: Final = 600.0


def next_try_at(delivery: Delivery, tries: int, now: float, chance: float) -> float | None:
    """When a delivery is sent again that has now failed for the `tries`th time; None to give it up.

    Args:
        chance: 0 to 1, which spreads the waits.
    """
    if tries > len(WAITS_S):
        return None
    at = now + WAITS_S[tries - 1] * (1 + SPREAD * chance)
    return at if at - delivery.begun_at < GIVE_UP_S else None


def is_expired(delivery: Delivery, now: float) -> bool:
    """Whether a delivery has waited so long that it is not sent any more."""
    return now - delivery.begun_at >= GIVE_UP_S


class HookPace:
    """How one hook bears what it is sent."""

    def __init__(self) -> None:
        self.failures = 0
        """In a row."""
        self.rests_until = 0.0
        """Nothing is sent before, seconds since the epoch."""

    @property
    def at_once(self) -> int:
        """Requests that may go on at once: one, until one succeeds, where the last failed."""
        return 1 if self.failures else AT_ONCE_MAX

    def note_success(self) -> None:
        """It took a delivery."""
        self.failures = 0
        self.rests_until = 0.0

    def note_failure(self, now: float, retry_after_s: float | None = None) -> None:
        """It did not; perhaps it said for how long it wants to be left alone."""
        self.failures += 1
        rest_s = min(max(retry_after_s or 0.0, 0.0), REST_S_MAX)
        beyond = self.failures - REST_AFTER
        if beyond >= 0:
            rest_s = max(rest_s, min(REST_S_MAX, REST_S * 2.0 ** min(beyond, 16)))
        self.rests_until = max(self.rests_until, now + rest_s)
