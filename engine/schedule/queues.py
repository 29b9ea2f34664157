"""Contacts that are due, flow by flow, until somebody takes them.

A flow's contacts are offered by rank, but for the tenth turn of a rank that waits (`turns`), and of one rank
in the order in which they came due. Among other flows it stands with its best rank all the while. Whoever
cannot take any more of a flow has it held, until a moment or until it asks for more.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final

from engine.model import BlockerCode, Contact
from engine.schedule.feed import ListFeed, Work
from engine.schedule.outlet import Hold, Outlet
from engine.schedule.turns import Ranks

RankOf = Callable[[Contact], int]
"""By which contacts of a flow go before others, 0 first; it changes with the flow's settings."""


class FlowQueue:
    """Contacts of one flow and one rank that are due and were not taken yet. Those that are each for one
    agent have a queue of their own: they do not wait for any agent, as the others may, nor behind these."""

    def __init__(self, flow: str, rank: int) -> None:
        self.flow = flow
        self.rank = rank
        self.ready: deque[Work] = deque()
        self.hold: Hold | None = None
        """Why nothing is offered just now."""

    @property
    def may_be_asked(self) -> bool:
        """Whether it has a contact to offer, and waits for no moment."""
        return bool(self.ready) and (self.hold is None or self.hold.until is None)

    def place(self) -> tuple[int, float]:
        """Its place among others: by rank, and of equals by whose first has been due the longest."""
        return self.rank, self.ready[0].contact.due_at if self.ready else math.inf


class _Queues(dict[tuple[int, bool], FlowQueue]):
    """Those of one flow, by rank and whether their contacts are each for one agent."""

    def __init__(self) -> None:
        super().__init__()
        self.ranks = Ranks()
        """Of the flow's contacts among each other."""

    def in_order(self) -> list[FlowQueue]:
        """As they are pushed: by rank, and of equals by who has been due the longest."""
        return sorted(self.values(), key=FlowQueue.place) if len(self) > 1 else [*self.values()]

    def askable(self) -> list[FlowQueue]:
        """Those that may be asked, by rank."""
        return [one for one in self.in_order() if one.may_be_asked]

    def by_turns(self, queues: list[FlowQueue]) -> list[FlowQueue]:
        """Some of them, which are in order, first of them whose turn it is."""
        if len(queues) < 2:
            return queues
        rank = self.ranks.choose({one.rank for one in queues})
        return sorted(queues, key=lambda one: one.rank != rank)

    def charge(self, taken: FlowQueue) -> None:
        """A contact of this queue had its turn. All others wait that have one, whatever for."""
        self.ranks.charge(taken.rank, {one.rank for one in self.values() if one.ready})


_NONE: Final = _Queues()


