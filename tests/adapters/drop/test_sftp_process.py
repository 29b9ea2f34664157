"""Each order to the SFTP process is answered, whatever a server makes the library do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.drop.sftp_process import Desk
from adapters.drop.wire import LENGTH_BYTES, Failed, Login, Reply, Request, read_reply


class Engine:
    """Hears the answers."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[Reply] = asyncio.Queue()

    def write(self, frame: bytes) -> None:
        self.replies.put_nowait(read_reply(frame[LENGTH_BYTES:]))

    async def drain(self) -> None:
        """Nothing waits."""


def test_an_order_that_breaks_the_library_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an answer the visit would wait for five minutes."""

    async def break_down(login: Login) -> Any:
        raise IndexError("of a message that the server made up")

    monkeypatch.setattr("adapters.drop.sftp_process.connect", break_down)
    login = Login(("192.0.2.1",), "sftp.example.com", 22, "ada", "", None, None, "/")

    async def ask() -> Reply:
        engine: Any = Engine()
        desk = Desk(engine)
        desk.take(Request(1, login))
        async with asyncio.timeout(5):
            reply: Reply = await engine.replies.get()
        return reply

    detail = "What the server sent cannot be dealt with (IndexError)."
    assert asyncio.run(ask()) == Reply(1, Failed("failed", detail))
