"""The streams of a plane: what each command does to them, and what one tick sends and hears.

It has the sockets and the prompts, but no clock and no control socket: `plane.py` calls it with the
time, and takes the events that it leaves in `events`.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np

from adapters.media import control, control_listening
from adapters.media.codecs.codec import CODECS_BY_NUMBER, FRAMES_PER_S
from adapters.media.codecs.g711 import Law
from adapters.media.codecs.voices import VOICES
from adapters.media.listening.listeners import Listening
from adapters.media.plane.arena import Sound, SoundArena, SoundUnavailable
from adapters.media.plane.dtmf_tones import keys_octets
from adapters.media.plane.hearing import EventPacket, Hearing
from adapters.media.plane.latch import Source
from adapters.media.plane.presses import Presses
from adapters.media.plane.quality import estimate_mos
from adapters.media.plane.relay import Relay, Side
from adapters.media.plane.reports import ReportDesk
from adapters.media.plane.shields import ShieldedSender, Shields
from adapters.media.plane.stream_table import RowPicker, StreamTable
from adapters.media.recording.link import RecorderLink
from adapters.media.sockets.endpoint import (
    Endpoints,
    NoDescriptor,
    NoPort,
    PortPicker,
    open_endpoints,
)
from adapters.media.sockets.way import Way
from adapters.media.types import SrtpKeys
from adapters.media.wire.dtmf import CLOCK_HZ, EventClock, EventReceiver, make_script
from adapters.media.wire.numbers import Numbers
from adapters.media.wire.rtp import Header, build_packet
from adapters.media.wire.srtp import SEQUENCE_FIRST_MAX
from engine.ports.telephony import MediaStatistics

OPENS_PER_TICK: Final = 8
"""Streams opened in one tick: about 0.3 ms, so that a burst of new calls delays no packet."""
SENDS_MAX: Final = 2
"""Times that one packet is tried."""
_PORT_MAX: Final = 65_535
_KEYS: Final = "keys:"
"""Begins the name of a sound that is keys; no prompt's id has a colon."""


