"""Planes of the tests: a process of their own, or a switchboard whose clock the test holds."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np
import trio

from adapters.media import control
from adapters.media.client import PlaneSettings, RtpMediaPlane, open_media_plane
from adapters.media.codecs.voices import VOICES
from adapters.media.plane.switchboard import Switchboard
from adapters.media.recording.link import RecorderLink
from adapters.media.sockets.endpoint import PortPicker
from adapters.media.sockets.way import PLAIN, RING, Way, choose_way
from adapters.media.types import SrtpKeys
from adapters.media.wire.rtp import Header, build_packet, parse_packet
from tests.adapters.media.callee import HOST

GUARD_S = 20
"""Beyond any machine's worst moment; nothing waits for it in a run that passes."""

WAYS = [PLAIN] if choose_way(1) != RING else [PLAIN, RING]
"""The ways that this machine allows."""


def write_prompt(
    folder: Path, prompt_id: str, frames: int, seed: int, kinds: Iterable[int] = (0, 8, 9)
) -> dict[int, bytes]:
    """A seeded tone that rises, in these codecs: the bytes that must be heard, by payload type."""
    chance = np.random.default_rng(seed)
    at_s = np.arange(frames * 160) / 8_000
    low_hz, rise_hz = chance.uniform(200, 800), chance.uniform(200, 2_000)
    tone = 0.6 * np.sin(2 * np.pi * (low_hz * at_s + rise_hz * at_s**2) + 1)
    sound = {}
    for payload_type in kinds:
        law = VOICES[payload_type]
        sound[payload_type] = law.encode((tone * 32_767).astype(np.int16)).tobytes()
        (folder / f"{prompt_id}.{law.name}").write_bytes(sound[payload_type])
    return sound


@asynccontextmanager
async def running_plane(
    folder: Path, settings: PlaneSettings | None = None, recordings: Path | None = None
) -> AsyncIterator[RtpMediaPlane]:
    """A plane in processes of its own."""
    with trio.fail_after(GUARD_S):
        async with open_media_plane(
            HOST,
            prompts_folder=folder,
            recordings_folder=recordings,
            ports=(0, 0),
            settings=settings,
        ) as plane:
            yield plane


class Peer:
    """Somebody with a UDP socket: a callee, or a stranger."""

    def __init__(self) -> None:
        self.endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.endpoint.bind((HOST, 0))
        self.endpoint.setblocking(False)
        self.port: int = self.endpoint.getsockname()[1]

    def send(self, port: int, header: Header, payload: bytes = b"\xff" * 160) -> None:
        """Send one packet."""
        self.endpoint.sendto(build_packet(header, payload), (HOST, port))

    def receive(self) -> bytes | None:
        """The next packet that has come; None where none has."""
        try:
            return self.endpoint.recv(2_000)
        except BlockingIOError:
            return None

    def count_heard(self) -> int:
        """How many packets have come since the last time."""
        count = 0
        while self.receive() is not None:
            count += 1
        return count


def hear_packets(peer: Peer) -> list[tuple[Header, bytes]]:
    """The RTP packets that have come since the last time."""
    packets = []
    while (octets := peer.receive()) is not None:
        parsed = parse_packet(octets)
        assert parsed is not None
        packets.append(parsed)
    return packets


@contextmanager
def open_peers(count: int) -> Iterator[list[Peer]]:
    """So many of them."""
    peers = [Peer() for _ in range(count)]
    try:
        yield peers
    finally:
        for peer in peers:
            peer.endpoint.close()


class Board:
    """A switchboard, and a clock that moves when the test says so."""

    STEP_NS = 2_000_000

    def __init__(
        self, folder: Path, way: Way, capacity: int = 20, recordings: Path | None = None
    ) -> None:
        chance = np.random.default_rng(1)
        self.recorder = None if recordings is None else RecorderLink(recordings)
        self.board = Switchboard(
            folder, HOST, PortPicker(0, 0), way, capacity, chance, self.recorder
        )
        self.now_ns = 0
        self._streams = 0

    def open(
        self,
        peer: Peer,
        payload_type: int = 0,
        telephone_event: int | None = 101,
        srtp: SrtpKeys | None = None,
        numbered: int | None = None,
        heard_event: int | None = None,
        event_clock_hz: int | None = None,
    ) -> int:
        """A stream that is connected to a peer: its port."""
        self._streams += 1
        self.board.obey(control.Open([self._streams]))
        self.board.open_some()
        opened = self.take_events()[-1]
        assert isinstance(opened, control.Opened)
        self.connect(
            self._streams,
            peer.port,
            payload_type,
            telephone_event,
            srtp,
            numbered,
            heard_event,
            event_clock_hz,
        )
        return opened.port

    def connect(
        self,
        stream: int,
        port: int,
        payload_type: int = 0,
        telephone_event: int | None = 101,
        srtp: SrtpKeys | None = None,
        numbered: int | None = None,
        heard_event: int | None = None,
        event_clock_hz: int | None = None,
    ) -> None:
        """Connect a stream to a port of this machine."""
        self.board.obey(
            control.Connect(
                *(stream, HOST, port, payload_type, telephone_event),
                srtp=srtp,
                numbered=numbered,
                heard_event=heard_event,
                event_clock_hz=event_clock_hz,
            )
        )

    def run(self, duration_ms: float) -> None:
        """Send and hear for so long."""
        for _ in range(round(duration_ms * 1_000_000 / self.STEP_NS)):
            self.now_ns += self.STEP_NS
            self.board.send(self.now_ns // self.STEP_NS % 10)
            self.board.hear(self.now_ns)

    def close(self, stream: int) -> control.Closed:
        """Close a stream: its last figures."""
        self.board.obey(control.Close(stream))
        closed = self.take_events()[-1]
        assert isinstance(closed, control.Closed)
        return closed

    def take_events(self) -> list[control.Event]:
        """What the control process would have heard since the last time."""
        events, self.board.events = self.board.events, []
        return events


@contextmanager
def open_board(
    folder: Path, way: Way, capacity: int = 20, recordings: Path | None = None
) -> Iterator[Board]:
    """A switchboard that is closed in the end."""
    board = Board(folder, way, capacity, recordings)
    try:
        yield board
    finally:
        board.board.close_all()
        if board.recorder is not None:
            board.recorder.wait_ended(GUARD_S)
