"""The engine's side of the mailbox: a process for each session, which ends with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
import trio

from adapters.mail.mailbox_wire import MailboxSettings, Order, Outcome
from adapters.mail.receiver import LINE_BYTES_MAX, RECEIVE_BYTES, make_environment
from engine.ports.mailboxes import Fetched, MailboxFailed

COMMAND: Final = (sys.executable, "-P", "-m", "adapters.mail.mailbox_process")
OPEN_S_MAX: Final = 120.0
"""Until somebody is logged in."""
FETCH_S_MAX: Final = 900.0
"""For one look with all that it brings."""
GRACE_S: Final = 120.0
"""By which a wait may end too late."""

log = structlog.get_logger(__name__)


class ImapMailbox:
    """The port `engine.ports.mailboxes.Mailbox`."""

    def __init__(self, settings: MailboxSettings) -> None:
        self._settings = settings

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ImapSession]:
        """See the port."""
        try:
            process = await trio.lowlevel.open_process(
                COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=make_environment()
            )
        except OSError as error:
            log.error("cannot start the process for the mailbox", error=str(error))
            detail = "The process that looks into the mailbox cannot be started."
            raise MailboxFailed("unavailable", detail) from error
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018 - both were asked for
        session = ImapSession(process.stdin, process.stdout)
        try:
            await session.ask(msgspec.json.encode(self._settings), OPEN_S_MAX)
            yield session
        finally:
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()
                await process.stdin.aclose()
                await process.stdout.aclose()


class ImapSession:
    """The port `engine.ports.mailboxes.MailboxSession`."""

    def __init__(self, says: trio.abc.SendStream, hears: trio.abc.ReceiveStream) -> None:
        self._says = says
        self._hears = hears
        self._buffer = bytearray()

    async def fetch(self) -> Fetched:
        """See the port."""
        outcome = await self.ask(msgspec.json.encode(Order()), FETCH_S_MAX)
        assert outcome.fetched is not None
        return outcome.fetched

    async def wait(self, within_s: float) -> None:
        """See the port."""
        await self.ask(msgspec.json.encode(Order(within_s)), within_s + GRACE_S)

    async def ask(self, order: bytes, within_s: float) -> Outcome:
        """Have an order carried out. Raises `MailboxFailed`."""
        try:
            with trio.fail_after(within_s):
                await self._says.send_all(order + b"\n")
                outcome = msgspec.json.decode(await self._receive_line(), type=Outcome)
        except trio.TooSlowError:
            raise MailboxFailed("timeout", "The server did not answer in time.") from None
        except (trio.BrokenResourceError, msgspec.MsgspecError) as error:
            detail = "The process that looks into the mailbox ended."
            raise MailboxFailed("unavailable", detail) from error
        if outcome.code:
            raise MailboxFailed(outcome.code, outcome.detail, outcome.said)
        return outcome

    async def _receive_line(self) -> bytes:
        while b"\n" not in self._buffer:
            piece = await self._hears.receive_some(RECEIVE_BYTES)
            if not piece or len(self._buffer) > LINE_BYTES_MAX:
                raise trio.BrokenResourceError
            self._buffer += piece
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line
