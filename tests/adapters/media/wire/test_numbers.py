"""Which number of whom means what, when the two sides of a call number things differently."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.media import control
from adapters.media.wire.dtmf import make_script
from adapters.media.wire.numbers import EVENT, NOTHING, Numbers, NumberTable
from adapters.media.wire.rtp import Header
from tests.adapters.media.planes import WAYS, Board, hear_packets, open_board, open_peers


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with open_board(tmp_path, request.param) as one:
        yield one


@pytest.mark.parametrize(
    ("numbers", "meanings"),
    [
        (Numbers(0, 0, None, 0, None), {0: 0}),
        (Numbers(8, 8, 96, 8, 101), {8: 8, 96: EVENT, 101: EVENT}),
        (Numbers(111, 96, 97, 111, 110), {96: 111, 97: EVENT, 111: 111, 110: EVENT}),
        # What we gave goes before what the callee calls so.
        (Numbers(111, 110, 111, 111, 110), {111: 111, 110: EVENT}),
    ],
)
def test_numbers_of_both_sides_are_taken_and_ours_first(
    numbers: Numbers, meanings: dict[int, int]
) -> None:
    table = NumberTable(2)
    table.agree(1, numbers)
    rows, types = np.ones(128, np.intp), np.arange(128, dtype=np.uint8)
    found = table.read(rows, types).tolist()
    assert found == [meanings.get(number, NOTHING) for number in range(128)]
    assert [table.read_one(1, number) for number in range(128)] == found
    table.clear(1)
    assert set(table.read(rows, types).tolist()) == {NOTHING}


@pytest.mark.parametrize("number", [96, 101])
def test_keys_are_read_under_our_number_and_under_the_callees(board: Board, number: int) -> None:
    with open_peers(1) as (callee,):
        port = board.open(callee, 0, 96, heard_event=101)
        for sequence, packet in enumerate(make_script("4").packets):
            callee.send(port, Header(number, sequence, 0, 7, packet.marker), packet.payload)
            board.run(20)
        assert board.take_events() == [control.DigitHeard(1, "4")]


def test_keys_that_we_press_have_the_callees_number(board: Board) -> None:
    with open_peers(1) as (callee,):
        board.open(callee, 0, 96, heard_event=101)
        board.run(20)
        board.board.obey(control.Press(1, 1, "4"))
        board.run(200)
        kinds = {header.payload_type for header, _ in hear_packets(callee)}
    assert kinds == {0, 96}
