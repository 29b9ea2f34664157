"""A trunk as dialling sees it: its limits, whether it answers, and what it takes just now.

A trunk is *down*, and no call goes to it, in three cases. Its adapter says that it cannot be used (its
probes or its registration fail). Or a call got no answer at all: it rests for a while, twice as long each
time, and then one trial call at a time is let through until an answer comes. Or many calls have left, and
none was answered by anything for some seconds: then the rest waits until it is known what became of them.
"""

from __future__ import annotations

import math
from typing import Final

import structlog
from msgspec import Struct

from engine.dial.limits.party import Block, limits_of_trunk
from engine.dial.limits.windows import Pacer
from engine.dial.trunks.congestion import Congestion, Mark
from engine.model import Cap
from engine.model.disposition import AS_EVERYWHERE, CongestionKind, OutcomeTable

log = structlog.get_logger(__name__)

BACKOFF_FIRST_S: Final = 2.0
BACKOFF_MAX_S: Final = 60.0
UNHEARD_CALLS: Final = 50
UNHEARD_S: Final = 4.0
"""So many calls without any answer, the first of them this old, hold back all further ones: a trunk that has
died takes no more than these with it. Fewer may just be callees whose telephones are slow to ring."""

SLOWED: Final = "for now, and more again as it takes them"
TRIAL_DETAIL: Final = (
    "The trunk does not answer; one call is on its way to see whether it does again."
)
REST_DETAIL: Final = "The trunk does not answer; it is tried again after a while."


class TrunkSettings(Struct, frozen=True):
    """What the engine must know of a trunk; how to reach it is the telephony adapter's matter."""

    name: str
    channels: int
    cps: float
    outcomes: OutcomeTable = AS_EVERYWHERE
    """What its refusals mean."""
    caps: tuple[Cap, ...] = ()


