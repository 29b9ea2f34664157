"""`callwheel serve`: the engine, until it is told to stop."""

from __future__ import annotations

import errno
from argparse import Namespace
from typing import Final

import trio

from api.commands import Command, CommandFailed
from api.commands.config_file import add_config_argument, load_config
from api.commands.logs import write_logs_to_stderr
from api.commands.stopping import stop_on_signal
from api.config import Config

READY: Final = "Callwheel is up."
"""The line that says so, after those with the addresses."""


def serve(args: Namespace) -> int:
    """Run the engine; 0 when it was stopped in good order."""
    config = load_config(args.config)
    write_logs_to_stderr()
    trio.run(_serve, config)
    print("Callwheel has stopped.", flush=True)
    return 0


async def _serve(config: Config) -> None:
    # Imported here because it brings in the whole engine, which no other command needs.
    from api.compose import CannotStart, Started, run_engine

    async with trio.open_nursery() as nursery:

        def stop() -> None:
            print(f"Stopping: calls that are up have {config.drain_s:g} s to end.", flush=True)
            nursery.cancel_scope.cancel()

        async def run(task_status: trio.TaskStatus[Started]) -> None:
            try:
                await run_engine(config, task_status=task_status)
            except* (CannotStart, OSError) as errors:
                raise CommandFailed(f"the engine cannot run: {_say(errors, config)}") from errors
            # It serves until it is cancelled: if it came to an end by itself, so do we.
            nursery.cancel_scope.cancel()

        await nursery.start(stop_on_signal, stop)
        started = await nursery.start(run)
        print(f"  API and console    {started.http_url}")
        print(f"  SIP                {started.sip_address}")
        if started.admin_key is not None:
            print(f"  administrator key  {started.admin_key}   (shown this once; keep it)")
        print(READY, flush=True)


def _say(errors: BaseExceptionGroup[Exception], config: Config) -> str:
    """The first of them in its own words, or the system's."""
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if not isinstance(first, OSError) or not first.strerror:
        return str(first)
    place = first.filename
    if first.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
        # The system does not say which of the two it means.
        place = f"http.bind {config.http.bind} or sip.bind {config.sip.bind}"
    return f"{first.strerror} ({place})." if place else f"{first.strerror}."


COMMAND = Command("serve", "run the engine", add_config_argument, serve)
