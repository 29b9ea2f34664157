"""The process of `bench.media` at the other end: it hears every stream, and speaks to those it is told.

Usage: `python -m bench.media_far`. It prints its port as a line of JSON, and takes `Order`s as lines
of JSON; to an order that asks for a measurement it answers with a `Lateness`.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.wire.rtp import (
    FRAME_BYTES,
    FRAME_NS,
    HEADER_BYTES,
    HEADER_FIELDS,
    PACKET_FIELDS,
)
from bench.datagrams import BATCH_MAX, DatagramSocket

PHASES: Final = 10
PACKETS_MAX: Final = 8_000_000
"""Packets of one measurement: 16,000 streams for 10 s."""
IN_TIME_NS: Final = 5_000_000
READ_MAX: Final = 1 << 20
"""Octets of orders that are read at once: the ports of some thousand streams."""
TELEPHONE_EVENT: Final = 101
KEY_EVERY: Final = 500
"""Each stream's callee presses a key every so many packets, 10 s."""
KEY_PACKETS: Final = 8
"""Packets of one key, the last three of which say that it is over (RFC 4733 §2.5.1.4)."""
KEY_END_PACKETS: Final = 3
EVENT_BYTES: Final = 4
REPORTS_BUFFER_BYTES: Final = 4_096
"""The kernel drops reports beyond that."""
PORT_TRIES_MAX: Final = 64


class Order(Struct):
    """What the far end is to do."""

    speak_to: list[int] | None = None
    """Send 50 packets a second to each of these ports from now on."""
    measure_s: float = 0.0
    """Listen for so long and judge."""


