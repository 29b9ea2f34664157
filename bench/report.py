"""Figures as a person reads them, and as a program does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench.scenario import Limit, Measurement

WIDTH_ELSEWHERE: Final = 160
"""Columns of a file or a pipe."""


def make_console() -> Console:
    """Standard output. Where it is no terminal, tables are as wide as they need to be."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH_ELSEWHERE)


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
            table.add_row(one.name, name, say_value(value), say_value(floor), say_value(ratio))
        for name, value in one.floor.items():
            if name not in one.metrics:
                table.add_row(one.name, name, "", say_value(value), say_value(one.ratio.get(name)))
        table.add_section()
    console.print(table)
    for one in measured:
        for limit in one.limits:
            console.print(f"{one.name}: {describe_limit(limit)}", soft_wrap=True)
    if measured:
        console.print(", ".join(measured[0].machine.values()), soft_wrap=True)


def write_json(file: Path, measured: Sequence[Measurement]) -> None:
    """All of it as a list of objects with `name`, `metrics`, `floor`, `ratio`, `machine`, and what else a
    `Measurement` holds beside them."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2) + b"\n")


def say_value(value: float | None) -> str:
    """A figure as short as it may be; nothing for none."""
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def describe_limit(limit: Limit) -> str:
    """What a figure is, what it should be, and whether it is."""
    bounds = [
        f"{word} {say_value(bound)}"
        for word, bound in (("at least", limit.least), ("at most", limit.most))
        if bound is not None
    ]
    verdict = "kept" if limit.is_kept else "NOT KEPT"
    return f"{verdict}: {limit.figure} {say_value(limit.value)}, {' and '.join(bounds)}"
