"""`listening`: what it costs the plane to listen to a stream, for each packet that it hears.

Streams of speech are given to the plane's tables as they come from its sockets, a tenth of them every 2 ms,
all of them listened to for the same. The sockets themselves are `media`'s to measure. Each task is measured
in a process of its own (`python -m bench.listening TASK STREAMS SECONDS`), where numpy has one thread, as in
a plane: threads that wait for each other on a busy machine would be counted as work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import process_time
from typing import Final

import numpy as np
import trio
from msgspec import Struct
from numpy.typing import NDArray

from adapters.media.codecs.g711 import ULAW
from adapters.media.control_listening import AwaitBeep, Detect
from adapters.media.listening.listeners import Listening
from adapters.media.plane.stream_table import PHASES
from adapters.media.sockets.receiver import RECEIVE_BYTES_MAX, Batch
from adapters.media.wire.rtp import FRAME_BYTES, HEADER_BYTES, HEADER_FIELDS, read_arrivals
from bench.scenario import Measurement, Scenario, Show, Size
from engine.ports.amd import AmdParameters

STREAMS: Final = 2_500
TICK_NS: Final = 20_000_000 // PHASES
SOUND_S: Final[dict[Size, int]] = {"quick": 2, "full": 5}
_ENDLESS: Final = AmdParameters(
    initial_silence=3_600_000,
    greeting=3_600_000,
    after_greeting_silence=3_600_000,
    total_analysis_time=3_600_000,
    maximum_number_of_words=3_600_000,
    maximum_word_length=3_600_000,
)
"""Nothing is ever decided, so that all streams are listened to until the end."""


class Task(Struct, frozen=True):
    """What all streams are listened to for."""

    name: str
    has_digits: bool = False
    ask: Callable[[Listening, int], None] = lambda listening, row: None


TASKS: Final = (
    Task("nothing"),
    Task("keys", has_digits=True),
    Task("beep", ask=lambda listening, row: listening.obey(row, AwaitBeep(row, 1))),
    Task("answerer", ask=lambda listening, row: listening.obey(row, Detect(row, 1, _ENDLESS))),
)


async def run(size: Size, show: Show) -> Measurement:
    """Microseconds of CPU for a packet."""
    metrics = {}
    for task in TASKS:
        spent_us = await measure_apart(task, STREAMS, SOUND_S[size])
        show(f"{STREAMS:,} streams listened to for {task.name}: {spent_us:.2f} µs a packet")
        metrics[f"{task.name}_us_per_packet"] = spent_us
    return Measurement("listening", metrics)


async def measure_apart(task: Task, streams: int, sound_s: int) -> float:
    """What `measure` finds in a process of its own."""
    command = [sys.executable, "-P", "-m", "bench.listening", task.name, str(streams), str(sound_s)]
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return float((await trio.run_process(command, capture_stdout=True, env=alone)).stdout)


def prepare(task: Task, streams: int) -> Listening:
    """So many streams, all of them listened to for this."""
    listening = Listening(streams)
    for row in range(streams):
        listening.expect(row, 0, has_digits=task.has_digits)
        task.ask(listening, row)
    return listening


def measure(listening: Listening, streams: int, sound_s: int) -> float:
    """What so much speech of each of them costs, microseconds a packet."""
    speech = _make_speech()
    packets = np.zeros((streams, RECEIVE_BYTES_MAX), np.uint8)
    headers = packets[:, :HEADER_BYTES].view(HEADER_FIELDS)[:, 0]
    headers["first"], headers["ssrc"] = 0x80, np.arange(streams)
    spent_s, now_ns = 0.0, 0
    for frame in range(50 * sound_s):
        headers["sequence"], headers["timestamp"] = frame, FRAME_BYTES * frame
        at = (frame + 3 * np.arange(streams)) % len(speech)
        packets[:, HEADER_BYTES : HEADER_BYTES + FRAME_BYTES] = speech[at]
        for rows in np.array_split(np.arange(streams), PHASES):
            now_ns += TICK_NS
            spent_s += _hear(listening, rows, packets[rows], now_ns)
    return spent_s / (50 * sound_s * streams) * 1e6


def _hear(
    listening: Listening, rows: NDArray[np.intp], packets: NDArray[np.uint8], now_ns: int
) -> float:
    """Let a packet of each of these streams come: the seconds that it took."""
    batch = Batch(rows, packets, np.full(len(rows), HEADER_BYTES + FRAME_BYTES))
    # The headers are read of every packet, listened to or not.
    arrivals = read_arrivals(batch.slots, batch.packets, batch.lengths)
    begun = process_time()
    listening.go_on(now_ns)
    if listening.rows:
        listening.take(batch, arrivals)
    return process_time() - begun


def _make_speech() -> NDArray[np.uint8]:
    """Four seconds of a vowel that rises and falls, in frames: no tone stands in it, and no silence."""
    at_s = np.arange(4 * 8_000) / 8_000
    turns = 120 * at_s + np.sin(2 * np.pi * 3 * at_s)
    voice = sum((np.sin(2 * np.pi * n * turns) / n**0.5 for n in range(1, 25)), np.zeros(1))
    samples = (voice * (8_000 / np.abs(voice).max())).astype(np.int16)
    return ULAW.encode(samples).reshape(-1, FRAME_BYTES)


SCENARIO = Scenario("listening", "what it costs the plane to listen to what callees say", run)

if __name__ == "__main__":
    name, streams, sound_s = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    [wanted] = [task for task in TASKS if task.name == name]
    print(measure(prepare(wanted, streams), streams, sound_s))
