"""Deliveries to webhooks, and hooks that are disabled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import PLACE_CURSOR, cursor_of, read_cursor
from adapters.sqlite.flows import FIND_FLOW
from adapters.sqlite.hooks import (
    DELIVERY_COLUMNS,
    DELIVERY_TABLES,
    FIND_HOOK,
    read_hook,
    to_delivery,
    try_text,
)
from adapters.sqlite.rows import Row
from adapters.sqlite.rules import hook_disabled
from adapters.sqlite.setting_rows import to_flow
from adapters.sqlite.unit import Unit
from engine.model.webhook import (
    PENDING_COUNTED_MAX,
    Delivery,
    DeliveryState,
    DueDelivery,
    HookState,
    Outcome,
    Try,
)
from engine.ports.stored import Page

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

SEQ_MAX: Final = 2**62
"""Above every number of an event."""

FLOW_N: Final = "(SELECT n FROM flows WHERE id = ?)"
DUE_DELIVERIES: Final = (
    f"SELECT {DELIVERY_COLUMNS}, e.body FROM {DELIVERY_TABLES} WHERE d.flow = {FLOW_N} "
    "AND d.state = 'pending' AND d.due_at IS NOT NULL AND d.due_at <= ? "
    "ORDER BY d.due_at, d.seq LIMIT ?"
)
NEXT_DELIVERY: Final = (
    f"SELECT MIN(due_at) FROM deliveries WHERE flow = {FLOW_N} "
    "AND state = 'pending' AND due_at IS NOT NULL"
)
HOOKS_WITH_DELIVERIES: Final = (
    # From one flow to the next, however many deliveries each has.
    "WITH RECURSIVE waiting (flow) AS ("
    "SELECT MIN(flow) FROM deliveries WHERE state = 'pending' AND due_at IS NOT NULL UNION ALL "
    "SELECT (SELECT MIN(d.flow) FROM deliveries d WHERE d.state = 'pending' AND d.due_at IS NOT NULL "
    "AND d.flow > waiting.flow) FROM waiting WHERE waiting.flow IS NOT NULL) "
    "SELECT a.id, f.id FROM waiting JOIN flows f ON f.n = waiting.flow JOIN accounts a ON a.n = f.account"
)
LIST_DELIVERIES: Final = (
    f"SELECT {DELIVERY_COLUMNS} FROM {DELIVERY_TABLES} "
    f"WHERE d.seq < ? AND d.flow = {FLOW_N} AND a.id = ?"
)
GET_DELIVERY: Final = (
    f"SELECT {DELIVERY_COLUMNS} FROM {DELIVERY_TABLES} WHERE d.seq = ? AND f.id = ? AND a.id = ?"
)
COUNT_PENDING: Final = (
    "SELECT (SELECT h.at FROM disabled_hooks h WHERE h.flow = f.n AND h.url = "
    "json_extract(f.settings, '$.webhook.url')), "
    "(SELECT COUNT(*) FROM (SELECT 1 FROM deliveries d WHERE d.flow = f.n AND d.state = 'pending' LIMIT ?)) "
    "FROM flows f JOIN accounts a ON a.n = f.account WHERE f.id = ? AND a.id = ?"
)
NOTE_TRY: Final = (
    "UPDATE deliveries SET state = ?, due_at = ?, tries = ?, last = ?, done_at = ? "
    "WHERE account = ? AND seq = ? AND state = 'pending' AND begun_at = ?"
)
NEXT_OF_SUBJECT: Final = (
    f"UPDATE deliveries SET due_at = ?1 WHERE account = ?2 AND seq = ("
    f"SELECT MIN(seq) FROM deliveries WHERE flow = {FLOW_N.replace('?', '?3')} AND subject = ?4 "
    "AND state = 'pending') AND due_at IS NULL"
)
GIVE_UP: Final = (
    "UPDATE deliveries SET state = 'given_up', due_at = NULL, last = ?, done_at = ? "
    "WHERE (account, seq) IN (SELECT account, seq FROM deliveries "
    f"WHERE flow = {FLOW_N} AND state = 'pending' ORDER BY subject DESC, seq DESC LIMIT ?)"
)
"""The last of each subject first: what is left of it, should a hook come back meanwhile, keeps its turn."""
CLEAR: Final = (
    "DELETE FROM deliveries WHERE (account, seq) IN "
    "(SELECT account, seq FROM deliveries WHERE done_at < ? LIMIT ?)"
)
REPLAY: Final = (
    "UPDATE deliveries SET state = 'pending', begun_at = ?, due_at = ?, tries = 0, done_at = NULL "
    "WHERE account = ? AND seq = ? AND flow = (SELECT n FROM flows WHERE id = ?)"
)


class SqliteDeliveries(Connected):
    """The methods of `engine.ports.webhooks.WebhookStore`."""

    async def hooks_with_deliveries(self) -> list[tuple[str, str]]:
        """(account, flow) of every flow that has pending deliveries."""
        return await self._readers.rows(HOOKS_WITH_DELIVERIES, (), lambda row: (row[0], row[1]))

    async def due_deliveries(self, flow: str, until: float, limit: int) -> list[DueDelivery]:
        """The earliest first."""
        return await self._readers.rows(
            DUE_DELIVERIES,
            (flow, until, limit),
            lambda row: DueDelivery(to_delivery(row[:11]), row[11]),
        )

    async def next_delivery_at(self, flow: str) -> float | None:
        """The earliest `due_at` of the flow's pending deliveries."""
        rows: list[float | None] = await self._readers.rows(
            NEXT_DELIVERY, (flow,), lambda row: row[0]
        )
        return rows[0]

    async def note_tries(self, outcomes: Sequence[Outcome], at: float) -> None:
        """Keep what came of tries."""
        await self._writer.submit(lambda unit: _note_tries(unit, outcomes, at), len(outcomes))

    async def give_up_deliveries(
        self, flow: str, code: str, detail: str, at: float, limit: int
    ) -> int:
        """Give up to `limit` pending deliveries of the flow up."""
        last = try_text(Try(at, code, detail))
        return await self._writer.submit(lambda unit: _give_up(unit, flow, last, at, limit), limit)

    async def disable_hook(self, account: str, flow: str, url: str, at: float, detail: str) -> bool:
        """Send nothing more to this address."""
        return await self._writer.submit(
            lambda unit: _disable(unit, account, flow, url, at, detail)
        )

    async def enable_hook(self, account: str, flow: str) -> bool:
        """Send again to a hook that was disabled."""
        return await self._writer.submit(lambda unit: _enable(unit, account, flow))

    async def hook_state(self, account: str, flow: str) -> HookState:
        """How the hook of a flow stands."""
        found = await self._readers.row(
            COUNT_PENDING, (PENDING_COUNTED_MAX, flow, account), lambda row: HookState(*row)
        )
        return found or HookState(None, 0)

    async def list_deliveries(
        self,
        account: str,
        flow: str,
        state: DeliveryState | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Delivery]:
        """The newest first."""
        (before,) = read_cursor(cursor, PLACE_CURSOR) if cursor is not None else (SEQ_MAX,)
        sql = LIST_DELIVERIES
        of: Row = (before, flow, account)
        if state is not None:
            sql, of = f"{sql} AND d.state = ?", (*of, state)
        return await self._readers.page(
            f"{sql} ORDER BY d.seq DESC LIMIT ?",
            of,
            limit,
            to_delivery,
            lambda one: cursor_of(one.seq),
        )

    async def get_delivery(self, account: str, flow: str, seq: int) -> Delivery | None:
        """One delivery of the flow."""
        return await self._readers.row(GET_DELIVERY, (seq, flow, account), to_delivery)

    async def replay_delivery(
        self, account: str, flow: str, seq: int, at: float
    ) -> Delivery | None:
        """Make a delivery due at `at` as if it had never been sent."""
        return await self._writer.submit(lambda unit: _replay(unit, account, flow, seq, at))

    async def clear_deliveries(self, before: float, limit: int) -> int:
        """Forget deliveries that were done before."""
        return await self._writer.submit(lambda unit: _clear(unit, before, limit), limit)


