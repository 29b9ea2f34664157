"""A callee of the tests: one UDP socket that hears RTP and sends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

import trio

from adapters.media.codecs.voices import VOICES
from adapters.media.types import Remote
from adapters.media.wire.rtp import Header, build_packet, parse_packet

HOST = "127.0.0.1"
SILENCE = {0: b"\xff" * 160, 8: b"\xd5" * 160, 9: b"\xfc" * 160, 111: VOICES[111].silence}

Packet = tuple[Header, bytes]


class Callee:
    """What a callee hears, packet by packet, and what it sends."""

    def __init__(self, endpoint: trio.socket.SocketType, payload_type: int) -> None:
        self._endpoint = endpoint
        self.payload_type = payload_type
        self.heard: list[Packet] = []

    @property
    def remote(self) -> Remote:
        """What the callee's SDP says."""
        return Remote(HOST, self._endpoint.getsockname()[1], self.payload_type)

    async def hear(self, count: int) -> list[Packet]:
        """The next so many packets."""
        packets = []
        for _ in range(count):
            parsed = parse_packet(await self._endpoint.recv(2_000))
            assert parsed is not None
            packets.append(parsed)
        self.heard += packets
        return packets

    async def hear_anything_but_silence(self) -> None:
        """Packets up to the first that is not silence."""
        while (await self.hear(1))[0][1] == SILENCE[self.payload_type]:
            pass

    async def hear_silence(self) -> None:
        """Packets up to the third in a row that is silence."""
        frames: list[bytes] = []
        while frames[-3:] != [SILENCE[self.payload_type]] * 3:
            frames += [frame for _, frame in await self.hear(1)]

    async def hear_sound(self) -> bytes:
        """The first sound that is not silence, up to the next silence of three packets."""
        silence = SILENCE[self.payload_type]
        frames: list[bytes] = []
        while not (len(frames) > 3 and frames[-3:] == [silence] * 3):
            _, frame = (await self.hear(1))[0]
            if frames or frame != silence:
                frames.append(frame)
        return b"".join(frames[:-3])

    async def send(self, port: int, *headers: Header) -> None:
        """Send a packet of silence for each header to a port of the plane."""
        for header in headers:
            await self.send_octets(port, build_packet(header, SILENCE[self.payload_type]))

    async def send_octets(self, port: int, packet: bytes) -> None:
        """Send one packet to a port of the plane."""
        await self._endpoint.sendto(packet, (HOST, port))


@asynccontextmanager
async def open_callee(payload_type: int = 0) -> AsyncIterator[Callee]:
    """A callee on an even port of its own. The next one, where reports about its sound arrive, is its too: in
    another callee's hands they would be taken for sound."""
    with ExitStack() as stack:
        while True:
            endpoint, beside = (
                stack.enter_context(trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM))
                for _ in range(2)
            )
            await endpoint.bind((HOST, 0))
            port = endpoint.getsockname()[1]
            if port % 2 == 0:
                with suppress(OSError):
                    await beside.bind((HOST, port + 1))
                    break
        yield Callee(endpoint, payload_type)


def continuous(packets: list[Packet], payload_type: int) -> list[Header]:
    """The headers that these packets must have if none is missing and none out of turn."""
    first = packets[0][0]
    return [
        Header(
            payload_type,
            (first.sequence + n) & 0xFFFF,
            (first.timestamp + 160 * n) & 0xFFFF_FFFF,
            first.ssrc,
            marker=int(n == 0),
        )
        for n in range(len(packets))
    ]
