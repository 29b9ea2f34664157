"""Which strangers are answered, and from where a request may come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sip.call.dialog import Dialog
from adapters.sip.guard import (
    REFUSALS_AT_ONCE,
    REFUSALS_PER_S,
    SOURCE_REFUSALS_AT_ONCE,
    SOURCE_REFUSALS_PER_S,
    SOURCES_MAX,
    TRUNK_ANSWERS_AT_ONCE,
    TRUNK_ANSWERS_PER_S,
    TRUNKS,
    TRUNKS_ANSWERS_AT_ONCE,
    TRUNKS_ANSWERS_PER_S,
    Refusals,
    is_expected_source,
    source_key,
)

FLOOD, QUIET = "203.0.113.5", "203.0.113.6"


def taken(refusals: Refusals, host: str, times: int, now: float) -> int:
    return sum(refusals.take(host, now) for _ in range(times))


def test_a_stranger_who_floods_leaves_the_others_their_answers() -> None:
    refusals = Refusals()
    assert taken(refusals, FLOOD, 10_000, 1000.0) == SOURCE_REFUSALS_AT_ONCE
    assert taken(refusals, QUIET, 3, 1000.0) == 3
    assert taken(refusals, FLOOD, 10_000, 1010.0) == SOURCE_REFUSALS_AT_ONCE
    assert taken(refusals, FLOOD, 10_000, 1011.0) == SOURCE_REFUSALS_PER_S


def test_to_ask_whether_somebody_could_be_answered_takes_nothing() -> None:
    refusals = Refusals()
    assert all(refusals.has_left(FLOOD, 1000.0) for _ in range(100))
    assert len(refusals) == 0
    assert taken(refusals, FLOOD, 100, 1000.0) == SOURCE_REFUSALS_AT_ONCE
    assert not refusals.has_left(FLOOD, 1000.0)
    assert (refusals.has_left(QUIET, 1000.0), refusals.has_left(FLOOD, 1001.0)) == (True, True)


def test_all_strangers_together_have_a_bound_too() -> None:
    refusals = Refusals()
    hosts = [f"198.51.100.{number}" for number in range(200)]
    assert sum(refusals.take(host, 1000.0) for host in hosts) == REFUSALS_AT_ONCE
    assert sum(refusals.take(host, 1001.0) for host in hosts) == REFUSALS_PER_S


def test_a_trunk_may_ask_more_often_than_a_stranger_and_still_leaves_the_others_their_answers() -> (
    None
):
    answers = Refusals(TRUNKS)
    assert taken(answers, FLOOD, 10_000, 1000.0) == TRUNK_ANSWERS_AT_ONCE
    assert taken(answers, QUIET, 400, 1000.0) == 400
    assert taken(answers, FLOOD, 10_000, 1001.0) == TRUNK_ANSWERS_PER_S


def test_all_trunks_together_have_a_bound_too() -> None:
    answers = Refusals(TRUNKS)
    hosts = [f"198.51.100.{number}" for number in range(100)]
    assert sum(taken(answers, host, 100, 1000.0) for host in hosts) == TRUNKS_ANSWERS_AT_ONCE
    assert sum(taken(answers, host, 100, 1001.0) for host in hosts) == TRUNKS_ANSWERS_PER_S


def test_the_table_is_bounded_and_forgets_the_one_that_was_silent_for_longest() -> None:
    refusals = Refusals()
    taken(refusals, FLOOD, 100, 1000.0)
    for number in range(3 * SOURCES_MAX):
        refusals.take(f"10.0.{number // 256}.{number % 256}", 1000.0)
        if number % 1000 == 0:
            assert not refusals.take(FLOOD, 1000.0)
    assert len(refusals) == SOURCES_MAX
    # The common bucket is full again, the flood's own is not: it was never forgotten.
    assert taken(refusals, FLOOD, 100, 1003.0) == 3 * SOURCE_REFUSALS_PER_S
    # The first of the others was, and begins anew.
    assert taken(refusals, "10.0.0.0", 100, 1003.0) == SOURCE_REFUSALS_AT_ONCE


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 3)), max_size=300))
def test_no_window_holds_more_answers_than_the_buckets_allow(
    asked: list[tuple[int, float]],
) -> None:
    refusals = Refusals()
    now = 1000.0
    answered: list[tuple[int, float]] = []
    for source, gap in asked:
        now += gap
        if refusals.take(f"198.51.100.{source}", now):
            answered.append((source, now))
    for source in range(6):
        times = [at for who, at in answered if who == source]
        for first, begin in enumerate(times):
            for last in range(first, len(times)):
                most = SOURCE_REFUSALS_AT_ONCE + (times[last] - begin) * SOURCE_REFUSALS_PER_S
                assert last - first + 1 <= most + 1e-6


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:0:1::1", 0x20010DB8_00000001),
        ("2001:db8:0:1:ffff::9", 0x20010DB8_00000001),
        ("2001:db8:0:2::1", 0x20010DB8_00000002),
        ("fe80::1%eth0", 0xFE80_0000_0000_0000),
    ],
)
def test_a_source_is_an_ipv4_address_or_the_64_bits_of_an_ipv6_network(
    host: str, key: str | int
) -> None:
    assert source_key(host) == key


def dialog(target: bytes, *routes: bytes) -> Dialog:
    return Dialog(
        remote_tag=b"t", remote=b"<sip:x>;tag=t", target=target, routes=routes, local_cseq=1
    )


@pytest.mark.parametrize(
    ("host", "dialogs", "is_expected"),
    [
        ("192.0.2.70", (), True),
        ("::ffff:192.0.2.70", (), True),
        ("2001:db8::70", (), True),
        ("203.0.113.5", (), False),
        ("203.0.113.5", (dialog(b"sip:callee@203.0.113.5:5099"),), True),
        ("203.0.113.5", (dialog(b"sip:callee@edge", b"<sip:203.0.113.5;lr>"),), True),
        ("203.0.113.5", (dialog(b"sip:callee@edge", b"<sip:a;lr>", b"<sip:203.0.113.5>"),), True),
        ("203.0.113.5", (dialog(b"sip:a@b"), dialog(b"sips:callee@203.0.113.5")), True),
        ("203.0.113.5", (dialog(b"sip:a@b;maddr=203.0.113.5"),), True),
        ("2001:db8::5", (dialog(b"sip:callee@[2001:DB8:0::5]:5060"),), True),
        ("::ffff:203.0.113.5", (dialog(b"sip:callee@203.0.113.5"),), True),
        ("203.0.113.5", (dialog(b"sip:callee@[::ffff:203.0.113.5]"),), True),
        ("203.0.113.6", (dialog(b"sip:callee@203.0.113.5"),), False),
        ("203.0.113.5", (dialog(b"sip:203.0.113.5@edge.example"),), False),
        ("203.0.113.5", (dialog(b"tel:+14155550100", b"<nonsense>", b'"open <sip:x>'),), False),
    ],
)
def test_a_request_may_come_from_a_trunk_or_from_where_its_own_dialog_said(
    host: str, dialogs: tuple[Dialog, ...], *, is_expected: bool
) -> None:
    hosts = frozenset({"192.0.2.70", "2001:db8::70"})
    assert is_expected_source(host, hosts, dialogs) is is_expected


@pytest.mark.parametrize(
    ("host", "dialogs", "is_expected"),
    [
        ("203.0.113.5", (dialog(b"sip:callee@edge.example"),), True),
        ("203.0.113.5", (dialog(b"sip:callee@edge", b"<sip:proxy.example;lr>"),), True),
        ("203.0.113.5", (dialog(b"tel:+14155550100"),), True),
        ("::ffff:203.0.113.5", (dialog(b"sip:callee@edge.example"),), True),
        ("203.0.113.6", (dialog(b"sip:callee@edge.example"),), False),
        # Whoever is named by an address is asked for at that address.
        ("203.0.113.5", (dialog(b"sip:callee@198.51.100.1"),), False),
        ("203.0.113.5", (dialog(b"sip:callee@edge", b"<sip:198.51.100.1;lr>"),), False),
        ("203.0.113.5", (), False),
    ],
)
def test_who_answered_stands_for_whoever_a_dialog_names_only_by_name(
    host: str, dialogs: tuple[Dialog, ...], *, is_expected: bool
) -> None:
    assert is_expected_source(host, frozenset(), dialogs, "203.0.113.5") is is_expected
