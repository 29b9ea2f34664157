"""SFTP servers that are not as they should be, and the process that speaks with them."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from adapters.address_guard import AddressGuard
from adapters.drop.sftp import SftpDrops, open_sftp_drops
from bench.free_ports import free_port
from engine.model.drop_settings import SftpSettings
from engine.ports.drops import DropFailed
from tests.adapters.drop.password_server import (
    PASSWORD,
    LeavingServer,
    ShyServer,
    open_password_server,
)
from tests.adapters.drop.rooms import fill, small_room
from tests.peers import require
from tests.sftp_speaker import open_speaker, use_speaker
from tests.sshd import Sshd, make_key, open_sshd

ACCOUNT = "acc_1"
DATA = b"tel1\n+14155550100\n"
LOOPBACK = AddressGuard([ip_network("127.0.0.0/8")])

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with open_sshd() as sshd:
        yield sshd


@pytest.fixture(scope="module")
def speaker() -> Iterator[socket.socket]:
    with open_speaker() as ours:
        yield ours


@pytest.fixture
async def drops(
    speaker: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SftpDrops]:
    use_speaker(speaker, monkeypatch)
    async with open_sftp_drops(LOOPBACK) as opened:
        yield opened


async def failure_of(drops: SftpDrops, setting: SftpSettings) -> DropFailed:
    """Why a server cannot be visited."""
    with pytest.raises(DropFailed) as caught:
        async with drops.open(setting, ACCOUNT):
            pass
    return caught.value


async def test_who_cannot_be_visited_says_why_and_learns_nothing(
    server: Sshd, drops: SftpDrops, tmp_path: Path
) -> None:
    keygen = require("ssh-keygen", "openssh-client")
    make_key(keygen, tmp_path / "other")
    make_key(keygen, tmp_path / "ecdsa", "ecdsa")
    right = server.setting()
    other_host_key = (tmp_path / "other.pub").read_text()
    codes: dict[str, dict[str, Any]] = {
        "wrong_host_key": {"host_key": other_host_key},
        "login_refused": {"private_key": (tmp_path / "other").read_text()},
        "invalid_key": {"private_key": right.private_key and right.private_key[:100]},
        "unreachable": {"port": free_port()},
        "unknown_host": {"host": "no-such-host.invalid"},
    }
    for code, change in codes.items():
        failed = await failure_of(drops, msgspec.structs.replace(right, **change))
        assert (failed.code, failed.is_of_file) == (code, False), failed.detail
        assert right.private_key is None or right.private_key[:100] not in failed.detail
    # Of a type that the server has no key of.
    ecdsa = (tmp_path / "ecdsa.pub").read_text()
    failed = await failure_of(drops, msgspec.structs.replace(right, host_key=ecdsa))
    assert failed.code == "wrong_host_key", failed.detail
    log = (server.folder / "log").read_text()
    # Nobody tried to log in before the host key was found to be right.
    assert log.count("Failed publickey") + log.count("Connection closed by authenticating") <= 1
    async with drops.open(right, ACCOUNT) as session:
        assert (await session.list_incoming()).files == ()


async def test_an_address_that_is_not_public_is_not_connected_to(server: Sshd) -> None:
    async with open_sftp_drops(AddressGuard()) as guarded:
        failed = await failure_of(guarded, server.setting())
        assert (failed.code, guarded.process_id) == ("address_not_allowed", None)
        assert "sftp.allow" in failed.detail


async def test_a_server_that_talks_nonsense_is_left(drops: SftpDrops, server: Sshd) -> None:
    async def talk(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n" * 1_000)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, talk, listeners)
        failed = await failure_of(drops, msgspec.structs.replace(server.setting(), port=port))
        assert failed.code == "unreachable"
        nursery.cancel_scope.cancel()


async def test_without_rights_lists_are_read_and_nothing_else_is_done(
    server: Sshd, drops: SftpDrops
) -> None:
    if os.getuid() != 0:
        pytest.skip("the folder must be somebody else's")
    home = server.home / "others"
    for path in (home, home / "incoming", home / "reports"):
        path.mkdir()
    (home / "incoming" / "leads.csv").write_bytes(DATA)
    async with drops.open(server.setting("others"), ACCOUNT) as session:
        [listed] = (await session.list_incoming()).files
        assert (await session.read("leads.csv", 100)).data == DATA
        for work in (
            lambda: session.take_away(listed, None),
            lambda: session.put("reports", "report.txt", b"x"),
        ):
            with pytest.raises(DropFailed) as caught:
                await work()
            assert (caught.value.code, caught.value.is_of_file) == ("no_rights", True)
    assert server.names("others/incoming") == ["leads.csv"]
    (home / "incoming").chmod(0o700)
    async with drops.open(server.setting("others"), ACCOUNT) as session:
        with pytest.raises(DropFailed) as caught:
            await session.list_incoming()
        assert caught.value.code == "no_rights"


async def test_a_full_server_takes_no_report_and_keeps_no_half_of_one(
    server: Sshd, drops: SftpDrops
) -> None:
    home = server.home / "small"
    home.mkdir()
    with small_room(home):
        async with drops.open(server.setting("small"), ACCOUNT) as session:
            server.drop("leads.csv", DATA, "small")
            fill(home)
            with pytest.raises(DropFailed) as caught:
                await session.put("reports", "report.txt", bytes(100_000))
            assert (caught.value.code, caught.value.is_of_file) == ("disk_full", True)
            assert server.names("small/reports") == []
            [listed] = (await session.list_incoming()).files
            assert await session.take_away(listed, None)


async def test_a_server_that_vanishes_is_lost_and_found_again(
    server: Sshd, drops: SftpDrops
) -> None:
    async with drops.open(server.setting("gone"), ACCOUNT) as session:
        server.stop()
        try:
            with trio.fail_after(30), pytest.raises(DropFailed) as caught:
                await session.list_incoming()
            assert (caught.value.code, caught.value.is_of_file) == ("lost", False)
            assert (await failure_of(drops, server.setting("gone"))).code == "unreachable"
        finally:
            server.start()
    async with drops.open(server.setting("gone"), ACCOUNT) as session:
        assert (await session.list_incoming()).files == ()


async def test_a_server_that_leaves_in_place_of_an_answer_is_lost(
    drops: SftpDrops, tmp_path: Path
) -> None:
    with open_password_server(tmp_path, LeavingServer) as running:
        setting = SftpSettings(
            "127.0.0.1", "lists", running.host_key, port=running.port, password=PASSWORD
        )
        async with drops.open(setting, ACCOUNT) as session:
            with pytest.raises(DropFailed) as caught:
                await session.list_incoming()
    assert (caught.value.code, caught.value.is_of_file) == ("lost", False), caught.value.detail


async def test_a_server_that_leaves_when_it_is_asked_for_sftp_is_lost(
    drops: SftpDrops, tmp_path: Path
) -> None:
    with open_password_server(tmp_path, ShyServer) as running:
        setting = SftpSettings(
            "127.0.0.1", "lists", running.host_key, port=running.port, password=PASSWORD
        )
        failed = await failure_of(drops, setting)
    assert (failed.code, failed.is_of_file) == ("lost", False), failed.detail


async def test_a_process_that_dies_takes_its_visits_along_and_is_started_again(
    server: Sshd,
) -> None:
    async with open_sftp_drops(LOOPBACK) as drops:
        async with drops.open(server.setting(), ACCOUNT) as session:
            first = drops.process_id
            assert first is not None
            os.kill(first, signal.SIGKILL)
            with pytest.raises(DropFailed) as caught:
                await session.list_incoming()
            assert caught.value.code == "unavailable"
        async with drops.open(server.setting(), ACCOUNT) as session:
            await session.list_incoming()
            assert drops.process_id != first


async def test_a_visit_that_is_broken_off_leaves_the_others_alone(
    server: Sshd, drops: SftpDrops
) -> None:
    async with drops.open(server.setting("a"), ACCOUNT) as session:
        with trio.CancelScope() as scope:
            async with drops.open(server.setting("b"), ACCOUNT) as other:
                scope.cancel()
                await other.list_incoming()
        await session.put("reports", "report.txt", bytes(1_000_000))
    assert (server.home / "a" / "reports" / "report.txt").stat().st_size == 1_000_000


async def test_a_password_opens_a_server_with_an_rsa_key(drops: SftpDrops, tmp_path: Path) -> None:
    with open_password_server(tmp_path) as running:
        setting = SftpSettings(
            "127.0.0.1", "lists", running.host_key, port=running.port, password=PASSWORD
        )
        async with drops.open(setting, ACCOUNT) as session:
            (tmp_path / "incoming" / "leads.csv").write_bytes(DATA)
            [listed] = (await session.list_incoming()).files
            assert (await session.read("leads.csv", 100)).data == DATA
            assert await session.take_away(listed, None)
        wrong = msgspec.structs.replace(setting, password="incorrect horse")
        failed = await failure_of(drops, wrong)
    assert failed.code == "login_refused"
    assert "horse" not in failed.detail
