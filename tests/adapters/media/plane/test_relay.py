"""Bridged streams on a plane whose clock the test holds: what goes in here comes out there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.media import control
from adapters.media.codecs.g711 import ALAW, LAWS, ULAW
from adapters.media.plane.dtmf_tones import tone_octets
from adapters.media.plane.relay import FILL_NS
from adapters.media.wire.dtmf import make_script
from adapters.media.wire.rtp import Header
from tests.adapters.media.planes import WAYS, Board, Peer, hear_packets, open_board, open_peers

FRAME_MS = 20
MARKED = 1


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with open_board(tmp_path, request.param) as one:
        yield one


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    with open_peers(3) as three:
        yield three


class Caller:
    """A callee that speaks: frames of noise, one after the other."""

    def __init__(self, board: Board, peer: Peer, port: int, payload_type: int = 0) -> None:
        self.board = board
        self.peer = peer
        self.port = port
        self.payload_type = payload_type
        self.ssrc = 7
        self.sequence = 65_530
        self.timestamp = 0xFFFF_FFFF - 400
        self._chance = np.random.default_rng(peer.port)
        self.spoken: list[bytes] = []

    def make_frame(self) -> bytes:
        """20 ms of noise that nobody else makes."""
        return self._chance.bytes(160)

    def speak(self, frames: int = 1, marker: int = 0) -> None:
        """So many packets at their pace."""
        for _ in range(frames):
            self.spoken.append(self.make_frame())
            self.send(self.spoken[-1], marker)
            self.board.run(FRAME_MS)

    def send(self, payload: bytes, marker: int = 0) -> None:
        header = Header(
            self.payload_type,
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFF_FFFF,
            self.ssrc,
            marker,
        )
        self.peer.send(self.port, header, payload)
        self.lose()

    def lose(self) -> None:
        """Go on as if a packet had been sent."""
        self.sequence += 1
        self.timestamp += 160

    def press(self, digits: str, event_type: int = 101) -> None:
        """Keys as events, and nothing in the ticks between."""
        script = make_script(digits)
        first = self.timestamp
        packets = {packet.tick: packet for packet in script.packets}
        for tick in range(script.ticks):
            packet = packets.get(tick)
            if packet is not None:
                at = first + packet.timestamp & 0xFFFF_FFFF
                header = Header(event_type, self.sequence & 0xFFFF, at, self.ssrc, packet.marker)
                self.peer.send(self.port, header, packet.payload)
                self.sequence += 1
            self.timestamp += 160
            self.board.run(FRAME_MS)


def assert_unbroken(packets: list[tuple[Header, bytes]]) -> None:
    """One source whose sequence numbers go on by one."""
    first = packets[0][0]
    assert {header.ssrc for header, _ in packets} == {first.ssrc}
    numbers = [(header.sequence - first.sequence) & 0xFFFF for header, _ in packets]
    assert numbers == list(range(len(packets)))


def bridged(
    board: Board,
    peers: list[Peer],
    kinds: tuple[int, int] = (0, 0),
    events: tuple[int | None, int | None] = (101, 101),
) -> tuple[Caller, Caller]:
    """Two callees whose streams, 1 and 2, are bridged; both have heard some silence before."""
    one, other = (
        Caller(board, peer, board.open(peer, kind, event), kind)
        for peer, kind, event in zip(peers, kinds, events, strict=False)
    )
    board.run(3 * FRAME_MS)
    board.board.obey(control.Bridge(1, 2))
    return one, other


@pytest.mark.parametrize("kinds", [(0, 0), (8, 8), (0, 8), (8, 0)])
def test_each_hears_the_other_sample_by_sample_in_its_own_law(
    board: Board, peers: list[Peer], kinds: tuple[int, int]
) -> None:
    callers = bridged(board, peers, kinds)
    for _ in range(30):
        for caller in callers:
            caller.spoken.append(caller.make_frame())
            caller.send(caller.spoken[-1])
        board.run(FRAME_MS)
    for speaker, listener in (callers, callers[::-1]):
        heard = hear_packets(listener.peer)
        assert_unbroken(heard)
        law, other_law = LAWS[speaker.payload_type], LAWS[listener.payload_type]
        silence = other_law.silence
        # Some silence of before, and from then on nothing but the other's sound.
        sound = heard[[payload for _, payload in heard].count(silence) :]
        expected = [
            octets
            if law is other_law
            else other_law.encode(law.decode(np.frombuffer(octets, np.uint8))).tobytes()
            for octets in speaker.spoken
        ]
        assert [payload for _, payload in sound] == expected
        assert {header.payload_type for header, _ in heard} == {listener.payload_type}
        assert [header.marker for header, _ in sound] == [MARKED] + [0] * 29
        times = [header.timestamp - sound[0][0].timestamp & 0xFFFF_FFFF for header, _ in sound]
        assert times == [160 * n for n in range(30)]


def test_a_packet_goes_on_in_the_tick_in_which_it_came(board: Board, peers: list[Peer]) -> None:
    one, other = bridged(board, peers)
    one.speak(3)
    hear_packets(other.peer)
    one.send(b"\x11" * 160)
    board.run(2)
    assert [payload for _, payload in hear_packets(other.peer)] == [b"\x11" * 160]


def test_what_is_lost_late_or_doubled_is_so_at_the_other_end(
    board: Board, peers: list[Peer]
) -> None:
    one, other = bridged(board, peers)
    one.speak(3)
    base = hear_packets(other.peer)[-1][0]
    for number in [1, 2, 4, 3, 6, 6, 7]:
        header = Header(
            0, one.sequence + number & 0xFFFF, one.timestamp + 160 * number & 0xFFFF_FFFF, 7
        )
        one.peer.send(one.port, header, bytes([number]) * 160)
        board.run(FRAME_MS)
    heard = [
        (
            header.sequence - base.sequence & 0xFFFF,
            header.timestamp - base.timestamp & 0xFFFF_FFFF,
            payload[0],
        )
        for header, payload in hear_packets(other.peer)
    ]
    assert heard == [(n + 1, 160 * (n + 1), n) for n in [1, 2, 4, 3, 6, 6, 7]]


def test_a_callee_that_begins_anew_goes_on_for_the_other(board: Board, peers: list[Peer]) -> None:
    one, other = bridged(board, peers)
    one.speak(5)
    # Another source, and then a number far away.
    one.ssrc = 8
    one.speak(5)
    one.sequence += 20_000
    one.speak(5)
    heard = hear_packets(other.peer)
    assert_unbroken(heard)
    assert [payload for _, payload in heard[-15:]] == one.spoken
    assert [header.marker for header, _ in heard[-15:]] == ([MARKED] + [0] * 4) * 3
    times = np.diff([header.timestamp for header, _ in heard[-15:]]) & 0xFFFF_FFFF
    assert times.tolist() == [160] * 14


def test_a_callee_that_falls_silent_is_replaced_by_silence_and_comes_back(
    board: Board, peers: list[Peer]
) -> None:
    one, other = bridged(board, peers)
    one.speak(10)
    before = hear_packets(other.peer)
    board.run(1_000)
    filled = hear_packets(other.peer)
    one.speak(10)
    after = hear_packets(other.peer)
    assert_unbroken(before + filled + after)
    assert {payload for _, payload in filled} == {b"\xff" * 160}
    assert len(filled) == pytest.approx((1_000 - FILL_NS / 1e6) / FRAME_MS, abs=2)
    assert [header.marker for header, _ in filled] == [MARKED] + [0] * (len(filled) - 1)
    # The row's own tick may come before the callee's first packet.
    assert [payload for _, payload in after][-10:] == one.spoken[10:]
    assert len(after) in {10, 11}
    # Its time goes on as the clock does.
    passed = after[0][0].timestamp - before[-1][0].timestamp & 0xFFFF_FFFF
    assert passed / 8 == pytest.approx(1_020, abs=40)


def test_keys_go_through_in_the_other_sides_payload_type_and_are_told(
    board: Board, peers: list[Peer]
) -> None:
    one, other = bridged(board, peers, events=(101, 96))
    one.speak(5)
    hear_packets(other.peer)
    board.take_events()
    one.press("1#")
    one.speak(3)
    heard = hear_packets(other.peer)
    assert_unbroken(heard)
    script = make_script("1#").packets
    events = [(header, payload) for header, payload in heard if header.payload_type == 96]
    first = events[0][0].timestamp
    assert [(h.marker, h.timestamp - first & 0xFFFF_FFFF, payload) for h, payload in events] == [
        (packet.marker, packet.timestamp, packet.payload) for packet in script
    ]
    assert [
        event.digit for event in board.take_events() if isinstance(event, control.DigitHeard)
    ] == [
        "1",
        "#",
    ]


@pytest.mark.parametrize("kind", [0, 8])
def test_keys_become_tones_for_a_callee_that_takes_no_events(
    board: Board, peers: list[Peer], kind: int
) -> None:
    one, other = bridged(board, peers, (0, kind), (101, None))
    one.speak(5)
    hear_packets(other.peer)
    one.press("5")
    one.speak(2)
    heard = hear_packets(other.peer)
    assert_unbroken(heard)
    assert b"".join(payload for _, payload in heard[:5]) == tone_octets("5", kind)[:800]
    times = [header.timestamp - heard[0][0].timestamp & 0xFFFF_FFFF for header, _ in heard]
    assert times == [0, 160, 320, 480, 640, 1_280, 1_440]
    assert {header.payload_type for header, _ in heard} == {kind}


def test_what_was_not_agreed_is_left_out_and_nobody_misses_it(
    board: Board, peers: list[Peer]
) -> None:
    one, other = bridged(board, peers)
    one.speak(3)
    hear_packets(other.peer)
    one.payload_type = 13
    one.send(b"\x20")
    board.run(FRAME_MS)
    one.payload_type = 0
    one.speak(3)
    heard = hear_packets(other.peer)
    assert_unbroken(heard)
    assert [payload for _, payload in heard] == one.spoken[3:]


@pytest.mark.parametrize("duration_ms", [10, 30, 60])
def test_packets_of_other_lengths_go_through_as_they_are(
    board: Board, peers: list[Peer], duration_ms: int
) -> None:
    one, other = bridged(board, peers, (0, 8))
    one.speak(1)
    hear_packets(other.peer)
    sound = np.random.default_rng(1).bytes(8 * duration_ms)
    one.send(sound)
    board.run(FRAME_MS)
    (_, payload), *_ = hear_packets(other.peer)
    assert payload == ALAW.encode(ULAW.decode(np.frombuffer(sound, np.uint8))).tobytes()


def test_on_hold_nothing_is_sent_and_afterwards_the_sound_is_there_again(
    board: Board, peers: list[Peer]
) -> None:
    one, other = bridged(board, peers)
    one.speak(5)
    before = hear_packets(other.peer)
    board.board.obey(control.Connect(2, "0.0.0.0", other.peer.port, 0, 101))
    one.speak(10)
    assert hear_packets(other.peer) == []
    board.connect(2, other.peer.port)
    one.speak(5)
    after = hear_packets(other.peer)
    assert_unbroken(before + after)
    assert [payload for _, payload in after][-5:] == one.spoken[-5:]


def test_a_callee_that_moves_is_followed(board: Board, peers: list[Peer]) -> None:
    one, other = bridged(board, peers)
    one.speak(5)
    board.connect(2, peers[2].port)
    one.speak(5)
    assert [payload for _, payload in hear_packets(peers[2])] == one.spoken[5:]
    # It is heard there, and only there.
    other.speak(3)
    moved = Caller(board, peers[2], other.port)
    moved.speak(3)
    heard = [payload for _, payload in hear_packets(one.peer)]
    assert heard[-3:] == moved.spoken
    assert not set(other.spoken) & set(heard)


def test_a_callee_that_changes_its_law_is_understood_at_once(
    board: Board, peers: list[Peer]
) -> None:
    one, other = bridged(board, peers)
    one.speak(3)
    board.connect(2, other.peer.port, payload_type=8)
    hear_packets(other.peer)
    one.speak(3)
    expected = [
        ALAW.encode(ULAW.decode(np.frombuffer(o, np.uint8))).tobytes() for o in one.spoken[3:]
    ]
    assert [payload for _, payload in hear_packets(other.peer)] == expected


@pytest.mark.parametrize("how", ["parted", "closed"])
def test_after_the_bridge_each_goes_on_in_silence(
    board: Board, peers: list[Peer], how: str
) -> None:
    one, other = bridged(board, peers)
    one.speak(5)
    before = hear_packets(other.peer)
    if how == "parted":
        board.board.obey(control.Part(1, 2))
        one.speak(5)
    else:
        board.close(1)
        board.run(5 * FRAME_MS)
    after = hear_packets(other.peer)
    assert_unbroken(before + after)
    assert {payload for _, payload in after} == {b"\xff" * 160}
    assert (len(after), board.board.relay.bridges) == (5, 0)
    assert after[0][0].timestamp - before[-1][0].timestamp & 0xFFFF_FFFF in range(160, 481)


def test_a_new_bridge_ends_the_one_before(board: Board, peers: list[Peer]) -> None:
    one, other = bridged(board, peers)
    board.open(peers[2])
    one.speak(3)
    board.board.obey(control.Bridge(1, 3))
    one.speak(3)
    assert [payload for _, payload in hear_packets(peers[2])][-3:] == one.spoken[3:]
    assert not set(one.spoken[3:]) & {payload for _, payload in hear_packets(other.peer)}
    # Parting what is bridged no more parts nobody else.
    board.board.obey(control.Part(1, 2))
    assert board.board.relay.bridges == 1


def test_every_packet_of_a_bridged_stream_is_counted(board: Board, peers: list[Peer]) -> None:
    one, other = bridged(board, peers)
    one.speak(10)
    one.press("1")
    heard = hear_packets(other.peer)
    assert board.close(2).statistics.packets_sent == len(heard)


def test_10_000_forged_packets_come_to_nobodys_ears(board: Board, peers: list[Peer]) -> None:
    one, other = bridged(board, peers)
    one.speak(3)
    other.speak(3)
    hear_packets(one.peer)
    hear_packets(other.peer)
    board.take_events()
    forged = b"\x66" * 160
    for number in range(10_000):
        peers[2].send(one.port, Header(0, one.sequence + number & 0xFFFF, 160 * number, 7), forged)
        peers[2].send(one.port, Header(101, number & 0xFFFF, number * 800, 7), b"\x01\x8a\x03\x20")
        if number % 50 == 0:
            one.speak()
            other.speak()
    assert board.take_events() == []
    assert [payload for _, payload in hear_packets(other.peer)] == one.spoken[3:]
    assert [payload for _, payload in hear_packets(one.peer)] == other.spoken[3:]
    assert peers[2].count_heard() == 0
