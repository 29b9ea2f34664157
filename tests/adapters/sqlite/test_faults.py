"""A disk that is full, read-only or locked: callers are told, nothing is changed, and it goes on alone."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio

from adapters.sqlite.unit import Unit
from engine.model import ListCounts
from engine.ports.stored import StoreUnavailable
from tests.adapters.sqlite.conftest import Opened
from tests.contract.store_samples import (
    ACME,
    LIST,
    NOW,
    a_contact,
    a_did,
    a_new_list,
    about,
    an_attempt,
)


async def still_works(opened: Opened) -> None:
    """The store takes a list, and its events go on without a gap."""
    before = await opened.store.last_seq(ACME)
    await opened.store.accept_list(a_new_list(3))
    assert await opened.store.count_list(ACME, LIST, NOW) == ListCounts(3, 0, 3, 0, 0, {})
    assert await opened.store.last_seq(ACME) == before + 1
    assert [event.seq for event in await opened.store.events_after(ACME, 0, 100)] == list(
        range(1, before + 2)
    )


async def test_a_locked_database_is_unavailable_until_it_is_free(
    opened: Opened, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await opened.store.accept_list(a_new_list(3))
        assert await opened.store.get_list(ACME, LIST) is None
        other.execute("ROLLBACK")
    await still_works(opened)


async def test_a_whole_group_is_told_of_a_lock_at_once(opened: Opened, path: Path) -> None:
    """Not one after the other, each after a wait of its own."""
    refused: list[str] = []

    async def add(number: int) -> None:
        with pytest.raises(StoreUnavailable):
            await opened.store.add_did(a_did(f"+91{number}"))
        refused.append(f"+91{number}")

    before = opened.store.statistics()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(add, number)
    after = opened.store.statistics()
    assert len(refused) == 10
    assert (after.commits, after.groups_taken_apart) == (before.commits, 0)
    await still_works(opened)


async def test_a_read_only_database_is_unavailable_until_it_can_be_written(opened: Opened) -> None:
    opened.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable, match="readonly"):
        await opened.store.accept_list(a_new_list(3))
    assert await opened.store.get_list(ACME, LIST) is None
    opened.connection.execute("PRAGMA query_only = OFF")
    await still_works(opened)


def no_page_more(unit: Unit) -> None:
    pages = unit.row("PRAGMA page_count", ())
    assert pages is not None
    unit.execute(f"PRAGMA max_page_count = {pages[0]}")


async def test_a_full_database_is_unavailable_until_there_is_room(opened: Opened) -> None:
    await opened.run(no_page_more)
    with pytest.raises(StoreUnavailable, match="full"):
        await opened.store.accept_list(a_new_list(500, "lst_5000"))
    assert await opened.store.get_list(ACME, "lst_5000") is None
    await opened.run(lambda unit: unit.execute("PRAGMA max_page_count = 1073741823"))
    await still_works(opened)


async def test_what_still_fits_a_full_database_is_taken(opened: Opened) -> None:
    """One that does not fit is in the same group."""
    await opened.run(no_page_more)
    outcomes: dict[str, bool] = {}

    async def accept(call_list: str, contacts: int) -> None:
        try:
            await opened.store.accept_list(a_new_list(contacts, call_list))
            outcomes[call_list] = True
        except StoreUnavailable:
            outcomes[call_list] = False

    async with trio.open_nursery() as nursery, opened.held() as wait_pending:
        for pending, (name, contacts) in enumerate(
            (("lst_1001", 1), ("lst_1002", 500), ("lst_1003", 1)), 1
        ):
            nursery.start_soon(accept, name, contacts)
            await wait_pending(pending)
    assert outcomes == {"lst_1001": True, "lst_1002": False, "lst_1003": True}


async def test_a_large_list_that_does_not_fit_leaves_nothing_behind(opened: Opened) -> None:
    """It is taken in a piece at a time; what went in is cleared away before the next such list."""
    await opened.run(lambda unit: unit.execute("PRAGMA max_page_count = 150"))
    with pytest.raises(StoreUnavailable, match="full"):
        await opened.store.accept_list(a_new_list(2500, "lst_5000"))
    assert await opened.store.get_list(ACME, "lst_5000") is None
    await opened.run(lambda unit: unit.execute("PRAGMA max_page_count = 1073741823"))
    await opened.store.accept_list(a_new_list(1001))
    assert await opened.run(lambda unit: unit.row("SELECT count(*) FROM contacts", ())) == (1001,)
    assert (
        await opened.run(lambda unit: unit.rows("SELECT n FROM lists WHERE id IS NULL", ())) == []
    )


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Writes beyond this fail, as they do on a broken disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_disk_that_cannot_be_written_is_unavailable_until_it_can(
    opened: Opened, path: Path
) -> None:
    await opened.store.accept_list(a_new_list(2, "lst_5000"))
    wal = path.with_name(path.name + "-wal")
    attempt = an_attempt(a_contact(1, "lst_5000"))
    with files_no_longer_than(wal.stat().st_size):
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await opened.store.begin_attempt(attempt, about(attempt, "attempt.initiated"))
        assert await opened.store.get_attempt(ACME, attempt.id) is None
    assert await opened.store.begin_attempt(attempt, about(attempt, "attempt.initiated")) is None
    assert await opened.store.open_attempts() == [
        (attempt, a_contact(1, "lst_5000", state="dialing"))
    ]
    await still_works(opened)


async def test_a_fault_is_told_until_a_write_shows_that_it_is_over(
    opened: Opened, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await opened.store.add_did(a_did())
        with pytest.raises(StoreUnavailable):
            await opened.store.prove_writable()
        failing = opened.store.statistics()
        other.execute("ROLLBACK")
    told = "the database cannot be used just now: database is locked"
    assert (failing.refused, failing.fault) == (2, told)
    await opened.store.prove_writable()
    assert (opened.store.statistics().refused, opened.store.statistics().fault) == (2, None)


async def test_the_write_that_proves_a_disk_good_reaches_it(opened: Opened, path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    opened.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = log.stat().st_size
    await opened.store.prove_writable()
    assert (before, log.stat().st_size > 4096) == (0, True)
