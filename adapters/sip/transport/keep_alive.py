"""When a connection is pinged, and when it is given up (RFC 5626 §4.4.1), pure."""

from __future__ import annotations

from math import inf
from typing import Literal

from msgspec import Struct

PING_AFTER_S = 30.0
"""Silence after which a trunk is pinged; routers that translate addresses forget sooner than they
should."""
PONG_S_MAX = 10.0
"""How long a pong may take (RFC 5626 §4.4.1)."""


class Patience(Struct, frozen=True):
    """How long a connection may be silent."""

    idle_s: float
    """Without a message in either direction; then it is closed."""
    ping_after_s: float = inf
    """Without a byte from the peer."""
    pong_s: float = PONG_S_MAX
    pings_count: bool = True
    """Whether any byte of the peer's prolongs the connection, or whole messages only."""


class KeepAlive:
    """One connection's; `now` is the owner's time throughout.

    A peer is given up for a pong that does not come only where it has ponged before: many never do.
    """

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._active_at = now
        self._heard_or_pinged_at = now
        self._is_asking = False
        self._has_ponged = False

    def hear(self, now: float, *, messages: int, pongs: int) -> None:
        """Something came: so many messages in it, and so many pongs since the beginning."""
        self._heard_or_pinged_at = now
        self._is_asking = False
        self._has_ponged = pongs > 0
        if messages or self._patience.pings_count:
            self._active_at = now

    def send(self, now: float) -> None:
        """A message of ours leaves."""
        self._active_at = now

    def next_wake(self) -> float:
        """When `judge` wants to be asked, unless something comes or leaves before."""
        return min(self._idle_at, self._doubt_at)

    def judge(self, now: float) -> Literal["wait", "ping", "mute", "idle"]:
        """What is to be done: nothing yet, send a ping, give up a peer that no longer answers, or
        close what nobody uses. A `ping` counts as sent."""
        if now >= self._idle_at:
            return "idle"
        if now < self._doubt_at:
            return "wait"
        if self._is_asking and self._has_ponged:
            return "mute"
        self._is_asking = True
        self._heard_or_pinged_at = now
        return "ping"

    @property
    def _idle_at(self) -> float:
        return self._active_at + self._patience.idle_s

    @property
    def _doubt_at(self) -> float:
        is_pong_due = self._is_asking and self._has_ponged
        return self._heard_or_pinged_at + (
            self._patience.pong_s if is_pong_due else self._patience.ping_after_s
        )
