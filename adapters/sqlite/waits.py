"""How many open contacts of a list wait, by reason and minute: counted as they come, move and go, so that
nobody who wants to know what a million of them wait for has to look at each."""

from __future__ import annotations

from typing import Final

_COUNT_WAIT: Final = (
    "INSERT INTO contact_waits (list, code, minute, contacts) "
    "VALUES (new.list, new.wait_code, CAST(new.due_at AS INTEGER) / 60, 1) "
    "ON CONFLICT (list, code, minute) DO UPDATE SET contacts = contacts + 1;"
)
_UNCOUNT_WAIT: Final = "".join(
    f"{change} WHERE list = old.list AND code = old.wait_code "
    f"AND minute = CAST(old.due_at AS INTEGER) / 60{more};"
    for change, more in (
        ("UPDATE contact_waits SET contacts = contacts - 1", ""),
        ("DELETE FROM contact_waits", " AND contacts = 0"),
    )
)

# Triggers, so that no statement over contacts can forget to count.
WAITS: Final = (
    """
    CREATE TABLE contact_waits (
        list INTEGER NOT NULL,
        code TEXT NOT NULL,       -- why they wait
        minute INTEGER NOT NULL,  -- in which they are due, since the epoch
        contacts INTEGER NOT NULL,
        PRIMARY KEY (list, code, minute)
    ) WITHOUT ROWID
    """,
    "INSERT INTO contact_waits SELECT list, wait_code, CAST(due_at AS INTEGER) / 60, count(*) "
    "FROM contacts WHERE state = 'open' GROUP BY 1, 2, 3",
    "CREATE TRIGGER contact_comes AFTER INSERT ON contacts WHEN new.state = 'open' "
    f"BEGIN {_COUNT_WAIT} END",
    "CREATE TRIGGER contact_moves AFTER UPDATE OF state, due_at, wait_code ON contacts "
    f"WHEN old.state = 'open' BEGIN {_UNCOUNT_WAIT} END",
    "CREATE TRIGGER contact_waits_again AFTER UPDATE OF state, due_at, wait_code ON contacts "
    f"WHEN new.state = 'open' BEGIN {_COUNT_WAIT} END",
    "CREATE TRIGGER contact_goes AFTER DELETE ON contacts WHEN old.state = 'open' "
    f"BEGIN {_UNCOUNT_WAIT} END",
)
