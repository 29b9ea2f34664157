"""Forecasts of lists of any length: steps are shorter than calls, or longer."""

from __future__ import annotations

import pytest

from engine.dial.trunks.trunk import TrunkSettings
from engine.forecast.alone import narrowed
from engine.forecast.case import Behaviour, Case, Cohort, Ending
from engine.forecast.chance import AROUND_S, Seeded
from engine.forecast.making import CallingFlow, Installation, Waiting, make_case
from engine.forecast.runs import STEPS_MAX, step_of, tell
from engine.forecast.simulate import Happened, Simulation
from engine.model import FlowSettings
from tests.engine.made import EPOCH, HOME_RULES, account, did, flow

INSTALLATION = Installation(10_000, 1_000, (), (TrunkSettings("main", 10_000, 1_000),), (), None)
EFFORT_MAX = 30_000
"""Of one run, however long the list: about a third of a second."""
LENGTHS_S = (2.0, 4.0, 9.0, 25.0)
MEAN_S = sum(LENGTHS_S) / len(LENGTHS_S) + AROUND_S


def case_of(contacts: int, *, dids: int, cps: float, channels: int, lines: int | None) -> Case:
    """People who all answer, called once each from such DIDs by a flow with so many lines of its own."""
    numbers = [did(number=f"+1415555{n:04}", cps=cps, channels=channels) for n in range(dids)]
    settings = FlowSettings(attempts_max=1, channels=lines)
    one_flow = flow(dids=tuple(one.number for one in numbers), settings=settings)
    behaviour = Behaviour((Ending("answered", 1.0, LENGTHS_S),), is_exact=True)
    flows = [CallingFlow(one_flow, behaviour)]
    lists = [Waiting(one_flow.id, (Cohort(EPOCH, contacts),))]
    case = make_case(EPOCH, account(rules=HOME_RULES), INSTALLATION, flows, lists, numbers)
    assert case is not None
    return case


def let_happen(case: Case) -> Happened:
    """One run of it."""
    return Simulation(case, Seeded(1), step_of(case), STEPS_MAX).run()


@pytest.mark.parametrize("contacts", [2_000, 20_000, 200_000])
def test_lines_carry_as_many_calls_in_long_steps_as_in_short_ones(contacts: int) -> None:
    """Steps are of 2 s, of 20 s and of a minute here, and calls of 10 s."""
    happened = let_happen(case_of(contacts, dids=20, cps=2, channels=30, lines=12))
    by_hand_s = contacts * MEAN_S / 12
    assert happened.ended_s == pytest.approx(by_hand_s, rel=0.03)
    assert happened.attempts == contacts


@pytest.mark.parametrize("contacts", [2_000, 200_000])
def test_a_pace_lets_as_many_calls_go_in_long_steps_as_in_short_ones(contacts: int) -> None:
    happened = let_happen(case_of(contacts, dids=10, cps=1, channels=1_000, lines=None))
    assert happened.ended_s == pytest.approx(contacts / 10 * 1.02, rel=0.03, abs=25.0)


def test_where_it_is_known_what_calls_come_to_the_range_is_a_few_per_cent_wide() -> None:
    """Chance, and what a forecast itself is wrong by, are all that is left."""
    told = tell(case_of(20_000, dids=20, cps=2, channels=30, lines=12), 1)
    moments = told.earliest_at, told.ends_at, told.latest_at
    earliest_s, middle_s, latest_s = ((at or 0.0) - EPOCH for at in moments)
    assert earliest_s < middle_s < latest_s
    assert 0.02 < (latest_s - earliest_s) / middle_s < 0.045


def test_a_run_takes_no_more_for_a_long_list_than_for_a_short_one() -> None:
    """Both are done within a day."""
    efforts = [
        let_happen(case_of(contacts, dids=20, cps=2, channels=30, lines=120)).effort
        for contacts in (20_000, 200_000)
    ]
    assert max(efforts) < EFFORT_MAX


@pytest.mark.parametrize(
    ("channels", "share", "is_by_channels"),
    [(1, 1.0, True), (5, 0.98, True), (10, 0.88, False), (40, 1.0, False)],
)
def test_a_did_whose_pace_and_channels_carry_alike_is_narrowed(
    channels: int, share: float, is_by_channels: bool
) -> None:
    """Of ten seconds a call, and a call in 1.02 seconds, ten channels carry as much as the pace lets go."""
    case = case_of(100, dids=4, cps=1, channels=channels, lines=None)
    (before,), (after,) = case.groups, narrowed(case).groups
    of_channels = (after.limit.channels or 0.0) / (before.limit.channels or 1.0)
    of_pace = (before.limit.rates[0].per_s + 0.02) / (after.limit.rates[0].per_s + 0.02)
    narrower, other = (of_channels, of_pace) if is_by_channels else (of_pace, of_channels)
    assert narrower == pytest.approx(share, abs=0.03)
    assert other == pytest.approx(1.0)
