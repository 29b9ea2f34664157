"""The limits of one party to a call (the installation, a flow, a trunk, a DID), and the line before
those that several DIDs share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import trio
from msgspec import Struct

from engine.dial.limits.line import SECOND_LEG, FairLine, Patience, is_long
from engine.dial.limits.windows import Pacer, SlidingWindow, Slot, mark_sent, window_for_cps
from engine.model import AccountRules, BlockerCode, Cap, FlowSettings
from engine.schedule.turns import Claimant

LEAD_S: Final = 0.05
"""How long before its moment a call gets its slot, so that its media port and the commit of its intent
are ready by then. It must be much shorter than the shortest window."""

ROUNDING_S: Final = 1e-6
"""What adding and subtracting moments may lose: a sleep until just before a moment must see it come."""

Window = tuple[BlockerCode, SlidingWindow]
"""A window, and the blocker that it is when it is full."""


class Line(Protocol):
    """Something that calls wait for, by turns."""

    @property
    def taken_at(self) -> float:
        """When the latest call leaves that was let go here."""

    async def wait_turn(
        self, patience: Patience | None = None, claimant: Claimant = SECOND_LEG
    ) -> None:
        """Return when a call may get its slot and it is this claimant's turn; or when they give up, or it is
        known that they would have to wait for longer than they want. Nothing is taken: the caller takes it
        before its next checkpoint."""

    async def wait_eased(self, until: float) -> None:
        """Return at a moment, or when other limits were set; it is nobody's turn for that."""


class Block(Struct, frozen=True):
    """A blocker as the engine handles it."""

    code: BlockerCode
    until: float
    """`trio.current_time()`; infinite where it depends on something else's end."""
    line: Line | None = None
    """Where to wait for its end; None where no waiting in line helps."""
    detail: str = ""
    """One sentence for a person, where there is more to say than the code does."""


class Limits:
    """Calls at once, and calls in windows. All times are `trio.current_time()`."""

    def __init__(
        self,
        *,
        channels: int | None,
        channels_code: BlockerCode,
        windows: Sequence[Window],
        pacer: Pacer | None = None,
    ) -> None:
        """`pacer` counts as the first of the windows does."""
        self.channels = channels
        self.channels_code = channels_code
        self.in_use = 0
        """Channels that are taken."""
        self.taken_at = -math.inf
        """When the latest call leaves that took one."""
        self.windows = list(windows)
        self.on_change: list[Callable[[], None]] = []
        """Called whenever a call may have become possible."""
        self._pacer = pacer
        self._line = FairLine()
        self._eased = trio.lowlevel.ParkingLot()

    @property
    def is_full(self) -> bool:
        """Whether every channel is taken."""
        return self.channels is not None and self.in_use >= self.channels

    def blocked_by(self, now: float) -> Block | None:
        """What keeps a call from getting its slot now, and until when; the one that ends last where
        there are several. Infinite means: until another call moves on."""
        if self.channels is not None and self.in_use >= self.channels:
            return Block(self.channels_code, math.inf, self)
        free_at, code = self._latest()
        return None if free_at <= now + LEAD_S + ROUNDING_S else Block(code, free_at, self)

    def earliest(self) -> float:
        """The moment that every window allows."""
        return self._latest()[0]

    def not_before(self) -> float:
        """No call is let go before this moment, as far as it is certain already."""
        return max((window.not_before() for _, window in self.windows), default=-math.inf)

    def _latest(self) -> tuple[float, BlockerCode]:
        latest, code = -math.inf, self.channels_code
        for one_code, window in self.windows:
            free_at = window.free_at()
            if free_at > latest:
                latest, code = free_at, one_code
        if self._pacer is not None and self._pacer.free_at() > latest:
            return self._pacer.free_at(), self.windows[0][0]
        return latest, code

    def take(self, at: float) -> list[Slot]:
        """Take a channel, and a slot of each window at `at`."""
        self.in_use += 1
        self.taken_at = at
        slots = [window.reserve(at) for _, window in self.windows]
        return slots if self._pacer is None else [*slots, self._pacer.reserve(at)]

    def release(self) -> None:
        """Give a channel back."""
        assert self.in_use > 0
        self.in_use -= 1
        self.look_again()

    def look_again(self) -> None:
        """Something has changed: a call has left or ended, or more is allowed."""
        self._line.look_again()
        for tell in self.on_change:
            tell()

    def restore(self, at: float) -> None:
        """Count a call that left before this process began; oldest first."""
        for _, window in self.windows:
            window.restore(at)

    def are(self, windows: Sequence[Window]) -> bool:
        """Whether the windows are such as these."""
        kinds = [(code, one.calls, one.per_s) for code, one in self.windows]
        return kinds == [(code, one.calls, one.per_s) for code, one in windows]

    def change(self, channels: int | None, windows: Sequence[Window]) -> None:
        """Set other limits. Calls that are up, and those still in the old windows, go on counting: a window
        takes over what that one remembers which remembers most."""
        if self.windows:
            _, before = max(self.windows, key=lambda one: one[1].remembered)
            for _, window in windows:
                window.inherit(before)
        self.channels = channels
        self.windows = list(windows)
        self.look_again()
        self._eased.unpark_all()

    async def wait_turn(
        self, patience: Patience | None = None, claimant: Claimant = SECOND_LEG
    ) -> None:
        """As `Line` has it."""
        await self._line.wait(claimant, patience or Patience(), self._wait_until)

    async def wait_eased(self, until: float) -> None:
        """As `Line` has it."""
        with trio.move_on_at(until - LEAD_S):
            await self._eased.park()

    def _wait_until(self, now: float, patience_s: float) -> float | None:
        block = self.blocked_by(now)
        if block is None or is_long(block.until, now, patience_s):
            return None
        return block.until - LEAD_S


