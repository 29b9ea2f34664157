"""io_uring through ctypes: many small jobs on sockets in one call into the kernel (Linux ≥ 5.19).

A `Ring` has one prepared job (a submission queue entry) for each slot, written once. A batch is then
nothing but the numbers of its slots, which numpy writes into the index array that the kernel reads:
nothing is built, copied or allocated for a packet. Only jobs that never wait are put in, so that all
of a batch is done when the call returns and no job is ever left behind.

The ring has one user, the thread that made it, and the kernel works in that thread's own calls: what
is read and written here is shared with nobody at the same time, and needs no barrier.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

SLOTS_MAX: Final = 32_768
"""Jobs of one ring, the kernel's own bound."""
ENTERS_MAX: Final = 4
"""Calls for one batch: the kernel may stop early for want of memory. What is left then is given up."""

SEND: Final = 26
RECV: Final = 27
"""Numbers of the kinds of job (`IORING_OP_…`)."""
SKIP_SUCCESS: Final = 1 << 6
"""Say nothing of a job that went well (`IOSQE_CQE_SKIP_SUCCESS`)."""

# The numbers of system calls that came after 5.1 are the same on every architecture.
_SETUP: Final = 425
_ENTER: Final = 426
_SETUP_CQSIZE: Final = 1 << 3
_SETUP_CLAMP: Final = 1 << 4
_SETUP_SUBMIT_ALL: Final = 1 << 7
"""Go on with a batch past a job that is faulty."""
_FEAT_SINGLE_MMAP: Final = 1 << 0
_FEAT_CQE_SKIP: Final = 1 << 11
_QUEUES_AT: Final = 0
_JOBS_AT: Final = 0x1000_0000
_MAP_POPULATE: Final = getattr(mmap, "MAP_POPULATE", 0)
_WORD: Final = 0xFFFF_FFFF

_QUEUE_PLACES: Final = [(f"place{n}", "u4") for n in range(10)]
_PARAMETERS: Final = np.dtype(
    [
        ("jobs", "u4"),
        ("results", "u4"),
        ("flags", "u4"),
        ("thread", "u4", (2,)),
        ("features", "u4"),
        ("reserved", "u4", (4,)),
        ("submission", _QUEUE_PLACES),
        ("completion", _QUEUE_PLACES),
    ]
)
"""`struct io_uring_params`. The places of the submission queue are its head, tail, mask, entries,
flags, dropped and index array; those of the completion queue its head, tail, mask, entries, overflow
and results."""
_JOB: Final = np.dtype(
    [
        ("kind", "u1"),
        ("flags", "u1"),
        ("priority", "u2"),
        ("descriptor", "i4"),
        ("offset", "u8"),
        ("address", "u8"),
        ("length", "u4"),
        ("message_flags", "u4"),
        ("slot", "u8"),
        ("unused", "u8", (3,)),
    ]
)
"""`struct io_uring_sqe`; the slot travels in its user data."""
_RESULT: Final = np.dtype([("slot", "u8"), ("result", "i4"), ("flags", "u4")])
"""`struct io_uring_cqe`: octets sent or received, or a negative error number."""

_NOBODY: Final = np.zeros(0, np.intp)
_NOTHING: Final = np.zeros(0, np.int32)


class RingUnavailable(Exception):
    """The system has no io_uring, does not allow it to this process, or has too old a one."""