class _Line(msgspec.Struct, eq=False):
    """One stream."""

    stream: int
    row: int
    endpoints: Endpoints
    remote: Source | None = None
    """What the SDP says, wherever the callee is found to be."""
    payload_type: int | None = None
    wire_type: int = 0
    """What stands for it in the packets that are sent."""
    telephone_event: int | None = None
    event_clock_hz: int = CLOCK_HZ
    is_sending: bool = False
    """Whether the callee is to be sent anything: it is known, and not on hold."""
    bridged_to: _Line | None = None
    press: control.Press | None = None
    """The keys that are being pressed, or will be when the callee is known."""
    next_press: control.Press | None = None
    """Those after them, where the ones before were cut off and one of them is still down."""
    waiting: tuple[str, int] | None = None
    """The prompt that goes on after keys which sound in its place, and from which frame."""
    keys: EventReceiver = msgspec.field(default_factory=EventReceiver)
    play: int = 0
    """The number of the latest playing."""
    sound: Sound | None = None
    """What plays now: a prompt, or keys."""

    @property
    def sounds_keys(self) -> bool:
        """Whether what plays is keys."""
        return self.sound is not None and self.sound.key[0].startswith(_KEYS)

    @property
    def is_playing(self) -> bool:
        """Whether a prompt plays, or waits for keys to end."""
        return self.waiting is not None or (self.sound is not None and not self.sounds_keys)


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
        self._bind_host = bind_host
        self._picker = picker
        self._capacity = capacity
        self._arena = SoundArena(prompts)
        self._table = StreamTable(capacity, self._arena.frames, chance)
        self.listening = Listening(capacity, recorder)
        self.shields = Shields(capacity)
        self._sender = ShieldedSender(way.make_sender(capacity), self.shields)
        self.hearing = Hearing(capacity, way.make_receiver, self.listening, self.shields)
        self.desk = ReportDesk(self._table, self.hearing.reception, chance, unix_minus_monotonic_ns)
        self.relay = Relay(self._table, self._sender, capacity, self._settle_row)
        self._presses = Presses(self._table, capacity, self._send_one_of)
        self._rows = RowPicker(capacity)
        self._lines: dict[int, _Line] = {}
        self._by_row: list[_Line | None] = [None] * capacity
        self._to_open: deque[int] = deque()

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
        return bool(self._to_open)

    def obey(self, command: control.Command) -> None:
        """Do what a command says. A command about a stream that is gone does nothing."""
        if isinstance(command, control.Open):
            self._queue_opens(command.streams)
            return
        assert not isinstance(command, control.Report)
        line = self._lines.get(command.stream)
        if line is not None:
            _OBEY[type(command)](self, line, command)

    def open_some(self) -> None:
        """Open the streams that wait for it, up to the bound of a tick."""
        for _ in range(min(OPENS_PER_TICK, len(self._to_open))):
            try:
                self.events.append(self._open(self._to_open[0]))
            except NoPort:
                self._refuse_waiting("no_port")
                return
            except NoDescriptor:
                self._refuse_waiting("no_descriptor")
                return
            self._to_open.popleft()

    def send(self, phase: int) -> tuple[int, int]:
        """Send the packets of one phase: how many were sent, and how many the kernel refused."""
        tick = self._table.tick(phase)
        failed = self._sender.send(tick.rows)
        self._table.advance(tick.rows)
        count = len(tick.rows)
        for row in tick.ended.tolist():
            line = self._by_row[row]
            assert line is not None
            self._end_sound(line)
        for row in self._presses.tick(phase, self._may_send):
            line = self._by_row[row]
            assert line is not None
            self._end_press(line)
        return count - failed, failed

    def hear(self, now_ns: int) -> None:
        """Take what has arrived."""
        heard = self.hearing.hear(now_ns)
        for packet in heard.events:
            self._take_event(packet)
        for row, source in heard.moves:
            line = self._by_row[row]
            assert line is not None
            self._move(line, source)
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
        for line in list(self._lines.values()):
            self._remove(line)
        self._sender.close()
        self.hearing.close()
        self.listening.close()

    def _queue_opens(self, streams: list[int]) -> None:
        room = max(0, self._capacity - len(self._lines) - len(self._to_open))
        self._to_open.extend(streams[:room])
        self.events += [control.Refused(stream, "no_stream") for stream in streams[room:]]

    def _refuse_waiting(self, reason: control.RefusalReason) -> None:
        # What one could not have the others would ask for in vain.
        self.events += [control.Refused(stream, reason) for stream in self._to_open]
        self._to_open.clear()

    def _open(self, stream: int) -> control.Opened:
        endpoints = open_endpoints(self._bind_host, self._picker)
        row = self._rows.take()
        line = _Line(stream, row, endpoints)
        self._lines[stream] = line
        self._by_row[row] = line
        self._table.clear(row)
        self.hearing.clear(row)
        self._sender.attach(row, endpoints.rtp, self._table.octets[row])
        return control.Opened(stream, endpoints.port)

    def _connect(self, line: _Line, command: control.Connect) -> None:
        try:
            if ip_address(command.host).is_unspecified:
                line.is_sending = False
                self._describe(line)
                return
            numbers = command.numbers
            if (numbers.voice, numbers.sent_voice) != (line.payload_type, line.wire_type):
                self._speak(line, numbers)
            codec = CODECS_BY_NUMBER[numbers.voice]
            line.telephone_event = command.telephone_event
            line.event_clock_hz = command.event_clock_hz or codec.clock_hz
            line.keys.count_by(codec.clock_hz)
            self._secure(line, command.srtp)
            self.hearing.expect(line.row, numbers)
            self._connect_line(line, command)
        except (OSError, ValueError, OverflowError) as error:
            statistics = self._statistics(line)
            self._remove(line)
            self.events.append(control.Dropped(line.stream, str(error), statistics))
            return
        line.is_sending = True
        reporting = line.endpoints.rtp if command.is_muxed else line.endpoints.rtcp
        if not command.is_certain:
            self.desk.open(line.row, partial(self._send_report, line.row, reporting))
        self._describe(line)
        if line.press and line.row not in self._presses and not line.sounds_keys:
            self._begin_press(line)

    def _secure(self, line: _Line, keys: SrtpKeys | None) -> None:
        if keys is not None and not self._table.sent[line.row]:
            self._table.begin_low(line.row, SEQUENCE_FIRST_MAX)
        self._sender.secure(line.row, keys)

    def _connect_line(self, line: _Line, command: control.Connect) -> None:
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

    def _move(self, line: _Line, source: Source) -> None:
        """Send to where the callee has proven to be, and hear it alone."""
        # Its packets arrived here, but the way back may be barred.
        with contextlib.suppress(OSError):
            _connect_endpoints(line.endpoints, source)
            self.events.append(control.Moved(line.stream, *source))

    def _take_event(self, packet: EventPacket) -> None:
        line = self._by_row[packet.row]
        assert line is not None
        for digit in line.keys.take(packet.header, packet.payload):
            self._tell_key(line, digit)

    def _tell_key(self, line: _Line, digit: str) -> None:
        if not self.listening.takes_key(line.row, digit):
            self.events.append(control.DigitHeard(line.stream, digit))

    def _tell_what_was_heard(self) -> None:
        listening = self.listening
        for press in listening.presses:
            line = self._by_row[press.row]
            assert line is not None
            self._tell_key(line, press.digit)
        listening.presses.clear()
        self.events += listening.events
        listening.events.clear()

    def _listen(self, line: _Line, command: control_listening.ListeningCommand) -> None:
        self.listening.obey(line.row, command)

    def _speak(self, line: _Line, numbers: Numbers) -> None:
        """Speak in this codec; what plays goes on in it from where it is."""
        if numbers.voice not in VOICES:
            raise ValueError(f"payload type {numbers.voice} is no codec of ours")
        line.payload_type, line.wire_type = numbers.voice, numbers.sent_voice
        sound, line.sound = line.sound, None
        position = self._table.position(line.row)
        self._table.speak(line.row, numbers.voice, numbers.sent_voice)
        if sound is not None:
            self._arena.release(sound)
            self._start_sound(line, sound.key[0], position - sound.first)

    def _play(self, line: _Line, command: control.Play) -> None:
        if line.is_playing:
            self._end_play(line, "replaced")
        line.play = command.play
        if command.prompt.startswith(_KEYS):
            self._end_play(line, "unknown_prompt")
        elif line.sounds_keys:
            line.waiting = command.prompt, 0
        else:
            self._start_sound(line, command.prompt, 0)

    def _start_sound(self, line: _Line, prompt: str, skip: int) -> None:
        # A stream that is not connected yet has no law. It takes the first, and `_speak` mends it.
        law = VOICES[line.payload_type or 0]
        try:
            sound = self._hold(prompt, law)
        except KeyError:
            self._end_play(line, "unknown_prompt")
            return
        except SoundUnavailable:
            if prompt.startswith(_KEYS):
                # As good as pressed to a callee who did not listen; the arena is full of prompts.
                self._end_press(line)
            else:
                self._end_play(line, "unavailable")
            return
        line.sound = sound
        # A prompt's files are equally long, unless somebody has been at the folder.
        skip = min(skip, sound.count - 1)
        self._table.play(line.row, sound.first + skip, sound.count - skip)

    def _hold(self, name: str, law: Law) -> Sound:
        """A prompt's sound, or that of keys. Raises `KeyError` and `SoundUnavailable`."""
        if not name.startswith(_KEYS):
            return self._arena.hold(name, law)
        digits = name.removeprefix(_KEYS)
        return self._arena.hold_made(name, law, lambda: keys_octets(digits, law.payload_type))

    def _stop(self, line: _Line, command: control.Stop) -> None:
        if line.is_playing and line.play == command.play:
            self._silence_prompt(line)

    def _press(self, line: _Line, command: control.Press) -> None:
        if line.press is not None:
            line.next_press = command
            return
        line.press = command
        if line.payload_type is not None:
            self._begin_press(line)

    def _cut_press(self, line: _Line, command: control.CutPress) -> None:
        if line.next_press is not None and line.next_press.press == command.press:
            line.next_press = None
        elif line.press is not None and line.press.press == command.press:
            if line.row in self._presses:
                self._presses.cut(line.row)
            elif line.sounds_keys:
                self._end_press(line)
            else:
                line.press = None

    def _begin_press(self, line: _Line) -> None:
        """Press keys as was agreed. What plays waits meanwhile."""
        assert line.press is not None
        assert line.payload_type is not None
        row, law = line.row, VOICES[line.payload_type]
        if line.telephone_event is None:
            if line.sound is not None:
                line.waiting = line.sound.key[0], self._table.position(row) - line.sound.first
                self._silence(line)
            self._start_sound(line, _KEYS + line.press.digits, 0)
            return
        durations = line.event_clock_hz // FRAMES_PER_S
        clock = EventClock(self._table.ticks(row), durations)
        script = make_script(line.press.digits, clock=clock)
        # Whoever spoke for the row leaves its numbers in order.
        self.relay.change(row, self._side_of(line, is_sending=False))
        self._table.stop(row)
        self._presses.begin(row, script, line.telephone_event, (line.wire_type, law.silence))

    def _end_press(self, line: _Line) -> None:
        assert line.press is not None
        if line.sounds_keys:
            self._silence(line)
        elif line.is_sending:
            self._table.go_on(line.row)
        self.events.append(control.Pressed(line.stream, line.press.press))
        line.press, line.next_press = line.next_press, None
        if line.press is not None:
            self._begin_press(line)
            return
        self._describe(line)
        if line.waiting is not None:
            waiting, line.waiting = line.waiting, None
            self._start_sound(line, *waiting)

    def _bridge(self, line: _Line, command: control.Bridge) -> None:
        other = self._lines.get(command.other)
        if other is None or other is line:
            return
        self._part_line(line)
        self._part_line(other)
        line.bridged_to, other.bridged_to = other, line
        self.relay.join(line.row, self._side_of(line), other.row, self._side_of(other))

    def _part(self, line: _Line, command: control.Part) -> None:
        if line.bridged_to is not None and line.bridged_to.stream == command.other:
            self._part_line(line)

    def _part_line(self, line: _Line) -> None:
        other = line.bridged_to
        if other is not None:
            line.bridged_to = other.bridged_to = None
            self.relay.part(line.row)

    def _side_of(self, line: _Line, *, is_sending: bool = True) -> Side:
        """How the relay is to speak for a line."""
        return Side(
            payload_type=line.payload_type or 0,
            wire_type=line.wire_type,
            event_clock_hz=line.event_clock_hz,
            telephone_event=line.telephone_event,
            send=partial(self._send_one, line),
            is_sending=is_sending and line.is_sending and line.row not in self._presses,
        )

    def _describe(self, line: _Line) -> None:
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
        line = self._by_row[row]
        return line is not None and line.is_sending

    def _send_one_of(self, row: int, header: Header, payload: bytes) -> None:
        line = self._by_row[row]
        assert line is not None
        self._send_one(line, header, payload)

    def _send_one(self, line: _Line, header: Header, payload: bytes) -> None:
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

    def _close(self, line: _Line, _: control.Close) -> None:
        if line.remote is not None:
            # What has arrived already belongs to the figures.
            self.hearing.drain(line.row, line.endpoints.rtp)
        statistics = self._statistics(line)
        self._remove(line)
        self.events.append(control.Closed(line.stream, statistics))

    def _end_sound(self, line: _Line) -> None:
        """What played has had its last 20 ms."""
        if line.sounds_keys:
            self._end_press(line)
        else:
            self._end_play(line, "finished")

    def _end_play(self, line: _Line, outcome: control.PlayOutcome) -> None:
        self._silence_prompt(line)
        self.events.append(
            control.PlayEnded(line.stream, line.play, outcome, self._statistics(line))
        )

    def _silence_prompt(self, line: _Line) -> None:
        line.waiting = None
        if not line.sounds_keys:
            self._silence(line)

    def _silence(self, line: _Line) -> None:
        self._table.silence(line.row)
        if line.sound is not None:
            self._arena.release(line.sound)
            line.sound = None

    def _remove(self, line: _Line) -> None:
        # What it has heard by now is still told of the stream.
        self.listening.leave(line.row)
        self._tell_what_was_heard()
        self._part_line(line)
        self._presses.forget(line.row)
        self.desk.close(line.row)
        self._sender.detach(line.row)
        self._table.stop(line.row)
        self._silence(line)
        if line.remote is not None:
            self.hearing.detach(line.row, line.endpoints)
        line.endpoints.close()
        self._picker.give_back(line.endpoints.port)
        del self._lines[line.stream]
        self._by_row[line.row] = None
        self._rows.give_back(line.row)

    def _statistics(self, line: _Line) -> MediaStatistics:
        reception = self.hearing.read(line.row)
        remote = self.desk.read(line.row)
        mos = None
        if reception.packets:
            mos = estimate_mos(reception.loss, reception.jitter_ms, remote.rtt_ms)
        return MediaStatistics(
            packets_sent=int(self._table.sent[line.row]),
            packets_received=reception.packets,
            loss=reception.loss,
            jitter_ms=reception.jitter_ms,
            remote_loss=remote.loss,
            remote_jitter_ms=remote.jitter_ms,
            rtt_ms=remote.rtt_ms,
            mos=mos,
        )


def _connect_endpoints(endpoints: Endpoints, remote: Source, rtcp_port: int | None = None) -> None:
    """Send to, and take from, this address alone. Raises `OSError` and `OverflowError`."""
    host, port = remote
    endpoints.rtp.connect((host, port))
    # RFC 3550 §11: RTCP is one above; beyond the last port there is none.
    endpoints.rtcp.connect((host, rtcp_port or min(port + 1, _PORT_MAX)))


_OBEY: Final[Mapping[type, Callable[[Switchboard, _Line, Any], None]]] = MappingProxyType(
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
