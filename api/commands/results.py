"""`callwheel results`: what became of a list, as CSV."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import trio

from api.commands import Command, CommandFailed
from api.commands.connection import add_connection_arguments, make_client
from api.commands.terminal import say
from api.commands.wording import count


def add_arguments(parser: ArgumentParser) -> None:
    """Which list, and where to."""
    parser.add_argument("list", metavar="LIST", help="the list's id, as lst_…")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write there, not to the terminal"
    )
    add_connection_arguments(parser)


def print_results(args: Namespace) -> int:
    """Write results.csv byte for byte as the engine gives it."""
    content = trio.run(make_client(args).get_results, args.list)
    if args.output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return 0
    try:
        args.output.write_bytes(content)
    except OSError as error:
        raise CommandFailed(f"{args.output} cannot be written: {error.strerror}.") from None
    say(f"{args.output}: {count(len(content), 'byte')}.")
    return 0


COMMAND = Command("results", "print what became of a list, as CSV", add_arguments, print_results)
