"""What a forecast is made of, as values: contacts by the hundred instead of one by one, and every limit."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from engine.model import BlockerCode, CallingWindow, RetriedDisposition, RetryRule
from engine.model.disposition import Disposition

QUANTILES: Final = 24
"""Lengths of calls by which one disposition's calls are told."""
SHAPES_MAX: Final = 4_000
"""Cohorts of one list; what is more is put together with what is like it."""
RIVALS_MAX: Final = 20
"""Other lists that are let happen beside the one that is asked about."""


class Cohort(Struct, frozen=True):
    """Contacts that are alike."""

    due_at: float
    """Seconds since the epoch."""
    count: int
    zones: tuple[str, ...] = ()
    """In which their numbers may be; none where those do not tell."""
    tels: int = 1
    tel_index: int = 0
    spent: int = 0
    tries: dict[Disposition, int] = {}
    """Both as of `Contact`."""
    waits_for: BlockerCode | None = None
    """Why it is due later, where that is neither a start time nor a retry."""


class Ending(Struct, frozen=True):
    """One way in which calls end."""

    disposition: Disposition
    weight: float
    """How many calls, of those that were seen or taken for granted, ended so."""
    holds_s: tuple[float, ...]
    """For how long such calls hold a channel, at even quantiles, rising."""


class Behaviour(Struct, frozen=True):
    """What calls of a flow come to."""

    endings: tuple[Ending, ...]
    is_exact: bool = False
    """Whether the weights are shares to be taken as they are; else they are what a sample of so many calls
    has shown, and the true shares may be others."""

    @property
    def mean_hold_s(self) -> float:
        """For how long a call holds a channel."""
        whole = sum(one.weight for one in self.endings)
        held = sum(one.weight * sum(one.holds_s) / len(one.holds_s) for one in self.endings)
        return held / whole


class Rate(Struct, frozen=True):
    """At most so many calls in any window of so many seconds."""

    code: BlockerCode
    calls: int
    per_s: float


class Limit(Struct, frozen=True):
    """The limits of one party, or of several alike that are taken together."""

    channels_code: BlockerCode
    channels: float | None
    rates: tuple[Rate, ...] = ()


class Group(Struct, frozen=True):
    """DIDs that are alike, as one."""

    limit: Limit
    trunk: int
    """Which of the case's trunks carries their calls."""
    dids: int = 1
    """How many they are."""


class Hours(Struct, frozen=True):
    """One party's calling windows."""

    windows: tuple[CallingWindow, ...]
    timezone: str


class Rules(Struct, frozen=True):
    """What of a flow's settings decides what follows a call."""

    attempts_max: int
    attempts_max_per_day: int | None
    retry: dict[RetriedDisposition, RetryRule]
    declined_stops: bool
    timezone: str


class Stream(Struct, frozen=True):
    """A list whose calls happen."""

    flow: int
    """Which of the case's flows it is of."""
    rank: int
    cohorts: tuple[Cohort, ...]


class FlowTerms(Struct, frozen=True):
    """A flow whose lists call."""

    rules: Rules
    limit: Limit
    behaviour: Behaviour
    groups: tuple[int, ...]
    weight: int
    hours: tuple[Hours, ...]


class Case(Struct, frozen=True):
    """A question: when does the first of the streams end?"""

    now: float
    """Seconds since the epoch."""
    streams: tuple[Stream, ...]
    flows: tuple[FlowTerms, ...]
    groups: tuple[Group, ...]
    trunks: tuple[Limit, ...]
    account: Limit
    engine: Limit
