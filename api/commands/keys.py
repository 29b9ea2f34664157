"""`callwheel keys …`: keys of accounts, made, listed, replaced and ended by the running engine."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Final, get_args

import trio

from api.answers import KeyView
from api.client import CallwheelClient
from api.commands import Command
from api.commands.connection import add_connection_arguments, make_client
from api.commands.numbers import read_float
from api.commands.terminal import printable, say
from api.commands.wording import say_moment
from engine.control.keys import LIFE_S_MAX, OVERLAP_S, OVERLAP_S_MAX
from engine.model import Scope

ROLES: Final = ("owner", "operator", "viewer")
SCOPES: Final[tuple[str, ...]] = get_args(Scope)
DAY_S: Final = 86_400
HOUR_S: Final = 3600


def add_create_arguments(parser: ArgumentParser) -> None:
    """Whose key, and what it may do."""
    parser.add_argument("--account", required=True, metavar="NAME", help="the account's name or id")
    parser.add_argument("--role", required=True, choices=ROLES, help="what the key may do")
    parser.add_argument("--name", default="", help="what you call it")
    parser.add_argument(
        "--scope",
        action="append",
        default=[],
        choices=SCOPES,
        dest="scopes",
        metavar="PART",
        help="a part of the API that it is for; may be given several times (all). There are: "
        + ", ".join(SCOPES),
    )
    parser.add_argument(
        "--expires",
        type=_days,
        metavar="DAYS",
        help=f"for how long it is good, up to {LIFE_S_MAX // DAY_S} days (for good)",
    )
    add_connection_arguments(parser)


def add_list_arguments(parser: ArgumentParser) -> None:
    """Only who asks."""
    add_connection_arguments(parser)


def add_rotate_arguments(parser: ArgumentParser) -> None:
    """Which key, and for how long both are good."""
    parser.add_argument("id", help="the key's id, as `callwheel keys list` shows it")
    parser.add_argument(
        "--overlap",
        type=_hours,
        default=OVERLAP_S / HOUR_S,
        metavar="HOURS",
        help=f"how long the old one stays good, up to {OVERLAP_S_MAX // HOUR_S} (%(default)g)",
    )
    add_connection_arguments(parser)


def add_revoke_arguments(parser: ArgumentParser) -> None:
    """Which key."""
    parser.add_argument("id", help="the key's id, as `callwheel keys list` shows it")
    add_connection_arguments(parser)


def create_key(args: Namespace) -> int:
    """Print the key alone on standard output, so that a script can take it."""
    client = _client(args)

    async def create() -> KeyView:
        expires_in_s = None if args.expires is None else args.expires * DAY_S
        return await client.create_key(
            args.account, args.role, name=args.name, scopes=args.scopes, expires_in_s=expires_in_s
        )

    made = trio.run(create)
    say(f"A key of {args.account} as {made.role} ({made.id}). It is shown this once; keep it.")
    print(made.key)
    return 0


def list_keys(args: Namespace) -> int:
    """A key a line: id, account, role, state, last use, scopes and name, with tabs between."""
    keys = trio.run(_client(args).list_keys)
    if not keys:
        say("There are no keys.")
    for key in keys:
        fields = (
            key.id,
            key.account or "-",
            key.role,
            _describe_state(key),
            f"used {say_moment(key.last_used_at)}" if key.last_used_at else "never used",
            ",".join(key.scopes) or "all",
            printable(key.name),
        )
        print("\t".join(fields))
    return 0


def rotate_key(args: Namespace) -> int:
    """Print the new key alone on standard output, as `create_key`."""
    made = trio.run(_client(args).rotate_key, args.id, args.overlap * HOUR_S)
    hours = "1 hour" if args.overlap == 1 else f"{args.overlap:g} hours"
    say(
        f"{made.id} is there in the place of {args.id}, which stays good for {hours}. "
        "It is shown this once; keep it."
    )
    print(made.key)
    return 0


def revoke_key(args: Namespace) -> int:
    """End a key at once."""
    trio.run(_client(args).revoke_key, args.id)
    say(f"{args.id} is no key any more.")
    return 0


def _days(text: str) -> float:
    value, most = read_float(text), LIFE_S_MAX // DAY_S
    if not 0 < value <= most:
        raise ArgumentTypeError(f"more than 0 and at most {most} days, not {text!r}")
    return value


def _hours(text: str) -> float:
    value, most = read_float(text), OVERLAP_S_MAX // HOUR_S
    if not 0 <= value <= most:
        raise ArgumentTypeError(f"0 to {most} hours, not {text!r}")
    return value


def _client(args: Namespace) -> CallwheelClient:
    return make_client(args, "CALLWHEEL_ADMIN_KEY")


def _describe_state(key: KeyView) -> str:
    if key.revoked_at:
        return f"revoked {say_moment(key.revoked_at)}"
    return f"good until {say_moment(key.expires_at)}" if key.expires_at else "good"


COMMAND = Command("keys create", "make a key and print it once", add_create_arguments, create_key)
LIST = Command("keys list", "show the keys that there are", add_list_arguments, list_keys)
ROTATE = Command("keys rotate", "replace a key by a new one", add_rotate_arguments, rotate_key)
REVOKE = Command("keys revoke", "end a key at once", add_revoke_arguments, revoke_key)