class Taken(Protocol):
    """What a call took of something else than limits."""

    def mark_sent(self, at: float) -> None:
        """The call left, at this moment."""

    def release(self) -> None:
        """The call is over, or never left."""


class Permit:
    """What a call took of all its limits."""

    def __init__(self, limits: Sequence[Limits], at: float, *others: Taken) -> None:
        self.at = at
        self._others = others
        """When the call leaves; `trio.current_time()`."""
        self._limits = limits
        self._slots = [slot for one in limits for slot in one.take(at)]

    def mark_sent(self, at: float) -> None:
        """The call left, at this moment."""
        for slot in self._slots:
            mark_sent(slot, at)
        for other in self._others:
            other.mark_sent(at)
        for one in self._limits:
            one.look_again()

    def release(self) -> None:
        """The call is over, or never left. A slot that was not used stays taken, at its moment: that
        may cost one call of pace, and can never break a limit."""
        for other in self._others:
            other.release()
        for slot in self._slots:
            if not slot.sent:
                mark_sent(slot, slot.at)
        for one in self._limits:
            one.release()


def limits_of_did(cps: float, channels: int, caps: Sequence[Cap]) -> Limits:
    """The limits that a DID has of its own."""
    windows = _windows("did_cps", cps, caps, "did_cap")
    return Limits(channels=channels, channels_code="did_channels", windows=windows)


def limits_of_trunk(cps: float, channels: int, pacer: Pacer, caps: Sequence[Cap] = ()) -> Limits:
    """The limits of a trunk, shared by all DIDs on it."""
    return Limits(
        channels=channels,
        channels_code="trunk_channels",
        windows=_windows("trunk_cps", cps, caps, "trunk_cap"),
        pacer=pacer,
    )


def limits_of_engine(cps: float, channels: int, caps: Sequence[Cap] = ()) -> Limits:
    """The limits of the whole installation."""
    return Limits(
        channels=channels,
        channels_code="engine_limit",
        windows=_windows("engine_limit", cps, caps),
    )


def limits_of_account(rules: AccountRules) -> Limits:
    """The limits that an account has of its own, if any."""
    windows = windows_of_account(rules)
    return Limits(channels=rules.channels, channels_code="account_limit", windows=windows)


def windows_of_account(rules: AccountRules) -> list[Window]:
    """The windows of an account's own limits."""
    return _windows("account_limit", rules.cps, rules.caps)


def limits_of_flow(settings: FlowSettings) -> Limits:
    """The limits that a flow has of its own, if any."""
    windows = windows_of_flow(settings)
    return Limits(channels=settings.channels, channels_code="flow_limit", windows=windows)


def windows_of_flow(settings: FlowSettings) -> list[Window]:
    """The windows of a flow's own limits."""
    return _windows("flow_limit", settings.cps, settings.caps)


def _windows(
    code: BlockerCode, cps: float | None, caps: Sequence[Cap], cap_code: BlockerCode | None = None
) -> list[Window]:
    windows: list[Window] = [] if cps is None else [(code, window_for_cps(cps))]
    return windows + [(cap_code or code, SlidingWindow(cap.calls, cap.per_s)) for cap in caps]
