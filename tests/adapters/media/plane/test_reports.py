"""RTCP of a plane whose clock the test holds, as a callee with a socket for it sees it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.media import control
from adapters.media.plane.reports import (
    COMPENSATION,
    INTERVAL_S,
    LOOK_EVERY_NS,
    REPORTS_PER_TICK_MAX,
)
from adapters.media.wire.rtcp import Block, Compound, SenderInfo, build, ntp_of, parse, short_of
from adapters.media.wire.rtp import RTCP_TYPE_MIN, Header
from tests.adapters.media.callee import HOST
from tests.adapters.media.planes import WAYS, Board, Peer, hear_packets, open_board, open_peers

FRAME_MS = 20
THEIR_SSRC = 5


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with open_board(tmp_path, request.param) as one:
        yield one


class Reporting:
    """A callee's RTCP socket."""

    def __init__(self, endpoint: socket.socket) -> None:
        self._endpoint = endpoint
        self.port: int = endpoint.getsockname()[1]

    def send(self, port: int, octets: bytes) -> None:
        self._endpoint.sendto(octets, (HOST, port))

    def hear(self) -> list[Compound]:
        """The compounds that have come since the last time."""
        compounds: list[Compound] = []
        while True:
            try:
                octets = self._endpoint.recv(2_000)
            except BlockingIOError:
                return compounds
            compound = parse(octets)
            assert compound is not None
            compounds.append(compound)


@contextmanager
def open_reporting() -> Iterator[tuple[Peer, Reporting]]:
    with ExitStack() as stack:
        (peer,) = stack.enter_context(open_peers(1))
        endpoint = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        endpoint.bind((HOST, 0))
        endpoint.setblocking(False)
        yield peer, Reporting(endpoint)


def open_stream(board: Board, peer: Peer, rtcp_port: int | None, *, is_muxed: bool = False) -> int:
    board.board.obey(control.Open([1]))
    board.board.open_some()
    opened = board.take_events()[-1]
    assert isinstance(opened, control.Opened)
    board.board.obey(
        control.Connect(1, HOST, peer.port, 0, 101, rtcp_port=rtcp_port, is_muxed=is_muxed)
    )
    return opened.port


