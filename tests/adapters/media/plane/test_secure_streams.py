"""Streams with SRTP over real sockets, with libsrtp at the other end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.media import control
from adapters.media.plane.allowance import TURN_NS
from adapters.media.plane.latch import PROOF_PACKETS
from adapters.media.types import SrtpKeys, SuiteName
from adapters.media.wire.rtcp import Compound, build, parse
from adapters.media.wire.rtp import Header, build_packet, parse_packet
from tests.adapters.media.callee import HOST
from tests.adapters.media.planes import WAYS, Board, Peer, open_board, open_peers, write_prompt
from tests.adapters.media.secure_peer import SUITES, SecurePeer, keys_of

FRAME_MS = 20
KEYS = keys_of("AES_CM_128_HMAC_SHA1_80")


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with open_board(tmp_path, request.param) as one:
        yield one


def voice(number: int, ssrc: int = 5) -> bytes:
    return build_packet(Header(0, number & 0xFFFF, 160 * number & 0xFFFF_FFFF, ssrc), b"\xff" * 160)


def say(board: Board, peer: Peer, port: int, *packets: bytes) -> None:
    """Packets, one every 20 ms."""
    for packet in packets:
        peer.endpoint.sendto(packet, (HOST, port))
        board.run(FRAME_MS)


def received(peer: Peer) -> list[bytes]:
    """What has come to a peer."""
    packets = []
    while True:
        try:
            packets.append(peer.endpoint.recv(2_000))
        except BlockingIOError:
            return packets


def opened(secure: SecurePeer, packets: list[bytes]) -> list[tuple[Header, bytes]]:
    found = []
    for packet in packets:
        parsed = parse_packet(secure.open(packet) or b"")
        assert parsed is not None
        found.append(parsed)
    return found


@pytest.mark.parametrize("suite", SUITES)
def test_a_prompt_is_heard_whole_and_a_callee_too(
    board: Board, tmp_path: Path, suite: SuiteName
) -> None:
    sound = write_prompt(tmp_path, "hello", 10, seed=3)[0]
    keys = keys_of(suite)
    with open_peers(1) as (callee,):
        secure = SecurePeer(keys)
        port = board.open(callee, srtp=keys)
        board.board.obey(control.Play(1, 1, "hello"))
        say(board, callee, port, *(secure.protect(voice(number)) for number in range(10)))
        heard = opened(secure, received(callee))
        assert b"".join(payload for _, payload in heard) == sound
        assert [header.sequence for header, _ in heard] == list(
            range(heard[0][0].sequence, heard[0][0].sequence + 10)
        )
        assert heard[0][0].sequence < 0x8000 + 10
        assert board.close(1).statistics.packets_received == 10


def test_a_stream_in_the_clear_beside_it_stays_in_the_clear(board: Board) -> None:
    with open_peers(2) as (plain, callee):
        plain_port, port = board.open(plain), board.open(callee, srtp=KEYS)
        secure = SecurePeer(KEYS)
        for number in range(5):
            plain.endpoint.sendto(voice(number), (HOST, plain_port))
            callee.endpoint.sendto(secure.protect(voice(number)), (HOST, port))
            board.run(FRAME_MS)
        assert [len(packet) for packet in received(plain)] == [172] * 5
        assert len(opened(secure, received(callee))) == 5
        assert [board.close(stream).statistics.packets_received for stream in (1, 2)] == [5, 5]


def test_replayed_forged_and_clear_packets_are_dropped_and_counted(board: Board) -> None:
    with open_peers(1) as (callee,):
        port = board.open(callee, srtp=KEYS)
        secure = SecurePeer(KEYS)
        first = secure.protect(voice(1))
        say(board, callee, port, first, first, voice(2), os.urandom(182), b"", first[:20])
        say(board, callee, port, secure.protect(voice(2)))
        assert board.board.shields.packets_rejected == 5
        assert board.close(1).statistics.packets_received == 2


def test_ten_thousand_forged_packets_change_nothing(board: Board) -> None:
    """From the callee's own address, as a sender who forges addresses would have it."""
    with open_peers(1) as (callee,):
        port = board.open(callee, srtp=KEYS)
        secure = SecurePeer(KEYS)
        say(board, callee, port, secure.protect(voice(1)))
        received(callee)
        event = bytes([5, 0x8A, 3, 32])
        for number in range(10_000):
            forged = build_packet(Header(101, number & 0xFFFF, 7, 5), event) + os.urandom(10)
            callee.endpoint.sendto(forged, (HOST, port))
            board.now_ns += TURN_NS
            board.board.hear(board.now_ns)
        assert board.board.shields.packets_rejected == 10_000
        say(board, callee, port, secure.protect(voice(2)))
        assert board.take_events() == []
        assert len(opened(secure, received(callee))) == 1
        assert board.close(1).statistics.packets_received == 2


