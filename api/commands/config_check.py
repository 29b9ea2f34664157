"""`callwheel config check`: every mistake of a configuration at once, each with its place."""

from __future__ import annotations

from argparse import Namespace

from api.commands import Command
from api.commands.config_file import add_config_argument, load_config
from api.config import Config, Trunk


def check_config(args: Namespace) -> int:
    """Read the configuration as `serve` would, and say what to expect of it."""
    config = load_config(args.config)
    print(f"{args.config or 'The default configuration'}: no mistakes.")
    for note in describe_config(config):
        print(f"  {note}")
    return 0


def describe_config(config: Config) -> list[str]:
    """What an operator may want to know before starting with it."""
    notes = [f"The API and the console will be at {config.http.bind}, SIP at {config.sip.bind}."]
    if not config.trunks:
        notes.append("There is no trunk: triggers will wait, with the blocker no_trunk.")
    if config.limits.destinations:
        notes.append(f"Numbers under {', '.join(config.limits.destinations)} may be called.")
    else:
        notes.append("limits.destinations is empty: every number will be refused.")
    return notes + [_warn_of_keys(trunk) for trunk in config.trunks if _shows_keys(trunk)]


def _shows_keys(trunk: Trunk) -> bool:
    return trunk.srtp != "off" and trunk.uri.transport != "tls"


def _warn_of_keys(trunk: Trunk) -> str:
    """SDES protects as much as the signalling that carries its keys does (RFC 4568 §1)."""
    return (
        f"Warning: trunk {trunk.name!r} has srtp = {trunk.srtp!r}, and its signalling is not encrypted:"
        " whoever reads that has the keys of the sound too. Put ;transport=tls into its uri."
    )


COMMAND = Command(
    "config check", "say every mistake of a configuration", add_config_argument, check_config
)
