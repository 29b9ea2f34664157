"""Callees and strangers whose packets are garbage, with a key or without, or come by the thousand: the plane
lives, whoever else calls hears and is heard as always, and nothing is left behind. A failure names its seed
and shows the packet."""

from __future__ import annotations

import gc
import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import thread_time

import numpy as np
import pytest

from adapters.media import control
from adapters.media.codecs.opus import OpusEncoder
from adapters.media.control_listening import AwaitBeep, Detect, Record
from adapters.media.sockets.receiver import RECEIVE_BYTES_MAX
from adapters.media.sockets.way import Way
from adapters.media.types import SrtpKeys
from adapters.media.wire.rtcp import Block, Compound, SenderInfo, build
from adapters.media.wire.rtp import Header, build_packet
from adapters.media.wire.srtp import Shield
from engine.ports.amd import AmdParameters
from tests.adapters.media.planes import WAYS, Board, Peer, hear_packets, open_board, open_peers
from tests.sizes import size

SEEDS = range(2)
STEPS = size(1_500, 20_000)
"""Of 2 ms. In each of them twelve attackers send two packets each: 72,000 on each way under `make test`."""
WARM_UP_STEPS = 1_000
"""Until then caches fill, and what is kept of each callee comes to its bound."""
STEP_MS = 2
DATAGRAM_BYTES_MAX = 1_472
CPU_S_MAX = 0.005
"""Of a step in which everybody lies, so that whoever is due meanwhile still leaves in time."""
LATE_STEPS_MAX = STEPS // 100
BLOCKS_MAX = 1_000
"""Blocks of memory by which a run may grow after that: what is kept of a call is bounded, and changes."""
FOREVER_MS = 3_600_000
FLOODERS = 10
FLOOD_STEPS = size(600, 6_000)
FLOOD_CPU_S_MEAN_MAX = 0.002
"""Of a step while ten flood; it was 5 ms when all that they sent was decoded."""
OPUS = 111

OURS = SrtpKeys("AES_CM_128_HMAC_SHA1_80", sent=b"o" * 30, heard=b"t" * 30)
SECURE = (5, 11)
"""The attackers who have a key, from 0 on."""
THEIRS = SrtpKeys("AES_CM_128_HMAC_SHA1_80", sent=b"t" * 30, heard=b"o" * 30)

KINDS = (0, 0, 0, 8, 8, 9, 9, 13, 72, 73, 101, 101, 111, 111, 111, 127)
JUMPS = (
    0,
    1,
    159,
    160,
    320,
    960,
    3_999,
    4_160,
    5_120,
    8_000,
    16_001,
    1 << 16,
    1 << 31,
    (1 << 32) - 1,
)

Mutation = Callable[[Random, bytes], bytes]


def flip_bits(dice: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def lie_at_the_beginning(dice: Random, data: bytes) -> bytes:
    """Another first octet: version, padding, extension, contributing sources, or count of reports."""
    return (
        bytes([0x80 | dice.randrange(0x40) if dice.random() < 0.9 else dice.randrange(256)])
        + data[1:]
    )


def pad(dice: Random, data: bytes) -> bytes:
    """Padding of any length, also one that is longer than the packet."""
    return bytes([data[0] | 0x20]) + data[1:-1] + bytes([dice.choice((0, 1, 3, 4, 160, 172, 255))])


def extend(dice: Random, data: bytes) -> bytes:
    """A header extension that says that it is of any length."""
    words = dice.choice((0, 1, 2, 39, 40, 41, 158, 255, 0xFFFF))
    extension = struct.pack("!HH", 0xBEDE, words) + bytes(4 * min(words, dice.choice((0, words))))
    return bytes([data[0] | 0x10]) + data[1:12] + extension + data[12:]


def name_sources(dice: Random, data: bytes) -> bytes:
    """Contributing sources, there or not."""
    count = dice.randrange(16)
    there = dice.choice((0, count))
    return bytes([data[0] & 0xF0 | count]) + data[1:12] + bytes(4 * there) + data[12:]


def lie_about_a_length(dice: Random, data: bytes) -> bytes:
    at = dice.randrange(len(data))
    return (
        data[:at] + struct.pack("!H", dice.choice((0, 1, 7, 255, 0x7FFF, 0xFFFF))) + data[at + 2 :]
    )


def truncate(dice: Random, data: bytes) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def grow(dice: Random, data: bytes) -> bytes:
    return data + dice.randbytes(
        dice.choice((1, 2, 160, 480, RECEIVE_BYTES_MAX, DATAGRAM_BYTES_MAX))
    )


def repeat(dice: Random, data: bytes) -> bytes:
    return data * dice.choice((2, 3, 40))


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, lie_at_the_beginning, pad, extend, name_sources, lie_about_a_length, truncate, grow, repeat,
)  # fmt: skip


def mutated(dice: Random, data: bytes) -> bytes:
    """With up to three mutations, and one in nine with none."""
    for _ in range(dice.choice((0, 1, 1, 1, 1, 1, 2, 2, 3))):
        if data:
            data = dice.choice(MUTATIONS)(dice, data)[:DATAGRAM_BYTES_MAX]
    return data


