"""The command `callwheel`: finds the subcommand, runs it, and says in one sentence what went wrong."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout, suppress
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from typing import Final

from api.commands import REFUSED, USAGE, Command, CommandFailed

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
    "keys": "create, list, rotate and revoke keys of accounts",
    "webhooks": "listen to what a webhook would be sent",
    "config": "check a configuration",
    "flow": "check and draw definitions of flows",
}
"""The first words of commands that have two."""

EPILOG: Final = """\
`callwheel demo` shows it all on this machine; `callwheel COMMAND --help` says more of a command. Those that
ask a running engine find it, and their key, in CALLWHEEL_URL and CALLWHEEL_KEY, or as --url and --key.
"""

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
        prog="callwheel",
        description="An outbound-calling engine that a company runs itself.",
        epilog=EPILOG,
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
        own.set_defaults(command=command, parser=own)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code; what went wrong goes to standard error."""
    _require_command(arguments)
    args, unknown = make_parser(find_commands(arguments)).parse_known_args(arguments)
    if unknown:
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
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
        for text in dict.fromkeys(_say(cause, args) for cause in causes):
            print(f"callwheel {command.name}: {text}", file=sys.stderr)
        codes = [cause.exit_code for cause in causes if isinstance(cause, CommandFailed)]
        return codes[0] if codes else REFUSED


def _require_command(arguments: Sequence[str]) -> None:
    """Whoever names no command is shown those that there are, and whoever mistyped one is told which it may
    be. Raises `SystemExit`."""
    known, group = {name.split()[0] for name in COMMANDS}, ""
    words = list(arguments[:2])
    if words[:1] and words[0] in GROUPS:
        group = words.pop(0)
        known = {name.split()[1] for name in COMMANDS if name.split()[0] == group}
    if words and (words[0] in known or words[0].startswith("-")):
        return
    if not words:
        with redirect_stdout(sys.stderr), suppress(SystemExit):
            make_parser(find_commands([group])).parse_args([*arguments, "--help"])
        raise SystemExit(USAGE)
    asked = f"callwheel {group}".rstrip()
    near = get_close_matches(words[0], known, 1)
    hint = f"did you mean `{near[0]}`?" if near else f"`{asked} --help` names those that there are."
    print(f"usage: {asked} [-h] COMMAND ...", file=sys.stderr)
    print(f"{asked}: there is no command {words[0]!r}; {hint}", file=sys.stderr)
    raise SystemExit(USAGE)


def _say(error: BaseException, args: Namespace) -> str:
    """What went wrong, and where the command was told to ask, if that is what is wrong. It may repeat what
    others have written."""
    from api.commands.connection import explain
    from api.commands.terminal import printable

    lines = "\n  ".join(filter(None, (str(error), explain(error, args)))).split("\n")
    return "\n".join(map(printable, lines))


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
