"""`callwheel demo`: the whole way once, on this machine: engine, carrier, a list, every call, a verdict.

Carrier and engine are processes of their own, started as a user would start them. The demo itself knows
them only by what a user has: the API, the feed, and the carrier's log.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct
from rich.console import Console

from adapters.http_client import HttpFailed
from api.answers import ApiError, ListView
from api.client import CallwheelClient
from api.commands import REFUSED, Command, CommandFailed, serve
from api.commands.children import ChildPlan, clean_environment, host_child, read_tail
from api.commands.demo_list import (
    CONTACTS_MAX,
    SETTINGS,
    DemoList,
    make_caller_numbers,
    make_chime,
    make_config,
    make_definition,
    make_list,
)
from api.commands.demo_summary import Run, find_faults, make_summary
from api.commands.live import follow_to_end, say_duration
from api.commands.stopping import open_stoppable_nursery
from api.commands.terminal import make_console
from sim.call_log import CallRecord, read_call_log

READY_S_MAX: Final = 30.0
POLL_S: Final = 0.05
PATIENCE_S: Final = 120.0
PATIENCE_CONTACT_S: Final = 0.1
"""A list has this long to end, and so much more for each contact: five times what it takes."""
ENGINE_LOG: Final = "engine.log"
CARRIER_CALLS: Final = "carrier.jsonl"
LOG_S_MAX: Final = 5.0
"""How long the carrier may take to write the last calls down."""
INTERRUPTED: Final = 130
DID_CHANNELS: Final = 200
DEMO_TIMEZONE: Final = "America/Los_Angeles"


class Engine(Struct, frozen=True):
    """The engine that the demo started."""

    url: str
    admin_key: str


def add_arguments(parser: ArgumentParser) -> None:
    """How many, which, and whether it stays."""
    parser.add_argument(
        "--contacts",
        type=_count,
        default=1000,
        metavar="N",
        help=f"people on the list, 1 to {CONTACTS_MAX} (%(default)s)",
    )
    parser.add_argument(
        "--seed", type=_seed, default=1, metavar="N", help="makes the same run again (%(default)s)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave it running afterwards, until Ctrl-C"
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= CONTACTS_MAX:
        raise ArgumentTypeError(f"a whole number from 1 to {CONTACTS_MAX}, not {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ArgumentTypeError(f"a whole number from 0 on, not {text!r}")
    return int(text)


def demo(args: Namespace) -> int:
    """Run it; 0 when everything that must hold did hold."""
    folder = Path(tempfile.mkdtemp(prefix="callwheel-demo-"))
    kept = True
    try:
        code = trio.run(_demo, args, folder)
        kept = code not in (0, INTERRUPTED)
    finally:
        if kept:
            print(f"Data and logs are left in {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return code


async def _demo(args: Namespace, folder: Path) -> int:
    console = make_console()
    started_at = trio.current_time()
    code = INTERRUPTED
    async with open_stoppable_nursery() as nursery:
        planned = make_list(args.contacts, args.seed)
        console.print(f"Callwheel demo: {planned.contacts} contacts, seed {args.seed}")
        engine = await _start(nursery, folder, args.seed, console)
        try:
            run = await _dial(engine, planned, args.seed, folder, console)
        except (HttpFailed, ApiError) as error:
            tail = read_tail(folder / ENGINE_LOG)
            raise CommandFailed(f"{error}\nThe engine's log ends so:{tail}") from error
        code = _conclude(console, run, trio.current_time() - started_at)
        if args.keep:
            console.print(f"\nConsole  {engine.url}\nKey      {engine.admin_key}")
            console.print("It stays until Ctrl-C.")
            await trio.sleep_forever()
        nursery.cancel_scope.cancel()
    return code


async def _start(nursery: trio.Nursery, folder: Path, seed: int, console: Console) -> Engine:
    """Carrier and engine, both ready. Raises `CommandFailed` with what their logs say."""
    profile, log = "demo", folder / CARRIER_CALLS
    carrier = ChildPlan(
        name="the simulated carrier",
        arguments=(
            *("sim", "--bind", "127.0.0.1:0", "--profile", profile),
            *("--seed", str(seed), "--log", str(log)),
        ),
        environment=clean_environment(os.environ, ()),
        log=folder / "carrier.log",
        ready=r"takes calls at (sip:\S+)",
    )
    trunk = (await nursery.start(host_child, carrier)).said[1]
    console.print(f"  carrier  {trunk}, a process of its own, profile {profile}")

    config = folder / "callwheel.toml"
    config.write_text(make_config(str(folder / "data"), trunk), encoding="utf-8")
    admin_key = secrets.token_urlsafe(24)
    served = ChildPlan(
        name="the engine",
        arguments=("serve", "--config", str(config)),
        environment=clean_environment(os.environ, [("CALLWHEEL_ADMIN_KEY", admin_key)]),
        log=folder / ENGINE_LOG,
        ready=r"(?s)(http://\S+).*SIP +(\S+).*" + re.escape(serve.READY),
    )
    ready = (await nursery.start(host_child, served)).said
    console.print(f"  engine   {ready[1]}, SIP {ready[2]}")
    client = CallwheelClient(ready[1], admin_key)
    if not await _poll(client.is_ready, READY_S_MAX):
        raise CommandFailed(f"the engine is not ready.{read_tail(served.log)}")
    return Engine(ready[1], admin_key)


async def _dial(
    engine: Engine, planned: DemoList, seed: int, folder: Path, console: Console
) -> Run:
    """Upload the list, follow it to its end, and gather what is known of it then."""
    view, client, cps = await _upload(engine, planned, seed, folder, console)
    told = 0
    # A list that does not end is a fault like others: what is open then is told by the verdict.
    with trio.move_on_after(PATIENCE_S + planned.contacts * PATIENCE_CONTACT_S):
        told = (await follow_to_end(client, view, console)).told
    attempts = await client.list_attempts(view.id)
    return Run(
        planned=planned,
        view=await client.get_list(view.id),
        contacts=await client.list_contacts(view.id),
        attempts=attempts,
        calls=await _read_calls(folder / CARRIER_CALLS, len(attempts)),
        cps=cps,
        told=told,
    )


async def _upload(
    engine: Engine, planned: DemoList, seed: int, folder: Path, console: Console
) -> tuple[ListView, CallwheelClient, dict[str, float]]:
    """Set a flow up as an administrator and an owner would, and upload the list to it."""
    administrator = CallwheelClient(engine.url, engine.admin_key)
    callers = make_caller_numbers()
    for number, cps in callers:
        await administrator.create_did(number, "default", "main", cps=cps, channels=DID_CHANNELS)
    key = await administrator.create_key("default", "owner")
    client = CallwheelClient(engine.url, key.key)
    prompt = await client.create_prompt("chime.wav", make_chime(seed))
    definition = make_definition(prompt.id)
    flow = await client.create_flow("Demo", DEMO_TIMEZONE, definition, SETTINGS)
    await client.attach_dids(flow.id, [number for number, _ in callers])
    await client.activate_listener(flow.id)
    together = sum(cps for _, cps in callers)
    console.print(f"  callers  {len(callers)} numbers, {together} calls/s together")
    file = folder / "demo.csv"
    file.write_bytes(planned.content)
    view = await client.upload_list(flow.id, file.name, file.read_bytes())
    console.print(
        f"  list     {file.name} uploaded: {view.report.rows} rows,"
        f" {view.report.accepted} accepted, {view.report.rejected} rejected"
    )
    return view, client, dict(callers)


async def _read_calls(log: Path, expected: int) -> list[CallRecord]:
    """What the carrier saw. Its last lines come a moment after the engine knows of the end."""

    async def is_complete() -> bool:
        return len(read_call_log(log)[0]) >= expected

    await _poll(is_complete, LOG_S_MAX)
    return read_call_log(log)[0]


async def _poll(is_so: Callable[[], Awaitable[bool]], within_s: float) -> bool:
    """Wait for something in another process, which has no event to wait for; whether it came."""
    with trio.move_on_after(within_s):
        while not await is_so():  # noqa: ASYNC110
            await trio.sleep(POLL_S)
        return True
    return False


def _conclude(console: Console, run: Run, took_s: float) -> int:
    """Show what came of it, and the verdict; the exit code."""
    console.print()
    console.print(make_summary(run))
    faults = find_faults(run)
    for fault in faults:
        console.print(f"WRONG: {fault}", soft_wrap=True)
    if faults:
        return REFUSED
    console.print(
        f"Each of the {run.planned.contacts} accepted contacts ended in exactly one disposition,"
        f" and no limit was exceeded. {say_duration(took_s)}.",
        soft_wrap=True,
    )
    return 0


COMMAND = Command(
    "demo", "dial a list against a simulated carrier, on this machine alone", add_arguments, demo
)
