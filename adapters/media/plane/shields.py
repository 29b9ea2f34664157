"""SRTP of the streams of a plane that have it, between the sockets and everything else.

Sending and receiving stay what they are: `ShieldedSender` stands before a sender, `open_batch` behind a
receiver, and neither the tick nor whoever hears knows which streams are secure. A stream in
the clear costs one look at an array in each batch, and nothing at all while no stream is secure.
"""

from __future__ import annotations

import socket
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.sockets.receiver import Batch
from adapters.media.sockets.sender import Sender
from adapters.media.types import SrtpKeys
from adapters.media.wire.rtp import RTCP_TYPE_MAX, RTCP_TYPE_MIN
from adapters.media.wire.srtp import Shield

_SHORTEST: Final = 2
"""Octets that tell RTP from RTCP."""


class Shields:
    """The shields of up to `capacity` rows."""

    def __init__(self, capacity: int) -> None:
        self.packets_rejected = 0
        """Packets to secure rows that were forged, replayed or in the clear."""
        self.has = np.zeros(capacity, np.bool_)
        """Which rows are secure."""
        self._capacity = capacity
        self._by_row: dict[int, Shield] = {}
        """Those that are in use."""
        self._known: dict[int, Shield] = {}
        """Beside them those of rows that have gone in the clear since: they know how far their keys are
        used up."""

    def set(self, row: int, keys: SrtpKeys | None) -> Shield | None:
        """Let a row have these keys, or go in the clear; its shield then."""
        self.has[row] = keys is not None
        if keys is None:
            self._by_row.pop(row, None)
            return None
        shield = self._known.get(row)
        if shield is None:
            shield = self._known[row] = Shield(keys)
        else:
            shield.change(keys)
        self._by_row[row] = shield
        return shield

    def forget(self, row: int) -> None:
        """The row is no stream any more, or another one."""
        self.set(row, None)
        self._known.pop(row, None)

    def protect(self, row: int, packet: bytes) -> bytes | None:
        """One packet of RTP as the row sends it; None where it must not be sent."""
        shield = self._by_row.get(row)
        return packet if shield is None else shield.protect(packet)

    def protect_rtcp(self, row: int, packet: bytes) -> bytes | None:
        """One packet of RTCP as the row sends it; None where it must not be sent."""
        shield = self._by_row.get(row)
        return packet if shield is None else shield.protect_rtcp(packet)

    def open(self, row: int, packet: bytes, *, is_rtcp: bool = False) -> bytes | None:
        """One packet that came for a row; None where its sender is not the callee, for all we know. RTCP
        beside RTP on one port (RFC 5761 §4) is recognised."""
        shield = self._by_row.get(row)
        if shield is None:
            return packet
        is_rtcp = is_rtcp or (
            len(packet) >= _SHORTEST and RTCP_TYPE_MIN <= packet[1] <= RTCP_TYPE_MAX
        )
        opened = shield.open_rtcp(packet) if is_rtcp else shield.open(packet)
        self.packets_rejected += opened is None
        return opened

    def open_batch(self, batch: Batch) -> Batch:
        """The same for packets of many slots, of which those above `capacity` are RTCP's: what is left of
        them, opened where they lie."""
        if not self._by_row or not len(batch.slots):
            return batch
        secure = np.flatnonzero(self.has[batch.slots % self._capacity])
        if not len(secure):
            return batch
        good = np.ones(len(batch.slots), np.bool_)
        lengths = batch.lengths.copy()
        for place in secure.tolist():
            slot = int(batch.slots[place])
            packet = batch.packets[place, : lengths[place]].tobytes()
            opened = self.open(slot % self._capacity, packet, is_rtcp=slot >= self._capacity)
            if opened is None:
                good[place] = False
                continue
            batch.packets[place, : len(opened)] = np.frombuffer(opened, np.uint8)
            lengths[place] = len(opened)
        if good.all():
            return Batch(batch.slots, batch.packets, lengths)
        return Batch(batch.slots, batch.packets, lengths).only(good)


class _SecureRow(Struct, eq=False):
    """Where a secure row's packets come from, and where they are sent from."""

    shield: Shield
    clear: memoryview
    sent: memoryview


class ShieldedSender:
    """A sender that protects the packets of secure rows first, each in a buffer of the row's own."""

    def __init__(self, sender: Sender, shields: Shields) -> None:
        self._sender = sender
        self._shields = shields
        self._attached: dict[int, tuple[socket.socket, NDArray[np.uint8]]] = {}
        self._secure: dict[int, _SecureRow] = {}

    def attach(self, row: int, endpoint: socket.socket, packet: NDArray[np.uint8]) -> None:
        self._attached[row] = (endpoint, packet)
        self._sender.attach(row, endpoint, packet)

    def detach(self, row: int) -> None:
        self._secure.pop(row, None)
        self._shields.forget(row)
        del self._attached[row]
        self._sender.detach(row)

    def secure(self, row: int, keys: SrtpKeys | None) -> None:
        """Send and hear an attached row with these keys from now on, or in the clear. Repeating it does
        nothing."""
        shield = self._shields.set(row, keys)
        endpoint, packet = self._attached[row]
        if shield is None:
            if self._secure.pop(row, None) is not None:
                self._sender.attach(row, endpoint, packet)
            return
        length = len(packet) + shield.tag_bytes
        before = self._secure.get(row)
        if before is None or len(before.sent) != length:
            buffer = np.zeros(length, np.uint8)
            self._secure[row] = _SecureRow(shield, packet.data, buffer.data)
            self._sender.attach(row, endpoint, buffer)

    def send(self, rows: NDArray[np.intp]) -> int:
        if not self._secure:
            return self._sender.send(rows)
        secure = self._shields.has[rows]
        withheld = [at for at in np.flatnonzero(secure).tolist() if not self._protect(rows[at])]
        if withheld:
            rows = np.delete(rows, withheld)
        return self._sender.send(rows) + len(withheld)

    def close(self) -> None:
        self._sender.close()

    def _protect(self, row: int) -> bool:
        one = self._secure[row]
        protected = one.shield.protect(bytes(one.clear))
        if protected is None:
            return False
        one.sent[:] = protected
        return True
