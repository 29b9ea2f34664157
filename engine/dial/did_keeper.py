"""Looks after DIDs in operation: their limits as they are changed, how their calls are taken, their rests.

A DID that goes bad rests at once, in memory; that, and the event, is then written down. What a crash in
between loses, the next start finds again, as it counts the calls of the last hour from the store.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
import structlog
import trio

from engine.dial.dids.did import DidActor
from engine.dial.limits.party import limits_of_did
from engine.dial.limits.windows import INTENT_MAX_S
from engine.dial.operation import Operation
from engine.form import read_form
from engine.forms.did import RestForm, read_did_change
from engine.model import Attempt, Did
from engine.model.did_health import (
    HEALTH_WINDOW_S,
    DidHealth,
    DidRest,
    RestReason,
    RestRules,
    Tally,
    judge,
)
from engine.model.events import Event, EventType, rfc3339
from engine.ports.clock import WallClock
from engine.ports.store import Store
from engine.ports.stored import StoreUnavailable

log = structlog.get_logger(__name__)

CLOCK_CHECK_S: Final = 30.0
"""The longest sleep, after which a wall clock that was set is noticed."""
STORE_RETRY_S: Final = 1.0

Change = Callable[[Did], Did]


class DidKeeper:
    """Changes DIDs while they are called from."""

    def __init__(
        self,
        store: Store,
        clock: WallClock,
        operation: Operation,
        rules: RestRules,
        offer_all: Callable[[str], None],
    ) -> None:
        """
        Args:
            rules: when DIDs rest that do not say otherwise.
            offer_all: tells the scheduler that a flow may call more.
        """
        self._store = store
        self._clock = clock
        self._operation = operation
        self._rules = rules
        self._offer_all = offer_all
        self._health: dict[str, DidHealth] = {}
        self._resting: dict[str, float | None] = {}
        """Until when; None is until somebody says so."""
        self._to_write: dict[str, DidRest] = {}
        self._woken = trio.Event()
        self.turns = trio.Lock()
        """Held from reading or writing a DID to taking it into operation, so that none that is older comes
        after."""

    def set_rules(self, rules: RestRules) -> None:
        """Go by other rules from the next call on that ends; DIDs that rest go on resting."""
        self._rules = rules

    async def recover(self, dids: Iterable[Did]) -> None:
        """Take up what an earlier process left of these DIDs, which are in operation."""
        for did in dids:
            self._note_rest(did)
        for one in await self._store.did_health(self._clock.now() - HEALTH_WINDOW_S):
            self._health_of(one.did).add_step(one.step, one.tally)

    def note_ended(self, attempt: Attempt) -> None:
        """A call ended, and is written down. Its DID rests from now on if it has gone bad."""
        now = self._clock.now()
        did = self._operation.find_did(attempt.did)
        if did is None:
            return
        health = self._health_of(did.number)
        health.add(attempt.disposition, now)
        rules = did.rest_when.over(self._rules)
        verdict = None if did.number in self._resting else judge(health.tally(now), rules)
        if verdict is not None:
            reason, detail = verdict
            rest = DidRest(now, now + rules.rest_s, reason, detail)
            self._operation.set_did(msgspec.structs.replace(did, rest=rest))
            self._resting[did.number] = rest.until
            self._to_write[did.number] = rest
            self._woken.set()

    def tally_of(self, number: str) -> Tally:
        """How the calls of a DID were taken of late."""
        health = self._health.get(number)
        return Tally() if health is None else health.tally(self._clock.now())

    async def change(self, account: str | None, number: str, raw: Any) -> Did | None:
        """A DID with what `raw`, a `DidChangeForm`, names; at once. None where there is no such DID (of
        this account, if one is named). Calls that were made go on counting under new limits. Raises
        `Invalid`."""
        return await self._change(account, number, read_did_change(raw), keeps_rest=True)

    async def take(self, account: str, number: str) -> list[DidActor]:
        """The actor of a DID that was just made. What was called from its number before, when it was there
        already and another process ran, counts."""
        async with self.turns:
            found = await self._store.find_dids(account, [number])
            return [self._operation.add_did(did, await self._starts_of(did)) for did in found]

    async def remove(self, account: str | None, number: str) -> bool:
        """Take a DID away; its calls that are up go on. Whether there was one. Raises
        `Conflict("did_attached")` while a flow calls from it."""
        with trio.CancelScope(shield=True):
            async with self.turns:
                removed = await self._store.remove_did(account, number)
                if removed:
                    self._operation.remove_did(number)
                    self._health.pop(number, None)
                    self._resting.pop(number, None)
                    self._to_write.pop(number, None)
        return removed

    async def rest(self, account: str | None, number: str, raw: Any) -> Did | None:
        """Have a DID rest, as `raw`, a `RestForm`, says: no call leaves from it after this returns. None as
        by `change`. Raises `Invalid`."""
        form, now = read_form(raw, RestForm), self._clock.now()
        until = None if form.for_s is None else now + form.for_s
        rest = DidRest(now, until, "operator", form.note or "An operator lets it rest.")

        def change(did: Did) -> Did:
            return msgspec.structs.replace(did, rest=rest)

        return await self._change(account, number, change, lambda did: _resting(did, rest))

    async def resume(self, account: str | None, number: str) -> Did | None:
        """Let a DID call again; how its calls were taken is counted anew from now on. None as by
        `change`."""
        now = self._clock.now()

        def change(did: Did) -> Did:
            if did.rest is None and number not in self._to_write:
                return did
            return msgspec.structs.replace(did, rest=None, counts_from=now)

        resumed = await self._resume(account, number, change, "operator")
        return resumed

    async def _resume(
        self, account: str | None, number: str, change: Change, reason: str
    ) -> Did | None:
        now = self._clock.now()

        def tell(did: Did) -> Event:
            return _did_event("did.resumed", did, now, reason=reason)

        resumed = await self._change(account, number, change, tell)
        if resumed is not None and resumed.rest is None:
            for flow in self._operation.flows_of(number):
                self._offer_all(flow)
        return resumed

    async def run(self) -> None:
        """Write rests down and end those that are over, until cancelled."""
        while True:
            self._woken = trio.Event()
            try:
                await self._write_rests()
                await self._end_rests()
            except StoreUnavailable as error:
                log.error("cannot write down that a DID rests", error=str(error))
                await trio.sleep(STORE_RETRY_S)
                continue
            ends = (until for until in self._resting.values() if until is not None)
            wait_s = min(ends, default=math.inf) - self._clock.now()
            with trio.move_on_after(max(0.0, min(wait_s, CLOCK_CHECK_S))):
                await self._woken.wait()

    async def _write_rests(self) -> None:
        for number, rest in list(self._to_write.items()):

            def change(did: Did, number: str = number, rest: DidRest = rest) -> Did:
                if self._to_write.get(number) is not rest:
                    return did  # somebody has let it call again since
                return msgspec.structs.replace(did, rest=did.rest or rest)

            def tell(did: Did, rest: DidRest = rest) -> Event:
                return _resting(did, rest)

            changed = await self._change(None, number, change, tell)
            if changed is not None and changed.rest is not None:
                log.warning("a DID rests", did=number, reason=rest.reason, detail=rest.detail)

    async def _end_rests(self) -> None:
        now = self._clock.now()

        def change(did: Did) -> Did:
            # Somebody may have let it rest for longer since.
            is_over = did.rest is not None and did.rest.until is not None and did.rest.until <= now
            return msgspec.structs.replace(did, rest=None, counts_from=now) if is_over else did

        for number, until in list(self._resting.items()):
            if until is not None and until <= now:
                await self._resume(None, number, change, "time")

    async def _change(
        self,
        account: str | None,
        number: str,
        change: Change,
        tell: Callable[[Did], Event] | None = None,
        *,
        keeps_rest: bool = False,
    ) -> Did | None:
        """`keeps_rest` tells that a rest which is not written down yet is none of this change's business."""
        # A client that hangs up must not keep what was changed from being heard of.
        with trio.CancelScope(shield=True):
            async with self.turns:
                changed = await self._store.change_did(account, number, change, tell)
                if changed is None:
                    return None
                if not keeps_rest:
                    self._to_write.pop(number, None)
                elif changed.rest is None and number in self._to_write:
                    changed = msgspec.structs.replace(changed, rest=self._to_write[number])
                limits = changed.cps, changed.channels, changed.caps
                before = self._operation.find_did(number)
                if before is not None and limits != (before.cps, before.channels, before.caps):
                    starts = await self._starts_of(changed)
                    self._operation.set_did(changed, starts)
                else:
                    self._operation.set_did(changed)
                if number in self._resting and changed.rest is None:
                    self._health_of(number).clear()
                self._note_rest(changed)
        return changed

    async def _starts_of(self, did: Did) -> list[float]:
        """When the latest calls of a DID began that its windows may count; the store knows further back than
        the old limits."""
        windows = [window for _, window in limits_of_did(did.cps, did.channels, did.caps).windows]
        since = self._clock.now() - max(one.per_s for one in windows) - INTENT_MAX_S
        return await self._store.did_starts(did.number, since, max(one.calls for one in windows))

    def _note_rest(self, did: Did) -> None:
        if did.rest is None:
            self._resting.pop(did.number, None)
        else:
            self._resting[did.number] = did.rest.until
            self._woken.set()

    def _health_of(self, number: str) -> DidHealth:
        return self._health.setdefault(number, DidHealth())


def _resting(did: Did, rest: DidRest) -> Event:
    until = None if rest.until is None else rfc3339(rest.until)
    reason: RestReason = rest.reason
    return _did_event(
        "did.resting", did, rest.since, reason=reason, detail=rest.detail, until=until
    )


def _did_event(kind: EventType, did: Did, at: float, **data: Any) -> Event:
    return Event(kind, at, did.account, "", "", data={"did": did.number, **data})