class Trunk:
    """One trunk. All times are `trio.current_time()`."""

    def __init__(self, settings: TrunkSettings) -> None:
        self.name = settings.name
        self.outcomes = settings.outcomes
        self._settings = settings
        self._pacer = Pacer()
        self.limits = limits_of_trunk(settings.cps, settings.channels, self._pacer, settings.caps)
        self._congestion = Congestion(settings.cps, settings.channels)
        self._learns_since = -math.inf
        """What became of calls that left before says nothing of the limits as they are now."""
        self._unusable: str | None = None
        """Why its adapter says that it cannot be used."""
        self.warnings = 0
        """How often its adapter has said so."""
        self._silent_calls = 0
        """Rests since it last answered."""
        self._silent_at = -math.inf
        """When a call was last found to be without an answer, and counted."""
        self._heard_at = -math.inf
        """When it last answered any call."""
        self._taken_at = -math.inf
        """When the latest call left that it took."""
        self._refused: list[tuple[str, float]] = []
        """The latest callees whose calls it refused, two at the most, and when the latest of each left."""
        self._down_until = -math.inf
        self._trial: TrunkCall | None = None
        self._unheard: dict[TrunkCall, float] = {}
        """Calls that left after the last answer, when they did, and got none themselves so far."""

    def change(self, settings: TrunkSettings, now: float) -> bool:
        """Go by other limits from now on; whether they are others. Calls that are up, and those that left, go
        on counting; what was learnt of the trunk's own limits is learnt anew where others are configured."""
        before, self._settings = self._settings, settings
        self.outcomes = settings.outcomes
        limits = settings.cps, settings.channels
        if limits != (before.cps, before.channels):
            self._congestion = Congestion(*limits)
            self._learns_since = now
            self._pacer.gap_s = 0.0
        if (*limits, settings.caps) == (before.cps, before.channels, before.caps):
            return False
        fresh = limits_of_trunk(*limits, self._pacer, settings.caps)
        self.limits.change(settings.channels, fresh.windows)
        self._set_ceilings()
        return True

    def come_back(self) -> None:
        """It was taken away, and is there again. The calls that it carries count; what was known of its
        condition does not."""
        self._unusable = None
        self._hear()

    def blocked_by(self, now: float) -> Block | None:
        """What keeps a call from getting its slot now; None where the trunk would take it."""
        down = self.down_by(now)
        if down is not None:
            return down
        block = self.limits.blocked_by(now)
        if block is None:
            return None
        return Block(block.code, block.until, block.line, self._explain(block))

    def down_by(self, now: float) -> Block | None:
        """Why the trunk is down; None while it is up."""
        if self._unusable is not None:
            return Block("trunk_down", math.inf, None, self._unusable)
        return self._silent_by(now)

    def _silent_by(self, now: float) -> Block | None:
        """Why nothing goes to the trunk for want of answers."""
        if self._down_until > now:
            return Block("trunk_down", self._down_until, None, REST_DETAIL)
        if self._trial is not None:
            return Block("trunk_down", math.inf, None, TRIAL_DETAIL)
        if len(self._unheard) >= UNHEARD_CALLS:
            silent_s = now - next(iter(self._unheard.values()))
            if silent_s >= UNHEARD_S:
                return Block("trunk_down", math.inf, None, _describe_unheard(len(self._unheard)))
        return None

    def admit(self, callee: str) -> TrunkCall:
        """One call to a number is going to this trunk, which nothing blocks: the trial, where one is due."""
        call = TrunkCall(self, callee)
        if self._silent_calls:
            self._trial = call
        return call

    def note_condition(self, is_usable: bool, detail: str) -> None:
        """Its adapter says whether it can be used. One that is said to have become well has answered
        something: nothing is left of earlier silence."""
        if not is_usable:
            self.warnings += 1
            if self._unusable is None:
                log.warning("a trunk cannot be used", trunk=self.name, detail=detail)
            self._unusable = detail or "The trunk cannot be used."
        elif self._unusable is not None:
            log.info("a trunk can be used again", trunk=self.name, detail=detail)
            self._unusable = None
            self._hear()
            self.limits.look_again()

    def may_still_leave(self, call: TrunkCall, now: float) -> bool:
        """Whether a call that was let go may leave, as nothing of this trunk has changed meanwhile. What was
        said of it before the call was prepared does not count: perhaps this is the call that tries it out."""
        if self._pacer.not_before > now:
            return False
        if self._trial is call:
            return True
        is_spared = self._unusable is None or call.warnings == self.warnings
        return is_spared and self._silent_by(now) is None

    def note_sent(self, call: TrunkCall, now: float) -> Mark:
        """An INVITE leaves."""
        self._unheard[call] = now
        return self._congestion.note_sent(call.callee, now, self.limits.in_use - 1)

    def note_answer(self, mark: Mark, now: float) -> None:
        """The trunk took a call: some answer came that is not a refusal for want of capacity."""
        if mark.at > self._learns_since:
            self._congestion.note_taken(mark, now)
            self._set_ceilings()
        self._taken_at = max(self._taken_at, mark.at)
        self._note_heard(now)

    def note_refusal(
        self, mark: Mark, kind: CongestionKind, retry_after_s: float | None, now: float
    ) -> None:
        """The trunk refused a call for want of capacity."""
        before = self._congestion.cps, self._congestion.channels
        if mark.at > self._learns_since:
            self._congestion.note_refused(mark, kind, retry_after_s, now)
            self._set_ceilings()
        others = [one for one in self._refused if one[0] != mark.callee]
        self._refused = [*others[-1:], (mark.callee, mark.at)]
        self._note_heard(now)
        after = self._congestion.cps, self._congestion.channels
        if after != before:
            log.info("a trunk is slowed down", trunk=self.name, cps=after[0], channels=after[1])

    def note_server_refusal(self, mark: Mark, now: float) -> None:
        """One of the trunk's servers refused a call, and another takes calls."""
        if mark.at > self._learns_since:
            self._congestion.disregard(mark)
        self._note_heard(now)

    def has_answered_since(self, moment: float) -> bool:
        """Whether it has answered any call since."""
        return self._heard_at > moment

    def takes_others(self, callee: str, since: float) -> bool:
        """Whether the latest call to another callee, of those that say how full it is, was taken, and left
        since a moment and since the end of the trunk's last pause."""
        refused_at = max((at for one, at in self._refused if one != callee), default=-math.inf)
        return self._taken_at > max(since, refused_at, self._congestion.not_before)

    def has_refused(self, callee: str) -> bool:
        """Whether it refused the call to a number before this one."""
        return self._congestion.has_refused(callee)

    def note_silence(self, sent_at: float, now: float) -> None:
        """A call that left at `sent_at` got no answer at all. Those that were under way when the last such
        call was counted count with it; and a trunk that has answered other calls since is there."""
        if sent_at <= max(self._silent_at, self._heard_at):
            return
        self._silent_calls += 1
        self._silent_at = now
        wait_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(self._silent_calls - 1, 10))
        self._down_until = now + wait_s
        self._unheard.clear()
        log.warning("a trunk does not answer", trunk=self.name, rests_s=wait_s)

    def forget(self, call: TrunkCall) -> None:
        """A call is over, however it ended."""
        self._unheard.pop(call, None)
        if self._trial is call:
            self._trial = None
        self.limits.look_again()

    def _note_heard(self, now: float) -> None:
        self._heard_at = now
        self._hear()

    def _hear(self) -> None:
        was_held = self._silent_calls > 0 or len(self._unheard) >= UNHEARD_CALLS
        self._silent_calls = 0
        self._down_until = -math.inf
        self._trial = None
        self._unheard.clear()
        if was_held:
            self.limits.look_again()

    def _set_ceilings(self) -> None:
        cps, channels = self._congestion.cps, self._congestion.channels
        gap_s = 0.0 if cps is None else 1 / cps
        has_changed = (gap_s, channels) != (self._pacer.gap_s, self.limits.channels)
        self._pacer.gap_s = gap_s
        self._pacer.not_before = self._congestion.not_before
        self.limits.channels = channels
        if has_changed:
            self.limits.look_again()

    def _explain(self, block: Block) -> str:
        """What there is to say of a limit beside its code: that it is not the configured one."""
        if block.code == "trunk_channels":
            channels = self._congestion.channels
            if channels == self._settings.channels:
                return ""
            return f"The trunk refuses calls: it is given {channels} at once {SLOWED}."
        if block.code == "trunk_cap":
            return ""
        if block.until == self._pacer.not_before:
            return "The trunk refused a call and asked for a pause; nothing goes to it before."
        cps = self._congestion.cps
        if cps is None:
            return ""
        return f"The trunk refuses calls: it is given {cps:.3g} a second {SLOWED}."


