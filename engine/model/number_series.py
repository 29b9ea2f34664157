"""Rules of a country on which series of caller numbers which calls may come from.

India: a promotional call comes from a number of the 140 series, a service or transactional call from one of
1600 or 1601 (`docs/calling-rules.md` has the sources). An account switches the rule on; each of its flows
says what its calls are for. It holds for callees in India, and says nothing of others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

NumberSeries = Literal["india"]
"""Whose rule an account keeps to."""
Purpose = Literal["promotion", "service"]
"""What a flow's calls are for: to sell something, or to serve somebody who is a customer already."""

COUNTRY: Final[dict[NumberSeries, str]] = {"india": "+91"}
"""Callees with this prefix are those that a rule is about."""
PREFIXES: Final[dict[NumberSeries, dict[Purpose, tuple[str, ...]]]] = {
    "india": {"promotion": ("+91140",), "service": ("+911600", "+911601")}
}
"""Of the numbers from which calls for each purpose may come."""
SERIES: Final[dict[Purpose, str]] = {"promotion": "140", "service": "1600 or 1601"}
WORDS: Final[dict[Purpose, str]] = {"promotion": "promotional", "service": "service"}


class SeriesRule(Struct, frozen=True):
    """What an account's rule says of the calls of one of its flows."""

    series: NumberSeries | None = None
    """None has no rule."""
    purpose: Purpose | None = None
    """What the flow's calls are for; None where it does not say."""

    def binds(self, callee: str) -> bool:
        """Whether calls to this number, E.164 with `+`, are ones that the rule is about."""
        return self.series is not None and callee.startswith(COUNTRY[self.series])

    def is_in_series(self, caller: str) -> bool:
        """Whether calls that the rule is about may come from this number."""
        if self.series is None:
            return True
        return self.purpose is not None and caller.startswith(PREFIXES[self.series][self.purpose])

    def allows(self, caller: str, callee: str) -> bool:
        """Whether a call from the one number to the other keeps to the rule."""
        return not self.binds(callee) or self.is_in_series(caller)

    def find_useless(self, callers: Iterable[str]) -> list[str]:
        """Those of the numbers that lie in the rule's country and can call nobody there: numbers of the
        other series, and ordinary ones."""
        if self.series is None:
            return []
        country = COUNTRY[self.series]
        return [one for one in callers if one.startswith(country) and not self.is_in_series(one)]

    def explain(self) -> str:
        """Why a number out of the series is not called from, a sentence."""
        if self.purpose is None:
            return (
                "The account keeps to India's number series, and the flow's setting `purpose` does not say"
                " whether its calls are for `promotion` or `service`."
            )
        return (
            f"A {WORDS[self.purpose]} call to India has to come from a number of the series"
            f" {SERIES[self.purpose]}; the flow has to have one."
        )
