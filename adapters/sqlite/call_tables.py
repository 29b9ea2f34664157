"""The tables of whom to call and of what came of it: lists, contacts, attempts and events; migrations of
`adapters.sqlite.schema`."""

from __future__ import annotations

from typing import Final

LISTS: Final = (
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

ATTEMPTS: Final = (
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

DETOURS: Final = (
    "ALTER TABLE contacts ADD COLUMN detour TEXT",
    "ALTER TABLE contacts ADD COLUMN detoured INTEGER NOT NULL DEFAULT 0",
)

RECORDINGS: Final = (
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

REACHED: Final = (
    "CREATE INDEX attempts_reached ON attempts (list, number, contact) "
    "WHERE disposition IN ('answered', 'declined')",
)

CONTENTS: Final = (
    "ALTER TABLE lists ADD COLUMN content_sha256 BLOB",
    "CREATE INDEX lists_by_content ON lists (flow, content_sha256, created_at) "
    "WHERE content_sha256 IS NOT NULL",
)

HISTORY: Final = ("ALTER TABLE contacts ADD COLUMN history TEXT",)  # JSON; NULL for none

PROMISES: Final = (
    # Of lists without an id: what they are to be if nothing more of them comes.
    """
    CREATE TABLE promised_lists (
        list INTEGER PRIMARY KEY REFERENCES lists (n),
        call_list TEXT NOT NULL  -- JSON
    )
    """,
)

COUNTRIES: Final = (
    """
    CREATE TABLE account_countries (
        account INTEGER NOT NULL REFERENCES accounts (n),
        country TEXT NOT NULL,
        first_at REAL NOT NULL,
        PRIMARY KEY (account, country)
    ) WITHOUT ROWID
    """,
)

CALLERS: Final = ("CREATE INDEX attempts_by_number ON attempts (account, number, id, did)",)

PRIORITIES: Final = (
    "ALTER TABLE contacts ADD COLUMN priority TEXT",  # NULL: the flow's
    "CREATE INDEX contacts_urgent ON contacts (list, due_at, id) "
    "WHERE state = 'open' AND priority = 'urgent'",
)

REVISIONS: Final = ("ALTER TABLE lists ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",)
