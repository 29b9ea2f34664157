"""The trio shell around `SipCore`: a socket, a clock, chance, and tasks that wait for their calls.

How it works. One task waits until the socket is readable, drains it without blocking, hands each
datagram to the core, and then sends and tells everything that came of it; another sleeps until the
core's next timer. No call has a task of its own here, but for one that watches the media stream
while somebody waits for an answered call. Who waits is parked on the call, and woken by what happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import structlog
import trio
from msgspec import Struct

from adapters.media.types import MediaPlane, PlaneUnavailable, Stream, StreamLost
from adapters.sip.call.outbox import CallEvent, MediaAgreed
from adapters.sip.call.transaction import Timing
from adapters.sip.call.uac import OutboundCall
from adapters.sip.call.uas import LocalMedia
from adapters.sip.core import SipCore, SipStatistics, TooManyCalls
from adapters.sip.transport.datagram_socket import DatagramSocket, local_address_towards
from adapters.sip.trunk import Here, Line, Trunk, open_line
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.uri import SIP_PORT, Address
from engine.ports.clock import Randomness
from engine.ports.telephony import (
    Answered,
    Call,
    CallEnded,
    CallRequest,
    Ended,
    MediaStatistics,
    Progress,
    TelephonyUnavailable,
)

DATAGRAMS_PER_ROUND_MAX = 128
"""Datagrams that are taken before other tasks get a turn."""
ROUNDS_BEFORE_TIMERS_MAX = 32
"""Rounds of datagrams that are taken before timers run."""
TIMER_RESOLUTION_S = 0.02
"""The timers run no more often than this; SIP's shortest is 25 times longer."""
STREAM_CLOSE_S_MAX = 1.0
"""How long leaving a call waits for the media plane to free its port."""

_log = structlog.get_logger("callwheel.sip")


class UserAgentSettings(Struct, frozen=True):
    """What a user agent must be told."""

    trunks: tuple[Trunk, ...]
    bind: Address = ("127.0.0.1", 0)
    """Where SIP is spoken from; port 0 takes a free one."""
    advertise: str | None = None
    """The IP address that trunks see us under, where it is not the one we are bound to."""
    timing: Timing = Timing()


class UserAgentStatistics(Struct, frozen=True):
    """Counters since the start."""

    sip: SipStatistics
    datagrams_received: int
    datagrams_sent: int
    sends_dropped: int
    """Datagrams that found the kernel's buffer full; their retransmission repairs that."""


class SipCall:
    """One call, as `engine.ports.telephony.Call`."""

    def __init__(self, agent: UserAgent, core_call: OutboundCall, stream: Stream) -> None:
        self._agent = agent
        self._core_call = core_call
        self._stream = stream
        # Ringing, Answered and Ended are each reported once, so that three places bound it.
        self._progress: deque[Progress] = deque()
        self._waiting = trio.lowlevel.ParkingLot()
        self._is_answered = False
        self._is_hanging_up = False
        self._ended: Ended | None = None
        self._watching: trio.CancelScope | None = None
        """Around the task that waits for the loss of the stream, once there is one."""
        self._plays: list[trio.CancelScope] = []

    @property
    def call_id(self) -> str:
        """The SIP Call-ID."""
        return self._core_call.call_id.decode("ascii")

    def dial(self) -> None:
        """Send the INVITE, now, without waiting."""
        now = trio.current_time()
        self._agent.core.dial(self._core_call, now)
        self._agent.flush(now)

    def hang_up(self) -> None:
        """End the call: nothing before `dial`, CANCEL before the answer, BYE after it."""
        if self._ended is None:
            self._is_hanging_up = True
            now = trio.current_time()
            self._agent.core.hang_up(self._core_call, now)
            self._agent.flush(now)

    async def next_progress(self) -> Progress:
        """Wait for the next thing that happens. After `Ended` it returns `Ended` again."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._progress:
            if self._ended is not None:
                return self._ended
            await self._park()
        return self._progress.popleft()

    async def wait_ended(self) -> Ended:
        """Wait until the call is over."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._ended is None:
            await self._park()
        return self._ended

    async def play(self, prompt: str) -> None:
        """Play a prompt by its id to its end.

        Raises `CallEnded` when the call ends first, `KeyError` when there is no such prompt, and
        `RuntimeError` before the answer.
        """
        if not self._is_answered:
            raise RuntimeError("nobody has answered yet")
        if self._ended is None:
            with trio.CancelScope() as scope:
                self._plays.append(scope)
                try:
                    await self._stream.play(prompt)
                    return
                except StreamLost:
                    self.lose_stream()
                finally:
                    self._plays.remove(scope)
        raise CallEnded(await self.wait_ended())

    def media_statistics(self) -> MediaStatistics:
        """What is known of the media so far; final once the call's block is left."""
        return self._stream.statistics()

    # For the user agent.

    def hear(self, event: CallEvent) -> None:
        """Take what the core says about this call."""
        if isinstance(event, MediaAgreed):
            self._stream.connect(event.remote)
            if not event.is_first:
                return
            self._is_answered = True
            self._progress.append(Answered())
        else:
            if isinstance(event, Ended):
                self._ended = event
                self._stop_watching()
                for scope in self._plays:
                    scope.cancel()
            self._progress.append(event)
        self._waiting.unpark_all()

    def lose_stream(self) -> None:
        """The stream is gone: an answered call ends as `lost`."""
        now = trio.current_time()
        self._agent.core.lose_stream(self._core_call, now)
        self._agent.flush(now)

    async def _park(self) -> None:
        if self._is_answered and not self._is_hanging_up and self._watching is None:
            # A prompt hears for itself that its stream is lost. Only who merely waits needs a task
            # to hear it for him, and most calls end before anybody does.
            self._watching = trio.CancelScope()
            self._agent.watch(self, self._watching)
        await self._waiting.park()

    async def watch_stream(self, scope: trio.CancelScope) -> None:
        """Run until the stream is lost or the scope is cancelled."""
        with scope:
            try:
                await self._stream.wait_lost()
            except Exception:
                _log.exception("watching a media stream failed", call_id=self.call_id)
            self.lose_stream()

    def leave(self) -> None:
        """The block is left: hang up, and hear nothing any more."""
        self.hang_up()
        self._stop_watching()

    def _stop_watching(self) -> None:
        if self._watching is not None:
            self._watching.cancel()


