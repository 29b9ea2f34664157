"""`callwheel trace`: what one attempt said on the wire, to be read or to be opened in Wireshark."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path
from typing import Final

import trio

from api.commands import Command, CommandFailed
from api.commands.connection import add_connection_arguments, make_client
from api.commands.terminal import printable, say
from api.commands.wording import count

STANDARD_OUTPUT: Final = "-"
"""The file name that stands for standard output."""


def add_arguments(parser: ArgumentParser) -> None:
    """Which attempt, and in which form."""
    parser.add_argument("attempt", metavar="ATTEMPT", help="the attempt's id, as att_…")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--full", action="store_true", help="show every message in full, too")
    forms.add_argument(
        "--pcap", metavar="FILE", help="write a capture for Wireshark there; - is standard output"
    )
    parser.add_argument(
        "--force", action="store_true", help="write over a FILE that is there already"
    )
    add_connection_arguments(parser)


def show_trace(args: Namespace) -> int:
    """Print the ladder, or write the capture."""
    client = make_client(args)
    if args.pcap is not None:
        capture = trio.run(client.get_capture, args.attempt)
        _write_capture(args.pcap, capture, "wb" if args.force else "xb")
        return 0
    query = {"full": "true"} if args.full else {}
    ladder = trio.run(partial(client.get_ladder, args.attempt, query=query))
    lines = "".join(f"{printable(line)}\n" for line in ladder.rstrip("\n").split("\n"))
    _write_out(lines.encode())
    return 0


def _write_capture(name: str, capture: bytes, mode: str) -> None:
    if name == STANDARD_OUTPUT:
        _write_out(capture)
        return
    try:
        with Path(name).open(mode) as file:
            file.write(capture)
    except FileExistsError:
        raise CommandFailed(f"{name} is there already; --force writes over it.") from None
    except OSError as error:
        raise CommandFailed(f"{name} cannot be written: {error.strerror}.") from None
    say(f"{name}: {count(len(capture), 'byte')}.")


def _write_out(content: bytes) -> None:
    """To standard output as it is, whatever the terminal's encoding."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


COMMAND = Command("trace", "show what an attempt said on the wire", add_arguments, show_trace)
