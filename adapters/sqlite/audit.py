"""The audit log, written in the transactions of the changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from adapters.sqlite.rows import text
from adapters.sqlite.unit import Unit
from engine.model.audit import AUDIT_KEPT_S, AuditEntry, Auditing

T = TypeVar("T")

AUDIT: Final = (
    """
    CREATE TABLE audit (
        n INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        account INTEGER,  -- NULL: the installation's
        key TEXT NOT NULL,
        role TEXT NOT NULL,
        source TEXT NOT NULL,
        action TEXT NOT NULL,
        targets TEXT NOT NULL,  -- JSON
        detail TEXT NOT NULL    -- JSON
    )
    """,
    "CREATE INDEX audit_by_account ON audit (account, n)",
)
"""What the schema needs for it."""

PURGED_AT_ONCE: Final = 4
"""Old entries that each new one takes along, so that they go faster than they come."""
PURGE: Final = "DELETE FROM audit WHERE at <= ? AND n IN (SELECT n FROM audit ORDER BY n LIMIT ?)"


def audited(operation: Callable[[Unit], T], auditing: Auditing) -> Callable[[Unit], T]:
    """The operation, which takes the entry along where it changes something: the answer that is kept for a
    request is no such thing."""

    def run(unit: Unit) -> T:
        mark = unit.mark_of_things()
        result = operation(unit)
        if unit.mark_of_things() != mark:
            _keep(unit, auditing.entry)
            # Should this transaction be rolled back, the operation runs again by itself or is refused.
            auditing.is_kept = True
        return result

    return run


def _keep(unit: Unit, entry: AuditEntry) -> None:
    unit.execute(
        "INSERT INTO audit (at, account, key, role, source, action, targets, detail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.at,
            None if entry.account is None else unit.account_n(entry.account),
            entry.key,
            entry.role,
            entry.source,
            entry.action,
            text(entry.targets),
            text(entry.detail),
        ),
    )
    unit.execute(PURGE, (entry.at - AUDIT_KEPT_S, PURGED_AT_ONCE))
