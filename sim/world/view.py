"""What is seen of a world while it runs, by which reasons for waiting are judged. What cannot count any more
is forgotten."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING, Final

import trio

from engine.model import Contact, Did, Flow
from sim.world.plan import Plan
from sim.world.tape import CallOver, Entry, Happened, Invite, Told, read_fact

if TYPE_CHECKING:
    from sim.world.run import World

SLACK_S: Final = 2.0
"""How much later than its end a reason may still be given: who waits for it is in a queue, too."""
INTENT_S: Final = 5.0
"""After a restart a call counts from so long after its intent
(`engine.dial.limits.windows.INTENT_MAX_S`)."""
BUSY_S: Final = 30.0
"""How long who shares a number with somebody on a call waits before it is looked again."""


class View:
    """Reads along, and counts."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.begun: defaultdict[str, list[float]] = defaultdict(list)
        """By DID: calls that left, and intents. An intent that was not taken costs its DID's pace, too."""
        self.silent: defaultdict[str, float] = defaultdict(lambda: -1e9)
        """By trunk: when the latest call left that gets no answer."""
        self.heard: defaultdict[str, float] = defaultdict(lambda: -1e9)
        """By trunk: when a call ended that was answered or refused."""
        self.refused: defaultdict[str, float] = defaultdict(lambda: -1e9)
        """By trunk: when the latest call left that is refused for want of capacity."""
        self.over: dict[tuple[str, str], float] = {}
        """By list and number, and by account and number: when the latest call's end was written down, where
        that was not long ago."""
        self.called: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        """By account and number: when its calls left, where there are caps on callees."""
        self.set_at = -1e9
        """When the clock was last set."""
        self.is_stopping = False
        """Whether the process comes to its end, as its operator wants."""
        plan = world.plan
        self._on: dict[str, str] = {}
        """By call that is up and gets an answer: its trunk."""
        self._overs: deque[tuple[float, tuple[str, str]]] = deque()
        """What is in `over`, the earliest first, with those that came again since."""
        self._longest_s = _longest_window_s(plan) + INTENT_S + SLACK_S
        self._has_callee_caps = any(one.rules.callee_caps for one in plan.accounts) or any(
            one.settings.callee_caps for one in plan.flows
        )
        self._is_clock_set = any(one.deed == "set_clock" for one in plan.actions)
        self._ahead_s = plan.epoch
        self._clocked: list[tuple[float, list[float], float]] = []
        """What the clock showed at each call, where it counts, and since when, where the clock is set in this
        world."""
        self._free: dict[str, tuple[str, float]] = {}
        """By agent: their flow, and since when nobody has been theirs; infinite where somebody is."""
        self._dids = {did.number: did for did in plan.dids}

    def read(self, entry: Entry) -> None:
        """The next thing that was seen."""
        match entry:
            case Invite():
                self._note_invite(entry)
            case CallOver() if entry.attempt in self._on:
                self.heard[self._on.pop(entry.attempt)] = entry.at
            case Happened(what="clock set"):
                self.set_at = entry.at
                self._ahead_s += float(entry.detail)
            case Happened(what="stop"):
                self.is_stopping = True
            case Happened(what="process starts"):
                self.is_stopping = False
                self._count_by_clock(entry.at)
            case Told(type="attempt.ended"):
                self._note_end(entry)
            case Told(type="agent.presence"):
                fact = read_fact(entry)
                if fact.data.agent is not None:
                    is_free = fact.data.presence == "available"
                    self._free[fact.data.agent] = (fact.flow or "", entry.at if is_free else inf)

    def _note_invite(self, invite: Invite) -> None:
        self._note_begun(invite.caller, invite.at)
        if self._has_callee_caps:
            known = self.world.store.tables.attempts.get(invite.attempt)
            if known is not None:
                called = self.called[known.account, invite.number]
                called.append(invite.at)
                self._note_clock(invite, called)
        self._note_clock(invite, self.begun[invite.caller])
        if invite.code == 0:
            self.silent[invite.trunk] = invite.at
        else:
            self._on[invite.attempt] = invite.trunk
        if invite.code in (429, 503):
            self.refused[invite.trunk] = invite.at

    def _count_by_clock(self, now: float) -> None:
        """A process begins, and knows of earlier calls what the clock showed. They count since then by the
        clock as it is now; those that are ahead of it count from here, as nobody knows when they were."""
        wall, clocked = self._ahead_s + now, self._clocked
        self._clocked = []
        for wall_at, counted, before in clocked:
            at = now - max(0.0, wall - wall_at)
            if at > before + SLACK_S:
                if before in counted:
                    counted.remove(before)
                insort(counted, at)
            self._clocked.append((wall_at, counted, max(at, before)))

    def _note_clock(self, invite: Invite, counted: list[float]) -> None:
        """A call counts among others."""
        if self._is_clock_set:
            self._clocked.append((invite.wall_at, counted, invite.at))

    def _note_begun(self, caller: str, at: float) -> None:
        begun = self.begun[caller]
        insort(begun, at)
        if begun[len(begun) // 2] < begun[-1] - self._longest_s:
            del begun[: len(begun) // 2]

    def _note_end(self, told: Told) -> None:
        one = self.world.store.tables.attempts[read_fact(told).attempt or ""]
        while self._overs and self._overs[0][0] < told.at - BUSY_S - SLACK_S:
            at, party = self._overs.popleft()
            if self.over[party] == at:
                del self.over[party]
        for party in ((one.list, one.number), (one.account, one.number)):
            if self.over.get(party) != told.at:
                self.over[party] = told.at
                self._overs.append((told.at, party))
        if one.disposition == "unknown" and self._has_callee_caps:
            # The process died meanwhile: whether the call left nobody can know.
            self.called[one.account, one.number].append(told.at)

    def note_intents(self) -> None:
        """Take note of what the disk was asked to write down since the last time."""
        intents = self.world.disk.intents
        while intents:
            at, did = intents.popleft()
            self._note_begun(did, at)

    def was_over_at(self, by: str, number: str) -> float:
        """When the latest call of a list or an account to a number was over, if that is not long ago."""
        return self.over.get((by, number), -1e9)

    def free_agents(self, flow: str, for_s: float) -> int:
        """Agents of a flow who have been free for so long."""
        since = trio.current_time() - for_s
        return sum(of == flow and at <= since for of, at in self._free.values())

    @property
    def wall(self) -> float:
        """What the engine's clock shows."""
        return self.world.clock.now()

    def flow_of(self, contact: Contact) -> Flow:
        """As it is now."""
        return self.world.store.tables.flows[contact.flow]

    def dids_of(self, contact: Contact) -> list[Did]:
        """Those that may call a contact, as the plan has them."""
        return [self._dids[number] for number in self.flow_of(contact).dids]

    def up(self, is_its: Callable[[str, str, str], bool]) -> int:
        """Calls that are prepared, up, or being written down, of a party by DID, trunk and flow."""
        tables = self.world.store.tables
        calls: dict[str, tuple[str, str, str]] = {}
        for attempt, live in self.world.network.live.items():
            known = tables.attempts.get(attempt)
            flow = known.flow if known is not None else ""
            calls[attempt] = live.request.caller, live.request.trunk, flow
        for attempt in tables.open_attempts:
            one = tables.attempts[attempt]
            calls[attempt] = one.did, one.trunk, one.flow
        for leg in tables.open_legs:
            other = tables.legs[leg]
            calls[leg] = other.did, other.trunk, other.flow
        return sum(is_its(*call) for call in calls.values())

    def began(self, dids: Iterable[str], within_s: float) -> int:
        """Calls of these DIDs that have begun within so many seconds, or are about to."""
        since = trio.current_time() - within_s - INTENT_S - SLACK_S
        wanted = set(dids)
        begun = sum(len(at) - bisect_left(at, since) for at in map(self.begun.__getitem__, wanted))
        return begun + self.up(lambda did, _trunk, _flow: did in wanted)


def _longest_window_s(plan: Plan) -> float:
    """The longest in which a call may count for the pace of a DID, or of whoever shares it."""
    paces = [plan.cps, *(one.cps for one in plan.trunks), *(one.cps for one in plan.dids)]
    caps = [
        plan.caps,
        *(one.caps for one in plan.trunks),
        *(one.caps for one in plan.dids),
        *(one.settings.caps for one in plan.flows),
        *(one.rules.caps for one in plan.accounts),
    ]
    limited = [one.settings.cps for one in plan.flows] + [one.rules.cps for one in plan.accounts]
    paces += [cps for cps in limited if cps is not None]
    return max(1.0, *(1 / cps for cps in paces), *(cap.per_s for some in caps for cap in some))
