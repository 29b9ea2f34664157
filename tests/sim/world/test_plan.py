"""What a seed means."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from engine.schedule.zones import zones_of
from sim.world.plan import CLOCKS_SET, YEAR_AT, ZONES, draw_plan


@pytest.mark.parametrize(("prefix", "zone"), ZONES.items())
def test_the_numbers_of_the_world_are_where_it_says(prefix: str, zone: str) -> None:
    [found] = zones_of(f"{prefix}0001")
    moments = [datetime(2027, month, 1, tzinfo=ZoneInfo("UTC")) for month in range(1, 13)]
    assert [one.astimezone(ZoneInfo(found)).utcoffset() for one in moments] == [
        one.astimezone(ZoneInfo(zone)).utcoffset() for one in moments
    ]


def test_every_moment_of_the_year_at_which_a_clock_is_set_is_among_those_that_are_drawn() -> None:
    found = set()
    for name in ZONES.values():
        zone, before = ZoneInfo(name), None
        for half_hour in range(365 * 48):
            at = YEAR_AT + half_hour * 1800
            offset = datetime.fromtimestamp(at, zone).utcoffset()
            if before not in (None, offset):
                found.add(at)
            before = offset
    assert sorted(found) == list(CLOCKS_SET)


def test_a_seed_draws_the_same_plan_again_and_another_another() -> None:
    assert draw_plan(7) == draw_plan(7)
    assert draw_plan(7) != draw_plan(8)
    assert sum(action.body.count(b"tel") for action in draw_plan(7, contacts=50).actions) > 30
