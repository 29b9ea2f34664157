"""Very many contacts, written straight into the database of an installation that does not run: what they cost
on their way in is another scenario's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import trio

from adapters.sqlite.store import open_sqlite_store
from api.compose import SystemClock
from api.data_folder import DATABASE
from engine.ids import IdSource
from engine.model import CallList, Contact, Flow, Report
from engine.model.events import StoredEvent
from engine.ports.intake_store import NewList

MADE_AT_ONCE: Final = 10_000
"""Contacts that are made before other tasks have their turn."""


async def add_crowd(data_dir: Path, flow: str, rows: int, first: int = 0) -> str:
    """Give a flow a list of so many contacts, each with a number of its own, that are due at once; its id."""
    clock = SystemClock()
    ids = IdSource(clock, Random(first))  # noqa: S311 - ids of a load, not secrets
    async with open_sqlite_store(data_dir / DATABASE, _ignore, clock) as store:
        flows = (await store.list_all_flows(1000, None)).items
        [owner] = [one for one in flows if one.id == flow]
        now = clock.now()
        call_list = CallList(
            id=ids.new("lst"),
            account=owner.account,
            flow=flow,
            flow_version=owner.version,
            name=f"crowd from {first}",
            source="api",
            status="scheduled",
            report=Report(rows, rows, 0),
            created_at=now,
        )
        contacts: list[Contact] = []
        for at in range(0, rows, MADE_AT_ONCE):
            numbers = range(first + at, first + min(rows, at + MADE_AT_ONCE))
            contacts += _make_contacts(owner, call_list.id, ids, now, numbers)
            await trio.lowlevel.checkpoint()
        await store.accept_list(NewList(call_list, contacts))
    return call_list.id


def _make_contacts(
    flow: Flow, call_list: str, ids: IdSource, now: float, numbers: Sequence[int]
) -> list[Contact]:
    return [
        Contact(
            id=id_,
            account=flow.account,
            list=call_list,
            flow=flow.id,
            row=number + 1,
            tel=(f"+1415{number:07}",),
            variables={},
            starttime=now,
            reference=None,
            state="open",
            due_at=now,
            wait_code="starttime",
            flow_version=flow.version,
        )
        for number, id_ in zip(numbers, ids.new_many("cnt", len(numbers)), strict=True)
    ]


def _ignore(_events: Sequence[StoredEvent]) -> None:
    """Nobody listens."""
