"""The table of requests to activate listeners; a migration of `adapters.sqlite.schema`."""

from __future__ import annotations

from typing import Final

ACTIVATIONS: Final = (
    """
    CREATE TABLE activations (
        id TEXT PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES accounts (n),
        mail TEXT NOT NULL,
        sender TEXT NOT NULL,
        subject TEXT NOT NULL,
        message_id TEXT,
        flow TEXT,  -- id; NULL where the mail named none of the account
        numbers TEXT NOT NULL,  -- JSON
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        status TEXT NOT NULL,
        code TEXT NOT NULL,
        reason TEXT NOT NULL,
        decided_at REAL,  -- NULL: pending
        decided_by TEXT
    )
    """,
    "CREATE UNIQUE INDEX activations_by_mail ON activations (account, mail)",
    "CREATE INDEX activations_by_account ON activations (account, id)",
    "CREATE UNIQUE INDEX activations_pending ON activations (account, flow) WHERE status = 'pending'",
    "CREATE INDEX activations_expiring ON activations (expires_at) WHERE status = 'pending'",
    "CREATE INDEX activations_decided ON activations (decided_at) WHERE decided_at IS NOT NULL",
)
