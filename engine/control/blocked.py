"""Why contacts are not dialled: one by one, and summed up over a list without a look at each.

Where somebody has stopped the list, its flow or its account, that is what all of a list's contacts wait
for. Those whose moment is ahead are counted in the store, by the reason why it is. Of those that are due,
the first are asked about one by one, by the same function that lets calls go; the others wait behind them,
for the same reasons in the same proportion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import trio
from msgspec import Struct

from engine.dial.blockers import DETAILS, LIST_CANCELED, describe
from engine.dial.explaining import Explainer
from engine.model import Blocker, BlockerCode, CallList, Contact, ListCounts
from engine.ports.clock import WallClock
from engine.ports.store import Store

ASKED_MAX: Final = 200
"""Contacts of a list that are due and are asked about one by one."""

Blocked = dict[BlockerCode, int]
"""How many open contacts each blocker keeps from being dialled; none of them is 0."""


class BlockedList(Struct, frozen=True):
    """What the contacts of a list wait for."""

    contacts: Blocked
    details: dict[BlockerCode, str]
    """What is said of a blocker beyond what it always says, as of the first contact that it keeps."""


class BlockedContacts:
    """Explains contacts, and sums up what those of a list wait for."""

    def __init__(
        self,
        store: Store,
        clock: WallClock,
        explainer: Explainer,
        is_paused: Callable[[str], bool],
    ) -> None:
        """`is_paused` tells of a list what the scheduler knows, which may be newer than the store's word."""
        self._store = store
        self._clock = clock
        self._explainer = explainer
        self._is_paused = is_paused

    async def explain(self, contacts: Sequence[Contact]) -> list[Blocker | None]:
        """Why each contact is not dialled now; None for those that are being dialled or are done. Raises
        `StoreUnavailable`."""
        waiting = [one for one in contacts if one.state == "open"]
        statuses = {}
        for account, call_list in {(one.account, one.list): None for one in waiting}:
            found = await self._store.get_list(account, call_list)
            statuses[call_list] = found.status if found else None
        paused = {
            call_list
            for call_list, status in statuses.items()
            if status == "paused" or self._is_paused(call_list)
        }
        blockers = iter(self._explainer.explain(waiting, paused))
        canceled = describe(LIST_CANCELED, trio.current_time(), self._clock.now())
        found_blockers: list[Blocker | None] = []
        for one in contacts:
            blocker = next(blockers) if one.state == "open" else None
            is_canceled = blocker is not None and statuses[one.list] == "canceled"
            found_blockers.append(canceled if is_canceled else blocker)
        return found_blockers

    async def sum_up(self, call_list: CallList, counts: ListCounts) -> BlockedList:
        """What the contacts of a list wait for that are `scheduled` or `waiting` in `counts`: each of them
        is counted once. Raises `StoreUnavailable`."""
        waiting = counts.scheduled + counts.waiting
        if not waiting:
            return BlockedList({}, {})
        if call_list.status == "canceled":
            return BlockedList({LIST_CANCELED.code: waiting}, {})
        is_paused = call_list.status == "paused" or self._is_paused(call_list.id)
        held = self._explainer.find_hold(call_list.flow, is_paused)
        if held is not None:
            return BlockedList({held: waiting}, {})
        now = self._clock.now()
        blocked = await self._store.count_waits(call_list.account, call_list.id, now)
        due = waiting - sum(blocked.values())
        if due <= 0:
            return BlockedList(blocked, {})
        asked = await self._store.due_contacts(call_list.id, now, ASKED_MAX)
        explained = self._explainer.explain(asked, ())
        for code, contacts in share_out(due, Counter(one.code for one in explained)).items():
            blocked[code] = blocked.get(code, 0) + contacts
        details: dict[BlockerCode, str] = {}
        for one in explained:
            if one.code in blocked and one.detail != DETAILS[one.code]:
                details.setdefault(one.code, one.detail)
        return BlockedList(blocked, details)


def share_out(total: int, seen: Mapping[BlockerCode, int]) -> Blocked:
    """A total in the proportions of what was seen of it: whole numbers that add up to it, the largest
    remainders rounded up. Nothing where nothing was seen."""
    of = sum(seen.values())
    if not of:
        return {}
    parts = {code: total * count // of for code, count in seen.items()}
    remainders = sorted(seen, key=lambda code: total * seen[code] % of, reverse=True)
    for code in remainders[: total - sum(parts.values())]:
        parts[code] += 1
    return {code: part for code, part in parts.items() if part}
