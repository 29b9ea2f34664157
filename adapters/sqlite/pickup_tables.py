"""The tables of pick-ups and of the doors that they came through; a migration of `adapters.sqlite.schema`."""

from __future__ import annotations

from typing import Final

PICKUPS: Final = (
    """
    CREATE TABLE pickups (
        id TEXT PRIMARY KEY,
        flow INTEGER NOT NULL REFERENCES flows (n),
        door TEXT NOT NULL,
        place TEXT NOT NULL,
        name TEXT NOT NULL,
        size INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        sha256 BLOB NOT NULL,
        at REAL NOT NULL,
        report TEXT NOT NULL,
        list TEXT,
        code TEXT NOT NULL,
        rejected INTEGER NOT NULL,
        removed_at REAL,
        reported_at REAL,
        told_at REAL,
        done INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    # A file is taken once as long as it may be there.
    "CREATE UNIQUE INDEX pickups_there ON pickups (flow, place, name, size, modified_ns, sha256) "
    "WHERE removed_at IS NULL",
    "CREATE INDEX pickups_left ON pickups (flow, door, id) WHERE NOT done",
    "CREATE INDEX pickups_by_flow ON pickups (flow, id)",
    "CREATE INDEX pickups_done ON pickups (at) WHERE done",
    """
    CREATE TABLE drop_states (
        flow INTEGER NOT NULL REFERENCES flows (n),
        door TEXT NOT NULL,
        code TEXT NOT NULL,
        detail TEXT NOT NULL,
        since REAL NOT NULL,
        PRIMARY KEY (flow, door)
    ) WITHOUT ROWID
    """,
)

MAILS_DONE: Final = ("UPDATE pickups SET done = 1 WHERE door = 'email'",)
"""A crash left mails undone for ever between their leaving the spool and its being written down."""
