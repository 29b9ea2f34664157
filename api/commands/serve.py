"""`callwheel serve`: the engine, until it is told to stop."""

from __future__ import annotations

import errno
import gc
import os
import socket
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio

from api.commands import Command, CommandFailed
from api.commands.config_file import add_config_argument, load_config
from api.commands.garbage import spare_what_stays
from api.commands.logs import write_logs_to_stderr
from api.commands.stopping import open_stoppable_nursery
from api.config import Config
from api.config.keys import Address

if TYPE_CHECKING:
    from api.compose import Started

log = structlog.get_logger(__name__)

PRIVATE_UMASK: Final = 0o077
"""Files of the engine are open to its own user alone."""
READY: Final = "Callwheel is up."
"""The line that says so, after those with the addresses."""


def serve(args: Namespace) -> int:
    """Run the engine; 0 when it was stopped in good order."""
    config = load_config(args.config)
    # Numbers, names and what was said to them are in everything that is written from here on.
    os.umask(PRIVATE_UMASK)
    write_logs_to_stderr(config.log.format)
    trio.run(_serve, config, args.config)
    print("Callwheel has stopped.", flush=True)
    return 0


async def _serve(config: Config, file: Path | None) -> None:
    # Imported here because it brings in the whole engine, which no other command needs. Nothing of what is
    # made meanwhile is rubbish: looking for some takes a tenth of the time, and again whenever all is looked
    # through, unless it is set aside for good.
    gc.disable()
    from api.compose import CannotStart, run_engine

    gc.freeze()
    gc.enable()

    def announce_stop() -> None:
        print(f"Stopping: calls that are up have {config.drain_s:g} s to end.", flush=True)

    send, hangups = trio.open_memory_channel[None](1)

    def note_hangup() -> None:
        with suppress(trio.WouldBlock):  # one that waits reads what stands in the file then
            send.send_nowait(None)

    async with open_stoppable_nursery(announce_stop, note_hangup) as nursery:

        async def run(task_status: trio.TaskStatus[Started]) -> None:
            try:
                await run_engine(config, task_status=task_status)
            except* (CannotStart, OSError) as errors:
                raise CommandFailed(f"the engine cannot run: {_say(errors, config)}") from errors
            # It serves until it is cancelled: if it came to an end by itself, so do we.
            nursery.cancel_scope.cancel()

        started = await nursery.start(run)
        print(f"  API and console    {started.http_url}")
        print(f"  SIP                {started.sip_address}")
        if started.admin_key is not None:
            print(f"  administrator key  {started.admin_key}   (shown this once; keep it)")
        spare_what_stays()
        print(READY, flush=True)
        async for _ in hangups:
            await _reload(started, file)


async def _reload(started: Started, file: Path | None) -> None:
    """Go by the configuration as it is now, or as before where that has a mistake."""
    from api.compose import CannotStart

    try:
        config = await trio.to_thread.run_sync(load_config, file)
        waiting = await started.reload(config)
    except (CommandFailed, CannotStart) as refused:
        log.error("configuration_not_taken", detail=str(refused))
    else:
        log.info("configuration_taken", waiting_for_a_restart=waiting)


def _say(errors: BaseExceptionGroup[Exception], config: Config) -> str:
    """The first of them in its own words, or the system's."""
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if not isinstance(first, OSError) or not first.strerror:
        return str(first)
    place = first.filename
    is_denied = first.errno == errno.EACCES and not place
    if is_denied or first.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
        # The system does not say which of them it means.
        place = " or ".join(_find_unbindable(config))
    return f"{first.strerror} ({place})." if place else f"{first.strerror}."


def _find_unbindable(config: Config) -> list[str]:
    """The addresses that nobody can listen on just now, each behind its key; all where each one can."""
    both = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    addresses = [
        ("http.bind", config.http.bind, both[:1]),
        ("sip.bind", config.sip.bind, both),
        ("sip.tls_bind", config.sip.tls_bind, both[:1]),
    ]
    there = [(key, address, kinds) for key, address, kinds in addresses if address is not None]
    bad = [
        f"{key} {address}"
        for key, address, kinds in there
        if not all(_can_bind(address, kind) for kind in kinds)
    ]
    return bad or _find_shared(there) or [f"{key} {address}" for key, address, _ in there]


def _find_shared(
    there: Sequence[tuple[str, Address, Sequence[socket.SocketKind]]],
) -> list[str]:
    """Addresses that two of our own keys name: one of them is in the other's way."""
    shared = [address for _, address, _ in there if address.port]
    return [f"{key} {address}" for key, address, _ in there if shared.count(address) > 1]


def _can_bind(address: Address, kind: socket.SocketKind) -> bool:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
            if kind is socket.SOCK_STREAM:
                probe.listen(1)
        except OSError:
            return False
    return True


COMMAND = Command("serve", "run the engine", add_config_argument, serve)
