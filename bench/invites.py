"""A callee that is busy whoever calls, and that knows when each INVITE came. It runs in the process of the
scenario, and answers with what it was sent: no more than it takes to end a call."""

from __future__ import annotations

import re
import socket
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio
from msgspec import Struct

from sim.wire import respond

RECEIVE_BYTES: Final = 65_536
DRAIN_MAX: Final = 64
"""Datagrams that are taken before the other tasks have their turn."""

_ECHOED: Final = re.compile(rb"(?im)^(?:via|from|to|call-id|cseq)\s*:[^\r\n]*")
_CALLED: Final = re.compile(rb"INVITE sip:([^@;>\s]+)@")
_CALLER: Final = re.compile(rb"(?im)^from\s*:[^\r\n]*sip:([^@;>\s]+)@")
_CALL_ID: Final = re.compile(rb"(?im)^call-id\s*:\s*([^\r\n]+)")


class Invite(Struct, frozen=True, gc=False):
    """One call that came, when its first INVITE came."""

    at: float
    """`trio.current_time()`."""
    called: str
    caller: str


class InviteLog:
    """What has come so far."""

    def __init__(self, port: int) -> None:
        self.port = port
        """UDP, of 127.0.0.1."""
        self.invites: list[Invite] = []
        self._call_ids: set[bytes] = set()
        self._came = trio.lowlevel.ParkingLot()

    def since(self, at: float, caller: str | None = None) -> list[Invite]:
        """Calls that came at or after a moment, of one caller or of all."""
        first = bisect_left(self.invites, at, key=lambda one: one.at)
        return [one for one in self.invites[first:] if caller in (None, one.caller)]

    async def wait_since(self, at: float, caller: str) -> None:
        """Return when a call of this caller has come that came at or after a moment."""
        while not self.since(at, caller):
            await self._came.park()

    def take(self, datagram: bytes, now: float) -> bytes | None:
        """What to answer."""
        called = _CALLED.match(datagram)
        if called is None:
            return None
        call_id, caller = _CALL_ID.search(datagram), _CALLER.search(datagram)
        assert call_id is not None
        assert caller is not None
        if call_id[1] not in self._call_ids:
            self._call_ids.add(call_id[1])
            self.invites.append(Invite(now, called[1].decode(), caller[1].decode()))
            self._came.unpark_all()
        head = datagram.partition(b"\r\n\r\n")[0]
        lines = [
            line + b";tag=busy" if line[:3].lower() == b"to:" else line
            for line in _ECHOED.findall(head)
        ]
        return respond(486, tuple(lines))


@asynccontextmanager
async def open_busy_callee() -> AsyncIterator[InviteLog]:
    """Take calls for as long as the block lasts."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        log = InviteLog(sock.getsockname()[1])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve, sock, log)
            yield log
            nursery.cancel_scope.cancel()


async def _serve(sock: socket.socket, log: InviteLog) -> None:
    while True:
        await trio.lowlevel.wait_readable(sock)
        now = trio.current_time()
        for _ in range(DRAIN_MAX):
            try:
                datagram, source = sock.recvfrom(RECEIVE_BYTES)
            except BlockingIOError:
                break
            answer = log.take(datagram, now)
            if answer is not None:
                sock.sendto(answer, source)
        await trio.lowlevel.checkpoint()
