"""Accounts, and what holds for all their calls."""

from __future__ import annotations

from msgspec import Struct, field

from engine.model.calling_window import CallingWindow, CallingWindows
from engine.model.caps import (
    CalleeCaps,
    CallsPerDay,
    CallsPerSecond,
    Caps,
    Channels,
    Countries,
    CountryCaps,
)
from engine.model.number_series import NumberSeries


class AccountRules(Struct, frozen=True, omit_defaults=True):
    """What holds for all calls of an account."""

    calling_window: CallingWindow | CallingWindows | None = None
    """When callees may be called, beside what their flow says; None is always."""
    number_series: NumberSeries | None = None
    """The country whose rule on series of caller numbers is kept to; None for no such rule."""
    channels: Channels | None = None
    """Calls at once of all its flows."""
    cps: CallsPerSecond | None = None
    """Calls a second of all its flows."""
    caps: Caps = ()
    """Calls of all its flows in windows."""
    calls_per_day: CallsPerDay | None = None
    """Calls in any 24 hours; None is the installation's."""
    country_calls_per_day: CallsPerDay | None = None
    """To each country that `country_caps` does not name; None is the installation's."""
    country_caps: CountryCaps = field(default_factory=dict)
    """Calls to a country in any 24 hours; 0 lets none be made."""
    approved_countries: Countries = ()
    """Countries whose first call is nothing to be told of."""
    callee_caps: CalleeCaps = ()
    """Calls of one callee in windows."""


class Account(Struct, frozen=True):
    """A customer or a department; everything below belongs to one."""

    id: str
    name: str
    """Unique in the installation."""
    timezone: str
    """IANA name."""
    email: str
    created_at: float
    rules: AccountRules = AccountRules()
    stopped_at: float | None = None
    """Since when no call of it is made, by order of an administrator; None while it may call."""
    paused_at: float | None = None
    """Since when no call of it begins; those that were up then went on. None while it is not paused."""
