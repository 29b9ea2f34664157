"""What a forecast says that contacts wait for, where no limit holds them back."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from engine.dial.trunks.trunk import TrunkSettings
from engine.forecast import runs
from engine.forecast.behaviour import usual_behaviour
from engine.forecast.case import Behaviour, Case, Cohort, Ending
from engine.forecast.chance import Seeded
from engine.forecast.cohorts import Cohorts
from engine.forecast.making import CallingFlow, Installation, Waiting, make_case
from engine.forecast.runs import STEPS_MAX, step_of, tell
from engine.forecast.simulate import Simulation
from engine.model import BlockerCode, CallingWindow, FlowSettings, RetryRule
from engine.ports.clock import Randomness
from engine.schedule.calling_hours import DAY_S
from tests.engine.made import EPOCH, HOME_RULES, account, contact, did, flow

INSTALLATION = Installation(10_000, 1_000, (), (TrunkSettings("main", 10_000, 1_000),), (), None)


def case_of(*cohorts: Cohort, window: CallingWindow | None = None) -> Case:
    """People who never answer, each called twice at the most, ten minutes apart, and a number for each."""
    numbers = [did(number="+14155550000", cps=100, channels=1_000)]
    settings = FlowSettings(
        attempts_max=2, retry={"no-answer": RetryRule(1, 600)}, calling_window=window
    )
    one_flow = flow(dids=("+14155550000",), settings=settings)
    behaviour = Behaviour((Ending("no-answer", 1.0, (20.0,)),), is_exact=True)
    lists = [Waiting(one_flow.id, cohorts)]
    flows = [CallingFlow(one_flow, behaviour)]
    case = make_case(EPOCH, account(rules=HOME_RULES), INSTALLATION, flows, lists, numbers)
    assert case is not None
    return case


def held_by(case: Case) -> set[BlockerCode]:
    """What holds contacts back for longer than a few seconds."""
    happened = Simulation(case, Seeded(1), step_of(case), STEPS_MAX).run()
    return {code for code, held_s in happened.held_s.items() if held_s > 5}


RETRIED = Cohort(EPOCH + 600, 50, spent=1, tries={"no-answer": 1})


def test_a_list_that_runs_waits_for_retries_and_for_no_start_time() -> None:
    assert held_by(case_of(Cohort(EPOCH, 100), RETRIED)) == {"retry_wait"}


def test_who_starts_later_waits_for_the_start_time() -> None:
    assert held_by(case_of(Cohort(EPOCH, 100), Cohort(EPOCH + 3_600, 1))) == {
        "starttime",
        "retry_wait",
    }


def test_who_was_set_aside_until_their_window_opens_waits_for_that_and_for_no_start_time() -> None:
    opens = datetime.fromtimestamp(EPOCH + 3 * 3_600, UTC)
    window = CallingWindow(
        f"{opens.hour:02}:00", f"{opens.hour:02}:59", timezone="UTC", callee_zone=False
    )
    cohorts = Cohorts(EPOCH)
    due_at = opens.replace(minute=0, second=0).timestamp()
    cohorts.note(contact(due_at=due_at, wait_code="calling_window"))
    told = tell(case_of(*cohorts.told(), window=window), 1)
    assert told.bottleneck == "calling_window"
    assert told.ends_at is not None
    assert told.without_at is not None
    assert (told.ends_at > due_at, told.without_at < EPOCH + 1_000) == (True, True)


def test_who_was_set_aside_for_a_cap_waits_for_that() -> None:
    cohorts = Cohorts(EPOCH)
    cohorts.note(contact(due_at=EPOCH + 3_600, wait_code="account_limit"))
    told = tell(case_of(*cohorts.told()), 1)
    assert told.bottleneck == "account_limit"
    assert told.ends_at is not None
    assert told.without_at is not None
    assert (told.ends_at > EPOCH + 3_600, told.without_at < EPOCH + 1_000) == (True, True)


def test_without_a_wait_that_has_begun_already_the_list_ends_sooner() -> None:
    told = tell(case_of(Cohort(EPOCH, 1), RETRIED), 1)
    assert told.bottleneck == "retry_wait"
    assert told.ends_at is not None
    assert told.without_at is not None
    assert (told.ends_at - EPOCH > 600, told.without_at - EPOCH < 100) == (True, True)


def test_the_end_without_one_of_two_equal_limits_is_no_later_than_with_both() -> None:
    """All runs differ, and only few are made without the bottleneck."""
    numbers = [did(number="+14155550000", cps=100, channels=5)]
    settings = FlowSettings(attempts_max=1, channels=5)
    one_flow = flow(dids=("+14155550000",), settings=settings)
    flows = [CallingFlow(one_flow, usual_behaviour(20.0))]
    lists = [Waiting(one_flow.id, (Cohort(EPOCH, 100),))]
    case = make_case(EPOCH, account(rules=HOME_RULES), INSTALLATION, flows, lists, numbers)
    assert case is not None
    for seed in range(6):
        told = tell(case, seed)
        assert told.bottleneck == "flow_limit"
        assert told.ends_at is not None
        assert told.without_at is not None
        assert told.without_at <= told.ends_at


def test_a_list_that_starts_beyond_all_sight_waits_for_its_start_time() -> None:
    told = tell(case_of(Cohort(EPOCH + 61 * DAY_S, 100)), 1)
    assert (told.ends_at, told.bottleneck, told.attempts) == (None, "starttime", 0)
    assert told.without_at is not None


def test_calls_that_never_come_to_an_end_are_let_happen_once_and_say_what_they_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trunk that refuses all calls puts them back for ever."""
    made: list[BlockerCode | None] = []

    class Counted(Simulation):
        def __init__(
            self,
            case: Case,
            chance: Randomness,
            step_s: float,
            steps: int,
            lifted: BlockerCode | None,
        ) -> None:
            made.append(lifted)
            super().__init__(case, chance, step_s, 100, lifted)

    refused = Behaviour((Ending("congested", 1.0, (0.1,)),), is_exact=True)
    case = case_of(Cohort(EPOCH, 1))
    flows = tuple(msgspec.structs.replace(one, behaviour=refused) for one in case.flows)
    monkeypatch.setattr(runs, "Simulation", Counted)
    told = tell(msgspec.structs.replace(case, flows=flows), 1)
    assert (told.ends_at, told.bottleneck) == (None, "retry_wait")
    assert made == [*[None] * runs.COARSER_MAX, *["retry_wait"] * runs.COARSER_MAX]
