"""One life of the plane's process, seen from the control process.

Most of what a call needs goes without a round trip. The plane opens some streams ahead, so that
`take_stream` finds one that is ready; a stream's `connect` and `play` are written and forgotten.
Commands of one scheduler pass travel in one frame.
"""

from __future__ import annotations

import socket
import subprocess
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
import trio

from adapters.media import control
from adapters.media.control_listening import Beeped, Detected, ListeningEvent, RecordingOver
from adapters.media.stream import PlaneStream
from adapters.media.types import PlaneUnavailable

READY_STREAMS_MAX: Final = 128
"""Streams that are kept open ahead, each with its port."""
READY_STREAMS_MIN: Final = 64
"""With fewer than this, more are opened."""
OPEN_WAIT_S: Final = 1.0
"""How long a stream is waited for when none is ready."""
REPORT_EVERY_S: Final = 1.0
"""How often a plane with open streams is asked how it is."""
ANSWER_WAIT_S: Final = 5.0
"""A plane that has not answered for so long is killed: its streams have fallen silent."""
EXIT_WAIT_S: Final = 2.0
"""How long the process may take to end by itself once its socket is closed."""
COMMANDS_WAITING_MAX: Final = 50_000
"""Commands that may wait for a plane that does not read; then it is killed."""
_READ_MAX: Final = 262_144

_REFUSALS: Final[dict[control.RefusalReason, str]] = {
    "no_port": "every media port is taken",
    "no_stream": "the media plane is full",
    "no_descriptor": "the system allows the media plane no more sockets",
}

_OfStream = (
    control.PlayEnded
    | control.Pressed
    | control.DigitHeard
    | ListeningEvent
    | control.Moved
    | control.Dropped
    | control.Closed
)
"""Events about one stream."""

log = structlog.get_logger(__name__)


