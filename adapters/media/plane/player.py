"""What streams play, and the keys that they press: a prompt, keys as events or as tones in its place, and the
prompt again.
"""

from __future__ import annotations

from typing import Protocol

from adapters.media import control
from adapters.media.codecs.codec import FRAMES_PER_S
from adapters.media.codecs.g711 import Law
from adapters.media.codecs.voices import VOICES
from adapters.media.plane.arena import Sound, SoundArena, SoundUnavailable
from adapters.media.plane.dtmf_tones import keys_octets
from adapters.media.plane.line import KEYS, Line
from adapters.media.plane.presses import Presses
from adapters.media.plane.stream_table import StreamTable
from adapters.media.wire.dtmf import EventClock, make_script
from adapters.media.wire.numbers import Numbers
from engine.ports.telephony import MediaStatistics


class Owner(Protocol):
    """Whoever has the streams."""

    def tell(self, event: control.Event) -> None:
        """The control process is to hear of this."""

    def statistics(self, line: Line) -> MediaStatistics:
        """How a stream is."""

    def rest(self, line: Line) -> None:
        """Nobody is to speak for a stream while it presses keys."""

    def describe(self, line: Line) -> None:
        """Whoever spoke for a stream may do so again."""


class Player:
    """Plays and presses on the streams of one plane."""

    def __init__(
        self, table: StreamTable, arena: SoundArena, presses: Presses, owner: Owner
    ) -> None:
        self._table = table
        self._arena = arena
        self._presses = presses
        self._owner = owner

    def speak(self, line: Line, numbers: Numbers) -> None:
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

    def play(self, line: Line, command: control.Play) -> None:
        """Play a prompt from its beginning, in place of another; after keys that sound just now."""
        if line.is_playing:
            self._end_play(line, "replaced")
        line.play = command.play
        if command.prompt.startswith(KEYS):
            self._end_play(line, "unknown_prompt")
        elif line.sounds_keys:
            line.waiting = command.prompt, 0
        else:
            self._start_sound(line, command.prompt, 0)

    def stop(self, line: Line, command: control.Stop) -> None:
        """Fall silent, if this is still what plays."""
        if line.is_playing and line.play == command.play:
            self._silence_prompt(line)

    def press(self, line: Line, command: control.Press) -> None:
        """Press keys, as soon as it is known how the callee takes them."""
        if line.press is not None:
            line.next_press = command
            return
        line.press = command
        if line.payload_type is not None:
            self.begin_press(line)

    def cut_press(self, line: Line, command: control.CutPress) -> None:
        """Press no further key, if these are still being pressed."""
        if line.next_press is not None and line.next_press.press == command.press:
            line.next_press = None
        elif line.press is not None and line.press.press == command.press:
            if line.row in self._presses:
                self._presses.cut(line.row)
            elif line.sounds_keys:
                self.end_press(line)
            else:
                line.press = None

    def begin_press(self, line: Line) -> None:
        """Press keys as was agreed. What plays waits meanwhile."""
        assert line.press is not None
        assert line.payload_type is not None
        row, law = line.row, VOICES[line.payload_type]
        if line.telephone_event is None:
            if line.sound is not None:
                line.waiting = line.sound.key[0], self._table.position(row) - line.sound.first
                self.silence(line)
            self._start_sound(line, KEYS + line.press.digits, 0)
            return
        durations = line.event_clock_hz // FRAMES_PER_S
        clock = EventClock(self._table.ticks(row), durations)
        script = make_script(line.press.digits, clock=clock)
        self._owner.rest(line)
        self._presses.begin(row, script, line.telephone_event, (line.wire_type, law.silence))

    def end_press(self, line: Line) -> None:
        """The last key has been pressed: what waited for it goes on."""
        assert line.press is not None
        if line.sounds_keys:
            self.silence(line)
        elif line.is_sending:
            self._table.go_on(line.row)
        self._owner.tell(control.Pressed(line.stream, line.press.press))
        line.press, line.next_press = line.next_press, None
        if line.press is not None:
            self.begin_press(line)
            return
        self._owner.describe(line)
        if line.waiting is not None:
            waiting, line.waiting = line.waiting, None
            self._start_sound(line, *waiting)

    def end_sound(self, line: Line) -> None:
        """What played has had its last 20 ms."""
        if line.sounds_keys:
            self.end_press(line)
        else:
            self._end_play(line, "finished")

    def silence(self, line: Line) -> None:
        """Play nothing, whatever it is that plays."""
        self._table.silence(line.row)
        if line.sound is not None:
            self._arena.release(line.sound)
            line.sound = None

    def _start_sound(self, line: Line, prompt: str, skip: int) -> None:
        # A stream that is not connected yet has no law. It takes the first, and `_speak` mends it.
        law = VOICES[line.payload_type or 0]
        try:
            sound = self._hold(prompt, law)
        except KeyError:
            self._end_play(line, "unknown_prompt")
            return
        except SoundUnavailable:
            if prompt.startswith(KEYS):
                # As good as pressed to a callee who did not listen; the arena is full of prompts.
                self.end_press(line)
            else:
                self._end_play(line, "unavailable")
            return
        line.sound = sound
        # A prompt's files are equally long, unless somebody has been at the folder.
        skip = min(skip, sound.count - 1)
        self._table.play(line.row, sound.first + skip, sound.count - skip)

    def _hold(self, name: str, law: Law) -> Sound:
        """A prompt's sound, or that of keys. Raises `KeyError` and `SoundUnavailable`."""
        if not name.startswith(KEYS):
            return self._arena.hold(name, law)
        digits = name.removeprefix(KEYS)
        return self._arena.hold_made(name, law, lambda: keys_octets(digits, law.payload_type))

    def _end_play(self, line: Line, outcome: control.PlayOutcome) -> None:
        self._silence_prompt(line)
        self._owner.tell(
            control.PlayEnded(line.stream, line.play, outcome, self._owner.statistics(line))
        )

    def _silence_prompt(self, line: Line) -> None:
        line.waiting = None
        if not line.sounds_keys:
            self.silence(line)
