"""The process that speaks SFTP: asyncssh on asyncio, apart from the engine, so that neither ciphers nor
whatever a server sends can hold a call up. It serves the engine over the socket that is its standard input,
and ends with it.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from contextlib import suppress
from typing import Final

from adapters.drop.sftp_session import SftpSession, connect
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
    Reply,
    Request,
    TakeAway,
    WasRead,
    pack,
    read_request,
)
from engine.ports.drops import DropFailed

MEMORY_BYTES_MAX: Final = 2 * 1024**3
"""Of addresses. A server that sends without end ends this process, which is started again, and not more."""


class Desk:
    """Takes requests and hands each to its session."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._sessions: dict[int, asyncio.Queue[Order]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def take(self, request: Request) -> None:
        """Take a request; its reply follows."""
        session = request.session
        if isinstance(request.order, Leave):
            task = self._tasks.get(session)
            if task is not None:
                task.cancel()
            return
        if session not in self._sessions:
            self._sessions[session] = asyncio.Queue()
            self._tasks[session] = asyncio.create_task(self._serve(session))
        self._sessions[session].put_nowait(request.order)

    async def _serve(self, session: int) -> None:
        """The life of one session."""
        orders = self._sessions[session]
        connected: SftpSession | None = None
        try:
            while True:
                order = await orders.get()
                outcome: Outcome
                try:
                    if isinstance(order, Login):
                        async with asyncio.timeout(CONNECT_S + STEP_S):
                            connected = await connect(order)
                        outcome = Done()
                    else:
                        assert connected is not None  # a session begins with its login
                        async with asyncio.timeout(STEP_S):
                            outcome = await _carry_out(connected, order)
                except DropFailed as failed:
                    outcome = Failed(failed.code, failed.detail)
                except TimeoutError:
                    outcome = Failed("timeout", "The server did not answer in time.")
                except Exception as error:
                    # Whatever a server can provoke in a library: without an answer the visit would wait for
                    # its whole time.
                    detail = f"What the server sent cannot be dealt with ({type(error).__name__})."
                    outcome = Failed("failed", detail)
                self._writer.write(pack(Reply(session, outcome)))
                await self._writer.drain()
        finally:
            del self._sessions[session], self._tasks[session]
            if connected is not None:
                connected.close()


async def _carry_out(session: SftpSession, order: Order) -> Outcome:
    if isinstance(order, List):
        return Listed(await session.list_incoming())
    if isinstance(order, Read):
        return WasRead(await session.read(order.name, order.bytes_max))
    if isinstance(order, Put):
        await session.put(order.side, order.name, order.data)
        return Done()
    assert isinstance(order, TakeAway)
    return Done(await session.take_away(order.entry, order.to))


async def serve(engine: socket.socket) -> None:
    """Serve until the engine is gone."""
    reader, writer = await asyncio.open_connection(sock=engine)
    desk = Desk(writer)
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
            assert length <= FRAME_BYTES_MAX  # the engine is one of us
            desk.take(read_request(await reader.readexactly(length)))


def main() -> None:
    """Run as a child of the engine."""
    # Whatever a server can provoke is answered to the engine, which logs what matters.
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    with suppress(KeyboardInterrupt):
        engine = socket.socket(fileno=0)
        engine.setblocking(False)
        asyncio.run(serve(engine))


if __name__ == "__main__":
    main()
