"""SFTP servers in this process: one that wants a password, where OpenSSH's would want a user of this machine
with one, and one that breaks off at the worst moment.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
from msgspec import Struct

PASSWORD = "correct horse"


class PasswordServer(asyncssh.SSHServer):
    """Lets in whoever has the password."""

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return False

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("lists", PASSWORD)


class LeavingServer(asyncssh.SFTPServer):
    """Has read what it is asked for, and is gone without an answer: with nothing left unread, its kernel says
    goodbye in the proper way, so that this is no error of the socket.
    """

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        self.connection.abort()
        yield asyncssh.SFTPName(b".")


class ShyServer(asyncssh.SFTPServer):
    """Lets everybody in, and is gone when it is asked for SFTP."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], chroot: bytes) -> None:
        super().__init__(channel, chroot=chroot)
        self.connection.abort()


class Running(Struct, frozen=True):
    port: int
    host_key: str


@contextmanager
def open_password_server(
    home: Path, kind: type[asyncssh.SFTPServer] = asyncssh.SFTPServer
) -> Iterator[Running]:
    """A server in a thread, for as long as the block lasts."""
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[key],
            server_factory=PasswordServer,
            sftp_factory=lambda channel: kind(channel, chroot=bytes(home)),
        )

    try:
        acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
        yield Running(acceptor.get_port(), key.export_public_key().decode())
        loop.call_soon_threadsafe(acceptor.close)
        asyncio.run_coroutine_threadsafe(acceptor.wait_closed(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
