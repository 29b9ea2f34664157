"""RTCP of all streams of a plane: who reports when, and what callees report (RFC 3550 §6).

A stream reports every 2 to 6 s, the first time in half of that: 5 s times a random number from 0.5 to
1.5, divided by e - 3/2, as §6.3.1 has it for sessions of two, where bandwidth is never what limits it.
So the reports of thousands of streams are spread, and one tick sends a few at most; those that are due
beyond wait for the next.
"""

from __future__ import annotations

import heapq
import math
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Final

import numpy as np
from msgspec import Struct, field

from adapters.media.plane.stream_table import StreamTable
from adapters.media.wire.rtcp import (
    SHORT_UNITS_PER_S,
    WORD,
    Block,
    Compound,
    SenderInfo,
    build,
    ntp_of,
    parse,
    short_of,
)
from adapters.media.wire.rtp import ReceptionTable

INTERVAL_S: Final = 5.0
"""The shortest interval between reports, before chance (RFC 3550 §6.2)."""
COMPENSATION: Final = math.e - 1.5
"""By which the timer is too slow otherwise (RFC 3550 §6.3.1)."""
LOOK_EVERY_NS: Final = 20_000_000
"""Reports that are due by then go out one after the other: what makes them is then in the processor's cache,
and each takes a third of the time that one by itself takes between two batches of sound."""
REPORTS_PER_TICK_MAX: Final = 16
"""Some 0.4 ms; others wait for the next tick. 10,000 streams need five on the average."""
RTT_S_MAX: Final = 60.0
"""A longer round trip is none."""
OWN_REPORTS_KEPT: Final = 4
"""Of our latest sender reports a callee may answer any."""
NAME_OCTETS: Final = 12
"""Chance in a CNAME, 96 bits (RFC 7022 §4.2)."""

Send = Callable[[bytes], object]


class RemoteFigures(Struct, frozen=True):
    """What a callee says of how it hears us."""

    loss: float | None = None
    jitter_ms: float | None = None
    rtt_ms: float | None = None


class _Reporter(Struct, eq=False):
    """One stream's."""

    row: int
    send: Send
    cname: bytes
    own_reports: deque[int] = field(default_factory=lambda: deque(maxlen=OWN_REPORTS_KEPT))
    """Middle 32 bits of the NTP timestamps of our latest sender reports."""
    sent_before: int = 0
    """Packets sent until the report before."""
    expected_before: int = 0
    received_before: int = 0
    their_report: int = 0
    """The same bits of the callee's latest sender report; 0 before there was one."""
    their_report_ns: int = 0
    their_ssrc: int = -1
    remote: RemoteFigures = RemoteFigures()


