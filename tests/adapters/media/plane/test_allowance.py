"""Who sends what a codec allows is never held up, and who floods is, each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media.plane.allowance import PACE, SAVED_NS, TURN_NS, Allowance
from adapters.media.wire.rtp import Header
from tests.adapters.media.planes import WAYS, Board, open_board, open_peers

MS = 1_000_000
TICK_NS = 2 * MS
ROWS = 7
S = 1_000 * MS


def takes(allowance: Allowance, slot: int, now_ns: int) -> bool:
    return allowance.take(np.array([slot]), now_ns) is None


def count_taken(allowance: Allowance, slot: int, from_ns: int, until_ns: int) -> int:
    """Of a packet in each tick, those that are taken."""
    return sum(takes(allowance, slot, now_ns) for now_ns in range(from_ns, until_ns, TICK_NS))


@pytest.mark.parametrize("packet_ms", [10, 20, 30, 60])
def test_nobody_is_held_up_who_sends_at_the_pace_of_a_codec(packet_ms: int) -> None:
    allowance = Allowance(ROWS)
    for now_ns in range(S, 31 * S, packet_ms * MS):
        allowance.note_length(3, 8 * packet_ms)
        assert takes(allowance, 3, now_ns)
    assert (allowance.packets_flooded, allowance.read_flooded(3)) == (0, 0)


def test_keys_and_sound_at_once_are_no_flood() -> None:
    """Sound in packets of 10 ms, and beside it those of a key that is held down for 800 ms."""
    allowance = Allowance(ROWS)
    for now_ns in range(S, S + 800 * MS, 20 * MS):
        for later_ms in (0, 2, 10):
            assert takes(allowance, 0, now_ns + later_ms * MS)


def test_what_a_network_held_back_for_400_ms_is_taken_at_once() -> None:
    allowance = Allowance(ROWS)
    assert count_taken(allowance, 0, S, S + 20 * TICK_NS) == 20


@given(
    gaps_ticks=st.lists(st.integers(0, 300), max_size=60),
    samples=st.sampled_from([0, 80, 160, 960]),
    row=st.integers(0, ROWS - 1),
)
def test_in_any_time_a_row_has_its_turns_and_those_it_has_saved(
    gaps_ticks: list[int], samples: int, row: int
) -> None:
    allowance = Allowance(ROWS)
    allowance.note_length(row, samples)
    cost_ns = max(TURN_NS, samples * 125_000 // PACE)
    now_ns = S
    taken_ns = []
    for gap in gaps_ticks:
        now_ns += gap * TICK_NS
        if takes(allowance, row, now_ns):
            taken_ns.append(now_ns)
    for first, first_ns in enumerate(taken_ns):
        for last, last_ns in enumerate(taken_ns[first:], first):
            # Turns come in steps of one, and the last packet may cost more than is left.
            spent_before_ns = (last - first) * cost_ns
            assert spent_before_ns < last_ns - first_ns + SAVED_NS + TURN_NS


def test_long_sound_that_is_decoded_comes_at_most_at_twice_its_pace() -> None:
    allowance = Allowance(ROWS)
    allowance.note_length(2, 960)
    count_taken(allowance, 2, S, 2 * S)
    # 120 ms of sound in each.
    assert count_taken(allowance, 2, 2 * S, 14 * S) == PACE * 12_000 // 120


def test_a_flood_is_counted_and_leaves_other_rows_and_the_other_port_their_turns() -> None:
    allowance = Allowance(ROWS)
    taken = count_taken(allowance, 1, S, 2 * S)
    assert taken == (S + SAVED_NS) // TURN_NS
    flooded = S // TICK_NS - taken
    assert (allowance.read_flooded(1), allowance.packets_flooded) == (flooded, flooded)
    assert allowance.read_flooded(2) == 0
    for slot in (0, 2, ROWS + 1):
        assert takes(allowance, slot, 2 * S)
    count_taken(allowance, ROWS + 1, 2 * S, 3 * S)
    assert allowance.read_flooded(1) > flooded
    allowance.clear(1)
    assert allowance.read_flooded(1) == 0
    assert takes(allowance, 1, 3 * S)


def test_those_who_flood_have_their_turns_in_different_ticks() -> None:
    allowance = Allowance(16)
    everybody = np.arange(16)
    ticks = []
    for now_ns in range(S, 3 * S, TICK_NS):
        good = allowance.take(everybody, now_ns)
        ticks.append(16 if good is None else int(good.sum()))
    # Once what was saved is used up: a turn is four ticks.
    assert max(ticks[500:]) <= 5


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with open_board(tmp_path, request.param) as one:
        yield one


def test_a_callee_who_floods_is_told_of_in_its_call_and_nobody_else_loses_a_packet(
    board: Board,
) -> None:
    with open_peers(2) as (bad, good):
        bad_port, good_port = board.open(bad), board.open(good)
        for tick in range(500):
            bad.send(bad_port, Header(0, tick, 160 * tick, 1))
            if tick % 10 == 0:
                good.send(good_port, Header(0, tick // 10, 16 * tick, 2))
            board.run(2)
        flooder, other = board.close(1).statistics, board.close(2).statistics
    taken = (S + SAVED_NS) // TURN_NS
    assert abs(flooder.packets_received - taken) <= 1
    assert flooder.packets_received + flooder.flooded == 500
    assert (other.packets_received, other.loss, other.flooded) == (50, 0.0, 0)
