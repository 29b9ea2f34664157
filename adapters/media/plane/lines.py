"""Which streams a plane has: by their numbers and by their rows, and the opening of new ones."""

from __future__ import annotations

from collections import deque
from typing import Final

from adapters.media import control
from adapters.media.plane.line import Line
from adapters.media.plane.stream_table import RowPicker
from adapters.media.sockets.endpoint import NoDescriptor, NoPort, PortPicker, open_endpoints

OPENS_PER_TICK: Final = 8
"""Streams opened in one tick: about 0.3 ms, so that a burst of new calls delays no packet."""


class Lines:
    """The streams of one plane, at most `capacity` of them."""

    def __init__(self, bind_host: str, picker: PortPicker, capacity: int) -> None:
        self._bind_host = bind_host
        self._picker = picker
        self._capacity = capacity
        self._rows = RowPicker(capacity)
        self._by_stream: dict[int, Line] = {}
        self._by_row: list[Line | None] = [None] * capacity
        self._to_open: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._by_stream)

    @property
    def is_opening(self) -> bool:
        """Whether streams wait for `open_some`."""
        return bool(self._to_open)

    def find(self, stream: int) -> Line | None:
        """The stream of this number; None where it is gone."""
        return self._by_stream.get(stream)

    def at(self, row: int) -> Line:
        """The stream of this row, which has one."""
        line = self._by_row[row]
        assert line is not None
        return line

    def list_all(self) -> list[Line]:
        """Every stream."""
        return list(self._by_stream.values())

    def queue(self, streams: list[int]) -> list[control.Refused]:
        """Let these be opened soon: those for which there is no room."""
        room = max(0, self._capacity - len(self._by_stream) - len(self._to_open))
        self._to_open.extend(streams[:room])
        return [control.Refused(stream, "no_stream") for stream in streams[room:]]

    def open_some(self) -> tuple[list[Line], list[control.Refused]]:
        """Open streams that wait for it, up to the bound of a tick: those that are open now, and those that
        cannot be."""
        opened: list[Line] = []
        for _ in range(min(OPENS_PER_TICK, len(self._to_open))):
            try:
                opened.append(self._open(self._to_open[0]))
            except NoPort:
                return opened, self._refuse_waiting("no_port")
            except NoDescriptor:
                return opened, self._refuse_waiting("no_descriptor")
            self._to_open.popleft()
        return opened, []

    def remove(self, line: Line) -> None:
        """A stream is gone: its sockets are closed, and its port and row are free."""
        line.endpoints.close()
        self._picker.give_back(line.endpoints.port)
        del self._by_stream[line.stream]
        self._by_row[line.row] = None
        self._rows.give_back(line.row)

    def _open(self, stream: int) -> Line:
        endpoints = open_endpoints(self._bind_host, self._picker)
        line = Line(stream, self._rows.take(), endpoints)
        self._by_stream[stream] = line
        self._by_row[line.row] = line
        return line

    def _refuse_waiting(self, reason: control.RefusalReason) -> list[control.Refused]:
        # What one could not have the others would ask for in vain.
        refused = [control.Refused(stream, reason) for stream in self._to_open]
        self._to_open.clear()
        return refused
