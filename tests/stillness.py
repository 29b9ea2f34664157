"""Whether the machine stood still while something was measured.

A test that judges by the clock, or by sound as it comes, says nothing of the product where the machine gave
nobody a turn meanwhile: it would find the machine's pause. A process that does nothing but sleep notices such
pauses. A test with the mark `punctual` or `alone` that fails beside one is run again, and what tests of its
file share is made anew; without a pause, or with one each time, a failure is a failure. What was repeated is
said at the end.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

MARKS: Final = ("punctual", "alone")
STILL_S: Final = 0.1
"""What sleeps was woken so much too late."""
TRIES: Final = 3
PAUSES: Final = "pauses_s"
"""The property of a test's report: the pause of each time that was not counted, seconds."""
WATCHER: Final = """
import os, select, sys, time
if os.fork():
    os._exit(0)
print(os.getpid(), flush=True)
longest_s, before = 0.0, time.monotonic()
while True:
    is_asked = select.select([sys.stdin], [], [], 0.01)[0]
    now = time.monotonic()
    longest_s, before = max(longest_s, now - before - 0.01), now
    if is_asked:
        if not sys.stdin.readline():
            break
        print(longest_s, flush=True)
        longest_s = 0.0
"""


class Watcher:
    """A process that sleeps, and says how late it was woken. It is not a child of the tests' process: some of
    them look at all of those."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", WATCHER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.process_id = int(self._process.stdout.readline())
        self._process.wait()

    def ask(self) -> float:
        """The longest pause since it was asked before, seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("?\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        with self._process:
            pass


@cache
def the_watcher() -> Watcher:
    """One for all tests of this process, which ends with it: nobody asks it any more."""
    return Watcher()


class Pauses:
    """The longest pause in each file's tests, since what they share was made."""

    def __init__(self) -> None:
        self.longest_s: dict[str, float] = {}

    def note(self, file: str, pause_s: float) -> float:
        """One more; the longest."""
        self.longest_s[file] = max(pause_s, self.longest_s.get(file, 0.0))
        return self.longest_s[file]


_pauses: Final = Pauses()


def run_undisturbed(item: pytest.Item, nextitem: pytest.Item | None) -> Sequence[pytest.TestReport]:
    """Run a test, and again where it fails and the machine stood still; the reports of the last time."""
    file, uncounted_s = str(item.path), list[float]()
    the_watcher().ask()
    while True:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        longest_s = _pauses.note(file, the_watcher().ask())
        has_failed = any(report.failed for report in reports)
        if not has_failed or longest_s < STILL_S or len(uncounted_s) == TRIES - 1:
            break
        try:
            # What its file's tests share is as disturbed as it was.
            item.session._setupstate.teardown_exact(None)
        except Exception:
            break  # it cannot be made anew: the failure stands
        uncounted_s.append(longest_s)
        _pauses.longest_s.clear()
        the_watcher().ask()
    for report in reports:
        if uncounted_s:
            report.user_properties.append((PAUSES, uncounted_s))
    return reports


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Takes the place of pytest's own for tests that have the mark."""
    if not any(item.get_closest_marker(mark) for mark in MARKS):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in run_undisturbed(item, nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what was repeated."""
    told = {
        report.nodeid: pauses_s
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, pauses_s in getattr(report, "user_properties", ())
        if name == PAUSES
    }
    if told:
        terminalreporter.section("repeated, as the machine stood still meanwhile")
    for nodeid, pauses_s in told.items():
        seconds = ", ".join(f"{pause_s:.1f} s" for pause_s in pauses_s)
        terminalreporter.line(f"{nodeid}: {seconds}")
