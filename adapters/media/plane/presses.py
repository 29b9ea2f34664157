"""Keys that are being pressed: streams that send telephone events (RFC 4733) in place of sound.

A row that presses keys is out of the paced table, and has its packets made here one by one: few rows
do it at a time. It goes on in the numbers of the table, at the row's own place in the 20 ms.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from adapters.media.plane.stream_table import PHASES, StreamTable, rows_per_phase
from adapters.media.wire.dtmf import DigitPacket, DigitScript
from adapters.media.wire.rtp import Header

Send = Callable[[int, Header, bytes], None]
"""Sends one packet of a row: its header and its payload."""


class _Press(Struct, eq=False):
    """One script on its way."""

    payload_type: int
    """Of the events."""
    silence: bytes
    """20 ms for the ticks between."""
    voice_type: int
    packets: dict[int, DigitPacket]
    """By their ticks."""
    ticks: int
    first_timestamp: int
    tick: int = 0


class Presses:
    """The rows that press keys now."""

    def __init__(self, table: StreamTable, capacity: int, send: Send) -> None:
        self._table = table
        self._send = send
        self._rows_per_phase = rows_per_phase(capacity)
        self._by_phase: list[dict[int, _Press]] = [{} for _ in range(PHASES)]

    def __contains__(self, row: int) -> bool:
        return row in self._of(row)

    def begin(
        self, row: int, script: DigitScript, event_type: int, voice: tuple[int, bytes]
    ) -> None:
        """Press these keys from the row's next packet on. `voice` is the payload type of sound and 20 ms
        of its silence."""
        _, timestamp, _ = self._table.numbers(row)
        packets = {packet.tick: packet for packet in script.packets}
        voice_type, silence = voice
        self._of(row)[row] = _Press(
            event_type, silence, voice_type, packets, script.ticks, timestamp
        )

    def cut(self, row: int) -> None:
        """Press no further key. One that is down comes up as it should."""
        press = self._of(row).get(row)
        if press is None:
            return
        # The next key begins with a marker.
        later = [at for at, packet in press.packets.items() if packet.marker and at >= press.tick]
        press.ticks = min([press.ticks, *later])

    def forget(self, row: int) -> None:
        """The row is no stream any more, or another one."""
        self._of(row).pop(row, None)

    def tick(self, phase: int, may_send: Callable[[int], bool]) -> list[int]:
        """Send what is due in one phase: the rows whose keys are all pressed."""
        over = []
        for row, press in self._by_phase[phase].items():
            if may_send(row):
                self._advance(row, press)
                if press.tick >= press.ticks:
                    over.append(row)
        for row in over:
            del self._by_phase[phase][row]
        return over

    def _of(self, row: int) -> dict[int, _Press]:
        return self._by_phase[row // self._rows_per_phase]

    def _advance(self, row: int, press: _Press) -> None:
        if press.tick >= press.ticks:
            return
        sequence, timestamp, ssrc = self._table.numbers(row)
        packet = press.packets.get(press.tick)
        if packet is None:
            header = Header(press.voice_type, sequence, timestamp, ssrc)
            payload = press.silence
        else:
            at = press.first_timestamp + packet.timestamp & 0xFFFF_FFFF
            header = Header(press.payload_type, sequence, at, ssrc, packet.marker)
            payload = packet.payload
        self._send(row, header, payload)
        self._table.renumber(row, sequence + 1, timestamp + self._table.ticks(row))
        press.tick += 1
