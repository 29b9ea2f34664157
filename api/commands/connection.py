"""Where the running engine is, and the key for it: the options of every command that talks to one."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Final

from api.client import CallwheelClient
from api.commands import USAGE, CommandFailed

DEFAULT_URL: Final = "http://127.0.0.1:8080"


def add_connection_arguments(parser: ArgumentParser) -> None:
    """`--url` and `--key`."""
    parser.add_argument(
        "--url", help=f"the running engine's address (CALLWHEEL_URL; else {DEFAULT_URL})"
    )
    parser.add_argument("--key", help="the key to ask with (CALLWHEEL_KEY)")


def make_client(args: Namespace, *other_variables: str) -> CallwheelClient:
    """A client from the options, else from the environment. Raises `CommandFailed` without a key.

    Args:
        other_variables: where a key may be if neither `--key` nor CALLWHEEL_KEY gives one.
    """
    url = args.url or os.environ.get("CALLWHEEL_URL") or DEFAULT_URL
    candidates = [args.key, *(os.environ.get(name) for name in ("CALLWHEEL_KEY", *other_variables))]
    key = next((candidate for candidate in candidates if candidate), None)
    if key is None:
        raise CommandFailed("a key is needed: give --key or set CALLWHEEL_KEY.", USAGE)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise CommandFailed("the key holds characters that no key has.", USAGE)
    return CallwheelClient(url, key)
