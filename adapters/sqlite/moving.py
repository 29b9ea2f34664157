"""Other start times and priorities for lists and contacts; `moving_rules` says what they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from adapters.sqlite import moving_rules
from adapters.sqlite.blocks import move_blocks, widen_block_of
from adapters.sqlite.connected import Connected
from adapters.sqlite.rows import CONTACT_COLUMNS, LIST_COLUMNS, to_contact, to_list
from adapters.sqlite.unit import ListRow, Unit
from engine.control import precondition
from engine.model import CallList, Contact
from engine.ports.moving import ListEdit, Moved

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

MOVING: Final = (
    "ALTER TABLE lists ADD COLUMN moving_to REAL",
    "ALTER TABLE lists ADD COLUMN moved_row INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE lists ADD COLUMN moved_id TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX lists_moving ON lists (moving_to) WHERE moving_to IS NOT NULL",
)

LIST_PRIORITIES: Final = (
    "ALTER TABLE lists ADD COLUMN priority TEXT",  # NULL: the flow's
    "UPDATE lists SET priority = (SELECT c.priority FROM contacts c WHERE c.list = lists.n LIMIT 1) "
    "WHERE unfinished AND NOT standing",
)
"""All contacts of a list came with the same."""

PAUSES: Final = (
    "ALTER TABLE flows ADD COLUMN paused_at REAL",
    "ALTER TABLE accounts ADD COLUMN paused_at REAL",
)

_OF_LIST: Final = "JOIN accounts a ON a.n = l.account JOIN flows f ON f.n = l.flow"
_WAITS_FOR_START: Final = (
    "(spent = 0 AND tries IS NULL AND tel_index = 0 AND detour IS NULL) OR wait_code = 'starttime'"
)
THE_LIST: Final = f"SELECT {LIST_COLUMNS} FROM lists l {_OF_LIST} WHERE l.n = ?"
THE_CONTACT: Final = (
    f"SELECT {CONTACT_COLUMNS} FROM contacts c JOIN lists l ON l.n = c.list {_OF_LIST} "
    "WHERE c.id = ? AND a.id = ?"
)
MOVING_LIST: Final = "SELECT n FROM lists WHERE moving_to > 0 LIMIT 1"
NEXT_ROWS: Final = (
    "SELECT row, id FROM contacts WHERE list = ? AND (row, id) > (?, ?) ORDER BY row, id LIMIT ?"
)
MOVE_CONTACT: Final = (
    "UPDATE contacts SET starttime = ?1, "
    f"wait_code = CASE WHEN state = 'open' AND ({_WAITS_FOR_START} OR due_at < ?1) THEN 'starttime' "
    "ELSE wait_code END, "
    f"due_at = CASE WHEN state <> 'open' THEN due_at WHEN {_WAITS_FOR_START} THEN ?1 "
    "ELSE max(due_at, ?1) END WHERE id = ?2 AND state <> 'completed'"
)
"""As `moving_rules.moved`."""


class SqliteMoving(Connected):
    """The methods of `engine.ports.moving.MovingStore`."""

    async def edit_list(
        self, account: str, call_list: str, edit: ListEdit, at: float
    ) -> CallList | None:
        """Begin to give a list another start time, and give it another priority."""
        check = precondition.checking(CallList)
        return await self._writer.submit(
            lambda unit: _edit_list(unit, account, call_list, edit, at, check)
        )

    async def move_contacts(self, limit: int) -> Moved | None:
        """Give some contacts their other start time."""
        return await self._writer.submit(lambda unit: _move_contacts(unit, limit), limit + 1)

    async def reschedule_contact(
        self, account: str, contact: str, starttime: float
    ) -> Contact | None:
        """Give one contact another start time."""
        return await self._writer.submit(
            lambda unit: _reschedule_contact(unit, account, contact, starttime)
        )


def _edit_list(
    unit: Unit,
    account: str,
    call_list: str,
    edit: ListEdit,
    at: float,
    check: Callable[[CallList], None],
) -> CallList | None:
    row = unit.find_list(call_list)
    if row is None or row.state.account != account:
        return None
    check(_show_list(unit, row))
    told = moving_rules.edit(row.state, edit, at)
    unit.change(row)
    unit.tell(told)
    return _show_list(unit, row)


def _show_list(unit: Unit, row: ListRow) -> CallList:
    """The list as it is in this transaction."""
    unit.write_out()
    found = unit.row(THE_LIST, (row.n,))
    assert found is not None
    return to_list(found)


def _move_contacts(unit: Unit, limit: int) -> Moved | None:
    unit.write_out()  # the flag that the search goes by
    found = unit.row(MOVING_LIST, ())
    if found is None:
        return None
    row = unit.list_of(found[0])
    state = unit.change(row)
    assert state.moving_to is not None
    # Blocks go first: those that are widened meanwhile are found among the rows.
    if move_blocks(unit, row.n, state.moving_to):
        return Moved(state.account, state.flow, state.id, False)
    rows = unit.rows(NEXT_ROWS, (row.n, state.moved_row, state.moved_id, limit))
    unit.executemany(MOVE_CONTACT, [(state.moving_to, contact) for _, contact in rows])
    is_done = len(rows) < limit
    if is_done:
        moving_rules.end_move(state)
    else:
        state.moved_row, state.moved_id = rows[-1]
    return Moved(state.account, state.flow, state.id, is_done)


def _reschedule_contact(unit: Unit, account: str, contact: str, starttime: float) -> Contact | None:
    row = unit.row(THE_CONTACT, (contact, account))
    if row is None and widen_block_of(unit, contact):
        row = unit.row(THE_CONTACT, (contact, account))
    if row is None:
        return None
    moving_rules.check_movable(to_contact(row))
    unit.execute(MOVE_CONTACT, (starttime, contact))
    changed = unit.row(THE_CONTACT, (contact, account))
    assert changed is not None
    return to_contact(changed)
