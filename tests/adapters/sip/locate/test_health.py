from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sip.locate.health import (
    BACK_OFF_S_MAX,
    BACK_OFF_S_MIN,
    CIRCUIT,
    DOUBT_S,
    FALL,
    REST_S_DEFAULT,
    REST_S_MAX,
    RISE,
    STEADY_S,
    TRIAL_S_MAX,
    Event,
    Failure,
    ServerTable,
    State,
)
from adapters.sip.locate.server import SERVERS_MAX, Server
from adapters.sip.wire.hop import Hop
from tests.adapters.sip.dice import Dice

A, B, C = (Hop(f"192.0.2.{number}", 5060) for number in (1, 2, 3))
FAILURES: tuple[Failure, ...] = get_args(Failure)


def choose(table: ServerTable, now: float) -> Hop | None:
    return table.choose(now, Dice())


def take_down(table: ServerTable, hop: Hop, now: float) -> None:
    for _ in range(FALL["refused"]):
        table.note_failure(hop, "refused", now, now)


def main_and_backup() -> ServerTable:
    return ServerTable((Server(A, 0, 1), Server(B, 1, 1)))


# Falling.


@pytest.mark.parametrize("failure", FAILURES)
def test_enough_failures_in_a_row_take_a_server_down_and_one_less_does_not(
    failure: Failure,
) -> None:
    table = ServerTable((Server(A),))
    for now in range(FALL[failure] - 1):
        table.note_failure(A, failure, now, now)
    assert choose(table, 10) == A
    table.note_failure(A, failure, 10, 10)
    assert choose(table, 10) is None


def test_hard_evidence_counts_more_than_silence() -> None:
    assert FALL["refused"] < FALL["timed_out"]
    table = ServerTable((Server(A),))
    table.note_failure(A, "refused", 1, 1)
    table.note_failure(A, "timed_out", 2, 2)
    assert choose(table, 2) == A
    table.note_failure(A, "timed_out", 3, 3)
    assert choose(table, 3) is None


def test_an_answer_between_failures_starts_the_count_again() -> None:
    table = main_and_backup()
    for now in range(0, 40, 2):
        table.note_failure(A, "refused", now, now)
        table.note_answer(A, now + 1)
    assert choose(table, 40) == A


def test_calls_from_before_the_last_answer_that_time_out_after_it_prove_nothing() -> None:
    """A thousand calls into the void end when the server has been back for half a minute."""
    table = main_and_backup()
    table.note_answer(A, 20)
    for late in range(1000):
        table.note_failure(A, "timed_out", 32 + late / 100, chosen_at=late / 100)
    assert table.describe(43) == "2 of 2 servers are well."


@given(
    results=st.lists(st.sampled_from(FAILURES), min_size=1, max_size=60),
    step_s=st.floats(0.01, 100),
)
def test_alternating_results_never_take_an_up_server_down_nor_a_down_server_up(
    results: list[Failure], step_s: float
) -> None:
    up, down = ServerTable((Server(A),)), ServerTable((Server(A),))
    take_down(down, A, 0)
    now = 0.0
    for failure in results:
        now += step_s
        assert choose(up, now) == A
        up.note_answer(A, now)
        assert choose(up, now) == A
        up.note_failure(A, failure, now, now)
        now = max(now, down.until(now))
        for result in ("answer", failure):
            assert choose(down, now) == A
            assert choose(down, now) is None, "it was not a trial: the server counts as up"
            if result == "answer":
                down.note_answer(A, now)
            else:
                down.note_failure(A, failure, now, now)
        assert not down.usable(now)


# Doubt.


@pytest.mark.parametrize("failure", FAILURES)
def test_after_one_failure_the_next_request_goes_to_the_next_server(failure: Failure) -> None:
    table = main_and_backup()
    assert choose(table, 0) == A
    table.note_failure(A, failure, 5, chosen_at=0)
    back = 5 + DOUBT_S
    assert [choose(table, now) for now in (5, math.nextafter(back, 0), back)] == [B, B, A]