def test_only_an_authentic_stream_from_elsewhere_moves_a_secure_one(board: Board) -> None:
    with open_peers(3) as (in_sdp, callee, stranger):
        port = board.open(in_sdp, srtp=KEYS)
        say(board, stranger, port, *(voice(number, ssrc=6) for number in range(20)))
        assert (board.take_events(), stranger.count_heard()) == ([], 0)
        secure = SecurePeer(KEYS)
        packets = [secure.protect(voice(number)) for number in range(PROOF_PACKETS)]
        say(board, callee, port, *packets)
        assert board.take_events() == [control.Moved(1, HOST, callee.port)]
        say(board, callee, port, secure.protect(voice(PROOF_PACKETS)))
        assert board.close(1).statistics.packets_received == 1


def test_what_was_said_before_and_is_said_again_by_a_stranger_moves_nobody(board: Board) -> None:
    with open_peers(3) as (in_sdp, callee, stranger):
        port = board.open(in_sdp, srtp=KEYS)
        secure = SecurePeer(KEYS)
        overheard = [secure.protect(voice(number)) for number in range(PROOF_PACKETS - 1)]
        say(board, callee, port, *overheard)
        say(board, stranger, port, *overheard, *overheard)
        assert board.take_events() == []
        say(board, callee, port, secure.protect(voice(PROOF_PACKETS - 1)))
        assert board.take_events() == [control.Moved(1, HOST, callee.port)]


def test_a_key_that_is_pressed_is_heard(board: Board) -> None:
    with open_peers(1) as (callee,):
        port = board.open(callee, srtp=KEYS)
        secure = SecurePeer(KEYS)
        event = build_packet(Header(101, 1, 160, 5, 1), bytes([5, 0x8A, 3, 32]))
        say(board, callee, port, secure.protect(event))
        assert board.take_events() == [control.DigitHeard(1, "5")]


def test_a_refresh_with_the_same_keys_goes_on_and_with_others_begins_anew(board: Board) -> None:
    with open_peers(1) as (callee,):
        port = board.open(callee, srtp=KEYS)
        first = SecurePeer(KEYS)
        say(board, callee, port, first.protect(voice(1)))
        board.connect(1, callee.port, srtp=KEYS)
        say(board, callee, port, first.protect(voice(2)))
        assert len(opened(first, received(callee))) == 2
        changed = SrtpKeys("AEAD_AES_128_GCM", b"a" * 28, b"b" * 28)
        board.connect(1, callee.port, srtp=changed)
        second = SecurePeer(changed)
        say(board, callee, port, first.protect(voice(3)), second.protect(voice(3)))
        assert len(opened(second, received(callee))) == 2
        assert board.board.shields.packets_rejected == 1
        board.connect(1, callee.port)
        say(board, callee, port, voice(4))
        assert [len(packet) for packet in received(callee)] == [172]
        assert board.close(1).statistics.packets_received == 4


def test_a_stream_that_takes_a_secure_one_s_place_is_in_the_clear(board: Board) -> None:
    with open_peers(2) as (first, second):
        board.open(first, srtp=KEYS)
        board.close(1)
        # Every row once, so that the first one's is among them.
        ports = [board.open(second) for _ in range(20)]
        assert len(ports) == 20
        board.run(FRAME_MS)
        assert {len(packet) for packet in received(second)} == {172}


def test_reports_of_both_sides_are_encrypted_too(board: Board) -> None:
    with open_peers(1) as (callee,):
        port = board.open(callee, srtp=KEYS)
        secure = SecurePeer(KEYS)
        board.board.obey(control.Connect(1, HOST, callee.port, 0, 101, is_muxed=True, srtp=KEYS))
        board.run(7_000)
        sent = [packet for packet in received(callee) if 192 <= packet[1] <= 223]
        reports = [secure.open_rtcp(packet) for packet in sent]
        assert [parse(report or b"") is not None for report in reports] == [True] * len(sent)
        assert reports
        theirs = secure.protect_rtcp(build(Compound(5, None, (), b"callee")))
        say(board, callee, port, theirs, theirs, theirs[:-1] + b"x")
        assert (board.board.hearing.rtcp_received, board.board.desk.malformed) == (1, 0)
        assert board.board.shields.packets_rejected == 2


def test_a_secure_callee_and_an_open_one_hear_each_other(board: Board) -> None:
    with open_peers(2) as (callee, agent):
        port, agent_port = board.open(callee, srtp=KEYS), board.open(agent)
        secure = SecurePeer(KEYS)
        board.board.obey(control.Bridge(1, 2))
        payload = bytes(range(160))
        for number in range(20):
            spoken = build_packet(Header(0, number, 160 * number, 5), payload)
            callee.endpoint.sendto(secure.protect(spoken), (HOST, port))
            agent.endpoint.sendto(spoken, (HOST, agent_port))
            board.run(FRAME_MS)
        to_callee = opened(secure, [p for p in received(callee) if not 192 <= p[1] <= 223])
        to_agent = [parse_packet(packet) for packet in received(agent)]
        assert [one for _, one in to_callee][-10:] == [payload] * 10
        assert [one[1] for one in to_agent if one][-10:] == [payload] * 10