class ReportDesk:
    """Writes and reads the reports of the streams that are connected."""

    def __init__(
        self,
        table: StreamTable,
        reception: ReceptionTable,
        chance: np.random.Generator,
        unix_minus_monotonic_ns: int,
    ) -> None:
        self.sent = 0
        self.malformed = 0
        """Packets that were no RTCP (RFC 3550 A.2)."""
        self._table = table
        self._reception = reception
        self._chance = chance
        self._unix_minus_monotonic_ns = unix_minus_monotonic_ns
        self._now_ns = 0
        self._look_ns = 0
        """When it is looked again for what is due."""
        self._reporters: dict[int, _Reporter] = {}
        self._new: list[_Reporter] = []
        """Opened since the last look: their time has not begun."""
        self._serials = count()
        self._due: list[tuple[int, int, _Reporter]] = []
        """A heap of moments and serial numbers. What belongs to a row that is closed is passed over when due:
        that is within 6 s, so that it never grows beyond the calls that end meanwhile."""

    def __len__(self) -> int:
        return len(self._reporters)

    def open(self, row: int, send: Send) -> None:
        """Report for a stream from now on, with what sends to its callee's RTCP."""
        reporter = self._reporters.get(row)
        if reporter is not None:
            reporter.send = send
            return
        cname = b64encode(self._chance.bytes(NAME_OCTETS))
        reporter = _Reporter(row, send, cname)
        self._reporters[row] = reporter
        self._new.append(reporter)

    def close(self, row: int) -> None:
        """Say goodbye for a stream, if it has sent anything, and forget it."""
        reporter = self._reporters.pop(row, None)
        if reporter is not None and self._table.packets_sent(row):
            self._report(reporter, is_bye=True)

    def hear(self, row: int, octets: bytes, now_ns: int) -> None:
        """Take what a callee reports."""
        reporter = self._reporters.get(row)
        compound = parse(octets)
        if reporter is None or compound is None:
            self.malformed += compound is None
            return
        if compound.sender is not None:
            reporter.their_report = short_of(compound.sender.ntp)
            reporter.their_report_ns = now_ns
            reporter.their_ssrc = compound.ssrc
        ours = self._table.numbers(row)[2]
        for block in compound.blocks:
            if block.ssrc == ours:
                reporter.remote = self._read_block(reporter, block, now_ns)

    def send_due(self, now_ns: int) -> None:
        """Send the reports that are due, a few at most."""
        self._now_ns = now_ns
        for reporter in self._new:
            self._schedule(reporter, now_ns, INTERVAL_S / 2)
        self._new.clear()
        if now_ns < self._look_ns:
            return
        for _ in range(REPORTS_PER_TICK_MAX):
            if not self._due or self._due[0][0] > now_ns:
                self._look_ns = now_ns + LOOK_EVERY_NS
                return
            _, _, reporter = heapq.heappop(self._due)
            if self._reporters.get(reporter.row) is reporter:
                self._report(reporter)
                self._schedule(reporter, now_ns, INTERVAL_S)

    def read(self, row: int) -> RemoteFigures:
        """What the callee of a row has said so far."""
        reporter = self._reporters.get(row)
        return reporter.remote if reporter is not None else RemoteFigures()

    def _schedule(self, reporter: _Reporter, now_ns: int, interval_s: float) -> None:
        wait_s = interval_s * (0.5 + self._chance.random()) / COMPENSATION
        due = (now_ns + int(wait_s * 1e9), next(self._serials), reporter)
        heapq.heappush(self._due, due)

    def _report(self, reporter: _Reporter, *, is_bye: bool = False) -> None:
        row = reporter.row
        ntp = ntp_of(self._now_ns + self._unix_minus_monotonic_ns)
        sent = self._table.packets_sent(row)
        _, timestamp, ssrc = self._table.numbers(row)
        sender = None
        if sent > reporter.sent_before:
            sender = SenderInfo(ntp, timestamp, sent, self._table.octets_sent(row))
            reporter.own_reports.append(short_of(ntp))
            reporter.sent_before = sent
        block = self._make_block(reporter)
        blocks = () if block is None else (block,)
        try:
            reporter.send(build(Compound(ssrc, sender, blocks, reporter.cname, is_bye)))
        except OSError:
            # Nobody listens there, as many do not; the sound says whether the callee is there.
            return
        self.sent += 1

    def _make_block(self, reporter: _Reporter) -> Block | None:
        source = self._reception.read_source(reporter.row)
        if source is None:
            return None
        ssrc, highest = source
        got = self._reception.read(reporter.row)
        expected = got.expected - reporter.expected_before
        lost = expected - (got.packets - reporter.received_before)
        reporter.expected_before, reporter.received_before = got.expected, got.packets
        delay = 0
        has_report = reporter.their_report and reporter.their_ssrc == ssrc
        if has_report:
            delay_ns = self._now_ns - reporter.their_report_ns
            delay = min(delay_ns * SHORT_UNITS_PER_S // 1_000_000_000, WORD)
        return Block(
            ssrc=ssrc,
            fraction_lost=min(255, 256 * lost // expected) if lost > 0 else 0,
            lost=got.expected - got.packets,
            highest=highest,
            jitter=self._reception.read_jitter(reporter.row),
            last_report=reporter.their_report if has_report else 0,
            delay=delay,
        )

    def _read_block(self, reporter: _Reporter, block: Block, now_ns: int) -> RemoteFigures:
        rtt_ms = reporter.remote.rtt_ms
        if block.last_report in reporter.own_reports:
            now = short_of(ntp_of(now_ns + self._unix_minus_monotonic_ns))
            units = (now - block.last_report - block.delay + 0x8000_0000 & WORD) - 0x8000_0000
            # Clocks of two kinds may make it a little negative.
            rtt_s = max(0, units) / SHORT_UNITS_PER_S
            rtt_ms = 1_000 * rtt_s if rtt_s <= RTT_S_MAX else rtt_ms
        sent = max(1, self._table.packets_sent(reporter.row))
        return RemoteFigures(
            loss=min(1.0, max(0, block.lost) / sent),
            jitter_ms=block.jitter / self._table.ticks_per_ms(reporter.row),
            rtt_ms=rtt_ms,
        )
