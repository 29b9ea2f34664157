"""The process of `bench.media` that does nothing but send: prepared packets, each stream on a connected
socket of its own, a tenth of them every 2 ms. No sound is looked up, nothing is received, nobody is
listened to; only the packets are numbered.

Usage: `python -m bench.media_floor PORT STREAMS SECONDS WAY`; it prints a `FloorTally` as JSON.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import socket
import sys
import time
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from adapters.media.sockets.way import PLAIN, choose_way
from adapters.media.wire.rtp import FRAME_NS, PACKET_FIELDS

PHASES: Final = 10
TICK_NS: Final = FRAME_NS // PHASES


class FloorTally(Struct):
    """What the loop has done."""

    packets: int
    cpu_us_per_packet: float
    way: str


def run_floor(port: int, streams: int, seconds: float, way_name: str) -> FloorTally:
    """Send for so long."""
    way = choose_way(streams) if way_name == "fastest" else PLAIN
    sender = way.make_sender(streams)
    packets = np.zeros(streams, PACKET_FIELDS)
    packets["first"], packets["payload"] = 0x80, 0xFF
    packets["ssrc"] = np.arange(streams) + 1
    octets = packets.view(np.uint8).reshape(streams, -1)
    endpoints = []
    for row in range(streams):
        endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        endpoint.bind(("127.0.0.1", 0))
        endpoint.connect(("127.0.0.1", port))
        endpoints.append(endpoint)
        sender.attach(row, endpoint, octets[row])
    phases = [np.arange(phase, streams, PHASES) for phase in range(PHASES)]
    gc.disable()
    sent, cpu_before = 0, time.process_time()
    due_ns = time.monotonic_ns()
    end_ns = due_ns + int(seconds * 1e9)
    while due_ns < end_ns:
        for rows in phases:
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            sender.send(rows)
            packets["sequence"][rows] += 1
            sent += len(rows)
            due_ns += TICK_NS
    cpu_s = time.process_time() - cpu_before
    for endpoint in endpoints:
        endpoint.close()
    sender.close()
    return FloorTally(sent, cpu_s / sent * 1e6, way.name)


def main() -> None:
    """Run with what the arguments say, and before ordinary processes as the plane does."""
    port, streams, seconds, way = sys.argv[1:5]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if "ordinary" not in sys.argv:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    tally = run_floor(int(port), int(streams), float(seconds), way)
    sys.stdout.buffer.write(msgspec.json.encode(tally))


if __name__ == "__main__":
    main()
