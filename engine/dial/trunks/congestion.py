"""How much a trunk takes just now, learnt from what it refuses. Pure: every moment comes as an argument.

A trunk that refuses calls for want of capacity gets fewer: there is a ceiling on calls a second and one on
calls at once, both below what is configured (`engine.dial.trunks.ceiling` says how one grows back).

- **Evidence.** What one callee is refused may be for want of room at the far end, as ITU-T E.412 tells a
  destination that is hard to reach from a trunk group that is full. So a callee counts once until a ceiling
  is lowered, and it takes two of them among the latest calls; where a pause was asked for (Retry-After), one
  more is enough. A callee that is refused again and again, while others are taken, counts no more.
- **Usual refusals.** A trunk that refuses some calls however slowly it is called gains nothing from being
  called more slowly still. What a limit refuses, it refuses when it is reached, and it never takes more.
  So neither limit refused a call if fewer calls had left in the second before it, and fewer were in use,
  than beside others that were taken of late. The share of such calls that is refused is the usual one, and
  only clearly more is evidence. Where most calls are refused, the trunk takes less than it did, and what was
  taken before proves nothing any more. Where refusals ask for pauses, each of which costs more than a pace
  that is too low, the share is taken of whole lessons at a ceiling that stands, and learnt more slowly.
- **One burst counts once.** Calls that left before a ceiling was lowered are no evidence any more.
- **The pace** is lowered to nine tenths of what the trunk took of it.
- **Calls at once** are lowered to what was in use when the trunk refused, minus a step. A trunk
  that does not say which of the two it lacks lacks channels where it refuses a call that left a good second
  after the last that it took; else the pace is lowered.
- **Retry-After** is kept to the letter, up to `RETRY_AFTER_MAX_S`.

No ceiling exceeds the configured one, and the sliding windows hold beside all this.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from engine.dial.trunks.ceiling import Ceiling
from engine.model.disposition import CongestionKind

Limited = Literal["pace", "channels"]

RETRY_AFTER_MAX_S: Final = 300.0
"""The longest Retry-After that is believed."""
CPS_LEAST: Final = 1.0
"""No trunk is called more slowly than this, unless it is configured so: it is asked once a second whether it
takes calls again, and what it refuses at that pace is not refused for the pace."""
CALLS_KEPT: Final = 3000
"""Calls that are remembered: enough for those whose refusal may still be on its way, and to learn from."""
CALLS_WEIGHED: Final = 100
"""Refusals are counted among so many calls, the latest that was refused being the last of them."""
CALLEES_LEAST: Final = 2
"""Refusals that lower a ceiling are of as many callees, be it that one of them was heeded before."""
HARD_AFTER: Final = 2
"""A callee that was refused so often in a row, and the trunk took others each time, is hard to reach."""
PROVEN_S: Final = 45.0
"""How long it is held that a trunk takes what it once took."""
SURELY_FEWER: Final = 0.95
"""Calls in use are fewer than those beside another call if they are less than this share of them: calls that
end just then are counted here for a while yet."""
CLEAR_PACE: Final = 15
"""Calls in a second, from which on they tell whether a pause was asked for at the limit."""
UNTAUGHT_CALLS: Final = 5
"""As if so many calls had been taken before there were any to learn from."""
USUAL_MAX: Final = 0.3
"""A trunk that refuses a larger share is overloaded, whatever its ways."""
CUT: Final = 0.9
"""What is left of the limit that was found when the ceiling of the pace is lowered."""
TAKEN_LEAST: Final = 0.5
"""A pace is halved at the most: its first refusals are too few to tell more."""
CHANNELS_STEP: Final = 0.05
"""Share of the calls at once by which their ceiling is lowered; one call at the least."""
NEARLY_FULL: Final = 0.9
"""Share of a ceiling of channels from which on a refusal is put down to them."""
QUIET_S: Final = 1.2
"""A call that leaves so long after the last one that was taken is not refused for the pace."""
FRESH_S: Final = 20.0
"""How long it speaks against a want of channels that a call was taken while more were in use."""
PACE_SPAN_S: Final = 5.0
PACE_CALLS: Final = 64
PACE_CALLS_LEAST: Final = 8
"""The pace is measured over these calls."""


class Mark(Struct, eq=False, gc=False):
    """What is remembered of a call that left."""

    serial: int
    """Of the trunk's calls, from 1."""
    callee: str
    """The number that was called."""
    at: float
    others: int
    """Calls in use beside it, without those that turned out to be refused."""
    recent: int
    """Calls that left in the second before it, without those that turned out to be refused."""
    tried: int
    """Calls that left in the second before it."""
    is_lesson: bool
    """Whether it left when the ceiling of the pace was well below the limit that is known."""
    was_taken: bool = False
    refused: Limited | Literal["callee"] | None = None
    """What the refusal is held against."""


