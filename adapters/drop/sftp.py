"""The engine's side of SFTP: sessions of a process of its own, which is started when it is first needed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

import msgspec
import structlog
import trio

from adapters.address_guard import AddressGuard, AddressRefused
from adapters.drop.wire import (
    CONNECT_S,
    FRAME_BYTES_MAX,
    LENGTH_BYTES,
    STEP_S,
    Done,
    Failed,
    Leave,
    List,
    Listed,
    Login,
    Order,
    Outcome,
    Put,
    Read,
    Request,
    TakeAway,
    WasRead,
    pack,
    read_reply,
)
from adapters.shares import Shares
from engine.model.drop_settings import SftpSettings
from engine.ports.drops import DropFailed, FileEntry, Listing, ReadFile, Side

SESSIONS_MAX: Final = 32
"""Servers that are visited at once."""
RESOLVE_S: Final = 20.0
GRACE_S: Final = 10.0
"""By which the process may be late to say that a server is."""
RECEIVE_BYTES: Final = 256 * 1024
COMMAND: Final = (sys.executable, "-P", "-m", "adapters.drop.sftp_process")

log = structlog.get_logger(__name__)

_GONE: Final = Failed("unavailable", "The process that speaks SFTP has ended; it is started again.")


class SftpDrops:
    """Visits SFTP servers; half of `engine.ports.drops.Drops`. Made by `open_sftp_drops`."""

    def __init__(self, guard: AddressGuard, nursery: trio.Nursery) -> None:
        self._guard = guard
        self._nursery = nursery
        self._shares = Shares(SESSIONS_MAX)
        self._process: SftpProcess | None = None
        self._starting = trio.Lock()

    @property
    def process_id(self) -> int | None:
        """Of the process that speaks SFTP; None while there is none."""
        return None if self._process is None else self._process.process_id

    @asynccontextmanager
    async def open(self, setting: SftpSettings, account: str) -> AsyncIterator[SftpSession]:
        """See the port."""
        async with self._shares.slot(account):
            addresses = await self._find(setting, account)
            process = await self._find_process()
            session = SftpSession(process)
            try:
                await session.log_in(setting, addresses)
                yield session
            finally:
                session.leave(self._nursery)

    async def _find(self, setting: SftpSettings, account: str) -> tuple[str, ...]:
        try:
            with trio.fail_after(RESOLVE_S):
                return await self._guard.find(setting.host, setting.port, account)
        except AddressRefused as refused:
            detail = refused.detail.replace("webhooks.allow", "sftp.allow")
            raise DropFailed(refused.code, detail) from refused
        except trio.TooSlowError:
            detail = f"The address of {setting.host} was not found in time."
            raise DropFailed("timeout", detail) from None

    async def _find_process(self) -> SftpProcess:
        async with self._starting:
            if self._process is None or self._process.has_ended:
                try:
                    self._process = await self._nursery.start(_host_process)
                except OSError as error:
                    log.error("cannot start the SFTP process", error=str(error))
                    raise DropFailed(_GONE.code, _GONE.detail) from error
            return self._process


class SftpProcess:
    """The process, and who waits for what it says."""

    def __init__(self, stream: trio.SocketStream, process_id: int) -> None:
        self._stream = stream
        self._sending = trio.Lock()
        self._sessions = count(1)
        self._waiting: dict[int, tuple[trio.Event, list[Outcome]]] = {}
        self.process_id = process_id
        self.has_ended = False

    def new_session(self) -> int:
        """A number that no other session has."""
        return next(self._sessions)

    async def ask(self, session: int, order: Order, within_s: float) -> Outcome:
        """Have an order carried out."""
        if self.has_ended:
            return _GONE
        told: list[Outcome] = []
        woken = trio.Event()
        self._waiting[session] = (woken, told)
        try:
            with trio.move_on_after(within_s):
                await self._send(pack(Request(session, order)))
                await woken.wait()
                return told[0]
            return Failed("timeout", "The server did not answer in time.")
        finally:
            self._waiting.pop(session, None)

    def tell_leave(self, session: int, nursery: trio.Nursery) -> None:
        """Have a session ended, by and by."""
        nursery.start_soon(self._send, pack(Request(session, Leave())))

    async def _send(self, frame: bytes) -> None:
        # Half a frame would be the end of all sessions: a cancellation waits for its end.
        async with self._sending:
            with trio.move_on_after(GRACE_S, shield=True) as scope:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._stream.send_all(frame)
            if scope.cancelled_caught:
                self.end()

    async def receive(self) -> None:
        """Pass replies on until there are no more."""
        buffer = bytearray()
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while piece := await self._stream.receive_some(RECEIVE_BYTES):
                buffer += piece
                while (frame := _next_frame(buffer)) is not None:
                    reply = read_reply(frame)
                    self._answer(reply.session, reply.outcome)

    def end(self) -> None:
        """It is gone: nobody waits for it any more."""
        self.has_ended = True
        for session in tuple(self._waiting):
            self._answer(session, _GONE)

    def _answer(self, session: int, outcome: Outcome) -> None:
        waiting = self._waiting.get(session)
        if waiting is not None and not waiting[1]:
            waiting[1].append(outcome)
            waiting[0].set()


class SftpSession:
    """Implements `engine.ports.drops.DropSession`."""

    def __init__(self, process: SftpProcess) -> None:
        self._process = process
        self._number = process.new_session()

    async def log_in(self, setting: SftpSettings, addresses: tuple[str, ...]) -> None:
        """Have it let in. Raises `DropFailed`."""
        login = Login(
            addresses=addresses,
            host=setting.host,
            port=setting.port,
            user=setting.user,
            host_key=setting.host_key,
            password=setting.password,
            private_key=setting.private_key,
            folder=setting.folder,
        )
        await self._ask(login, CONNECT_S)

    def leave(self, nursery: trio.Nursery) -> None:
        """Have it ended."""
        self._process.tell_leave(self._number, nursery)

    async def list_incoming(self) -> Listing:
        """See the port."""
        outcome = await self._ask(List())
        assert isinstance(outcome, Listed)
        return outcome.listing

    async def read(self, name: str, bytes_max: int) -> ReadFile:
        """See the port."""
        outcome = await self._ask(Read(name, bytes_max))
        assert isinstance(outcome, WasRead)
        return outcome.file

    async def put(self, side: Side, name: str, data: bytes) -> None:
        """See the port."""
        await self._ask(Put(side, name, data))

    async def take_away(self, entry: FileEntry, to: str | None) -> bool:
        """See the port."""
        outcome = await self._ask(TakeAway(entry, to))
        assert isinstance(outcome, Done)
        return outcome.answer

    async def _ask(self, order: Order, more_s: float = 0.0) -> Outcome:
        outcome = await self._process.ask(self._number, order, STEP_S + more_s + GRACE_S)
        if isinstance(outcome, Failed):
            raise DropFailed(outcome.code, outcome.detail)
        return outcome


@asynccontextmanager
async def open_sftp_drops(guard: AddressGuard) -> AsyncIterator[SftpDrops]:
    """SFTP for as long as the block lasts; its process ends with it."""
    async with trio.open_nursery() as nursery:
        try:
            yield SftpDrops(guard, nursery)
        finally:
            nursery.cancel_scope.cancel()


async def _host_process(*, task_status: trio.TaskStatus[SftpProcess]) -> None:
    """Start the process and listen to it until it ends."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await trio.lowlevel.open_process(
            COMMAND, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=make_environment()
        )
    ours.setblocking(False)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    speaker = SftpProcess(stream, process.pid)
    try:
        task_status.started(speaker)
        await speaker.receive()
        log.error("the SFTP process ended", exit_code=process.poll())
    except (msgspec.MsgspecError, AssertionError):
        # It must not take the engine along, whatever a server has made of it.
        log.exception("the SFTP process says what it cannot")
    finally:
        speaker.end()
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)
            process.kill()
            await process.wait()


def _next_frame(buffer: bytearray) -> bytes | None:
    """The first whole frame, which leaves the buffer."""
    if len(buffer) < LENGTH_BYTES:
        return None
    length = int.from_bytes(buffer[:LENGTH_BYTES], "big")
    assert length <= FRAME_BYTES_MAX
    end = LENGTH_BYTES + length
    if len(buffer) < end:
        return None
    frame = bytes(buffer[LENGTH_BYTES:end])
    del buffer[:end]
    return frame


def make_environment() -> dict[str, str]:
    """The parent's environment, with which the child finds this very package from anywhere."""
    root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    search_path = os.pathsep.join([root, inherited]) if inherited else root
    return {**os.environ, "PYTHONPATH": search_path}