class Attacker:
    """One whose numbers jump, who speaks in anything, and reports whatever comes to mind."""

    def __init__(self, dice: Random, shield: Shield | None = None) -> None:
        self._dice = dice
        self._shield = shield
        self._ssrc = dice.getrandbits(32)
        self._sequence = dice.getrandbits(16)
        self._timestamp = dice.getrandbits(32)

    def make_rtp(self) -> bytes:
        dice = self._dice
        self._sequence += dice.choice((1, 1, 1, 1, 1, 0, 2, -1, -200, 2_999, 3_001, 0x8000))
        self._timestamp += dice.choice((160, 160, 160, -160, *JUMPS))
        if dice.random() < 0.02:
            self._ssrc = dice.getrandbits(32)
        kind = dice.choice(KINDS)
        header = Header(
            kind,
            self._sequence & 0xFFFF,
            self._timestamp & 0xFFFF_FFFF,
            self._ssrc,
            int(dice.random() < 0.05),
        )
        packet = mutated(dice, build_packet(header, self._payload(kind)))
        if self._shield is None or dice.random() < 0.1:
            return packet
        # Whoever has the keys can lie as well; and anybody can tear what he has overheard.
        protected = self._shield.protect(packet) or packet
        return protected if dice.random() < 0.8 else mutated(dice, protected)

    def make_rtcp(self) -> bytes:
        dice = self._dice
        words = [dice.choice((0, 1, 0xFFFF_FFFF, dice.getrandbits(32))) for _ in range(6)]
        blocks = tuple(
            Block(ssrc, dice.getrandbits(8), dice.getrandbits(23), *words[:4])
            for ssrc in words[: dice.randrange(4)]
        )
        sender = SenderInfo(dice.getrandbits(64), *words[:3]) if dice.random() < 0.5 else None
        cname = bytes(dice.randrange(256))
        packet = mutated(
            dice, build(Compound(self._ssrc, sender, blocks, cname, is_bye=dice.random() < 0.1))
        )
        if self._shield is None:
            return packet
        return self._shield.protect_rtcp(packet) or packet

    def _payload(self, kind: int) -> bytes:
        dice = self._dice
        if kind != 101:
            return dice.randbytes(dice.choice((0, 1, 80, 160, 160, 160, 161, 240, 480, 960, 1_400)))
        blocks = b""
        for _ in range(dice.choice((0, 1, 1, 1, 1, 5))):
            duration = dice.choice((0, 1, 160, 800, 0x7FFF, 0xFFFF))
            blocks += struct.pack("!BBH", dice.randrange(18), dice.choice((10, 0x8A)), duration)
        return blocks


class Bystander:
    """A callee who does nothing wrong: what it sends is heard, and what it hears has no gap."""

    def __init__(self, peer: Peer, port: int) -> None:
        self._peer, self._port = peer, port
        self._sent = 0
        self._heard: list[Header] = []

    def speak(self) -> None:
        self._peer.send(self._port, Header(0, self._sent & 0xFFFF, 160 * self._sent, 1))
        self._sent += 1

    def listen(self) -> None:
        """Every packet has come, in its turn."""
        for header, _ in hear_packets(self._peer):
            if self._heard:
                before = self._heard[-1]
                assert header.sequence == (before.sequence + 1) & 0xFFFF
                assert header.timestamp == (before.timestamp + 160) & 0xFFFF_FFFF
            self._heard = [*self._heard[-1:], header]

    @property
    def sent(self) -> int:
        return self._sent


class World:
    """A plane with every kind of stream, each with somebody who attacks it, and one that nobody attacks."""

    def __init__(self, board: Board, peers: list[Peer], dice: Random) -> None:
        self.board = board
        self._dice = dice
        good, *bad = peers
        nobody = bad.pop()
        self._ports = [
            board.open(bad[0]),
            board.open(bad[1], payload_type=8, telephone_event=None),
            board.open(bad[2], payload_type=9, telephone_event=None),
            board.open(bad[3]),
            board.open(bad[4], payload_type=8, telephone_event=None),
            board.open(bad[5], srtp=OURS),
            # Where the SDP says there is nobody; the attacker wants to be taken for the callee.
            board.open(nobody),
            board.open(bad[7], payload_type=OPUS),
            board.open(bad[8], payload_type=OPUS),
            board.open(bad[9]),
            board.open(bad[10], payload_type=9),
            board.open(bad[11], payload_type=OPUS, srtp=OURS),
        ]
        self._attackers = [
            (peer, port, Attacker(dice, Shield(THEIRS) if place in SECURE else None))
            for place, (peer, port) in enumerate(zip(bad, self._ports, strict=True))
        ]
        self.bystander = Bystander(good, board.open(good))
        for stream in (1, 2, 3, 6, 8):
            board.board.obey(Detect(stream, 1, AmdParameters(total_analysis_time=FOREVER_MS)))
            board.board.obey(AwaitBeep(stream, 2))
        for stream in (1, 8):
            record(board, stream)
        # One between two laws, and two that translate.
        for one, other in ((4, 5), (9, 10), (11, 12)):
            board.board.obey(control.Bridge(one, other))
        self.packet = b""
        """The latest, for a failure to show."""

    def step(self, number: int) -> float:
        """Let everybody send, and the plane have its 2 ms: seconds of CPU that it took."""
        for peer, port, attacker in self._attackers:
            is_muxed = self._dice.random() < 0.1
            for packet, to in (
                (attacker.make_rtp(), port),
                (attacker.make_rtcp(), port if is_muxed else port + 1),
            ):
                self.packet = packet
                peer.endpoint.sendto(packet, ("127.0.0.1", to))
            peer.count_heard()
        if number % 10 == 0:
            self.bystander.speak()
        began = thread_time()
        self.board.run(STEP_MS)
        took_s = thread_time() - began
        self.bystander.listen()
        self.board.take_events()
        return took_s


