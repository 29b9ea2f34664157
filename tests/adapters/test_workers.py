"""Work in other processes, and in none."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NoReturn

import pytest
import trio
import trio.testing

from adapters import workers
from adapters.workers import InlineWorkers, ProcessWorkers, open_process_workers
from engine.ports.workers import WorkerFailed, Workers


def add(first: int, second: int) -> int:
    return first + second


def count_to(last: int) -> Iterator[bytes]:
    """Numbers, each 10 kB long, so that few fit into a socket."""
    for number in range(1, last + 1):
        yield b"%d %s" % (number, bytes(10_000))


def count_to_and_fail(last: int) -> Iterator[bytes]:
    yield from count_to(last)
    raise LookupError("not there")


def count_to_and_die(last: int) -> Iterator[bytes]:
    yield from count_to(last)
    os.kill(os.getpid(), signal.SIGKILL)


def say_pid(_: bytes) -> Iterator[bytes]:
    yield b"%d" % os.getpid()


def get_pid(_: bytes) -> int:
    return os.getpid()


def fail(message: str) -> NoReturn:
    raise LookupError(message)


def die(_: bytes) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def hang(pid_file: str) -> None:
    """Says who it is and never returns."""
    with open(pid_file, "w") as file:
        file.write(f"{os.getpid()}\n")
    threading.Event().wait()


async def read_pid(path: trio.Path) -> int:
    """The pid that `hang` writes, when it has."""
    while True:
        if await path.exists() and (text := await path.read_text()).endswith("\n"):
            return int(text)
        await trio.sleep(0.005)


@pytest.fixture
async def processes() -> AsyncIterator[ProcessWorkers]:
    async with open_process_workers(1) as opened:
        yield opened


@pytest.fixture(params=["processes", "inline"])
def either(request: pytest.FixtureRequest) -> Workers:
    workers: Workers = (
        InlineWorkers() if request.param == "inline" else request.getfixturevalue("processes")
    )
    return workers


async def test_a_result_comes_back(either: Workers) -> None:
    assert await either.run(add, 2, 3) == 5


async def test_what_the_function_raises_comes_back(either: Workers) -> None:
    with pytest.raises(LookupError, match="not here"):
        await either.run(fail, "not here")
    assert await either.run(add, 2, 3) == 5


async def read(
    workers: Workers, function: Callable[[int], Iterator[bytes]], last: int
) -> list[int]:
    async with workers.stream(function, last) as pieces:
        return [int(piece.partition(b" ")[0]) async for piece in pieces]


@pytest.mark.parametrize("last", [0, 1, 300])
async def test_all_that_is_found_comes_piece_by_piece(either: Workers, last: int) -> None:
    assert await read(either, count_to, last) == list(range(1, last + 1))


async def test_what_a_finder_raises_comes_after_what_it_found(either: Workers) -> None:
    found: list[bytes] = []

    async def gather() -> None:
        async with either.stream(count_to_and_fail, 3) as pieces:
            async for piece in pieces:
                found.append(piece[:1])  # noqa: PERF401, all that came before the failure

    with pytest.raises(LookupError, match="not there"):
        await gather()
    assert found == [b"1", b"2", b"3"]
    assert await read(either, count_to, 2) == [1, 2]


async def test_what_its_reader_raises_goes_past_the_worker(either: Workers) -> None:
    async def stumble() -> None:
        async with either.stream(count_to, 1_000) as pieces:
            async for _ in pieces:
                raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await stumble()
    assert await read(either, count_to, 2) == [1, 2]


async def test_a_finder_that_dies_is_told_of(processes: ProcessWorkers) -> None:
    with pytest.raises(WorkerFailed, match="died at its work"):
        await read(processes, count_to_and_die, 3)
    assert await read(processes, count_to, 2) == [1, 2]


async def test_the_process_stays_for_the_next_stream_and_its_socket_goes(
    processes: ProcessWorkers,
) -> None:
    pids = set()
    for _ in range(3):
        async with processes.stream(say_pid, b"") as pieces:
            pids |= {int(piece) async for piece in pieces}
    assert len(pids) == 1
    assert list(processes._folder.iterdir()) == []


async def test_inline_work_is_done_here_after_others_had_their_turn() -> None:
    with trio.testing.assert_checkpoints():
        assert await InlineWorkers().run(get_pid, b"") == os.getpid()


async def test_a_process_stays_for_the_next_job(processes: ProcessWorkers) -> None:
    first = await processes.run(get_pid, b"")
    assert first != os.getpid()
    assert await processes.run(get_pid, b"") == first


async def test_a_worker_that_dies_at_its_work_is_replaced(processes: ProcessWorkers) -> None:
    with pytest.raises(WorkerFailed, match="the worker process died at its work"):
        await processes.run(die, b"")
    assert await processes.run(add, 2, 3) == 5


async def kill_idle(opened: ProcessWorkers) -> None:
    """Kill the one worker and wait until it is gone."""
    pid = await opened.run(get_pid, b"")
    [process] = [child for child in multiprocessing.active_children() if child.pid == pid]
    process.kill()
    await trio.lowlevel.wait_readable(process.sentinel)
    process.join()  # the sentinel may be ahead of the process's end by a moment


async def test_a_worker_that_died_while_idle_is_replaced(processes: ProcessWorkers) -> None:
    await kill_idle(processes)
    assert await processes.run(add, 2, 3) == 5


async def test_a_worker_that_died_while_idle_does_not_trouble_the_end() -> None:
    async with open_process_workers(1) as opened:
        await kill_idle(opened)


async def test_a_worker_that_died_while_idle_does_not_hide_why_the_block_ended() -> None:
    async def fail_in_the_block() -> None:
        async with open_process_workers(1) as opened:
            await kill_idle(opened)
            fail("the block's own error")

    with pytest.raises(LookupError, match="the block's own error"):
        await fail_in_the_block()


async def test_cancelling_a_job_kills_its_process(
    processes: ProcessWorkers, tmp_path: os.PathLike[str]
) -> None:
    pid_file = trio.Path(tmp_path) / "pid"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(processes.run, hang, str(pid_file))
        pid = await read_pid(pid_file)
        nursery.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert await processes.run(add, 2, 3) == 5


async def test_a_job_that_takes_too_long_is_ended(tmp_path: os.PathLike[str]) -> None:
    async with open_process_workers(1, job_s_max=0.2) as opened:
        with pytest.raises(WorkerFailed, match=r"the work took longer than 0\.2 s"):
            await opened.run(hang, str(trio.Path(tmp_path) / "pid"))


async def test_no_more_jobs_wait_than_may(
    processes: ProcessWorkers, tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "WAITING_MAX", 2)
    async with trio.open_nursery() as nursery:
        for name in ("working", "waiting 1", "waiting 2"):
            nursery.start_soon(processes.run, hang, str(trio.Path(tmp_path) / name))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(WorkerFailed, match="2 jobs are waiting for a worker already"):
            await processes.run(add, 2, 3)
        nursery.cancel_scope.cancel()


async def test_no_process_outlives_the_block() -> None:
    before = multiprocessing.active_children()
    async with open_process_workers(2) as opened:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(opened.run, get_pid, b"")
            nursery.start_soon(opened.run, get_pid, b"")
        assert len(multiprocessing.active_children()) == len(before) + 2
    assert multiprocessing.active_children() == before
