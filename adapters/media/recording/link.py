"""The plane's end of its recorder, the process that writes recordings to disk.

The plane may not wait for a disk, not even for one write: another process does the writing, and between the
two is a socket that the plane never waits for. A thread would not do: it takes turns with the plane's loop at
the interpreter, and while busy processes keep it from a core the loop, whatever its priority, would wait.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adapters.media.listening.frames import FRAME_SAMPLES
from adapters.media.recording.records import BEGIN, END, HEAD, SOUND, Answer, AnswerReader

RECORDINGS_MAX: Final = 512
"""Recordings of one plane at once: 8 MB of sound a second."""
BACKLOG_BYTES_MAX: Final = 32 << 20
"""What may wait in the plane for a disk that is slow: 4 s of that. Then every recording has failed."""
BUFFER_BYTES: Final = 1 << 20
"""What is asked of the kernel for the socket; it gives less."""
START_EVERY_NS: Final = 10_000_000_000
"""How soon after it was started a recorder that has ended is started again."""

CLOSE_WAIT_S: Final = 1.0
"""How long a plane that ends waits for its recorder to take what it still has."""

_SOUND_BYTES: Final = 2 * FRAME_SAMPLES
_RECORD: Final = np.dtype(
    [
        ("kind", "u1"),
        ("pad", "u1"),
        ("place", "<u2"),
        ("bytes", "<u4"),
        ("sound", "<i2", (FRAME_SAMPLES,)),
    ]
)


class RecorderLink:
    """The plane's end. It never blocks, but for the moment in which a recorder is started."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        """Start a recorder that writes into this folder."""
        self._folder = folder
        self._environment = environment
        self._endpoint: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._answers = AnswerReader()
        self._backlog = bytearray()
        self._free = list(reversed(range(RECORDINGS_MAX)))
        self._open: set[int] = set()
        """Places whose answer has not come."""
        self._started_ns: int | None = None
        self._start()

    @property
    def is_busy(self) -> bool:
        """Whether an answer is waited for."""
        return bool(self._open)

    @property
    def process_id(self) -> int | None:
        """The recorder that was started last."""
        return self._process.pid if self._process else None

    def begin(self, recording: str, now_ns: int) -> int | None:
        """Begin a file under this id: its place, or None where too many are being written, or nobody is
        there to write."""
        if self._endpoint is None:
            self._start_again(now_ns)
        if self._endpoint is None or not self._free:
            return None
        place = self._free.pop()
        self._open.add(place)
        self._queue(BEGIN, place, recording.encode())
        return place

    def write(self, places: NDArray[np.intp], samples: NDArray[np.int16]) -> None:
        """Add 20 ms to each of these files: places x 160 samples."""
        records = np.zeros(len(places), _RECORD)
        records["kind"], records["bytes"] = SOUND, _SOUND_BYTES
        records["place"], records["sound"] = places, samples
        self._backlog += records.tobytes()

    def end(self, place: int) -> None:
        """The file is complete; its answer follows."""
        self._queue(END, place, b"")

    def exchange(self, now_ns: int) -> list[Answer]:
        """Send what waits, as far as the socket takes it: the answers that have come."""
        if self._started_ns is None:
            self._started_ns = now_ns
        if self._endpoint is None:
            return self._give_up("no recorder is there")
        try:
            answers = self._receive(self._endpoint)
            self._send(self._endpoint)
        except OSError as error:
            return self._give_up(f"the recorder is gone: {error}")
        if len(self._backlog) > BACKLOG_BYTES_MAX:
            return answers + self._give_up("the disk does not keep up")
        return answers

    def close(self) -> None:
        """Say what is still to be said, for which a plane that ends has time, and no more: the recorder
        writes what it has, and ends."""
        if self._endpoint is not None:
            with contextlib.suppress(OSError):
                self._endpoint.settimeout(CLOSE_WAIT_S)
                self._endpoint.sendall(self._backlog)
            self._hang_up()

    def _hang_up(self) -> None:
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None

    def wait_ended(self, timeout_s: float) -> None:
        """Return when the recorder that was told to end has done so. Raises `TimeoutExpired`."""
        if self._process is not None:
            self._process.wait(timeout_s)

    def _receive(self, endpoint: socket.socket) -> list[Answer]:
        try:
            data = endpoint.recv(65_536)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionError("it has ended")
        answers = self._answers.feed(data)
        for answer in answers:
            self._release(answer.place)
        return answers

    def _send(self, endpoint: socket.socket) -> None:
        if self._backlog:
            with contextlib.suppress(BlockingIOError):
                del self._backlog[: endpoint.send(self._backlog)]

    def _release(self, place: int) -> None:
        self._open.discard(place)
        self._free.append(place)

    def _queue(self, kind: int, place: int, octets: bytes) -> None:
        self._backlog += HEAD.pack(kind, place, len(octets)) + octets

    def _give_up(self, reason: str) -> list[Answer]:
        """Every recording has failed, and with it this recorder."""
        self._hang_up()
        self._backlog.clear()
        failed = sorted(self._open)
        for place in failed:
            self._release(place)
        return [Answer(place, reason) for place in failed]

    def _start_again(self, now_ns: int) -> None:
        if self._started_ns is None or now_ns - self._started_ns >= START_EVERY_NS:
            self._started_ns = now_ns
            self._start()

    def _start(self) -> None:
        if self._process is not None:
            # It has ended, or is about to: nobody else waits for it.
            self._process.poll()
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            arguments = ["--control", str(theirs.fileno()), "--folder", str(self._folder)]
            try:
                self._process = subprocess.Popen(  # noqa: S603  # this very program
                    [sys.executable, "-P", "-m", "adapters.media.recording.recorder", *arguments],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=self._environment,
                )
            except OSError:
                ours.close()
                return
        self._answers = AnswerReader()
        self._endpoint = ours
