"""How a database of an earlier release becomes one of this release. The tables stand with what they are of.

Migrations run forward only, each in a transaction with the note that it ran (sqlite-utils keeps those in
`_sqlite_migrations`). A release never changes a migration that an earlier one shipped; it adds one.

What is odd in the tables on purpose:

- Accounts, flows and lists have a short number `n` beside their id. Rows that come in millions refer to
  that, which keeps them and their indexes small. It never leaves this folder.
- A list without an id is one that is still being taken in, a piece at a time. Nothing finds it, because
  everything looks for lists by id, account or flow, and those are set with the last piece.
- Contacts per state and disposition are counted on the list, in the transaction that changes them. Two
  flags repeat what the counts say: they change seldom, so that the indexes over them do, too.
- Contacts of a large list are kept in blocks of some hundred until they are called or changed; see `blocks`.
- Open contacts are counted by list, reason and minute as well, so that nobody who wants to know what a
  million of them wait for has to look at each.
- Attempts and events refer to rows that the transaction that adds them has just read or changed; asking
  for that once more, as a foreign key, would cost a twentieth of a call's writing.
- Tables without a rowid are those whose rows are small or are read in the order of their key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from adapters.sqlite.activation_tables import ACTIVATIONS
from adapters.sqlite.agent_tables import AGENTS, REASONS
from adapters.sqlite.audit import AUDIT
from adapters.sqlite.blocks import BLOCKS
from adapters.sqlite.call_tables import (
    ATTEMPTS,
    CALLERS,
    CONTENTS,
    COUNTRIES,
    DETOURS,
    HISTORY,
    LISTS,
    PRIORITIES,
    PROMISES,
    REACHED,
    RECORDINGS,
    REVISIONS,
)
from adapters.sqlite.hook_tables import WEBHOOKS
from adapters.sqlite.letter_tables import LETTERS
from adapters.sqlite.moving import LIST_PRIORITIES, MOVING, PAUSES
from adapters.sqlite.pickup_tables import MAILS_DONE, PICKUPS
from adapters.sqlite.setting_tables import (
    ACCOUNT_RULES,
    DID_RESTS,
    DO_NOT_CALL,
    KEYS,
    LIVES,
    SETTINGS,
    STOPPED,
    VERSIONS,
)
from adapters.sqlite.waits import WAITS

if TYPE_CHECKING:
    from sqlite_utils import Database

MIGRATION_SET: Final = "callwheel"


class DatabaseTooNew(Exception):
    """The database was written by a later release than this."""


class Migration(Struct, frozen=True):
    """One step forward."""

    name: str
    """Its number and what it does; kept in the database for good."""
    statements: tuple[str, ...]


MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration("0001 settings, lists, attempts, events", SETTINGS + LISTS + ATTEMPTS),
    Migration("0002 detours", DETOURS),
    Migration("0003 agents, legs", AGENTS),
    Migration("0004 recordings", RECORDINGS),
    Migration("0005 flow versions", VERSIONS),
    Migration("0006 account rules", ACCOUNT_RULES),
    Migration("0007 do-not-call ranges, expiry and changes", DO_NOT_CALL),
    Migration("0008 stopped accounts", STOPPED),
    Migration("0009 numbers that were reached", REACHED),
    Migration("0010 contents of lists", CONTENTS),
    Migration("0011 waits of contacts", WAITS),
    Migration("0012 what contacts remember", HISTORY),
    Migration("0013 promised lists", PROMISES),
    Migration("0014 webhooks", WEBHOOKS),
    Migration("0015 start times that are being changed", MOVING),
    Migration("0016 names, scopes and ends of keys", KEYS),
    Migration("0017 rests of DIDs", DID_RESTS),
    Migration("0018 audit log", AUDIT),
    Migration("0019 countries that were called", COUNTRIES),
    Migration("0020 who called a number", CALLERS),
    Migration("0021 pauses of flows and accounts", PAUSES),
    Migration("0022 priorities of contacts", PRIORITIES),
    Migration("0023 pick-ups", PICKUPS),
    Migration("0024 revisions of lists, lives of keys", REVISIONS + LIVES),
    Migration("0025 priorities of lists", LIST_PRIORITIES),
    Migration("0026 blocks of untouched contacts", BLOCKS),
    Migration("0027 letters", LETTERS),
    Migration("0028 requests to activate listeners", ACTIVATIONS),
    Migration("0029 mails that stayed undone", MAILS_DONE),
    Migration("0030 why agents are there or away", REASONS),
)
"""In the order in which they run."""


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether a database is just as this release has it, which is what most starts find: they are spared
    the import of sqlite-utils, a tenth of their time."""
    try:
        applied = connection.execute(
            "SELECT name FROM _sqlite_migrations WHERE migration_set = ?", (MIGRATION_SET,)
        ).fetchall()
    except (
        sqlite3.OperationalError
    ):  # no such table: it is new, and whatever else is wrong comes back
        return False
    return sorted(name for (name,) in applied) == sorted(one.name for one in MIGRATIONS)


def migrate(db: Database, migrations: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Bring a database forward; the names of the migrations that ran. Raises `DatabaseTooNew`, with
    nothing changed, where a migration was applied that this release does not know."""
    from sqlite_utils.migrations import Migrations

    steps = Migrations(MIGRATION_SET)
    for migration in migrations:
        steps(name=migration.name)(partial(_run, migration))
    known = [migration.name for migration in migrations]
    applied = [one.name for one in steps.applied(db)]
    unknown = sorted(set(applied) - set(known))
    if unknown:
        raise DatabaseTooNew(
            f"The database has the migration {unknown[-1]!r}, which this release does not know: "
            "it was written by a later release. Start that release, or restore a backup."
        )
    steps.apply(db)
    return [name for name in known if name not in applied]


def _run(migration: Migration, db: Any) -> None:
    for statement in migration.statements:
        db.execute(statement)
