"""`callwheel sim`: the simulated carrier alone; `callwheel sim world`: the engine in a virtual world."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

import trio

from api.commands import REFUSED, Command, CommandFailed
from api.commands.stopping import open_stoppable_nursery
from api.commands.wording import count
from sim.carrier import Carrier, CarrierSettings
from sim.profile import BUILT_IN, ProfileError, load_profile
from sim.world.judge import judge
from sim.world.plan import draw_plan
from sim.world.report import report
from sim.world.run import run_plan

HOURS_MAX = 24 * 31
"""Of one run of the simulated world."""
CONTACTS_MAX = 10_000_000
"""Of one run: already these are hours of computing."""


def add_arguments(parser: ArgumentParser) -> None:
    """Where it listens and how its callees behave."""
    parser.add_argument(
        "--bind",
        default="127.0.0.1:5070",
        metavar="HOST:PORT",
        help="where it takes SIP over UDP; port 0 takes a free one (%(default)s)",
    )
    parser.add_argument(
        "--profile",
        default="default",
        metavar="NAME|FILE",
        help=f"what callees do: {', '.join(sorted(BUILT_IN))}, or a TOML file (%(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="repeats a run call by call (%(default)s)"
    )
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="append a line of JSON for each call"
    )
    further = parser.add_subparsers(title="commands", metavar="COMMAND")
    world = further.add_parser("world", help=WORLD.summary, description=WORLD.summary)
    WORLD.add_arguments(world)
    world.set_defaults(command=WORLD, parser=world)


def simulate(args: Namespace) -> int:
    """Run the carrier until it is told to stop, then say what it saw."""
    try:
        settings = CarrierSettings(
            bind=args.bind,
            profile=load_profile(args.profile),
            seed=args.seed,
            log_path=args.log,
        )
        carrier = Carrier(settings)
    except (ProfileError, ValueError) as error:
        raise CommandFailed(f"{error}.") from None
    trio.run(_simulate, carrier, args.bind, args.profile)
    statistics = carrier.statistics()
    calls = count(statistics.invites, "call")
    print(f"The simulated carrier has stopped after {calls}.", flush=True)
    return 0


async def _simulate(carrier: Carrier, bind: str, profile: str) -> None:
    async with open_stoppable_nursery() as nursery:
        try:
            host, port = await nursery.start(carrier.run)
        except OSError as error:
            place = f" ({error.filename})" if error.filename else f" ({bind}); --bind names another"
            said = f"the carrier cannot run: {error.strerror or error}{place}."
            raise CommandFailed(said) from None
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        print(f"The simulated carrier takes calls at sip:{place} (profile {profile}).", flush=True)


def add_world_arguments(parser: ArgumentParser) -> None:
    """Which run of the simulated world, and how large."""
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the run to repeat (%(default)s)"
    )
    parser.add_argument(
        "--contacts", type=_positive, metavar="N", help="how many people are called (drawn)"
    )
    parser.add_argument(
        "--hours", type=float, metavar="H", help="how long it goes on at the most (drawn)"
    )


def simulate_world(args: Namespace) -> int:
    """Let a run of the world happen, and judge it."""
    if args.hours is not None and not 0 < args.hours <= HOURS_MAX:
        raise CommandFailed(f"--hours is more than 0 and at most {HOURS_MAX}.")
    run = run_plan(draw_plan(args.seed, args.contacts, args.hours))
    breaches = judge(run)
    print(report(run, breaches), flush=True)
    return REFUSED if breaches else 0


def _positive(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value < 1:
        raise ArgumentTypeError(f"a whole number from 1 on, not {text!r}")
    if value > CONTACTS_MAX:
        raise ArgumentTypeError(f"at most {CONTACTS_MAX:,}, not {text!r}")
    return value


WORLD = Command(
    "sim world",
    "run the engine in a virtual world and judge it",
    add_world_arguments,
    simulate_world,
)
COMMAND = Command("sim", "run a simulated carrier with callees", add_arguments, simulate)
