"""Which way packets take into the kernel: io_uring where it works, else plain sockets.

io_uring may be missing, forbidden (containers do), or too old, and a system may allow the ring and
still refuse the jobs. So the way is not asked for but tried, once, when a plane starts.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from msgspec import Struct

from adapters.media.sockets.receiver import Receiver, SocketReceiver
from adapters.media.sockets.ring import SLOTS_MAX, RingUnavailable
from adapters.media.sockets.ring_lines import RingReceiver, RingSender
from adapters.media.sockets.sender import Sender, SocketSender

WayName = Literal["io_uring", "sockets"]
TRIAL_WAIT_MS: Final = 1_000
"""How long the packet of a trial may take over loopback."""
_TRIAL: Final = b"callwheel"


class Way(Struct, frozen=True):
    """A sender and a receiver that go together."""

    name: WayName
    make_sender: Callable[[int], Sender]
    """Takes the number of rows."""
    make_receiver: Callable[[int], Receiver]
    """Takes the number of slots."""
    reason: str = ""
    """Why it is not the faster one."""


PLAIN: Final = Way("sockets", SocketSender, lambda _: SocketReceiver())
RING: Final = Way("io_uring", RingSender, RingReceiver)


def choose_way(slots: int) -> Way:
    """The faster way that works here, for a plane of so many slots."""
    if slots > SLOTS_MAX:
        return _plain(f"{slots} slots are more than a ring has")
    try:
        _try_ring(slots)
    except (RingUnavailable, OSError) as error:
        return _plain(str(error))
    return RING


def _plain(reason: str) -> Way:
    return Way(PLAIN.name, PLAIN.make_sender, PLAIN.make_receiver, reason)


def _try_ring(slots: int) -> None:
    """Send and receive one packet, by rings of the size that is wanted. Raises `RingUnavailable` and
    `OSError`."""
    with contextlib.ExitStack() as stack:
        sender = RingSender(slots)
        stack.callback(sender.close)
        receiver = RingReceiver(slots)
        stack.callback(receiver.close)
        speaker = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        listener.bind(("127.0.0.1", 0))
        speaker.connect(listener.getsockname())
        packet = np.frombuffer(_TRIAL, np.uint8)
        sender.attach(0, speaker, packet)
        receiver.attach(0, listener)
        refused = sender.send(np.zeros(1, np.intp))
        poller = select.poll()
        poller.register(listener, select.POLLIN)
        poller.poll(TRIAL_WAIT_MS)
        batch = receiver.receive()
        received = [bytes(octets[: len(_TRIAL)]) for octets in batch.packets]
        if refused or received != [_TRIAL] or batch.lengths.tolist() != [len(_TRIAL)]:
            raise RingUnavailable("the kernel does not send and receive through io_uring")
