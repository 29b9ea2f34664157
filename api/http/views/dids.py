"""Caller numbers as the API shows them."""

from __future__ import annotations

from msgspec import Struct

from api.http.engine_front import DidLoad
from api.http.views.encoding import show_time
from engine.model import (
    Cap,
    Did,
)
from engine.model.did_health import HEALTH_WINDOW_S, DidRest, RestReason, RestWhen, Tally
from engine.model.events import rfc3339


class LoadView(Struct, frozen=True):
    """How busy a DID is at this moment."""

    channels_in_use: int
    calls_last_s: int


class HealthView(Struct, frozen=True):
    """How a DID's calls were taken of late."""

    window_s: int
    calls: int
    """Those that say something of the DID; `docs/calling-rules.md` has which."""
    answer_rate: float | None
    """0 to 1; None of no calls."""
    blocked_share: float | None


class RestView(Struct, frozen=True):
    """That a DID is not called from for a while."""

    since: str
    until: str | None
    """None is until somebody lets it call again."""
    reason: RestReason
    detail: str


class DidView(Struct, frozen=True):
    """A caller number with its limits."""

    number: str
    account: str
    trunk: str
    cps: float
    channels: int
    caps: tuple[Cap, ...]
    rest_when: RestWhen
    load: LoadView
    health: HealthView
    rest: RestView | None
    """None while it may be called from."""


def show_did(did: Did, load: DidLoad, tally: Tally) -> DidView:
    """A DID as the API shows it, with its load and its health."""
    return DidView(
        number=did.number,
        account=did.account,
        trunk=did.trunk,
        cps=did.cps,
        channels=did.channels,
        caps=did.caps,
        rest_when=did.rest_when,
        load=LoadView(load.channels_in_use, load.calls_last_s),
        health=HealthView(
            HEALTH_WINDOW_S, tally.calls, _share(tally.answer_rate), _share(tally.blocked_share)
        ),
        rest=None if did.rest is None else _show_rest(did.rest),
    )


def _show_rest(rest: DidRest) -> RestView:
    return RestView(rfc3339(rest.since), show_time(rest.until), rest.reason, rest.detail)


def _share(share: float | None) -> float | None:
    """A share as people read it: a thousandth is fine enough."""
    return None if share is None else round(share, 3)
