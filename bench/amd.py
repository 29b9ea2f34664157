"""`amd`: who is taken for whom, how soon, and at what cost, on the corpus of `amd_corpus`.

Beside it stand the plain rules of Asterisk's AMD with its own parameters, on the same calls. Run alone,
`python -m bench.amd`, it takes a seed, and lists the calls that were taken for another.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from time import thread_time
from typing import Final, get_args

import msgspec
import numpy as np
import trio
from msgspec import Struct
from rich.console import Console

from adapters.media.listening.amd import AmdTable, Verdict
from adapters.media.listening.beep import Beep, BeepTable
from adapters.media.listening.tone import FRAME_SAMPLES, ToneFrames, ToneTable
from bench.amd_corpus import Label, Scene, make_corpus
from bench.report import show_measurements
from bench.scenario import Measurement, Scenario, Show, Size, describe_machine
from engine.ports.amd import AmdParameters, Answerer

SEED: Final = 2026
RENDITIONS: Final[dict[Size, int]] = {"quick": 3, "full": 10}

OURS: Final = AmdParameters()
ASTERISK: Final = AmdParameters(
    # It decides at the third word, we when the third is exceeded.
    maximum_number_of_words=2,
    shortest_machine_greeting=0,
    noise_margin=0,
    background_share=0,
)
"""Its limits alone, one threshold, and deaf to tones."""


class Heard(Struct, frozen=True):
    """What was found out about all calls."""

    lines: list[str]
    """To be shown."""
    measurement: Measurement


class Outcome(Struct):
    """What the analysis said of every scene."""

    verdicts: list[Verdict]
    """In the order of the scenes."""
    us_per_frame: float
    """Of the processor, for each stream and 20 ms."""


def analyze(
    scenes: Sequence[Scene],
    parameters: AmdParameters,
    overhear: Callable[[ToneFrames], ToneFrames] = lambda heard: heard,
) -> Outcome:
    """Let all scenes run at once, 20 ms by 20 ms, until there is a verdict on each.

    `overhear` may take away of what is heard.
    """
    samples = _stack(scenes)
    tones, analysis = ToneTable(len(scenes)), AmdTable(len(scenes))
    for row in range(len(scenes)):
        analysis.start(row, parameters)
    verdicts: dict[int, Verdict] = {}
    spent, frames = 0.0, 0
    for first in range(0, samples.shape[1], FRAME_SAMPLES):
        rows = np.flatnonzero(analysis.watching)
        if len(rows) == 0:
            break
        sound = samples[rows, first : first + FRAME_SAMPLES]
        begun = thread_time()
        found = analysis.hear(overhear(tones.hear(rows, sound)))
        spent += thread_time() - begun
        frames += len(rows)
        verdicts |= {one.row: one for one in found}
    return Outcome([verdicts[row] for row in range(len(scenes))], spent / frames * 1e6)


def find_beeps(scenes: Sequence[Scene]) -> list[list[Beep]]:
    """The beeps of each scene, from its answer to its end."""
    samples = _stack(scenes)
    rows = np.arange(len(scenes))
    tones, beeps = ToneTable(len(scenes)), BeepTable(len(scenes))
    for row in range(len(scenes)):
        beeps.start(row)
    found: list[list[Beep]] = [[] for _ in scenes]
    for first in range(0, samples.shape[1], FRAME_SAMPLES):
        for beep in beeps.hear(tones.hear(rows, samples[:, first : first + FRAME_SAMPLES])):
            found[beep.row].append(beep)
    return found


def _stack(scenes: Sequence[Scene]) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    """All scenes as one array, silence after the shorter ones, in whole frames."""
    longest = max(len(scene.samples) for scene in scenes)
    samples = np.zeros((len(scenes), -(-longest // FRAME_SAMPLES) * FRAME_SAMPLES), np.int16)
    for row, scene in enumerate(scenes):
        samples[row, : len(scene.samples)] = scene.samples
    return samples


def ignore_tones(heard: ToneFrames) -> ToneFrames:
    """Hear them as any other sound."""
    nothing = np.zeros(len(heard.rows), np.bool_)
    return msgspec.structs.replace(
        heard, steady=nothing, ended=nothing, duration_ms=np.zeros(len(heard.rows), np.int32)
    )


def _count(scenes: Sequence[Scene], verdicts: Sequence[Verdict]) -> Counter[tuple[Label, Answerer]]:
    return Counter(
        (scene.label, verdict.answer) for scene, verdict in zip(scenes, verdicts, strict=True)
    )


def _measure(scenes: Sequence[Scene], outcome: Outcome) -> dict[str, float]:
    """The figures of one analysis."""
    count = _count(scenes, outcome.verdicts)
    total = Counter(scene.label for scene in scenes)

    def percent(label: Label, answer: Answerer) -> float:
        return 100 * count[label, answer] / total[label]

    figures = {
        "human_as_machine_percent": percent("human", "machine"),
        "machine_as_human_percent": percent("machine", "human"),
        "reception_as_machine_percent": percent("reception", "machine"),
        "fax_found_percent": percent("fax", "fax"),
        "analysis_us_per_20ms": outcome.us_per_frame,
    }
    for label, answer in (("human", "human"), ("machine", "machine")):
        taken = [
            verdict.elapsed_ms
            for scene, verdict in zip(scenes, outcome.verdicts, strict=True)
            if scene.label == label and verdict.answer == answer
        ]
        figures[f"{label}_decided_ms_p50"] = float(np.percentile(taken, 50))
        figures[f"{label}_decided_ms_p90"] = float(np.percentile(taken, 90))
    return figures


BEEP_TOLERANCE_MS: Final = 60


def _measure_beeps(scenes: Sequence[Scene]) -> dict[str, float]:
    """Which beeps were heard to end when they did, and how many beeps were heard that were none."""
    there, heard, invented = 0, 0, 0
    for scene, beeps in zip(scenes, find_beeps(scenes), strict=True):
        if scene.label not in ("human", "machine"):
            continue
        ends = scene.beep_ends_ms
        right = [
            ends is not None and abs(beep.ended_ms - ends) <= BEEP_TOLERANCE_MS for beep in beeps
        ]
        there += ends is not None
        heard += any(right)
        # What rings before the first word is a tone that ends, and is nobody's mistake.
        after_ringing = [beep.ended_ms > scene.speech_begins_ms for beep in beeps]
        invented += sum(late and not ok for late, ok in zip(after_ringing, right, strict=True))
    return {"beeps_heard_percent": 100 * heard / there, "beeps_invented": float(invented)}


def describe_matrix(title: str, scenes: Sequence[Scene], verdicts: Sequence[Verdict]) -> list[str]:
    """Who was there, by line, and who was heard, by column."""
    count = _count(scenes, verdicts)
    answers: tuple[Answerer, ...] = get_args(Answerer)
    labels: tuple[Label, ...] = get_args(Label)
    head = f"{title:<9}" + "".join(f"{answer:>9}" for answer in answers)
    return [
        head,
        *(
            f"{label:<9}" + "".join(f"{count[label, answer]:>9}" for answer in answers)
            for label in labels
        ),
    ]


def make_scenes(seed: int, renditions: int) -> list[Scene]:
    """The corpus. Raises `FileNotFoundError` where espeak-ng is missing."""
    return list(make_corpus(find_espeak(), seed, renditions))


def find_espeak() -> str:
    """Who says the greetings. Raises `FileNotFoundError`."""
    espeak = shutil.which("espeak-ng")
    if espeak is None:
        raise FileNotFoundError("espeak-ng is missing: apt-get install espeak-ng")
    return espeak


async def run(size: Size, show: Show) -> Measurement:
    """Shares of the calls, milliseconds after the answer, and microseconds of analysis."""
    renditions = RENDITIONS[size]
    show(f"each greeting spoken {renditions} times")
    try:
        heard = await hear_apart(SEED, renditions)
    except FileNotFoundError as error:
        # The scenarios that follow need no voices.
        show(f"nothing measured: {error}")
        return Measurement("amd", {})
    for line in heard.lines:
        show(line)
    return heard.measurement


async def hear_apart(seed: int, renditions: int) -> Heard:
    """What `hear` finds in a process of its own, where numpy has one thread, as in a plane: threads that wait
    for each other would be counted as work, and what others do would not. Raises `FileNotFoundError`."""
    find_espeak()
    command = [sys.executable, "-P", "-m", "bench.amd", "--apart"]
    command += ["--seed", str(seed), "--renditions", str(renditions)]
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    answer = await trio.run_process(command, capture_stdout=True, env=alone)
    return msgspec.msgpack.decode(answer.stdout, type=Heard)


def hear(seed: int, renditions: int) -> Heard:
    """The corpus, heard by both analyses. Raises `FileNotFoundError` where espeak-ng is missing."""
    scenes = make_scenes(seed, renditions)
    ours, plain = analyze(scenes, OURS), analyze(scenes, ASTERISK, ignore_tones)
    lines = [f"{len(scenes):,} calls heard", *describe_matrices(scenes, ours, plain)]
    return Heard(lines, measure(scenes, ours, plain))


def describe_matrices(scenes: Sequence[Scene], ours: Outcome, plain: Outcome) -> list[str]:
    """Ours, and that of Asterisk's rules alone."""
    return [
        *("Callwheel:", *describe_matrix("", scenes, ours.verdicts)),
        *("Asterisk's rules alone:", *describe_matrix("", scenes, plain.verdicts)),
    ]


