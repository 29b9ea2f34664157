"""Lists that were picked up from folders, and how the folders stand."""

from __future__ import annotations

from typing import Final

from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import ID_CURSOR, cursor_of, read_cursor
from adapters.sqlite.rows import Row
from adapters.sqlite.unit import Unit
from engine.model.drop_settings import Door
from engine.model.events import Event
from engine.model.pickup import DropState, FileMark, Pickup, Place
from engine.ports.stored import Page

_SELECT: Final = (
    "SELECT p.id, a.id, f.id, p.door, p.place, p.name, p.size, p.modified_ns, p.sha256, p.at, "
    "p.report, p.list, p.code, p.rejected, p.removed_at, p.reported_at, p.told_at "
    "FROM pickups p JOIN flows f ON f.n = p.flow JOIN accounts a ON a.n = f.account "
)
_OF_FLOW: Final = "WHERE p.flow = (SELECT n FROM flows WHERE id = ?) AND a.id = ? "
FIND_PICKUP: Final = (
    f"{_SELECT}{_OF_FLOW}AND p.place = ? AND p.name = ? AND p.size = ? AND p.modified_ns = ? "
    "AND p.sha256 = ? AND p.removed_at IS NULL"
)
PICKUPS_LEFT: Final = f"{_SELECT}{_OF_FLOW}AND p.door = ? AND NOT p.done ORDER BY p.id LIMIT ?"
LIST_PICKUPS: Final = f"{_SELECT}{_OF_FLOW}AND p.id < ? ORDER BY p.id DESC LIMIT ?"
_INSERT: Final = (
    "INSERT INTO pickups (id, flow, door, place, name, size, modified_ns, sha256, at, report, list, "
    "code, rejected, removed_at, reported_at, told_at, done) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NOTE_STEPS: Final = (
    "UPDATE pickups SET removed_at = ?, reported_at = ?, told_at = ?, done = ? WHERE id = ?"
)
_CLEAR: Final = (
    "DELETE FROM pickups WHERE id IN (SELECT id FROM pickups WHERE done AND at < ? LIMIT ?)"
)
_KEEP_STATE: Final = (
    "INSERT OR REPLACE INTO drop_states (flow, door, code, detail, since) VALUES (?, ?, ?, ?, ?)"
)
FIND_STATE: Final = (
    "SELECT s.code, s.detail, s.since FROM drop_states s JOIN flows f ON f.n = s.flow "
    "JOIN accounts a ON a.n = f.account WHERE f.id = ? AND a.id = ? AND s.door = ?"
)
_LAST: Final = "~"
"""Behind every id."""


class SqlitePickups(Connected):
    """The methods of `engine.ports.pickups.PickupStore`."""

    async def find_pickup(
        self, account: str, flow: str, place: str, file: FileMark
    ) -> Pickup | None:
        """The pick-up of a file that may be there still."""
        return await self._readers.row(
            FIND_PICKUP, (flow, account, *_there(place, file)), to_pickup
        )

    async def keep_refusal(self, pickup: Pickup, event: Event) -> Pickup | None:
        """Keep a file of which nothing was taken. Raises LookupError for an unknown flow."""
        return await self._writer.submit(lambda unit: _keep_refusal(unit, pickup, event))

    async def pickups_left(self, account: str, flow: str, door: Door, limit: int) -> list[Pickup]:
        """Those that are not done, the oldest first."""
        return await self._readers.rows(PICKUPS_LEFT, (flow, account, door, limit), to_pickup)

    async def note_pickup_steps(self, pickup: Pickup) -> None:
        """Keep when its steps were done."""
        await self._writer.submit(lambda unit: _note_steps(unit, pickup))

    async def list_pickups(
        self, account: str, flow: str, limit: int, cursor: str | None
    ) -> Page[Pickup]:
        """The newest first."""
        before = _LAST if cursor is None else read_cursor(cursor, ID_CURSOR)[0]
        return await self._readers.page(
            LIST_PICKUPS,
            (flow, account, before),
            limit,
            to_pickup,
            lambda one: cursor_of(one.id),
        )

    async def clear_pickups(self, before: float, limit: int) -> int:
        """Forget pick-ups that are done."""
        return await self._writer.submit(
            lambda unit: unit.execute(_CLEAR, (before, limit)).rowcount
        )

    async def drop_state(self, account: str, flow: str, door: Place) -> DropState | None:
        """How a door stands."""
        return await self._readers.row(
            FIND_STATE, (flow, account, door), lambda row: DropState(*row)
        )

    async def keep_drop_state(
        self, account: str, flow: str, door: Place, state: DropState, event: Event | None
    ) -> None:
        """Keep how a door stands. Raises LookupError for an unknown flow."""
        await self._writer.submit(lambda unit: _keep_state(unit, account, flow, door, state, event))


def find_pickup(unit: Unit, pickup: Pickup) -> Pickup | None:
    """The pick-up that the file of this one has already."""
    of = pickup.flow, pickup.account
    row = unit.row(FIND_PICKUP, (*of, *_there(pickup.place, pickup.file)))
    return None if row is None else to_pickup(row)


def keep_pickup(unit: Unit, pickup: Pickup) -> None:
    """Write a pick-up down. Raises LookupError for an unknown flow."""
    file = pickup.file
    unit.execute(
        _INSERT,
        (
            pickup.id,
            _flow_n(unit, pickup.account, pickup.flow),
            pickup.door,
            pickup.place,
            file.name,
            file.size,
            file.modified_ns,
            file.sha256,
            pickup.at,
            pickup.report,
            pickup.list,
            pickup.code,
            pickup.rejected,
            *_steps_row(pickup),
        ),
    )


def to_pickup(row: Row) -> Pickup:
    """A pick-up, from the columns of `FIND_PICKUP`."""
    values: Row = (*row[:5], FileMark(*row[5:9]), *row[9:])
    return Pickup(*values)


def _keep_refusal(unit: Unit, pickup: Pickup, event: Event) -> Pickup | None:
    earlier = find_pickup(unit, pickup)
    if earlier is None:
        keep_pickup(unit, pickup)
        unit.tell((event,))
    return earlier


def _note_steps(unit: Unit, pickup: Pickup) -> None:
    unit.execute(_NOTE_STEPS, (*_steps_row(pickup), pickup.id))


def _keep_state(
    unit: Unit, account: str, flow: str, door: Place, state: DropState, event: Event | None
) -> None:
    n = _flow_n(unit, account, flow)
    unit.execute(_KEEP_STATE, (n, door, state.code, state.detail, state.since))
    if event is not None:
        unit.tell((event,))


def _flow_n(unit: Unit, account: str, flow: str) -> int:
    row = unit.row(
        "SELECT f.n FROM flows f JOIN accounts a ON a.n = f.account WHERE f.id = ? AND a.id = ?",
        (flow, account),
    )
    if row is None:
        raise LookupError(f"the account {account} has no flow {flow}")
    return int(row[0])


def _there(place: str, file: FileMark) -> Row:
    return (place, file.name, file.size, file.modified_ns, file.sha256)


def _steps_row(pickup: Pickup) -> Row:
    return (pickup.removed_at, pickup.reported_at, pickup.told_at, pickup.is_done)
