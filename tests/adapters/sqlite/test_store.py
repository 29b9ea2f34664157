"""What only the SQLite store has: a file, a lock on it, and lists that come in a piece at a time."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from adapters.sqlite.intake import PIECE_ROWS
from adapters.sqlite.lock import DatabaseInUse
from adapters.sqlite.schema import DatabaseTooNew
from adapters.sqlite.store import SWITCH_INTERVAL_S
from engine.model import ListCounts
from engine.ports.intake_store import Promise
from engine.ports.stored import PARTIAL
from tests.adapters.sqlite.conftest import Opened, opened_at
from tests.contract.store_samples import (
    ACME,
    CALLS,
    FLOW,
    LIST,
    NOW,
    a_batch,
    a_contact,
    a_flow,
    a_list,
    a_new_list,
    an_answer,
    begin,
    counts,
    dial_to_end,
    furnish,
)

LARGE = 4 * PIECE_ROWS


async def test_everything_survives_closing_and_opening(path: Path) -> None:
    async with opened_at(path) as opened:
        await furnish(opened.store)
        await opened.store.accept_list(a_new_list(3), an_answer())
        await dial_to_end(opened.store, [a_contact(1)])
        attempt = await begin(opened.store, a_contact(2), 2)
        told = [event for some in opened.told for event in some]
    async with opened_at(path) as opened:
        store = opened.store
        assert await store.get_flow(ACME, FLOW) == a_flow()
        assert await store.get_answer(ACME, "key-1") == an_answer()
        assert await store.open_attempts() == [(attempt, a_contact(2, state="dialing"))]
        assert await store.count_list(ACME, LIST, NOW) == ListCounts(3, 0, 1, 1, 1, {"answered": 1})
        assert await store.events_after(ACME, 0, 100) == told
        await begin(store, a_contact(3), 3)
        assert [event.seq for event in opened.told[0]] == [len(told) + 1]


async def test_a_closed_store_leaves_one_file_and_the_lock(path: Path) -> None:
    async with opened_at(path) as opened:
        await furnish(opened.store)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "callwheel.db",
        "callwheel.db.lock",
    ]


def leave_file(path: Path, mode: int) -> None:
    """An empty database, as an earlier release left it."""
    path.touch()
    path.chmod(mode)


@pytest.mark.parametrize("mode_before", [None, 0o644])
async def test_the_files_of_a_database_are_open_to_their_owner_alone(
    path: Path, mode_before: int | None
) -> None:
    if mode_before is not None:
        leave_file(path, mode_before)
    async with opened_at(path) as opened:
        await furnish(opened.store)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    names = ("callwheel.db", "callwheel.db-shm", "callwheel.db-wal", "callwheel.db.lock")
    assert modes == dict.fromkeys(names, 0o600)


async def test_a_second_store_on_the_same_file_is_refused(path: Path) -> None:
    async with opened_at(path) as first:
        with pytest.raises(DatabaseInUse, match="in use by another Callwheel process"):
            async with opened_at(path):
                pass
        await furnish(first.store)
    async with opened_at(path) as second:
        assert await second.store.get_flow(ACME, FLOW) == a_flow()


async def test_a_second_process_on_the_same_file_is_refused(path: Path) -> None:
    command = [sys.executable, "-m", "tests.adapters.sqlite.writing_child", str(path)]
    repository = Path(__file__).parents[3]
    async with opened_at(path):
        refused = await trio.run_process(
            command, cwd=repository, check=False, capture_stdout=True, capture_stderr=True
        )
    assert refused.returncode == 1
    assert b"DatabaseInUse" in refused.stderr
    assert b"data_dir of its own" in refused.stderr


async def test_a_database_of_a_later_release_is_refused_and_can_be_opened_by_that(
    path: Path,
) -> None:
    async with opened_at(path) as opened:
        await furnish(opened.store)
    later = (
        "INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('callwheel', '9999 later')"
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(later)
    for _ in range(2):  # the refusal gives the lock back
        with pytest.raises(DatabaseTooNew, match="9999 later"):
            async with opened_at(path):
                pass


async def test_the_database_is_kept_as_it_must_be(opened: Opened, path: Path) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys")
    rows = [opened.connection.execute(f"PRAGMA {name}").fetchone() for name in names]
    assert rows == [("wal",), (2,), (1,)]


async def test_readers_cannot_write(opened: Opened) -> None:
    with pytest.raises(Exception, match="readonly"):
        await opened.store._readers.rows("DELETE FROM accounts", (), lambda row: row)


async def test_threads_take_short_turns_while_a_store_is_open(path: Path) -> None:
    before = sys.getswitchinterval()
    async with opened_at(path):
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
    assert sys.getswitchinterval() == before


async def test_other_operations_go_between_the_pieces_of_a_large_list(opened: Opened) -> None:
    finished_before: list[bool] = []
    pieces = 12
    finished = trio.Event()

    async def accept() -> None:
        await opened.store.accept_list(a_new_list(pieces * PIECE_ROWS))
        finished.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        for number in range(3):
            await opened.store.accept_call(a_contact(1, CALLS, id=f"cnt_{number}"))
            finished_before.append(finished.is_set())
    assert finished_before == [False, False, False]


async def test_nobody_sees_a_large_list_before_it_is_whole(opened: Opened) -> None:
    store, seen = opened.store, set()
    finished = trio.Event()

    async def accept() -> None:
        await store.accept_list(a_new_list(LARGE))
        finished.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        while not finished.is_set():
            seen.add(len(await store.due_contacts(LIST, NOW, LARGE)))
            counts = await store.count_list(ACME, LIST, NOW)
            seen.add(0 if counts is None else counts.contacts)
    assert seen <= {0, LARGE}
    assert 0 in seen
    assert await store.count_list(ACME, LIST, NOW) == ListCounts(LARGE, 0, LARGE, 0, 0, {})


async def unfinished(opened: Opened) -> list[object]:
    found: list[object] = await opened.run(
        lambda unit: unit.rows("SELECT n FROM lists WHERE id IS NULL", ())
    )
    return found


async def test_a_large_list_whose_caller_goes_away_is_cleared_by_the_next(opened: Opened) -> None:
    store = opened.store
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.accept_list, a_new_list(LARGE, "lst_5000"))
        while not await unfinished(opened):
            pass
        nursery.cancel_scope.cancel()
    assert await store.get_list(ACME, "lst_5000") is None
    assert len(await unfinished(opened)) == 1
    await store.accept_list(a_new_list(PIECE_ROWS + 1))
    assert await unfinished(opened) == []
    contacts = await opened.run(lambda unit: unit.row("SELECT count(*) FROM contacts", ()))
    assert contacts == (PIECE_ROWS + 1,)


async def test_a_large_list_whose_caller_goes_away_at_the_last_moment_stays_whole(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last operation is handed in, and is not taken back."""
    store, submit, submitted = opened.store, opened.store._writer.submit, 0
    operations = 1  # what comes before is handed in as steps, which are not counted here

    async with trio.open_nursery() as nursery:

        async def go_away_at_the_end(*operation: Any) -> Any:
            nonlocal submitted
            submitted += 1
            if submitted == operations:
                nursery.start_soon(cancel)
            return await submit(*operation)

        async def cancel() -> None:
            nursery.cancel_scope.cancel()

        monkeypatch.setattr(store._writer, "submit", go_away_at_the_end)
        nursery.start_soon(store.accept_list, a_new_list(LARGE, "lst_5000"))
    monkeypatch.undo()
    await store.accept_list(a_new_list(PIECE_ROWS + 1))
    assert submitted == operations
    whole = ListCounts(LARGE, 0, LARGE, 0, 0, {})
    assert await store.count_list(ACME, "lst_5000", NOW) == whole
    assert len(await store.due_contacts("lst_5000", NOW, LARGE)) == LARGE


