"""Migrations run forward, once each, whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from sqlite_utils import Database

from adapters.sqlite.schema import MIGRATIONS, DatabaseTooNew, Migration, is_current, migrate

FIRST = Migration("0001 people", ("CREATE TABLE people (name TEXT)",))
SECOND = Migration(
    "0002 ages",
    ("ALTER TABLE people ADD COLUMN age INTEGER", "UPDATE people SET age = length(name)"),
)
BROKEN = Migration(
    "0003 broken", ("CREATE TABLE half (x)", "DELETE FROM people", "INSERT INTO nowhere VALUES (1)")
)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def test_an_empty_database_gets_every_migration_in_order(connection: sqlite3.Connection) -> None:
    assert migrate(Database(connection), (FIRST, SECOND)) == [FIRST.name, SECOND.name]
    columns = connection.execute("SELECT name FROM pragma_table_info('people')").fetchall()
    assert columns == [("name",), ("age",)]


def test_an_older_database_gets_what_it_lacks_and_keeps_its_rows(
    connection: sqlite3.Connection,
) -> None:
    migrate(Database(connection), (FIRST,))
    connection.execute("INSERT INTO people VALUES ('Asha')")
    assert migrate(Database(connection), (FIRST, SECOND)) == [SECOND.name]
    assert migrate(Database(connection), (FIRST, SECOND)) == []
    assert connection.execute("SELECT * FROM people").fetchall() == [("Asha", 4)]


def test_a_migration_that_fails_leaves_the_version_before_it(
    connection: sqlite3.Connection,
) -> None:
    migrate(Database(connection), (FIRST,))
    connection.execute("INSERT INTO people VALUES ('Asha')")
    with pytest.raises(sqlite3.OperationalError):
        migrate(Database(connection), (FIRST, SECOND, BROKEN))
    assert connection.execute("SELECT * FROM people").fetchall() == [("Asha", 4)]
    assert migrate(Database(connection), (FIRST, SECOND)) == []
    tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchall()
    assert tables == []


def test_a_database_of_a_later_release_is_refused_untouched(connection: sqlite3.Connection) -> None:
    migrate(Database(connection), (FIRST, SECOND))
    before = connection.total_changes
    with pytest.raises(DatabaseTooNew, match=r"'0002 ages'.*later release"):
        migrate(Database(connection), (FIRST,))
    assert connection.total_changes == before


def test_names_of_migrations_are_numbered_from_one() -> None:
    numbers = [int(migration.name.split()[0]) for migration in MIGRATIONS]
    assert numbers == list(range(1, len(MIGRATIONS) + 1))


def test_the_first_migration_is_what_was_shipped(connection: sqlite3.Connection) -> None:
    """A database of release 0.1 has these tables, and later migrations start from them."""
    migrate(Database(connection), MIGRATIONS[:1])
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%migrations' ORDER BY name"
    ).fetchall()
    assert [name for (name,) in tables] == [
        "accounts",
        "answers",
        "attempts",
        "contacts",
        "dids",
        "do_not_call",
        "events",
        "flows",
        "keys",
        "lists",
        "prompts",
        "rejected",
    ]
    assert migrate(Database(connection)) == [migration.name for migration in MIGRATIONS[1:]]


def test_contacts_of_the_first_release_have_had_no_detour(connection: sqlite3.Connection) -> None:
    migrate(Database(connection), MIGRATIONS[:1])
    connection.execute("INSERT INTO lists (n, id) VALUES (1, 'lst_1')")
    connection.execute(
        "INSERT INTO contacts (id, list, row, tel, starttime, state, due_at, wait_code, tel_index, spent)"
        """ VALUES ('cnt_1', 1, 1, '["+14155550123"]', 0, 'open', 0, 'starttime', 0, 0)"""
    )
    migrate(Database(connection))
    kept = connection.execute("SELECT id, detour, detoured FROM contacts").fetchall()
    assert kept == [("cnt_1", None, 0)]


def test_contacts_from_before_blocks_stay_rows_and_are_counted_beside_blocks(
    connection: sqlite3.Connection,
) -> None:
    [blocks] = [at for at, one in enumerate(MIGRATIONS) if one.name.endswith("untouched contacts")]
    migrate(Database(connection), MIGRATIONS[:blocks])
    connection.execute("INSERT INTO lists (n, id) VALUES (1, 'lst_1')")
    connection.execute(
        "INSERT INTO contacts (id, list, row, tel, starttime, state, due_at, wait_code, tel_index, spent)"
        """ VALUES ('cnt_1', 1, 1, '["+14155550123"]', 0, 'open', 60, 'starttime', 0, 0)"""
    )
    migrate(Database(connection))
    connection.execute(
        "INSERT INTO contact_blocks (list, contacts, first_id, last_id, first_row, last_row, due_at, "
        "flow_version) VALUES (1, 5, 'cnt_2', 'cnt_6', 2, 6, 90, 1)"
    )
    waits = "SELECT list, code, minute, contacts FROM contact_waits"
    assert connection.execute(waits).fetchall() == [(1, "starttime", 1, 6)]
    connection.execute("UPDATE contact_blocks SET due_at = 150")
    assert sorted(connection.execute(waits).fetchall()) == [
        (1, "starttime", 1, 1),
        (1, "starttime", 2, 5),
    ]
    connection.execute("DELETE FROM contact_blocks")
    assert connection.execute(waits).fetchall() == [(1, "starttime", 1, 1)]
    assert connection.execute("SELECT id FROM contacts").fetchall() == [("cnt_1",)]


def test_a_database_is_current_with_just_the_migrations_of_this_release(
    connection: sqlite3.Connection,
) -> None:
    found = [is_current(connection)]
    for migrations in (MIGRATIONS[:-1], MIGRATIONS, (*MIGRATIONS, FIRST)):
        migrate(Database(connection), migrations)
        found.append(is_current(connection))
    assert found == [False, False, True, False]
