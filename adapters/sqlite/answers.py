"""Answers to requests that carried an Idempotency-Key, kept in the transaction of what they answer."""

from __future__ import annotations

from typing import Final

from adapters.sqlite.rules import ANSWER_KEPT_S, stands
from adapters.sqlite.setting_rows import ANSWER_COLUMNS, answer_row, to_answer
from adapters.sqlite.unit import Unit
from engine.ports.stored import IdempotentAnswer

PURGED_AT_ONCE: Final = 4
"""Expired answers that each new one takes along, so that they go faster than they come."""

FIND_ANSWER: Final = f"SELECT {ANSWER_COLUMNS} FROM answers WHERE account = ? AND key = ?"  # noqa: S608, a constant
PURGE_ANSWERS: Final = (
    "DELETE FROM answers WHERE rowid IN "
    "(SELECT rowid FROM answers WHERE created_at <= ? ORDER BY created_at LIMIT ?)"
)


def earlier_answer(unit: Unit, answer: IdempotentAnswer | None) -> IdempotentAnswer | None:
    """The answer that already stands for this one's key."""
    if answer is None:
        return None
    row = unit.row(FIND_ANSWER, (answer.account, answer.key))
    if row is None:
        return None
    earlier = to_answer(row)
    return earlier if stands(earlier, answer.created_at) else None


def keep_answer(unit: Unit, answer: IdempotentAnswer | None) -> None:
    """Let this answer stand for its key, in the place of an expired one."""
    if answer is None:
        return
    unit.execute_aside(
        f"INSERT OR REPLACE INTO answers ({ANSWER_COLUMNS}) "  # noqa: S608, a constant
        "VALUES (?, ?, ?, ?, ?, ?)",
        answer_row(answer),
    )
    unit.execute_aside(PURGE_ANSWERS, (answer.created_at - ANSWER_KEPT_S, PURGED_AT_ONCE))
