"""Sound that is kept: what callees said, and what they are to hear."""

from __future__ import annotations

from msgspec import Struct


class Recording(Struct, frozen=True):
    """What a callee said on one call. Its sound is a file, which tells how long it is."""

    id: str
    account: str
    attempt: str
    created_at: float
    """When it was about to begin."""


class Prompt(Struct, frozen=True):
    """A recording that flows can play."""

    id: str
    account: str
    name: str
    duration_s: float
    created_at: float