def test_a_doubted_server_is_described_as_one_that_comes_last() -> None:
    table = main_and_backup()
    table.note_failure(A, "timed_out", 0, 0)
    assert table.describe(0.5) == (
        "1 of 2 servers is well;"
        " 192.0.2.1:5060 over udp comes after all others for 60 s (calls are not answered)."
    )
    assert table.describe(DOUBT_S) == "2 of 2 servers are well."


def test_an_answer_ends_the_doubt() -> None:
    table = main_and_backup()
    table.note_failure(A, "refused", 0, 0)
    assert choose(table, 1) == B
    table.note_answer(A, 1)
    assert choose(table, 1) == A


def test_each_further_failure_renews_the_doubt() -> None:
    table = main_and_backup()
    for now in (0, 20):
        table.note_failure(A, "timed_out", now, now)
    assert [choose(table, now) for now in (DOUBT_S, 20 + DOUBT_S)] == [B, A]


def test_a_doubt_that_passes_leaves_the_count_of_failures_as_it_was() -> None:
    table = ServerTable((Server(A),))
    table.note_failure(A, "refused", 0, 0)
    assert choose(table, DOUBT_S) == A
    table.note_failure(A, "refused", DOUBT_S, DOUBT_S)
    assert choose(table, DOUBT_S) is None


def test_a_trial_is_not_kept_back_by_the_doubt_of_the_failure_before_it() -> None:
    table = main_and_backup()
    take_down(table, A, 0)
    assert BACK_OFF_S_MIN < DOUBT_S
    assert [choose(table, BACK_OFF_S_MIN) for _ in range(2)] == [A, B]
    table.note_failure(A, "refused", 3, chosen_at=BACK_OFF_S_MIN)
    assert [choose(table, now) for now in (3, 3 + 2 * BACK_OFF_S_MIN)] == [B, A]


def test_a_server_that_is_due_for_a_trial_has_it_before_a_doubted_one_is_asked_again() -> None:
    table = main_and_backup()
    take_down(table, B, 0)
    table.note_failure(A, "timed_out", 0, 0)
    assert [choose(table, now) for now in (0, 2, 2)] == [A, B, A]


def test_of_servers_that_are_all_doubted_the_best_priority_is_chosen() -> None:
    table = ServerTable((Server(A, 0), Server(B, 1), Server(C, 2)))
    for hop in (A, B, C):
        assert choose(table, 0) == hop
        table.note_failure(hop, "timed_out", 0, 0)
    assert choose(table, 0) == A
    table.note_answer(C, 1)
    assert choose(table, 1) == C


def test_a_doubted_server_and_one_that_said_503_are_taken_by_priority() -> None:
    table = main_and_backup()
    table.note_failure(A, "timed_out", 0, 0)
    table.note_busy(B, 0)
    assert [choose(table, now) for now in (0, REST_S_DEFAULT)] == [A, B]


def test_another_way_is_a_server_that_nothing_speaks_against() -> None:
    table = main_and_backup()
    assert not table.has_other(A, 0), "the next request would come to it again"
    table.note_failure(A, "timed_out", 0, 0)
    assert table.has_other(A, 0)
    table.note_failure(B, "timed_out", 1, 1)
    assert not table.has_other(B, 1)
    assert table.usable(1), "what is doubted can still be had"
    table.note_busy(B, 2)
    assert not table.has_other(B, 2), "a 503 ends the doubt and is a reason of its own"
    table.note_answer(A, 3)
    assert table.has_other(B, 3)


def test_a_server_that_is_due_for_a_trial_or_rests_is_no_other_way() -> None:
    table = main_and_backup()
    take_down(table, B, 0)
    table.note_failure(A, "timed_out", 2, 2)
    assert (table.due_trials(2), table.has_other(A, 2)) == ((B,), False)
    resting = main_and_backup()
    resting.note_busy(B, 0, retry_after_s=30)
    resting.note_failure(A, "timed_out", 29, 29)
    assert [resting.has_other(A, now) for now in (29, 30)] == [False, True]


def test_a_failure_that_proves_nothing_opens_no_other_way() -> None:
    """A number of which the server says nothing, while it answers other calls, would go round for ever."""
    table = main_and_backup()
    table.note_answer(A, 20)
    table.note_failure(A, "timed_out", 32, chosen_at=0)
    assert (choose(table, 32), table.has_other(A, 32)) == (A, False)


