"""When a callee may be called: calling windows on every clock that may hang on the callee's wall. Pure.

A window is a span of the day on some days of the week. Whether it is open is asked of one moment and one
clock: the moment is read on that clock, and the wall time either lies in the span or does not. So an hour
that a clock skips in spring is in no span, and one that it goes through twice in autumn is in the span both
times, without a rule of their own for either.

Who is called may live in several zones, as far as the number tells, and several parties have a say (the
account and the flow). All have to agree: the strictest counts.

    open = every party: every zone of the callee: some window of that party's is open on the zone's clock,
           and, where the window names a zone, on that one's, too

Openness can change only where a span begins or ends, at midnight, and where a clock is set. `CallingHours`
looks at those moments alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from engine.model import DAYS, CallingWindow

HORIZON_DAYS: Final = 35
"""How far ahead an opening is looked for; what is closed for longer counts as never open."""
CHUNK_DAYS: Final = 3
"""Days whose changes are worked out at a time."""
KEPT_MAX: Final = 1_024
"""Combinations of zones whose state one book remembers."""
DAY_S: Final = 86_400


class Party(Struct, frozen=True):
    """One who has a say in when calls are made."""

    windows: tuple[CallingWindow, ...]
    """One of them must be open; none at all leaves every moment open."""
    timezone: str
    """IANA name: the clock of callees whose zone is not known, and of windows that do not go by theirs."""


class Hours(Struct, frozen=True):
    """Whether calls may be made, and for how long that stays so."""

    is_open: bool
    until: float | None
    """When it changes, seconds since the epoch; None when it does not within the horizon."""


class _Span:
    """A window in the form in which moments are compared with it."""

    def __init__(self, window: CallingWindow, home: str) -> None:
        self.start_s = _seconds_of(window.start)
        self.end_s = _seconds_of(window.end)
        self.days = frozenset(DAYS.index(day) for day in window.days)
        self.holidays = frozenset(date.fromisoformat(day) for day in window.holidays)
        self.by_callee = window.callee_zone
        named = window.timezone if window.callee_zone else window.timezone or home
        self.own = None if named is None else _zone(named)
        """The clock that it holds on whoever is called."""

    def holds(self, wall: datetime) -> bool:
        """Whether a wall time lies in it. A span that runs past midnight belongs to the day on which it
        begins; a holiday has no calls at all."""
        today = wall.date()
        if today in self.holidays:
            return False
        at_s = wall.hour * 3600 + wall.minute * 60 + wall.second
        if self.start_s < self.end_s:
            return self.start_s <= at_s < self.end_s and wall.weekday() in self.days
        if at_s >= self.start_s:
            return wall.weekday() in self.days
        yesterday = today - timedelta(days=1)
        return (
            at_s < self.end_s
            and yesterday.weekday() in self.days
            and yesterday not in self.holidays
        )


class CallingHours:
    """When one callee may be called. Moments are seconds since the epoch."""

    def __init__(self, parties: Iterable[Party], zones: Sequence[str]) -> None:
        """`zones` are those in which the callee may be; none where the number does not tell."""
        self._parties = [
            (
                [_Span(window, party.timezone) for window in party.windows],
                [_zone(name) for name in zones or (party.timezone,)],
            )
            for party in parties
            if party.windows
        ]
        spans = [span for spans, _ in self._parties for span in spans]
        clocks = {clock for _, clocks in self._parties for clock in clocks}
        self._clocks = clocks | {span.own for span in spans if span.own is not None}
        marks = {second % DAY_S for span in spans for second in (span.start_s, span.end_s)}
        self._marks = sorted({*marks, 0})
        """Seconds of a day at which something may open or close."""

    def is_open(self, at: float) -> bool:
        """Whether the callee may be called at that moment."""
        walls: dict[ZoneInfo, datetime] = {}

        def holds(span: _Span, clock: ZoneInfo) -> bool:
            if clock not in walls:
                walls[clock] = datetime.fromtimestamp(at, clock)
            return span.holds(walls[clock])

        def allows(span: _Span, clock: ZoneInfo) -> bool:
            if span.own is not None and not holds(span, span.own):
                return False
            return not span.by_callee or holds(span, clock)

        return all(
            any(allows(span, clock) for span in spans)
            for spans, clocks in self._parties
            for clock in clocks
        )

    def hours_at(self, at: float) -> Hours:
        """Whether calls may be made at a moment, and until when that stays so."""
        is_open = self.is_open(at)
        if not self._parties:
            return Hours(is_open, None)
        first = math.floor(at / DAY_S)
        for day in range(first, first + HORIZON_DAYS, CHUNK_DAYS):
            for moment in self._changes(day):
                if moment > at and self.is_open(moment) is not is_open:
                    return Hours(is_open, float(moment))
        return Hours(is_open, None)

    def next_opening(self, at: float) -> float | None:
        """The first moment from `at` on at which calls may be made; None when there is none within the
        horizon."""
        hours = self.hours_at(at)
        return at if hours.is_open else hours.until

    def open_until(self, at: float) -> float | None:
        """When that ends which is open at `at`; `at` itself where it is closed. None when it does not end
        within the horizon."""
        hours = self.hours_at(at)
        return hours.until if hours.is_open else at

    def _changes(self, day: int) -> list[int]:
        """Every moment of some days from the epoch's `day` on at which openness may change, in order."""
        begin, end = day * DAY_S, (day + CHUNK_DAYS) * DAY_S
        found: set[int] = set()
        for clock in self._clocks:
            for each in range(day - 1, day + CHUNK_DAYS + 1):
                found.update(_moments(date(1970, 1, 1) + timedelta(days=each), self._marks, clock))
                found.update(_setting_of(clock, each * DAY_S))
        return sorted(moment for moment in found if begin <= moment < end)


