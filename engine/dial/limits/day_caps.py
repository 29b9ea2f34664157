"""How many calls an account may make in a day: in all, and to each country. A guard against whoever has got
hold of a key, so it counts every call that leaves, first ones and second legs.

A day is any 24 hours, as with all other limits: a calendar day would let twice as many through around
midnight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from engine.dial.limits.party import ROUNDING_S, Block
from engine.dial.limits.windows import SlidingWindow, Slot, mark_sent
from engine.model import AccountRules
from engine.model.countries import country_of

DAY_S: Final = 86_400.0
LOOK_AGAIN_S: Final = 5.0
"""How soon it is looked again where only calls that have not left yet fill a cap: some may not leave."""


class DayCapDefaults(Struct, frozen=True):
    """What holds for accounts of which nothing is said; None is no cap."""

    calls_per_day: int | None = None
    country_calls_per_day: int | None = None


class DayCaps:
    """The caps of one account. All times are `trio.current_time()`."""

    def __init__(self, rules: AccountRules, defaults: DayCapDefaults) -> None:
        self._defaults = defaults
        self._windows: dict[str | None, SlidingWindow] = {}
        """Calls to each country that has a cap, and at None all calls, as far as they have to be counted."""
        self._rules = rules
        self._note_kinds()

    def set_rules(self, rules: AccountRules) -> bool:
        """Go by what the account says now; whether that is something else. Calls that were counted go on
        counting."""
        if rules == self._rules:
            return False
        self._rules = rules
        self._note_kinds()
        for key, before in list(self._windows.items()):
            cap = self._cap_of(key)
            if not cap:
                del self._windows[key]
            elif cap != before.calls:
                self._windows[key] = SlidingWindow(cap, DAY_S)
                self._windows[key].inherit(before)
        return True

    @property
    def are_set(self) -> bool:
        """Whether any call is counted."""
        return self._counts_all or self._counts_countries

    def blocked_by(self, number: str, now: float) -> Block | None:
        """The cap that keeps a number from being called now, the one that ends last."""
        blocks = [
            block
            for key in self._keys_of(number)
            if (block := self._blocked_at(key, now)) is not None
        ]
        return max(blocks, key=lambda block: block.until, default=None)

    def barred(self, number: str) -> Block | None:
        """A cap that lets no call to a number be made, however few there were."""
        for key in self._keys_of(number):
            if self._cap_of(key) == 0:
                return _refusal(key)
        return None

    def take(self, number: str, at: float) -> Taken:
        """Count a call to a number that nothing blocks."""
        slots = [(key, self._window_of(key).reserve(at)) for key in self._keys_of(number)]
        return Taken(self._windows, slots)

    def earliest(self, number: str) -> float:
        """The moment that the caps on this number allow."""
        moments = [self._window_of(key).free_at() for key in self._keys_of(number)]
        return max(moments, default=-math.inf)

    def restore(self, number: str, at: float) -> None:
        """Count a call that left before this process began; oldest first."""
        for key in self._keys_of(number):
            if self._cap_of(key):
                self._window_of(key).restore(at)

    def _keys_of(self, number: str) -> tuple[str | None, ...]:
        """Under what a call to this number is counted."""
        keys: tuple[str | None, ...] = (None,) if self._counts_all else ()
        if self._counts_countries:
            country = country_of(number)
            if self._cap_of(country) is not None:
                return (*keys, country)
        return keys

    def _note_kinds(self) -> None:
        """See what has to be counted at all; most accounts have no caps."""
        rules, all_ = self._rules, self._defaults.country_calls_per_day
        self._counts_all = self._cap_of(None) is not None
        self._counts_countries = (
            rules.country_calls_per_day is not None or all_ is not None or bool(rules.country_caps)
        )

    def _cap_of(self, key: str | None) -> int | None:
        rules, defaults = self._rules, self._defaults
        if key is None:
            own = rules.calls_per_day
            return defaults.calls_per_day if own is None else own
        own = rules.country_caps.get(key, rules.country_calls_per_day)
        return defaults.country_calls_per_day if own is None else own

    def _window_of(self, key: str | None) -> SlidingWindow:
        window = self._windows.get(key)
        if window is None:
            cap = self._cap_of(key)
            assert cap, "a cap of none at all lets no call be counted"
            window = self._windows[key] = SlidingWindow(cap, DAY_S)
        return window

    def _blocked_at(self, key: str | None, now: float) -> Block | None:
        cap = self._cap_of(key)
        if cap == 0:
            return _refusal(key)
        window = self._window_of(key)
        free_at = window.free_at()
        # Not a moment before: a slot that was taken early and given back would leave the day one too many.
        if free_at <= now + ROUNDING_S:
            return None
        until = min(free_at, now + LOOK_AGAIN_S) if window.may_free else free_at
        detail = f"The account has made the {cap} calls{_to(key)} that it may make in 24 hours."
        return Block("account_limit", until, detail=detail)


def _refusal(key: str | None) -> Block:
    return Block("account_limit", math.inf, detail=f"The account may make no calls{_to(key)}.")


def _to(key: str | None) -> str:
    return "" if key is None else f" to {key}"


class Taken:
    """What one call took of the caps on it."""

    def __init__(
        self, windows: Mapping[str | None, SlidingWindow], slots: list[tuple[str | None, Slot]]
    ) -> None:
        """`windows` are the account's, which may be others by the end of the call."""
        self._windows = windows
        self._slots = slots

    def mark_sent(self, at: float) -> None:
        """The call left, at this moment."""
        for _, slot in self._slots:
            mark_sent(slot, at)

    def release(self) -> None:
        """The call is over. One that never left is given back: a fault that lets no call leave must not use
        a day up."""
        for key, slot in self._slots:
            window = self._windows.get(key)
            if window is not None and not slot.sent:
                window.give_back(slot)