def test_reports_count_what_was_sent_and_what_was_heard(board: Board) -> None:
    with open_reporting() as (peer, reporting):
        port = open_stream(board, peer, reporting.port)
        # Of 200 packets every tenth is lost.
        for number in range(200):
            if number % 10 != 3:
                peer.send(port, Header(0, 65_500 + number & 0xFFFF, 160 * number, THEIR_SSRC))
            board.run(FRAME_MS)
        heard = hear_packets(peer)
        first, *_ = reporting.hear()
        assert first.sender is not None
        assert first.ssrc == heard[0][0].ssrc
        number = first.sender.packets
        assert first.sender == SenderInfo(
            # The clock of the test begins at 0, and the first packet left within the first 20 ms.
            first.sender.ntp,
            heard[number - 1][0].timestamp + 160 & 0xFFFF_FFFF,
            number,
            160 * number,
        )
        at_s = (first.sender.ntp - ntp_of(0)) / (1 << 32)
        assert at_s == pytest.approx(number * 0.02, abs=0.021)
        (block,) = first.blocks
        expected = block.highest - 65_500 + 1
        lost = (expected + 6) // 10
        assert block == Block(THEIR_SSRC, 256 * lost // expected, lost, block.highest, block.jitter)
        assert expected == pytest.approx(number, abs=2)
        assert len(first.cname) == 16
        assert not first.is_bye


def test_the_second_report_tells_what_was_lost_since_the_first_and_when_theirs_came(
    board: Board,
) -> None:
    with open_reporting() as (peer, reporting):
        port = open_stream(board, peer, reporting.port)
        number = 0

        def speak_until_report() -> Compound:
            nonlocal number
            while not (compounds := reporting.hear()):
                peer.send(port, Header(0, number, 160 * number, THEIR_SSRC))
                number += 1
                board.run(FRAME_MS)
            return compounds[0]

        speak_until_report()
        number += 25
        ntp = ntp_of(123_456_789_000)
        reporting.send(port + 1, build(Compound(THEIR_SSRC, SenderInfo(ntp, 0, number, 0))))
        board.run(FRAME_MS)
        came_ns = board.now_ns
        (block,) = speak_until_report().blocks
        assert (block.lost, block.last_report) == (25, short_of(ntp))
        assert block.fraction_lost > 0
        assert block.delay / 65_536 == pytest.approx((board.now_ns - came_ns) / 1e9, abs=0.05)
        (block,) = speak_until_report().blocks
        assert (block.lost, block.fraction_lost) == (25, 0)


def test_what_the_callee_reports_is_in_the_figures(board: Board) -> None:
    with open_reporting() as (peer, reporting):
        port = open_stream(board, peer, reporting.port)
        peer.send(port, Header(0, 1, 160, THEIR_SSRC))
        while not (compounds := reporting.hear()):
            board.run(2)
        ours = compounds[0]
        assert ours.sender is not None
        # It has our report for a second, and the way there and back took 40 ms.
        board.run(1_040)
        block = Block(ours.ssrc, 10, 20, 500, 80, short_of(ours.sender.ntp), 65_536)
        strange = Block(ours.ssrc ^ 1, 255, 9_999, 1, 9_999)
        reporting.send(port + 1, build(Compound(THEIR_SSRC, None, (strange, block))))
        board.run(FRAME_MS)
        statistics = board.close(1).statistics
        sent = statistics.packets_sent
        assert statistics.remote_loss == pytest.approx(20 / sent, rel=0.02)
        assert statistics.remote_jitter_ms == 10.0
        assert statistics.rtt_ms == pytest.approx(40, abs=5)
        assert statistics.mos is not None


def test_an_answer_to_a_report_that_was_never_sent_is_no_round_trip(board: Board) -> None:
    with open_reporting() as (peer, reporting):
        port = open_stream(board, peer, reporting.port)
        while not (compounds := reporting.hear()):
            board.run(FRAME_MS)
        block = Block(compounds[0].ssrc, 0, 0, 1, 8, 77, 0)
        reporting.send(port + 1, build(Compound(THEIR_SSRC, None, (block,))))
        board.run(FRAME_MS)
        statistics = board.close(1).statistics
        assert (statistics.rtt_ms, statistics.remote_jitter_ms) == (None, 1.0)


def test_a_stream_that_ends_says_goodbye(board: Board) -> None:
    with open_reporting() as (peer, reporting):
        open_stream(board, peer, reporting.port)
        board.run(5 * FRAME_MS)
        sent = board.close(1).statistics.packets_sent
        (bye,) = reporting.hear()
        assert bye.sender is not None
        assert (bye.is_bye, bye.sender.packets, bye.blocks) == (True, sent, ())
        board.run(10_000)
        assert reporting.hear() == []


def test_a_stream_that_sends_nothing_reports_as_a_receiver(board: Board) -> None:
    with open_reporting() as (peer, reporting):
        port = open_stream(board, peer, reporting.port)
        board.board.obey(control.Connect(1, "0.0.0.0", peer.port, 0))
        peer.send(port, Header(0, 1, 160, THEIR_SSRC))
        board.run(1_000 * INTERVAL_S)
        compounds = reporting.hear()
        assert {compound.sender for compound in compounds} == {None}
        assert {len(compound.blocks) for compound in compounds} == {1}


def test_reports_keep_the_interval_of_the_rfc_and_are_spread(tmp_path: Path) -> None:
    with ExitStack() as stack:
        board = stack.enter_context(open_board(tmp_path, WAYS[0], capacity=60))
        peers = [stack.enter_context(open_reporting()) for _ in range(50)]
        for number, (peer, reporting) in enumerate(peers, 1):
            board.board.obey(control.Open([number]))
            board.board.open_some()
            board.board.obey(control.Connect(number, HOST, peer.port, 0, rtcp_port=reporting.port))
        moments: list[list[float]] = [[] for _ in peers]
        burst_max = 0
        desk = board.board.desk
        for _ in range(30_000 // 2):
            before = desk.sent
            board.now_ns += board.STEP_NS
            desk.send_due(board.now_ns)
            burst_max = max(burst_max, desk.sent - before)
            if desk.sent > before:
                for (_, reporting), its in zip(peers, moments, strict=True):
                    its += [board.now_ns / 1e9] * len(reporting.hear())
        shortest, longest = (INTERVAL_S * share / COMPENSATION for share in (0.5, 1.5))
        gaps = [later - one for its in moments for one, later in pairwise(its)]
        assert min(gaps) >= shortest - 0.01
        look_s = LOOK_EVERY_NS / 1e9
        assert max(gaps) <= longest + look_s + 0.01
        assert sum(gaps) / len(gaps) == pytest.approx(INTERVAL_S / COMPENSATION, rel=0.1)
        assert all(its[0] <= longest / 2 + look_s + 0.01 for its in moments)
        assert burst_max <= REPORTS_PER_TICK_MAX


def test_where_both_share_a_port_reports_go_with_the_sound(board: Board) -> None:
    with open_peers(1) as (peer,):
        port = open_stream(board, peer, None, is_muxed=True)
        octets = []
        for _ in range(200):
            board.run(FRAME_MS)
            while (packet := peer.receive()) is not None:
                octets.append(packet)
        reports = [parse(packet) for packet in octets if packet[1] >= RTCP_TYPE_MIN]
        assert reports
        ours = reports[0]
        assert ours is not None
        block = Block(ours.ssrc, 0, 0, 1, 16)
        peer.endpoint.sendto(build(Compound(THEIR_SSRC, None, (block,))), (HOST, port))
        board.run(FRAME_MS)
        assert board.close(1).statistics.remote_jitter_ms == 2.0


def test_what_is_no_rtcp_and_what_strangers_send_changes_nothing(board: Board) -> None:
    with open_reporting() as (peer, reporting), open_reporting() as (_, stranger):
        port = open_stream(board, peer, reporting.port)
        while not (compounds := reporting.hear()):
            board.run(FRAME_MS)
        block = Block(compounds[0].ssrc, 255, 9_999, 1, 9_999)
        for _ in range(100):
            stranger.send(port + 1, build(Compound(THEIR_SSRC, None, (block,))))
            stranger.send(port, build(Compound(THEIR_SSRC, None, (block,))))
            reporting.send(port + 1, b"\x80\xc9\x00\x09junk")
            board.run(FRAME_MS)
        board.run(200)
        assert board.board.desk.malformed == 100
        statistics = board.close(1).statistics
        assert (statistics.remote_loss, statistics.remote_jitter_ms) == (None, None)
