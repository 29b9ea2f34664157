"""The command line: one module a command, each with a `COMMAND` that `api.__main__` names in its table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Final

from msgspec import Struct

REFUSED: Final = 1
"""Exit code where the command was understood and did not succeed."""
USAGE: Final = 2
"""Exit code where the command was not understood."""


class Command(Struct, frozen=True):
    """One command as the user types it."""

    name: str
    """One word, or two: `keys create`."""
    summary: str
    """One line for the list of commands."""
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]
    """Does it, and gives the exit code. Raises `CommandFailed` for what a user can mend."""


class CommandFailed(Exception):
    """The command cannot do what was asked; its text is a sentence for whoever asked."""

    def __init__(self, text: str, exit_code: int = REFUSED) -> None:
        super().__init__(text)
        self.exit_code = exit_code
