"""Which countries an account has called: the first call to each is told of, in the transaction of its
intent."""

from __future__ import annotations

from typing import Final

import msgspec

from adapters.sqlite import rules
from adapters.sqlite.unit import Unit
from engine.model import AccountRules, Attempt
from engine.model.agent import Leg
from engine.model.countries import country_of

NOTE_COUNTRY: Final = (
    "INSERT INTO account_countries (account, country, first_at) VALUES (?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
RULES_OF: Final = "SELECT rules FROM accounts WHERE n = ?"


def note_country(unit: Unit, account_n: int, call: Attempt | Leg) -> None:
    """Keep which country a call goes to, and tell of it where it is the account's first to one that nobody
    has approved beforehand."""
    known = unit.countries.setdefault(call.account, set())
    country = country_of(call.number)
    if country in known:
        return
    unit.execute(NOTE_COUNTRY, (account_n, country, call.initiated_at))
    is_first = unit.rowcount > 0
    known.add(country)
    row = unit.row(RULES_OF, (account_n,)) if is_first else None
    if row is None:
        return
    if country not in msgspec.json.decode(row[0], type=AccountRules).approved_countries:
        unit.tell((rules.new_country(call, country),))
