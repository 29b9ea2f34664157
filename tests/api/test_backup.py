"""A backup while everything goes on, and what it takes to put it back."""

from __future__ import annotations

import os
import sqlite3
import sys
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import trio

from adapters.sqlite.schema import MIGRATIONS
from adapters.sqlite.store import open_sqlite_store
from api.__main__ import run
from api.backup import MANIFEST, BackupFailed, make_backup, restore_backup
from api.commands.children import clean_environment
from api.data_folder import ADMIN_KEY_HASH, DATABASE
from tests.adapters.sqlite.test_old_databases import make_old
from tests.contract.store_samples import ACME, FLOW, NOW, FixedClock, a_flow, an_account
from tests.contract.store_samples import a_new_list as make_list

FILES = {
    ADMIN_KEY_HASH: b"ab" * 32,
    "mail.key": b"secret",
    "prompts/prm_1.ulaw": b"sound",
    "prompts/ab/spoken.ulaw": b"words",
    "spool/1": b"mail",
}
RECORDING = "recordings/rec_1.wav"


def furnish(data: Path) -> None:
    """The files of an installation beside its database."""
    for name, content in {**FILES, RECORDING: b"a voice", "traces.db": b"messages"}.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)


def files_of(data: Path) -> dict[str, bytes]:
    """All of its files but those of the database."""
    return {
        path.relative_to(data).as_posix(): path.read_bytes()
        for path in data.rglob("*")
        if path.is_file() and not path.name.startswith(DATABASE)
    }


async def make_installation(data: Path) -> None:
    """One account with a flow and a list."""
    furnish(data)
    async with open_sqlite_store(data / DATABASE, lambda _: None, FixedClock()) as store:
        await store.add_account(an_account())
        await store.add_flow(a_flow())
        await store.accept_list(make_list())


async def look(data: Path) -> tuple[float | None, int]:
    """Since when its account is paused, and how many lists its flow has beside that of single calls."""
    async with open_sqlite_store(data / DATABASE, lambda _: None, FixedClock()) as store:
        account = await store.get_account(ACME)
        lists = await store.list_lists(ACME, FLOW, 1000, None)
        assert account is not None
        return account.paused_at, len([one for one in lists.items if not one.standing])


async def test_what_was_kept_comes_back_in_a_folder_of_its_own(tmp_path: Path) -> None:
    await make_installation(tmp_path / "data")
    file, new = tmp_path / "a.backup", tmp_path / "new" / "data"
    made = make_backup(tmp_path / "data", file, NOW, with_recordings=False)
    manifest, aside = restore_backup(new, file, NOW + 60, replaces=False, pauses=True)
    assert (manifest, aside) == (made, None)
    assert files_of(new) == FILES
    assert await look(new) == (NOW + 60, 1)
    assert {path.stat().st_mode & 0o077 for path in (file, *new.rglob("*")) if path.is_file()} == {
        0
    }


async def test_recordings_are_in_it_where_they_are_asked_for(tmp_path: Path) -> None:
    await make_installation(tmp_path / "data")
    make_backup(tmp_path / "data", tmp_path / "a", NOW, with_recordings=True)
    restore_backup(tmp_path / "new", tmp_path / "a", NOW, replaces=False, pauses=False)
    assert files_of(tmp_path / "new") == {**FILES, RECORDING: b"a voice"}
    assert await look(tmp_path / "new") == (None, 1)


async def test_a_backup_while_it_is_written_holds_all_that_was_answered_before_and_nothing_half(
    tmp_path: Path,
) -> None:
    """By the command, in a process of its own, while lists come in as fast as they are taken."""
    data, file = tmp_path / "data", tmp_path / "a.backup"
    await make_installation(data)
    taken, has_begun = 0, trio.Event()
    async with open_sqlite_store(data / DATABASE, lambda _: None, FixedClock()) as store:

        async def write() -> None:
            nonlocal taken
            while True:
                await store.accept_list(make_list(50, f"lst_{taken:05d}"))
                taken += 1
                if taken == 20:
                    has_begun.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await has_begun.wait()
            before = taken
            await trio.run_process(
                [sys.executable, "-m", "api", "backup", str(file)],
                env=clean_environment(os.environ, [("CALLWHEEL_DATA_DIR", str(data))]),
                capture_stdout=True,
            )
            after = taken
            nursery.cancel_scope.cancel()
    restore_backup(tmp_path / "new", file, NOW, replaces=False, pauses=True)
    with closing(sqlite3.connect(tmp_path / "new" / DATABASE)) as restored:
        [(broken,)] = restored.execute("PRAGMA integrity_check").fetchall()
        lists = restored.execute(
            "SELECT count(*), sum(contacts), max(contacts) FROM lists "
            "WHERE id GLOB 'lst_0[0-9][0-9][0-9][0-9]'"
        ).fetchone()
    assert broken == "ok"
    # One more may have been committed, and not been counted here yet.
    assert before <= lists[0] <= after + 1
    assert lists[1:] == (50 * lists[0], 50)


async def test_nothing_is_restored_over_an_installation_that_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    await make_installation(data)
    make_backup(data, tmp_path / "a", NOW, with_recordings=False)
    async with open_sqlite_store(data / DATABASE, lambda _: None, FixedClock()) as store:
        with pytest.raises(BackupFailed, match="in use by another Callwheel process"):
            restore_backup(data, tmp_path / "a", NOW, replaces=True, pauses=True)
        assert await store.get_flow(ACME, FLOW) == a_flow()