def _moments(day: date, marks: Iterable[int], clock: ZoneInfo) -> Iterable[int]:
    """When a clock shows these seconds of a day: once, twice where it is set back, never where it skips
    them."""
    for second in marks:
        wall = datetime.combine(day, time(second // 3600, second % 3600 // 60, second % 60))
        for fold in (0, 1):
            moment = int(wall.replace(tzinfo=clock, fold=fold).timestamp())
            if datetime.fromtimestamp(moment, clock).replace(tzinfo=None, fold=0) == wall:
                yield moment


def _setting_of(clock: ZoneInfo, begin: int) -> Iterable[int]:
    """The moment within the day from `begin` on at which a clock is set forward or back, if it is."""
    before, after = begin, begin + DAY_S
    offset = _offset(clock, before)
    if _offset(clock, after) == offset:
        return
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(clock, middle) == offset:
            before = middle
        else:
            after = middle
    yield after


def _offset(clock: ZoneInfo, at: int) -> timedelta | None:
    return datetime.fromtimestamp(at, UTC).astimezone(clock).utcoffset()


def _seconds_of(text: str) -> int:
    """The second of the day of `HH:MM`; 24:00 is the day's end."""
    hours, minutes = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60


@lru_cache(maxsize=KEPT_MAX)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


class CallingBook:
    """The hours of all callees of a flow, each combination of zones worked out once until it changes."""

    def __init__(self, parties: Iterable[Party]) -> None:
        self._parties = tuple(party for party in parties if party.windows)
        self._kept: dict[tuple[str, ...], tuple[float, float, Hours]] = {}
        """By zones: from when until when the hours hold that were worked out."""
        self._hours: dict[tuple[str, ...], CallingHours] = {}

    @property
    def is_always_open(self) -> bool:
        """Whether nobody has a window, so that no number need be looked at."""
        return not self._parties

    def closed_until(self, zones: tuple[str, ...], at: float) -> float | None:
        """When a callee in these zones may be called again; None when that is now. Infinite when there is
        no such moment within the horizon."""
        if not self._parties:
            return None
        kept = self._kept.get(zones)
        if kept is None or not kept[0] <= at < kept[1]:
            kept = self._work_out(zones, at)
        hours = kept[2]
        if hours.is_open:
            return None
        return math.inf if hours.until is None else hours.until

    def _work_out(self, zones: tuple[str, ...], at: float) -> tuple[float, float, Hours]:
        if len(self._kept) >= KEPT_MAX and zones not in self._kept:
            self._kept.clear()
            self._hours.clear()
        if zones not in self._hours:
            self._hours[zones] = CallingHours(self._parties, zones)
        hours = self._hours[zones].hours_at(at)
        until = at + DAY_S if hours.until is None else hours.until
        kept = self._kept[zones] = (at, until, hours)
        return kept
