"""Forecasts of lists of any length: in steps that are shorter than calls, or longer."""

from __future__ import annotations

import pytest

from engine.forecast.alone import narrowed
from engine.forecast.case import Behaviour, Case, Cohort, Ending, Group, Limit, Rate
from engine.forecast.chance import AROUND_S, Seeded
from engine.forecast.making import CallingFlow, Installation, Waiting, make_case
from engine.forecast.runs import STEPS_MAX, step_of, tell
from engine.forecast.simulate import Simulation
from engine.model import FlowSettings
from tests.engine.made import EPOCH, HOME_RULES, account, flow

CHANNELS = 12
EFFORT_MAX = 30_000
"""Of one run, however long the list: about a third of a second."""


def behaviour_of(*holds_s: float) -> Behaviour:
    """Everybody answers, and each length is as likely."""
    return Behaviour((Ending("answered", 1.0, holds_s),), is_exact=True)


def case_of(contacts: int, limit: Limit, behaviour: Behaviour, dids: int = 1) -> Case:
    """People with one number each, who are called from such DIDs."""
    installation = Installation(10_000, 1_000, (), (), (), None)
    settings = FlowSettings(attempts_max=1)
    waiting = Waiting("flw_1", (Cohort(EPOCH, contacts),))
    case = make_case(
        EPOCH,
        account(rules=HOME_RULES),
        installation,
        [CallingFlow(flow(settings=settings), behaviour)],
        [waiting],
        [],
    )
    assert case is None, "there is no trunk yet"
    raise AssertionError(limit, dids)
