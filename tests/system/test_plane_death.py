"""The media plane's process dies during 200 calls of the whole product: their records say so, and soon."""

from __future__ import annotations

import os
import signal
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio

from api.compose import SystemClock
from bench.busy import make_noise
from bench.free_ports import free_port
from bench.installation import (
    make_config,
    make_csv,
    make_flow,
    open_installation,
    open_sipp,
    wait_completed,
)
from bench.sipp_callee import write_callee
from tests.adapters.media.callee import SILENCE, Callee, open_callee

CALLS = 200
END_WITHIN_S = 2.0
GUARD_S = 60.0
PLANE = b"adapters.media.plane.loop"


def find_planes(engine: int) -> list[int]:
    """The processes of an engine that are media planes."""
    threads = Path(f"/proc/{engine}/task").glob("*/children")
    children = [pid for thread in threads for pid in thread.read_text().split()]
    return [int(pid) for pid in children if PLANE in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def hear_calls(callee: Callee, count: int, known: AbstractSet[int] = frozenset()) -> set[int]:
    """Wait until so many calls that are not known have sent a packet of sound; their sources."""
    sources: set[int] = set()
    while len(sources) < count:
        ((header, frame),) = await callee.hear(1)
        callee.heard.clear()
        if header.ssrc not in known and frame != SILENCE[0]:
            sources.add(header.ssrc)
    return sources


@pytest.mark.alone
async def test_when_the_plane_is_killed_200_calls_are_failed_within_2_s_and_the_next_call_plays(
    tmp_path: Path,
) -> None:
    callee_file, port = tmp_path / "callee.xml", free_port()
    config = make_config(tmp_path / "data", f"sip:127.0.0.1:{port}")
    async with open_callee() as callee:
        write_callee(callee_file, callee.remote.port)
        async with (
            open_sipp(tmp_path, port, ("-sf", str(callee_file))),
            open_installation(tmp_path, config) as engine,
        ):
            with trio.fail_after(GUARD_S):
                client = engine.client
                prompt = await client.create_prompt("noise.wav", make_noise())
                flow = await make_flow(
                    client,
                    {"+14155550100": 100},
                    settings={"attempts_max": 1},
                    definition={
                        "start": "play",
                        "nodes": {"play": {"type": "play", "play": prompt.id}},
                    },
                )
                short = await make_flow(client, {"+14155550101": 100})
                view = await client.upload_list(flow, "people.csv", make_csv(CALLS))
                before = await hear_calls(callee, CALLS)
                (plane,) = find_planes(engine.child.pid)
                killed_at = datetime.fromtimestamp(SystemClock().now(), UTC)
                os.kill(plane, signal.SIGKILL)
                assert await wait_completed(client, view.id) == {"failed": CALLS}
                attempts = await client.list_attempts(view.id)
                assert {attempt.disposition for attempt in attempts} == {"failed"}
                ended = sorted(attempt.ended_at for attempt in attempts if attempt.ended_at)
                assert len(ended) == CALLS
                assert ended[0] > killed_at
                assert ended[-1] - killed_at < timedelta(seconds=END_WITHIN_S)

                after = await client.multicast(short, "after", [{"tel": ["+14155559999"]}])
                await hear_calls(callee, 1, known=before)
                assert await wait_completed(client, after.list) == {"answered": 1}
                assert find_planes(engine.child.pid) != [plane]
