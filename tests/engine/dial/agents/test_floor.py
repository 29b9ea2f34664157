"""A floor, under any order of what agents and customers do."""

from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine.dial.agents.floor import Floor, Ticket
from engine.dial.agents.seats import Seat
from engine.schedule.feed import ListFeed, Work
from tests.contract.store_samples import an_agent
from tests.engine.dial.office import dialer
from tests.engine.made import contact

AGENTS = 4
OPERATIONS = ("come", "admit", "reserve", "meet", "die", "part", "ready", "leave", "pass")


class Desk:
    """A progressive floor, and the calls that are on their way to it."""

    def __init__(self) -> None:
        self.floor = Floor(dialer(), lambda _flow: None)
        self.seats = [Seat(an_agent(nth + 1)) for nth in range(AGENTS)]
        self.floor.seats = {seat.agent.id: seat for seat in self.seats}
        self.flights: list[Ticket] = []
        self.made = 0

    def do(self, operation: str, nth: int) -> None:
        """One thing happens, if it can happen now."""
        seat, now = self.seats[nth % AGENTS], trio.current_time()
        flight = self.flights[nth % len(self.flights)] if self.flights else None
        if operation == "admit":
            ticket = self.floor.admit(self._work())
            self.flights += [ticket] if ticket is not None else []
        elif operation == "reserve":
            self.floor.reserve(self._work(), seat, now)
        elif operation == "meet" and flight is not None:
            self.flights.remove(flight)
            taken = self.floor.take_any(flight.work.contact.id, now)
            assert taken is not None, "a call in the air finds an agent"
            self.floor.step(taken, "connect")
            flight.land()
        elif operation == "die" and flight is not None:
            self.flights.remove(flight)
            flight.close()
        elif operation == "leave":
            self.floor.ask_leave(seat)
        elif operation == "come":
            if seat.state == "away":
                self.floor.dismiss(seat)
            self.seats[nth % AGENTS] = seat = self.floor.expect(seat.agent)
            self.floor.step(seat, "come")
        elif operation in ("part", "ready"):
            self.floor.step(seat, operation)  # type: ignore[arg-type]

    def _work(self) -> Work:
        self.made += 1
        feed = ListFeed("acc_1", "flw_1", "lst_1")
        return Work(contact(id=f"cnt_{self.made}"), feed)

    def judge(self) -> None:
        """No customer with two agents, and nobody in the air without an agent who stays for them."""
        customers = [seat.customer for seat in self.seats if seat.customer is not None]
        assert len(customers) == len(set(customers))
        assert self.floor.in_air == len(self.flights)
        assert self.floor.in_air <= sum(seat.state == "free" for seat in self.seats)


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 7)), max_size=80))
def test_every_call_in_the_air_finds_an_agent_as_long_as_nobody_hangs_up(
    happenings: list[tuple[str, int]],
) -> None:
    async def run() -> None:
        desk = Desk()
        for operation, nth in happenings:
            await trio.sleep(1)
            desk.do(operation, nth)
            desk.judge()

    trio.run(run, clock=MockClock(autojump_threshold=0))


async def test_who_waits_first_is_served_first(autojump_clock: MockClock) -> None:
    desk = Desk()
    served: list[str] = []

    async def wait(name: str) -> None:
        if await desk.floor.wait_seat(name, trio.current_time() + 5) is not None:
            served.append(name)

    async with trio.open_nursery() as nursery:
        for name in ("first", "second", "third"):
            nursery.start_soon(wait, name)
            await trio.sleep(0.1)
        desk.do("come", 0)
        desk.do("come", 1)
    assert sorted(served) == ["first", "second"]  # both are woken at once, in any order


async def test_an_agent_who_was_meant_for_a_customer_who_left_is_free_again(
    autojump_clock: MockClock,
) -> None:
    desk = Desk()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.floor.wait_seat, "gone", trio.current_time() + 5)
            await trio.sleep(0.1)
            scope.cancel()  # who waited has gone, and does not know it yet
            desk.do("come", 0)
            assert desk.seats[0].state == "taken"
    assert desk.seats[0].state == "free"
