"""Whether a flow may be given certain numbers to call from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.model import Account, FlowSettings
from engine.model.number_series import SeriesRule

NUMBERS_SHOWN_MAX: Final = 5
"""That a sentence names."""


def find_series_problem(account: Account, settings: FlowSettings, numbers: Sequence[str]) -> str:
    """A sentence on those that could never be called from under the account's rule; empty where there are
    none."""
    rule = SeriesRule(account.rules.number_series, settings.purpose)
    useless = rule.find_useless(numbers)
    if not useless:
        return ""
    return f"{list_some(useless)} can call nobody in India for this flow. {rule.explain()}"


def list_some(numbers: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    shown = ", ".join(numbers[:NUMBERS_SHOWN_MAX])
    more = len(numbers) - NUMBERS_SHOWN_MAX
    return f"{shown} and {more} more" if more > 0 else shown
