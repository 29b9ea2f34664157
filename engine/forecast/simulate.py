"""One run of a forecast: calls happen in steps of time, contacts that stand alike together.

What is let go, and what follows a call, is what the engine itself would do; who is who is left out. So a run
costs by its steps, hardly by its contacts, and steps in which nothing happens are passed over. Pure: chance
comes in as an argument. Times are seconds from the case's `now`, or steps.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from engine.forecast.case import Case, FlowTerms, Stream
from engine.forecast.chance import Drawn
from engine.forecast.days import Days
from engine.forecast.follow import DONE, Follower
from engine.forecast.lines import Channels
from engine.forecast.room import NEVER, Room
from engine.forecast.waiting import Queue
from engine.model import BlockerCode
from engine.model.disposition import Disposition
from engine.ports.clock import Randomness
from engine.schedule.calling_hours import DAY_S, CallingHours, Party
from engine.schedule.feed import HORIZON_S
from engine.schedule.fetching import HELD_MAX, HELD_PER_DID

SIGHT_S: Final = 60.0 * DAY_S
"""What is not done then is in no sight."""
EFFORT_OF_STEP: Final = 5
EFFORT_OF_DRAW: Final = 3
"""Beside what each kind of ending costs, as that is 1."""


class Happened(Struct, frozen=True):
    """How one run went."""

    ended_s: float | None
    """When the last call of the list ended; None where that is in no sight."""
    attempts: int
    """Of the list."""
    held_s: dict[BlockerCode, float]
    """For how long its contacts were held back by what."""
    channels: tuple[tuple[float, float], ...]
    """(second, calls of the list that were up on an average from then on), rising."""
    effort: int
    """What it took, about in tens of microseconds."""


class TooManySteps(Exception):
    """The run needs longer steps; `so_far` is how it went until then."""

    def __init__(self, so_far: Happened) -> None:
        super().__init__(so_far)
        self.so_far = so_far


class Simulation:
    """One run. `run` is called once."""

    def __init__(
        self,
        case: Case,
        chance: Randomness,
        step_s: float,
        steps_max: int,
        lifted: BlockerCode | None = None,
    ) -> None:
        """`lifted` is a limit, or another reason for waiting, that is taken for not being there."""
        self._case = case
        self._chance = chance
        self._step_s = step_s
        self._steps_max = steps_max
        self._lifted = lifted
        self._step = 0
        self._drawn = [Drawn(one.behaviour, chance, step_s) for one in case.flows]
        holds_s = [one.mean_hold_s for one in self._drawn]
        hold_s = sum(holds_s) / len(holds_s)
        self._groups = [Room(one.limit, step_s, lifted, hold_s) for one in case.groups]
        self._trunks = [Room(one, step_s, lifted, hold_s) for one in case.trunks]
        self._account = Room(case.account, step_s, lifted, hold_s)
        self._engine = Room(case.engine, step_s, lifted, hold_s)
        self._flows = [
            Room(one.limit, step_s, lifted, mine_s)
            for one, mine_s in zip(case.flows, holds_s, strict=True)
        ]
        self._followers = [Follower(one.rules) for one in case.flows]
        self._days = [Days(one.rules, case.now, step_s) for one in case.flows]
        self._queues: list[dict[tuple[str, ...], Queue]] = [{} for _ in case.streams]
        self._ends: dict[int, defaultdict[tuple[Queue, int, int, Disposition], int]] = {}
        self._dues: dict[int, defaultdict[tuple[int, tuple[str, ...], int, bool], int]] = {}
        self._moments: list[int] = []
        self._open = 0
        self._up = 0
        self._own_dues = 0
        """Contacts of the list that are not due yet."""
        self._own_waits: dict[int, BlockerCode] = {}
        """Steps to come in which start times of the list lie, or ends of other waits: of which."""
        self._attempts = 0
        self._effort = 0
        self._held: defaultdict[BlockerCode, float] = defaultdict(float)
        self._channels = Channels()
        self._order = _order_of(case.streams, case.flows)
        self._turn = 0
        for place, stream in enumerate(case.streams):
            self._enter(place, stream)

    def run(self) -> Happened:
        """Let it happen."""
        steps, horizon = 0, math.ceil(SIGHT_S / self._step_s)
        last = 0
        while self._open:
            if steps >= self._steps_max:
                raise TooManySteps(self._tell(None, self._step))
            steps += 1
            self._effort += EFFORT_OF_STEP
            self._settle()
            if not self._open:
                last = self._step
                break
            free_at = self._place()
            if self._step in self._ends or self._step in self._dues:
                continue  # some calls were shorter than the step
            following = self._next(free_at)
            self._note_wait(min(following, horizon))
            if following > horizon:
                return self._tell(None, horizon)
            self._step = following
        return self._tell(last * self._step_s, last)

    def _tell(self, ended_s: float | None, end: int) -> Happened:
        channels = self._channels.told(self._step_s, end)
        return Happened(ended_s, self._attempts, dict(self._held), channels, self._effort)

    def _enter(self, place: int, stream: Stream) -> None:
        for cohort in stream.cohorts:
            is_fresh = cohort.spent == 0 and not cohort.tries
            code: BlockerCode = "starttime" if is_fresh else "retry_wait"
            code = cohort.waits_for or code
            wait_s = 0.0 if self._lifted == code else cohort.due_at - self._case.now
            step = max(0, math.ceil(wait_s / self._step_s))
            standing = self._followers[stream.flow].standing_of(cohort)
            self._put(step, place, cohort.zones, standing, cohort.count, is_held=False)
            if place == 0:
                self._open += cohort.count
                if code != "retry_wait":
                    self._own_waits[step] = code

    def _put(
        self,
        step: int,
        stream: int,
        zones: tuple[str, ...],
        standing: int,
        n: int,
        *,
        is_held: bool,
    ) -> None:
        at = self._dues.get(step)
        if at is None:
            at = self._dues[step] = defaultdict(int)
            heapq.heappush(self._moments, step)
        at[stream, zones, standing, is_held] += n
        if stream == 0:
            self._own_dues += n

    def _settle(self) -> None:
        """Calls end, and contacts come due, in the present step."""
        step = self._step
        while self._moments and self._moments[0] <= step:
            heapq.heappop(self._moments)
        released: defaultdict[tuple[int, int], int] = defaultdict(int)
        for (queue, standing, group, disposition), n in self._ends.pop(step, {}).items():
            released[queue.stream, group] += n
            self._follow(queue, standing, disposition, n)
        for (stream, group), n in released.items():
            self._release(stream, group, n)
        for (stream, zones, standing, is_held), n in self._dues.pop(step, {}).items():
            follower = self._followers[self._case.streams[stream].flow]
            is_called = follower.spent(standing) > 0
            queue = self._queue(stream, zones)
            queue.add(step, standing, n, is_held=is_held, is_called=is_called)
            if stream == 0:
                self._own_dues -= n
        self._own_waits.pop(step, None)

    def _follow(self, queue: Queue, standing: int, disposition: Disposition, n: int) -> None:
        flow = self._case.streams[queue.stream].flow
        follower = self._followers[flow]
        after, wait_s = follower.after(standing, disposition)
        if after == DONE:
            self._open -= n if queue.stream == 0 else 0
            return
        due = self._step
        if self._lifted != "retry_wait":
            due += math.ceil(wait_s / self._step_s)
            if after != standing:
                due = self._days[flow].due(queue.zones, follower.spent(after), self._step, due)
        is_held = (due - self._step) * self._step_s <= HORIZON_S + self._step_s
        self._put(due, queue.stream, queue.zones, after, n, is_held=is_held)

    def _release(self, stream: int, group: int, n: int) -> None:
        flow = self._case.streams[stream].flow
        trunk = self._case.groups[group].trunk
        rooms = self._engine, self._account, self._flows[flow], self._trunks[trunk]
        for room in (*rooms, self._groups[group]):
            room.release(n)
        if stream == 0:
            self._up -= n

    def _queue(self, stream: int, zones: tuple[str, ...]) -> Queue:
        queues = self._queues[stream]
        if zones not in queues:
            terms = self._case.flows[self._case.streams[stream].flow]
            parties = [Party(one.windows, one.timezone) for one in terms.hours]
            wanted = () if self._lifted == "calling_window" else parties
            dids = sum(self._case.groups[group].dids for group in terms.groups)
            held_max = HELD_MAX + HELD_PER_DID * dids
            queues[zones] = Queue(stream, zones, CallingHours(wanted, zones), held_max)
        return queues[zones]

    def _is_open(self, queue: Queue) -> bool:
        if self._step >= queue.until:
            at = self._case.now + self._step * self._step_s
            hours = queue.hours.hours_at(at)
            until = at + DAY_S if hours.until is None else hours.until
            if hours.is_open and not queue.is_open:
                queue.reopen(self._step)
            queue.is_open = hours.is_open
            queue.until = max(
                self._step + 1, math.ceil((until - self._case.now) / self._step_s - 1e-6)
            )
        return queue.is_open

    def _place(self) -> int:
        """Let calls begin; the step in which more may, where some were held back by limits."""
        free_at = NEVER
        for flows in self._order:
            waiting = [one for one in flows if self._head(one[1]) is not None]
            while waiting:
                room = max(1, min(self._account.left(self._step), self._engine.left(self._step)))
                whole = sum(self._case.flows[flow].weight for flow, _ in waiting)
                still = []
                for flow, streams in waiting:
                    weight = self._case.flows[flow].weight
                    quantum = max(1, room * weight // whole) if len(waiting) > 1 else NEVER
                    if self._place_some(flow, streams, quantum):
                        still.append((flow, streams))
                waiting = still
            for flow, streams in flows:
                if self._head(streams) is not None:
                    free_at = min(free_at, self._barred(flow)[1])
        return free_at

    def _head(self, streams: Sequence[int]) -> Queue | None:
        """Where the contact waits that is next."""
        best, best_due = None, NEVER
        for stream in streams:
            for queue in self._queues[stream].values():
                if queue.ready and queue.ready[0][0] < best_due and self._is_open(queue):
                    best, best_due = queue, queue.ready[0][0]
        return best

    def _place_some(self, flow: int, streams: Sequence[int], quantum: int) -> bool:
        """Let up to so many calls of a flow begin; whether more of it may."""
        step, left = self._step, quantum
        while left > 0:
            queue = self._head(streams)
            if queue is None:
                return False
            shared = self._engine, self._account, self._flows[flow]
            may = min(left, *(room.left(step) for room in shared))
            rooms = self._group_rooms(flow)
            may = min(may, sum(free for _, free in rooms))
            if may <= 0:
                return False
            standing, n = queue.take(may)
            self._begin(flow, queue, standing, n, rooms)
            left -= n
        return True

    def _group_rooms(self, flow: int) -> list[tuple[int, int]]:
        """(group, calls) that may begin now, by groups of DIDs; a trunk's room is told once."""
        step, groups = self._step, self._case.groups
        of_trunk: dict[int, int] = {}
        found = []
        for group in self._case.flows[flow].groups:
            trunk = groups[group].trunk
            room = of_trunk.setdefault(trunk, self._trunks[trunk].left(step))
            free = min(room, self._groups[group].left(step))
            if free > 0:
                of_trunk[trunk] = room - free
                found.append((group, free))
        return found

    def _begin(
        self, flow: int, queue: Queue, standing: int, n: int, rooms: list[tuple[int, int]]
    ) -> None:
        left, whole = n, sum(free for _, free in rooms)
        self._turn += 1
        first = self._turn % len(rooms)
        share = n / whole
        for group, free in (*rooms[first:], *rooms[:first]):
            mine = min(left, free, math.ceil(free * share))
            if mine > 0:
                self._begin_by(flow, queue, standing, group, mine)
                left -= mine
        assert left == 0, "there was room for all of them"

    def _begin_by(self, flow: int, queue: Queue, standing: int, group: int, n: int) -> None:
        step = self._step
        if queue.stream == 0:
            self._up += n
            self._attempts += n
        held_s, drawn = self._drawn[flow].draw(n)
        self._effort += EFFORT_OF_DRAW + len(drawn)
        for disposition, steps, calls in drawn:
            end = step + steps
            at = self._ends.get(end)
            if at is None:
                at = self._ends[end] = defaultdict(int)
                heapq.heappush(self._moments, end)
            at[queue, standing, group, disposition] += calls
        trunk = self._case.groups[group].trunk
        rooms = self._engine, self._account, self._flows[flow], self._trunks[trunk]
        for room in (*rooms, self._groups[group]):
            room.take(step, n, held_s)

    def _barred(self, flow: int) -> tuple[BlockerCode, int]:
        """What keeps calls of a flow from beginning, and in which step that may be over."""
        step = self._step
        for room in (self._engine, self._account, self._flows[flow]):
            barred = room.barred_by(step)
            if barred is not None:
                return barred
        found: list[tuple[BlockerCode, int]] = []
        for group in self._case.flows[flow].groups:
            trunk = self._trunks[self._case.groups[group].trunk]
            barred = self._groups[group].barred_by(step) or trunk.barred_by(step)
            if barred is not None:
                found.append(barred)
        if not found:
            return "no_trunk", NEVER
        return found[0][0], min(at for _, at in found)

    def _next(self, free_at: int) -> int:
        """The step in which something may happen next."""
        following = min(free_at, self._moments[0] if self._moments else NEVER)
        for queues in self._queues:
            for queue in queues.values():
                if queue.ready and not queue.is_open:
                    following = min(following, queue.until)
        return max(self._step + 1, following)

    def _note_wait(self, until: int) -> None:
        self._channels.note(self._step, until, self._up)
        code = self._held_by()
        if code is not None:
            self._held[code] += (until - self._step) * self._step_s

    def _held_by(self) -> BlockerCode | None:
        """What the list's contacts wait for now."""
        queues = self._queues[0].values()
        if any(queue.ready and queue.is_open for queue in queues):
            return self._barred(self._case.streams[0].flow)[0]
        if any(queue.ready for queue in queues):
            return "calling_window"
        if self._own_dues == 0:
            return None
        return self._own_waits[min(self._own_waits)] if self._own_waits else "retry_wait"


def _order_of(
    streams: Sequence[Stream], flows: Sequence[FlowTerms]
) -> list[list[tuple[int, tuple[int, ...]]]]:
    """By rank, the first first: each flow with its streams of that rank."""
    order = []
    for rank in sorted({one.rank for one in streams}):
        of_rank = []
        for flow in range(len(flows)):
            mine = [n for n, one in enumerate(streams) if one.flow == flow and one.rank == rank]
            if mine:
                of_rank.append((flow, tuple(mine)))
        order.append(of_rank)
    return order
