"""`callwheel forecast`: when a list will end."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from functools import partial

import trio

from api.answers import Forecast
from api.commands import Command
from api.commands.connection import add_connection_arguments, make_client
from api.commands.numbers import read_float
from api.commands.terminal import printable
from api.commands.wording import count, say_blocker, say_moment, say_pace

STATED = {
    "answer_rate": "share of calls that are answered, 0 to 1",
    "machine_rate": "share of those that machines answer, 0 to 1",
    "busy_rate": "share of calls that are busy, 0 to 1",
    "talk_s": "how long a call lasts from its answer on, seconds",
    "ring_s": "how long it rings until then, seconds",
}
"""What may be stated of a list's calls, and what it is."""


def add_arguments(parser: ArgumentParser) -> None:
    """Which list, and what is expected of its calls."""
    parser.add_argument("list", metavar="LIST", help="the list's id, as lst_…")
    for name, meaning in STATED.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=_share if name.endswith("_rate") else _not_negative,
            metavar="N",
            help=f"{meaning}; otherwise as the flow's calls were",
        )
    parser.add_argument("--json", action="store_true", help="print it as the API tells it, as JSON")
    add_connection_arguments(parser)


def print_forecast(args: Namespace) -> int:
    """Say when the list will end, and what holds it back."""
    stated = {name: value for name in STATED if (value := getattr(args, name)) is not None}
    client = make_client(args)
    if args.json:
        answer = trio.run(partial(client.get_forecast, args.list, **stated))
        print(printable(answer.decode().strip()))
        return 0
    told = trio.run(partial(client.forecast_list, args.list, **stated))
    print(printable(say_forecast(told)))
    return 0


def say_forecast(told: Forecast) -> str:
    """A forecast in some sentences."""
    if told.ends_at is not None and not told.contacts:
        return "Nobody of it is left to be called."
    if told.ends_at is None:
        said = ["No end is in sight."]
        if told.bottleneck is not None:
            said.append(f"What stands in the way: {say_blocker(told.bottleneck)}.")
    else:
        ends = say_moment(told.ends_at) + _say_range(told, told.ends_at)
        said = [f"It ends about {ends}, at {say_pace(told.calls_per_s)}."]
        if told.bottleneck is not None:
            without = told.without_bottleneck_at
            sooner = "" if without is None else say_moment(without, told.ends_at)
            more = f"; without that it would end about {sooner}" if sooner else ""
            said.append(f"What holds it back most: {say_blocker(told.bottleneck)}{more}.")
    if told.contacts:
        contacts, calls = count(told.contacts, "contact"), count(told.attempts, "call")
        said.append(f"Still to be called: {contacts}, in about {calls}.")
    return " ".join([*said, told.assumes])


def _say_range(told: Forecast, ends_at: str) -> str:
    if told.earliest_at is None:
        return ""
    earliest = say_moment(told.earliest_at, ends_at)
    if told.latest_at is None:
        return f" (not before {earliest})"
    return f" (between {earliest} and {say_moment(told.latest_at, ends_at)})"


def _not_negative(text: str) -> float:
    value = read_float(text)
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"a number from 0 on, not {text!r}")
    return value


def _share(text: str) -> float:
    value = read_float(text)
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"a number from 0 to 1, not {text!r}")
    return value


COMMAND = Command("forecast", "say when a list will end", add_arguments, print_forecast)
