"""The corpus: every file gives its report, raises nothing, takes little memory, and holds nobody up."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
import trio

from adapters.workers import ProcessWorkers, open_process_workers
from engine.intake.refused import Refused
from engine.intake.validation import (
    Piece,
    Refusal,
    Submitted,
    Verdict,
    pack_submitted,
    read_found,
)
from tests.engine.intake.corpus import FILES, RULES, Case, large_files
from tests.engine.intake.judging import judge
from tests.engine.intake.measuring import RESET_PEAK, measure, rest
from tests.sizes import size

EXTRA_BYTES_MAX: Final = 50 * 2**20
STEP_S_MAX: Final = 0.020
JOB_S_MAX: Final = 600.0
"""On a machine that does much else at once."""
SOME: Final = size(len(FILES) // 12, 1)
"""One file of how many is measured."""
SLOW: Final = frozenset({"numbers", "bad rows", "blank lines", "a sheet"})
"""Large files that are measured at the long size only."""


def faults_of(case: Case) -> tuple[str, int, int, tuple[object, ...], tuple[object, ...]] | str:
    """What becomes of a file."""
    try:
        found = judge("file", case.data, case.name, RULES)
    except Refused as refused:
        return refused.code
    report = found.verdict.report
    assert report.rows == report.accepted + report.rejected
    assert report.rejected == len(found.rejected)
    return (
        found.verdict.name,
        report.accepted,
        report.rejected,
        tuple((one.row, one.column, one.code) for one in report.errors),
        tuple((one.row, one.column, one.code) for one in report.warnings),
    )


def test_the_corpus_is_large() -> None:
    assert len(FILES) >= 200
    assert len({(case.id, case.name) for case in FILES}) == len(FILES)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.id)
def test_each_file_gives_its_report(case: Case) -> None:
    if case.refused is not None:
        assert faults_of(case) == case.refused
        return
    rejected = len({one[0] for one in case.errors if one[0]})
    assert faults_of(case) == (case.name, len(case.taken), rejected, case.errors, case.warnings)
    found = judge("file", case.data, case.name, RULES)
    taken = [(one.row, one.tel[0], one.variables["name"], one.starttime) for one in found.drafts]
    assert tuple(taken) == case.taken
    assert all(len(one.tel) == 1 and one.reference is None for one in found.drafts)


class Steps(trio.abc.Instrument):
    """How long the engine's loop was held up by one step of a task, by the processor's own clock: what
    other processes take of the machine is not of its doing."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._begun = time.thread_time()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._begun = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.longest_s = max(self.longest_s, time.thread_time() - self._begun)


@pytest.fixture
def no_past() -> Iterator[None]:
    """What earlier tests have left in this process is not looked through while a step is measured."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
async def workers() -> AsyncIterator[ProcessWorkers]:
    if not os.access(RESET_PEAK, os.W_OK):
        pytest.skip("the kernel does not tell the most memory that a process took")
    async with open_process_workers(1, JOB_S_MAX) as opened:
        for case in FILES:  # what reads workbooks is there from then on
            if case.id in {"a workbook", "number 0", "in a folder"}:
                await read(opened, case.name, case.data)
        yield opened


async def read(workers: ProcessWorkers, name: str, data: bytes) -> tuple[int, int]:
    """(rows that the worker told of, the most bytes that it had meanwhile)."""
    rows, last = 0, b""
    job = pack_submitted(Submitted("file", name, data, RULES))
    async with workers.stream(measure, job) as pieces:
        async for piece in pieces:
            if last:
                part = read_found(last)
                assert isinstance(part, Piece | Verdict | Refusal)
                rows += part.drafts.count + len(part.rejected) if isinstance(part, Piece) else 0
            last = piece
    return rows, int(last)


@pytest.mark.usefixtures("no_past")
async def test_no_file_takes_much_memory_or_holds_the_engine_up(workers: ProcessWorkers) -> None:
    files = [(case.id, case.name, case.data) for case in FILES[::SOME]]
    files += [one for one in large_files() if SOME == 1 or one[0] not in SLOW]
    steps, most = Steps(), dict[str, int]()
    trio.lowlevel.add_instrument(steps)
    at_rest = await workers.run(rest, b"")
    for what, name, data in files:
        peak = (await read(workers, name, data))[1]
        most[what] = peak - at_rest
    trio.lowlevel.remove_instrument(steps)
    print({what: f"{taken / 2**20:.1f} MB" for what, taken in most.items()})
    print(f"longest step {steps.longest_s * 1e3:.1f} ms")
    assert {what: taken for what, taken in most.items() if taken > EXTRA_BYTES_MAX} == {}
    assert steps.longest_s < STEP_S_MAX
