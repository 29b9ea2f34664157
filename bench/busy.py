"""`busy`: whether sound leaves in time while everything else is busy. Calls are up and play; then lists of
5 MB are uploaded one after the other, ten mails of 7 MB arrive, and single calls are triggered without a
pause. Beside it, the same calls just before, with nothing else to do.

The mails are taken by a receiver of this scenario's own, in a process of its own. sipp is the callee, and
its SDP names the far end of `bench.media`, whose kernel stamps every packet.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import trio
from msgspec import Struct, field

from adapters.media.codecs.g711 import SAMPLE_RATE_HZ
from bench.free_ports import free_port
from bench.installation import (
    Installation,
    find_sipp,
    make_config,
    make_csv,
    make_flow,
    open_installation,
    open_sipp,
)
from bench.media_far import Lateness
from bench.media_rig import FarEnd, open_far_end
from bench.scenario import Measurement, NotMeasured, Scenario, Show, Size
from bench.sipp_callee import write_callee

CALLS: Final[dict[Size, int]] = {"quick": 200, "full": 500}
LISTS: Final[dict[Size, int]] = {"quick": 1, "full": 3}
"""Lists that must have come in, with all the mails, before the measurement ends."""
MEASURE_S: Final = 2.0
"""One measurement; they follow each other until everything has come in."""
MEASUREMENTS_MAX: Final = 60
CALLS_PER_S: Final = 50
WAIT_S_MAX: Final = 60.0
"""How long the calls may take to be up."""
LISTEN_S: Final = 0.2
PROMPT_S: Final = 60
PROMPTS: Final = 10
"""One after the other: calls last longer than anything here."""
DIDS: Final = 5
CALLER: Final = "+1415555{:04}"
LIST_BYTES: Final = 5_000_000
LATER: Final = b"2099-01-01T00:00:00Z"
"""When what comes in under load is due: nobody dials it meanwhile."""
MAILS: Final = 10
MAIL_MB: Final = 7
TRIGGERS_AT_ONCE: Final = 4


class Busyness(Struct):
    """What came in while it was measured."""

    lists: int = 0
    mails: int = 0
    triggers: int = 0
    is_over: trio.Event = field(default_factory=trio.Event)
    """Nothing new is to be sent: what is under way comes to its end."""


async def run(size: Size, show: Show) -> Measurement:
    """The share of packets in time under load, beside that without."""
    if find_sipp() is None:
        show("left out: it needs sipp as the callee (Debian: sip-tester)")
        return Measurement("busy", {})
    with tempfile.TemporaryDirectory(prefix="callwheel-bench-") as name:
        folder = Path(name)
        async with open_far_end() as (far, far_port):
            callee, port = folder / "callee.xml", free_port()
            write_callee(callee, far_port)
            config = make_config(folder / "data", f"sip:127.0.0.1:{port}")
            async with (
                open_sipp(folder, port, ("-sf", str(callee))),
                open_installation(folder, config) as engine,
            ):
                return await _measure(engine, far, size, folder, show)


async def _measure(
    engine: Installation, far: FarEnd, size: Size, folder: Path, show: Show
) -> Measurement:
    calls = CALLS[size]
    flow = await _make_flow(engine)
    await engine.client.upload_list(flow, "calls.csv", make_csv(calls))
    quiet = await _measure_quiet(far, calls)
    show(f"{calls:,} calls, nothing else: {_describe(quiet)}")
    done = Busyness()
    busy = await _measure_busy(engine, flow, far, LISTS[size], folder, done)
    if min(one.streams for one in busy) < calls:
        raise NotMeasured("a call ended while lists and mails came in.")
    show(
        f"with {done.lists} lists of 5 MB, {done.mails} mails of {MAIL_MB} MB and "
        f"{done.triggers} triggers: {_describe(busy)}"
    )
    metrics = sum_up(busy) | {
        "calls": float(calls),
        "lists": float(done.lists),
        "mails": float(done.mails),
        "triggers": float(done.triggers),
    }
    floor = sum_up(quiet)
    ratio = {"in_time_share": metrics["in_time_share"] / max(floor["in_time_share"], 1e-9)}
    return Measurement("busy", metrics, floor, ratio)


async def _measure_quiet(far: FarEnd, calls: int) -> list[Lateness]:
    """Wait until all calls are heard, and measure with nothing else to do."""
    heard = 0
    with trio.move_on_after(WAIT_S_MAX):
        while heard < calls:
            heard = (await far.measure(LISTEN_S)).streams
    if heard < calls:
        raise NotMeasured(f"only {heard:,} of {calls:,} calls are heard after {WAIT_S_MAX:g} s.")
    return [await far.measure(MEASURE_S)]


async def _measure_busy(
    engine: Installation, flow: str, far: FarEnd, lists: int, folder: Path, done: Busyness
) -> list[Lateness]:
    """Measure until so many lists and all mails have come in."""
    parts: list[Lateness] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(_send_mails, folder, done)
        nursery.start_soon(_upload_lists, engine, flow, done)
        for _ in range(TRIGGERS_AT_ONCE):
            nursery.start_soon(_trigger_calls, engine, flow, done)
        while done.mails < MAILS or done.lists < lists:
            if len(parts) == MEASUREMENTS_MAX:
                spent_s = MEASUREMENTS_MAX * MEASURE_S
                raise NotMeasured(f"lists and mails are not in after {spent_s:g} s.")
            parts.append(await far.measure(MEASURE_S))
        done.is_over.set()
    return parts


def sum_up(parts: Sequence[Lateness]) -> dict[str, float]:
    """Of measurements one after the other: the share of all their packets, and the worst of the rest."""
    packets = sum(part.packets for part in parts)
    in_time = sum(part.in_time_share * part.packets for part in parts)
    return {
        "in_time_share": in_time / max(1, packets),
        "late_ms_p99": max(part.p99_ms for part in parts),
        "late_ms_max": max(part.max_ms for part in parts),
        "packets_lost": float(sum(part.lost for part in parts)),
    }


def _describe(parts: Sequence[Lateness]) -> str:
    figures = sum_up(parts)
    return (
        f"{figures['in_time_share']:.2%} within 5 ms, p99 {figures['late_ms_p99']:.1f} ms, "
        f"{figures['packets_lost']:.0f} lost of {sum(part.packets for part in parts):,}"
    )


async def _make_flow(engine: Installation) -> str:
    """A flow that plays for longer than anything here lasts."""
    prompt = await engine.client.create_prompt("noise.wav", make_noise())
    names = [f"play{n}" for n in range(PROMPTS)]
    nodes = {
        name: {"type": "play", "play": prompt.id, "next": after}
        for name, after in zip(names, [*names[1:], "bye"], strict=True)
    }
    definition = {"start": names[0], "nodes": {**nodes, "bye": {"type": "hangup"}}}
    dids = {CALLER.format(n): CALLS_PER_S / DIDS for n in range(DIDS)}
    return await make_flow(engine.client, dids, definition=definition)


def make_noise() -> bytes:
    """A prompt of `PROMPT_S` as a WAV file."""
    samples = np.random.default_rng(1).integers(-8_000, 8_000, SAMPLE_RATE_HZ * PROMPT_S, np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SAMPLE_RATE_HZ)
        wav.writeframes(samples.tobytes())
    return file.getvalue()


async def _upload_lists(engine: Installation, flow: str, done: Busyness) -> None:
    """Upload one list after the other, each with new numbers, until it is over."""
    rows = LIST_BYTES // len(b"+14150000000," + LATER + b"\n")
    while not done.is_over.is_set():
        lines = make_csv(rows, first=done.lists * rows).splitlines()
        content = b"tel1,starttime\n" + b"".join(b"%b,%b\n" % (line, LATER) for line in lines[1:])
        await engine.client.upload_list(flow, f"later{done.lists}.csv", content)
        done.lists += 1


async def _trigger_calls(engine: Installation, flow: str, done: Busyness) -> None:
    """Trigger one call after the other until it is over."""
    while not done.is_over.is_set():
        contact = {"tel": [f"+1415{done.triggers % 10_000_000:07}"], "starttime": LATER.decode()}
        await engine.client.multicast(flow, "later", [contact])
        done.triggers += 1


async def _send_mails(folder: Path, done: Busyness, *, task_status: trio.TaskStatus[None]) -> None:
    """Send the mails, all at once."""
    spool = folder / "spool"
    spool.mkdir()
    receive = [sys.executable, "-P", "-m", "bench.mails", "receive", str(spool)]
    receiver = await trio.lowlevel.open_process(
        receive, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert receiver.stdout is not None
        port = int(await receiver.stdout.receive_some())
        task_status.started()
        send = [sys.executable, "-P", "-m", "bench.mails", "send", str(port)]
        await trio.run_process([*send, str(MAILS), str(MAIL_MB)])
        done.mails = len(list(spool.iterdir()))
        await done.is_over.wait()
    finally:
        receiver.kill()
        with trio.CancelScope(shield=True):
            await receiver.wait()


SCENARIO = Scenario(
    "busy", "whether sound leaves in time while lists, mails and triggers come in", run
)
