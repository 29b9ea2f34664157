"""Asterisk as the player, beside `bench.media`: so many calls that play a prompt, to the same far end.

Usage: `python -m bench.media_asterisk SCRIPT FOLDER`. FOLDER holds an Asterisk that `SCRIPT install FOLDER`
made; `SCRIPT run FOLDER PORT CALLEE` starts it with a trunk to CALLEE, and its manager on port 5038. sipp is
the callee: its SDP names the far end. The prompt is a .ulaw file, so that nothing is transcoded.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import trio

from bench.installation import find_sipp, free_port
from bench.media_rig import FarEnd, StolenTime, open_far_end
from bench.processes import usage_alone
from bench.sipp_callee import write_callee

COUNTS: Final = tuple(range(100, 1_001, 100))
PROMPT_S: Final = 600
CALLS_PER_S: Final = 40
SETTLE_S: Final = 2.0
MEASURE_S: Final = 3.0
TRIES: Final = 3
MANAGER_PORT: Final = 5038
START_WAIT_S: Final = 60.0
LOGIN: Final = b"Action: Login\r\nUsername: bench\r\nSecret: bench\r\nEvents: off\r\n\r\n"
CALL: Final = (
    "Action: Originate\r\nChannel: PJSIP/{number}@trunk\r\nApplication: Playback\r\n"
    "Data: /tmp/callwheel-bench\r\nAsync: true\r\n\r\n"
)


async def run(script: Path, folder: Path) -> None:
    """Add calls step by step, and say how late their packets are."""
    sipp = find_sipp()
    assert sipp is not None, "sipp is not installed (Debian: sip-tester)"
    prompt = folder / "tmp" / "callwheel-bench.ulaw"
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name, _written(prompt):
        callee_port = free_port()
        scenario = Path(name, "callee.xml")
        async with open_far_end() as (far, far_port):
            write_callee(scenario, far_port)
            command = [sipp, "-sf", str(scenario), "-i", "127.0.0.1", "-p", str(callee_port)]
            async with (
                _open_process([*command, "-nostdin"], cwd=name),
                _open_asterisk(script, folder, callee_port) as process_id,
            ):
                await _climb(far, process_id)


@contextmanager
def _written(prompt: Path) -> Iterator[None]:
    """A prompt of noise for as long as the block lasts."""
    prompt.write_bytes(os.urandom(8_000 * PROMPT_S))
    try:
        yield
    finally:
        prompt.unlink()


async def _climb(far: FarEnd, process_id: int) -> None:
    async with await _open_manager() as manager:
        await manager.send_all(LOGIN)
        calls = 0
        for count in COUNTS:
            for number in range(calls, count):
                await manager.send_all(CALL.format(number=f"1415{number:07}").encode())
                await trio.sleep(1 / CALLS_PER_S)
            calls = count
            await trio.sleep(SETTLE_S)
            shares = [await _measure(far, process_id) for _ in range(TRIES)]
            print(f"{count} calls:", "; ".join(shares), flush=True)


async def _measure(far: FarEnd, process_id: int) -> str:
    usage, stolen = usage_alone(process_id), StolenTime()
    lateness = await far.measure(MEASURE_S)
    cpu_s = usage_alone(process_id).since(usage)
    return (
        f"{lateness.streams} streams, {lateness.in_time_share:.2%} in time, "
        f"p99 {lateness.p99_ms:.1f} ms, {lateness.lost} lost, {cpu_s / MEASURE_S:.2f} cores, "
        f"{cpu_s / max(1, lateness.packets) * 1e6:.1f} µs a packet, "
        f"the host took {stolen.share:.1%}"
    )


async def _open_manager() -> trio.SocketStream:
    with trio.fail_after(START_WAIT_S):
        while True:
            try:
                return await trio.open_tcp_stream("127.0.0.1", MANAGER_PORT)
            except OSError:
                await trio.sleep(0.5)


@asynccontextmanager
async def _open_asterisk(script: Path, folder: Path, callee_port: int) -> AsyncIterator[int]:
    arguments = [str(folder), str(free_port()), f"127.0.0.1:{callee_port}"]
    async with _open_process(["bash", str(script), "run", *arguments]) as process:
        # The script ends by becoming Asterisk.
        yield process.pid


@asynccontextmanager
async def _open_process(command: list[str], cwd: str | None = None) -> AsyncIterator[trio.Process]:
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


if __name__ == "__main__":
    trio.run(run, Path(sys.argv[1]), Path(sys.argv[2]))
