"""The simulated carrier on the wire: two UDP sockets, a timer and a 20 ms loop around an `Exchange`.

How it works. Readers wait for readability once and then drain their socket without blocking, up to a
bound, so that no flood of one kind starves the rest; writes go straight to the socket. What the
kernel does not take is counted and lost, as on a real network: SIP sends it again. Time is trio's,
so that a carrier under a mock clock keeps that clock's time; but a datagram counts from the moment at
which the kernel took it, so that a busy machine does not blur what callers are judged by.
"""

from __future__ import annotations

import logging
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from sim.call_log import CallLog, CarrierStatistics
from sim.exchange import Exchange
from sim.profile import BUILT_IN, Profile
from sim.rtp import FRAME_S, Streams
from sim.wire import Address

DATAGRAM_BYTES_MAX: Final = 65_535
DRAIN_MAX: Final = 64
"""Datagrams taken from a socket before the other tasks have their turn."""
RTP_SENT_AT_ONCE: Final = 256
"""RTP packets sent before the other tasks have their turn."""
TIMER_RESOLUTION_S: Final = 0.005
"""Moments this near to each other are served together."""
RTP_BEHIND_S_MAX: Final = 0.1
"""A sender that is later than this skips what it missed."""
UNREAD_S_MAX: Final = 1.0
"""A datagram that seems to have waited longer than this met a wall clock that was set."""
SOCKET_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Asked of the kernel, which may give less."""

# From <asm-generic/socket.h>: Python does not name it. The kernel adds a `struct timespec` of the wall
# clock to each datagram, at the moment at which it took it.
_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@ll")

_logger = logging.getLogger(__name__)


class CarrierSettings(Struct, frozen=True, kw_only=True):
    """Where a carrier listens, and how it behaves."""

    bind: str = "127.0.0.1:5070"
    """IP address and UDP port of its SIP; port 0 takes a free one. IPv6 in brackets."""
    advertise: str = ""
    """The IP address that callers reach it at; empty is that of `bind`, and `bind` must name one."""
    rtp_port: int = 0
    """UDP port of all its RTP; 0 takes a free one."""
    profile: Profile = BUILT_IN["default"]
    seed: int = 1
    """Together with a number, and how often it was called, it decides what a callee does."""
    log_path: Path | None = None
    """Where a line of JSON for each call is appended; see `sim.call_log`."""

    @property
    def bind_address(self) -> Address:
        """`bind` taken apart. Raises ValueError where it is not an address and a port, or where
        callers could not tell from it where to answer."""
        host, colon, port = self.bind.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not port.isdigit() or int(port) > 65_535:
            raise ValueError(f"bind {self.bind}: expected ADDRESS:PORT")
        try:
            unspecified = ip_address(host).is_unspecified
        except ValueError:
            raise ValueError(f"bind {self.bind}: {host!r} is not an IP address") from None
        if unspecified and not self.advertise:
            raise ValueError(f"bind {self.bind}: needs an address to advertise")
        if self.advertise:
            try:
                ip_address(self.advertise)
            except ValueError:
                raise ValueError(f"advertise {self.advertise}: not an IP address") from None
        return host, int(port)


class _Signalling:
    """The SIP socket, its exchange, and the timer."""

    def __init__(self, sock: socket.socket, exchange: Exchange, log: CallLog | None) -> None:
        self._sock = sock
        self._exchange = exchange
        self._log = log
        self._alarm = trio.CancelScope()
        self._quiet_until = 0.0
        self._send_failed = 0
        self._log_failed = 0
        self._faults = 0

    def statistics(self) -> CarrierStatistics:
        statistics = self._exchange.statistics()
        statistics.send_failed += self._send_failed
        statistics.log_failed = self._log_failed
        statistics.faults = self._faults
        return statistics

    async def read(self) -> None:
        """Take what arrives, until cancelled."""
        sock, space = self._sock, socket.CMSG_SPACE(_TIMESPEC.size)
        while True:
            await trio.lowlevel.wait_readable(sock)
            for _ in range(DRAIN_MAX):
                try:
                    data, notes, _, source = sock.recvmsg(DATAGRAM_BYTES_MAX, space)
                except OSError:
                    # Nothing left, or an ICMP error of an earlier datagram, which retransmission covers.
                    break
                self._take(data, source[:2], trio.current_time() - _unread_s(notes))
            self._settle()

    def _take(self, data: bytes, source: Address, at: float) -> None:
        """Whatever one datagram brings about, it harms nobody else."""
        try:
            self._exchange.receive(data, source, at)
        except Exception:
            self._faults += 1
            _logger.exception("a datagram from %s met a mistake: %r", source, data[:2000])
        self._send()

    def _settle(self) -> None:
        """What is left to do when the socket is drained: write the log, set the alarm."""
        self._write_log()
        wake_at = max(self._exchange.wake_at, self._quiet_until)
        if wake_at < self._alarm.deadline:
            self._alarm.deadline = wake_at

    async def keep_time(self) -> None:
        """Serve the moments that callees wait for."""
        while True:
            self._quiet_until = trio.current_time() + TIMER_RESOLUTION_S
            wake_at = max(self._exchange.wake_at, self._quiet_until)
            with trio.CancelScope(deadline=wake_at) as self._alarm:
                await trio.sleep_forever()
            try:
                self._exchange.advance(trio.current_time())
            except Exception:
                self._faults += 1
                _logger.exception("a moment of a call met a mistake")
            self._send()
            self._write_log()

    def close(self) -> None:
        """Log what is not finished."""
        self._exchange.close(self.statistics())
        self._write_log()

    def _send(self) -> None:
        outbox = self._exchange.outbox
        for data, address in outbox:
            try:
                self._sock.sendto(data, address)
            except OSError:
                self._send_failed += 1
        outbox.clear()

    def _write_log(self) -> None:
        finished = self._exchange.finished
        if self._log is not None and finished:
            try:
                self._log.write(finished)
            except OSError as error:
                if not self._log_failed:
                    _logger.error("the call log takes no more: %s", error)
                self._log_failed += len(finished)
        finished.clear()


class _Voice:
    """The RTP socket, and the loop that speaks."""

    def __init__(self, sock: socket.socket, streams: Streams) -> None:
        self._sock = sock
        self._streams = streams

    async def speak(self) -> None:
        """Send 20 ms of sound on every stream, every 20 ms."""
        due_at = trio.current_time()
        while True:
            due_at += FRAME_S
            await trio.sleep_until(due_at)
            if trio.current_time() - due_at > RTP_BEHIND_S_MAX:
                due_at = trio.current_time()
            for sent, stream in enumerate(tuple(self._streams.sending.values()), start=1):
                try:
                    self._sock.sendto(stream.next_packet(), stream.remote)
                except OSError:
                    self._streams.send_failed += 1
                if sent % RTP_SENT_AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()


class Carrier:
    """One simulated carrier. `run` it once; `statistics` may be asked at any time."""

    def __init__(self, settings: CarrierSettings) -> None:
        """Raises ValueError for settings that cannot be."""
        self._settings = settings
        self._host, self._port = settings.bind_address
        self._signalling: _Signalling | None = None

    def statistics(self) -> CarrierStatistics:
        """The counters so far."""
        return CarrierStatistics() if self._signalling is None else self._signalling.statistics()

    async def run(
        self, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Take calls until cancelled; then log what is not finished, send nothing, and close.

        It reports the address where it takes SIP when it does. Raises OSError for a port that is
        taken, or a log that cannot be opened.
        """
        settings = self._settings
        with ExitStack() as stack:
            sip = stack.enter_context(_open_socket(self._host, self._port))
            rtp = stack.enter_context(_open_socket(self._host, settings.rtp_port))
            log = None
            if settings.log_path is not None:
                log = CallLog(settings.log_path)
                stack.callback(log.close)
            reached_at = settings.advertise or self._host
            address = (reached_at, sip.getsockname()[1])
            streams = Streams(settings.profile.streams_max if settings.profile.media else 0)
            rtp_address = (reached_at, rtp.getsockname()[1])
            exchange = Exchange(settings.profile, settings.seed, address, rtp_address, streams)
            signalling = self._signalling = _Signalling(sip, exchange, log)
            stack.callback(signalling.close)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(signalling.read)
                nursery.start_soon(_drain, rtp, streams.receive)
                nursery.start_soon(signalling.keep_time)
                if streams.sending_max:
                    nursery.start_soon(_Voice(rtp, streams).speak)
                task_status.started(address)


async def run_carrier(
    settings: CarrierSettings, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run a carrier until cancelled; see `Carrier`."""
    await Carrier(settings).run(task_status=task_status)


async def _drain(sock: socket.socket, take: Callable[[bytes, Address], None]) -> None:
    """Hand every datagram to `take`, until cancelled."""
    while True:
        await trio.lowlevel.wait_readable(sock)
        for _ in range(DRAIN_MAX):
            try:
                data, source = sock.recvfrom(DATAGRAM_BYTES_MAX)
            except OSError:
                # Nothing left, or an ICMP error of an earlier datagram, which retransmission covers.
                break
            take(data, source[:2])


def _unread_s(notes: list[tuple[int, int, bytes]]) -> float:
    """How long a datagram lay in the kernel before it was read, seconds."""
    for _, kind, note in notes:
        if kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(note)
            waited_s = time.time() - (seconds + nanoseconds * 1e-9)  # noqa: TID251 - the kernel's clock
            return waited_s if 0.0 <= waited_s <= UNREAD_S_MAX else 0.0
    return 0.0


def _open_socket(host: str, port: int) -> socket.socket:
    """A non-blocking UDP socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        if sys.platform == "linux":
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock
