"""`callwheel sim`: the simulated carrier alone."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import trio

from api.commands import Command, CommandFailed
from api.commands.stopping import open_stoppable_nursery
from sim.carrier import Carrier, CarrierSettings
from sim.profile import BUILT_IN, ProfileError, load_profile


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
    trio.run(_simulate, carrier, args.profile)
    statistics = carrier.statistics()
    print(f"The simulated carrier has stopped after {statistics.invites} calls.", flush=True)
    return 0


async def _simulate(carrier: Carrier, profile: str) -> None:
    async with open_stoppable_nursery() as nursery:
        try:
            host, port = await nursery.start(carrier.run)
        except OSError as error:
            raise CommandFailed(f"the carrier cannot run: {error}.") from None
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        print(f"The simulated carrier takes calls at sip:{place} (profile {profile}).", flush=True)


COMMAND = Command("sim", "run a simulated carrier with callees", add_arguments, simulate)