def _note_tries(unit: Unit, outcomes: Sequence[Outcome], at: float) -> None:
    for one in outcomes:
        delivery = one.delivery
        account_n = unit.account_n(delivery.account)
        is_done = one.state != "pending"
        of = (account_n, delivery.seq, delivery.begun_at)
        done_at = at if is_done else None
        values: Row = (one.state, one.due_at, one.tries, try_text(one.last), done_at, *of)
        unit.execute(NOTE_TRY, values)
        if is_done:
            unit.execute(NEXT_OF_SUBJECT, (at, account_n, delivery.flow, delivery.subject))


def _give_up(unit: Unit, flow: str, last: str, at: float, limit: int) -> int:
    unit.write_out()  # the deliveries of this group
    unit.execute(GIVE_UP, (last, at, flow, limit))
    return unit.rowcount


def _disable(unit: Unit, account: str, flow: str, url: str, at: float, detail: str) -> bool:
    row = unit.row(FIND_FLOW, (flow, account))
    if row is None:
        return False
    (flow_n,) = unit.rows("SELECT n FROM flows WHERE id = ?", (flow,))[0]
    hook = read_hook(unit.row(FIND_HOOK, (flow_n,)))
    if hook is None or hook.url != url:
        return False
    unit.execute(
        "INSERT OR REPLACE INTO disabled_hooks (flow, url, at) VALUES (?, ?, ?)", (flow_n, url, at)
    )
    unit.forget_hooks()
    unit.tell([hook_disabled(to_flow(row), url, at, detail)])
    return True


def _enable(unit: Unit, account: str, flow: str) -> bool:
    unit.execute(
        "DELETE FROM disabled_hooks WHERE flow = (SELECT f.n FROM flows f "
        "JOIN accounts a ON a.n = f.account WHERE f.id = ? AND a.id = ?)",
        (flow, account),
    )
    unit.forget_hooks()
    return unit.rowcount > 0


def _replay(unit: Unit, account: str, flow: str, seq: int, at: float) -> Delivery | None:
    unit.write_out()  # the deliveries of this group
    row = unit.row(GET_DELIVERY, (seq, flow, account))
    if row is None:
        return None
    unit.execute(REPLAY, (at, at, unit.account_n(account), seq, flow))
    replayed = unit.row(GET_DELIVERY, (seq, flow, account))
    assert replayed is not None
    return to_delivery(replayed)


def _clear(unit: Unit, before: float, limit: int) -> int:
    unit.execute(CLEAR, (before, limit))
    return unit.rowcount
