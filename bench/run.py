"""Runs scenarios by name, one after the other."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import trio
from rich.console import Console

from adapters.http_client import HttpFailed
from api.commands import REFUSED, CommandFailed
from bench import (
    amd,
    busy,
    campaign,
    control,
    dial,
    feed,
    intake,
    listening,
    media,
    mixed,
    ramp,
    recover,
    sip,
    soak,
    stream,
    trigger,
    waiting,
    wheel,
)
from bench.figures import combine
from bench.live import Display
from bench.page import make_page
from bench.recorder import Recorder
from bench.report import make_console, show_measurements, write_json
from bench.scenario import Measurement, NotMeasured, Scenario, Size, describe_machine

SCENARIOS: Final[dict[str, Scenario]] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (
        wheel,
        media,
        listening,
        amd,
        busy,
        sip,
        dial,
        ramp,
        trigger,
        feed,
        intake,
        stream,
        waiting,
        control,
        recover,
        mixed,
        campaign,
        soak,
    )
}
"""In the order in which they run."""


def run_scenarios(
    names: Sequence[str],
    *,
    size: Size,
    json_file: Path | None = None,
    html_file: Path | None = None,
    repeat: int = 1,
) -> int:
    """Run these scenarios, show what they measured, and write it down where that is asked for; 0 when
    every one of them came to its end. Each round runs all of them, so that what the machine does in one
    minute does not go into all runs of one scenario.

    Where one cannot measure, or all are broken off, what was measured until then is shown and written.
    """
    console = make_console()
    display = Display(console, len(names) * repeat)
    machine = describe_machine()
    runs: dict[str, list[Measurement]] = {name: [] for name in names}
    code = 0
    # Who ends us by a signal wants the processes of a scenario ended too, as Ctrl-C does.
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        for turn, name in itertools.product(range(repeat), names):
            title = f"{name} ({turn + 1} of {repeat})" if repeat > 1 else name
            try:
                measurement = run_scenario(SCENARIOS[name], size, display, title)
            except BaseException as error:
                for text in _reasons_of(error):
                    console.print(f"  NOT MEASURED: {text}", soft_wrap=True, markup=False)
                code = REFUSED
            else:
                runs[name].append(msgspec.structs.replace(measurement, machine=machine))
    finally:
        signal.signal(signal.SIGTERM, before)
        measured = [combine(some) for some in runs.values() if some]
        _report(console, measured, json_file, html_file)
    return code


def _report(
    console: Console,
    measured: Sequence[Measurement],
    json_file: Path | None,
    html_file: Path | None,
) -> None:
    if measured:
        show_measurements(console, measured)
    if json_file is not None:
        write_json(json_file, measured)
        console.print(f"The figures are in {json_file}.", soft_wrap=True)
    if html_file is not None:
        html_file.write_text(make_page(measured), encoding="utf-8")
        console.print(f"The page is {html_file}.", soft_wrap=True)


def _reasons_of(error: BaseException) -> list[str]:
    """Why a scenario could not measure. Raises `KeyboardInterrupt` where all is to be broken off, and the
    error itself where it is a mistake of ours."""
    causes = _causes_of(error)
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        # What else came of it, in this process and in others that had the same signal, is of no interest.
        raise KeyboardInterrupt from None
    if not all(isinstance(cause, NotMeasured | CommandFailed | HttpFailed) for cause in causes):
        raise error
    return list(dict.fromkeys(str(cause) for cause in causes))


def _causes_of(error: BaseException) -> list[BaseException]:
    """The error itself, or what nurseries wrapped into it."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [cause for inner in error.exceptions for cause in _causes_of(inner)]


def run_scenario(scenario: Scenario, size: Size, display: Display, title: str) -> Measurement:
    """Run one, and write down meanwhile what its processes use."""
    recorder = Recorder(time.monotonic)

    async def run() -> Measurement:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.sample, os.getpid())
            measurement = await scenario.run(size, show)
            nursery.cancel_scope.cancel()
        return measurement

    with display.over_run(title, scenario.summary, recorder) as show:
        measurement = trio.run(run)
    return msgspec.structs.replace(
        measurement, series=recorder.series(), processes=recorder.processes()
    )
