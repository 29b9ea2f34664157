"""How much a trunk takes just now, learnt from what it refuses. Pure: every moment comes as an argument.

A trunk that refuses calls for want of capacity gets fewer: there is a ceiling on calls a second and one on
calls at once, both below what is configured (`engine.dial.trunks.ceiling` says how one grows back).

- **Evidence.** What one callee is refused may be for want of room at the far end, as ITU-T E.412 tells a
  destination that is hard to reach from a trunk group that is full. So a callee counts once until a ceiling
  is lowered, and it takes two of them among the latest calls; where a pause was asked for (Retry-After), one
  more is enough. A callee that is refused again and again, while others are taken, counts no more.
- **Usual refusals.** A trunk that refuses some calls however slowly it is called gains nothing from being
  called more slowly still: its usual share of refusals is learnt, well below the limit that is known, and
  only more than that is evidence.
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
from collections import deque
from typing import Final, Literal

from msgspec import Struct

from engine.dial.trunks.ceiling import Ceiling
from engine.model.disposition import CongestionKind

Limited = Literal["pace", "channels"]

RETRY_AFTER_MAX_S: Final = 300.0
"""The longest Retry-After that is believed."""
CPS_LEAST: Final = 1.0
"""No trunk is called more slowly than this, unless it is configured so: it is asked once a second whether it
takes calls again, and what it refuses at that pace is not refused for the pace."""
CALLS_KEPT: Final = 1000
"""Calls that are remembered: enough for those whose refusal may still be on its way."""
CALLS_WEIGHED: Final = 100
"""Refusals are counted among so many calls, the latest that was refused being the last of them."""
CALLEES_LEAST: Final = 2
"""Refusals that lower a ceiling are of as many callees, be it that one of them was heeded before."""
HARD_AFTER: Final = 2
"""A callee that was refused so often in a row, and the trunk took others each time, is hard to reach."""
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


class Mark(Struct, gc=False):
    """What is remembered of a call that left."""

    serial: int
    """Of the trunk's calls, from 1."""
    callee: str
    """The number that was called."""
    at: float
    others: int
    """Calls in use beside it, without those that turned out to be refused."""
    is_lesson: bool
    """Whether it left when the ceiling of the pace was well below the limit that is known."""
    was_taken: bool = False
    refused: Limited | Literal["callee"] | None = None
    """What the refusal is held against."""


class Congestion:
    """What one trunk takes just now. Its moments are seconds of a clock that only rises."""

    def __init__(self, cps: float, channels: int) -> None:
        self._ceilings: dict[Limited, Ceiling] = {
            "pace": Ceiling(cps, min(cps, CPS_LEAST)),
            "channels": Ceiling(channels, 1),
        }
        self.not_before = -math.inf
        """No call leaves before: what a Retry-After asked for."""
        self._latest: deque[Mark] = deque(maxlen=CALLS_KEPT)
        self._serial = 0
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
        mark = Mark(self._serial, callee, now, others, self._ceilings["pace"].is_lesson)
        self._latest.append(mark)
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
        if retry_after_s is not None:
            self._measure_anew(self.not_before)

    def _weigh_in(self, mark: Mark, limited: Limited, pause_s: float, now: float) -> None:
        ceiling = self._ceilings[limited]
        if mark.serial <= ceiling.since:
            return
        if limited == "pace":
            ceiling.pause_s = max(ceiling.pause_s, pause_s)
            if mark.is_lesson and self._is_first(mark, ceiling.since):
                ceiling.learn(1)
        self._heed(limited, now)

    def _is_hard_to_reach(self, mark: Mark) -> bool:
        """Whether the callee was refused again and again, while the trunk took calls to others."""
        refusals, has_taken = 0, False
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

    def _is_first(self, mark: Mark, since: int) -> bool:
        """Whether no earlier call of its callee, after that of a serial, was refused as this one was."""
        return not any(
            one.callee == mark.callee and one.refused == mark.refused
            for one in self._latest
            if since < one.serial < mark.serial
        )

    def _discount(self, mark: Mark) -> None:
        """A call that was counted among the others of later ones took no channel."""
        for later in self._latest:
            if later.serial > mark.serial:
                later.others -= 1

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
        earlier = (one for one in self._latest if one.serial < mark.serial)
        latest = max((one.at for one in earlier if one.refused is None), default=-math.inf)
        return mark.at - latest >= QUIET_S

    def _heed(self, limited: Limited, now: float) -> None:
        """Lower a ceiling if there is evidence against it."""
        calls, refused = self._weigh(limited)
        ceiling = self._ceilings[limited]
        if not refused or not ceiling.is_enough(len(refused), len(calls)):
            return
        callees = {mark.callee for mark in self._latest if mark.refused in self._ceilings}
        if len(callees) < CALLEES_LEAST:
            return  # it may be the far end that is full
        taken = 1 - len(refused) / len(calls)
        if limited == "channels":
            limit: float = min(mark.others for mark in refused)
            value: float = math.floor(limit - max(1.0, CHANNELS_STEP * limit))
        else:
            limit = min(ceiling.value, self._measure(now)) * max(TAKEN_LEAST, taken)
            value = CUT * limit
            self._measure_anew(now)
        if ceiling.is_least:
            ceiling.bear(self._serial)
        else:
            ceiling.lower(limit, value, taken, self._serial, now)

    def _weigh(self, limited: Limited) -> tuple[list[Mark], list[Mark]]:
        """The latest calls up to the last that was refused, and the refusals among them that count: of each
        callee the first, as if the others had not been made."""
        since = self._ceilings[limited].since
        calls = [one for one in self._latest if one.serial > since and one.refused != "callee"]
        latest = max((mark.serial for mark in calls if mark.refused == limited), default=0)
        calls = [mark for mark in calls if latest - CALLS_WEIGHED < mark.serial <= latest]
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
