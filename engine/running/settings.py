"""What the operator configured, as far as it concerns the engine."""

from __future__ import annotations

from msgspec import Struct

from engine.dial.limits.day_caps import DayCapDefaults
from engine.dial.trunks.route import RouteSettings
from engine.dial.trunks.trunk import TrunkSettings
from engine.forecast.forecaster import Installation
from engine.model import Cap
from engine.model.did_health import RestRules


class EngineSettings(Struct, frozen=True):
    """What holds for all accounts of an installation."""

    channels: int
    cps: float
    destinations: tuple[str, ...]
    trunks: tuple[TrunkSettings, ...]
    routes: tuple[RouteSettings, ...] = ()
    """Their names and those of the trunks are all different."""
    caps: tuple[Cap, ...] = ()
    """Of all calls of the installation."""
    did_rests: RestRules = RestRules()
    """When DIDs rest that have gone bad."""
    day_caps: DayCapDefaults = DayCapDefaults()
    """Of accounts that have none of their own."""
    tell_waiting_s: float = 0.0
    """How often at the most the feed is told what the contacts of a list wait for; 0 is never."""
    drain_s: float = 30.0
    """How long calls that are up may go on when the engine stops."""

    @property
    def installation(self) -> Installation:
        """What forecasts go by."""
        return Installation(
            channels=self.channels,
            cps=self.cps,
            caps=self.caps,
            trunks=self.trunks,
            routes=self.routes,
            calls_per_day=self.day_caps.calls_per_day,
        )