class PlaneProcess:
    """Starts the process, carries commands and events, and hands out its streams."""

    def __init__(self, note_ready: Callable[[], None], join_host: str) -> None:
        self._note_ready = note_ready
        self.join_host = join_host
        """The address at which its streams are reached by those of other planes of this machine."""
        self._process: trio.Process | None = None
        self._commands: list[control.Command] = []
        self._has_commands = trio.Event()
        self._streams: dict[int, PlaneStream] = {}
        """The streams that were handed out and are not closed, by number."""
        self._recorded: dict[int, PlaneStream] = {}
        """Those that are closed, and wait to hear that their recording is safe."""
        self._ready: deque[tuple[int, int]] = deque()
        """Number and port of the streams that nobody has yet."""
        self._last_number = 0
        self._asked = 0
        """Streams that the plane was asked to open and has not answered for."""
        self._refusal: control.RefusalReason | None = None
        """Why the latest stream was refused, unless one was opened since."""
        self._turn = trio.StrictFIFOLock()
        """Held by whoever waits for the next stream that is opened."""
        self._answered = trio.Event()
        """Set, and replaced, when streams were opened or refused, or the process ended."""
        self._reported = trio.Event()
        self._is_over = False
        self.is_ready = False
        """Whether the plane has answered, and lives."""
        self.statistics = control.PlaneStatistics()
        """How the plane was when it was last asked."""
        self.streams_lost = 0
        self.started: control.Started | None = None
        """How the plane works, once it has said so."""

    @property
    def streams(self) -> int:
        """Streams that were handed out and are not closed."""
        return len(self._streams)

    @property
    def has_ready(self) -> bool:
        """Whether a stream can be had without waiting."""
        return bool(self._ready)

    @property
    def process_id(self) -> int | None:
        """The process, once it is started."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """How the process ended; None before that."""
        return self._process.returncode if self._process else None

    async def run(self, arguments: list[str], environment: dict[str, str]) -> None:
        """Run the process to its end, whoever ends it; cancelling ends it. Then all streams are lost."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                self._process = await trio.lowlevel.open_process(
                    [*arguments, "--control", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=environment,
                )
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, ours)
                nursery.start_soon(self._watch)
                self._ask_for_streams()
                await self._read(ours)
                nursery.cancel_scope.cancel()
        finally:
            self._end_streams()
            trio.lowlevel.notify_closing(ours)
            ours.close()
            await self._end_process()

    async def take_stream(self, patience_s: float = OPEN_WAIT_S) -> PlaneStream:
        """A stream, at once where one is ready, or within this time. Raises `PlaneUnavailable`."""
        if self._ready and not self._turn.locked():
            number, port = self._ready.popleft()
        else:
            number, port = await self._wait_for_ready(patience_s)
        stream = PlaneStream(self._post, number, port, home=self)
        self._streams[number] = stream
        if len(self._ready) + self._asked < READY_STREAMS_MIN:
            self._ask_for_streams()
        return stream

    async def ask_statistics(self) -> control.PlaneStatistics:
        """How the plane is now. It waits for as long as the plane does not answer."""
        reported = self._reported
        self._post(control.Report())
        await reported.wait()
        return self.statistics

    async def _wait_for_ready(self, patience_s: float) -> tuple[int, int]:
        """The number and the port of a stream, in the order in which they were asked for."""
        self._ask_for_streams()
        with trio.move_on_after(patience_s):
            async with self._turn:
                while not self._ready:
                    if self._is_over:
                        raise PlaneUnavailable("the media plane has died")
                    if not self._asked and self._refusal is not None:
                        raise PlaneUnavailable(_REFUSALS[self._refusal])
                    # The streams that others had before may have been the last.
                    self._ask_for_streams()
                    await self._answered.wait()
                return self._ready.popleft()
        raise PlaneUnavailable("the media plane does not keep up with opening streams")

    def _ask_for_streams(self) -> None:
        """Ask for what is missing; for one alone where the last was refused, and only if it is needed."""
        missing = READY_STREAMS_MAX - len(self._ready) - self._asked
        if self._refusal is not None:
            missing = 0 if self._ready or self._asked else 1
        if missing > 0:
            first = self._last_number + 1
            self._last_number += missing
            self._asked += missing
            self._post(control.Open(list(range(first, first + missing))))

    def _post(self, command: control.Command) -> None:
        """Send a command soon. To a process that has ended nothing is sent."""
        if self._is_over:
            return
        self._commands.append(command)
        self._has_commands.set()
        if len(self._commands) > COMMANDS_WAITING_MAX:
            self._kill("the media plane does not read its commands")

    async def _write(self, endpoint: socket.socket) -> None:
        while True:
            await self._has_commands.wait()
            self._has_commands = trio.Event()
            commands, self._commands = self._commands, []
            frame = memoryview(control.encode_frame(commands))
            while frame:
                try:
                    frame = frame[endpoint.send(frame) :]
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(endpoint)
                except ConnectionError:
                    # The reader hears of it as well, and ends this life.
                    return

    async def _read(self, endpoint: socket.socket) -> None:
        """Take events until the process ends or says what cannot be understood."""
        reader = control.FrameReader()
        while True:
            await trio.lowlevel.wait_readable(endpoint)
            try:
                data = endpoint.recv(_READ_MAX)
            except BlockingIOError:
                continue
            except ConnectionError:
                return
            if not data:
                return
            try:
                for body in reader.feed(data):
                    for event in control.decode_events(body):
                        self._take(event)
            except control.ControlBroken as error:
                self._kill(str(error))
                return

    async def _watch(self) -> None:
        """Ask how the plane is while it has streams, and kill one that does not answer."""
        while True:
            await trio.sleep(REPORT_EVERY_S)
            if not self._streams:
                continue
            with trio.move_on_after(ANSWER_WAIT_S) as patience:
                await self.ask_statistics()
            if patience.cancelled_caught:
                self._kill("the media plane does not answer")
                return

    def _take(self, event: control.Event) -> None:
        if isinstance(event, control.Opened | control.Refused):
            self._take_answer(event)
        elif isinstance(event, control.Started):
            self.started = event
            log.info("media_plane_started", **msgspec.structs.asdict(event))
        elif isinstance(event, control.Reported):
            self.statistics = event.statistics
            self._reported.set()
            self._reported = trio.Event()
        elif event.stream in self._recorded and isinstance(event, RecordingOver):
            self._recorded.pop(event.stream).listening.note(event)
        elif event.stream in self._streams:
            self._take_of_stream(event, self._streams[event.stream])

    def _take_of_stream(self, event: _OfStream, stream: PlaneStream) -> None:
        match event:
            case control.PlayEnded():
                stream.note_play_ended(event)
            case control.Pressed():
                stream.pressing.note_pressed(event)
            case control.DigitHeard():
                stream.note_digit(event.digit)
            case Detected() | Beeped() | RecordingOver():
                stream.listening.note(event)
            case control.Moved():
                to = f"{event.host}:{event.port}"
                stream.context.run(log.info, "media_stream_moved", port=stream.port, to=to)
            case control.Dropped():
                reason = event.reason
                stream.context.run(
                    log.warning, "media_stream_dropped", port=stream.port, reason=reason
                )
                del self._streams[event.stream]
                stream.note_lost(event.statistics)
            case control.Closed():
                del self._streams[event.stream]
                stream.note_over(event.statistics)
                if stream.listening.is_recording:
                    self._recorded[event.stream] = stream

    def _take_answer(self, event: control.Opened | control.Refused) -> None:
        self._asked -= 1
        if isinstance(event, control.Opened):
            self._refusal = None
            self._ready.append((event.stream, event.port))
        else:
            self._refusal = event.reason
        if not self.is_ready:
            self.is_ready = True
            self._note_ready()
        self._note_answer()

    def _note_answer(self) -> None:
        self._answered.set()
        self._answered = trio.Event()

    def _kill(self, reason: str) -> None:
        log.error("media_plane_killed", reason=reason)
        self._is_over = True
        assert self._process is not None
        self._process.kill()

    def _end_streams(self) -> None:
        self._is_over = True
        self.is_ready = False
        self._ready.clear()
        self._note_answer()
        streams, self._streams = self._streams, {}
        self.streams_lost = len(streams)
        for stream in streams.values():
            stream.note_lost(stream.statistics())
        recorded, self._recorded = self._recorded, {}
        for stream in recorded.values():
            stream.listening.note_lost()

    async def _end_process(self) -> None:
        """The closed socket tells the process to end; it is killed where it does not."""
        if self._process is None:
            return
        with trio.CancelScope(shield=True):
            with trio.move_on_after(EXIT_WAIT_S):
                await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