def test_an_only_server_has_no_other_and_one_that_has_left_has() -> None:
    table = ServerTable((Server(A),))
    assert not table.has_other(A, 0)
    table.note_failure(A, "timed_out", 0, 0)
    assert not table.has_other(A, 0)
    assert not table.has_other(A, DOUBT_S)
    table.replace((Server(B),))
    assert table.has_other(A, 0)
    assert not ServerTable().has_other(A, 0)


# Resting and trials.


def test_a_server_that_stays_down_is_tried_after_2_s_doubling_to_60() -> None:
    table = ServerTable((Server(A),))
    take_down(table, A, 0)
    tries = [0.0]
    for _ in range(8):
        now = table.until(tries[-1])
        assert choose(table, math.nextafter(now, 0)) is None
        assert choose(table, now) == A
        table.note_failure(A, "timed_out", now, now)
        tries.append(now)
    assert [later - earlier for earlier, later in pairwise(tries)] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert (BACK_OFF_S_MIN, BACK_OFF_S_MAX) == (2, 60)


def test_half_open_lets_one_request_through_at_a_time() -> None:
    table = main_and_backup()
    take_down(table, A, 0)
    assert [choose(table, 2) for _ in range(5)] == [A, B, B, B, B]
    table.note_answer(A, 3)
    assert [choose(table, 3) for _ in range(3)] == [A, B, B]
    table.note_answer(A, 4)
    assert [choose(table, 4) for _ in range(3)] == [A, A, A]
    assert RISE == 2


def test_a_trial_that_fails_sends_the_server_back_to_wait() -> None:
    table = main_and_backup()
    take_down(table, A, 0)
    assert choose(table, 2) == A
    table.note_failure(A, "timed_out", 34, chosen_at=2)
    assert [choose(table, now) for now in (34, 37.9, 38)] == [B, B, A]


def test_failures_from_before_the_trial_do_not_end_it() -> None:
    table = ServerTable((Server(A),))
    take_down(table, A, 0)
    assert choose(table, 2) == A
    table.note_failure(A, "timed_out", 3, chosen_at=1)
    assert table.describe(3) == (
        "0 of 1 servers are well;"
        " 192.0.2.1:5060 over udp is being tried again (nobody listens there)."
    )


def test_failures_while_down_neither_shorten_nor_lengthen_the_wait() -> None:
    table = ServerTable((Server(A),))
    take_down(table, A, 0)
    for now in (0.5, 1.0, 1.5):
        table.note_failure(A, "timed_out", now, now)
    assert table.until(1.5) == 2


def test_a_trial_that_was_given_back_can_be_had_again_at_once() -> None:
    table = ServerTable((Server(A),))
    take_down(table, A, 0)
    assert choose(table, 2) == A
    table.give_back(A, 2.5, chosen_at=1)
    assert choose(table, 2.5) is None
    table.give_back(A, 2.5, chosen_at=2)
    assert choose(table, 2.5) == A


def test_giving_back_a_server_that_is_well_changes_nothing() -> None:
    table = ServerTable((Server(A),))
    assert choose(table, 1) == A
    table.give_back(A, 1, 1)
    assert (choose(table, 1), table.describe(1)) == (A, "1 of 1 servers is well.")


def test_a_trial_of_which_nothing_is_ever_told_does_not_block_the_server_for_good() -> None:
    table = ServerTable((Server(A),))
    take_down(table, A, 0)
    assert choose(table, 2) == A
    assert choose(table, 2 + TRIAL_S_MAX - 0.1) is None
    assert choose(table, 2 + TRIAL_S_MAX) == A


def test_a_probe_takes_the_place_of_the_trial() -> None:
    table = main_and_backup()
    take_down(table, A, 0)
    assert (table.due_trials(1), table.begin_trial(A, 1)) == ((), False)
    assert (table.due_trials(2), table.begin_trial(A, 2)) == ((A,), True)
    assert (table.due_trials(2), table.begin_trial(A, 2), choose(table, 2)) == ((), False, B)
    table.note_answer(A, 2.1)
    assert table.begin_trial(A, 2.1)
    table.note_answer(A, 2.2)
    assert (table.due_trials(2.2), choose(table, 2.2)) == ((), A)


