"""The tables, and how a database of an earlier release becomes one of this release.

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
from adapters.sqlite.audit import AUDIT
from adapters.sqlite.blocks import BLOCKS
from adapters.sqlite.hook_tables import WEBHOOKS
from adapters.sqlite.letter_tables import LETTERS
from adapters.sqlite.moving import LIST_PRIORITIES, MOVING, PAUSES
from adapters.sqlite.pickup_tables import MAILS_DONE, PICKUPS
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


_SETTINGS: Final = (
    """
    CREATE TABLE accounts (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        timezone TEXT NOT NULL,
        email TEXT NOT NULL,
        created_at REAL NOT NULL,
        last_seq INTEGER NOT NULL DEFAULT 0  -- of its events
    )
    """,
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        account INTEGER REFERENCES accounts (n),  -- NULL: the administrator's
        role TEXT NOT NULL,
        sha256 BLOB NOT NULL UNIQUE,
        created_at REAL NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE dids (
        number TEXT PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES accounts (n),
        trunk TEXT NOT NULL,
        cps REAL NOT NULL,
        channels INTEGER NOT NULL,
        caps TEXT NOT NULL  -- JSON
    ) WITHOUT ROWID
    """,
    "CREATE INDEX dids_by_account ON dids (account)",
    """
    CREATE TABLE flows (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        account INTEGER NOT NULL REFERENCES accounts (n),
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        timezone TEXT NOT NULL,
        definition TEXT NOT NULL,  -- JSON
        settings TEXT NOT NULL,    -- JSON
        version INTEGER NOT NULL,
        listener_active INTEGER NOT NULL,
        dids TEXT NOT NULL,        -- JSON
        calls_list TEXT NOT NULL,
        created_at REAL NOT NULL,
        deleted INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX flows_by_account ON flows (account, id)",
    """
    CREATE TABLE prompts (
        account INTEGER NOT NULL REFERENCES accounts (n),
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        duration_s REAL NOT NULL,
        created_at REAL NOT NULL,
        PRIMARY KEY (account, id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE do_not_call (
        account INTEGER NOT NULL REFERENCES accounts (n),
        number TEXT NOT NULL,
        flow TEXT NOT NULL,  -- id, or '' for the whole account
        added_at REAL NOT NULL,
        PRIMARY KEY (account, number, flow)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE answers (
        account TEXT NOT NULL,  -- id, or '' for the administrator
        key TEXT NOT NULL,
        fingerprint BLOB NOT NULL,
        status INTEGER NOT NULL,
        body BLOB NOT NULL,
        created_at REAL NOT NULL,
        PRIMARY KEY (account, key)
    )
    """,
    "CREATE INDEX answers_by_age ON answers (created_at)",
)

_LISTS: Final = (
    """
    CREATE TABLE lists (
        n INTEGER PRIMARY KEY,
        id TEXT UNIQUE,  -- NULL, as account and flow: still being taken in
        account INTEGER REFERENCES accounts (n),
        flow INTEGER REFERENCES flows (n),
        flow_version INTEGER NOT NULL DEFAULT 0,
        name TEXT NOT NULL DEFAULT '',
        source TEXT NOT NULL DEFAULT 'api',
        status TEXT NOT NULL DEFAULT 'scheduled',
        report TEXT NOT NULL DEFAULT '',   -- JSON
        created_at REAL NOT NULL DEFAULT 0,
        started_at REAL,
        finished_at REAL,
        header TEXT NOT NULL DEFAULT '[]', -- JSON
        standing INTEGER NOT NULL DEFAULT 0,
        contacts INTEGER NOT NULL DEFAULT 0,
        open INTEGER NOT NULL DEFAULT 0,
        dialing INTEGER NOT NULL DEFAULT 0,
        completed INTEGER NOT NULL DEFAULT 0,
        dispositions TEXT NOT NULL DEFAULT '{}', -- JSON
        has_open INTEGER NOT NULL DEFAULT 0,     -- open > 0
        unfinished INTEGER NOT NULL DEFAULT 0    -- completed < contacts
    )
    """,
    "CREATE INDEX lists_by_account ON lists (account, created_at, id)",
    "CREATE INDEX lists_by_flow ON lists (flow, created_at, id)",
    "CREATE INDEX lists_open ON lists (status) WHERE has_open",
    "CREATE INDEX lists_unfinished ON lists (flow) WHERE unfinished",
    """
    CREATE TABLE contacts (
        id TEXT PRIMARY KEY,
        list INTEGER NOT NULL REFERENCES lists (n),
        row INTEGER NOT NULL,
        tel TEXT NOT NULL,        -- JSON
        variables TEXT,           -- JSON; NULL for none
        starttime REAL NOT NULL,
        reference TEXT,
        state TEXT NOT NULL,
        due_at REAL NOT NULL,
        wait_code TEXT NOT NULL,
        tel_index INTEGER NOT NULL,
        spent INTEGER NOT NULL,
        tries TEXT,               -- JSON; NULL for none
        disposition TEXT,
        completed_at REAL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX contacts_by_row ON contacts (list, row, id)",
    # The last two columns are there so that counting and searching need not look at the contacts.
    "CREATE INDEX contacts_due ON contacts (list, due_at, id, wait_code, state) WHERE state = 'open'",
    """
    CREATE TABLE rejected (
        list INTEGER NOT NULL REFERENCES lists (n),
        place INTEGER NOT NULL,  -- in the order they came, from 0
        row INTEGER NOT NULL,
        "column" TEXT,
        code TEXT NOT NULL,
        detail TEXT NOT NULL,
        cells TEXT NOT NULL,     -- JSON
        PRIMARY KEY (list, place)
    ) WITHOUT ROWID
    """,
)

_ATTEMPTS: Final = (
    """
    CREATE TABLE attempts (
        account INTEGER NOT NULL,
        id TEXT NOT NULL,
        flow INTEGER NOT NULL,
        list INTEGER NOT NULL,
        contact TEXT NOT NULL,
        number TEXT NOT NULL,
        did TEXT NOT NULL,
        trunk TEXT NOT NULL,
        status TEXT NOT NULL,
        initiated_at REAL NOT NULL,
        disposition TEXT,
        ringing_at REAL,
        answered_at REAL,
        ended_at REAL,
        detail TEXT,  -- JSON: what was said on the wire and on the call; NULL for nothing yet
        PRIMARY KEY (account, id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX attempts_by_time ON attempts (account, initiated_at)",
    "CREATE INDEX attempts_by_flow ON attempts (flow, id)",
    "CREATE INDEX attempts_by_list ON attempts (list, id)",
    "CREATE INDEX attempts_by_contact ON attempts (contact, id)",
    "CREATE INDEX attempts_open ON attempts (account) WHERE ended_at IS NULL",
    """
    CREATE TABLE events (
        account INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        list INTEGER NOT NULL,
        type TEXT NOT NULL,
        body BLOB NOT NULL,  -- JSON
        PRIMARY KEY (account, seq)
    ) WITHOUT ROWID
    """,
)

_DETOURS: Final = (
    "ALTER TABLE contacts ADD COLUMN detour TEXT",
    "ALTER TABLE contacts ADD COLUMN detoured INTEGER NOT NULL DEFAULT 0",
)

_AGENTS: Final = (
    "ALTER TABLE contacts ADD COLUMN agent TEXT",
    """
    CREATE TABLE agents (
        id TEXT PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES accounts (n),
        flow INTEGER NOT NULL REFERENCES flows (n),
        number TEXT NOT NULL,
        name TEXT NOT NULL,
        wrap_up_s REAL,
        presence TEXT NOT NULL,
        presence_at REAL NOT NULL,
        created_at REAL NOT NULL,
        UNIQUE (flow, number)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX agents_by_flow ON agents (flow, id)",
    """
    CREATE TABLE legs (
        id TEXT PRIMARY KEY,
        account INTEGER NOT NULL,
        flow INTEGER NOT NULL,
        list INTEGER NOT NULL,
        number TEXT NOT NULL,
        did TEXT NOT NULL,
        trunk TEXT NOT NULL,
        initiated_at REAL NOT NULL,
        attempt TEXT,
        contact TEXT,
        agent TEXT,
        answered_at REAL,
        ended_at REAL,
        outcome TEXT,
        sip_code INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE INDEX legs_by_time ON legs (initiated_at)",
    "CREATE INDEX legs_by_attempt ON legs (attempt, id) WHERE attempt IS NOT NULL",
    "CREATE INDEX legs_open ON legs (id) WHERE ended_at IS NULL",
    """
    CREATE TABLE answer_days (
        flow INTEGER NOT NULL,
        day INTEGER NOT NULL,  -- since the epoch, UTC
        answered INTEGER NOT NULL,
        abandoned INTEGER NOT NULL,
        PRIMARY KEY (flow, day)
    ) WITHOUT ROWID
    """,
)

_RECORDINGS: Final = (
    """
    CREATE TABLE recordings (
        id TEXT PRIMARY KEY,
        account INTEGER NOT NULL,
        attempt TEXT NOT NULL,
        created_at REAL NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX recordings_by_account ON recordings (account, id)",
    "CREATE INDEX recordings_by_attempt ON recordings (attempt, id)",
)

_VERSIONS: Final = (
    # A version whose graph is that of the one before it has no row.
    """
    CREATE TABLE flow_versions (
        flow INTEGER NOT NULL REFERENCES flows (n),
        version INTEGER NOT NULL,
        definition TEXT NOT NULL,  -- JSON
        PRIMARY KEY (flow, version)
    ) WITHOUT ROWID
    """,
    "INSERT INTO flow_versions SELECT n, version, definition FROM flows",
    # What earlier graphs were is not known any more: lists that are there go on with the present one.
    "UPDATE lists SET flow_version = (SELECT f.version FROM flows f WHERE f.n = lists.flow) "
    "WHERE flow IS NOT NULL AND (unfinished OR standing)",
    "ALTER TABLE contacts ADD COLUMN flow_version INTEGER NOT NULL DEFAULT 1",
    "UPDATE contacts SET flow_version = (SELECT l.flow_version FROM lists l WHERE l.n = contacts.list)",
)

_ACCOUNT_RULES: Final = (
    "ALTER TABLE accounts ADD COLUMN rules TEXT NOT NULL DEFAULT '{}'",  # JSON
)

_DO_NOT_CALL: Final = (
    "ALTER TABLE do_not_call ADD COLUMN expires_at REAL",
    "ALTER TABLE do_not_call ADD COLUMN note TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE do_not_call ADD COLUMN source TEXT NOT NULL DEFAULT 'api'",
    "ALTER TABLE do_not_call ADD COLUMN added_by TEXT",
    "ALTER TABLE do_not_call ADD COLUMN is_prefix INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX do_not_call_prefixes ON do_not_call (account, number) WHERE is_prefix",
    """
    CREATE TABLE do_not_call_changes (
        n INTEGER PRIMARY KEY,
        account INTEGER NOT NULL,
        at REAL NOT NULL,
        action TEXT NOT NULL,
        number TEXT NOT NULL,
        flow TEXT NOT NULL,  -- id, or '' for the whole account
        source TEXT NOT NULL,
        by TEXT,
        expires_at REAL,
        note TEXT NOT NULL
    )
    """,
    "CREATE INDEX do_not_call_changes_by_account ON do_not_call_changes (account, n)",
)

_STOPPED: Final = ("ALTER TABLE accounts ADD COLUMN stopped_at REAL",)

_REACHED: Final = (
    "CREATE INDEX attempts_reached ON attempts (list, number, contact) "
    "WHERE disposition IN ('answered', 'declined')",
)

_CONTENTS: Final = (
    "ALTER TABLE lists ADD COLUMN content_sha256 BLOB",
    "CREATE INDEX lists_by_content ON lists (flow, content_sha256, created_at) "
    "WHERE content_sha256 IS NOT NULL",
)

_HISTORY: Final = ("ALTER TABLE contacts ADD COLUMN history TEXT",)  # JSON; NULL for none
_PROMISES: Final = (
    # Of lists without an id: what they are to be if nothing more of them comes.
    """
    CREATE TABLE promised_lists (
        list INTEGER PRIMARY KEY REFERENCES lists (n),
        call_list TEXT NOT NULL  -- JSON
    )
    """,
)
_DID_RESTS: Final = (
    "ALTER TABLE dids ADD COLUMN rest_when TEXT NOT NULL DEFAULT '{}'",  # JSON
    "ALTER TABLE dids ADD COLUMN rest TEXT",  # JSON; NULL while it may be called from
    "ALTER TABLE dids ADD COLUMN counts_from REAL NOT NULL DEFAULT 0",
)

_KEYS: Final = (
    "ALTER TABLE keys ADD COLUMN name TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE keys ADD COLUMN scopes TEXT NOT NULL DEFAULT '[]'",  # JSON
    "ALTER TABLE keys ADD COLUMN expires_at REAL",
    "ALTER TABLE keys ADD COLUMN revoked_at REAL",
    "ALTER TABLE keys ADD COLUMN last_used_at REAL",
    "CREATE INDEX keys_by_account ON keys (account, id)",
)

_COUNTRIES: Final = (
    """
    CREATE TABLE account_countries (
        account INTEGER NOT NULL REFERENCES accounts (n),
        country TEXT NOT NULL,
        first_at REAL NOT NULL,
        PRIMARY KEY (account, country)
    ) WITHOUT ROWID
    """,
)
_CALLERS: Final = ("CREATE INDEX attempts_by_number ON attempts (account, number, id, did)",)
_PRIORITIES: Final = (
    "ALTER TABLE contacts ADD COLUMN priority TEXT",  # NULL: the flow's
    "CREATE INDEX contacts_urgent ON contacts (list, due_at, id) "
    "WHERE state = 'open' AND priority = 'urgent'",
)
_REVISIONS: Final = ("ALTER TABLE lists ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",)
_LIVES: Final = (
    "ALTER TABLE keys ADD COLUMN life_s REAL",
    "UPDATE keys SET life_s = expires_at - created_at WHERE expires_at IS NOT NULL",
)

MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration("0001 settings, lists, attempts, events", _SETTINGS + _LISTS + _ATTEMPTS),
    Migration("0002 detours", _DETOURS),
    Migration("0003 agents, legs", _AGENTS),
    Migration("0004 recordings", _RECORDINGS),
    Migration("0005 flow versions", _VERSIONS),
    Migration("0006 account rules", _ACCOUNT_RULES),
    Migration("0007 do-not-call ranges, expiry and changes", _DO_NOT_CALL),
    Migration("0008 stopped accounts", _STOPPED),
    Migration("0009 numbers that were reached", _REACHED),
    Migration("0010 contents of lists", _CONTENTS),
    Migration("0011 waits of contacts", WAITS),
    Migration("0012 what contacts remember", _HISTORY),
    Migration("0013 promised lists", _PROMISES),
    Migration("0014 webhooks", WEBHOOKS),
    Migration("0015 start times that are being changed", MOVING),
    Migration("0016 names, scopes and ends of keys", _KEYS),
    Migration("0017 rests of DIDs", _DID_RESTS),
    Migration("0018 audit log", AUDIT),
    Migration("0019 countries that were called", _COUNTRIES),
    Migration("0020 who called a number", _CALLERS),
    Migration("0021 pauses of flows and accounts", PAUSES),
    Migration("0022 priorities of contacts", _PRIORITIES),
    Migration("0023 pick-ups", PICKUPS),
    Migration("0024 revisions of lists, lives of keys", _REVISIONS + _LIVES),
    Migration("0025 priorities of lists", LIST_PRIORITIES),
    Migration("0026 blocks of untouched contacts", BLOCKS),
    Migration("0027 letters", LETTERS),
    Migration("0028 requests to activate listeners", ACTIVATIONS),
    Migration("0029 mails that stayed undone", MAILS_DONE),
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
