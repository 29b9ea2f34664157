"""Asterisk as the player, beside `bench.media`: so many calls that play a prompt, to the same far end.

Usage: `python -m bench.media_asterisk SCRIPT FOLDER`. FOLDER holds an Asterisk that `SCRIPT install FOLDER`
made; `SCRIPT run FOLDER PORT CALLEE` starts it with a trunk to CALLEE, and its manager on port 5038. sipp is
the callee: its SDP names the far end. The prompt is a .ulaw file, so that nothing is transcoded.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import trio

from bench.asterisk import LOGIN, open_asterisk, open_group, open_manager
from bench.free_ports import free_port
from bench.installation import find_sipp
from bench.media_rig import FarEnd, StolenTime, open_far_end
from bench.processes import usage_alone
from bench.sipp_callee import write_callee

COUNTS: Final = tuple(range(100, 1_001, 100))
PROMPT_S: Final = 600
CALLS_PER_S: Final = 40
SETTLE_S: Final = 2.0
MEASURE_S: Final = 3.0
TRIES: Final = 3
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
                open_group([*command, "-nostdin"], cwd=name),
                open_asterisk(script, folder, callee_port) as process_id,
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
    async with await open_manager() as manager:
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


if __name__ == "__main__":
    trio.run(run, Path(sys.argv[1]), Path(sys.argv[2]))
