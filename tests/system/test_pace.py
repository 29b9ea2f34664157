"""Limits as the callee sees them: counted from what arrived, on real sockets, in real time."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.installation import make_config, make_csv, make_flow, open_installation, wait_completed
from tests.engine.dial.limits.test_windows import most_in_any_window
from tests.system.carrier import open_carrier, read_calls

PACES = {"+14155550105": 5, "+14155550120": 20, "+14155550150": 50}
CONTACTS = 75 * 14


@pytest.mark.alone
async def test_three_dids_keep_their_pace_in_every_sliding_second_and_use_95_percent_of_it(
    tmp_path: Path,
) -> None:
    async with (
        open_carrier(tmp_path) as trunk,
        open_installation(tmp_path, make_config(tmp_path / "data", trunk)) as engine,
    ):
        flow = await make_flow(engine.client, PACES)
        view = await engine.client.upload_list(flow, "people.csv", make_csv(CONTACTS))
        dispositions = await wait_completed(engine.client, view.id)
    calls = read_calls(tmp_path)
    moments = {
        did: [call.invite_at for call in calls if call.caller.lstrip("+") == did.lstrip("+")]
        for did in PACES
    }
    work_ends = min(of_did[-1] for of_did in moments.values())
    for did, cps in PACES.items():
        busy = [moment for moment in moments[did] if moment <= work_ends]
        assert most_in_any_window(moments[did], 1.0) <= cps
        assert (len(busy) - 1) / (busy[-1] - busy[0]) >= 0.95 * cps
    assert dispositions == {"answered": CONTACTS}
    assert len(calls) == CONTACTS
