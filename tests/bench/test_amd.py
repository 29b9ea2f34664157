"""How the benchmark of answering machine detection shows what it found."""

from __future__ import annotations

from subprocess import CompletedProcess

import msgspec
import numpy as np
import pytest
import trio

from adapters.media.listening.amd import Verdict
from bench import amd
from bench.amd_corpus import Label, Scene
from bench.scenario import Measurement, Show
from engine.ports.amd import Answerer


def scene(label: Label) -> Scene:
    return Scene("a call", label, np.zeros(160, np.int16))


def verdict(answerer: Answerer) -> Verdict:
    return Verdict(0, answerer, "ended", 0, 0, 0, 0)


def test_the_matrix_has_a_line_for_who_was_there_and_a_column_for_who_was_heard() -> None:
    scenes = [scene("human"), scene("human"), scene("machine"), scene("fax")]
    verdicts = [verdict("human"), verdict("machine"), verdict("machine"), verdict("fax")]
    assert amd.describe_matrix("Ours", scenes, verdicts) == [
        "Ours         human  machine      fax  unknown",
        "human            1        1        0        0",
        "reception        0        0        0        0",
        "machine          0        1        0        0",
        "fax              0        0        1        0",
        "unknown          0        0        0        0",
    ]


async def test_numpy_has_one_thread_where_the_analysis_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[list[str], str]] = []
    heard = amd.Heard(["a line"], Measurement("amd", {"human_decided_ms_p50": float("nan")}))

    async def answer(
        command: list[str], *, capture_stdout: bool, env: dict[str, str]
    ) -> CompletedProcess[bytes]:
        assert capture_stdout
        asked.append((command[2:5], env["OPENBLAS_NUM_THREADS"]))
        return CompletedProcess(command, 0, msgspec.msgpack.encode(heard))

    monkeypatch.setattr(amd, "find_espeak", lambda: "espeak-ng")
    monkeypatch.setattr(trio, "run_process", answer)
    found = await amd.hear_apart(1, 1)
    assert (found.lines, asked) == (["a line"], [(["-m", "bench.amd", "--apart"], "1")])


async def test_without_espeak_nothing_is_measured_and_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    lines: list[str] = []
    measured = await amd.run("quick", Show(lines.append))
    assert measured.metrics == {}
    assert lines[-1] == "nothing measured: espeak-ng is missing: apt-get install espeak-ng"
