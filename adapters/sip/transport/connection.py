"""One TCP or TLS connection: a queue that never makes its sender wait, and a task that reads.

How it works. `send` puts a message at the end of the queue and at once writes what the kernel takes,
which nearly always is all of it. Only what is left over waits for a task that writes when the socket
can take more. Another task reads a bounded piece at a time, so that every peer gets its turn, and
one sleeps until the connection has been silent for too long.

However a connection ends, it ends once, through `end`, which tells its owner what did not get out.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import structlog
import trio
from msgspec import Struct

from adapters.sip.transport.framing import PING, PONG, FramingError, StreamFramer
from adapters.sip.transport.keep_alive import KeepAlive, Patience
from adapters.sip.transport.stream_socket import wait_connected
from adapters.sip.transport.tls import TlsLayer, describe
from adapters.sip.wire.hop import Hop

READ_BYTES_MAX = 16_384
"""What is read before others get a turn: some forty messages."""
WRITES_PER_TURN_MAX = 64
"""Messages that are written before others get a turn."""

Reason = Literal[
    "connect",
    "tls",
    "closed",
    "broken",
    "overflow",
    "framing",
    "back_off",
    "limit",
    "idle",
    "left",
    "fault",
]
"""Why a connection ended, or could not be had: it was not accepted in time; the handshake failed or a
certificate was refused; the peer closed it; the network broke it, or the peer went mute; the peer
does not read; the peer sends what has no beginning and end; connecting has failed just now; there
are too many; nobody used it; we are leaving; a mistake of ours."""

_log = structlog.get_logger("callwheel.sip")


class Terms(Struct, frozen=True):
    """What one connection may cost us."""

    queue_bytes_max: int
    """Of messages that the kernel has not taken yet; more ends the connection."""
    patience: Patience
    establish_s: float = 5.0
    """For connecting and TLS handshake together."""
    stall_s: float = 10.0
    """How long the peer may take nothing while something waits for it."""


class Ending(Struct, frozen=True):
    """How a connection ended."""

    reason: Reason
    detail: str
    """For logs."""
    undelivered: tuple[bytes, ...]
    """The messages of which the peer cannot have the whole. Of the others it may have."""


class Traffic(Struct):
    """Counters that connections share."""

    messages_received: int = 0
    messages_sent: int = 0
    bytes_refused: int = 0
    """Of streams that broke: what came behind their last message."""


class Connection:
    """Owns a socket that is connected or connecting. `on_message` and `on_end` are called from its tasks,
    and `on_end` from `send` and `end` as well."""

    def __init__(
        self,
        hop: Hop,
        terms: Terms,
        traffic: Traffic,
        *,
        stream: socket.socket,
        tls: TlsLayer | None,
        on_message: Callable[[bytes, Hop], None],
        on_end: Callable[[Connection, Ending], None],
    ) -> None:
        self.hop = hop
        self._terms = terms
        self._traffic = traffic
        self._socket = stream
        self._tls = tls
        self._on_message = on_message
        self._on_end = on_end
        self._phase: Literal["establishing", "open", "over"] = "establishing"
        self._nursery: trio.Nursery | None = None
        self._framer = StreamFramer()
        self._keep_alive = KeepAlive(terms.patience, trio.current_time())
        self._queue: deque[bytes] = deque()
        self._queue_bytes = 0
        """Of the queue and the message that is being written."""
        self._writing = b""
        """The message that is being written; empty between two."""
        self._unsent = memoryview(b"")
        """What is left of it, as it goes over the wire."""
        self._is_draining = False
        self._has_heard = False
        self._has_taken_message = False

    @property
    def has_heard(self) -> bool:
        """Whether a byte has come from the peer, over TLS a decrypted one."""
        return self._has_heard

    @property
    def has_taken_message(self) -> bool:
        """Whether a message has come from the peer."""
        return self._has_taken_message

    def send(self, data: bytes) -> None:
        """Send a message without waiting. May end the connection."""
        self._keep_alive.send(trio.current_time())
        self._enqueue(data)

    def end(self, reason: Reason, detail: str = "") -> None:
        """Close the connection at once; does nothing the second time."""
        if self._phase == "over":
            return
        was_open = self._phase == "open"
        self._phase = "over"
        # Cancelled first, so that no task still waits for a socket that is closed.
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
        if was_open and self._tls is not None and not self._unsent:
            self._try_to_send(self._tls.say_goodbye())
        self._socket.close()
        left = (self._writing, *self._queue)
        undelivered = tuple(data for data in left if _is_message(data))
        self._queue.clear()
        self._on_end(self, Ending(reason, detail, undelivered))

    async def run(self) -> None:
        """The connection's life. Raises nothing but cancellation."""
        try:
            if self._phase == "over":
                return
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                if await self._establish():
                    nursery.start_soon(self._watch)
                    await self._read()
                nursery.cancel_scope.cancel()
        except Exception as exception:
            _log.exception("a connection was ended by a fault of ours", hop=self.hop)
            self.end("fault", repr(exception))
        finally:
            self.end("left")

    async def _establish(self) -> bool:
        """Whether messages can flow now; otherwise the connection is over."""
        stage: Reason = "connect"
        with trio.move_on_after(self._terms.establish_s) as deadline:
            try:
                await wait_connected(self._socket)
                if self._tls is not None:
                    stage = "tls"
                    await self._shake_hands(self._tls)
            except ssl.SSLError as error:
                if self._tls is not None:
                    # The peer is told why.
                    self._try_to_send(self._tls.take_outgoing())
                self.end(stage, describe(error))
            except OSError as error:
                self.end(stage, error.strerror or str(error))
        if deadline.cancelled_caught:
            self.end(stage, "timed out")
        if self._phase == "over":
            return False
        self._phase = "open"
        self._write()
        return self._phase == "open"

    async def _shake_hands(self, tls: TlsLayer) -> None:
        while True:
            is_done = tls.shake_hands()
            rest = memoryview(tls.take_outgoing())
            while rest:
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._socket)
            if is_done:
                return
            await trio.lowlevel.wait_readable(self._socket)
            with suppress(BlockingIOError):
                data = self._socket.recv(READ_BYTES_MAX)
                if not data:
                    raise ConnectionResetError("closed during the handshake")
                tls.put(data)

    # Reading.

    async def _read(self) -> None:
        if self._tls is not None:
            # The first messages may have come together with the end of the handshake.
            self._take_encrypted(self._tls, b"")
        while self._phase == "open":
            await trio.lowlevel.wait_readable(self._socket)
            try:
                data = self._socket.recv(READ_BYTES_MAX)
            except BlockingIOError:
                continue
            except OSError as error:
                self.end("broken", error.strerror or str(error))
                return
            if not data:
                self._end_of_stream()
            elif self._tls is None:
                self._take(data)
            else:
                self._take_encrypted(self._tls, data)

    def _end_of_stream(self) -> None:
        self.end("closed", "in the middle of a message" if self._framer.bytes_held else "")

    def _take_encrypted(self, tls: TlsLayer, data: bytes) -> None:
        tls.put(data)
        plain = tls.read()
        if plain:
            self._take(plain)
        self._send_control(tls.take_outgoing())
        if tls.ending:
            self.end("tls", tls.ending)
        elif tls.ending is not None:
            self._end_of_stream()

    def _take(self, data: bytes) -> None:
        self._has_heard = True
        fault: FramingError | None = None
        try:
            messages = self._framer.feed(data)
        except FramingError as error:
            fault = error
            messages = error.messages
        self._keep_alive.hear(trio.current_time(), messages=len(messages), pongs=self._framer.pongs)
        pings = self._framer.take_pings()
        if pings:
            self._enqueue(PONG * pings)
        for message in messages:
            self._has_taken_message = True
            self._traffic.messages_received += 1
            self._on_message(message, self.hop)
        if fault is not None:
            self._traffic.bytes_refused += self._framer.bytes_held
            self.end("framing", fault.reason)

    async def _watch(self) -> None:
        while True:
            await trio.sleep_until(self._keep_alive.next_wake())
            match self._keep_alive.judge(trio.current_time()):
                case "ping":
                    self._framer.expect_pong()
                    self._enqueue(PING)
                case "mute":
                    self.end("broken", "no pong")
                case "idle":
                    self.end("idle")
                case "wait":
                    pass

    # Writing.

    def _enqueue(self, data: bytes) -> None:
        if self._phase == "over":
            return
        self._queue.append(data)
        self._queue_bytes += len(data)
        if self._queue_bytes > self._terms.queue_bytes_max:
            self.end("overflow", "the peer does not read")
        elif self._phase == "open" and not self._is_draining:
            self._write()

    def _send_control(self, records: bytes) -> None:
        """Send what TLS wants to send by itself, in front of what is not encrypted yet."""
        if not records or self._phase != "open":
            return
        self._unsent = memoryview(bytes(self._unsent) + records)
        if len(self._unsent) > self._terms.queue_bytes_max + READ_BYTES_MAX:
            self.end("overflow", "the peer does not read")
        elif not self._is_draining:
            self._write()

    def _write(self) -> None:
        """Write what the kernel takes at once, and leave the rest to a task."""
        assert self._nursery is not None
        try:
            for _ in range(WRITES_PER_TURN_MAX):
                if not self._unsent and not self._take_next():
                    return
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
                if not self._unsent:
                    self._finish_message()
        except BlockingIOError:
            pass
        except OSError as error:
            self.end("broken", error.strerror or str(error))
            return
        if not self._is_draining:
            self._is_draining = True
            self._nursery.start_soon(self._drain)

    def _take_next(self) -> bool:
        """Bring the next message into the form that goes over the wire; False when there is none."""
        if not self._queue:
            return False
        self._writing = self._queue.popleft()
        self._unsent = memoryview(
            self._writing if self._tls is None else self._tls.encrypt(self._writing)
        )
        return True

    def _finish_message(self) -> None:
        self._traffic.messages_sent += _is_message(self._writing)
        self._queue_bytes -= len(self._writing)
        self._writing = b""

    async def _drain(self) -> None:
        while self._phase == "open" and (self._unsent or self._queue):
            with trio.move_on_after(self._terms.stall_s) as deadline:
                await trio.lowlevel.wait_writable(self._socket)
            if deadline.cancelled_caught:
                self.end("overflow", "the peer does not read")
            elif self._phase == "open":
                self._write()
        self._is_draining = False

    def _try_to_send(self, data: bytes) -> None:
        """Send last words, if it costs nothing."""
        if data:
            with suppress(OSError):
                self._socket.send(data)


def _is_message(data: bytes) -> bool:
    return bool(data) and not data.startswith(PONG)
