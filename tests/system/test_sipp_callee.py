"""A list that comes in as a CSV file is dialled, over real SIP, to a callee that nobody here wrote."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import trio

from bench.free_ports import free_port
from bench.installation import (
    make_config,
    make_csv,
    make_flow,
    open_installation,
    open_sipp,
    wait_completed,
)
from tests.peers import require

CONTACTS = 1000
SCENARIO = Path(__file__).parent / "sipp" / "answer.xml"


def read_counts(folder: Path) -> dict[str, int]:
    """What sipp counted of each message by the end: message and what became of it → how often."""
    [file] = folder.glob("answer_*_counts.csv")
    with file.open(encoding="utf-8") as lines:
        *_, last = csv.DictReader(lines, delimiter=";")
    return {
        name.partition("_")[2]: int(value)
        for name, value in last.items()
        if name and name[0].isdigit() and "_Pause_" not in name and int(value)
    }


@pytest.mark.alone
@pytest.mark.peer
async def test_a_thousand_contacts_of_a_csv_are_answered_by_sipp_with_one_ack_and_one_bye_each(
    tmp_path: Path,
) -> None:
    require("sipp", "sip-tester")
    port = free_port()
    arguments = ("-sf", str(SCENARIO), "-m", str(CONTACTS), "-trace_counts", "-fd", "1")
    async with (
        open_sipp(tmp_path, port, arguments) as sipp,
        open_installation(
            tmp_path, make_config(tmp_path / "data", f"sip:127.0.0.1:{port}")
        ) as engine,
    ):
        flow = await make_flow(engine.client, {"+14155550100": 100})
        view = await engine.client.upload_list(flow, "people.csv", make_csv(CONTACTS))
        dispositions = await wait_completed(engine.client, view.id)
        with trio.fail_after(30):
            code = await sipp.wait()
    assert dispositions == {"answered": CONTACTS}
    assert code == 0, "sipp saw something that its scenario does not expect"
    assert read_counts(tmp_path) == {
        "INVITE_Recv": CONTACTS,
        "180_Sent": CONTACTS,
        "200_Sent": CONTACTS,
        "ACK_Recv": CONTACTS,
        "BYE_Recv": CONTACTS,
    }
