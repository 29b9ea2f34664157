"""The recorder: the process that writes a plane's recordings to disk, so that the plane need not wait.

    python -m adapters.media.recording.recorder --control FD --folder FOLDER

It takes its turn among ordinary processes, and may wait for the disk as long as it likes: what comes
meanwhile waits in the socket, and then in the plane, which says what is too much. When the socket closes
the plane has ended or died; what was recorded until then is made safe, and the recorder ends. It ignores
SIGINT and SIGTERM as the plane does.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from msgspec import Struct, field

from adapters.media.recording.files import SAMPLE_BYTES, SAMPLE_RATE_HZ, WavFile, recording_file
from adapters.media.recording.records import BEGIN, END, HEAD, SOUND, Answer, encode_answer

WRITE_BYTES: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES
"""A file is written a second at a time: so much can be lost when this process is killed."""
_READ_BYTES: Final = 1 << 18


class _Open(Struct, eq=False):
    """A file that is being written."""

    file: WavFile
    waiting: bytearray = field(default_factory=bytearray)

    def write(self) -> None:
        """Write what waits. Raises `OSError`."""
        self.file.append(bytes(self.waiting))
        self.waiting.clear()


class Recorder:
    """Writes what a plane says."""

    def __init__(self, endpoint: socket.socket, folder: Path) -> None:
        self._endpoint = endpoint
        self._folder = folder
        self._open: dict[int, _Open] = {}
        self._complete: SimpleQueue[tuple[int, WavFile] | None] = SimpleQueue()
        """Files to make safe. The plane has only so many places, which bounds it."""
        self._answering = threading.Lock()

    def run(self) -> None:
        """Write until the plane is gone, and make safe what there is."""
        # Waiting for a disk to say that it has everything must not hold up the other files.
        saver = threading.Thread(target=self._save)
        saver.start()
        buffer = bytearray()
        while data := self._receive():
            buffer += data
            self._take_records(buffer)
        for place in list(self._open):
            self._end(place)
        self._complete.put(None)
        saver.join()

    def _receive(self) -> bytes:
        try:
            return self._endpoint.recv(_READ_BYTES)
        except ConnectionError:
            return b""

    def _take_records(self, buffer: bytearray) -> None:
        start = 0
        while len(buffer) - start >= HEAD.size:
            kind, place, length = HEAD.unpack_from(buffer, start)
            end = start + HEAD.size + length
            if end > len(buffer):
                break
            octets = buffer[start + HEAD.size : end]
            if kind == SOUND:
                self._add(place, octets)
            elif kind == BEGIN:
                self._begin(place, octets.decode())
            elif kind == END:
                self._end(place)
            start = end
        del buffer[:start]

    def _begin(self, place: int, recording: str) -> None:
        try:
            self._open[place] = _Open(WavFile(recording_file(self._folder, recording)))
        except (OSError, ValueError) as error:
            self._answer(Answer(place, str(error)))

    def _add(self, place: int, octets: bytearray) -> None:
        """Of a file that has failed there is still some on its way, which nobody wants."""
        one = self._open.get(place)
        if one is None:
            return
        one.waiting += octets
        if len(one.waiting) >= WRITE_BYTES:
            self._write(place, one)

    def _end(self, place: int) -> None:
        one = self._open.get(place)
        if one is not None and self._write(place, one):
            del self._open[place]
            self._complete.put((place, one.file))

    def _write(self, place: int, one: _Open) -> bool:
        """Whether it could be written. A file that could not ends with what it has."""
        try:
            one.write()
        except OSError as error:
            del self._open[place]
            one.file.close()
            self._answer(Answer(place, str(error)))
            return False
        return True

    def _save(self) -> None:
        while (complete := self._complete.get()) is not None:
            place, file = complete
            failure = ""
            try:
                file.sync()
            except OSError as error:
                failure = str(error)
            file.close()
            self._answer(Answer(place, failure))

    def _answer(self, answer: Answer) -> None:
        with self._answering, contextlib.suppress(OSError):
            self._endpoint.sendall(encode_answer(answer))


def main() -> None:
    """Run a recorder on the socket that was handed down."""
    parser = argparse.ArgumentParser(prog="python -m adapters.media.recording.recorder")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A plane that goes before ordinary processes hands that down with everything else.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with socket.socket(fileno=options.control) as endpoint:
        Recorder(endpoint, options.folder).run()


if __name__ == "__main__":
    main()