class UserAgent:
    """Implements `engine.ports.telephony.Telephony` over SIP. Made by `open_user_agent`."""

    def __init__(
        self,
        datagram_socket: DatagramSocket,
        core: SipCore,
        lines: dict[str, Line],
        media: MediaPlane,
        randomness: Randomness,
        nursery: trio.Nursery,
    ) -> None:
        self.core = core
        self._socket = datagram_socket
        self._lines = lines
        self._media = media
        self._randomness = randomness
        self._nursery = nursery
        self._calls: dict[OutboundCall, SipCall] = {}
        self._alarm = trio.CancelScope()
        self._received = 0
        self._sent = 0
        self._dropped = 0

    @property
    def address(self) -> Address:
        """Where the socket is bound."""
        return self._socket.address

    def statistics(self) -> UserAgentStatistics:
        """Counters since the start."""
        return UserAgentStatistics(
            sip=self.core.statistics(),
            datagrams_received=self._received,
            datagrams_sent=self._sent,
            sends_dropped=self._dropped,
        )

    @asynccontextmanager
    async def prepare_call(self, request: CallRequest) -> AsyncIterator[Call]:
        """Reserve a media port and a Call-ID. Raises `TelephonyUnavailable` when there is no such
        trunk, no port or no media plane, or too many calls are up."""
        line = self._lines.get(request.trunk)
        if line is None:
            raise TelephonyUnavailable(f"no trunk {request.trunk!r}, or its host has no address")
        try:
            stream = await self._media.open_stream()
        except PlaneUnavailable as error:
            raise TelephonyUnavailable(str(error)) from error
        try:
            call = self._prepare(line, request, stream)
            try:
                yield call
            finally:
                call.leave()
                del self._calls[call._core_call]
        finally:
            with trio.move_on_after(STREAM_CLOSE_S_MAX, shield=True):
                await stream.close()

    def _prepare(self, line: Line, request: CallRequest, stream: Stream) -> SipCall:
        chance = self._randomness.getrandbits
        media = LocalMedia(self._media.address, stream.port, chance(31))
        try:
            core_call = self.core.prepare(
                line,
                number=request.number,
                caller=request.caller,
                token=b"%032x" % chance(128),
                media=media,
            )
        except TooManyCalls as error:
            raise TelephonyUnavailable(str(error)) from error
        call = self._calls[core_call] = SipCall(self, core_call, stream)
        return call

    def watch(self, call: SipCall, scope: trio.CancelScope) -> None:
        """End an answered call when its stream is lost."""
        self._nursery.start_soon(call.watch_stream, scope)

    def flush(self, now: float) -> None:
        """Send and tell everything that the core has to say."""
        core = self.core
        while datagrams := core.datagrams_to_send():
            for data, hop in datagrams:
                self._send(data, hop, now)
        for core_call, event in core.take_events():
            call = self._calls.get(core_call)
            if call is not None:
                self._tell(call, event)
        for fault in core.take_faults():
            _log.error(
                "a call was ended by a fault of ours",
                call_id=fault.call_id.decode("ascii", "replace"),
                exc_info=fault.exception,
            )
        if core.next_wake() < self._alarm.deadline:
            self._alarm.deadline = core.next_wake()

    def _tell(self, call: SipCall, event: CallEvent) -> None:
        try:
            call.hear(event)
        except Exception:
            _log.exception("a call could not be told", call_id=call.call_id, what=repr(event))
            call.lose_stream()

    def _send(self, data: bytes, hop: Hop, now: float) -> None:
        sent = self._socket.send(data, (hop.host, hop.port))
        if sent == "sent":
            self._sent += 1
        elif sent == "full":
            self._dropped += 1
        else:
            self.core.fail_transport(hop, now)

    async def read_datagrams(self) -> None:
        """Run for as long as the user agent lives."""
        while True:
            await trio.lowlevel.wait_readable(self._socket.socket)
            self._drain(trio.current_time())

    def _drain(self, now: float) -> bool:
        """Take what has arrived; True when the bound was reached before the end."""
        receive, take = self._socket.receive, self.core.receive
        for count in range(DATAGRAMS_PER_ROUND_MAX):
            datagram = receive()
            if datagram is None:
                if count == 0:
                    # Readable without a datagram: it is the error queue, which stays readable
                    # until it is empty.
                    for host, port in self._socket.take_errors():
                        self.core.fail_transport(Hop(host, port), now)
                is_more = False
                break
            self._received += 1
            data, source = datagram
            try:
                take(data, Hop(*source), now)
            except Exception:
                _log.exception("a datagram was not handled", source=source, data=data[:200])
        else:
            is_more = True
        self.flush(now)
        return is_more

    async def keep_time(self) -> None:
        """Run for as long as the user agent lives."""
        while True:
            now = trio.current_time()
            deadline = max(self.core.next_wake(), now + TIMER_RESOLUTION_S)
            with trio.CancelScope(deadline=deadline) as self._alarm:
                await trio.sleep_forever()
            now = trio.current_time()
            # When the machine held us up, the response may have come in time and wait in the
            # socket: nothing is sent again before that was looked at.
            for _ in range(ROUNDS_BEFORE_TIMERS_MAX):
                if not self._drain(now):
                    break
            self.core.wake(now)
            self.flush(now)

    def hang_up_all(self) -> None:
        """Send what ends each call, and wait for nobody."""
        for call in tuple(self._calls.values()):
            call.hang_up()
        for core_call in tuple(self._calls):
            core_call.abandon("we_hung_up")
        self.flush(trio.current_time())


