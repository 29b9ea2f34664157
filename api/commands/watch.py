"""`callwheel watch`: how a list goes on, until it has ended."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import trio

from api.answers import ListView
from api.client import CallwheelClient
from api.commands import Command
from api.commands.connection import add_connection_arguments, make_client
from api.commands.live import follow_to_end
from api.commands.terminal import make_console, printable


def add_arguments(parser: ArgumentParser) -> None:
    """Which list."""
    parser.add_argument("list", metavar="LIST", help="the list's id, as lst_…")
    add_connection_arguments(parser)


def watch(args: Namespace) -> int:
    """Show live progress, then how it ended; 1 for a list of which nothing was taken."""
    view = trio.run(_watch, make_client(args), args.list)
    dispositions = ", ".join(
        f"{count} {printable(name)}" for name, count in sorted(view.dispositions.items())
    )
    print(f"{printable(view.name)} is {view.status}: {dispositions or 'nobody was called'}.")
    return 1 if view.status == "rejected" else 0


async def _watch(client: CallwheelClient, call_list: str) -> ListView:
    view = await client.get_list(call_list)
    if view.has_ended:
        return view
    await follow_to_end(client, view, make_console())
    return await client.get_list(call_list)


COMMAND = Command("watch", "show a list's live progress until it ends", add_arguments, watch)
