"""The command `callwheel`: finds the subcommand, runs it, and says in one sentence what went wrong."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Final

from api.commands import REFUSED, Command, CommandFailed

COMMANDS: Final = {
    "serve": "serve:COMMAND",
    "demo": "demo:COMMAND",
    "sim": "sim:COMMAND",
    "upload": "upload:COMMAND",
    "watch": "watch:COMMAND",
    "forecast": "forecast:COMMAND",
    "results": "results:COMMAND",
    "trace": "trace:COMMAND",
    "keys create": "keys:COMMAND",
    "keys list": "keys:LIST",
    "keys rotate": "keys:ROTATE",
    "keys revoke": "keys:REVOKE",
    "webhooks listen": "webhooks:COMMAND",
    "flow check": "flow:CHECK",
    "flow draw": "flow:DRAW",
    "config check": "config_check:COMMAND",
    "backup": "backup:COMMAND",
    "restore": "backup:RESTORE",
    "bench": "bench:COMMAND",
}
"""Each command, and where in `api.commands` it is. Only the one that is asked for is imported: all of them
take seconds, and each worker process imports this module once more."""

GROUPS: Final = {
    "keys": "keys of accounts",
    "webhooks": "webhooks of flows",
    "config": "the configuration",
    "flow": "definitions of flows",
}
"""The first words of commands that have two."""

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it."""


def find_commands(arguments: Sequence[str]) -> list[Command]:
    """The command that these words begin with; all of them where there is none, for whoever asks what
    there is."""
    asked = [name for name in COMMANDS if name.split() == list(arguments[: len(name.split())])]
    return [_load(name) for name in asked or COMMANDS]


def _load(name: str) -> Command:
    module, _, variable = COMMANDS[name].partition(":")
    command: Command = getattr(import_module(f"api.commands.{module}"), variable)
    assert command.name == name
    return command


def make_parser(commands: Iterable[Command]) -> ArgumentParser:
    """The parser of the whole command line; what it finds is under `command` in its namespace."""
    parser = ArgumentParser(
        prog="callwheel", description="An outbound-calling engine that a company runs itself."
    )
    parser.add_argument("--version", action="version", version=f"callwheel {version('callwheel')}")
    top = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups = {}
    for command in commands:
        group, _, word = command.name.rpartition(" ")
        if group and group not in groups:
            owner = top.add_parser(group, help=GROUPS[group], description=GROUPS[group])
            groups[group] = owner.add_subparsers(title="commands", metavar="COMMAND", required=True)
        where = groups[group] if group else top
        own = where.add_parser(word, help=command.summary, description=command.summary)
        command.add_arguments(own)
        own.set_defaults(command=command)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code; what went wrong goes to standard error."""
    args = make_parser(find_commands(arguments)).parse_args(arguments)
    command: Command = args.command
    try:
        return command.run(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough of it; nothing more can be said there.
        sys.stderr.close()
        return REFUSED
    except Exception as error:
        causes = _causes_of(error)
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
            return INTERRUPTED
        if not all(isinstance(cause, _find_told()) for cause in causes):
            raise
        for text in dict.fromkeys(str(cause) for cause in causes):
            print(f"callwheel {command.name}: {text}", file=sys.stderr)
        codes = [cause.exit_code for cause in causes if isinstance(cause, CommandFailed)]
        return codes[0] if codes else REFUSED


def _find_told() -> tuple[type[Exception], ...]:
    """The errors whose text is for whoever asked. Those of the client are looked for only when something
    went wrong: what it needs takes a while to import."""
    from adapters.http_client import HttpFailed
    from api.answers import ApiError

    return CommandFailed, ApiError, HttpFailed


def _causes_of(error: BaseException) -> list[BaseException]:
    """The error itself, or what nurseries wrapped into it."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [cause for inner in error.exceptions for cause in _causes_of(inner)]


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
