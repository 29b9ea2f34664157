"""IMAP servers that talk nonsense, or without end: the mailbox's process gives them up, and says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from adapters.mail import mailbox
from adapters.mail.imap_client import ANSWER_BYTES_MAX, ANSWER_LINES_MAX
from adapters.mail.mailbox import ImapMailbox
from adapters.mail.mailbox_wire import MailboxSettings
from adapters.mail.spool import make_spool
from engine.ports.mailboxes import MailboxFailed
from tests.engine.mail.world import DOMAIN, SECRET

PATIENCE_S = 120
ON_THE_WAY_BYTES = 32 * 1024 * 1024
"""That the system may hold between two sockets."""
HUGE = 10**11

Talk = Callable[[str], tuple[bytes, bytes]]
"""What is answered to a command: once, and then again and again for as long as somebody reads."""


def civil(command: str) -> tuple[bytes, bytes]:
    """As a server should."""
    name = command.split()[0]
    told = {
        "CAPABILITY": b"* CAPABILITY IMAP4rev1 IDLE UIDPLUS MOVE\r\n",
        "LIST": b'* LIST () "/" INBOX\r\n',
        "SELECT": b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] Valid\r\n",
        "UID": b"* SEARCH\r\n",
    }
    return told.get(name, b"") + b"%(tag)s OK Done\r\n", b""


def rude(name: str, once: bytes, endless: bytes = b"") -> Talk:
    """Civil but for one command."""

    def talk(command: str) -> tuple[bytes, bytes]:
        return (once, endless) if command.startswith(name) else civil(command)

    return talk


class Server:
    """Speaks with whoever comes."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.written = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection."""
        try:
            await self._answer(stream, "GREETING")
            received = b""
            while piece := await stream.receive_some(65_536):
                received += piece
                while b"\n" in received:
                    line, _, received = received.partition(b"\n")
                    tag, _, command = line.decode().strip().partition(" ")
                    await self._answer(stream, command or tag, tag)
        except trio.BrokenResourceError:
            pass  # it has had enough

    async def _answer(self, stream: trio.SocketStream, command: str, tag: str = "*") -> None:
        once, endless = self._talk(command)
        await self._write(stream, once.replace(b"%(tag)s", tag.encode()))
        while endless:
            await self._write(stream, endless)

    async def _write(self, stream: trio.SocketStream, data: bytes) -> None:
        await stream.send_all(data)
        self.written += len(data)


@asynccontextmanager
async def facing(talk: Talk, folder: Path) -> AsyncIterator[tuple[Server, ImapMailbox]]:
    """A server, and a mailbox that is said to be there."""
    make_spool(folder / "spool")
    server = Server(talk)
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, server.serve, [listener])
        port = listener.socket.getsockname()[1]
        settings = MailboxSettings(
            "127.0.0.1", port, "lists", str(folder / "spool"), DOMAIN, SECRET, "secret", tls="off"
        )
        with trio.fail_after(PATIENCE_S):
            yield server, ImapMailbox(settings)
        nursery.cancel_scope.cancel()


async def use(hostile: ImapMailbox) -> None:
    """As the engine does."""
    async with hostile.open() as session:
        await session.fetch()
        await session.wait(PATIENCE_S)


NEWS = b"* 1 EXISTS\r\n"


@pytest.mark.parametrize(
    ("talk", "codes"),
    [
        (rude("GREETING", b"\x00\xff{{{(((\r\n", b"\xfe)\r\n"), {"failed", "unreachable"}),
        (rude("GREETING", b"", b"x" * 65_536), {"failed"}),
        (rude("GREETING", b"* OK {%d}\r\n" % HUGE, b"x" * 65_536), {"unreachable"}),
        (rude("LOGIN", b"", NEWS * 1_000), {"unreachable"}),
        (rude("SELECT", b"* 1 FETCH (X {%d}\r\n" % HUGE, b"x" * 65_536), {"unreachable"}),
        (rude("LIST", b"* LIST " + b"(" * 100_000 + b"\r\n%(tag)s OK Done\r\n"), {"failed"}),
        (rude("UID", b"* SEARCH 1", b" 1" * 1_000), {"failed"}),
        (rude("UID", b"* SEARCH %s\r\n%%(tag)s OK Done\r\n" % (b"9" * 5_000)), {"failed"}),
        (rude("IDLE", b"+ idling\r\n", NEWS * 1_000), {"unreachable"}),
    ],
    ids=[
        "nonsense",
        "an endless greeting",
        "a huge literal in the greeting",
        "endless news",
        "a huge literal",
        "deep nesting",
        "an endless search",
        "a number with thousands of digits",
        "endless news while idle",
    ],
)
async def test_a_hostile_server_is_given_up_after_so_much(
    talk: Talk, codes: set[str], tmp_path: Path
) -> None:
    async with facing(talk, tmp_path) as (server, hostile):
        with pytest.raises(MailboxFailed) as caught:
            await use(hostile)
    assert caught.value.code in codes, (caught.value.code, caught.value.said)
    assert server.written < ANSWER_BYTES_MAX + ON_THE_WAY_BYTES
    assert server.written < ANSWER_LINES_MAX * len(NEWS) + ON_THE_WAY_BYTES


async def test_a_server_that_says_nothing_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "OPEN_S_MAX", 1.0)
    async with facing(rude("LOGIN", b""), tmp_path) as (_, silent):
        with pytest.raises(MailboxFailed) as caught:
            await use(silent)
    assert caught.value.code == "timeout"
