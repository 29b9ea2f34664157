"""What an account is made of and changed with, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from engine.form import Mistake
from engine.forms.number import find_pace_mistakes
from engine.forms.window import find_never_open, find_window_mistakes
from engine.model import (
    Account,
    AccountRules,
    CalleeCaps,
    CallingWindow,
    CallingWindows,
    CallsPerDay,
    CallsPerSecond,
    Caps,
    Channels,
    Countries,
    CountryCaps,
    EmailAddress,
)
from engine.model.countries import is_country
from engine.model.number_series import NumberSeries
from engine.model.timezone import is_timezone

AccountName = Annotated[
    str, Meta(min_length=1, max_length=100, pattern=r"^(?!acc_)[A-Za-z0-9][A-Za-z0-9 ._-]*\Z")
]
"""It also stands in headers, and is never mistaken for an id."""


class AccountForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What an account is made of."""

    name: AccountName
    timezone: str
    email: EmailAddress
    calling_window: CallingWindow | CallingWindows | None = None
    number_series: NumberSeries | None = None
    channels: Channels | None = None
    cps: CallsPerSecond | None = None
    caps: Caps = ()
    calls_per_day: CallsPerDay | None = None
    country_calls_per_day: CallsPerDay | None = None
    country_caps: CountryCaps = field(default_factory=dict)
    approved_countries: Countries = ()
    callee_caps: CalleeCaps = ()


class AccountChangeForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be changed of an account; what is not named stays."""

    timezone: str = ""
    email: EmailAddress = ""
    calling_window: CallingWindow | CallingWindows | None = None
    number_series: NumberSeries | None = None
    channels: Channels | None = None
    cps: CallsPerSecond | None = None
    caps: Caps = ()
    calls_per_day: CallsPerDay | None = None
    country_calls_per_day: CallsPerDay | None = None
    country_caps: CountryCaps = field(default_factory=dict)
    approved_countries: Countries = ()
    callee_caps: CalleeCaps = ()


def rules_of(form: AccountForm) -> AccountRules:
    """What an account that is made so says of its calls."""
    return AccountRules(
        **{name: getattr(form, name) for name in AccountRules.__struct_fields__},
    )


def make_account_change(
    form: AccountChangeForm, named: frozenset[str]
) -> Callable[[Account], Account]:
    """What turns an account into the one that was asked for.

    Args:
        named: the fields of the form that were given.
    """
    own = {name: getattr(form, name) for name in ("timezone", "email") if name in named}
    rules = {name: getattr(form, name) for name in AccountRules.__struct_fields__ if name in named}

    def change(account: Account) -> Account:
        changed = msgspec.structs.replace(account.rules, **rules)
        return msgspec.structs.replace(account, rules=changed, **own)

    return change


def find_timezone_mistakes(name: Any) -> Iterator[Mistake]:
    """A zone that is not known; what is no text at all is somebody else's mistake."""
    if isinstance(name, str) and not is_timezone(name):
        detail = f"{name!r} is not an IANA time zone, such as Asia/Kolkata."
        yield Mistake("/timezone", "unknown_timezone", detail)


def find_country_mistakes(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Countries that no number is in."""
    for field_name in ("country_caps", "approved_countries"):
        named = raw.get(field_name)
        if not isinstance(named, dict | list):
            continue
        for place, name in enumerate(named):
            if isinstance(name, str) and not is_country(name):
                at = name if isinstance(named, dict) else place
                detail = f"{name[:20]!r} is not a country as IN, or a code of none as +881."
                yield Mistake(f"/{field_name}/{at}", "unknown_country", detail)


def find_account_mistakes(raw: Any, timezone: str, now: float) -> Iterator[Mistake]:
    """What is wrong with either form, beyond its form.

    Args:
        timezone: of the account, where the form names none.
        now: seconds since the epoch.
    """
    if not isinstance(raw, dict):
        return
    yield from find_timezone_mistakes(raw.get("timezone"))
    yield from find_pace_mistakes(raw.get("cps"), "/cps")
    yield from find_country_mistakes(raw)
    window = raw.get("calling_window")
    yield from find_window_mistakes(window, "/calling_window")
    yield from find_never_open(window, raw.get("timezone") or timezone, (), now, "/calling_window")
