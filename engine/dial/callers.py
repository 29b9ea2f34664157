"""Which of its DIDs a flow calls somebody from, found in the same time however many there are.

DIDs are kept by all the prefixes of their numbers, under each in the order in which they were last chosen. A
DID that has no room is taken out when it is come upon, and put in again when it tells that it has: nothing
ever looks through all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from engine.model.number_series import SeriesRule

COMPARED_MAX: Final = 8
"""DIDs that are compared for one call: of those that could take it, the ones whose last turn is the longest
ago."""


class CallerPool:
    """Some DIDs of one flow, by the prefixes of their numbers."""

    def __init__(self, numbers: Iterable[str], *, by_prefix: bool) -> None:
        """`by_prefix` tells whether those are chosen that share the longest prefix with the callee."""
        self._in_order = tuple(numbers)
        self.numbers = frozenset(self._in_order)
        """All of them."""
        self._by_prefix = by_prefix
        self._for_urgent: CallerPool | None = None
        self._rings: dict[str, dict[str, None]] = {}
        for number in self._in_order:
            self.put(number)

    @property
    def for_urgent(self) -> CallerPool:
        """The same DIDs for urgent contacts: one may have room for them that has none for others, and the
        other way. It is made when it is first asked for."""
        if self._for_urgent is None:
            self._for_urgent = CallerPool(self._in_order, by_prefix=self._by_prefix)
        return self._for_urgent

    def put(self, number: str) -> None:
        """A DID may have room. One that is none of these is nobody's."""
        if number in self.numbers:
            for prefix in self._prefixes(number):
                self._rings.setdefault(prefix, {}).setdefault(number)
        if self._for_urgent is not None:
            self._for_urgent.put(number)

    def by_room(self, callee: str = "") -> Iterator[str]:
        """All of them, first those that may have room, of these the ones that are chosen first for a callee.
        Nothing may be changed meanwhile."""
        seen: set[str] = set()
        for prefix in reversed(self._prefixes(callee)):
            for number in self._rings.get(prefix, ()):
                if number not in seen:
                    seen.add(number)
                    yield number
        yield from (number for number in self._in_order if number not in seen)

    def choose(
        self,
        callee: str,
        has_room: Callable[[str], bool],
        wait_of: Callable[[str], float],
    ) -> str | None:
        """The DID to call from: of those that have room and share the longest prefix with the callee, the
        one with the shortest wait; of several, the one whose last turn is the longest ago. None where none
        has room.

        Args:
            callee: E.164 with `+`.
            has_room: whether a DID takes a contact this moment; whoever says no is `put` in again later.
            wait_of: seconds until the contact could leave by a DID.
        """
        for prefix in reversed(self._prefixes(callee)):
            ring = self._rings.get(prefix)
            if not ring:
                continue
            found = self._first_with_room(ring, has_room)
            if found:
                chosen = found[0] if len(found) == 1 else min(found, key=wait_of)
                self._take_turn(chosen)
                return chosen
        return None

    def _first_with_room(self, ring: dict[str, None], has_room: Callable[[str], bool]) -> list[str]:
        found: list[str] = []
        full: list[str] = []
        for number in ring:
            if has_room(number):
                found.append(number)
                if len(found) == COMPARED_MAX:
                    break
            else:
                full.append(number)
        for number in full:
            for prefix in self._prefixes(number):
                self._rings[prefix].pop(number, None)
        return found

    def _take_turn(self, number: str) -> None:
        for prefix in self._prefixes(number):
            ring = self._rings[prefix]
            ring.pop(number, None)
            ring[number] = None

    def _prefixes(self, number: str) -> list[str]:
        """Those that it is kept by, or looked for by, the shortest first."""
        if not self._by_prefix:
            return [""]
        return [number[:length] for length in range(len(number) + 1)]


class Callers:
    """All DIDs of one flow: those for anybody, and those for callees whom a number series binds."""

    def __init__(self, numbers: Iterable[str], rule: SeriesRule, *, by_prefix: bool) -> None:
        numbers = tuple(numbers)
        self.rule = rule
        self.all = CallerPool(numbers, by_prefix=by_prefix)
        """Those for anybody."""
        self._of_series = self.all
        if rule.series is not None:
            fitting = filter(rule.is_in_series, numbers)
            self._of_series = CallerPool(fitting, by_prefix=by_prefix)

    @property
    def numbers(self) -> frozenset[str]:
        """All of them."""
        return self.all.numbers

    def pool_for(self, callee: str) -> CallerPool:
        """Those that may call this number."""
        return self._of_series if self.rule.binds(callee) else self.all

    def put(self, number: str) -> None:
        """A DID may have room."""
        self.all.put(number)
        if self._of_series is not self.all:
            self._of_series.put(number)
