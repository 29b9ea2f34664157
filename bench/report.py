"""Figures as a person reads them, and as a program does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.scenario import Measurement


def show_measurements(console: Console, measured: Sequence[Measurement]) -> None:
    """A table: each figure, the floor or peer beside it, and their ratio."""
    table = Table(title="What was measured", title_justify="left")
    for title in ("scenario", "figure"):
        table.add_column(title, no_wrap=True)
    for title in ("measured", "floor or peer", "ratio"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in measured:
        for name, value in one.metrics.items():
            floor, ratio = one.floor.get(name), one.ratio.get(name)
            table.add_row(one.name, name, _say(value), _say(floor), _say(ratio))
        table.add_section()
    console.print(table)
    if measured:
        console.print(", ".join(measured[0].machine.values()), soft_wrap=True)


def write_json(file: Path, measured: Sequence[Measurement]) -> None:
    """All of it as a list of objects with `name`, `metrics`, `floor`, `ratio`, `machine`."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2) + b"\n")


def _say(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
