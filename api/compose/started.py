"""What whoever starts an installation is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from api.config import Config


class Started(Struct, frozen=True):
    """Where an installation can be reached."""

    http_url: str
    sip_address: str
    admin_key: str | None
    """The administrator key that this start made; it is told only this once."""
    reload: Callable[[Config], Awaitable[list[str]]]
    """Goes by another configuration as far as that can be done while calls are up; the keys that were changed
    and wait for a restart. Raises `CannotStart` with nothing changed."""


class CannotStart(Exception):
    """The installation cannot run as it is configured; the text says why, in a sentence."""
