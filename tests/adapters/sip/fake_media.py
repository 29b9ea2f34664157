"""A media plane without sound: it reserves ports, remembers, and fails when it is told to."""

from __future__ import annotations

import trio

from adapters.media.types import PlaneUnavailable, Remote, Stream, StreamLost
from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import MediaStatistics, Recorded


class FakeStream:
    """Plays `endless` for ever, nothing of the name `unknown`, and everything else at once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.remotes: list[Remote] = []
        self.is_closed = False
        self.lost = trio.Event()

    def connect(self, remote: Remote) -> None:
        self.remotes.append(remote)

    async def play(self, prompt: str) -> None:
        await trio.lowlevel.checkpoint()
        if prompt == "unknown":
            raise KeyError(prompt)
        if prompt == "endless":
            await self.lost.wait()
            raise StreamLost

    async def next_digit(self) -> str:
        await self.lost.wait()
        raise StreamLost

    def forget_digits(self) -> None:
        pass

    async def send_digits(self, digits: str) -> None:
        await trio.lowlevel.checkpoint()

    async def detect_machine(self, parameters: AmdParameters | None = None) -> AmdVerdict:
        await trio.lowlevel.checkpoint()
        return AmdVerdict("unknown", "initial_silence", 0)

    async def wait_for_beep(self) -> None:
        await self.lost.wait()
        raise StreamLost

    async def record(
        self, recording: str, *, max_s: float, silence_s: float | None = None, finish_on: str = ""
    ) -> Recorded:
        await trio.lowlevel.checkpoint()
        return Recorded(recording, 0.0, "max")

    def end_recording(self) -> None:
        pass

    async def bridge(self, other: Stream) -> None:
        await self.lost.wait()

    async def wait_lost(self) -> None:
        await self.lost.wait()

    def statistics(self) -> MediaStatistics:
        return MediaStatistics(packets_sent=7)

    async def close(self) -> None:
        self.is_closed = True


class FakePlane:
    """`streams` are those that were opened, in order."""

    def __init__(self) -> None:
        self.streams: list[FakeStream] = []
        self.is_down = False

    @property
    def address(self) -> str:
        return "127.0.0.1"

    async def open_stream(self) -> FakeStream:
        if self.is_down:
            raise PlaneUnavailable("the plane is restarting")
        stream = FakeStream(20000 + 2 * len(self.streams))
        self.streams.append(stream)
        return stream
