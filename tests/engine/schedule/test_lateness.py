"""How late contacts are brought forward is counted."""

from __future__ import annotations

from engine.schedule.lateness import BOUNDS_S, Lateness


def test_each_contact_counts_where_its_lateness_belongs_and_nobody_is_early() -> None:
    lateness = Lateness()
    for late_s, contacts in ((-3.0, 2), (0.0, 1), (0.001, 4), (0.0011, 8), (10.0, 16), (11.0, 32)):
        lateness.note(late_s, contacts)
    expected = [0] * (len(BOUNDS_S) + 1)
    expected[0], expected[1], expected[-2], expected[-1] = 7, 8, 16, 32
    assert lateness.counts == expected
    assert abs(lateness.sum_s - (0.004 + 0.0088 + 160 + 352)) < 1e-9
