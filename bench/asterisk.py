"""A real Asterisk, told over its manager (AMI) whom to call: the peer of `dial` and of `media`.

It comes from outside: `SCRIPT install FOLDER` makes one, `SCRIPT run FOLDER PORT CALLEE` starts it with a
trunk to CALLEE. `CALLWHEEL_PEERS` names the folder of the script, `asterisk.sh`, and `CALLWHEEL_ASTERISK`
that of the Asterisk.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from bench.free_ports import free_port
from bench.processes import usage_alone
from bench.scenario import Show

MANAGER_PORT: Final = 5038
START_WAIT_S: Final = 60.0
LOGIN: Final = b"Action: Login\r\nUsername: bench\r\nSecret: bench\r\nEvents: off\r\n\r\n"
HANG_UP: Final = (
    "Action: Originate\r\nChannel: PJSIP/{number}@trunk\r\nContext: originated\r\nExten: hangup\r\n"
    "Priority: 1\r\nAsync: true\r\n\r\n"
)
"""A call that ends when it is answered."""
SETTLE_S: Final = 2.0
"""After its start, and after the last call."""


def find_asterisk() -> tuple[Path, Path] | None:
    """The script and the folder, where both are there."""
    folder = os.environ.get("CALLWHEEL_ASTERISK")
    script = Path(os.environ.get("CALLWHEEL_PEERS", "/nowhere"), "asterisk.sh")
    if folder and Path(folder, "usr", "sbin", "asterisk").exists() and script.exists():
        return script, Path(folder)
    return None


async def measure_asterisk(callee_port: int, calls: int, cps: int, show: Show) -> dict[str, float]:
    """What Asterisk spends on so many calls to this callee; nothing where it is not there or in use."""
    found = find_asterisk()
    if found is None:
        show("without Asterisk beside it: CALLWHEEL_ASTERISK and CALLWHEEL_PEERS name none")
        return {}
    script, folder = found
    with (folder / "in-use").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            show("without Asterisk beside it: somebody else uses it just now")
            return {}
        async with open_asterisk(script, folder, callee_port) as pid, await open_manager() as line:
            await line.send_all(LOGIN)
            await trio.sleep(SETTLE_S)
            show(f"Asterisk, {calls:,} calls at {cps} a second to the same callee")
            before, begun = usage_alone(pid), trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_read_away, line)
                for number in range(calls):
                    await trio.sleep_until(begun + number / cps)
                    await line.send_all(HANG_UP.format(number=f"1416{number:07}").encode())
                took_s = trio.current_time() - begun
                await trio.sleep(SETTLE_S)
                nursery.cancel_scope.cancel()
            cpu_s = usage_alone(pid).since(before)
    return {"cpu_us_per_call": cpu_s / calls * 1e6, "calls_per_s": calls / took_s}


async def _read_away(line: trio.SocketStream) -> None:
    """Its answers would fill the socket otherwise, and hold it up."""
    async for _ in line:
        pass


async def open_manager() -> trio.SocketStream:
    """A line to its manager, once it listens."""
    with trio.fail_after(START_WAIT_S):
        while True:
            try:
                return await trio.open_tcp_stream("127.0.0.1", MANAGER_PORT)
            except OSError:
                await trio.sleep(0.5)


@asynccontextmanager
async def open_asterisk(script: Path, folder: Path, callee_port: int) -> AsyncIterator[int]:
    """Asterisk with a trunk to this callee; its process."""
    arguments = [str(folder), str(free_port()), f"127.0.0.1:{callee_port}"]
    async with open_group(["bash", str(script), "run", *arguments]) as process:
        # The script ends by becoming Asterisk.
        yield process.pid


@asynccontextmanager
async def open_group(command: Sequence[str], cwd: str | None = None) -> AsyncIterator[trio.Process]:
    """A process and all that it starts, for as long as the block lasts."""
    process = await trio.lowlevel.open_process(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()
