"""How many mails may come in a while, however they come."""

from __future__ import annotations

from collections import deque
from typing import Final

ACTIVATION_MAILS_MAX: Final = 60
"""Requests to activate a listener, all together, in `WINDOW_S`: their address is no secret, and lists are to
have room."""
WINDOW_S: Final = 60.0


class MailRate:
    """So many mails in any window."""

    def __init__(self, mails_max: int) -> None:
        self._mails_max = mails_max
        self._taken: deque[float] = deque()

    def may_take(self, now: float) -> bool:
        """Whether one more may come, which is counted."""
        while self._taken and self._taken[0] <= now - WINDOW_S:
            self._taken.popleft()
        if len(self._taken) >= self._mails_max:
            return False
        self._taken.append(now)
        return True
