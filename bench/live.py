"""How a run looks while it goes on: a display that renews itself, or plain lines where no terminal is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.recorder import Recorder
from bench.scenario import Show

REFRESH_PER_S: Final = 2.0
BAR_WIDTH: Final = 40
PROCESSES_SHOWN_MAX: Final = 12


class Display:
    """What is shown of all runs, one after the other."""

    def __init__(self, console: Console, runs: int) -> None:
        self._console = console
        self._runs = runs
        self._done = 0
        self._title = ""
        self._recorder: Recorder | None = None

    @contextmanager
    def over_run(self, title: str, summary: str, recorder: Recorder) -> Iterator[Show]:
        """Show one run for as long as the block lasts."""
        self._console.print(Text.assemble((title, "bold"), f" {summary}"))
        self._title, self._recorder = title, recorder
        show = Show(lambda line: self._console.print(f"  {line}"), recorder.note)
        if not self._console.is_terminal:
            yield show
        else:
            with Live(
                get_renderable=self.render,
                console=self._console,
                refresh_per_second=REFRESH_PER_S,
                transient=True,
            ):
                yield show
        self._done += 1

    def render(self) -> RenderableType:
        """The moment."""
        assert self._recorder is not None
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(self._title, style="bold"),
            ProgressBar(self._runs, self._done, width=BAR_WIDTH),
            f"{self._done} of {self._runs} done, {self._recorder.elapsed_s:.0f} s",
        )
        figures = Table("now", "", box=None, pad_edge=False)
        figures.columns[1].justify = "right"
        for name, value in self._recorder.latest.items():
            figures.add_row(name, f"{value:,.1f}")
        processes = Table("process", "cores", "MiB", box=None, pad_edge=False)
        for column in processes.columns[1:]:
            column.justify = "right"
        for name, cores, memory in self._recorder.running()[:PROCESSES_SHOWN_MAX]:
            processes.add_row(name, f"{cores:.2f}", f"{memory:,.0f}")
        beside = Table.grid(padding=(0, 6))
        beside.add_row(figures, processes)
        return Group(bar, beside)
