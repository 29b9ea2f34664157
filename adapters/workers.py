"""Workers: processes that stay, by trio-parallel, and a twin without processes."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

import trio
import trio_parallel  # type: ignore[import-untyped]

from adapters.worker_folder import open_worker_folder
from adapters.worker_stream import open_spout, pour
from engine.ports.workers import WorkerFailed, WorkersBusy

JOB_S_MAX: Final = 60.0
"""A job that takes longer is ended, with its process."""
STREAM_S_FACTOR: Final = 4
"""How many times as long a job may take whose findings are stored meanwhile: it waits for the store, too."""
WAITING_MAX: Final = 64
"""Jobs that wait for a free process; one more is turned away."""
GRACE_S: Final = 2.0
"""How long idle processes may take to end."""

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


class ProcessWorkers:
    """Workers as processes, started when they are first needed and kept. Made by
    `open_process_workers`."""

    def __init__(
        self,
        context: trio_parallel.WorkerContext,
        processes_max: int,
        job_s_max: float,
        folder: Path,
    ) -> None:
        self._context = context
        self._folder = folder
        self._serials = count()
        self._limiter = trio.CapacityLimiter(processes_max)
        self._job_s_max = job_s_max

    @property
    def waiting(self) -> int:
        """Jobs that wait for a process."""
        return self._limiter.statistics().tasks_waiting

    async def run(self, function: Callable[[*Ts], R], *args: *Ts) -> R:
        """As the port says. Cancelling it kills the process; the next job gets a new one."""
        return await self._run(self._job_s_max, function, *args)

    async def _run(self, job_s_max: float, function: Callable[[*Ts], R], *args: *Ts) -> R:
        if self.waiting >= WAITING_MAX:
            raise WorkersBusy(f"{WAITING_MAX} jobs are waiting for a worker already")
        async with self._limiter:
            try:
                with trio.fail_after(job_s_max):
                    result: R = await self._context.run_sync(
                        function, *args, kill_on_cancel=True, limiter=trio.CapacityLimiter(1)
                    )
                    return result
            except trio_parallel.BrokenWorkerError:
                raise WorkerFailed("the worker process died at its work") from None
            except trio.TooSlowError:
                raise WorkerFailed(f"the work took longer than {job_s_max:g} s") from None

    @asynccontextmanager
    async def stream(
        self, function: Callable[[*Ts], Iterable[bytes]], *args: *Ts
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """As the port says. Whoever stops reading before the end has the process killed."""
        failures: list[Exception] = []  # of the work, and of whoever reads it

        async def work() -> None:
            try:
                limit_s = STREAM_S_FACTOR * self._job_s_max
                await self._run(limit_s, pour, str(spout.path), function, *args)
            except Exception as error:
                failures.insert(0, error)
                nursery.cancel_scope.cancel()

        async with open_spout(self._folder / str(next(self._serials))) as spout:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(work)
                try:
                    async with aclosing(spout.pieces()) as pieces:
                        yield pieces
                except Exception as error:
                    # Kept from the nursery, which would wrap it in a group.
                    failures.append(error)
                if not spout.is_done:
                    nursery.cancel_scope.cancel()
            if failures:
                raise failures[0]


class InlineWorkers:
    """Does the work where it stands, for tests and for worlds whose time is virtual."""

    async def run(self, function: Callable[[*Ts], R], *args: *Ts) -> R:
        """As the port says, but for holding the engine up."""
        await trio.lowlevel.checkpoint()
        return function(*args)

    @asynccontextmanager
    async def stream(
        self, function: Callable[[*Ts], Iterable[bytes]], *args: *Ts
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """As the port says, but for holding the engine up."""

        async def pieces() -> AsyncGenerator[bytes, None]:
            await trio.lowlevel.checkpoint()
            for piece in function(*args):
                yield piece
                await trio.lowlevel.checkpoint()

        async with aclosing(pieces()) as poured:
            yield poured


@asynccontextmanager
async def open_process_workers(
    processes_max: int, job_s_max: float = JOB_S_MAX
) -> AsyncIterator[ProcessWorkers]:
    """Workers for as long as the block lasts; at its end their processes are gone.

    Each process imports the program's main module anew (multiprocessing's "spawn"), so that module
    must do nothing when it is imported.

    Args:
        processes_max: how many work at once, and how many are kept.
        job_s_max: the longest that one job may take, seconds.
    """
    failure: BaseException | None = None
    try:
        async with trio_parallel.open_worker_context(
            idle_timeout=math.inf, grace_period=GRACE_S
        ) as context:
            try:
                with open_worker_folder() as folder:
                    yield ProcessWorkers(context, processes_max, job_s_max, folder)
            except BaseException as error:
                failure = error
                raise
    except trio_parallel.BrokenWorkerError:
        # A process that somebody killed while it was idle did no work that could be missed, and
        # must not hide why the block ended.
        if failure is not None:
            raise failure from None