class Ring:
    """One prepared job for each of up to `slots` slots. Raises `RingUnavailable`."""

    def __init__(self, slots: int) -> None:
        assert 0 < slots <= SLOTS_MAX
        libc = ctypes.CDLL(None, use_errno=True)
        self._call = libc.syscall
        # Every argument is as wide as a register; what ctypes guesses would be narrower.
        self._call.argtypes = [ctypes.c_long] * 7
        self._call.restype = ctypes.c_long
        parameters = np.zeros(1, _PARAMETERS)
        parameters["flags"] = _SETUP_CLAMP | _SETUP_CQSIZE | _SETUP_SUBMIT_ALL
        parameters["results"] = 2 * slots
        self._descriptor = self._set_up(slots, parameters)
        try:
            self._map(parameters[0])
        except BaseException:
            os.close(self._descriptor)
            raise

    def _set_up(self, slots: int, parameters: NDArray[np.void]) -> int:
        descriptor = self._call(_SETUP, slots, parameters.ctypes.data, 0, 0, 0, 0)
        if descriptor < 0:
            raise RingUnavailable(os.strerror(ctypes.get_errno()))
        needed = _FEAT_SINGLE_MMAP | _FEAT_CQE_SKIP
        if int(parameters["features"][0]) & needed != needed:
            os.close(descriptor)
            raise RingUnavailable("the kernel's io_uring is older than Linux 5.19")
        return int(descriptor)

    def _map(self, parameters: np.void) -> None:
        jobs, results = int(parameters["jobs"]), int(parameters["results"])
        submission = [int(place) for place in parameters["submission"]]
        completion = [int(place) for place in parameters["completion"]]
        indexes_at, results_at = submission[6], completion[5]
        queues_end = max(indexes_at + 4 * jobs, results_at + _RESULT.itemsize * results)
        self._queues = self._map_one(queues_end, _QUEUES_AT)
        self._jobs_map = self._map_one(_JOB.itemsize * jobs, _JOBS_AT)
        # Single numbers are read and written several times faster so than through numpy.
        self._words = memoryview(self._queues).cast("I")
        self._job_head, self._job_tail = submission[0] // 4, submission[1] // 4
        self._result_head, self._result_tail = completion[0] // 4, completion[1] // 4
        self._indexes = np.frombuffer(self._queues, np.uint32, jobs, indexes_at)
        self._index_mask = jobs - 1
        self._results = np.frombuffer(self._queues, _RESULT, results, results_at)
        self.jobs: NDArray[np.void] = np.frombuffer(self._jobs_map, _JOB, jobs)
        """The prepared job of each slot: `kind`, `flags`, `descriptor`, `address`, `length`,
        `message_flags`. Written by the user; `slot` is set already."""
        self.jobs["slot"] = np.arange(jobs)
        self.jobs["descriptor"] = -1

    def _map_one(self, size: int, offset: int) -> mmap.mmap:
        flags = mmap.MAP_SHARED | _MAP_POPULATE
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        return mmap.mmap(self._descriptor, size, flags, protection, offset=offset)

    def do(self, slots: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Do the jobs of these slots, in this order: the slots that have something to say of it, and
        what each says, octets or a negative error number. A job that was given up says nothing."""
        count = len(slots)
        words = self._words
        assert count <= len(self._indexes)
        tail = words[self._job_tail]
        first = tail & self._index_mask
        unbroken = min(count, len(self._indexes) - first)
        self._indexes[first : first + unbroken] = slots[:unbroken]
        if unbroken < count:
            self._indexes[: count - unbroken] = slots[unbroken:]
        words[self._job_tail] = (tail + count) & _WORD
        left = count
        for _ in range(ENTERS_MAX):
            left -= max(0, self._call(_ENTER, self._descriptor, left, 0, 0, 0, 0))
            if not left:
                break
        else:
            # The kernel reads the tail in our calls alone, so that it can be taken back.
            words[self._job_tail] = words[self._job_head]
        if words[self._result_head] == words[self._result_tail]:
            return _NOBODY, _NOTHING
        return self._take_results()

    def _take_results(self) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        head, tail = self._words[self._result_head], self._words[self._result_tail]
        count = (tail - head) & _WORD
        first = head & (len(self._results) - 1)
        results = self._results[first : first + count]
        if len(results) < count:
            results = np.concatenate([results, self._results[: count - len(results)]])
        slots = results["slot"].astype(np.intp)
        said = results["result"].copy()
        self._words[self._result_head] = tail
        return slots, said

    def close(self) -> None:
        """Free the ring. Nothing may be done with it afterwards."""
        del self.jobs, self._results, self._indexes
        self._words.release()
        for mapped in (self._queues, self._jobs_map):
            # A view that somebody still has keeps its memory until it goes.
            with contextlib.suppress(BufferError):
                mapped.close()
        os.close(self._descriptor)