class Lateness(Struct):
    """How late packets were: after the moment that the earliest one of their stream sets."""

    streams: int = 0
    packets: int = 0
    lost: int = 0
    in_time_share: float = 0.0
    """Of the packets, those at most 5 ms late."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    keys_pressed: int = 0
    """Since the far end began."""


def judge(
    ssrc: NDArray[np.uint32], sequence: NDArray[np.uint16], received_ns: NDArray[np.int64]
) -> Lateness:
    """How late these packets came. Packet n of a stream is due n times 20 ms after its packet 0, and
    the one that came earliest by that measure was in time."""
    if not len(ssrc):
        return Lateness()
    order = np.argsort(ssrc, kind="stable")
    ssrc, sequence, received_ns = ssrc[order], sequence[order], received_ns[order]
    firsts = np.flatnonzero(np.r_[True, ssrc[1:] != ssrc[:-1]])
    counts = np.diff(np.r_[firsts, len(ssrc)])
    # The distance from the stream's first packet, whichever way the number wrapped.
    number = (sequence - np.repeat(sequence[firsts], counts)).astype(np.int16).astype(np.int64)
    beyond_ns = received_ns - number * FRAME_NS
    late_ns = beyond_ns - np.repeat(np.minimum.reduceat(beyond_ns, firsts), counts)
    spans = np.maximum.reduceat(number, firsts) - np.minimum.reduceat(number, firsts) + 1
    p50, p99 = np.percentile(late_ns, [50, 99]) / 1e6
    return Lateness(
        streams=len(firsts),
        packets=len(ssrc),
        lost=int((spans - counts).sum()),
        in_time_share=float((late_ns <= IN_TIME_NS).mean()),
        p50_ms=float(p50),
        p99_ms=float(p99),
        max_ms=float(late_ns.max() / 1e6),
    )


class Ear:
    """Keeps what a measurement needs of each packet."""

    def __init__(self) -> None:
        self._ssrc = np.zeros(PACKETS_MAX, np.uint32)
        self._sequence = np.zeros(PACKETS_MAX, np.uint16)
        self._received_ns = np.zeros(PACKETS_MAX, np.int64)
        self._count = 0
        self.is_open = False

    def take(self, packets: NDArray[np.uint8], received_ns: NDArray[np.int64]) -> None:
        """Note these packets while a measurement runs."""
        if not self.is_open:
            return
        headers = np.ascontiguousarray(packets[:, :HEADER_BYTES]).view(HEADER_FIELDS)[:, 0]
        here = slice(self._count, min(PACKETS_MAX, self._count + len(packets)))
        kept = here.stop - here.start
        self._ssrc[here] = headers["ssrc"][:kept]
        self._sequence[here] = headers["sequence"][:kept]
        self._received_ns[here] = received_ns[:kept]
        self._count = here.stop

    def judge(self) -> Lateness:
        """The verdict on what was noted, which is forgotten."""
        here = slice(0, self._count)
        self._count = 0
        return judge(self._ssrc[here], self._sequence[here], self._received_ns[here])


class Mouth:
    """Speaks to many ports, a tenth of them every 2 ms; now and then a callee presses a key."""

    def __init__(self, endpoint: DatagramSocket, ports: list[int], first_ssrc: int) -> None:
        self._endpoint = endpoint
        self._ports = np.array(ports, np.uint16)
        self._packets = np.zeros(len(ports), PACKET_FIELDS)
        self._packets["first"] = 0x80
        self._packets["payload"] = 0xFF
        self._packets["ssrc"] = first_ssrc + np.arange(len(ports))
        between_keys = KEY_EVERY - KEY_PACKETS
        self._number = KEY_PACKETS + np.arange(len(ports)) * 7 % between_keys
        self.keys_pressed = 0

    def speak(self, phase: int) -> None:
        """Send one packet to each port of one phase."""
        rows = slice(phase, None, PHASES)
        packets, number = self._packets[rows].copy(), self._number[rows] + 1
        if not len(packets):
            return
        self._number[rows] = number
        packets["sequence"] = number
        packets["timestamp"] = number * FRAME_BYTES
        at = number % KEY_EVERY
        keys = at < KEY_PACKETS
        # Every packet of a key carries the moment at which it was pressed (RFC 4733 §2.4.1).
        packets["timestamp"][keys] = (number - at)[keys] * FRAME_BYTES
        packets["second"][keys] = TELEPHONE_EVENT
        packets["payload"][keys, 0] = number[keys] // KEY_EVERY % 10
        over = at[keys] >= KEY_PACKETS - KEY_END_PACKETS
        packets["payload"][keys, 1] = np.where(over, 0x8A, 0x0A)
        durations = (at[keys] + 1) * FRAME_BYTES
        packets["payload"][keys, 2], packets["payload"][keys, 3] = durations >> 8, durations & 0xFF
        self.keys_pressed += int((at == 0).sum())
        lengths = np.where(keys, HEADER_BYTES + EVENT_BYTES, packets.dtype.itemsize)
        octets = packets.view(np.uint8).reshape(len(packets), -1)
        self._endpoint.send(octets, lengths, self._ports[rows])


def open_ports() -> tuple[DatagramSocket, socket.socket]:
    """A port to hear at, and the next one for reports (RTCP), which nobody reads. Where nobody had it, the
    kernel would answer each report with an ICMP error, at the cost of whoever sends."""
    refused = []
    while True:
        endpoint = DatagramSocket()
        reports = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        reports.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, REPORTS_BUFFER_BYTES)
        with contextlib.suppress(OSError, OverflowError):
            reports.bind(("127.0.0.1", endpoint.port + 1))
            break
        # Held until there is one, so that the kernel does not choose it again.
        refused.append((endpoint, reports))
        assert len(refused) < PORT_TRIES_MAX
    for one, other in refused:
        one.close()
        other.close()
    return endpoint, reports


class FarEnd:
    """The loop."""

    def __init__(self) -> None:
        self._endpoint, self._reports = open_ports()
        self._ear = Ear()
        self._mouth = Mouth(self._endpoint, [], 0)
        self._next_ssrc = 1
        self._keys_before = 0
        """Keys of the mouths before this one."""
        self._judge_at_ns = 0

    def run(self) -> None:
        """Listen and speak until the standard input ends."""
        _say(self._endpoint.port)
        orders = OrderReader()
        due_ns, phase = time.monotonic_ns(), 0
        while orders.is_open:
            for order in orders.read():
                self._obey(order)
            self._listen()
            self._mouth.speak(phase)
            if self._ear.is_open and time.monotonic_ns() >= self._judge_at_ns:
                self._judge()
                # It takes so long that packets would be sent in a burst after it.
                due_ns = time.monotonic_ns()
            phase = (phase + 1) % PHASES
            due_ns += FRAME_NS // PHASES
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)

    def _listen(self) -> None:
        count = BATCH_MAX
        while count == BATCH_MAX:
            datagrams = self._endpoint.receive()
            count = len(datagrams.packets)
            self._ear.take(datagrams.packets, datagrams.received_ns)

    def _obey(self, order: Order) -> None:
        if order.speak_to is not None:
            self._keys_before += self._mouth.keys_pressed
            # Another mouth is another source: its numbers begin anew.
            self._mouth = Mouth(self._endpoint, order.speak_to, self._next_ssrc)
            self._next_ssrc += len(order.speak_to)
        if order.measure_s:
            self._judge_at_ns = time.monotonic_ns() + int(order.measure_s * 1e9)
            self._ear.is_open = True

    def _judge(self) -> None:
        self._ear.is_open = False
        verdict = self._ear.judge()
        verdict.keys_pressed = self._keys_before + self._mouth.keys_pressed
        _say(verdict)


class OrderReader:
    """Takes lines from the standard input without waiting for them."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._poll.register(sys.stdin.fileno(), select.POLLIN)
        self._buffer = b""
        self.is_open = True

    def read(self) -> list[Order]:
        """The orders that have come."""
        if not self._poll.poll(0):
            return []
        data = os.read(sys.stdin.fileno(), READ_MAX)
        self.is_open = bool(data)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [msgspec.json.decode(line, type=Order) for line in lines]


def _say(what: Lateness | int) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    # Its packets are part of what is measured: nobody's time is to be taken for the plane's.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    FarEnd().run()
