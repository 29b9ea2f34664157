"""Flows, each with the standing list of its single calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from adapters.sqlite.answers import earlier_answer, keep_answer
from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import cursor_of
from adapters.sqlite.intake import insert_list
from adapters.sqlite.paging import IN_ACCOUNT, of_account, of_all
from adapters.sqlite.refusals import flow_in_use
from adapters.sqlite.rules import VERSIONS_MAX, standing_list, superfluous_versions
from adapters.sqlite.setting_rows import (
    FLOW_CHANGE,
    FLOW_COLUMNS,
    flow_change_row,
    to_definition,
    to_flow,
)
from adapters.sqlite.unit import Unit
from engine.control import precondition
from engine.model import Flow
from engine.ports.stored import IdempotentAnswer, Page

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

_SELECT_FLOW: Final = f"SELECT {FLOW_COLUMNS} FROM flows f {IN_ACCOUNT} f.account"
FIND_FLOW: Final = f"{_SELECT_FLOW} WHERE f.id = ? AND a.id = ? AND NOT f.deleted"
LIST_FLOWS: Final = f"{_SELECT_FLOW} WHERE NOT f.deleted AND f.id > ?"
FIND_DEFINITION: Final = (
    "SELECT v.definition FROM flows f JOIN accounts a ON a.n = f.account "
    "JOIN flow_versions v ON v.flow = f.n WHERE f.id = ? AND a.id = ? AND v.version <= ? "
    "ORDER BY v.version DESC LIMIT 1"
)
KEEP_DEFINITION: Final = (
    "INSERT OR REPLACE INTO flow_versions (flow, version, definition) "
    "SELECT n, version, definition FROM flows WHERE id = ?"
)
KEPT_VERSIONS: Final = "SELECT version FROM flow_versions WHERE flow = ? ORDER BY version"
NEEDED_VERSIONS: Final = (
    # All contacts of a list came with its version, but for those of the standing list.
    "SELECT l.flow_version FROM lists l WHERE l.flow = ? AND l.unfinished AND NOT l.standing "
    "UNION SELECT c.flow_version FROM lists l JOIN contacts c INDEXED BY contacts_due ON c.list = l.n "
    "WHERE l.flow = ? AND l.unfinished AND l.standing AND c.state = 'open' "
    "UNION SELECT c.flow_version FROM flows f "
    "JOIN attempts t INDEXED BY attempts_open ON t.account = f.account "
    "JOIN contacts c ON c.id = t.contact WHERE f.n = ? AND t.flow = f.n AND t.ended_at IS NULL"
)
CLEAR_VERSION: Final = "DELETE FROM flow_versions WHERE flow = ? AND version = ?"
UNFINISHED_LISTS: Final = "SELECT 1 FROM lists WHERE flow = ? AND unfinished LIMIT 1"


class SqliteFlows(Connected):
    """The methods of `engine.ports.settings_store.SettingsStore` that are about flows."""

    async def add_flow(
        self, flow: Flow, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make a flow and its standing list. Raises LookupError for an unknown account."""
        return await self._writer.submit(lambda unit: _add_flow(unit, flow, answer))

    async def get_flow(self, account: str, flow: str) -> Flow | None:
        """One flow of the account."""

        async def find() -> Flow | None:
            return await self._readers.row(FIND_FLOW, (flow, account), to_flow)

        return await self._flows.ask((account, flow), find)

    async def list_flows(self, account: str, limit: int, cursor: str | None) -> Page[Flow]:
        """Those of the account, in the order of their ids."""
        return await self._readers.page(
            *of_account(LIST_FLOWS, account, "f.id", cursor),
            limit,
            to_flow,
            lambda one: cursor_of(one.id),
        )

    async def list_all_flows(self, limit: int, cursor: str | None) -> Page[Flow]:
        """In the order of their ids."""
        return await self._readers.page(
            *of_all(LIST_FLOWS, "f.id", cursor),
            limit,
            to_flow,
            lambda one: cursor_of(one.id),
        )

    async def change_flow(
        self, account: str, flow: str, change: Callable[[Flow], Flow]
    ) -> Flow | None:
        """Replace the flow by `change(flow)`, which runs in the writer's thread and may run twice."""
        guarded = precondition.guarding(Flow, change)
        return await self._writer.submit(lambda unit: change_flow(unit, account, flow, guarded))

    async def get_definition(self, account: str, flow: str, version: int) -> dict[str, Any] | None:
        """The graph that a flow had in one of its versions."""
        return await self._readers.row(FIND_DEFINITION, (flow, account, version), to_definition)

    async def delete_flow(self, account: str, flow: str) -> bool:
        """Hide a flow."""
        check = precondition.checking(Flow)
        return await self._writer.submit(lambda unit: _delete_flow(unit, account, flow, check))


def _add_flow(unit: Unit, flow: Flow, answer: IdempotentAnswer | None) -> IdempotentAnswer | None:
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    account_n = unit.account_n(flow.account)
    unit.execute(
        "INSERT INTO flows (name, kind, timezone, definition, settings, version, listener_active, "
        "dids, paused_at, id, account, calls_list, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*flow_change_row(flow), flow.id, account_n, flow.calls_list, flow.created_at),
    )
    unit.execute(KEEP_DEFINITION, (flow.id,))
    insert_list(unit, standing_list(flow))
    keep_answer(unit, answer)
    return None


def find_flow(unit: Unit, account: str, flow: str) -> Flow | None:
    """A flow as it is in this transaction."""
    row = unit.row(FIND_FLOW, (flow, account))
    return None if row is None else to_flow(row)


def change_flow(unit: Unit, account: str, flow: str, change: Callable[[Flow], Flow]) -> Flow | None:
    """Replace a flow by `change(flow)`; None when there is no such flow."""
    present = find_flow(unit, account, flow)
    if present is None:
        return None
    changed = change(present)
    if changed.settings.webhook != present.settings.webhook:
        unit.forget_hooks()
    unit.begin_epoch()
    unit.execute(f"UPDATE flows SET {FLOW_CHANGE} WHERE id = ?", (*flow_change_row(changed), flow))
    if changed.definition != present.definition:
        unit.execute(KEEP_DEFINITION, (flow,))
        _clear_versions(unit, flow)
    return changed


def _clear_versions(unit: Unit, flow: str) -> None:
    """Throw graphs away that nobody needs, where there are many."""
    found = unit.row("SELECT n FROM flows WHERE id = ?", (flow,))
    assert found is not None
    kept = [version for (version,) in unit.rows(KEPT_VERSIONS, found)]
    if len(kept) <= VERSIONS_MAX:
        return
    unit.write_out()  # the flags of its lists
    needed = [version for (version,) in unit.rows(NEEDED_VERSIONS, found * 3)]
    gone = superfluous_versions(kept, needed)
    unit.executemany(CLEAR_VERSION, [(*found, version) for version in gone])


def _delete_flow(unit: Unit, account: str, flow: str, check: Callable[[Flow], None]) -> bool:
    found = find_flow(unit, account, flow)
    row = unit.row("SELECT n FROM flows WHERE id = ?", (flow,))
    if found is None or row is None:
        return False
    check(found)
    unit.write_out()  # the counters of its lists
    if unit.row(UNFINISHED_LISTS, row) is not None:
        raise flow_in_use()
    unit.begin_epoch()
    unit.execute("UPDATE flows SET deleted = 1 WHERE n = ?", row)
    return True
