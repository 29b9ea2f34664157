"""`callwheel bench`: the load scenarios of `bench/`, and what moved between two files of their figures."""

from __future__ import annotations

import importlib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from api.commands import USAGE, Command, CommandFailed

COMPARE: Final = "compare"
"""As the first name it is followed by two files."""
REPEAT_MAX: Final = 100


def add_arguments(parser: ArgumentParser) -> None:
    """Which scenarios, how large, and where to write."""
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        help=f"scenarios; none runs all. `{COMPARE} A.json B.json` says what moved between two files",
    )
    parser.add_argument("--list", action="store_true", help="name the scenarios and run none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots there")
    parser.add_argument("--full", action="store_true", help="the full size, not the quick one")
    parser.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="run each so often; the median counts"
    )
    parser.add_argument(
        "--fail-on-worse",
        action="store_true",
        help=f"with {COMPARE}: exit code 1 where a figure became worse",
    )
    parser.add_argument(
        "--other-machine",
        action="store_true",
        help=f"with {COMPARE}: compare files of machines that differ",
    )


def run_bench(args: Namespace) -> int:
    """Run the scenarios that are named, in the order of the table, or compare two files."""
    if args.names[:1] == [COMPARE]:
        return _compare(args)
    if args.fail_on_worse or args.other_machine:
        raise CommandFailed(f"--fail-on-worse and --other-machine are for {COMPARE}.", USAGE)
    # By name, because `bench` stands above `api`: it may know us, we may not know it. This command is
    # only a door to it.
    scenarios = importlib.import_module("bench.run")
    known = tuple(scenarios.SCENARIOS)
    if args.list:
        for name in known:
            print(f"{name:<12} {scenarios.SCENARIOS[name].summary}")
        return 0
    unknown = [name for name in args.names if name not in known]
    if unknown:
        raise CommandFailed(
            f"there is no scenario {', '.join(unknown)}; there are {', '.join(known)}.", USAGE
        )
    if not 1 <= args.repeat <= REPEAT_MAX:
        raise CommandFailed(f"--repeat takes 1 to {REPEAT_MAX}.", USAGE)
    _make_folders(file for file in (args.json, args.html) if file is not None)
    names = [name for name in known if not args.names or name in args.names]
    size = "full" if args.full else "quick"
    code: int = scenarios.run_scenarios(
        names, size=size, json_file=args.json, html_file=args.html, repeat=args.repeat
    )
    return code


def _make_folders(files: Iterable[Path]) -> None:
    """Make the folders of files that will be written: a run of half an hour is not to end in an error."""
    for file in files:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.open("ab").close()
        except OSError as error:
            raise CommandFailed(f"{file} cannot be written: {error.strerror}.") from error


def _compare(args: Namespace) -> int:
    files: Sequence[str] = args.names[1:]
    if len(files) != 2:
        raise CommandFailed(f"{COMPARE} takes two files, A.json and B.json.", USAGE)
    if args.list or args.full or args.json or args.html or args.repeat != 1:
        raise CommandFailed(f"{COMPARE} runs nothing and writes nothing.", USAGE)
    comparing = importlib.import_module("bench.compare")
    try:
        code: int = comparing.run_compare(
            Path(files[0]),
            Path(files[1]),
            other_machine=args.other_machine,
            fail_on_worse=args.fail_on_worse,
        )
    except comparing.NotComparable as error:
        raise CommandFailed(str(error)) from error
    return code


COMMAND = Command("bench", "run load scenarios", add_arguments, run_bench)
