"""Caller numbers."""

from __future__ import annotations

from msgspec import Struct

from engine.model.caps import Cap
from engine.model.did_health import DidRest, RestWhen


class Did(Struct, frozen=True):
    """A caller number, with its limits."""

    number: str
    """E.164 with `+`; unique in the installation."""
    account: str
    trunk: str
    """Name of the trunk, or of the route, that carries its calls."""
    cps: float = 1
    channels: int = 30
    caps: tuple[Cap, ...] = ()
    rest_when: RestWhen = RestWhen()
    """When it rests, where that is not when all do."""
    rest: DidRest | None = None
    """That it rests, and why; None while it may be called from."""
    counts_from: float = 0.0
    """Calls that ended earlier say nothing of its health: its last rest ended then."""
