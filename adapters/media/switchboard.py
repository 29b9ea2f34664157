"""The streams of a plane: what each command does to them, and what one tick sends and hears.

It has the sockets and the prompts, but no clock and no control socket: `plane.py` calls it with the
time, and takes the events that it leaves in `events`.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np

from adapters.media import control, control_listening
from adapters.media.arena import Sound, SoundArena, SoundUnavailable
from adapters.media.dtmf import EventReceiver
from adapters.media.endpoint import Endpoints, NoDescriptor, NoPort, PortPicker, open_endpoints
from adapters.media.g711 import LAWS
from adapters.media.hearing import EventPacket, Hearing
from adapters.media.latch import Source
from adapters.media.listening import Listening
from adapters.media.recorder_link import RecorderLink
from adapters.media.stream_table import RowPicker, StreamTable
from adapters.media.way import Way
from engine.ports.telephony import MediaStatistics

OPENS_PER_TICK: Final = 8
"""Streams opened in one tick: about 0.3 ms, so that a burst of new calls delays no packet."""
_PORT_MAX: Final = 65_535


class _Line(msgspec.Struct, eq=False):
    """One stream."""

    stream: int
    row: int
    endpoints: Endpoints
    remote: Source | None = None
    """What the SDP says, wherever the callee is found to be."""
    payload_type: int | None = None
    keys: EventReceiver = msgspec.field(default_factory=EventReceiver)
    play: int = 0
    """The number of the latest playing."""
    sound: Sound | None = None
    """What plays now."""


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
    ) -> None:
        """Without a recorder every recording fails."""
        self.events: list[control.Event] = []
        """What the control process is to hear; whoever sends it empties the list."""
        self._bind_host = bind_host
        self._picker = picker
        self._capacity = capacity
        self._arena = SoundArena(prompts)
        self._table = StreamTable(capacity, self._arena.frames, chance)
        self._sender = way.make_sender(capacity)
        self.listening = Listening(capacity, recorder)
        self.hearing = Hearing(capacity, way.make_receiver, self.listening)
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
        """Whether time must go on: somebody sends, or waits for what is heard."""
        return self.sending > 0 or self.listening.is_asked

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
            self._end_play(line, "finished")
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
                self._table.stop(line.row)
                return
            if command.payload_type != line.payload_type:
                self._speak(line, command.payload_type)
            self.hearing.expect(line.row, command.payload_type, command.telephone_event)
            self._connect_line(line, (command.host, command.port))
        except (OSError, ValueError, OverflowError) as error:
            statistics = self._statistics(line)
            self._remove(line)
            self.events.append(control.Dropped(line.stream, str(error), statistics))
            return
        self._table.start(line.row)

    def _connect_line(self, line: _Line, remote: Source) -> None:
        if remote != line.remote:
            _connect_endpoints(line.endpoints, remote)
            # Until now anybody could send to these ports. What is waiting is thrown away, and from
            # here on the kernel takes packets of the remote alone.
            self.hearing.discard(line.endpoints)
            if line.remote is None:
                self.hearing.attach(line.row, line.endpoints)
            line.remote = remote
        elif not self.hearing.is_learning(line.row):
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

    def _speak(self, line: _Line, payload_type: int) -> None:
        """Speak in this law; what plays goes on in it from where it is."""
        if payload_type not in LAWS:
            raise ValueError(f"payload type {payload_type} is neither PCMU nor PCMA")
        line.payload_type = payload_type
        sound, line.sound = line.sound, None
        position = self._table.position(line.row)
        self._table.speak(line.row, payload_type)
        if sound is not None:
            self._arena.release(sound)
            self._start_sound(line, sound.key[0], position - sound.first)

    def _play(self, line: _Line, command: control.Play) -> None:
        if line.sound is not None:
            self._end_play(line, "replaced")
        line.play = command.play
        self._start_sound(line, command.prompt, 0)

    def _start_sound(self, line: _Line, prompt: str, skip: int) -> None:
        # A stream that is not connected yet has no law. It takes the first, and `_speak` mends it.
        law = LAWS[line.payload_type or 0]
        try:
            sound = self._arena.hold(prompt, law)
        except KeyError:
            self._end_play(line, "unknown_prompt")
            return
        except SoundUnavailable:
            self._end_play(line, "unavailable")
            return
        line.sound = sound
        # Both laws' files are equally long, unless somebody has been at the folder.
        skip = min(skip, sound.count - 1)
        self._table.play(line.row, sound.first + skip, sound.count - skip)

    def _stop(self, line: _Line, command: control.Stop) -> None:
        if line.sound is not None and line.play == command.play:
            self._silence(line)

    def _close(self, line: _Line, _: control.Close) -> None:
        if line.remote is not None:
            # What has arrived already belongs to the figures.
            self.hearing.drain(line.row, line.endpoints.rtp)
        statistics = self._statistics(line)
        self._remove(line)
        self.events.append(control.Closed(line.stream, statistics))

    def _end_play(self, line: _Line, outcome: control.PlayOutcome) -> None:
        self._silence(line)
        self.events.append(
            control.PlayEnded(line.stream, line.play, outcome, self._statistics(line))
        )

    def _silence(self, line: _Line) -> None:
        self._table.silence(line.row)
        if line.sound is not None:
            self._arena.release(line.sound)
            line.sound = None

    def _remove(self, line: _Line) -> None:
        # What it has heard by now is still told of the stream.
        self.listening.leave(line.row)
        self._tell_what_was_heard()
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
        return MediaStatistics(
            packets_sent=int(self._table.sent[line.row]),
            packets_received=reception.packets,
            loss=reception.loss,
            jitter_ms=reception.jitter_ms,
        )


def _connect_endpoints(endpoints: Endpoints, remote: Source) -> None:
    """Send to, and take from, this address alone. Raises `OSError` and `OverflowError`."""
    host, port = remote
    endpoints.rtp.connect((host, port))
    # RFC 3550 §11: RTCP is one above; beyond the last port there is none.
    endpoints.rtcp.connect((host, min(port + 1, _PORT_MAX)))


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
    }
)
"""What each command about a stream does."""
