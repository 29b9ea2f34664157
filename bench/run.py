"""Runs scenarios by name, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import trio
from rich.console import Console

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
    sip,
    stream,
    trigger,
    waiting,
    wheel,
)
from bench.report import show_measurements, write_json
from bench.scenario import Measurement, Scenario, Size, describe_machine

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
        trigger,
        feed,
        intake,
        stream,
        waiting,
        control,
        campaign,
    )
}
"""In the order in which they run."""


def run_scenarios(names: Sequence[str], *, size: Size, json_file: Path | None) -> int:
    """Run these scenarios, show what they measured, and write it down where that is asked for; 0 when
    every one of them came to its end."""
    console = Console()
    machine = describe_machine()
    measured: list[Measurement] = []
    for name in names:
        scenario = SCENARIOS[name]
        console.print(f"[bold]{name}[/] {scenario.summary}")
        measurement = trio.run(scenario.run, size, lambda line: console.print(f"  {line}"))
        measured.append(msgspec.structs.replace(measurement, machine=machine))
    show_measurements(console, measured)
    if json_file is not None:
        write_json(json_file, measured)
    return 0
