"""Flows and do-not-call lists that are remembered, and never longer than they are true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio

from adapters.sqlite.readers import Readers
from engine.model import Flow
from tests.adapters.sqlite.conftest import Opened
from tests.contract.store_samples import ACME, FLOW, NOW, OTHER


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions that reached the database."""
    questions: list[str] = []
    rows = Readers.rows

    async def note(readers: Readers, sql: str, *rest: Any) -> Any:
        questions.append(sql)
        return await rows(readers, sql, *rest)

    monkeypatch.setattr(Readers, "rows", note)
    return questions


def renamed(name: str) -> Callable[[Flow], Flow]:
    return lambda flow: msgspec.structs.replace(flow, name=name)


async def test_a_flow_is_asked_for_once_until_one_is_changed(
    opened: Opened, asked: list[str]
) -> None:
    store = opened.store
    asked.clear()
    first = await store.get_flow(ACME, FLOW)
    assert await store.get_flow(ACME, FLOW) == first
    assert len(asked) == 1
    assert await store.get_flow(OTHER, FLOW) is None
    changed = await store.change_flow(ACME, FLOW, renamed("another"))
    assert await store.get_flow(ACME, FLOW) == changed
    await store.delete_flow(ACME, FLOW)
    assert await store.get_flow(ACME, FLOW) is None


async def test_a_flow_that_was_read_while_it_changed_is_read_again(opened: Opened) -> None:
    store = opened.store
    async with trio.open_nursery() as nursery, opened.held() as wait_pending:
        nursery.start_soon(store.change_flow, ACME, FLOW, renamed("another"))
        await wait_pending(1)
        found = await store.get_flow(ACME, FLOW)
        assert found is not None
        assert found.name != "another"
    found = await store.get_flow(ACME, FLOW)
    assert found is not None
    assert found.name == "another"


async def test_that_nobody_is_listed_is_known_until_somebody_is(
    opened: Opened, asked: list[str]
) -> None:
    store = opened.store
    asked.clear()
    assert not await store.has_listed(ACME, FLOW, NOW)
    assert not await store.has_listed(ACME, FLOW, NOW)
    assert len(asked) == 1
    await store.add_do_not_call(ACME, ["+919800000001"], FLOW, NOW)
    assert await store.has_listed(ACME, FLOW, NOW)
    assert not await store.has_listed(OTHER, FLOW, NOW)
