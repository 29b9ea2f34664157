"""An engine in a process of its own, set up over HTTP as a user would, to put load on."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio
from msgspec import Struct

from api.client import CallwheelClient
from api.commands import serve
from api.commands.children import Child, ChildPlan, clean_environment, host_child
from api.commands.demo_list import make_chime
from bench.free_ports import free_port, is_taken
from bench.scenario import NotMeasured

READY: Final = r"(?s)(http://\S+).*SIP +(\S+).*" + re.escape(serve.READY)
POLL_S: Final = 0.05
WAIT_S_MAX: Final = 600.0
"""The longest that any load is waited for."""


class Installation(Struct, frozen=True):
    """A running engine and its administrator."""

    child: Child
    url: str
    client: CallwheelClient
    admin_key: str


def make_config(
    data_dir: Path, trunk: str | None, *, cps: int = 1000, channels: int = 10_000, extra: str = ""
) -> str:
    """A configuration on loopback with free ports and at most one trunk, `main`."""
    lines = [
        f'data_dir = "{data_dir}"',
        "drain_s = 2",
        '[http]\nbind = "127.0.0.1:0"',
        '[sip]\nbind = "127.0.0.1:0"',
        f'[limits]\nchannels = {channels}\ncps = {cps}\ndestinations = ["+1"]',
    ]
    if trunk is not None:
        lines.append(
            f'[[trunks]]\nname = "main"\nuri = "{trunk}"\nchannels = {channels}\ncps = {cps}'
        )
    return "\n".join([*lines, extra, ""])


@asynccontextmanager
async def open_installation(
    folder: Path, config: str, variables: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[Installation]:
    """Run an engine for as long as the block lasts, with these variables beside the environment's. Its log
    is `engine.log` in the folder."""
    file = folder / "callwheel.toml"
    file.write_text(config, encoding="utf-8")
    admin_key = secrets.token_urlsafe(24)
    plan = ChildPlan(
        name="the engine",
        arguments=("serve", "--config", str(file)),
        environment=clean_environment(os.environ, [*variables, ("CALLWHEEL_ADMIN_KEY", admin_key)]),
        log=folder / "engine.log",
        ready=READY,
    )
    async with trio.open_nursery() as nursery:
        child = await nursery.start(host_child, plan)
        url = child.said[1]
        yield Installation(child, url, CallwheelClient(url, admin_key), admin_key)
        nursery.cancel_scope.cancel()


async def make_flow(
    client: CallwheelClient,
    dids: Mapping[str, float],
    *,
    settings: Mapping[str, Any] | None = None,
    definition: Mapping[str, Any] | None = None,
    channels: int = 5000,
) -> str:
    """An active flow of the account `default` that plays a short chime, over these DIDs (number → calls
    a second); its id."""
    for number, cps in dids.items():
        await client.create_did(number, "default", "main", cps=cps, channels=channels)
    if definition is None:
        prompt = await client.create_prompt("chime.wav", make_chime(1))
        definition = {"start": "play", "nodes": {"play": {"type": "play", "play": prompt.id}}}
    flow = await client.create_flow("load", "UTC", definition, settings or {})
    await client.attach_dids(flow.id, list(dids))
    await client.activate_listener(flow.id)
    return flow.id


async def wait_completed(client: CallwheelClient, call_list: str) -> Mapping[str, int]:
    """Wait until a list has ended; how often each disposition came. Raises `NotMeasured` where it takes too
    long."""
    deadline = trio.current_time() + WAIT_S_MAX
    while True:
        view = await client.get_list(call_list)
        counts = view.counts
        if counts.completed == counts.contacts:
            return view.dispositions
        if trio.current_time() > deadline:
            raise NotMeasured(
                f"after {WAIT_S_MAX:g} s only {counts.completed:,} of {counts.contacts:,} contacts of "
                "a list are completed."
            )
        # Another process has no event to wait for.
        await trio.sleep(POLL_S * 4)


def make_csv(count: int, first: int = 0) -> bytes:
    """A call list of so many different numbers."""
    return b"tel1\n" + b"".join(b"+1415%07d\n" % number for number in range(first, first + count))


def find_sipp() -> str | None:
    """Where sipp is installed, if it is."""
    return shutil.which("sipp")


@asynccontextmanager
async def open_sipp(
    folder: Path, port: int, arguments: Sequence[str] = ("-sn", "uas")
) -> AsyncIterator[trio.Process]:
    """A sipp callee on this UDP port for as long as the block lasts."""
    program = find_sipp()
    assert program is not None, "ask find_sipp first"
    media = str(free_port())
    command = [program, *arguments, "-i", "127.0.0.1", "-p", str(port), "-mp", media, "-nostdin"]
    process = await trio.lowlevel.open_process(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    )
    try:
        await _wait_bound(port)
        yield process
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _wait_bound(port: int) -> None:
    """Wait until the UDP port is taken."""
    with trio.fail_after(10):
        while True:
            if is_taken(port):
                return
            await trio.sleep(POLL_S)