def test_a_server_that_falls_again_soon_waits_on_where_it_left_and_one_that_was_steady_does_not() -> (
    None
):
    table = ServerTable((Server(A),))
    take_down(table, A, 0)
    table.note_answer(A, 2)
    table.note_answer(A, 2)
    take_down(table, A, 3)
    assert table.until(3) == 3 + 4
    table.note_answer(A, 7)
    table.note_answer(A, 7)
    take_down(table, A, 7 + STEADY_S)
    assert table.until(7 + STEADY_S) == 7 + STEADY_S + 2


# 503.


def test_a_server_that_asks_to_be_left_alone_is_and_the_next_one_is_chosen() -> None:
    table = main_and_backup()
    table.note_busy(A, 0, retry_after_s=30)
    assert [choose(table, now) for now in (0, 29.9, 30)] == [B, B, A]
    table.note_busy(A, 40, retry_after_s=30)
    table.note_busy(B, 40, retry_after_s=10)
    assert (choose(table, 40), table.usable(40), table.until(40)) == (None, False, 50)


@pytest.mark.parametrize("asked_s", [1e9, math.inf])
def test_a_retry_after_is_heeded_within_bounds(asked_s: float) -> None:
    table = ServerTable((Server(A),))
    table.note_busy(A, 0, retry_after_s=asked_s)
    assert table.until(0) == REST_S_MAX


@pytest.mark.parametrize("asked_s", [None, 0.0, -1.0, math.nan])
def test_a_503_that_asks_for_nothing_puts_a_server_behind_the_others(asked_s: float | None) -> None:
    table = main_and_backup()
    table.note_busy(A, 0, asked_s)
    assert (choose(table, 0), choose(table, REST_S_DEFAULT)) == (B, A)
    table.note_busy(A, 10, asked_s)
    table.note_busy(B, 10, asked_s)
    assert choose(table, 10) == A


def test_a_503_is_no_failure() -> None:
    table = ServerTable((Server(A),))
    for now in range(100):
        table.note_busy(A, now)
    table.note_failure(A, "refused", 100, 100)
    assert choose(table, 100) == A


def test_a_503_to_a_trial_is_an_answer() -> None:
    table = main_and_backup()
    take_down(table, A, 0)
    for now in (2, 3):
        assert choose(table, now) == A
        table.note_busy(A, now, retry_after_s=1)
    assert [choose(table, now) for now in (3, 4, 4)] == [B, A, A]


# Choosing.


def test_the_best_priority_that_is_well_is_chosen_and_there_by_weight() -> None:
    table = ServerTable((Server(C, 1, 100), Server(A, 0, 30), Server(B, 0, 70)))
    chance = random.Random(1)
    picked = [table.choose(0, chance) for _ in range(1000)]
    assert picked.count(C) == 0
    assert 250 < picked.count(A) < 350
    take_down(table, B, 0)
    assert {table.choose(0, chance) for _ in range(20)} == {A}
    take_down(table, A, 0)
    assert {table.choose(0, chance) for _ in range(20)} == {C}


def test_a_table_without_servers_has_nothing_to_offer() -> None:
    table = ServerTable()
    assert (choose(table, 0), table.usable(0), table.until(0)) == (None, False, math.inf)


def test_a_new_resolution_keeps_the_health_of_those_who_stay() -> None:
    table = main_and_backup()
    take_down(table, A, 0)
    table.replace((Server(A, 0, 5), Server(C, 1, 5)))
    assert choose(table, 1) == C
    table.replace((Server(B, 0, 5),))
    assert choose(table, 1) == B
    table.replace((Server(A, 0, 5),))
    assert choose(table, 1) == A, "who has left and comes back is new"


