"""Where the customers of one flow and its agents meet.

Everything here is synchronous but for `wait_seat`, and happens in one thread: nobody can take an agent
between the look and the hand. Moments are `trio.current_time()`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import trio
from msgspec import Struct

from engine.dial.agents.pacing import Tally, calls_in_air_max
from engine.dial.agents.seats import Seat, SeatEvent
from engine.dial.limits.party import Block
from engine.model import Contact, Flow
from engine.model.agent import ABANDONED_DAYS, Agent, AnswerDay, day_of
from engine.ports.telephony import Call
from engine.schedule.feed import Work

NOT_ASKED_DETAIL: Final = "It is shown to an agent who asks for the next contact, and then called."
NOBODY_DETAIL: Final = "No agent of the flow is there."
BUSY_DETAIL: Final = "Every agent who is there has a call, or one is on its way to them."


class FloorGlance(Struct, frozen=True):
    """What goes on between a flow's customers and its agents at one moment."""

    free: int
    """Agents who could take a customer."""
    in_air: int
    """Calls on their way to any agent."""
    room: int
    """How many more calls may be let go; below 0 while agents have gone."""
    tally: Tally
    """What customers met, over 30 days."""


class Ticket:
    """What a contact has of the floor while it is on its way to an agent."""

    def __init__(self, floor: Floor, work: Work, seat: Seat | None) -> None:
        self.work = work
        self.seat = seat
        """The agent it is meant for; None takes whoever is free when it answers."""
        self.attempt: str | None = None
        """The id that its attempt is to have, where a leg that was made before it names it."""
        self.held_by: Block | None = None
        """What keeps the agent's own call from leaving."""
        self.is_closed = False
        self.closed = trio.Event()
        self._floor = floor

    @property
    def is_held(self) -> bool:
        """Whether one agent is kept for this contact, and was not connected with it yet."""
        seat = self.seat
        return seat is not None and seat.customer == self.work.contact.id and seat.state == "taken"

    @property
    def is_void(self) -> bool:
        """Whether the agent that it was meant for has gone."""
        return self.seat is not None and self.seat.customer != self.work.contact.id

    def note_held(self, block: Block | None) -> None:
        """What keeps the agent's own call from leaving, or nothing does any more."""
        self.held_by = block

    def land(self) -> None:
        """It is not in the air any more: an agent has its customer, or there is none."""
        self._floor.land(self)

    def close(self) -> None:
        """Nothing more is to come of it."""
        if self.is_closed:
            return
        self.is_closed = True
        self.closed.set()
        self.land()
        if self.is_held and self.seat is not None:
            self._floor.give_back(self.seat)


