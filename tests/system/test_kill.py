"""Nothing lost, nothing twice: the process is killed at a random moment of a run and started again."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import trio

from api.client import CallwheelClient
from api.commands import CommandFailed
from bench.installation import make_config, make_csv, make_flow, open_installation, wait_completed
from tests.sizes import size
from tests.system.carrier import open_carrier, read_calls

CONTACTS = 500
RUN_S = 5.0
"""About how long the run takes when nobody interrupts it."""


async def attempts_of(client: CallwheelClient, call_list: str) -> Counter[str]:
    """How many attempts each number of a list had."""
    return Counter(attempt.number for attempt in await client.list_attempts(call_list))


@pytest.mark.parametrize("seed", range(size(3, 40)))
async def test_after_a_kill_each_contact_has_one_disposition_and_no_attempt_was_dialled_twice(
    seed: int, tmp_path: Path
) -> None:
    moment_s = Random(seed).uniform(0.05, RUN_S)
    async with open_carrier(tmp_path) as trunk:
        config = make_config(tmp_path / "data", trunk)
        call_list = ""
        try:
            async with open_installation(tmp_path, config) as engine:
                flow = await make_flow(engine.client, {"+14155550100": 100})
                view = await engine.client.upload_list(flow, "people.csv", make_csv(CONTACTS))
                call_list = view.id
                await trio.sleep(moment_s)  # the moment of the kill is chosen, not waited out
                os.kill(engine.child.pid, signal.SIGKILL)
                await trio.sleep_forever()
        except* CommandFailed:
            assert call_list, "the engine fell before it was killed"
        async with open_installation(tmp_path, config) as engine:
            dispositions = await wait_completed(engine.client, call_list)
            contacts = await engine.client.list_contacts(call_list)
            attempts = await attempts_of(engine.client, call_list)
    invites = Counter(call.number for call in read_calls(tmp_path))
    assert Counter(contact.disposition for contact in contacts) == dispositions
    assert sum(dispositions.values()) == CONTACTS
    assert set(dispositions) <= {"answered", "unknown"}
    assert set(attempts.values()) == {1}
    assert max(invites.values()) == 1
    assert {f"+{number.lstrip('+')}" for number in invites} <= set(attempts)
