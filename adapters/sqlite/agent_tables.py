"""The tables of agents, their legs and their days; migrations of `adapters.sqlite.schema`."""

from __future__ import annotations

from typing import Final

AGENTS: Final = (
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

REASONS: Final = ("ALTER TABLE agents ADD COLUMN presence_reason TEXT",)
