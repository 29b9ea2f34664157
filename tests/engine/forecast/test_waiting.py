"""In which order contacts go that are due, in a forecast."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dial.trunks.trunk import TrunkSettings
from engine.forecast.case import Behaviour, Cohort, Ending
from engine.forecast.chance import Seeded
from engine.forecast.making import CallingFlow, Installation, Waiting, make_case
from engine.forecast.runs import STEPS_MAX, step_of
from engine.forecast.simulate import Simulation
from engine.forecast.waiting import Queue
from engine.model import CallingWindow, FlowSettings, RetryRule
from engine.schedule.calling_hours import CallingHours
from tests.engine.made import EPOCH, HOME_RULES, account, did, flow

INSTALLATION = Installation(10_000, 1_000, (), (TrunkSettings("main", 10_000, 1_000),), (), None)
HELD_MAX = 40
OPENS_S = 23 * 3_600
"""From 08:00, when tests begin, until 07:00 of the next day."""
PACE_S = 1.02
"""From call to call of a DID that lets one go a second."""


def queue_of(waiting: list[tuple[int, int]], *, is_called: bool = False) -> Queue:
    """Contacts in the store, (standing, contacts)."""
    queue = Queue(0, (), CallingHours([], ()), HELD_MAX)
    for standing, contacts in waiting:
        queue.add(0, standing, contacts, is_held=False, is_called=is_called)
    return queue


def take_all(queue: Queue, contacts_max: int) -> list[tuple[int, int]]:
    """What comes out of it, piece by piece."""
    taken = []
    while queue.ready:
        taken.append(queue.take(contacts_max))
    return taken


@given(
    waiting=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 300)), max_size=8),
    contacts_max=st.integers(1, 50),
    is_reopened=st.booleans(),
)
def test_whoever_comes_due_comes_out_once(
    waiting: list[tuple[int, int]], contacts_max: int, is_reopened: bool
) -> None:
    queue = queue_of(waiting)
    if is_reopened:
        queue.reopen(1)
    came, went = Counter[int](), Counter[int]()
    for standing, contacts in waiting:
        came[standing] += contacts
    for standing, contacts in take_all(queue, contacts_max):
        went[standing] += contacts
    assert went == came


def test_contacts_that_are_due_together_go_mixed() -> None:
    """People with one number and with three lie side by side in a list."""
    queue = queue_of([(0, 1_000), (1, 500)])
    of_first = Counter[int]()
    while sum(of_first.values()) < 300:
        standing, contacts = queue.take(10)
        of_first[standing] += contacts
    assert of_first[1] == pytest.approx(100, abs=HELD_MAX)


def test_after_a_closed_window_those_go_first_who_have_been_called() -> None:
    """All wait for the same moment then, and whoever was called before is further up in the list."""
    queue = queue_of([(0, 100)])
    queue.add(0, 7, 30, is_held=True, is_called=True)
    queue.add(0, 8, 50, is_held=False, is_called=True)
    queue.reopen(1)
    order = [standing for standing, _ in take_all(queue, 1_000)]
    assert (order[0] in {7, 8}, order[-1]) == (True, 0)
    assert order == sorted(order, key=lambda standing: standing == 0)


def test_retries_of_the_evening_before_put_the_rest_of_the_list_off() -> None:
    """Nobody answers. The window closes after twelve minutes; whoever was called in them is due again in the
    night, and goes before the others in the morning, the last of whom are called again half an hour later."""
    window = CallingWindow(start="07:00", end="08:12", callee_zone=False)
    settings = FlowSettings(
        attempts_max=2, retry={"no-answer": RetryRule(1, 1_800)}, calling_window=window
    )
    one_flow = flow(dids=("+14155550000",), settings=settings)
    behaviour = Behaviour((Ending("no-answer", 1.0, (20.0,)),), is_exact=True)
    contacts, in_the_evening = 2_000, 720 / PACE_S
    case = make_case(
        EPOCH,
        account(rules=HOME_RULES),
        INSTALLATION,
        [CallingFlow(one_flow, behaviour)],
        [Waiting(one_flow.id, (Cohort(EPOCH, contacts),))],
        [did(number="+14155550000", cps=1, channels=1_000)],
    )
    assert case is not None
    happened = Simulation(case, Seeded(1), step_of(case), STEPS_MAX).run()
    retried, others = in_the_evening, contacts - in_the_evening
    by_hand_s = OPENS_S + (retried + others) * PACE_S + 1_800 + 2 * 20
    assert happened.attempts == 2 * contacts
    assert happened.ended_s == pytest.approx(by_hand_s, abs=60)
