"""The streams of a plane: what each command does to them, and what one tick sends and hears.

It has the sockets and the prompts, but no clock and no control socket: `loop.py` calls it with the
time, and takes the events that it leaves in `events`.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from adapters.media import control, control_listening
from adapters.media.codecs.codec import CODECS_BY_NUMBER
from adapters.media.listening.listeners import Listening
from adapters.media.plane.allowance import Allowance
from adapters.media.plane.arena import SoundArena
from adapters.media.plane.hearing import EventPacket, Hearing
from adapters.media.plane.latch import Source
from adapters.media.plane.line import Line
from adapters.media.plane.lines import Lines
from adapters.media.plane.player import Player
from adapters.media.plane.presses import Presses
from adapters.media.plane.quality import estimate_mos
from adapters.media.plane.relay import Relay, Side
from adapters.media.plane.reports import ReportDesk
from adapters.media.plane.shields import ShieldedSender, Shields
from adapters.media.plane.stream_table import StreamTable
from adapters.media.recording.link import RecorderLink
from adapters.media.sockets.endpoint import Endpoints, PortPicker
from adapters.media.sockets.way import Way
from adapters.media.types import SrtpKeys
from adapters.media.wire.rtp import Header, build_packet
from adapters.media.wire.srtp import SEQUENCE_FIRST_MAX
from engine.ports.telephony import MediaStatistics

SENDS_MAX: Final = 2
"""Times that one packet is tried."""
_PORT_MAX: Final = 65_535


class Switchboard:
    """The streams of one plane."""

    def __init__(
        self,
        prompts: Path,
        bind_host: str,
        picker: PortPicker,
        way: Way,
        capacity: int,
        chance: np.random.Generator,
        recorder: RecorderLink | None = None,
        unix_minus_monotonic_ns: int = 0,
    ) -> None:
        """Without a recorder every recording fails. The last is what makes a time of `hear` one since
        1970, for the callees' RTCP."""
        self.events: list[control.Event] = []
        """What the control process is to hear; whoever sends it empties the list."""
        self._arena = SoundArena(prompts)
        self._table = StreamTable(capacity, self._arena.frames, chance)
        self.allowance = Allowance(capacity)
        self.listening = Listening(capacity, recorder, self.allowance.note_length)
        self.shields = Shields(capacity)
        self._sender = ShieldedSender(way.make_sender(capacity), self.shields)
        self.hearing = Hearing(
            capacity, way.make_receiver, self.listening, self.shields, self.allowance
        )
        self.desk = ReportDesk(self._table, self.hearing.reception, chance, unix_minus_monotonic_ns)
        self.relay = Relay(
            self._table, self._sender, capacity, self._settle_row, self.allowance.note_length
        )
        self._presses = Presses(self._table, capacity, self._send_one_of)
        self._player = Player(self._table, self._arena, self._presses, self)
        self._lines = Lines(bind_host, picker, capacity)

    @property
    def streams(self) -> int:
        """Streams that are open."""
        return len(self._lines)

    @property
    def sending(self) -> int:
        """Streams that send a packet every 20 ms."""
        return self._table.sending

    @property
    def is_running(self) -> bool:
        """Whether time must go on: a callee is known, or somebody waits for what is heard."""
        return len(self.desk) > 0 or self.listening.is_asked

    @property
    def is_opening(self) -> bool:
        """Whether streams wait for `open_some`."""
        return self._lines.is_opening

    def obey(self, command: control.Command) -> None:
        """Do what a command says. A command about a stream that is gone does nothing."""
        if isinstance(command, control.Open):
            self.events += self._lines.queue(command.streams)
            return
        assert not isinstance(command, control.Report)
        line = self._lines.find(command.stream)
        if line is not None:
            _OBEY[type(command)](self, line, command)

    def open_some(self) -> None:
        """Open the streams that wait for it, up to the bound of a tick."""
        opened, refused = self._lines.open_some()
        for line in opened:
            self._table.clear(line.row)
            self.hearing.clear(line.row)
            self._sender.attach(line.row, line.endpoints.rtp, self._table.octets[line.row])
            self.events.append(control.Opened(line.stream, line.endpoints.port))
        self.events += refused

    def send(self, phase: int) -> tuple[int, int]:
        """Send the packets of one phase: how many were sent, and how many the kernel refused."""
        tick = self._table.tick(phase)
        failed = self._sender.send(tick.rows)
        self._table.advance(phase)
        count = len(tick.rows)
        for row in tick.ended.tolist():
            self._player.end_sound(self._lines.at(row))
        for row in self._presses.tick(phase, self._may_send):
            self._player.end_press(self._lines.at(row))
        return count - failed, failed

    def hear(self, now_ns: int) -> None:
        """Take what has arrived."""
        heard = self.hearing.hear(now_ns)
        for packet in heard.events:
            self._take_event(packet)
        for row, source in heard.moves:
            self._move(self._lines.at(row), source)
        for row, octets in heard.reports:
            self.desk.hear(row, octets, now_ns)
        if self.relay.bridges:
            if heard.sound is not None:
                self.relay.pass_on(*heard.sound, now_ns)
            self.relay.tend(now_ns)
        self.desk.send_due(now_ns)
        self._tell_what_was_heard()

    def close_all(self) -> None:
        """Free every socket."""
        for line in self._lines.list_all():
            self._remove(line)
        self._sender.close()
        self.hearing.close()
        self.listening.close()

    def _connect(self, line: Line, command: control.Connect) -> None:
        try:
            if ip_address(command.host).is_unspecified:
                line.is_sending = False
                self.describe(line)
                return
            numbers = command.numbers
            if (numbers.voice, numbers.sent_voice) != (line.payload_type, line.wire_type):
                self._player.speak(line, numbers)
            codec = CODECS_BY_NUMBER[numbers.voice]
            line.telephone_event = command.telephone_event
            line.event_clock_hz = command.event_clock_hz or codec.clock_hz
            line.keys.count_by(codec.clock_hz)
            self._secure(line, command.srtp)
            self.hearing.expect(line.row, numbers)
            self._connect_line(line, command)
        except (OSError, ValueError, OverflowError) as error:
            statistics = self.statistics(line)
            self._remove(line)
            self.events.append(control.Dropped(line.stream, str(error), statistics))
            return
        line.is_sending = True
        reporting = line.endpoints.rtp if command.is_muxed else line.endpoints.rtcp
        if not command.is_certain:
            self.desk.open(line.row, partial(self._send_report, line.row, reporting))
        self.describe(line)
        if line.press and line.row not in self._presses and not line.sounds_keys:
            self._player.begin_press(line)

    def _secure(self, line: Line, keys: SrtpKeys | None) -> None:
        if keys is not None and not self._table.packets_sent(line.row):
            self._table.begin_low(line.row, SEQUENCE_FIRST_MAX)
        self._sender.secure(line.row, keys)

    def _connect_line(self, line: Line, command: control.Connect) -> None:
        remote = (command.host, command.port)
        if remote != line.remote:
            _connect_endpoints(line.endpoints, remote, command.rtcp_port)
            # Until now anybody could send to these ports. What is waiting is thrown away, and from
            # here on the kernel takes packets of the remote alone.
            self.hearing.discard(line.endpoints)
            if line.remote is None:
                self.hearing.attach(line.row, line.endpoints)
            line.remote = remote
        elif not self.hearing.is_learning(line.row):
            return
        if command.is_certain:
            return
        # Without a descriptor for it the stream goes on as if its SDP were right.
        with contextlib.suppress(OSError):
            assert line.payload_type is not None
            self.hearing.learn(line.row, line.endpoints.rtp, line.payload_type)

    def _move(self, line: Line, source: Source) -> None:
        """Send to where the callee has proven to be, and hear it alone."""
        # Its packets arrived here, but the way back may be barred.
        with contextlib.suppress(OSError):
            _connect_endpoints(line.endpoints, source)
            self.events.append(control.Moved(line.stream, *source))

    def _take_event(self, packet: EventPacket) -> None:
        line = self._lines.at(packet.row)
        for digit in line.keys.take(packet.header, packet.payload):
            self._tell_key(line, digit)

    def _tell_key(self, line: Line, digit: str) -> None:
        if not self.listening.takes_key(line.row, digit):
            self.events.append(control.DigitHeard(line.stream, digit))

    def _tell_what_was_heard(self) -> None:
        listening = self.listening
        for press in listening.presses:
            self._tell_key(self._lines.at(press.row), press.digit)
        listening.presses.clear()
        self.events += listening.events
        listening.events.clear()

    def _listen(self, line: Line, command: control_listening.ListeningCommand) -> None:
        self.listening.obey(line.row, command)

    def _play(self, line: Line, command: control.Play) -> None:
        self._player.play(line, command)

    def _stop(self, line: Line, command: control.Stop) -> None:
        self._player.stop(line, command)

    def _press(self, line: Line, command: control.Press) -> None:
        self._player.press(line, command)

    def _cut_press(self, line: Line, command: control.CutPress) -> None:
        self._player.cut_press(line, command)

    def _bridge(self, line: Line, command: control.Bridge) -> None:
        other = self._lines.find(command.other)
        if other is None or other is line:
            return
        self._part_line(line)
        self._part_line(other)
        line.bridged_to, other.bridged_to = other, line
        self.relay.join(line.row, self._side_of(line), other.row, self._side_of(other))

    def _part(self, line: Line, command: control.Part) -> None:
        if line.bridged_to is not None and line.bridged_to.stream == command.other:
            self._part_line(line)

    def _part_line(self, line: Line) -> None:
        other = line.bridged_to
        if other is not None:
            line.bridged_to = other.bridged_to = None
            self.relay.part(line.row)

    def _side_of(self, line: Line, *, is_sending: bool = True) -> Side:
        """How the relay is to speak for a line."""
        return Side(
            payload_type=line.payload_type or 0,
            wire_type=line.wire_type,
            event_clock_hz=line.event_clock_hz,
            telephone_event=line.telephone_event,
            send=partial(self._send_one, line),
            is_sending=is_sending and line.is_sending and line.row not in self._presses,
        )

    def tell(self, event: control.Event) -> None:
        """The control process is to hear of this."""
        self.events.append(event)

    def rest(self, line: Line) -> None:
        """Nobody is to speak for a line while it presses keys; whoever did leaves its numbers in order."""
        self.relay.change(line.row, self._side_of(line, is_sending=False))
        self._table.stop(line.row)

    def describe(self, line: Line) -> None:
        """How a line is spoken to has changed."""
        self.relay.change(line.row, self._side_of(line))
        self._settle_row(line.row)

    def _settle_row(self, row: int) -> None:
        """Let a row keep its own pace, unless nothing may be sent or another part speaks for it."""
        is_spoken_for = row in self._presses or self.relay.flows_to(row)
        if self._may_send(row) and not is_spoken_for:
            self._table.start(row)
        else:
            self._table.stop(row)

    def _may_send(self, row: int) -> bool:
        return self._lines.at(row).is_sending

    def _send_one_of(self, row: int, header: Header, payload: bytes) -> None:
        self._send_one(self._lines.at(row), header, payload)

    def _send_one(self, line: Line, header: Header, payload: bytes) -> None:
        """Send one packet past the table. An ICMP error of an earlier one is reported in its place."""
        octets = self.shields.protect(line.row, build_packet(header, payload))
        if octets is None:
            return
        self._table.note_sent(line.row, len(payload))
        for _ in range(SENDS_MAX):
            try:
                line.endpoints.rtp.send(octets)
                return
            except OSError:
                continue

    def _send_report(self, row: int, endpoint: socket.socket, octets: bytes) -> None:
        """Send RTCP. Raises `OSError`."""
        protected = self.shields.protect_rtcp(row, octets)
        if protected is not None:
            endpoint.send(protected)

    def _close(self, line: Line, _: control.Close) -> None:
        if line.remote is not None:
            # What has arrived already belongs to the figures.
            self.hearing.drain(line.row, line.endpoints.rtp)
        statistics = self.statistics(line)
        self._remove(line)
        self.events.append(control.Closed(line.stream, statistics))

    def _remove(self, line: Line) -> None:
        # What it has heard by now is still told of the stream.
        self.listening.leave(line.row)
        self._tell_what_was_heard()
        self._part_line(line)
        self._presses.forget(line.row)
        self.desk.close(line.row)
        self._sender.detach(line.row)
        self._table.stop(line.row)
        self._player.silence(line)
        if line.remote is not None:
            self.hearing.detach(line.row, line.endpoints)
        self._lines.remove(line)

    def statistics(self, line: Line) -> MediaStatistics:
        """How a line is."""
        reception = self.hearing.read(line.row)
        remote = self.desk.read(line.row)
        mos = None
        if reception.packets:
            mos = estimate_mos(reception.loss, reception.jitter_ms, remote.rtt_ms)
        return MediaStatistics(
            packets_sent=self._table.packets_sent(line.row),
            packets_received=reception.packets,
            loss=reception.loss,
            jitter_ms=reception.jitter_ms,
            remote_loss=remote.loss,
            remote_jitter_ms=remote.jitter_ms,
            rtt_ms=remote.rtt_ms,
            mos=mos,
            flooded=self.allowance.read_flooded(line.row),
        )


def _connect_endpoints(endpoints: Endpoints, remote: Source, rtcp_port: int | None = None) -> None:
    """Send to, and take from, this address alone. Raises `OSError` and `OverflowError`."""
    host, port = remote
    endpoints.rtp.connect((host, port))
    # RFC 3550 §11: RTCP is one above; beyond the last port there is none.
    endpoints.rtcp.connect((host, rtcp_port or min(port + 1, _PORT_MAX)))


_OBEY: Final[Mapping[type, Callable[[Switchboard, Line, Any], None]]] = MappingProxyType(
    {
        control.Connect: Switchboard._connect,
        control.Play: Switchboard._play,
        control.Stop: Switchboard._stop,
        control.Close: Switchboard._close,
        control_listening.Detect: Switchboard._listen,
        control_listening.AwaitBeep: Switchboard._listen,
        control_listening.Withdraw: Switchboard._listen,
        control_listening.Record: Switchboard._listen,
        control_listening.EndRecording: Switchboard._listen,
        control.Press: Switchboard._press,
        control.CutPress: Switchboard._cut_press,
        control.Bridge: Switchboard._bridge,
        control.Part: Switchboard._part,
    }
)
"""What each command about a stream does."""