async def test_what_a_crash_left_of_a_large_list_is_cleared_at_the_start(path: Path) -> None:
    async with opened_at(path) as opened:
        await furnish(opened.store)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(opened.store.accept_list, a_new_list(LARGE))
            while not await unfinished(opened):
                pass
            nursery.cancel_scope.cancel()
        assert len(await unfinished(opened)) == 1
    async with opened_at(path) as opened:
        assert await unfinished(opened) == []
        contacts = await opened.run(lambda unit: unit.row("SELECT count(*) FROM contacts", ()))
        assert contacts == (0,)
        await opened.store.accept_list(a_new_list(LARGE))


async def test_what_was_promised_of_a_list_is_published_at_the_next_start(path: Path) -> None:
    partial = msgspec.structs.replace(an_answer(), status=PARTIAL)
    async with opened_at(path) as opened:
        await furnish(opened.store)
        for call_list, promised in ((LIST, True), ("lst_5000", False)):
            async with opened.store.take_list(ACME, FLOW) as taking:
                for row in (1, 2):
                    so_far = Promise(a_list(call_list, accepted=row), partial)
                    await taking.add([a_contact(row, call_list)], (), so_far if promised else None)
        assert len(await unfinished(opened)) == 2
        assert await opened.store.get_answer(ACME, "key-1") == partial
    async with opened_at(path) as opened:
        assert await unfinished(opened) == []
        assert await opened.store.get_list(ACME, LIST) == a_list(accepted=2)
        assert await opened.store.get_list(ACME, "lst_5000") is None
        assert await counts(opened.store) == ListCounts(2, 0, 2, 0, 0, {})
        assert [one.list for one in await opened.store.open_lists()] == [LIST]
        assert await opened.store.accept_list(a_new_list(1, "lst_2000"), an_answer()) is None


