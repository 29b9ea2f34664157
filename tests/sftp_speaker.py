"""The process that speaks SFTP, once for many tests: most of a start is reading the library."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import trio

from adapters.drop import sftp


@contextmanager
def open_speaker() -> Iterator[socket.socket]:
    """Our end of it."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(sftp.COMMAND, stdin=theirs.fileno(), env=sftp.make_environment())
    theirs.close()
    yield ours
    ours.close()
    assert process.wait(10) == 0


def use_speaker(ours: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever opens SFTP speak with this process in place of one of its own."""
    monkeypatch.setattr(sftp, "_host_process", partial(_host, ours))


async def _host(ours: socket.socket, *, task_status: trio.TaskStatus[sftp.SftpProcess]) -> None:
    """As the product's own, but for starting and ending it."""
    copy = ours.dup()
    copy.setblocking(False)
    async with trio.SocketStream(trio.socket.from_stdlib_socket(copy)) as stream:
        speaking = sftp.SftpProcess(stream, os.getpid())
        task_status.started(speaking)
        await speaking.receive()
