"""The tables of webhooks and their deliveries; a migration of `adapters.sqlite.schema`."""

from __future__ import annotations

from typing import Final

WEBHOOKS: Final = (
    """
    CREATE TABLE disabled_hooks (
        flow INTEGER PRIMARY KEY REFERENCES flows (n),
        url TEXT NOT NULL,  -- a hook with another address is not disabled
        at REAL NOT NULL
    )
    """,
    """
    CREATE TABLE deliveries (
        account INTEGER NOT NULL,
        seq INTEGER NOT NULL,     -- of the event
        flow INTEGER NOT NULL,
        subject TEXT NOT NULL,    -- contact or list
        state TEXT NOT NULL,
        created_at REAL NOT NULL,
        begun_at REAL NOT NULL,
        due_at REAL,              -- NULL while an earlier one of the subject is pending, and when done
        tries INTEGER NOT NULL DEFAULT 0,
        last TEXT,                -- JSON
        done_at REAL,
        PRIMARY KEY (account, seq)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX deliveries_due ON deliveries (flow, due_at, seq) "
    "WHERE state = 'pending' AND due_at IS NOT NULL",
    "CREATE INDEX deliveries_of_subject ON deliveries (flow, subject, seq) WHERE state = 'pending'",
    "CREATE INDEX deliveries_by_flow ON deliveries (flow, seq)",
    "CREATE INDEX deliveries_by_state ON deliveries (flow, state, seq)",
    "CREATE INDEX deliveries_done ON deliveries (done_at) WHERE done_at IS NOT NULL",
)