class ReadyQueues:
    """Offers contacts that are due to the outlet. All synchronous."""

    def __init__(
        self,
        outlet: Outlet,
        rank_of: RankOf,
        look_at_clock: Callable[[], None],
        set_aside: Callable[[Work, float, BlockerCode], None],
        wait_until: Callable[[float, FlowQueue], None],
    ) -> None:
        """
        Args:
            look_at_clock: notices a wall clock that was set back; before each offer, as whoever was to be
                due again in a moment would seem to be due in hours, and be set aside until then.
            set_aside: has a contact wait in the store until a moment, for a reason.
            wait_until: has a queue that is held brought up, by `push`, at a moment.
        """
        self._outlet = outlet
        self._rank_of = rank_of
        self._look_at_clock = look_at_clock
        self._set_aside = set_aside
        self._wait_until = wait_until
        self._of_flow: dict[str, _Queues] = {}

    @property
    def count(self) -> int:
        """Contacts that are due and that nobody has taken yet."""
        return sum(len(queue.ready) for ranks in self._of_flow.values() for queue in ranks.values())

    def flows(self) -> list[str]:
        """Those that had contacts here at any time, but for such as were deleted."""
        return list(self._of_flow)

    def add(self, work: Work) -> FlowQueue:
        """A contact is due. The queue that it is the last of now, which is not offered for that: `push`
        does."""
        flow, contact = work.feed.flow, work.contact
        rank, queues = self._rank_of(contact), self._of_flow.setdefault(flow, _Queues())
        key = rank, contact.agent is not None
        queue = queues.get(key)
        if queue is None:
            queue = queues[key] = FlowQueue(flow, rank)
        queue.ready.append(work)
        return queue

    def offer(self, flow: str) -> bool:
        """Offer the next ready contact of a flow, because there may be room for it again. Whether it was
        taken, or set aside."""
        queues = self._of_flow.get(flow, _NONE)
        for queue in queues.by_turns(queues.askable()):
            queue.hold = None
            # One rank that must wait leaves the others to be asked: they may be held until just now.
            if self._give_turn(queues, queue):
                return True
        return False

    def best_of(self, flow: str) -> Contact | None:
        """By which a flow that has contacts to offer stands among others: the turn of a lower rank is at the
        cost of its own better ones, and does not have them wait behind those of other flows."""
        queues = self._of_flow.get(flow, _NONE).askable()
        return queues[0].ready[0].contact if queues else None

    def offer_all(self, flow: str) -> None:
        """Offer whatever is ready of a flow, because the flow was changed; its contacts may be of other ranks
        from now on."""
        self._sort_anew(flow)
        queues = self._queues_of(flow)
        for queue in queues:
            queue.hold = None
        for queue in queues:
            self.push(queue)

    def push(self, queue: FlowQueue) -> None:
        """Offer what is ready of a queue until it is held, by turns with others of its flow that are not."""
        while queue.ready and queue.hold is None:
            queues = self._of_flow[queue.flow]
            free = [one for one in queues.in_order() if one.ready and one.hold is None]
            self._give_turn(queues, queues.by_turns(free)[0])

    def push_all(self) -> None:
        """`push` every queue there is."""
        for flow in self.flows():
            for queue in self._queues_of(flow):
                self.push(queue)

    def drop(self, flow: str, is_meant: Callable[[Work], bool]) -> list[Work]:
        """Leave contacts of a flow that are ready to the store; which they were."""
        dropped = []
        for queue in self._queues_of(flow):
            kept: deque[Work] = deque()
            for work in queue.ready:
                if is_meant(work):
                    work.give_back()
                    dropped.append(work)
                else:
                    kept.append(work)
            queue.ready = kept
            if not kept and queue.hold is not None and queue.hold.until is None:
                # Whoever was to lift it finds nobody here, and does not come again.
                queue.hold = None
        return dropped

    def drop_list(self, feed: ListFeed) -> None:
        """Leave contacts of a list that are ready to the store."""
        self.drop(feed.flow, lambda work: work.feed is feed)

    def forget(self, flow: str) -> None:
        """A flow was deleted: what is ready of it is left to the store, which has closed its lists."""
        self.drop(flow, lambda _work: True)
        self._of_flow.pop(flow, None)

    def _sort_anew(self, flow: str) -> None:
        queues = self._queues_of(flow)
        if all(self._rank_of(one.contact) == queue.rank for queue in queues for one in queue.ready):
            return
        ready = [work for queue in queues for work in queue.ready]
        for queue in queues:
            queue.ready.clear()
        for work in sorted(ready, key=lambda one: one.contact.due_at):
            self.add(work)

    def _queues_of(self, flow: str) -> list[FlowQueue]:
        return self._of_flow.get(flow, _NONE).in_order()

    def _give_turn(self, queues: _Queues, queue: FlowQueue) -> bool:
        """Offer the next of a queue that is not held; whether it is not held for that."""
        self._offer_next(queue)
        if queue.hold is not None:
            return False
        queues.charge(queue)
        return True

    def _offer_next(self, queue: FlowQueue) -> None:
        self._look_at_clock()
        if not queue.ready:
            return
        if queue.ready[0].is_void:
            queue.ready.popleft().give_back()
            return
        answer = self._outlet(queue.ready[0])
        if isinstance(answer, Hold):
            queue.hold = answer
            if answer.until is not None:
                self._wait_until(answer.until, queue)
            return
        work = queue.ready.popleft()
        if answer is not None:
            self._set_aside(work, answer.due_at, answer.code)
