"""Where a stream sends and whom it hears, whoever else sends to its port."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.media import control
from adapters.media.plane import ears
from adapters.media.plane.latch import PROOF_PACKETS
from adapters.media.plane.quality import estimate_mos
from adapters.media.sockets.way import Way
from adapters.media.wire.rtp import Header
from engine.ports.telephony import MediaStatistics
from tests.adapters.media.callee import HOST
from tests.adapters.media.planes import WAYS, Board, Peer, open_board, open_peers

FRAME_MS = 20


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with open_board(tmp_path, request.param) as one:
        yield one


def speak(board: Board, peer: Peer, port: int, packets: int, ssrc: int, first: int = 0) -> None:
    """A stream at its own pace."""
    for number in range(first, first + packets):
        peer.send(port, Header(0, number, 160 * number, ssrc))
        board.run(FRAME_MS)


def test_a_callee_at_the_address_of_its_sdp_is_heard_and_spoken_to(board: Board) -> None:
    with open_peers(1) as (callee,):
        port = board.open(callee)
        speak(board, callee, port, 10, ssrc=5)
        assert callee.count_heard() == 10
        assert board.close(1).statistics.packets_received == 10


def test_a_callee_behind_address_translation_is_found_by_its_stream(board: Board) -> None:
    with open_peers(2) as (in_sdp, callee):
        port = board.open(in_sdp)
        speak(board, callee, port, PROOF_PACKETS, ssrc=5)
        assert board.take_events() == [control.Moved(1, HOST, callee.port)]
        assert in_sdp.count_heard() + callee.count_heard() == PROOF_PACKETS
        speak(board, callee, port, 10, ssrc=5, first=PROOF_PACKETS)
        assert (callee.count_heard(), in_sdp.count_heard()) == (10, 0)
        assert board.close(1).statistics == MediaStatistics(
            PROOF_PACKETS + 10, 10, 0.0, 0.0, mos=estimate_mos(0.0, 0.0, None)
        )


def test_a_callee_that_was_found_is_not_lost_to_the_next_stranger_or_to_its_sdp(
    board: Board,
) -> None:
    with open_peers(3) as (in_sdp, callee, stranger):
        port = board.open(in_sdp)
        speak(board, callee, port, 10, ssrc=5)
        # A refresh of the session says the same as before.
        board.connect(1, in_sdp.port)
        for peer in (callee, in_sdp, stranger):
            peer.count_heard()
        speak(board, stranger, port, 20, ssrc=6)
        speak(board, in_sdp, port, 20, ssrc=7)
        assert [peer.count_heard() for peer in (callee, in_sdp, stranger)] == [40, 0, 0]


def test_a_callee_that_was_heard_cannot_be_moved_any_more(board: Board) -> None:
    with open_peers(2) as (callee, stranger):
        port = board.open(callee)
        speak(board, callee, port, 1, ssrc=5)
        speak(board, stranger, port, 50, ssrc=6)
        assert (callee.count_heard(), stranger.count_heard()) == (51, 0)
        assert board.board.hearing.strangers_packets == 0
        assert board.close(1).statistics.packets_received == 1


def test_another_negotiated_address_may_be_learnt_anew(board: Board) -> None:
    with open_peers(3) as (first, second_in_sdp, second):
        port = board.open(first)
        speak(board, first, port, 3, ssrc=5)
        board.connect(1, second_in_sdp.port)
        speak(board, second, port, 10, ssrc=6)
        assert board.take_events() == [control.Moved(1, HOST, second.port)]


def test_nobody_is_learnt_after_the_time_for_it(board: Board) -> None:
    with open_peers(2) as (silent, stranger):
        port = board.open(silent)
        board.run(FRAME_MS)
        board.now_ns += ears.LEARN_NS
        board.run(FRAME_MS)
        speak(board, stranger, port, 50, ssrc=6)
        assert (board.take_events(), stranger.count_heard()) == ([], 0)


def test_the_ear_that_is_open_for_longest_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ears, "EARS_MAX", 2)
    with open_board(tmp_path, WAYS[0]) as board, open_peers(2) as (silent, callee):
        ports = [board.open(silent) for _ in range(3)]
        for port in ports:
            speak(board, callee, port, 10, ssrc=5)
        assert board.take_events() == [
            control.Moved(stream, HOST, callee.port) for stream in (2, 3)
        ]


def forged(chance: np.random.Generator) -> tuple[Header, bytes]:
    """What a stranger may send: sound that goes on, keys, and whatever else."""
    number = int(chance.integers(1 << 16))
    kind = int(chance.choice([0, 0, 8, 101, 101, 96]))
    payload = bytes([number % 16, 0x8A, 0, 160]) if kind == 101 else b"\x55" * 160
    return Header(kind, number, number * 160, int(chance.integers(3))), payload


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("heard_before", [0, 3])
def test_10_000_forged_packets_make_no_digit_no_change_of_address_and_no_growth(
    tmp_path: Path, way: Way, heard_before: int
) -> None:
    chance = np.random.default_rng(1)
    with open_board(tmp_path, way) as board, open_peers(6) as (callee, *strangers):
        port = board.open(callee)
        speak(board, callee, port, heard_before, ssrc=5)
        board.run(FRAME_MS)
        callee.count_heard()
        descriptors = len(os.listdir("/proc/self/fd"))
        for number in range(10_000):
            stranger = strangers[number % len(strangers)]
            stranger.send(port, *forged(chance))
            stranger.send(port, Header(0, number // len(strangers), 32 * number, 9))
            # To the port of RTCP as well, and what is no packet at all.
            stranger.endpoint.sendto(b"\x80\xc8\x00\x00junk", (HOST, port + 1))
            stranger.endpoint.sendto(chance.bytes(number % 40), (HOST, port))
            if number % 50 == 0:
                board.run(FRAME_MS)
        board.run(FRAME_MS)
        hearing = board.board.hearing
        assert board.take_events() == []
        assert callee.count_heard() == 201
        assert [stranger.count_heard() for stranger in strangers] == [0] * 5
        assert (hearing.packets_received, hearing.rtcp_received) == (heard_before, 0)
        assert len(os.listdir("/proc/self/fd")) == descriptors
        assert board.close(1).statistics.packets_received == heard_before