class Proven(NamedTuple):
    """The most that a call was taken beside: see the fields of `Mark`."""

    recent: int
    tried: int
    others: int


class Congestion:
    """What one trunk takes just now. Its moments are seconds of a clock that only rises."""

    def __init__(self, cps: float, channels: int) -> None:
        self._ceilings: dict[Limited, Ceiling] = {
            "pace": Ceiling(cps, min(cps, CPS_LEAST)),
            "channels": Ceiling(channels, 1),
        }
        self.not_before = -math.inf
        """No call leaves before: what a Retry-After asked for."""
        self._latest: deque[Mark] = deque()
        self._calls_of: Counter[str] = Counter()
        """Of each callee, how many of those there are."""
        self._second: deque[Mark] = deque()
        """Those that left in the second before the latest, and the latest."""
        self._second_refused = 0
        """How many of these were refused."""
        self._serial = 0
        self._proven_since = 0
        """Serial of the latest call that proves nothing any more of what the trunk takes."""
        self._sent: deque[float] = deque(maxlen=PACE_CALLS)
        """When the latest calls left, since the pace was changed or interrupted."""
        self._measured_since = -math.inf

    @property
    def cps(self) -> float | None:
        """The ceiling of calls a second; None while it is the configured one."""
        pace = self._ceilings["pace"]
        return pace.value if pace.is_lowered else None

    @property
    def channels(self) -> int:
        """The ceiling of calls at once."""
        return int(self._ceilings["channels"].value)

    def note_sent(self, callee: str, now: float, others: int) -> Mark:
        """A call to a number leaves while `others` are in use."""
        self._serial += 1
        self._sent.append(now)
        while self._second and self._second[0].at <= now - 1.0:
            self._second_refused -= self._second.popleft().refused is not None
        tried = len(self._second)
        recent = tried - self._second_refused
        is_lesson = self._ceilings["pace"].is_lesson
        mark = Mark(self._serial, callee, now, others, recent, tried, is_lesson)
        self._second.append(mark)
        self._latest.append(mark)
        self._calls_of[callee] += 1
        if len(self._latest) > CALLS_KEPT:
            self._forget(self._latest.popleft())
        return mark

    def note_taken(self, mark: Mark, now: float) -> None:
        """The trunk took the call: it rings, was answered, or was refused by its callee."""
        if mark.was_taken:
            return
        mark.was_taken = True
        for limited, ceiling in self._ceilings.items():
            if mark.serial > ceiling.since:
                ceiling.note_taken(now)
                if limited == "pace" and mark.is_lesson:
                    ceiling.learn(0)

    def note_refused(
        self, mark: Mark, kind: CongestionKind, retry_after_s: float | None, now: float
    ) -> None:
        """The trunk refused the call for want of capacity."""
        self._discount(mark)
        pause_s = min(max(retry_after_s or 0.0, 0.0), RETRY_AFTER_MAX_S)
        if retry_after_s is not None:
            self.not_before = max(self.not_before, now + pause_s)
        if self._is_hard_to_reach(mark):
            mark.refused = "callee"
        else:
            mark.refused = limited = self._what_is_limited(mark, kind)
            self._weigh_in(mark, limited, pause_s, now)
        self._second_refused += bool(self._second) and mark.serial >= self._second[0].serial
        if retry_after_s is not None:
            self._measure_anew(self.not_before)

    def _weigh_in(self, mark: Mark, limited: Limited, pause_s: float, now: float) -> None:
        ceiling = self._ceilings[limited]
        if mark.serial <= ceiling.since:
            return
        if limited == "pace":
            ceiling.pause_s = max(ceiling.pause_s, pause_s)
            if mark.is_lesson and self._is_first(mark, ceiling.since):
                proven = self._find_proven(mark.serial, now)
                if proven.recent < CLEAR_PACE or not self._is_at_limit(mark, proven):
                    ceiling.learn(1)
        self._heed(limited, now)

    def _is_hard_to_reach(self, mark: Mark) -> bool:
        """Whether the callee was refused again and again, while the trunk took calls to others."""
        refusals, has_taken = 0, False
        if self._calls_of[mark.callee] <= HARD_AFTER:
            return False
        for one in reversed(self._latest):
            if one.serial >= mark.serial:
                continue
            if one.callee != mark.callee:
                has_taken = has_taken or one.was_taken
            elif one.refused is None and one.was_taken:
                break
            elif one.refused is not None and has_taken:
                refusals, has_taken = refusals + 1, False
        return refusals >= HARD_AFTER

    def has_refused(self, callee: str) -> bool:
        """Whether the latest call to a number was refused, of those that anything was heard of."""
        for one in reversed(self._latest):
            if one.callee == callee and (one.was_taken or one.refused is not None):
                return one.refused is not None
        return False

    def disregard(self, mark: Mark) -> None:
        """What became of the call says nothing of what the trunk takes."""
        self._discount(mark)
        if mark in self._latest:
            self._latest.remove(mark)
            self._forget(mark)
        if mark in self._second:
            self._second.remove(mark)
            self._second_refused -= mark.refused is not None

    def _forget(self, mark: Mark) -> None:
        """A call is not among the latest any more."""
        self._calls_of[mark.callee] -= 1
        if not self._calls_of[mark.callee]:
            del self._calls_of[mark.callee]

    def _is_first(self, mark: Mark, since: int) -> bool:
        """Whether no earlier call of its callee, after that of a serial, was refused as this one was."""
        return self._calls_of[mark.callee] <= 1 or not any(
            one.callee == mark.callee and one.refused == mark.refused
            for one in self._latest
            if since < one.serial < mark.serial
        )

    def _discount(self, mark: Mark) -> None:
        """A call that was counted among the others of later ones took no channel, and nothing of the pace."""
        for later in reversed(self._latest):
            if later.serial <= mark.serial:
                break
            later.others -= 1
            later.recent -= later.at < mark.at + 1.0

    def _what_is_limited(self, mark: Mark, kind: CongestionKind) -> Limited:
        """What a refusal is held against. Channels cannot be at fault where none of ours were in use."""
        if kind == "pace" or mark.others <= 0:
            return "pace"
        if kind == "channels" or self._seems_full(mark):
            return "channels"
        return "pace"

    def _seems_full(self, mark: Mark) -> bool:
        """Whether it is not the pace that a refusal is for: the call left long after the last that was taken,
        or brought the calls in use close to a ceiling that was found before."""
        channels = self._ceilings["channels"]
        if channels.is_lowered and mark.others >= NEARLY_FULL * channels.value - 1:
            return True
        earlier = (one for one in reversed(self._latest) if one.serial < mark.serial)
        latest = next((one.at for one in earlier if one.refused is None), -math.inf)
        return mark.at - latest >= QUIET_S

    def _heed(self, limited: Limited, now: float) -> None:
        """Lower a ceiling if there is evidence against it."""
        calls, refused = self._weigh(limited)
        ceiling = self._ceilings[limited]
        if not refused or not ceiling.is_enough(len(refused), len(calls), usual=0.0):
            return
        usual = 0.0
        if limited == "pace":
            usual = ceiling.usual if ceiling.pause_s else self._find_usual(calls, now)
        if not ceiling.is_enough(len(refused), len(calls), usual):
            return
        if not self._is_of_several():
            return  # it may be the far end that is full
        taken = 1 - len(refused) / len(calls)
        if limited == "channels":
            limit: float = min(mark.others for mark in refused)
            value: float = math.floor(limit - max(1.0, CHANNELS_STEP * limit))
        else:
            if taken < TAKEN_LEAST:
                self._proven_since = self._serial
            taken = taken if ceiling.pause_s else min(1.0, taken / (1 - usual))
            limit = min(ceiling.value, self._measure(now)) * max(TAKEN_LEAST, taken)
            value = CUT * limit
            self._measure_anew(now)
        if ceiling.is_least:
            ceiling.bear(self._serial)
        else:
            ceiling.lower(limit, value, taken, self._serial, now)

    def _is_of_several(self) -> bool:
        """Whether refusals of the latest calls are of as many callees as it takes."""
        callees: set[str] = set()
        for mark in reversed(self._latest):
            if mark.refused in self._ceilings:
                callees.add(mark.callee)
                if len(callees) == CALLEES_LEAST:
                    return True
        return False

    def _weigh(self, limited: Limited) -> tuple[list[Mark], list[Mark]]:
        """The latest calls up to the last that was refused, and the refusals among them that count: of each
        callee the first, as if the others had not been made."""
        since = self._ceilings[limited].since
        calls: list[Mark] = []
        for mark in reversed(self._latest):
            if mark.serial <= since or (calls and mark.serial <= calls[0].serial - CALLS_WEIGHED):
                break
            if mark.refused == limited or (calls and mark.refused != "callee"):
                calls.append(mark)
        calls.reverse()
        first: dict[str, Mark] = {}
        for mark in calls:
            if mark.refused == limited:
                first.setdefault(mark.callee, mark)
        refused = [*first.values()]
        calls = [mark for mark in calls if mark.refused != limited or first[mark.callee] is mark]
        if limited == "channels":
            # A call that left before the last refused one, and was not refused by now, was taken.
            taken = [mark for mark in calls if mark.refused is None]
            refused = [
                mark
                for mark in refused
                if all(mark.others >= one.others for one in taken if mark.at - one.at < FRESH_S)
            ]
        return calls, refused

    def _find_proven(self, latest: int, now: float) -> Proven:
        """The most that a call was taken beside of late, by those up to a serial."""
        recent = tried = others = 0
        for mark in reversed(self._latest):
            if mark.serial <= self._proven_since or mark.at <= now - PROVEN_S:
                break
            if mark.refused is not None or mark.serial > latest:
                continue
            if mark.recent > recent:
                recent = mark.recent
            if mark.tried > tried:
                tried = mark.tried
            if mark.others > others:
                others = mark.others
        return Proven(recent, tried, others)

    def _is_at_limit(self, mark: Mark, proven: Proven) -> bool:
        """Whether a refusal of the call may be for want of pace or channels, after what was proven."""
        is_fast = mark.recent >= proven.recent or mark.tried >= proven.tried
        return is_fast or mark.others >= SURELY_FEWER * proven.others

    def _find_usual(self, weighed: list[Mark], now: float) -> float:
        """The share of calls that is refused whatever leaves, by those before the ones that are weighed."""
        first, latest = weighed[0].serial, weighed[-1].serial
        proven = self._find_proven(latest, now)
        lessons = [
            mark
            for mark in self._latest
            if self._proven_since < mark.serial < first
            if mark.is_lesson and mark.refused != "callee" and not self._is_at_limit(mark, proven)
        ]
        refused = {mark.callee for mark in lessons if mark.refused is not None}
        share = len(refused) / (len(lessons) + UNTAUGHT_CALLS)
        if share <= USUAL_MAX:
            return share
        self._proven_since = latest
        return 0.0

    def _measure(self, now: float) -> float:
        """Calls a second of late; infinite where too few were made to tell."""
        sent = [at for at in self._sent if at > now - PACE_SPAN_S]
        if len(sent) >= PACE_CALLS_LEAST and sent[-1] > sent[0]:
            return (len(sent) - 1) / (sent[-1] - sent[0])
        if now - self._measured_since >= PACE_SPAN_S:
            return len(sent) / PACE_SPAN_S
        return math.inf

    def _measure_anew(self, since: float) -> None:
        """What left before says nothing of the pace from here on."""
        self._sent.clear()
        self._measured_since = since
