"""The simulated carrier, called by sipp."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import trio

from sim.call_log import CallRecord, CarrierStatistics, read_call_log
from sim.carrier import CarrierSettings, run_carrier
from sim.profile import Profile, always
from tests.peers import require

CALLS = 50


async def call_with_sipp(profile: Profile, log_path: Path, number: str) -> int:
    """Have sipp call the number `CALLS` times; its exit status, 0 when each of its calls succeeded."""
    sipp = require("sipp", "sip-tester")
    async with trio.open_nursery() as nursery:
        settings = CarrierSettings(bind="127.0.0.1:0", profile=profile, log_path=log_path)
        host, port = await nursery.start(run_carrier, settings)
        command = [
            sipp, "-sn", "uac", "-s", number, "-m", str(CALLS), "-r", "100", "-nostdin",
            "-i", host, "-timeout", "20", "-timeout_error", f"{host}:{port}",
        ]  # fmt: skip
        with trio.fail_after(30):
            done = await trio.run_process(
                command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                cwd=log_path.parent,
            )  # fmt: skip
        nursery.cancel_scope.cancel()
    return done.returncode


async def read_log(path: Path) -> tuple[list[CallRecord], CarrierStatistics]:
    records, statistics = read_call_log(path)
    assert statistics is not None
    return records, statistics


@pytest.mark.peer
async def test_sipp_completes_every_call_without_a_needless_retransmission(tmp_path: Path) -> None:
    profile = Profile(ring_s=always(0.0), talk_s=always(10.0))
    assert await call_with_sipp(profile, tmp_path / "log", "+14155550100") == 0
    records, statistics = await read_log(tmp_path / "log")
    seen = [
        (r.number, r.caller, r.code, r.by, r.acks, r.byes, r.invite_retransmissions, r.resent)
        for r in records
    ]
    assert seen == [("+14155550100", "sipp", 200, "caller", 1, 1, 0, 0)] * CALLS
    assert len({record.call_id for record in records}) == CALLS
    assert (statistics.packets, statistics.malformed, statistics.strays) == (3 * CALLS, 0, 0)


@pytest.mark.peer
async def test_sipp_acknowledges_every_refusal(tmp_path: Path) -> None:
    """Its scenario counts them as failed, which is what they are."""
    assert await call_with_sipp(Profile(), tmp_path / "log", "+14155559486") == 1
    records, _ = await read_log(tmp_path / "log")
    assert [(r.outcome, r.code, r.acks) for r in records] == [("busy", 486, 1)] * CALLS