def measure(scenes: Sequence[Scene], ours: Outcome, plain: Outcome) -> Measurement:
    """Our figures, with those of the plain rules beside them."""
    metrics = _measure(scenes, ours) | _measure_beeps(scenes)
    return Measurement("amd", metrics, floor=_measure(scenes, plain))


def main() -> None:
    """Print the matrices and the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.amd", description=SCENARIO.summary)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--renditions", type=int, default=RENDITIONS["quick"])
    parser.add_argument("--mistakes", action="store_true", help="list the calls taken for another")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.apart:
        sys.stdout.buffer.write(msgspec.msgpack.encode(hear(asked.seed, asked.renditions)))
        return
    console = Console()
    scenes = make_scenes(asked.seed, asked.renditions)
    ours, plain = analyze(scenes, OURS), analyze(scenes, ASTERISK, ignore_tones)
    for line in describe_matrices(scenes, ours, plain):
        console.print(line, highlight=False)
    if asked.mistakes:
        _show_mistakes(console, scenes, ours.verdicts)
    measured = measure(scenes, ours, plain)
    show_measurements(console, [msgspec.structs.replace(measured, machine=describe_machine())])


def _show_mistakes(console: Console, scenes: Sequence[Scene], verdicts: Sequence[Verdict]) -> None:
    for scene, verdict in zip(scenes, verdicts, strict=True):
        if scene.label != verdict.answer:
            console.print(scene.name, verdict, highlight=False)


SCENARIO = Scenario("amd", "who is taken for whom on synthetic calls, beside Asterisk's rules", run)

if __name__ == "__main__":
    main()