@asynccontextmanager
async def open_user_agent(
    settings: UserAgentSettings, media: MediaPlane, randomness: Randomness
) -> AsyncIterator[UserAgent]:
    """A user agent on a socket of its own. Leaving the block ends what calls there are.

    The trunks' host names are looked up once, here; a trunk whose name has no address is logged and
    cannot be used. Raises `OSError` when the socket cannot be bound.
    """
    datagram_socket = DatagramSocket(*settings.bind)
    try:
        lines = await _open_lines(settings, datagram_socket)
        hosts = frozenset(line.hop.host for line in lines.values())
        secret = randomness.getrandbits(128).to_bytes(16, "big")
        core = SipCore(secret, hosts, settings.timing)
        async with trio.open_nursery() as nursery:
            agent = UserAgent(datagram_socket, core, lines, media, randomness, nursery)
            nursery.start_soon(agent.keep_time)
            nursery.start_soon(agent.read_datagrams)
            try:
                yield agent
            finally:
                agent.hang_up_all()
                nursery.cancel_scope.cancel()
    finally:
        datagram_socket.close()


async def _open_lines(settings: UserAgentSettings, bound: DatagramSocket) -> dict[str, Line]:
    lines = {}
    bound_host, port = bound.address
    for trunk in settings.trunks:
        try:
            found = await trio.socket.getaddrinfo(trunk.host, trunk.port, family=bound.family)
            address = (str(found[0][4][0]), trunk.port or SIP_PORT)
            host = settings.advertise or bound_host
            if ip_address(host).is_unspecified:
                host = local_address_towards(address, bound.family)
        except OSError as error:
            _log.warning("a trunk has no address", trunk=trunk.name, error=str(error))
            continue
        ours = (host, port)
        lines[trunk.name] = open_line(trunk, Hop(*address), Here(ours, ours, ours))
    return lines
