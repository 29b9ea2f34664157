"""Item 8: what is kept of a call's signalling, seen by tshark, and without anybody's proof."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from adapters.sip.trace.archive import open_trace_archive
from adapters.sip.trunk import Trunk
from adapters.sip.wire.digest import Credentials
from engine.ports.telephony import Answered
from tests.peers import require
from tests.sipp.carrier import Place, open_carrier
from tests.sipp.scenario import (
    HUNG_UP,
    Scenario,
    StoppedClock,
    expected,
    play_against,
    settings_for,
)

pytestmark = pytest.mark.peer

OTHER_SCENARIOS: Final = ("sends_authentication_info",)
SCENARIO: Final = Scenario(
    (Answered(), HUNG_UP),
    "answered",
    trunk=Trunk("main", "127.0.0.1", credentials=Credentials(b"caller", b"secret")),
)
EXCHANGE: Final = ["INVITE", "407", "ACK", "INVITE", "200", "ACK", "BYE", "200"]
KEEP_S: Final = 3600.0
BYTES_MAX: Final = 2**20
_PROOF: Final = re.compile(r'response="([0-9a-f]+)"')
_CARRIERS_PROOF: Final = "6629fae49393a05397450978507c4ef1"


@pytest.fixture
def tshark() -> str:
    return require("tshark", "tshark")


async def test_a_trace_tells_the_whole_call_and_no_credential_of_it(
    sipp: str, tshark: str, tmp_path: Path
) -> None:
    archive_file = tmp_path / "traces.db"
    async with open_trace_archive(archive_file, KEEP_S, BYTES_MAX, StoppedClock()) as archive:
        async with open_carrier(sipp, "sends_authentication_info", tmp_path, Place()) as carrier:
            settings = settings_for(carrier, SCENARIO)
            seen = await play_against(carrier, SCENARIO, settings, archive)
        ladder = await archive.full_ladder("att_0")
        capture = await archive.pcap("att_0")
    assert seen == expected(SCENARIO)
    assert ladder is not None
    assert capture is not None
    (tmp_path / "call.pcap").write_bytes(capture)
    assert said(tshark, tmp_path / "call.pcap", carrier.port) == EXCHANGE
    proofs = _PROOF.findall((tmp_path / "logs.log").read_text("utf-8"))
    assert len(proofs) == 2, "the carrier got credentials with INVITE and BYE"
    for proof in (*proofs, _CARRIERS_PROOF):
        assert proof not in ladder
        assert proof.encode() not in capture


def said(tshark: str, file: Path, port: int) -> list[str]:
    """The method or status of each SIP message that tshark finds."""
    command = [tshark, "-n", "-r", str(file), "-d", f"udp.port=={port},sip", "-T", "fields"]
    found = subprocess.run(
        [*command, "-e", "sip.Method", "-e", "sip.Status-Code"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return found.stdout.split()
