"""The table of letters; a migration of `adapters.sqlite.schema`."""

from __future__ import annotations

from typing import Final

LETTERS: Final = (
    """
    CREATE TABLE letters (
        id TEXT PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES accounts (n),
        key TEXT NOT NULL,
        recipient TEXT NOT NULL,
        subject TEXT NOT NULL,
        text TEXT NOT NULL,
        created_at REAL NOT NULL,
        due_at REAL,
        in_reply_to TEXT,
        state TEXT NOT NULL,
        tries INTEGER NOT NULL,
        last TEXT NOT NULL,
        done_at REAL,
        attachments BLOB NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX letters_by_key ON letters (account, key)",
    "CREATE INDEX letters_due ON letters (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX letters_done ON letters (done_at) WHERE done_at IS NOT NULL",
    "CREATE INDEX letters_to ON letters (account, recipient, created_at)",
)
