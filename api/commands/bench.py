"""`callwheel bench`: the load scenarios of `bench/`."""

from __future__ import annotations

import importlib
from argparse import ArgumentParser, Namespace
from pathlib import Path

from api.commands import USAGE, Command, CommandFailed


def add_arguments(parser: ArgumentParser) -> None:
    """Which scenarios, how large, and where to write."""
    parser.add_argument("names", metavar="NAME", nargs="*", help="scenarios; none runs all")
    parser.add_argument("--list", action="store_true", help="name the scenarios and run none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as JSON")
    parser.add_argument("--full", action="store_true", help="the full size, not the quick one")


def run_bench(args: Namespace) -> int:
    """Run the scenarios that are named, in the order of the table."""
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
    names = [name for name in known if not args.names or name in args.names]
    size = "full" if args.full else "quick"
    code: int = scenarios.run_scenarios(names, size=size, json_file=args.json)
    return code


COMMAND = Command("bench", "run load scenarios", add_arguments, run_bench)
