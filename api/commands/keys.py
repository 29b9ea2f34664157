"""`callwheel keys create`: a key of an account, made by the running engine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import trio

from api.commands import Command
from api.commands.connection import add_connection_arguments, make_client
from api.commands.terminal import say

ROLES = ("owner", "operator", "viewer")


def add_arguments(parser: ArgumentParser) -> None:
    """Whose key, and what it may do."""
    parser.add_argument("--account", required=True, metavar="NAME", help="the account's name or id")
    parser.add_argument("--role", required=True, choices=ROLES, help="what the key may do")
    add_connection_arguments(parser)


def create_key(args: Namespace) -> int:
    """Print the key alone on standard output, so that a script can take it."""
    client = make_client(args, "CALLWHEEL_ADMIN_KEY")
    made = trio.run(client.create_key, args.account, args.role)
    say(f"A key of {args.account} as {made.role} ({made.id}). It is shown this once; keep it.")
    print(made.key)
    return 0


COMMAND = Command("keys create", "make a key and print it once", add_arguments, create_key)