def test_what_is_told_of_a_server_that_has_left_is_ignored() -> None:
    table = ServerTable((Server(B),))
    table.note_answer(A, 0)
    table.note_busy(A, 0, 30)
    table.note_failure(A, "refused", 0, 0)
    table.give_back(A, 0, 0)
    assert (table.begin_trial(A, 0), choose(table, 0)) == (False, B)


def test_a_table_is_bounded_and_holds_each_server_once_at_its_better_priority() -> None:
    table = ServerTable((Server(B, 1), Server(A, 2), Server(A, 0)))
    assert table.servers == (Server(A, 0), Server(B, 1))
    many = ServerTable(Server(Hop("192.0.2.1", port)) for port in range(1, 200))
    assert len(many.servers) == SERVERS_MAX


def test_a_description_says_who_is_not_well_and_why_and_until_when() -> None:
    six = Hop("2001:db8::1", 5061, "tls", "example.com")
    table = ServerTable((Server(A), Server(B), Server(C), Server(six)))
    assert table.describe(0) == "4 of 4 servers are well."
    take_down(table, A, 0)
    table.note_busy(B, 0, 30)
    table.note_busy(six, 0)
    assert table.describe(0.5) == (
        "1 of 4 servers is well;"
        " 192.0.2.1:5060 over udp is down (nobody listens there) and is tried again in 2 s;"
        " 192.0.2.2:5060 over udp has asked to be left alone for 30 s (503);"
        " [2001:db8::1]:5061 over tls comes after all others for 5 s (503)."
    )
    take_down(table, C, 1)
    assert table.begin_trial(A, 2)
    assert table.describe(3) == (
        "0 of 4 servers are well;"
        " 192.0.2.1:5060 over udp is being tried again (nobody listens there);"
        " 192.0.2.2:5060 over udp has asked to be left alone for 27 s (503);"
        " 192.0.2.3:5060 over udp is down (nobody listens there) and is tried again with the next"
        " request; and 1 more."
    )
    assert ServerTable().describe(0) == "No server of the trunk is known."


# What always holds.


def test_the_circuit_knows_every_event_but_that_an_up_server_rises() -> None:
    every = {(state, event) for state in get_args(State) for event in get_args(Event)}
    assert every - set(CIRCUIT) == {("up", "risen")}


happenings = st.lists(
    st.tuples(
        st.sampled_from(("choose", "answer", "busy", "fail", "give_back", "probe")),
        st.sampled_from((A, B, C)),
        st.sampled_from(FAILURES),
        st.sampled_from((0.0, 0.1, 1.0, 5.0, 40.0, 100.0)),
        st.sampled_from((0.0, 1.0, 32.0)),
        st.sampled_from((None, 1.0, 1e9)),
    ),
    max_size=80,
)


@given(happenings=happenings)
def test_whatever_happens_choose_and_usable_and_until_agree_and_nobody_is_lost_for_good(
    happenings: list[tuple[str, Hop, Failure, float, float, float | None]],
) -> None:
    table = ServerTable((Server(A, 0, 1), Server(B, 0, 2), Server(C, 1, 0)))
    now = 1000.0
    for what, hop, failure, later_s, ago_s, retry_after_s in happenings:
        now += later_s
        if what == "choose":
            usable, until = table.usable(now), table.until(now)
            chosen = choose(table, now)
            assert usable == (chosen is not None) == (until == now)
            assert until - now <= max(REST_S_MAX, BACK_OFF_S_MAX, TRIAL_S_MAX)
        elif what == "answer":
            table.note_answer(hop, now)
        elif what == "busy":
            table.note_busy(hop, now, retry_after_s)
        elif what == "fail":
            table.note_failure(hop, failure, now, now - ago_s)
        elif what == "give_back":
            table.give_back(hop, now, now - ago_s)
        else:
            is_due = hop in table.due_trials(now)
            assert table.begin_trial(hop, now) == is_due
        is_any_well = not table.describe(now).startswith("0 of 3 ")
        assert table.has_other(Hop("192.0.2.9", 5060), now) == is_any_well
    now += REST_S_MAX
    for hop in (A, B, C):
        for _ in range(RISE):
            table.note_answer(hop, now)
    assert table.describe(now) == "3 of 3 servers are well."
