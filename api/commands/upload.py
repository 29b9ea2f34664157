"""`callwheel upload`: hand a call list to a flow, and see what was taken of it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

import trio
from rich.console import Console

from api.answers import ListView, Preflight
from api.commands import Command, CommandFailed
from api.commands.connection import add_connection_arguments, make_client
from api.commands.forecast import say_forecast
from api.commands.terminal import make_console, make_row_table, printable
from api.commands.wording import count
from engine.model import PRIORITIES

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Far above what an engine takes: it is the engine that says what is too much."""


def add_arguments(parser: ArgumentParser) -> None:
    """Which file to which flow."""
    parser.add_argument("flow", metavar="FLOW", help="the flow's id, as flw_…")
    parser.add_argument("file", metavar="FILE", type=Path, help="a call list: .csv, .xlsx or .zip")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be taken, and call nobody"
    )
    parser.add_argument(
        "--again", action="store_true", help="take a file that the flow took a short while ago"
    )
    parser.add_argument(
        "--strict", action="store_true", help="take nothing of a file that has a bad row"
    )
    parser.add_argument(
        "--priority", choices=PRIORITIES, help="of the list's calls; else the flow's"
    )
    parser.add_argument(
        "--sheet", metavar="NAME", help="of a workbook; else the first that is not hidden"
    )
    add_connection_arguments(parser)


def upload(args: Namespace) -> int:
    """Send the file and show the report; 1 where nothing of it was taken."""
    client = make_client(args)
    content = _read(args.file)
    wanted = {"dry_run": args.dry_run, "again": args.again, "strict": args.strict}
    said = {"priority": args.priority, "sheet": args.sheet}
    query = {name: "true" for name, is_wanted in wanted.items() if is_wanted}
    query |= {name: text for name, text in said.items() if text is not None}

    async def send() -> ListView:
        return await client.upload_list(args.flow, args.file.name, content, query=query)

    view = trio.run(send)
    show_report(make_console(), view)
    if view.report.accepted == 0:
        return 1
    print("Nobody is called: this was a dry run." if args.dry_run else f"List {view.id}")
    return 0


def show_report(console: Console, view: ListView) -> None:
    """What was taken and what was not, with the reasons."""
    report = view.report
    console.print(
        f"{printable(view.name)}: {count(report.rows, 'row')}, {report.accepted:,} accepted,"
        f" {report.rejected:,} rejected."
    )
    if report.errors:
        console.print(make_row_table("What was not taken", report.errors, report.rejected))
    if report.warnings:
        console.print(make_row_table("Warnings", report.warnings, 0))
    if view.preflight is not None:
        _show_preflight(console, view.preflight)


def _show_preflight(console: Console, preflight: Preflight) -> None:
    """What the list would come to."""
    countries = ", ".join(f"{name} {some:,}" for name, some in preflight.countries.items())
    told = f": {printable(countries)}" if countries else ""
    console.print(f"{count(preflight.numbers, 'number')}{told}.")
    hits = preflight.do_not_call
    if hits.numbers:
        are = "is" if hits.numbers == 1 else "are"
        have = "has" if hits.contacts == 1 else "have"
        console.print(
            f"Of these, {hits.numbers:,} {are} on the do-not-call list;"
            f" {count(hits.contacts, 'contact')} {have} no other."
        )
    if preflight.forecast is not None:
        console.print(printable(say_forecast(preflight.forecast)))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > FILE_BYTES_MAX:
        raise CommandFailed(f"{path} is larger than {FILE_BYTES_MAX} bytes (file_too_large).")
    return content


COMMAND = Command("upload", "upload a call list to a flow", add_arguments, upload)
