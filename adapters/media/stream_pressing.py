"""The keys that a stream presses, as the control process holds them."""

from __future__ import annotations

from collections.abc import Callable

import trio

from adapters.media import control
from adapters.media.types import StreamLost
from adapters.media.wire.dtmf import make_script


class StreamPressing:
    """Presses keys on one stream of the plane, one text of them at a time."""

    def __init__(self, post: Callable[[control.Command], None], number: int) -> None:
        self._post = post
        self._number = number
        self._presses = 0
        self._pressing: trio.Event | None = None
        self._is_over = False

    async def press(self, digits: str) -> None:
        """Press these keys, and return when the last has had its gap; see `PlaneStream.send_digits`."""
        make_script(digits)
        if self._is_over:
            raise StreamLost
        if self._pressing is not None:
            raise trio.BusyResourceError("this stream presses keys already")
        if not digits:
            return
        self._presses += 1
        self._pressing = trio.Event()
        self._post(control.Press(self._number, self._presses, digits.upper()))
        try:
            await self._pressing.wait()
        except trio.Cancelled:
            self._post(control.CutPress(self._number, self._presses))
            raise
        finally:
            self._pressing = None
        if self._is_over:
            raise StreamLost

    def note_pressed(self, event: control.Pressed) -> None:
        """The plane says that keys are all pressed."""
        if self._pressing is not None and event.press == self._presses:
            self._pressing.set()

    def note_over(self) -> None:
        """The plane has the stream no longer."""
        self._is_over = True
        if self._pressing is not None:
            self._pressing.set()
