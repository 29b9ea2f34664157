"""Requests to activate listeners, and what became of them."""

from __future__ import annotations

from typing import Final

import msgspec

from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import ID_CURSOR, cursor_of, read_cursor
from adapters.sqlite.flows import change_flow, find_flow
from adapters.sqlite.letters import keep_letter
from adapters.sqlite.refusals import activation_pending, too_many_activations
from adapters.sqlite.rows import Row, text
from adapters.sqlite.unit import Unit
from engine.model.activation import (
    PENDING_MAX,
    STATUSES,
    Activation,
    ActivationStatus,
    Decide,
    Decision,
)
from engine.ports.stored import Page

_SELECT: Final = (
    "SELECT v.id, a.id, v.mail, v.sender, v.subject, v.message_id, v.flow, v.numbers, v.created_at, "
    "v.expires_at, v.status, v.code, v.reason, v.decided_at, v.decided_by "
    "FROM activations v JOIN accounts a ON a.n = v.account "
)
FIND_ACTIVATION: Final = f"{_SELECT}WHERE v.id = ? AND a.id = ?"
_OF_ACCOUNT: Final = "WHERE v.account = (SELECT n FROM accounts WHERE id = ?) "
_PAGE: Final = "AND v.id < ? ORDER BY v.id DESC LIMIT ?"
LISTINGS: Final[dict[ActivationStatus | None, str]] = {
    None: f"{_SELECT}{_OF_ACCOUNT}{_PAGE}",
    **{status: f"{_SELECT}{_OF_ACCOUNT}AND v.status = '{status}' {_PAGE}" for status in STATUSES},
}
"""By the status that is asked for; those that are pending have an index of their own."""
EXPIRING: Final = (
    f"{_SELECT}WHERE v.status = 'pending' AND v.expires_at <= ? ORDER BY v.expires_at, v.id LIMIT ?"
)
FIND_MAIL: Final = "SELECT 1 FROM activations WHERE account = ? AND mail = ?"
FIND_PENDING: Final = (
    "SELECT id FROM activations WHERE account = ? AND flow = ? AND status = 'pending'"
)
COUNT_PENDING: Final = "SELECT COUNT(*) FROM activations WHERE account = ? AND status = 'pending'"
OWN_NUMBERS: Final = (
    "SELECT d.number FROM dids d JOIN json_each(?) j ON j.value = d.number WHERE d.account = ?"
)
_INSERT: Final = (
    "INSERT INTO activations (id, account, mail, sender, subject, message_id, flow, numbers, created_at, "
    "expires_at, status, code, reason, decided_at, decided_by) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_DECIDE: Final = (
    "UPDATE activations SET status = ?, code = ?, reason = ?, decided_at = ?, decided_by = ? "
    "WHERE id = ?"
)
_CLEAR: Final = (
    "DELETE FROM activations WHERE id IN (SELECT id FROM activations WHERE decided_at < ? LIMIT ?)"
)
_LAST: Final = "~"
"""Behind every id."""

_read_numbers = msgspec.json.Decoder(tuple[str, ...]).decode


class SqliteActivations(Connected):
    """The methods of `engine.ports.activations.ActivationStore`."""

    async def add_activation(self, made: Decision) -> bool:
        """Keep a new request. Raises LookupError for an unknown account."""
        return await self._writer.submit(lambda unit: _add(unit, made))

    async def get_activation(self, account: str, activation: str) -> Activation | None:
        """One request of the account."""
        return await self._readers.row(FIND_ACTIVATION, (activation, account), to_activation)

    async def decide_activation(
        self, account: str, activation: str, decide: Decide
    ) -> Activation | None:
        """Replace a request by what `decide` says, which runs in the writer's thread and may run twice."""
        return await self._writer.submit(lambda unit: _decide(unit, account, activation, decide))

    async def list_activations(
        self, account: str, status: ActivationStatus | None, limit: int, cursor: str | None
    ) -> Page[Activation]:
        """The newest first."""
        before = _LAST if cursor is None else read_cursor(cursor, ID_CURSOR)[0]
        return await self._readers.page(
            LISTINGS[status], (account, before), limit, to_activation, lambda one: cursor_of(one.id)
        )

    async def activations_to_expire(self, until: float, limit: int) -> list[Activation]:
        """Pending ones whose time is over."""
        return await self._readers.rows(EXPIRING, (until, limit), to_activation)

    async def clear_activations(self, before: float, limit: int) -> int:
        """Forget requests that were decided."""
        return await self._writer.submit(
            lambda unit: unit.execute(_CLEAR, (before, limit)).rowcount
        )


def to_activation(row: Row) -> Activation:
    """A request, from the columns of `FIND_ACTIVATION`."""
    id_, account, mail, sender, subject, message_id, flow, numbers, created_at, *rest = row
    expires_at, status, code, reason, decided_at, decided_by = rest
    return Activation(
        id=id_,
        account=account,
        mail=mail,
        sender=sender,
        subject=subject,
        message_id=message_id,
        flow=flow,
        numbers=_read_numbers(numbers),
        created_at=created_at,
        expires_at=expires_at,
        status=status,
        code=code,
        reason=reason,
        decided_at=decided_at,
        decided_by=decided_by,
    )


def _add(unit: Unit, made: Decision) -> bool:
    new = made.activation
    account_n = unit.account_n(new.account)
    if unit.row(FIND_MAIL, (account_n, new.mail)) is not None:
        return False
    if new.status == "pending":
        _require_room(unit, account_n, new)
    unit.execute(
        _INSERT,
        (
            *(new.id, account_n, new.mail, new.sender, new.subject, new.message_id, new.flow),
            *(text(new.numbers), new.created_at, new.expires_at, *_decided_row(new)),
        ),
    )
    _tell(unit, made)
    return True


def _require_room(unit: Unit, account_n: int, new: Activation) -> None:
    pending = unit.row(FIND_PENDING, (account_n, new.flow))
    if pending is not None:
        raise activation_pending(pending[0])
    count = unit.row(COUNT_PENDING, (account_n,))
    assert count is not None
    if count[0] >= PENDING_MAX:
        raise too_many_activations()


def _decide(unit: Unit, account: str, activation: str, decide: Decide) -> Activation | None:
    row = unit.row(FIND_ACTIVATION, (activation, account))
    if row is None:
        return None
    present = to_activation(row)
    flow = None if present.flow is None else find_flow(unit, account, present.flow)
    of_account = (text(present.numbers), unit.account_n(account))
    owned = frozenset(number for (number,) in unit.rows(OWN_NUMBERS, of_account))
    decision = decide(present, flow, owned)
    changed, after = decision.activation, decision.flow
    if after is not None:
        change_flow(unit, account, after.id, lambda _: after)
    unit.execute(_DECIDE, (*_decided_row(changed), changed.id))
    _tell(unit, decision)
    return changed


def _decided_row(one: Activation) -> Row:
    return (one.status, one.code, one.reason, one.decided_at, one.decided_by)


def _tell(unit: Unit, decision: Decision) -> None:
    unit.tell((decision.event,))
    if decision.letter is not None:
        keep_letter(unit, decision.letter)
