"""The tables of what people set: accounts, keys, DIDs, flows, prompts, and who is not to be called; they are
migrations of `adapters.sqlite.schema`."""

from __future__ import annotations

from typing import Final

SETTINGS: Final = (
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

VERSIONS: Final = (
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

ACCOUNT_RULES: Final = (
    "ALTER TABLE accounts ADD COLUMN rules TEXT NOT NULL DEFAULT '{}'",  # JSON
)

DO_NOT_CALL: Final = (
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

STOPPED: Final = ("ALTER TABLE accounts ADD COLUMN stopped_at REAL",)

DID_RESTS: Final = (
    "ALTER TABLE dids ADD COLUMN rest_when TEXT NOT NULL DEFAULT '{}'",  # JSON
    "ALTER TABLE dids ADD COLUMN rest TEXT",  # JSON; NULL while it may be called from
    "ALTER TABLE dids ADD COLUMN counts_from REAL NOT NULL DEFAULT 0",
)

KEYS: Final = (
    "ALTER TABLE keys ADD COLUMN name TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE keys ADD COLUMN scopes TEXT NOT NULL DEFAULT '[]'",  # JSON
    "ALTER TABLE keys ADD COLUMN expires_at REAL",
    "ALTER TABLE keys ADD COLUMN revoked_at REAL",
    "ALTER TABLE keys ADD COLUMN last_used_at REAL",
    "CREATE INDEX keys_by_account ON keys (account, id)",
)

LIVES: Final = (
    "ALTER TABLE keys ADD COLUMN life_s REAL",
    "UPDATE keys SET life_s = expires_at - created_at WHERE expires_at IS NOT NULL",
)
