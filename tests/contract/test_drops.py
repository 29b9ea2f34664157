"""Places where lists are dropped: what every one of them does."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from ipaddress import ip_network
from pathlib import Path

import pytest
from msgspec import Struct

from adapters.address_guard import AddressGuard
from adapters.drop.local import LocalDrops
from adapters.drop.sftp import open_sftp_drops
from engine.model.drop_settings import FolderSettings
from engine.ports.drops import (
    ENTRIES_MAX,
    INCOMING,
    DropFailed,
    DropSession,
    FileEntry,
    ReadFile,
)
from sim.memory_drops import MemoryDrops, MemoryPlace
from tests.sftp_speaker import open_speaker, use_speaker
from tests.sshd import Sshd, open_sshd

ACCOUNT = "acc_1"
DATA = b"tel1\n+14155550100\n"


class Place(Struct):
    """A place, and how it looks from its other side."""

    kind: str
    open: Callable[[], AbstractAsyncContextManager[DropSession]]
    drop: Callable[[str, bytes], None]
    names: Callable[[str], list[str]]
    read: Callable[[str, str], bytes]
    home: Path | None
    """Where it is on this machine, if anywhere."""


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with open_sshd() as sshd:
        yield sshd


@pytest.fixture(scope="module")
def speaker() -> Iterator[socket.socket]:
    with open_speaker() as ours:
        yield ours


@pytest.fixture(params=["memory", "folder", pytest.param("sftp", marks=pytest.mark.peer)])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    """A place with nothing in it."""
    kind = request.param
    async with AsyncExitStack() as stack:
        if kind == "memory":
            memory = MemoryPlace()
            drops = MemoryDrops(memory)
            setting = FolderSettings("leads")
            yield Place(
                kind,
                lambda: drops.open(setting, ACCOUNT),
                memory.drop,
                memory.names,
                lambda folder, name: memory.folders[folder][name][0],
                None,
            )
        elif kind == "folder":
            local = LocalDrops({"acme": tmp_path}, name_of)
            inner = FolderSettings("leads/new")
            yield on_disk(
                kind, lambda: local.open(inner, ACCOUNT), tmp_path / "leads" / "new", None
            )
        else:
            sshd: Sshd = request.getfixturevalue("server")
            guard = AddressGuard([ip_network("127.0.0.0/8")])
            use_speaker(request.getfixturevalue("speaker"), monkeypatch)
            remote = await stack.enter_async_context(open_sftp_drops(guard))
            folder = f"place-{len(list(sshd.home.iterdir()))}"
            there = sshd.setting(f"{folder}/new")
            yield on_disk(
                kind, lambda: remote.open(there, ACCOUNT), sshd.home / folder / "new", sshd
            )


async def name_of(account: str) -> str | None:
    return "acme" if account == ACCOUNT else None


def on_disk(
    kind: str,
    open_: Callable[[], AbstractAsyncContextManager[DropSession]],
    home: Path,
    sshd: Sshd | None,
) -> Place:
    def drop(name: str, data: bytes) -> None:
        path = home / INCOMING / name
        path.write_bytes(data)
        if sshd is not None:
            sshd.own(path)

    return Place(
        kind,
        open_,
        drop,
        lambda folder: sorted(os.listdir(home / folder)),
        lambda folder, name: (home / folder / name).read_bytes(),
        home,
    )


async def test_a_place_begins_with_its_folders_and_nothing_in_them(place: Place) -> None:
    async with place.open() as session:
        listing = await session.list_incoming()
    assert (listing.files, listing.passed_over, listing.is_complete) == ((), 0, True)
    assert [place.names(folder) for folder in (INCOMING, "rejected", "reports")] == [[], [], []]


async def test_files_are_listed_and_read_as_they_are(place: Place) -> None:
    async with place.open() as session:
        place.drop("b.csv", b"")
        place.drop("a ü.csv", DATA)
        place.drop(".hidden", DATA)
        listing = await session.list_incoming()
        by_name = {file.name: file for file in listing.files}
        assert sorted(by_name) == ["a ü.csv", "b.csv"]
        assert [by_name[name].size for name in sorted(by_name)] == [len(DATA), 0]
        digest = hashlib.sha256(DATA).digest()
        expected = ReadFile(by_name["a ü.csv"], DATA, digest)
        assert await session.read("a ü.csv", 1_000_000) == expected
        cut = await session.read("a ü.csv", 4)
        assert (cut.entry, cut.data) == (expected.entry, DATA[:4])
    async with place.open() as session:
        again = await session.list_incoming()
    assert sorted(again.files, key=str) == sorted(listing.files, key=str)


async def test_a_large_file_is_read_whole(place: Place) -> None:
    data = os.urandom(3_000_000)
    async with place.open() as session:
        place.drop("large.csv", data)
        assert (await session.read("large.csv", 5_000_000)).data == data


async def test_a_file_that_is_gone_is_said_to_be(place: Place) -> None:
    async with place.open() as session:
        with pytest.raises(DropFailed) as caught:
            await session.read("nothing.csv", 100)
        assert (caught.value.code, caught.value.is_of_file) == ("gone", True)
        assert not await session.take_away(FileEntry("nothing.csv", 1, 1), None)


async def test_names_that_cannot_be_used_are_passed_over(place: Place) -> None:
    async with place.open() as session:
        place.drop("line\nbreak.csv", DATA)
        place.drop("x" * 220, DATA)
        place.drop("good.csv", DATA)
        listing = await session.list_incoming()
    assert ([file.name for file in listing.files], listing.passed_over) == (["good.csv"], 2)


async def test_what_is_put_takes_the_place_of_what_was_there(place: Place) -> None:
    async with place.open() as session:
        await session.put("reports", "a.txt", b"first")
        await session.put("reports", "a.txt", b"second, longer")
        await session.put("rejected", "a.csv", b"")
    assert place.names("reports") == ["a.txt"]
    assert place.read("reports", "a.txt") == b"second, longer"
    assert place.names("rejected") == ["a.csv"]


async def test_a_file_is_removed_or_moved_as_it_was_listed(place: Place) -> None:
    async with place.open() as session:
        place.drop("a.csv", DATA)
        place.drop("b.csv", DATA + b"b")
        a, b = sorted((await session.list_incoming()).files, key=lambda file: file.name)
        assert await session.take_away(a, None)
        assert await session.take_away(b, "b.csv.pck_1")
        assert not await session.take_away(a, None)
    assert place.names(INCOMING) == []
    assert place.names("rejected") == ["b.csv.pck_1"]
    assert place.read("rejected", "b.csv.pck_1") == DATA + b"b"


async def test_a_file_that_took_the_place_of_another_is_left(place: Place) -> None:
    async with place.open() as session:
        place.drop("a.csv", DATA)
        [listed] = (await session.list_incoming()).files
        place.drop("a.csv", DATA + b"more")
        assert not await session.take_away(listed, None)
        [left] = (await session.list_incoming()).files
    assert left.size == len(DATA) + 4
    assert place.read(INCOMING, "a.csv") == DATA + b"more"


async def test_what_a_crash_left_on_its_way_out_is_put_back(place: Place) -> None:
    if place.home is None:
        pytest.skip("a crash leaves nothing in memory")
    async with place.open() as session:
        place.drop("a.csv", DATA)
        [listed] = (await session.list_incoming()).files
        incoming = place.home / INCOMING
        (incoming / "a.csv").rename(incoming / ".callwheel-away-0123456789abcdef-a.csv")
        assert (await session.list_incoming()).files == (listed,)
        # Not where somebody has put another file there: then when that is gone.
        (incoming / "a.csv").rename(incoming / ".callwheel-away-0123456789abcdef-a.csv")
        place.drop("a.csv", b"new")
        [other] = (await session.list_incoming()).files
        assert other.size == 3
        assert await session.take_away(other, None)
        assert (await session.list_incoming()).files == (listed,)


async def test_what_is_no_plain_file_is_nobodys_list(place: Place, tmp_path: Path) -> None:
    if place.home is None:
        pytest.skip("there is nothing else in memory")
    outside = tmp_path / "outside.csv"
    outside.write_bytes(DATA)
    async with place.open() as session:
        (place.home / INCOMING / "folder.csv").mkdir()
        (place.home / INCOMING / "link.csv").symlink_to(outside)
        os.mkfifo(place.home / INCOMING / "pipe.csv")
        assert (await session.list_incoming()).files == ()


async def test_a_folder_with_very_many_files_is_listed_in_part(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place.kind == "sftp":
        pytest.skip("the bound is that of another process")
    monkeypatch.setattr("adapters.drop.local.ENTRIES_MAX", 3)
    monkeypatch.setattr("sim.memory_drops.ENTRIES_MAX", 3)
    assert ENTRIES_MAX == 10_000
    async with place.open() as session:
        for number in range(4):
            place.drop(f"{number}.csv", DATA)
        listing = await session.list_incoming()
    assert (len(listing.files), listing.is_complete) == (3, False)
