"""A day of an installation, in virtual time."""

from __future__ import annotations

from sim.world.judge import judge
from sim.world.plan import draw_plan
from sim.world.plan.day import draw_day
from sim.world.run import run_plan
from tests.sizes import size

CONTACTS = size(300, 3_000)


def test_a_day_ends_with_every_contact_called_and_every_promise_kept() -> None:
    day = run_plan(draw_day(1, CONTACTS, hours=8))
    assert judge(day) == []
    assert len(day.contacts) == CONTACTS
    assert {one.state for one in day.contacts} == {"completed"}


def test_a_million_contacts_are_a_day_of_500_dids_and_few_contacts_a_hard_run() -> None:
    plan = draw_plan(1, 4_000)
    assert plan == draw_plan(1, 4_000)
    assert (len(plan.dids), len({one.trunk for one in plan.dids})) == (5, 2)
    assert len(draw_plan(1, 20_000, 12).dids) == 10
    assert draw_plan(1, 20).step_s == 0
