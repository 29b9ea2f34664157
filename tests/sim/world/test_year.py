"""Calling windows through all settings of clocks of a year, in ten zones."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from engine.model import AccountRules, CallingWindow
from sim.world.judge import judge
from sim.world.plan import CLOCKS_SET, ZONES, Action, Plan, draw_plan
from sim.world.run import run_plan
from sim.world.tape import Invite
from tests.sizes import size

HALF_HOURS = 48
CONTACTS = size(6, 20)
"""In each zone."""


def about(at: float) -> Plan:
    """Contacts in every zone from an hour before a moment to an hour after it, with windows that
    open and close every few half hours on the callees' own clocks."""
    chance = Random(int(at))
    plan = draw_plan(1)
    windows = tuple(
        CallingWindow(
            f"{place // 2:02}:{place % 2 * 30:02}", f"{place // 2:02}:{place % 2 * 30 + 20:02}"
        )
        for place in range(chance.randrange(2), HALF_HOURS, 2)
    )
    flow = replace(
        plan.flows[0],
        settings=replace(
            plan.flows[0].settings, calling_window=windows[:24], attempts_max=1, cps=None, caps=()
        ),
    )
    account = replace(plan.accounts[0], rules=AccountRules(None))
    contacts = [{"tel": [f"{prefix}{place:04}"]} for place in range(CONTACTS) for prefix in ZONES]
    body = msgspec.json.encode({"contacts": contacts})
    return replace(
        plan,
        epoch=at - 3600,
        horizon_s=2 * 3600.0,
        channels=1000,
        cps=500,
        caps=(),
        accounts=(account,),
        dids=tuple(
            replace(did, account=account.id, cps=CONTACTS / 1000, caps=()) for did in plan.dids
        ),
        flows=(replace(flow, account=account.id, dids=tuple(did.number for did in plan.dids)),),
        actions=(Action(0.0, "list", flow.id, body=body),),
        outages=(),
        disk=(),
        loss=0.0,
        dies_at_step=(),
        look_s=600.0,
    )


@pytest.mark.parametrize("at", CLOCKS_SET[:: size(3, 1)])
def test_nobody_is_called_in_a_closed_window_when_clocks_are_set(at: float) -> None:
    run = run_plan(about(at))
    assert judge(run) == []
    assert sum(isinstance(entry, Invite) for entry in run.tape.entries) > 5 * CONTACTS
