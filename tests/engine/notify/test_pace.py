"""When deliveries are sent again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.model.webhook import Delivery
from engine.notify.pace import (
    AT_ONCE_MAX,
    GIVE_UP_S,
    REST_AFTER,
    REST_S_MAX,
    SPREAD,
    WAITS_S,
    HookPace,
    is_expired,
    next_try_at,
)

DELIVERY = Delivery("acc_1", "flw_1", 1, "list.completed", "lst_1", "pending", 100.0, 100.0)


def test_a_delivery_that_always_fails_is_tried_for_almost_three_days() -> None:
    for chance in (0.0, 0.999):
        now, tries = DELIVERY.begun_at, 0
        while True:
            tries += 1
            again_at = next_try_at(DELIVERY, tries, now, chance)
            if again_at is None:
                break
            wait_s = again_at - now
            assert WAITS_S[tries - 1] <= wait_s <= WAITS_S[tries - 1] * (1 + SPREAD)
            now = again_at
        assert tries >= len(WAITS_S)
        assert 2 * 86_400 < now - DELIVERY.begun_at < GIVE_UP_S


@given(st.integers(1, 100), st.floats(0, 1e6), st.floats(0, 1))
def test_no_try_comes_after_a_delivery_has_expired(tries: int, age_s: float, chance: float) -> None:
    again_at = next_try_at(DELIVERY, tries, DELIVERY.begun_at + age_s, chance)
    assert again_at is None or not is_expired(DELIVERY, again_at)


def test_a_receiver_that_fails_is_sent_one_at_a_time_and_then_left_alone_for_longer_and_longer() -> (
    None
):
    pace, now, rests = HookPace(), 1000.0, []
    assert pace.at_once == AT_ONCE_MAX
    for _ in range(REST_AFTER + 8):
        pace.note_failure(now)
        assert pace.at_once == 1
        rests.append(max(0.0, pace.rests_until - now))
        now = max(now, pace.rests_until)
    assert rests == [0.0] * (REST_AFTER - 1) + [30, 60, 120, 240, 480, 600, 600, 600, 600]
    pace.note_success()
    assert (pace.at_once, pace.rests_until, pace.failures) == (AT_ONCE_MAX, 0.0, 0)


def test_a_receiver_is_left_alone_for_as_long_as_it_asks_within_reason() -> None:
    for asked_s, rest_s in ((None, 0.0), (7.0, 7.0), (-5.0, 0.0), (1e9, REST_S_MAX)):
        pace = HookPace()
        pace.note_failure(1000.0, asked_s)
        assert max(pace.rests_until - 1000.0, 0.0) == rest_s