def _describe_unheard(calls: int) -> str:
    return (
        f"The trunk has answered nothing to the last {calls} calls; the next ones wait until it is known"
        " whether it is there."
    )


class TrunkCall:
    """What one call tells its trunk: that it left, and what became of it there."""

    def __init__(self, trunk: Trunk, callee: str) -> None:
        self.trunk = trunk
        self.callee = callee
        """The number that it is to."""
        self._mark: Mark | None = None
        self._sent_at = math.inf
        self._was_heard = False
        self.warnings = -1
        """Of its trunk, when it was prepared."""

    def mark_prepared(self) -> None:
        """Its trunk has a server for it: whatever was said of the others by now."""
        self.warnings = self.trunk.warnings

    def may_leave(self, now: float) -> bool:
        """Asked once more directly before the INVITE leaves."""
        return self.trunk.may_still_leave(self, now)

    def mark_sent(self, now: float) -> None:
        """The INVITE leaves, now."""
        self._sent_at = now
        self._mark = self.trunk.note_sent(self, now)

    def note_answer(self, now: float) -> None:
        """Some answer came: a ring, an answer, a refusal of the callee's."""
        if self._mark is not None and not self._was_heard:
            self._was_heard = True
            self.trunk.note_answer(self._mark, now)

    def note_refusal(self, kind: CongestionKind, retry_after_s: float | None, now: float) -> None:
        """The trunk refused it for want of capacity."""
        if self._mark is not None:
            self.trunk.note_refusal(self._mark, kind, retry_after_s, now)

    def note_repeated_refusal(
        self, kind: CongestionKind, retry_after_s: float | None, now: float
    ) -> None:
        """As `note_refusal`, of a number whose call before came to nothing too: the pause that is asked
        for is not the trunk's where it has taken the calls of others since its last one."""
        pause_s = None if self.takes_others(-math.inf) else retry_after_s
        self.note_refusal(kind, pause_s, now)

    def note_server_refusal(self, now: float) -> None:
        """One of the trunk's servers refused it for want of capacity, and another takes calls."""
        if self._mark is not None:
            self.trunk.note_server_refusal(self._mark, now)

    def is_refused_again(self) -> bool:
        """Whether its trunk refused the call before this one to the same number."""
        return self.trunk.has_refused(self.callee)

    def takes_others(self, since: float) -> bool:
        """Whether the trunk takes the calls to other callees, and took one that left since a moment."""
        return self.trunk.takes_others(self.callee, since)

    def is_outlived(self) -> bool:
        """Whether the trunk has answered other calls since this one left."""
        return self.trunk.has_answered_since(self._sent_at)

    def note_silence(self, now: float) -> None:
        """No answer came at all."""
        self.trunk.note_silence(self._sent_at, now)

    def close(self) -> None:
        """The call is over, or never left."""
        self.trunk.forget(self)
