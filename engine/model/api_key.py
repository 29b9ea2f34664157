"""Keys to the API."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Role = Literal["administrator", "owner", "operator", "viewer"]
Scope = Literal[
    "accounts",
    "activations",
    "agents",
    "attempts",
    "audit",
    "contacts",
    "dids",
    "dnc",
    "feed",
    "flows",
    "keys",
    "letters",
    "lists",
    "prompts",
    "recordings",
    "triggers",
    "webhooks",
]
"""A part of the API, as a key is for some of them only."""


class ApiKey(Struct, frozen=True):
    """What may be done with a key. The key itself is kept nowhere."""

    id: str
    account: str | None
    """None for the administrator of the installation."""
    role: Role
    sha256: bytes
    """Of the whole key; 32 bytes."""
    created_at: float
    name: str = ""
    """What its owner calls it."""
    scopes: tuple[Scope, ...] = ()
    """The parts of the API that it is for; none is all that its role may use."""
    expires_at: float | None = None
    """From when on it is no key any more."""
    revoked_at: float | None = None
    last_used_at: float | None = None
    """Within about a minute."""
    life_s: float | None = None
    """For how long it was made, and for how long the one that takes its place is; None is for good. It may
    end before, because it was replaced, or because who asked for it ends."""

    def is_good(self, now: float) -> bool:
        """Whether it may still be used."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
