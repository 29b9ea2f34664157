"""Progress as a person sees it: a display that renews itself, or a line a second where there is no
terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from adapters.http_client import HttpFailed
from api.answers import ListView
from api.client import CallwheelClient
from api.commands.progress import Progress
from api.commands.terminal import printable

FRAME_S: Final = 0.25
"""How often the display is renewed."""
LINE_S: Final = 1.0
"""How often a line is written where there is no terminal."""
ADOPT_S: Final = 5.0
"""How often the engine's own count is asked for."""
DIDS_SHOWN_MAX: Final = 12
BAR_WIDTH: Final = 48


async def follow_to_end(client: CallwheelClient, view: ListView, console: Console) -> Progress:
    """Show how a list goes on until it has ended. Raises `ApiError` and `HttpFailed`.

    Args:
        view: the list as it was a moment ago.
    """
    progress = Progress(view.counts.contacts)
    progress.adopt(view)
    async with client.follow(view.id, since=0) as events, trio.open_nursery() as nursery:
        nursery.start_soon(_show, console, progress, printable(view.name))
        nursery.start_soon(_adopt, client, view.id, progress, nursery.cancel_scope.cancel)
        async for event in events:
            progress.take(event)
            if progress.has_ended:
                break
        nursery.cancel_scope.cancel()
    return progress


async def _adopt(
    client: CallwheelClient, call_list: str, progress: Progress, stop: Callable[[], None]
) -> None:
    """Ask for the engine's own count now and then: it ends the wait even if an event is gone."""
    while True:
        await trio.sleep(ADOPT_S)
        try:
            progress.adopt(await client.get_list(call_list))
        except HttpFailed:
            # The feed itself seeks the engine again, and gives up when it is gone for good.
            continue
        if progress.has_ended:
            stop()


async def _show(console: Console, progress: Progress, title: str) -> None:
    if not console.is_terminal:
        await _write_lines(console, progress)
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                live.update(make_display(progress, title), refresh=True)
                await trio.sleep(FRAME_S)
        finally:
            live.update(make_display(progress, title), refresh=True)


async def _write_lines(console: Console, progress: Progress) -> None:
    """A line a second where something has changed, and one at the end."""
    shown = ""
    try:
        while True:
            await trio.sleep(LINE_S)
            if (line := make_line(progress)) != shown:
                console.print(line, soft_wrap=True)
                shown = line
    finally:
        if (line := make_line(progress)) != shown:
            console.print(line, soft_wrap=True)


def make_line(progress: Progress) -> str:
    """All of it in one line of text."""
    dispositions = " ".join(f"{name}={count}" for name, count in _ordered(progress))
    pace = sum(pace.now for pace in progress.paces())
    return (
        f"{progress.completed}/{progress.contacts} done, {progress.calls_up} up,"
        f" {progress.calls_dialing} dialing, {pace} calls/s, {progress.elapsed_s:.0f} s"
        + (f" | {dispositions}" if dispositions else "")
        + (f" | waits: {waits}" if (waits := say_waits(progress)) else "")
    )


def say_waits(progress: Progress) -> str:
    """What the contacts wait for, where no call goes on; empty otherwise."""
    if progress.has_ended or progress.calls_up or progress.calls_dialing:
        return ""
    most_first = sorted(progress.waits.items(), key=lambda item: (-item[1], item[0]))
    return " ".join(f"{printable(code)}={count}" for code, count in most_first)


def make_display(progress: Progress, title: str) -> RenderableType:
    """All of it as a block of a few lines."""
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        Text(title, style="bold"),
        ProgressBar(max(1, progress.contacts), progress.completed, width=BAR_WIDTH),
        f"{progress.completed} of {progress.contacts}",
    )
    left = "…" if progress.left_s is None else say_duration(progress.left_s)
    figures = Text.assemble(
        (f"{progress.calls_up}", "bold green"),
        " call up   " if progress.calls_up == 1 else " calls up   ",
        (f"{progress.calls_dialing}", "bold"),
        " dialing   ",
        (f"{progress.attempts}", "bold"),
        f" attempt{'' if progress.attempts == 1 else 's'}   ",
        f"{say_duration(progress.elapsed_s)} gone   {left} left",
    )
    waits = say_waits(progress)
    tables = [_make_dispositions(progress), _make_paces(progress)]
    why = [Text(f"waits: {waits}")] if waits else []
    return Group(bar, figures, *why, "", Columns(tables, padding=(0, 6)))


def say_duration(seconds: float) -> str:
    """`7 s`, `2:05 min`, `1:02:05 h`."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    if whole < 60:
        return f"{whole} s"
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"


def _make_dispositions(progress: Progress) -> Table:
    table = Table("disposition", "contacts", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for name, count in _ordered(progress):
        table.add_row(printable(name), str(count))
    return table


def _make_paces(progress: Progress) -> Table:
    table = Table("from", "calls/s", "calls", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    paces = progress.paces()
    for pace in paces[:DIDS_SHOWN_MAX]:
        table.add_row(printable(pace.did), str(pace.now), str(pace.total))
    if len(paces) > DIDS_SHOWN_MAX:
        table.add_row(f"… and {len(paces) - DIDS_SHOWN_MAX} more", "", "")
    return table


def _ordered(progress: Progress) -> list[tuple[str, int]]:
    """Dispositions, the most frequent first."""
    return sorted(progress.dispositions.items(), key=lambda item: (-item[1], item[0]))
