"""A writer that is killed with no warning: what it had acknowledged is there, and the rest is whole."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import trio

from engine.model.events import StoredEvent
from engine.ports.read_store import AttemptFilter
from tests.adapters.sqlite.conftest import opened_at
from tests.adapters.sqlite.writing_child import CONTACTS
from tests.contract.store_samples import ACME, NOW, all_pages
from tests.sizes import size

REPOSITORY = Path(__file__).parents[3]


def acknowledged_until_killed(path: Path, lines: int) -> list[list[str]]:
    """What a child said before it was killed, which happens after so many lines."""
    command = [sys.executable, "-m", "tests.adapters.sqlite.writing_child", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True) as child:
        assert child.stdout is not None
        try:
            said = list(islice(child.stdout, lines))
        finally:
            child.kill()
        said += child.stdout.readlines()
    assert len(said) >= lines
    return [line.split() for line in said]


async def judge(path: Path, acknowledged: list[list[str]]) -> None:
    """All that was acknowledged is there, and all that is there agrees with itself."""
    async with opened_at(path) as opened:
        store = opened.store
        lists = {
            one.id: one
            for one in await all_pages(lambda *at: store.list_lists(ACME, None, *at), 999)
        }
        attempts = {
            one.id: one
            for one in await all_pages(
                lambda *at: store.list_attempts(ACME, AttemptFilter(), *at), 999
            )
        }
        for what, name in acknowledged:
            if what == "list":
                assert name in lists
                assert await store.get_answer(ACME, f"key-{int(name[4:]) - 100_000}") is not None
            else:
                assert name in attempts
                assert what == "begun" or attempts[name].ended_at is not None
        open_ones = {attempt.id for attempt, _ in await store.open_attempts()}
        assert open_ones == {one.id for one in attempts.values() if one.ended_at is None}
        for name in lists:
            contacts = (await store.list_contacts(ACME, name, 100, None)).items
            states = Counter(contact.state for contact in contacts)
            counted = await store.count_list(ACME, name, NOW)
            assert counted is not None
            assert len(contacts) == counted.contacts == CONTACTS
            assert states["dialing"] == counted.dialing
            assert states["completed"] == counted.completed == sum(counted.dispositions.values())
        events: list[StoredEvent] = []
        while found := await store.events_after(ACME, len(events), 1000):
            events += found
        assert [event.seq for event in events] == list(range(1, await store.last_seq(ACME) + 1))
        told = Counter(event.type for event in events)
        assert told["list.accepted"] == len(lists)
        assert told["attempt.initiated"] == len(attempts)
        assert told["attempt.ended"] == len(attempts) - len(open_ones)


@pytest.mark.parametrize("kill", range(size(4, 100)))
def test_nothing_that_was_acknowledged_is_lost_by_a_kill(tmp_path: Path, kill: int) -> None:
    path = tmp_path / "callwheel.db"
    acknowledged = acknowledged_until_killed(path, 20 + 173 * (kill % 12))
    trio.run(judge, path, acknowledged)
