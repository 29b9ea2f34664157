"""One stream of the plane, as the control process holds it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Final

import structlog
import trio

from adapters.media import bridging, control
from adapters.media.stream_listening import StreamListening
from adapters.media.stream_pressing import StreamPressing
from adapters.media.types import Remote, Stream, StreamLost
from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import MediaStatistics, Recorded

CLOSE_WAIT_S: Final = 1.0
"""How long a `close` that is cancelled waits for the final statistics."""
DIGITS_MAX: Final = 64
"""Keys that are kept for somebody who has not asked yet; then the oldest go."""

log = structlog.get_logger(__name__)


class PlaneStream:
    """One call's RTP; implements `adapters.media.types.Stream`."""

    def __init__(
        self,
        post: Callable[[control.Command], None],
        number: int,
        port: int,
        home: bridging.Home,
    ) -> None:
        self.context = copy_context()
        """That in which it was taken: what the log says of it carries the names of its attempt."""
        self.post = post
        """Sends a command to its plane."""
        self.number = number
        self.home = home
        self.pressing = StreamPressing(post, number)
        """The keys that it presses."""
        self.is_bridged = False
        self._port = port
        self._statistics = MediaStatistics()
        self._plays = 0
        self._playing: trio.Event | None = None
        self._outcome: control.PlayOutcome | None = None
        self._over = trio.Event()
        """Set when the plane has the stream no longer, whatever the reason."""
        self._is_lost = False
        self._is_connected = False
        """Whether it was ever connected: one that was not has no figures."""
        self.listening = StreamListening(post, number)
        """What the stream is asked about its sound, which the plane answers."""
        self._digits: deque[str] = deque(maxlen=DIGITS_MAX)
        self._digit_came = trio.Event()
        """Set, and replaced, when a key was pressed; set for good when the stream is over."""

    @property
    def port(self) -> int:
        """The local RTP port, even; RTCP is the next one."""
        return self._port

    @property
    def is_playing(self) -> bool:
        """Whether a prompt plays."""
        return self._playing is not None

    def connect(self, remote: Remote) -> None:
        """Send to, and take from, this remote from now on; silence until something is played.

        Repeating it moves the stream, and a prompt goes on playing. An unspecified host (0.0.0.0)
        pauses it: nothing is sent, and a prompt waits, until it is connected to an address again.
        A remote that cannot be reached from here makes the stream lost.
        """
        self._is_connected = True
        self.post(
            control.Connect(
                *(self.number, remote.host, remote.port, remote.payload_type),
                remote.telephone_event,
                rtcp_port=remote.rtcp_port,
                is_muxed=remote.is_muxed,
                srtp=remote.srtp,
                numbered=remote.numbered,
                heard_numbered=remote.heard_numbered,
                heard_event=remote.heard_event,
                event_clock_hz=remote.event_clock_hz,
            )
        )

    def connect_certainly(self, remote: Remote) -> None:
        """Connect to another stream of this machine, which is where it says it is and sends no RTCP."""
        self._is_connected = True
        self.post(
            control.Connect(
                *(self.number, remote.host, remote.port, remote.payload_type),
                remote.telephone_event,
                is_certain=True,
            )
        )

    async def play(self, prompt: str) -> None:
        """Play a prompt by its id, from its first sample to its last.

        Before `connect` it waits for that. Raises `StreamLost`, `KeyError` when there is no such
        prompt or its file is damaged, and `trio.BusyResourceError` when the stream plays already or
        is bridged. Cancelling it stops the sound.
        """
        if self._over.is_set():
            raise StreamLost
        if self._playing is not None:
            raise trio.BusyResourceError("this stream plays a prompt already")
        if self.is_bridged:
            raise trio.BusyResourceError("this stream is bridged")
        self._plays += 1
        self._outcome = None
        self._playing = trio.Event()
        self.post(control.Play(self.number, self._plays, prompt))
        try:
            await self._playing.wait()
        except trio.Cancelled:
            self.post(control.Stop(self.number, self._plays))
            raise
        finally:
            self._playing = None
        self._judge(prompt)

    async def next_digit(self) -> str:
        """Wait for the next key that the callee presses: `0` to `9`, `*`, `#`, `A` to `D`.

        Keys are kept until somebody asks, the last `DIGITS_MAX` of them. Raises `StreamLost` when the
        stream is over and none is left.
        """
        while not self._digits:
            if self._over.is_set():
                raise StreamLost
            await self._digit_came.wait()
        return self._digits.popleft()

    def forget_digits(self) -> None:
        """Throw away the keys that were pressed and not asked for."""
        self._digits.clear()

    async def send_digits(self, digits: str) -> None:
        """Press these keys, 100 ms each with 60 ms behind it, and return when the last is over.

        They go before what plays: a prompt waits for them and then goes on where it was, and of a
        bridge's sound is left out what comes meanwhile. Before `connect`, and while the callee is on
        hold, they wait. Raises `StreamLost`, `ValueError` for what is no key and for more than 64,
        and `trio.BusyResourceError` while others are being pressed. Cancelling it lets a key that is
        down come up, and presses no further one.
        """
        await self.pressing.press(digits)

    async def detect_machine(self, parameters: AmdParameters | None = None) -> AmdVerdict:
        """Listen from now on until it is known who answered; cancelling it stops listening.

        Raises `StreamLost` when the stream is over first, `ValueError` for parameters out of bounds,
        and `trio.BusyResourceError` while that is being found out.
        """
        return await self.listening.detect_machine(parameters)

    async def wait_for_beep(self) -> None:
        """Return when a beep that is heard from now on is over; cancelling it stops listening.

        Raises `StreamLost`, and `trio.BusyResourceError` while somebody waits for one.
        """
        await self.listening.wait_for_beep()

    async def record(
        self, recording: str, *, max_s: float, silence_s: float | None = None, finish_on: str = ""
    ) -> Recorded:
        """Record what is heard from now on, and return when the file is safe on disk.

        The end of the stream, and what `end_recording` says, end it as `call_ended`; a plane that
        dies, a disk that refuses, and too many recordings at once as `failed`. What was recorded
        until then is kept. Cancelling it ends the recording as well. Raises `ValueError` for an
        id, a limit or a key that is none, and `trio.BusyResourceError` while it is recorded.
        """
        return await self.listening.record(recording, max_s, silence_s, finish_on)

    def end_recording(self) -> None:
        """The call is over: what is recorded ends here, as `call_ended`."""
        self.listening.end_recording()

    async def bridge(self, other: Stream) -> None:
        """Relay between two streams of the media plane until either is over; cancelling it parts them.

        See `bridging.bridge` for what it raises; `TypeError` for a stream of another kind.
        """
        if not isinstance(other, PlaneStream):
            raise TypeError("only streams of one media plane can be bridged")
        await bridging.bridge(self, other)

    async def wait_over(self) -> None:
        """Return when the plane has the stream no longer, whatever the reason."""
        await self._over.wait()

    async def wait_lost(self) -> None:
        """Return when the plane has lost this stream; never otherwise."""
        await self._over.wait()
        if not self._is_lost:
            await trio.sleep_forever()

    def statistics(self) -> MediaStatistics:
        """What was known when a prompt last ended; final after `close`."""
        return self._statistics

    async def close(self) -> None:
        """Stop and free the port; the statistics are final afterwards.

        It waits for the plane's last word, unless it was never connected, as that of a call which nobody
        answered: then there is nothing to be told. A plane that does not answer is killed, which is a last
        word as well. Where it is cancelled, it waits for `CLOSE_WAIT_S` at most.
        """
        if not self._over.is_set():
            self.post(control.Close(self.number))
            if not self._is_connected:
                return
        try:
            await self._over.wait()
        except trio.Cancelled:
            with trio.move_on_after(CLOSE_WAIT_S, shield=True):
                await self._over.wait()
            raise

    def note_play_ended(self, event: control.PlayEnded) -> None:
        """The plane says that a prompt is over."""
        self._statistics = event.statistics
        if self._playing is not None and event.play == self._plays:
            self._outcome = event.outcome
            self._playing.set()

    def note_digit(self, digit: str) -> None:
        """The plane says that the callee has pressed a key."""
        self._digits.append(digit)
        self._digit_came.set()
        self._digit_came = trio.Event()

    def note_over(self, statistics: MediaStatistics) -> None:
        """The plane has closed the stream, and these are its last figures."""
        self._statistics = statistics
        if statistics.flooded:
            self.context.run(
                log.warning, "callee_flooded", port=self._port, packets=statistics.flooded
            )
        self._over.set()
        self.listening.note_over()
        self.pressing.note_over()
        self._digit_came.set()
        if self._playing is not None:
            self._playing.set()

    def note_lost(self, statistics: MediaStatistics) -> None:
        """The plane has the stream no longer, and was not asked to close it."""
        self._is_lost = True
        self.note_over(statistics)
        self.listening.note_lost()

    def _judge(self, prompt: str) -> None:
        if self._outcome == "finished":
            return
        if self._outcome is None or self._outcome == "replaced":
            raise StreamLost
        if self._outcome == "unavailable":
            log.error("prompt_unavailable", prompt=prompt)
        raise KeyError(prompt)