async def test_an_installation_that_is_there_is_moved_aside_where_that_is_wanted(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    await make_installation(data)
    make_backup(data, tmp_path / "a", NOW, with_recordings=False)
    async with open_sqlite_store(data / DATABASE, lambda _: None, FixedClock()) as store:
        await store.accept_list(make_list(call_list="lst_later"))
    (data / "prompts" / "later").write_bytes(b"later")
    with pytest.raises(BackupFailed, match="--replace"):
        restore_backup(data, tmp_path / "a", NOW, replaces=False, pauses=True)
    assert await look(data) == (None, 2)
    _, aside = restore_backup(data, tmp_path / "a", NOW, replaces=True, pauses=True)
    assert aside is not None
    assert (await look(data), await look(aside)) == ((NOW, 1), (None, 2))
    assert (aside / "prompts" / "later").read_bytes() == b"later"
    assert not (data / "prompts" / "later").exists()


async def test_a_database_of_an_earlier_release_is_brought_forward(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    make_old(tmp_path / "data" / DATABASE, 3)
    make_backup(tmp_path / "data", tmp_path / "a", NOW, with_recordings=False)
    restore_backup(tmp_path / "new", tmp_path / "a", NOW, replaces=False, pauses=True)
    with closing(sqlite3.connect(tmp_path / "new" / DATABASE)) as restored:
        [(count,)] = restored.execute("SELECT count(*) FROM _sqlite_migrations").fetchall()
        [(paused_at,)] = restored.execute("SELECT paused_at FROM accounts").fetchall()
    assert (count, paused_at) == (len(MIGRATIONS), NOW)


def rewrite(file: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    """Change the entries of an archive."""
    with tarfile.open(file) as archive:
        entries = [(entry.name, archive.extractfile(entry)) for entry in archive]
        contents = [(name, stream.read()) for name, stream in entries if stream is not None]
    made = [changed for one in contents if (changed := change(*one)) is not None]
    with tarfile.open(file, "w") as archive:
        for name, content in made:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            path = file.with_name("entry")
            path.write_bytes(content)
            with path.open("rb") as stream:
                archive.addfile(entry, stream)
            path.unlink()


def _escape(name: str, content: bytes) -> tuple[str, bytes]:
    """An archive, manifest and all, with a file that lies elsewhere."""
    if name == MANIFEST:
        manifest = msgspec.json.decode(content)
        files = {
            ("../evil" if one == "spool/1" else one): h for one, h in manifest["files"].items()
        }
        return name, msgspec.json.encode({**manifest, "files": files})
    return ("../evil" if name == "spool/1" else name), content


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda name, content: None if name == MANIFEST else (name, content), "was not finished"),
        (lambda name, content: None if name == "spool/1" else (name, content), "no good backup"),
        (lambda name, content: (name, content.replace(b"sound", b"noise")), "is damaged: prompts"),
        (
            lambda name, content: (
                name,
                content.replace(b'"format":1', b'"format":9') if name == MANIFEST else content,
            ),
            "in another format",
        ),
        (_escape, "no good backup"),
    ],
)
async def test_a_backup_that_is_not_whole_is_refused_and_leaves_everything_as_it_was(
    tmp_path: Path,
    change: Callable[[str, bytes], tuple[str, bytes] | None],
    sentence: str,
) -> None:
    data, file = tmp_path / "data", tmp_path / "a"
    await make_installation(data)
    make_backup(data, file, NOW, with_recordings=False)
    rewrite(file, change)
    before = files_of(data)
    with pytest.raises(BackupFailed, match=sentence):
        restore_backup(data, file, NOW, replaces=True, pauses=True)
    assert (files_of(data), await look(data)) == (before, (None, 1))
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\0" * 20_000])
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(BackupFailed, match="no backup"):
        restore_backup(tmp_path / "new", tmp_path / "a", NOW, replaces=False, pauses=True)


async def test_a_file_that_is_no_backup_is_not_written_over(tmp_path: Path) -> None:
    await make_installation(tmp_path / "data")
    (tmp_path / "callwheel.toml").write_text("[http]\n")
    with pytest.raises(BackupFailed, match="is no backup"):
        make_backup(tmp_path / "data", tmp_path / "callwheel.toml", NOW, with_recordings=False)
    assert (tmp_path / "callwheel.toml").read_text() == "[http]\n"
    for _ in range(2):  # an earlier backup is
        make_backup(tmp_path / "data", tmp_path / "a", NOW, with_recordings=False)
    assert sorted(os.listdir(tmp_path)) == ["a", "callwheel.toml", "data"]


async def test_the_commands_say_what_they_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await make_installation(tmp_path / "data")
    for name in os.environ:
        if name.startswith("CALLWHEEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CALLWHEEL_DATA_DIR", str(tmp_path / "data"))
    assert run(["backup", str(tmp_path / "a")]) == 0
    assert ": 6 files, " in capsys.readouterr().out
    assert run(["restore", str(tmp_path / "a")]) == 1
    assert "--replace" in capsys.readouterr().err
    monkeypatch.setenv("CALLWHEEL_DATA_DIR", str(tmp_path / "new"))
    assert run(["restore", str(tmp_path / "a")]) == 0
    assert "Every account is paused" in capsys.readouterr().out
    assert run(["backup", str(tmp_path / "missing" / "a")]) == 1
    monkeypatch.setenv("CALLWHEEL_DATA_DIR", str(tmp_path / "none"))
    assert run(["backup", str(tmp_path / "b")]) == 1
    assert "There is no installation in" in capsys.readouterr().err