async def test_what_was_promised_of_batches_is_published_and_the_rest_cleared_at_the_next_start(
    path: Path,
) -> None:
    async with opened_at(path) as opened:
        await furnish(opened.store)
        for call_list, promised, before in ((LIST, True, 0), ("lst_5000", False, 90)):
            async with opened.store.take_list(ACME, FLOW) as taking:
                for first in (1, 4):
                    numbers = range(before + first, before + first + 3)
                    batch = a_batch(numbers, call_list, place=first)
                    so_far = Promise(a_list(call_list, accepted=first + 2), None)
                    await taking.add_batch(batch, (), so_far if promised else None)
    async with opened_at(path) as opened:
        assert await unfinished(opened) == []
        assert await counts(opened.store) == ListCounts(6, 0, 6, 0, 0, {})
        kept = "SELECT (SELECT sum(contacts) FROM contact_blocks), (SELECT count(*) FROM contact_block_data)"
        assert await opened.run(lambda unit: unit.row(kept, ())) == (6, 2)
        assert [one.row for one in await opened.store.due_contacts(LIST, NOW, 9)] == [*range(1, 7)]
        assert await opened.run(lambda unit: unit.row(kept, ())) == (None, 0)


async def test_expired_answers_are_cleared_a_few_at_a_time(opened: Opened) -> None:
    day_s = 24 * 3600.0
    for number in range(10):
        await opened.store.accept_call(
            a_contact(1, CALLS, id=f"cnt_{number}"), an_answer(f"key-{number}")
        )
    for number in (10, 11, 12):
        late = an_answer(f"key-{number}", at=NOW + day_s)
        await opened.store.accept_call(a_contact(1, CALLS, id=f"cnt_{number}"), late)
    kept = await opened.run(lambda unit: unit.rows("SELECT key FROM answers ORDER BY key", ()))
    assert kept == [("key-10",), ("key-11",), ("key-12",)]
