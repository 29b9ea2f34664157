"""How often an account has called a number: caps on the calls of one callee, over all flows and lists.

The book knows the latest calls of each number that is about to be called, and no others: what it does not
know is in the store, and is looked up for many numbers in one question before the first of them is called.
Calls are told apart by their attempts, so that one which both know counts once.

Only calls to those who are to be reached are counted. Second legs go to agents, and to numbers that a flow
names, who are called for somebody else all day long.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

import trio
from msgspec import Struct

from engine.dial.limits.party import ROUNDING_S, Block
from engine.dial.limits.windows import GUARD_S, INTENT_MAX_S
from engine.model import CALLEE_CALLS_MAX, Attempt, CalleeCap
from engine.ports.clock import WallClock
from engine.ports.dial_store import DialStore, PastCall

NUMBERS_MAX: Final = 20_000
"""Numbers that the book knows, beside those that are on a call just now. Those that were not needed for the
longest are forgotten, and looked up again when they are. What the book knows of each of them at least takes
about 500 bytes."""
CALLS_MAX: Final = 100_000
"""Calls of all these numbers together, of some 150 bytes each: numbers that are called again and again would
otherwise be `CALLEE_CALLS_MAX` times as many."""
LOOK_AGAIN_S: Final = 30.0
"""How soon a contact is looked at again whose number is on a call: such as were refused for want of capacity
reached nobody, and do not count."""


class _Call(Struct, gc=False):
    attempt: str
    at: float
    """When it left; infinite until then."""
    is_over: bool


class _Page:
    """What is known of one number."""

    __slots__ = ("calls", "is_whole", "pins")

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        """The latest `CALLEE_CALLS_MAX` and those that go on, in no order."""
        self.is_whole = False
        """Whether it has what the store has."""
        self.pins = 0
        """Calls that go on, and questions to the store that are under way."""

    def trim(self) -> None:
        if len(self.calls) > CALLEE_CALLS_MAX:
            going_on = [call for call in self.calls if not call.is_over]
            over = sorted((call for call in self.calls if call.is_over), key=lambda call: call.at)
            self.calls = over[-CALLEE_CALLS_MAX:] + going_on


class CalleeBook:
    """Recent calls by account and number. All times are `trio.current_time()`."""

    def __init__(self, numbers_max: int = NUMBERS_MAX, calls_max: int = CALLS_MAX) -> None:
        self._numbers_max = numbers_max
        self._calls_max = calls_max
        self._pinned: dict[tuple[str, str], _Page] = {}
        """Of numbers that are on a call, or being looked up: as many as there are of these."""
        self._idle: OrderedDict[tuple[str, str], _Page] = OrderedDict()
        """All others; what was needed last is last."""
        self._idle_calls = 0
        """Calls of those."""

    def __len__(self) -> int:
        """Numbers that it knows anything of."""
        return len(self._pinned) + len(self._idle)

    def knows(self, account: str, number: str) -> bool:
        """Whether it has all calls of a number that may count."""
        page = self._find((account, number))
        return page is not None and page.is_whole

    def free_at(
        self, account: str, number: str, caps: Sequence[CalleeCap], now: float
    ) -> tuple[float, CalleeCap | None]:
        """The earliest moment for one more call that is known, and the cap that says so."""
        page = self._find((account, number))
        if page is None or not page.calls:
            return -math.inf, None
        latest = sorted(page.calls, key=lambda call: call.at)
        free_at, by = -math.inf, None
        for cap in caps:
            if len(latest) < cap.calls:
                continue
            until = latest[-cap.calls].at + cap.per_s + GUARD_S
            if until > free_at:
                free_at, by = until, cap
        if by is not None and free_at > now + LOOK_AGAIN_S:
            may_not_count = any(not call.is_over for call in latest[-by.calls :])
            free_at = now + LOOK_AGAIN_S if may_not_count else free_at
        return free_at, by

    def take(self, account: str, number: str, attempt: str) -> TakenCall:
        """Count a call that is about to leave."""
        page = self._pin((account, number))
        call = _Call(attempt, math.inf, is_over=False)
        page.calls.append(call)
        return TakenCall(self, (account, number), call)

    def forget(self, attempt: Attempt) -> None:
        """A call that is over has reached nobody, and counts no more."""
        key = (attempt.account, attempt.number)
        if self._find(key) is None:
            return
        page = self._pin(key)
        page.calls = [call for call in page.calls if call.attempt != attempt.id]
        self._unpin(key)

    def close(self, key: tuple[str, str], call: _Call) -> None:
        """A call that was taken is over."""
        page = self._pinned[key]
        if math.isinf(call.at):
            page.calls = [one for one in page.calls if one is not call]
        self._unpin(key)

    async def learn(
        self, store: DialStore, clock: WallClock, account: str, numbers: Sequence[str]
    ) -> None:
        """Look the calls of some numbers up that are not known. Where they are too many, the first of them
        are known then. Raises `StoreUnavailable`."""
        wanted = [one for one in dict.fromkeys(numbers) if not self.knows(account, one)]
        if not wanted:
            return
        for number in wanted:
            self._pin((account, number))  # what leaves meanwhile is kept until the answer
        found: Mapping[str, Sequence[PastCall]] | None = None
        try:
            found = await store.past_calls(account, wanted)
        finally:
            for number in reversed(wanted):
                if found is not None:
                    self._enter((account, number), found.get(number, ()), clock.now())
                self._unpin((account, number))

    def _enter(self, key: tuple[str, str], past: Sequence[PastCall], wall_now: float) -> None:
        page, now = self._pinned[key], trio.current_time()
        lag = wall_now - now
        known = {call.attempt for call in page.calls}
        for one in past:
            if one.attempt not in known:
                # The latest moment at which it can have left, which is not in the future.
                at = min(now, one.initiated_at + INTENT_MAX_S - lag)
                page.calls.append(_Call(one.attempt, at, is_over=True))
        page.is_whole = True
        page.trim()

    def _find(self, key: tuple[str, str]) -> _Page | None:
        return self._pinned.get(key) or self._idle.get(key)

    def _pin(self, key: tuple[str, str]) -> _Page:
        page = self._pinned.get(key)
        if page is None:
            page = self._idle.pop(key, None) or _Page()
            self._idle_calls -= len(page.calls)
            self._pinned[key] = page
        page.pins += 1
        return page

    def _unpin(self, key: tuple[str, str]) -> None:
        page = self._pinned[key]
        page.pins -= 1
        page.trim()
        if page.pins:
            return
        del self._pinned[key]
        if page.calls or page.is_whole:
            self._idle[key] = page
            self._idle_calls += len(page.calls)
        while self._is_too_much():
            _, forgotten = self._idle.popitem(last=False)
            self._idle_calls -= len(forgotten.calls)

    def _is_too_much(self) -> bool:
        """Whether a number has to be forgotten. The last one never is: somebody has just asked for it."""
        is_full = len(self._idle) > self._numbers_max or self._idle_calls > self._calls_max
        return is_full and len(self._idle) > 1


class TakenCall:
    """What one call took of the caps on its callee."""

    def __init__(self, book: CalleeBook, key: tuple[str, str], call: _Call) -> None:
        self._book = book
        self._key = key
        self._call = call

    def mark_sent(self, at: float) -> None:
        """The call left, at this moment."""
        self._call.at = at

    def release(self) -> None:
        """The call is over. One that never left does not count."""
        self._call.is_over = True
        self._book.close(self._key, self._call)


class Callees:
    """The caps that hold for the callees of one flow."""

    def __init__(self, book: CalleeBook, account: str, caps: Sequence[CalleeCap]) -> None:
        self._book = book
        self._account = account
        self.caps = tuple(caps)

    def is_unknown(self, number: str) -> bool:
        """Whether a number has to be looked up before it may be called."""
        return bool(self.caps) and not self._book.knows(self._account, number)

    def blocked_by(self, number: str, now: float) -> Block | None:
        """The cap that keeps a number from being called now, as far as its calls are known."""
        if not self.caps:
            return None
        free_at, cap = self._book.free_at(self._account, number, self.caps, now)
        if cap is None or free_at <= now + ROUNDING_S:
            return None
        often = "once" if cap.calls == 1 else f"{cap.calls} times"
        detail = f"The number was called {often} in {cap.per_s:g} s, as often as it may be."
        return Block("callee_cap", free_at, detail=detail)

    async def learn(self, store: DialStore, clock: WallClock, numbers: Sequence[str]) -> None:
        """Look some numbers up before they are called, where there are caps. Raises `StoreUnavailable`."""
        if self.caps:
            await self._book.learn(store, clock, self._account, numbers)

    def take(self, number: str, attempt: str) -> TakenCall:
        """Count a call to a number, whether or not there are caps: some may come."""
        return self._book.take(self._account, number, attempt)
