"""Whose turn it is: shares by weight, classes before each other, and nobody who starves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.dial.dids.mailbox import Mailbox
from engine.schedule.feed import ListFeed, Work
from engine.schedule.turns import PASSED_MAX, RANKS, URGENT, Claimant, Ranks, Turns
from tests.engine.made import contact

rounds_of_ranks = st.lists(
    st.integers(1, 2**RANKS - 1).map(lambda bits: {n for n in range(RANKS) if bits >> n & 1}),
    max_size=150,
)


def serve(turns: Turns, waiting: list[Claimant]) -> Claimant:
    taker = turns.choose(waiting)
    turns.charge(taker, {one.rank for one in waiting})
    return taker


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.integers(50, 300))
def test_flows_that_always_wait_get_turns_in_proportion_to_their_weights(
    weights: list[int], turns_taken: int
) -> None:
    waiting = [Claimant(f"flow {n}", 2, weight) for n, weight in enumerate(weights)]
    turns = Turns()
    taken = Counter(serve(turns, waiting).flow for _ in range(turns_taken))
    for one in waiting:
        fair = turns_taken * one.weight / sum(weights)
        # What fair queueing promises: never behind by more than a turn of each other flow, nor by one ahead
        # of its own weight's due.
        assert abs(taken[one.flow] - fair) <= len(weights)


@settings(deadline=None)
@given(rounds_of_ranks)
def test_a_class_that_waits_all_the_time_is_never_passed_over_for_long(
    rounds: list[set[int]],
) -> None:
    ranks, passed, longest = Ranks(), 0, 0
    for others in rounds:
        waiting = others | {RANKS - 1}
        rank = ranks.choose(waiting)
        ranks.charge(rank, waiting)
        passed = 0 if rank == RANKS - 1 else passed + 1
        longest = max(longest, passed)
    # Each of the other classes may be overdue as well, and each may come after a run of urgent calls.
    assert longest <= (PASSED_MAX + 1) * RANKS


@settings(deadline=None)
@given(rounds_of_ranks)
def test_an_urgent_call_is_next_unless_a_row_of_urgent_ones_went_before(
    rounds: list[set[int]],
) -> None:
    ranks, run = Ranks(), 0
    for waiting in rounds:
        with_urgent = ranks.choose({*waiting, URGENT})
        assert with_urgent == URGENT or run >= PASSED_MAX
        rank = ranks.choose(waiting)
        ranks.charge(rank, waiting)
        run = run + 1 if rank == URGENT else 0


def test_a_flow_that_comes_back_neither_makes_up_for_its_pause_nor_pays_for_it() -> None:
    turns, busy, late = Turns(), Claimant("busy", 2), Claimant("late", 2)
    for _ in range(1_000):
        serve(turns, [busy])
    taken = [serve(turns, [busy, late]).flow for _ in range(10)]
    assert Counter(taken) == {"busy": 5, "late": 5}
    assert taken[0] == "late"


def test_classes_go_before_each_other_and_each_gets_every_tenth_turn_at_least() -> None:
    ranks, waiting = Ranks(), {1, 2}
    taken = []
    for _ in range(100):
        rank = ranks.choose(waiting)
        ranks.charge(rank, waiting)
        taken.append(rank)
    assert Counter(taken) == {1: 90, 2: 10}


@pytest.mark.parametrize("size", [1, 5])
def test_an_urgent_contact_never_waits_for_room_that_others_take(size: int) -> None:
    def work(name: str) -> Work:
        return Work(contact(id=name), ListFeed("acc_1", "flw_1", "lst_1"))

    mail, told = Mailbox(size), []
    mail.on_urgent = lambda: told.append(len(mail))
    for n in range(size):
        mail.post(work(f"normal {n}"), 2)
    assert not mail.has_room(1)
    assert mail.has_room(URGENT)
    in_hand = mail.take()
    assert mail.exchange(*in_hand) == in_hand
    mail.post(work("urgent"), URGENT)
    assert told == [size]
    swapped, rank = mail.exchange(*in_hand)
    assert (swapped.contact.id, rank) == ("urgent", URGENT)
    assert [mail.take()[0].contact.id for _ in range(size)] == [f"normal {n}" for n in range(size)]


@pytest.mark.parametrize("comes_before", [True, False])
def test_urgent_contacts_that_keep_coming_to_a_did_starve_nobody_there(comes_before: bool) -> None:
    """Whether they are there when the next one is taken, or come while it waits for its limits."""
    feed, went = ListFeed("acc_1", "flw_1", "lst_1"), []
    mail = Mailbox(100)
    for n in range(10):
        mail.post(Work(contact(id=f"normal {n}"), feed), 2)
    for n in range(30):
        urgent = Work(contact(id=f"urgent {n}"), feed)
        if comes_before:
            mail.post(urgent, URGENT)
        in_hand = mail.take()
        if not comes_before:
            mail.post(urgent, URGENT)
        went.append(mail.exchange(*in_hand)[1])
        mail.end_turn()
    assert went == ([URGENT] * PASSED_MAX + [2]) * 3
