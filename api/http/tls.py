"""TLS of the HTTP server's own: the certificate that new connections see, and when it is read again."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

import structlog
import trio

log = structlog.get_logger(__name__)

LOOK_S: Final = 10.0
"""How often it is looked whether the files have changed."""
PROTOCOLS: Final = ["http/1.1"]
"""What is agreed on in the handshake (RFC 7301)."""

Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """The server's certificate. New files are taken up for connections that come then; those that cannot be
    used are told of in the log, and change nothing."""

    def __init__(self, make_context: Callable[[], ssl.SSLContext], files: Sequence[str]) -> None:
        """Raises what `make_context` raises.

        Args:
            make_context: reads the files; raises `OSError` where they cannot be used.
            files: their names.
        """
        self._make_context = make_context
        self._files = tuple(files)
        self._stamp = self._look()
        self._context = self._make()

    @property
    def context(self) -> ssl.SSLContext:
        """For connections that come now."""
        return self._context

    async def reload(self) -> bool:
        """Read the files again; whether they could be used."""
        self._stamp = await trio.to_thread.run_sync(self._look)
        try:
            self._context = await trio.to_thread.run_sync(self._make)
        except OSError as error:
            log.error("certificate_not_taken", detail=str(error), files=self._files)
            return False
        log.info("certificate_taken", files=self._files)
        return True

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Take up what changes, until cancelled. Of two files that are replaced one after the other the first
        does not fit the second for a moment: that is logged, and taken up when it fits."""
        task_status.started()
        while True:
            await trio.sleep(LOOK_S)
            if await trio.to_thread.run_sync(self._look) != self._stamp:
                await self.reload()

    def _make(self) -> ssl.SSLContext:
        context = self._make_context()
        context.set_alpn_protocols(PROTOCOLS)
        return context

    def _look(self) -> Stamp:
        """What changes when a file does, or a link leads to another one."""
        stamps = []
        for file in self._files:
            try:
                found = os.stat(file)
            except OSError:
                stamps.append((0, 0, 0))
            else:
                stamps.append((found.st_ino, found.st_mtime_ns, found.st_size))
        return tuple(stamps)
