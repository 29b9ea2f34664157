"""How much a forecast looks at of a large list, and of many calls."""

from __future__ import annotations

import pytest

from adapters.sqlite import blocks, forecasts
from adapters.sqlite.rows import Row
from engine.drafts import Batch
from engine.ports.intake_store import NewList
from tests.adapters.sqlite.conftest import Opened
from tests.contract.store_samples import (
    ACME,
    FLOW,
    LIST,
    NOW,
    a_batch,
    a_list,
    a_new_list,
    begin,
)

BLOCKS, SIZE = 100, 50
LATE = 10
"""Blocks of another start time."""
SAMPLE = 500


async def test_of_a_large_list_a_few_blocks_are_unpacked_which_stand_for_all(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = NOW + 6_000.0
    async with opened.store.take_list(ACME, FLOW) as taking:
        for place in range(BLOCKS):
            rows = range(1 + place * SIZE, 1 + (place + 1) * SIZE)
            starts = [later if place < LATE else NOW] * SIZE
            await taking.add_batch(a_batch(rows, starts=starts, place=rows[0]), ())
        await taking.publish(NewList(a_list(accepted=BLOCKS * SIZE), ()))
    unpacked: list[Row] = []
    to_batch = blocks._to_batch

    def unpack(row: Row) -> Batch:
        unpacked.append(row)
        return to_batch(row)

    monkeypatch.setattr(blocks, "_to_batch", unpack)
    monkeypatch.setattr(forecasts, "SAMPLE_CONTACTS", SAMPLE)
    told = await opened.store.open_cohorts(ACME, LIST, NOW)
    assert len(unpacked) == SAMPLE // SIZE
    due = sorted((one.due_at, one.count) for one in told)
    minute = -(-later // 60) * 60.0
    assert due == [(NOW, (BLOCKS - LATE) * SIZE), (minute, LATE * SIZE)]


async def test_no_more_calls_that_go_on_are_told_than_the_bound(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = a_new_list(4)
    await opened.store.accept_list(new)
    for number, contact in enumerate(new.contacts, 1):
        await begin(opened.store, contact, number)
    monkeypatch.setattr(forecasts, "GOING_ON_MAX", 1)
    assert len(await opened.store.seen_calls(ACME, FLOW, NOW, 1)) == 2
