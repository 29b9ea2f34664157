"""What moved between two files of figures, beyond what repeated runs differ by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.figures import better
from bench.report import make_console, say_value
from bench.scenario import Measurement

RUNS_MIN: Final = 3
"""With fewer runs on a side nobody knows what they differ by."""
NOISE_SHARE: Final = 0.05
"""Less than this is noise however alike the runs were."""
NOISE_SHARE_UNKNOWN: Final = 0.25
"""The same where there are too few runs."""

Movement = Literal["moved", "within noise", "only in A", "only in B"]
Judgement = Literal["better", "worse", ""]


class NotComparable(Exception):
    """The two files say nothing about each other; the text says why."""


class Change(Struct, frozen=True):
    """What became of one figure."""

    scenario: str
    figure: str
    """`… (ratio)` where both sides have one: it stands for the figure, as machines have bad hours."""
    a: float | None
    b: float | None
    noise_share: float
    """What B may differ from A by, as a share of A, without having moved."""
    movement: Movement
    judgement: Judgement


class _Values(Struct, frozen=True):
    """A figure on one side: its median and what each run came to."""

    middle: float
    runs: list[float]


def read_figures(file: Path) -> list[Measurement]:
    """What `--json` wrote. Raises `NotComparable` where it did not."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Measurement])
    except OSError as error:
        raise NotComparable(f"{file} cannot be read: {error.strerror}.") from error
    except msgspec.MsgspecError as error:
        raise NotComparable(f"{file} is not what --json writes: {error}.") from error


def check_machines(a: Sequence[Measurement], b: Sequence[Measurement]) -> None:
    """Raises `NotComparable` where they were measured on machines that differ."""
    for one in a:
        for other in b:
            differing = [
                f"{key} {one.machine.get(key, '?')} against {other.machine.get(key, '?')}"
                for key in sorted(one.machine.keys() | other.machine.keys())
                if one.machine.get(key) != other.machine.get(key)
            ]
            if differing:
                raise NotComparable(
                    f"the machines differ ({'; '.join(differing)}), so what moved may be theirs; "
                    "--other-machine compares nevertheless."
                )


def compare(a: Sequence[Measurement], b: Sequence[Measurement]) -> list[Change]:
    """Each figure of either side, in A's order, then what only B has."""
    left, right = _collect(a), _collect(b)
    for key in [key for key in left if key in right and not key[1].endswith(_RATIO)]:
        ratio = (key[0], key[1] + _RATIO)
        if ratio in left and ratio in right:
            del left[key], right[key]
    return [_judge(key, left.get(key), right.get(key)) for key in {**left, **right}]


_RATIO: Final = " (ratio)"


def _collect(measured: Sequence[Measurement]) -> dict[tuple[str, str], _Values]:
    found = {}
    for one in measured:
        for name, value in one.metrics.items():
            runs = [run.metrics[name] for run in one.runs if name in run.metrics]
            found[one.name, name] = _Values(value, runs or [value])
        for name, value in one.ratio.items():
            runs = [run.ratio[name] for run in one.runs if name in run.ratio]
            found[one.name, name + _RATIO] = _Values(value, runs or [value])
    return found


def _judge(key: tuple[str, str], a: _Values | None, b: _Values | None) -> Change:
    scenario, figure = key
    if b is None:
        assert a is not None
        return Change(scenario, figure, a.middle, None, 0.0, "only in A", "")
    if a is None:
        return Change(scenario, figure, None, b.middle, 0.0, "only in B", "")
    noise = _noise_share(a, b)
    difference = b.middle - a.middle
    if abs(difference) <= noise * abs(a.middle):
        return Change(scenario, figure, a.middle, b.middle, noise, "within noise", "")
    wanted = better(figure.removesuffix(_RATIO))
    judgement: Judgement = ""
    if wanted is not None:
        judgement = "better" if (difference > 0) == (wanted == "more") else "worse"
    return Change(scenario, figure, a.middle, b.middle, noise, "moved", judgement)


def _noise_share(a: _Values, b: _Values) -> float:
    """Half of what the runs of each side differ by, both together, as a share of A's median: where medians
    are no further apart than that, the ranges of the runs overlap or nearly do."""
    if min(len(a.runs), len(b.runs)) < RUNS_MIN:
        return NOISE_SHARE_UNKNOWN
    if not a.middle:
        return NOISE_SHARE
    ranges = sum(max(one.runs) - min(one.runs) for one in (a, b))
    return max(NOISE_SHARE, ranges / 2 / abs(a.middle))


def show_changes(console: Console, changes: Sequence[Change]) -> None:
    """A table of them."""
    table = Table(title="What moved from A to B", title_justify="left")
    for title in ("scenario", "figure"):
        table.add_column(title, no_wrap=True)
    for title in ("A", "B", "change", "noise"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in changes:
        change = f"{one.b / one.a - 1:+.1%}" if one.a and one.b is not None else ""
        noise = f"±{one.noise_share:.0%}" if one.noise_share else ""
        said = f"{one.movement}: {one.judgement}" if one.judgement else one.movement
        style = {"better": "green", "worse": "red"}.get(one.judgement, "")
        sides = say_value(one.a), say_value(one.b)
        table.add_row(one.scenario, one.figure, *sides, change, noise, said, style=style)
    console.print(table)


def run_compare(a: Path, b: Path, *, other_machine: bool, fail_on_worse: bool) -> int:
    """Show what moved; 1 where something became worse and that is to fail. Raises `NotComparable`."""
    before, after = read_figures(a), read_figures(b)
    if not other_machine:
        check_machines(before, after)
    changes = compare(before, after)
    console = make_console()
    show_changes(console, changes)
    few = {one.name for one in (*before, *after) if len(one.runs) < RUNS_MIN}
    if few:
        console.print(
            f"Fewer than {RUNS_MIN} runs of {', '.join(sorted(few))}: what they differ by is not known, "
            f"and taken for {NOISE_SHARE_UNKNOWN:.0%}. `--repeat {RUNS_MIN}` or more tells.",
            soft_wrap=True,
        )
    worse = any(one.judgement == "worse" for one in changes)
    return 1 if worse and fail_on_worse else 0