class _Asking:
    """An agent who asks for the next contact."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.ticket: Ticket | None = None
        self.answered = trio.Event()


class _Waiter:
    """A customer who waits for any agent."""

    def __init__(self, contact: str) -> None:
        self.contact = contact
        self.seat: Seat | None = None
        self.served = trio.Event()


class Floor:
    """The agents of one flow, and the calls that are on their way to them."""

    def __init__(self, flow: Flow, on_change: Callable[[str], None]) -> None:
        """`on_change` is told the flow's id when more calls may be possible; it must not call back."""
        self.flow = flow
        self.seats: dict[str, Seat] = {}
        """The shifts of the flow's agents, by agent, until their ends are told."""
        self._following: dict[str, Seat] = {}
        """The next shifts of those who have gone, and have asked to come again before that is told."""
        self.guests: dict[str, Seat] = {}
        """Who is no agent of the flow and has one of its customers, by number."""
        self.lines: dict[Seat, Call] = {}
        """Telephones of agents that are up and wait for a customer, or are with one."""
        self.tickets: dict[str, Ticket] = {}
        """By contact."""
        self.held: dict[str, Block] = {}
        """What keeps the calls of agents from leaving that contacts wait for without them, by contact."""
        self._talks: dict[Seat, trio.CancelScope] = {}
        self._rings: dict[Seat, trio.CancelScope] = {}
        """Of agents who are called and not reached yet."""
        self._in_air: dict[Ticket, None] = {}
        self._asking: deque[_Asking] = deque()
        self._waiting: deque[_Waiter] = deque()
        self._days: dict[int, Tally] = {}
        self._on_change = on_change
        self._watched: dict[Seat, trio.lowlevel.ParkingLot] = {}

    @property
    def is_standing(self) -> bool:
        """Whether agents are called when they become available, rather than for each customer."""
        return self.flow.kind == "dialer" and self.flow.settings.dialing != "preview"

    @property
    def free(self) -> int:
        """Agents who could take a customer this moment, and stay."""
        return sum(seat.state == "free" and not seat.is_leaving for seat in self.seats.values())

    @property
    def in_air(self) -> int:
        """Calls that are on their way to any agent."""
        return len(self._in_air)

    @property
    def room(self) -> int:
        """How many more calls may be let go."""
        return self._most(self.free) - self.in_air

    @property
    def tally(self) -> Tally:
        """What customers met, over the days that are kept."""
        days = self._days.values()
        return Tally(sum(day.answered for day in days), sum(day.abandoned for day in days))

    def blocked_by(self, contact: Contact) -> Block | None:
        """Why this contact, which has no call yet, waits for agents, or what its agent's call waits for."""
        if self.flow.kind != "dialer":
            return None
        ticket = self.tickets.get(contact.id)
        if ticket is not None and ticket.held_by is not None:
            return ticket.held_by
        if ticket is None and contact.id in self.held:
            return self.held[contact.id]
        if contact.agent is not None:
            seat = self.seat_at(contact.agent)
            is_free = seat is None or (seat.state == "free" and not seat.is_leaving)
            return None if is_free else Block("agents_busy", math.inf, detail=BUSY_DETAIL)
        if self.flow.settings.dialing == "preview":
            return Block("agents_busy", math.inf, detail=NOT_ASKED_DETAIL)
        if self.room > 0:
            return None
        is_anybody_there = any(seat.state != "away" for seat in self.seats.values())
        detail = BUSY_DETAIL if is_anybody_there else NOBODY_DETAIL
        return Block("agents_busy", math.inf, detail=detail)

    def seat_at(self, number: str) -> Seat | None:
        """Who has this number and a customer, or is there to have one."""
        guest = self.guests.get(number)
        if guest is not None:
            return guest
        for seat in self.seats.values():
            if seat.agent.number == number and seat.state != "away":
                return seat
        return None

    def seats_of(self, agent: str) -> list[Seat]:
        """An agent's shift, and the one that is to follow it."""
        found = (self.seats.get(agent), self._following.get(agent))
        return [seat for seat in found if seat is not None]

    def is_at_work(self, agent: str) -> bool:
        """Whether an agent is there, or is to come."""
        return any(seat.state != "away" for seat in self.seats_of(agent))

    def expect(self, agent: Agent) -> Seat:
        """An agent has asked to come: the shift that they are at, or else the next. Whoever finds it in
        `seats` for the first time begins it; one that follows another is handed out by `dismiss`."""
        for seat in self.seats_of(agent.id):
            if seat.state != "away":
                return seat
        seat = Seat(agent)
        at = self._following if agent.id in self.seats else self.seats
        at[agent.id] = seat
        return seat

    def invite_guest(self, number: str) -> Seat:
        """Somebody who is no agent of the flow, or is one and not there, is to have one customer."""
        guest = Seat(Agent("", self.flow.account, self.flow.id, number, "", None, "away", 0.0, 0.0))
        guest.step("come", trio.current_time())
        self.guests[number] = guest
        return guest

    def admit(self, work: Work) -> Ticket | None:
        """Let a contact that takes any agent go; None where no agent will be there for it."""
        if self.room <= 0:
            return None
        ticket = self._issue(work, None)
        self._in_air[ticket] = None
        return ticket

    def reserve(self, work: Work, seat: Seat, now: float) -> Ticket | None:
        """Let a contact go that is meant for one agent; None where that one is not free, or is counted on
        by a call in the air."""
        if seat.state != "free" or seat.is_leaving or not self.can_spare(seat):
            return None
        self.take(seat, work.contact.id, now)
        return self._issue(work, seat)

    def can_spare(self, seat: Seat) -> bool:
        """Whether the calls in the air could do without one agent who is free."""
        return seat.agent.id not in self.seats or self.in_air <= self._most(self.free - 1)

    def take(self, seat: Seat, contact: str, now: float) -> None:
        """Give a free agent a customer."""
        holders = [one for one in self._all_seats() if one.customer == contact]
        assert not holders, "a customer has one agent at a time"
        seat.take(contact, now)
        self._wake(seat)
        self._look_again()

    def take_any(self, contact: str, now: float) -> Seat | None:
        """The agent who has been free the longest; of those who are about to leave only if there is no
        other."""
        free = [seat for seat in self.seats.values() if seat.state == "free"]
        if not free:
            return None
        seat = min(free, key=lambda one: (one.is_leaving, one.since))
        self.take(seat, contact, now)
        return seat

    async def wait_seat(self, contact: str, deadline: float) -> Seat | None:
        """An agent for a customer who waits, first come, first served; None when the deadline passes."""
        await trio.lowlevel.checkpoint()
        seat = None if self._waiting else self.take_any(contact, trio.current_time())
        if seat is not None:
            return seat
        waiter = _Waiter(contact)
        self._waiting.append(waiter)
        try:
            with trio.move_on_at(deadline):
                await waiter.served.wait()
        except BaseException:
            if waiter.seat is not None:
                self.give_back(waiter.seat)
            raise
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        return waiter.seat

    def give_back(self, seat: Seat) -> None:
        """The customer who was meant for an agent does not come."""
        self.step(seat, "give_back")

    def step(self, seat: Seat, event: SeatEvent) -> None:
        """Take in what happened to an agent."""
        now = trio.current_time()
        seat.step(event, now)
        if seat.is_leaving and seat.state == "wrap_up":
            seat.step("leave", now)
        self._wake(seat)
        self._look_at_ring(seat)
        if seat.state == "away":
            self.lines.pop(seat, None)
        if seat.customer is None and self.guests.get(seat.agent.number) is seat:
            del self.guests[seat.agent.number]
            self.lines.pop(seat, None)
        while self._waiting and (found := self.take_any(self._waiting[0].contact, now)) is not None:
            waiter = self._waiting.popleft()
            waiter.seat = found
            waiter.served.set()
        self._look_again()

    def lose(self, seat: Seat, how: str) -> None:
        """An agent's telephone is not there any more; see `Seat.lost_by`."""
        seat.lost_by = seat.lost_by or how
        self.step(seat, "lose")

    @contextmanager
    def ring(self, seat: Seat) -> Iterator[None]:
        """An agent who is expected is called in this block. It is cancelled in the very step in which they go
        before they are reached: a task woken to do so would come too late for a call that is about
        to leave, and they were told that they are away."""
        with trio.CancelScope() as scope:
            assert seat.state == "expected", "who has gone is not rung"
            self.step(seat, "ring")
            self._rings[seat] = scope
            try:
                yield
            finally:
                self._rings.pop(seat, None)

    @contextmanager
    def talk(self, seat: Seat) -> Iterator[trio.CancelScope]:
        """The scope in which an agent and a customer speak; `part` ends it."""
        with trio.CancelScope() as scope:
            self._talks[seat] = scope
            try:
                yield scope
            finally:
                del self._talks[seat]

    def part(self, seat: Seat) -> bool:
        """An agent ends the talk; whether there was one. The customer's flow goes on."""
        scope = self._talks.get(seat)
        if scope is not None:
            scope.cancel()
        return scope is not None

    def ask_leave(self, seat: Seat) -> None:
        """An agent wants to go: at once, or as soon as no customer needs them."""
        seat.is_leaving = seat.state != "away"
        if seat.state in ("expected", "calling", "wrap_up"):
            self.step(seat, "leave")
        self._look_again()

    def ask_all_to_leave(self) -> None:
        """Everybody goes, as they do who ask for it themselves."""
        for seat in [*self.seats.values(), *self._following.values()]:
            self.ask_leave(seat)

    def ask_next(self, seat: Seat) -> _Asking:
        """An agent, who is free, asks for the next contact of a list."""
        asking = _Asking(seat)
        self._asking.append(asking)
        self._on_change(self.flow.id)
        return asking

    def forget_asking(self, asking: _Asking) -> None:
        """The agent does not wait for it any more."""
        if asking in self._asking:
            self._asking.remove(asking)

    def show_next(self, work: Work, now: float) -> Ticket | None:
        """Hand a contact to an agent who has asked for one; None where nobody has."""
        while self._asking:
            asking = self._asking.popleft()
            ticket = self.reserve(work, asking.seat, now)
            asking.ticket = ticket
            asking.answered.set()
            if ticket is not None:
                return ticket
        return None

    def land(self, ticket: Ticket) -> None:
        """See `Ticket.land`."""
        self._in_air.pop(ticket, None)
        if ticket.is_closed and self.tickets.get(ticket.work.contact.id) is ticket:
            del self.tickets[ticket.work.contact.id]
        self._look_again()

    def count(self, is_abandoned: bool, wall_now: float) -> None:
        """A person answered, and was abandoned or not."""
        day = day_of(wall_now)
        before = self._days.get(day, Tally())
        self._days[day] = Tally(before.answered + 1, before.abandoned + is_abandoned)
        for old in [one for one in self._days if one <= day - ABANDONED_DAYS]:
            del self._days[old]
        self._look_again()

    def restore(self, days: Iterable[AnswerDay]) -> None:
        """Take up what was counted before this process began."""
        self._days = {day.day: Tally(day.answered, day.abandoned) for day in days}

    async def wait_change(self, seat: Seat) -> None:
        """Return when something has happened to an agent."""
        await self._watched.setdefault(seat, trio.lowlevel.ParkingLot()).park()

    def dismiss(self, seat: Seat) -> Seat | None:
        """An agent's shift is over, and that is told; the one that the agent has asked for meanwhile."""
        agent = seat.agent.id
        del self.seats[agent]
        self._wake(seat)
        self._watched.pop(seat, None)
        following = self._following.pop(agent, None)
        if following is not None and following.state == "expected":
            self.seats[agent] = following
            return following
        return None

    def _look_at_ring(self, seat: Seat) -> None:
        """Whoever was reached is called no more, and their telephone stays up when they go."""
        if seat in self._rings and seat.state != "calling":
            scope = self._rings.pop(seat)
            if seat.state == "away":
                scope.cancel()

    def _wake(self, seat: Seat) -> None:
        watched = self._watched.get(seat)
        if watched is not None:
            watched.unpark_all()

    def _most(self, free: int) -> int:
        settings = self.flow.settings
        return calls_in_air_max(
            settings.dialing, max(0, free), settings.power_ratio, self.tally, settings.abandoned_max
        )

    def _issue(self, work: Work, seat: Seat | None) -> Ticket:
        ticket = Ticket(self, work, seat)
        self.tickets[work.contact.id] = ticket
        work.claim = ticket
        return ticket

    def _all_seats(self) -> Iterable[Seat]:
        return [*self.seats.values(), *self.guests.values()]

    def _look_again(self) -> None:
        now = trio.current_time()
        for seat in self.seats.values():
            if seat.is_leaving and seat.state == "free" and self.in_air <= self._most(self.free):
                seat.step("leave", now)
                self.lines.pop(seat, None)
                self._wake(seat)
        self._on_change(self.flow.id)
