"""The caps of an account in a day, against a list of all calls that is counted through."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.dial.limits.day_caps import DAY_S, DayCapDefaults, DayCaps
from engine.model import AccountRules

NUMBERS = {"+14155550123": "US", "+18765550123": "JM", "+881612345678": "+881"}

steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 60.0, 20_000.0, DAY_S / 2]),
        st.sampled_from(sorted(NUMBERS)),
        st.sampled_from(["leaves", "leaves", "stays", "restart"]),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 8), st.integers(1, 5), st.integers(0, 3))
def test_calls_are_let_go_just_as_often_as_a_count_of_each_24_hours_allows(
    happenings: list[tuple[float, str, str]], in_all: int, each: int, of_jamaica: int
) -> None:
    rules = AccountRules(calls_per_day=in_all, country_caps={"JM": of_jamaica})
    defaults = DayCapDefaults(calls_per_day=10_000, country_calls_per_day=each)
    caps, now = DayCaps(rules, defaults), 0.0
    left: list[tuple[float, str]] = []
    most = {"US": each, "+881": each, "JM": of_jamaica}
    for wait_s, number, happening in happenings:
        now += wait_s + 1.0
        recent = [(at, one) for at, one in left if at > now - DAY_S]
        country = NUMBERS[number]
        is_full = len(recent) >= in_all
        is_full |= sum(NUMBERS[one] == country for _, one in recent) >= most[country]
        block = caps.blocked_by(number, now)
        assert (block is not None) is is_full
        if block is not None:
            assert block.until > now
        elif happening in ("leaves", "restart"):
            taken = caps.take(number, now)
            taken.mark_sent(now)
            taken.release()
            left.append((now, number))
        else:  # it is prepared, and comes to nothing
            caps.take(number, now).release()
        if happening == "restart":
            caps = DayCaps(rules, defaults)
            for at, one in left:
                caps.restore(one, at)


def test_calls_that_have_not_left_count_and_are_looked_at_again_soon() -> None:
    caps = DayCaps(AccountRules(calls_per_day=1), DayCapDefaults())
    taken = caps.take("+14155550123", 100.0)
    block = caps.blocked_by("+14155550124", 100.0)
    assert block is not None
    assert (block.code, block.until) == ("account_limit", 105.0)
    taken.release()
    assert caps.blocked_by("+14155550124", 100.0) is None


def test_a_cap_that_is_full_only_with_a_call_that_has_not_left_is_looked_at_again_soon() -> None:
    caps = DayCaps(AccountRules(calls_per_day=2), DayCapDefaults())
    caps.take("+14155550123", 100.0).mark_sent(100.0)
    taken = caps.take("+14155550124", 110.0)
    block = caps.blocked_by("+14155550125", 110.0)
    assert block is not None
    assert block.until == 115.0
    taken.mark_sent(110.5)
    block = caps.blocked_by("+14155550125", 111.0)
    assert block is not None
    assert block.until > 100.0 + DAY_S


def test_an_account_of_which_nothing_is_said_counts_nothing() -> None:
    caps = DayCaps(AccountRules(), DayCapDefaults())
    assert not caps.are_set
    for at in range(100):
        assert caps.blocked_by("+14155550123", at) is None
        caps.take("+14155550123", at).mark_sent(at)


def test_a_call_that_never_leaves_counts_no_more_though_the_cap_was_changed_meanwhile() -> None:
    number = "+14155550123"
    caps = DayCaps(AccountRules(calls_per_day=3), DayCapDefaults())
    taken = caps.take(number, 100.0)
    caps.set_rules(AccountRules(calls_per_day=1))
    assert caps.blocked_by(number, 100.0) is not None
    taken.release()
    assert caps.blocked_by(number, 100.0) is None
    caps.take(number, 101.0).mark_sent(101.0)
    block = caps.blocked_by(number, 102.0)
    assert block is not None
    assert block.until > 101.0 + DAY_S
    assert caps.blocked_by(number, block.until) is None


def test_a_call_that_comes_to_nothing_lets_none_go_before_the_day_is_over() -> None:
    number = "+14155550123"
    caps = DayCaps(AccountRules(calls_per_day=1), DayCapDefaults())
    caps.take(number, 0.0).mark_sent(0.0)
    early = DAY_S - 0.02
    if caps.blocked_by(number, early) is None:
        caps.take(number, early).release()
    assert caps.blocked_by(number, early) is not None
