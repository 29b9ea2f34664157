"""Watched folders: what may be watched, and what goes wrong."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from adapters.drop.local import LocalDrops, as_failed
from engine.model.drop_settings import FolderSettings
from engine.ports.drops import DropFailed
from tests.adapters.drop.rooms import fill, set_read_only, small_room

ACCOUNT = "acc_1"
DATA = b"tel1\n+14155550100\n"


async def name_of(account: str) -> str | None:
    return {ACCOUNT: "acme"}.get(account)


def drops_in(root: Path, account: str = "acme") -> LocalDrops:
    return LocalDrops({account: root}, name_of)


async def code_of(drops: LocalDrops, path: str, account: str = ACCOUNT) -> str:
    with pytest.raises(DropFailed) as caught:
        async with drops.open(FolderSettings(path), account) as session:
            await session.list_incoming()
    return caught.value.code


async def test_an_account_has_what_the_operator_gave_to_it_by_name_or_id(tmp_path: Path) -> None:
    async with drops_in(tmp_path, ACCOUNT).open(FolderSettings("a"), ACCOUNT):
        pass
    async with drops_in(tmp_path, "acme").open(FolderSettings("b"), ACCOUNT):
        pass
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    assert await code_of(drops_in(tmp_path, "other"), "a") == "folder_not_allowed"
    assert await code_of(drops_in(tmp_path), "a", "acc_unknown") == "folder_not_allowed"


@pytest.mark.parametrize("path", ["../outside", "/etc", "a/../../outside", ""])
async def test_no_path_leads_out_of_it(path: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    assert await code_of(drops_in(root), path) == "folder_not_allowed"
    assert os.listdir(tmp_path) == ["root"]


async def test_no_link_leads_out_of_it(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root, outside, outside / "incoming", root / "flow"):
        folder.mkdir()
    (outside / "incoming" / "secret.csv").write_bytes(DATA)
    (root / "link").symlink_to(outside)
    assert await code_of(drops_in(root), "link") == "no_folder"
    (root / "flow" / "incoming").symlink_to(outside / "incoming")
    (root / "flow" / "reports").symlink_to(outside)
    drops = drops_in(root)
    assert await code_of(drops, "flow") == "no_folder"
    async with drops.open(FolderSettings("flow"), ACCOUNT) as session:
        with pytest.raises(DropFailed):
            await session.put("reports", "report.txt", b"x")
        with pytest.raises(DropFailed):
            await session.read("secret.csv", 100)
    assert sorted(os.listdir(outside)) == ["incoming"]


async def test_a_link_to_a_file_is_not_read(tmp_path: Path) -> None:
    outside = tmp_path / "secret.csv"
    outside.write_bytes(DATA)
    async with drops_in(tmp_path).open(FolderSettings("flow"), ACCOUNT) as session:
        (tmp_path / "flow" / "incoming" / "link.csv").symlink_to(outside)
        os.mkfifo(tmp_path / "flow" / "incoming" / "pipe.csv")
        for name in ("link.csv", "pipe.csv"):
            with pytest.raises(DropFailed) as caught:
                await session.read(name, 100)
            assert caught.value.code == "failed"


async def test_the_group_of_the_folder_may_drop_lists_whatever_the_umask_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)  # noqa: ASYNC240 - a folder of this test
    before = os.umask(0o077)
    try:
        async with drops_in(tmp_path).open(FolderSettings("flow"), ACCOUNT) as session:
            await session.put("reports", "report.txt", b"x")
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "flow").rglob("*")
    }
    assert modes == {
        "flow/incoming": 0o2770,
        "flow/rejected": 0o2770,
        "flow/reports": 0o2770,
        "flow/reports/report.txt": 0o660,
    }


async def test_what_lies_where_a_report_is_written_is_not_written_into(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"ours")
    async with drops_in(tmp_path).open(FolderSettings("flow"), ACCOUNT) as session:
        reports = tmp_path / "flow" / "reports"
        digest = hashlib.sha256(b"report.txt").hexdigest()[:32]
        (reports / f".callwheel-put-{digest}").hardlink_to(kept)
        (reports / "report.txt").symlink_to(kept)
        await session.put("reports", "report.txt", b"x")
    assert (kept.read_bytes(), (reports / "report.txt").read_bytes()) == (b"ours", b"x")
    assert os.listdir(reports) == ["report.txt"]


async def test_a_root_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    assert await code_of(drops_in(tmp_path / "missing"), "a") == "no_folder"


async def test_a_full_disk_takes_no_report_and_leaves_no_half_of_one(tmp_path: Path) -> None:
    with small_room(tmp_path):
        async with drops_in(tmp_path).open(FolderSettings("flow"), ACCOUNT) as session:
            incoming = tmp_path / "flow" / "incoming"
            (incoming / "leads.csv").write_bytes(DATA)
            fill(tmp_path)
            with pytest.raises(DropFailed) as caught:
                await session.put("reports", "report.txt", bytes(100_000))
            assert (caught.value.code, caught.value.is_of_file) == ("disk_full", True)
            assert os.listdir(tmp_path / "flow" / "reports") == []
            [listed] = (await session.list_incoming()).files
            assert (await session.read("leads.csv", 100)).data == DATA
            assert await session.take_away(listed, None)


async def test_a_disk_that_cannot_be_written_gives_its_lists_and_keeps_them(
    tmp_path: Path,
) -> None:
    with small_room(tmp_path):
        drops = drops_in(tmp_path)
        (tmp_path / "flow" / "incoming").mkdir(parents=True)
        (tmp_path / "flow" / "incoming" / "leads.csv").write_bytes(DATA)
        set_read_only(tmp_path)
        # Its other folders cannot be made, and it can be visited all the same.
        async with drops.open(FolderSettings("flow"), ACCOUNT) as session:
            [listed] = (await session.list_incoming()).files
            with pytest.raises(DropFailed) as caught:
                await session.take_away(listed, None)
            assert caught.value.code == "no_rights"
            with pytest.raises(DropFailed) as caught:
                await session.put("reports", "report.txt", b"x")
            assert caught.value.code == "no_folder"
        assert os.listdir(tmp_path / "flow" / "incoming") == ["leads.csv"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermissionError(13, "Permission denied"), "no_rights"),
        (OSError(30, "Read-only file system"), "no_rights"),
        (OSError(28, "No space left on device"), "disk_full"),
        (OSError(122, "Disk quota exceeded"), "disk_full"),
        (OSError(116, "Stale file handle"), "lost"),
        (OSError(5, "Input/output error"), "lost"),
        (FileNotFoundError(2, "No such file or directory"), "no_folder"),
        (OSError(24, "Too many open files"), "failed"),
    ],
)
def test_what_the_system_says_has_a_code(error: OSError, code: str) -> None:
    failed = as_failed(error)
    assert failed.code == code
    assert str(error.strerror) in failed.detail
