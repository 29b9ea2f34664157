"""One stream of a plane: where it is, and what is being done on it."""

from __future__ import annotations

from typing import Final

import msgspec

from adapters.media import control
from adapters.media.plane.arena import Sound
from adapters.media.plane.latch import Source
from adapters.media.sockets.endpoint import Endpoints
from adapters.media.wire.dtmf import CLOCK_HZ, EventReceiver

KEYS: Final = "keys:"
"""Begins the name of a sound that is keys; no prompt's id has a colon."""


class Line(msgspec.Struct, eq=False):
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
    bridged_to: Line | None = None
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
        return self.sound is not None and self.sound.key[0].startswith(KEYS)

    @property
    def is_playing(self) -> bool:
        """Whether a prompt plays, or waits for keys to end."""
        return self.waiting is not None or (self.sound is not None and not self.sounds_keys)
