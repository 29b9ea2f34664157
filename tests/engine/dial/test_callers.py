"""Which DID a flow calls from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from engine.dial.callers import COMPARED_MAX, CallerPool, Callers
from engine.model.number_series import SeriesRule

NUMBERS = st.text("12", min_size=1, max_size=5).map(lambda digits: f"+{digits}")
POOLS = st.lists(NUMBERS, min_size=1, max_size=COMPARED_MAX, unique=True)


def yes(_number: str) -> bool:
    return True


def no_wait(_number: str) -> float:
    return 0.0


def shared(callee: str, number: str) -> int:
    """Characters that two numbers begin with together."""
    alike = (one == other for one, other in zip(callee, number, strict=False))
    return sum(takewhile(bool, alike))


def closest(callee: str, numbers: Sequence[str]) -> set[str]:
    """Those that share the longest prefix, by comparing with each."""
    longest = max(shared(callee, one) for one in numbers)
    return {one for one in numbers if shared(callee, one) == longest}


def test_dids_that_could_go_at_once_take_turns() -> None:
    pool = CallerPool(["+1", "+2", "+3"], by_prefix=False)
    chosen = [pool.choose("+49", yes, no_wait) for _ in range(7)]
    assert chosen == ["+1", "+2", "+3", "+1", "+2", "+3", "+1"]


def test_the_did_with_the_shortest_wait_goes_before_whose_turn_it_is() -> None:
    pool = CallerPool(["+1", "+2", "+3"], by_prefix=False)
    waits = {"+1": 2.0, "+2": 0.5, "+3": 0.5}
    chosen = [pool.choose("+49", yes, waits.__getitem__) for _ in range(3)]
    assert chosen == ["+2", "+3", "+2"]


@given(POOLS, st.lists(NUMBERS, min_size=1, max_size=30))
def test_local_takes_one_of_those_that_share_the_longest_prefix(
    numbers: list[str], callees: list[str]
) -> None:
    pool = CallerPool(numbers, by_prefix=True)
    for callee in callees:
        assert pool.choose(callee, yes, no_wait) in closest(callee, numbers)


@given(POOLS, NUMBERS)
def test_those_that_are_equally_local_take_turns(numbers: list[str], callee: str) -> None:
    pool = CallerPool(numbers, by_prefix=True)
    equals = closest(callee, numbers)
    chosen = [pool.choose(callee, yes, no_wait) for _ in range(2 * len(equals))]
    assert set(chosen[: len(equals)]) == equals
    assert chosen[: len(equals)] == chosen[len(equals) :]


@given(
    POOLS,
    st.booleans(),
    st.lists(st.tuples(NUMBERS, st.sets(st.integers(0, COMPARED_MAX - 1))), max_size=30),
)
def test_whoever_has_room_is_found_however_often_others_had_none(
    numbers: list[str], by_prefix: bool, asked: list[tuple[str, set[int]]]
) -> None:
    pool = CallerPool(numbers, by_prefix=by_prefix)
    had_room = set(numbers)
    for callee, full in asked:
        with_room = {one for place, one in enumerate(numbers) if place not in full}
        for one in with_room - had_room:
            pool.put(one)
        had_room = with_room
        chosen = pool.choose(callee, with_room.__contains__, no_wait)
        candidates = sorted(with_room)
        expected = closest(callee, candidates) if by_prefix and candidates else set(candidates)
        assert chosen in expected if expected else chosen is None


def test_ten_thousand_dids_are_not_looked_through_for_a_call() -> None:
    numbers = [f"+9180{n:08}" for n in range(10_000)]
    for by_prefix in (False, True):
        pool = CallerPool(numbers, by_prefix=by_prefix)
        looked_at: list[str] = []

        def has_room(number: str, looked_at: list[str] = looked_at) -> bool:
            looked_at.append(number)
            return True

        for n in range(1_000):
            assert pool.choose(f"+9180{n:08}", has_room, no_wait) is not None
        assert len(looked_at) <= 1_000 * COMPARED_MAX


def test_a_callee_whom_a_series_binds_is_called_from_that_series_only() -> None:
    numbers = ("+911401234567", "+911600112345", "+912245678901", "+14155550100")
    rule = SeriesRule("india", "promotion")
    callers = Callers(numbers, rule, by_prefix=True)
    bound, free = callers.pool_for("+919876543210"), callers.pool_for("+4930123456")
    assert bound.numbers == {"+911401234567"}
    assert free.numbers == frozenset(numbers)
    service = Callers(numbers, SeriesRule("india", "service"), by_prefix=False)
    assert service.pool_for("+919876543210").numbers == {"+911600112345"}
    unsaid = Callers(numbers, SeriesRule("india", None), by_prefix=False)
    assert unsaid.pool_for("+919876543210").numbers == frozenset()
    no_rule = Callers(numbers, SeriesRule(None, "service"), by_prefix=False)
    assert no_rule.pool_for("+919876543210").numbers == frozenset(numbers)


@given(
    st.sampled_from([None, "india"]),
    st.sampled_from([None, "promotion", "service"]),
    st.lists(st.sampled_from(["+911401", "+9116001", "+9116011", "+911602", "+9122", "+1140"])),
    st.sampled_from(["+9198", "+1415"]),
)
def test_a_rule_and_the_pool_that_is_made_of_it_agree(
    series: str | None, purpose: str | None, numbers: list[str], callee: str
) -> None:
    rule = SeriesRule(series, purpose)  # type: ignore[arg-type]
    callers = Callers(numbers, rule, by_prefix=False)
    allowed = {one for one in numbers if rule.allows(one, callee)}
    assert callers.pool_for(callee).numbers == allowed


def test_looking_for_room_for_urgent_contacts_again_and_again_costs_what_has_changed() -> None:
    numbers = [f"+9180{n:08}" for n in range(1_000)]
    for by_prefix in (False, True):
        pool = CallerPool(numbers, by_prefix=by_prefix)
        looked_at: list[str] = []
        with_room: set[str] = set()

        def has_room(
            number: str, looked_at: list[str] = looked_at, with_room: set[str] = with_room
        ) -> bool:
            looked_at.append(number)
            return number in with_room

        assert pool.choose("+4930", yes, no_wait) is not None
        for _ in range(100):
            assert pool.for_urgent.choose("+4930", has_room, no_wait) is None
        assert len(looked_at) == len(numbers)
        with_room.add(numbers[7])
        pool.put(numbers[7])
        assert pool.for_urgent.choose("+4930", has_room, no_wait) == numbers[7]
        assert len(looked_at) == len(numbers) + 1


def test_a_did_without_room_for_others_may_have_room_for_urgent_contacts_and_the_other_way() -> (
    None
):
    pool = CallerPool(["+1"], by_prefix=False)
    assert pool.choose("+49", lambda _number: False, no_wait) is None
    assert pool.for_urgent.choose("+49", yes, no_wait) == "+1"
    pool.put("+1")
    assert pool.for_urgent.choose("+49", lambda _number: False, no_wait) is None
    assert pool.choose("+49", yes, no_wait) == "+1"