def record(board: Board, stream: int) -> None:
    board.board.obey(Record(stream, 3, f"rec_{stream}", FOREVER_MS, None, ""))


@contextmanager
def world(folder: Path, way: Way, seed: int) -> Iterator[World]:
    with open_board(folder, way, recordings=folder) as board, open_peers(14) as peers:
        yield World(board, peers, Random(seed))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_garbage_harms_nobody_but_its_sender_and_leaves_nothing(
    tmp_path: Path, way: Way, seed: int
) -> None:
    with world(tmp_path, way, seed) as one:
        took_s, blocks = array("d", bytes(8 * STEPS)), 0
        # As the plane does, which makes no cycles and collects none.
        gc.collect()
        gc.disable()
        try:
            for number in range(STEPS):
                if number == WARM_UP_STEPS:
                    blocks = sys.getallocatedblocks()
                try:
                    took_s[number] = one.step(number)
                except Exception as error:
                    raise AssertionError(f"seed {seed}, step {number}: {one.packet!r}") from error
            grown = sys.getallocatedblocks() - blocks
        finally:
            gc.enable()
        assert grown < BLOCKS_MAX
        assert sum(step_s > CPU_S_MAX for step_s in took_s) <= LATE_STEPS_MAX
        received = one.board.close(13).statistics
        assert (received.packets_received, received.loss) == (one.bystander.sent, 0.0)


def make_long_opus() -> bytes:
    """The dearest packet: 120 ms of Opus, six frames of equal length (RFC 6716 §3.2.5)."""
    noise = np.random.default_rng(1).integers(-9_000, 9_000, 160).astype(np.int16)
    frame = OpusEncoder().encode(noise)
    return bytes([frame[0] | 3, 6]) + frame[1:101] * 6


@pytest.mark.parametrize("srtp", [None, OURS], ids=["clear", "secure"])
@pytest.mark.parametrize("task", ["record", "bridge"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_ten_who_flood_with_the_dearest_packets_harm_only_themselves(
    tmp_path: Path, way: Way, task: str, srtp: SrtpKeys | None
) -> None:
    """At each step something waits of each of them: more packets a second would be dropped by the kernel."""
    payload = make_long_opus()
    with open_board(tmp_path, way, recordings=tmp_path) as board, open_peers(11) as peers:
        good, *bad = peers
        bystander = Bystander(good, board.open(good))
        ports = []
        for number, peer in enumerate(bad):
            speaks_opus = task == "record" or number % 2 == 0
            ports.append(board.open(peer, payload_type=OPUS if speaks_opus else 0, srtp=srtp))
            if task == "record":
                record(board, 2 + number)
            elif number % 2:
                board.board.obey(control.Bridge(1 + number, 2 + number))
        shields = [None if srtp is None else Shield(THEIRS) for _ in bad]
        took_s = []
        for step in range(FLOOD_STEPS):
            for peer, port, shield in zip(bad, ports, shields, strict=True):
                packet = build_packet(
                    Header(OPUS, step & 0xFFFF, 5_760 * step & 0xFFFF_FFFF, 7), payload
                )
                packet = packet if shield is None else shield.protect(packet) or packet
                peer.endpoint.sendto(packet, ("127.0.0.1", port))
                peer.count_heard()
            if step % 10 == 0:
                bystander.speak()
            began = thread_time()
            board.run(STEP_MS)
            took_s.append(thread_time() - began)
            bystander.listen()
            board.take_events()
        flooded = [board.close(stream).statistics.flooded for stream in range(2, 12)]
        received = board.close(1).statistics
    assert min(flooded) > FLOOD_STEPS // 2
    assert (received.packets_received, received.loss, received.flooded) == (bystander.sent, 0.0, 0)
    assert sum(step_s > CPU_S_MAX for step_s in took_s) <= FLOOD_STEPS // 20
    assert sum(took_s) / FLOOD_STEPS < FLOOD_CPU_S_MEAN_MAX
