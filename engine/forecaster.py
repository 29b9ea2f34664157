"""The forecast of a list from what is configured: DIDs, trunks, limits and calling windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from engine.model import AccountRules, Cap, Did, Flow, windows_of
from engine.outlook import Forecast, Starts
from engine.ports.settings_store import SettingsStore
from engine.schedule.calling_hours import CallingHours, Party
from engine.schedule.forecast import CALL_S, Pace, forecast, narrowest

UNLIMITED: Final = 1e9


class Capacity(Struct, frozen=True):
    """What may go at once, and how fast."""

    cps: float
    channels: float


def capacity_of(cps: float | None, channels: int | None, caps: Iterable[Cap]) -> Capacity:
    """What limits let go, over a long time."""
    return Capacity(min(cps or UNLIMITED, _per_s(caps)), channels or UNLIMITED)


def sum_capacities(parts: Iterable[Capacity]) -> Capacity:
    """What several can carry together."""
    some = tuple(parts)
    return Capacity(sum(one.cps for one in some), sum(one.channels for one in some))


class Forecaster:
    """Tells when a list would end."""

    def __init__(
        self, store: SettingsStore, engine: Capacity, trunks: Mapping[str, Capacity]
    ) -> None:
        """
        Args:
            store: where DIDs and accounts are.
            engine: the whole installation's limits.
            trunks: the limits of each trunk and, summed up, of each route, by its name.
        """
        self._store = store
        self.set_capacities(engine, trunks)

    def set_capacities(self, engine: Capacity, trunks: Mapping[str, Capacity]) -> None:
        """Go by other limits from now on; as at the beginning."""
        self._engine = engine
        self._trunks = trunks

    async def forecast(self, flow: Flow, starts: Starts, now: float) -> Forecast | None:
        """When contacts of the flow that start then would have been called."""
        account = await self._store.get_account(flow.account)
        dids = await self._store.find_dids(flow.account, flow.dids)
        rules = AccountRules() if account is None else account.rules
        parties = [Party(windows_of(flow.settings.calling_window), flow.timezone)]
        if account is not None:
            parties.append(Party(windows_of(account.rules.calling_window), account.timezone))
        return forecast(starts, self._pace(flow, dids, rules), CallingHours(parties, ()), now)

    def _pace(self, flow: Flow, dids: Iterable[Did], rules: AccountRules) -> Pace:
        by_trunk: dict[str, list[Did]] = {}
        for did in dids:
            by_trunk.setdefault(did.trunk, []).append(did)
        known = {name: some for name, some in by_trunk.items() if name in self._trunks}
        if not known:
            return Pace(0.0, "no_trunk")
        settings = flow.settings
        all_dids = [did for some in known.values() for did in some]
        trunks = [self._trunks[name] for name in known]
        own = capacity_of(settings.cps, settings.channels, settings.caps)
        together = capacity_of(rules.cps, rules.channels, rules.caps)
        return narrowest(
            [
                ("did_cps", sum(did.cps for did in all_dids)),
                ("did_channels", sum(did.channels for did in all_dids) / CALL_S),
                ("did_cap", sum(_per_s(did.caps) for did in all_dids)),
                ("trunk_cps", sum(one.cps for one in trunks)),
                ("trunk_channels", sum(one.channels for one in trunks) / CALL_S),
                ("flow_limit", min(own.cps, own.channels / CALL_S)),
                ("account_limit", min(together.cps, together.channels / CALL_S)),
                ("engine_limit", min(self._engine.cps, self._engine.channels / CALL_S)),
            ]
        )


def _per_s(caps: Iterable[Cap]) -> float:
    return min((cap.calls / cap.per_s for cap in caps), default=UNLIMITED)
