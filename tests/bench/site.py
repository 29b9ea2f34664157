"""What the tests of scenarios share: one engine with a callee, lent to each of them, and how they judge.

Figures are processor time wherever there is one, as other tests run too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from queue import SimpleQueue
from time import process_time
from types import ModuleType
from typing import Any

import pytest
import trio

from api.client import CallwheelClient
from bench.installation import Installation, make_config, make_flow, open_installation
from bench.invites import InviteLog
from bench.scenario import Measurement, Show
from bench.timed import SippLog, open_logging_sipp
from tests.bench.slowing import Slower

SLOWED_MIN = 1.5
"""So many times what it was is slower."""
START_S_MAX = 120
QUIET = Show(lambda line: None)


def burn(seconds: float) -> None:
    """Use the processor."""
    until = process_time() + seconds
    while process_time() < until:
        pass


def check(figure_slowed: Measurement, floor_slowed: Measurement, name: str) -> None:
    """Each was slowed once, and shows it beside the run in which the other one was."""
    check_all(figure_slowed.metrics, floor_slowed.metrics, name)
    check_all(floor_slowed.floor, figure_slowed.floor, name)


def check_all(slowed: Mapping[str, float], plain: Mapping[str, float], *names: str) -> None:
    """Each of these figures is what it was several times over."""
    for name in names:
        assert slowed[name] > SLOWED_MIN * plain[name], (name, slowed[name], plain[name])


def slow_within(
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    *slowings: Callable[[], AbstractContextManager[None]],
) -> None:
    """Slow down what a part of a scenario measures: for as long as this function of a module or
    a class runs."""
    real = getattr(owner, name)

    async def run(*arguments: Any) -> Any:
        with ExitStack() as stack:
            for slowing in slowings:
                stack.enter_context(slowing())
            return await real(*arguments)

    monkeypatch.setattr(owner, name, run)


def play_invite(log: InviteLog, caller: str, called: str) -> None:
    """A call that begins now, as the callee's log takes it."""
    log.take(
        b"INVITE sip:%b@127.0.0.1 SIP/2.0\r\nFrom: <sip:%b@127.0.0.1>;tag=1\r\nCall-ID: %b\r\n\r\n"
        % (called.encode(), caller.encode(), os.urandom(8).hex().encode()),
        trio.current_time(),
    )


class Site:
    """An engine in a thread of its own, with a sipp callee."""

    def __init__(self, folder: Path, slower: Slower) -> None:
        self.folder = folder
        self._slower = slower
        self._flows = 0
        self._said: SimpleQueue[tuple[Installation, int, Path] | BaseException] = SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        said = self._said.get(timeout=START_S_MAX)
        if isinstance(said, BaseException):
            raise said
        self.engine, self._port, self._log = said

    def close(self) -> None:
        """End all of it."""
        self._token.run_sync_soon(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            trio.run(self._host)
        except BaseException as error:
            self._said.put(error)

    async def _host(self) -> None:
        self._stop = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        async with open_logging_sipp(self.folder) as (port, log):
            config = make_config(self.folder / "data", f"sip:127.0.0.1:{port}")
            variables = [("PYTHONPATH", self._slower.search_path)]
            async with open_installation(self.folder, config, variables) as engine:
                self._said.put((engine, port, log.file))
                await self._stop.wait()

    def lend(self, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
        """Have scenarios use this engine and its callee, with a flow and callers of their own, and begin at
        once."""

        @asynccontextmanager
        async def lend_installation(*_: Any) -> AsyncIterator[Installation]:
            engine = self.engine
            client = CallwheelClient(engine.url, engine.admin_key)
            yield Installation(engine.child, engine.url, client, engine.admin_key)

        async def lend_flow(client: CallwheelClient, dids: Mapping[str, float], **more: Any) -> str:
            self._flows += 1
            own = {f"+1202{self._flows:03}{n:04}": cps for n, cps in enumerate(dids.values())}
            return await make_flow(client, own, **more)

        @asynccontextmanager
        async def lend_log(*_: Any) -> AsyncIterator[tuple[int, SippLog]]:
            log = SippLog(self._log)
            log.read()
            log.came.clear()  # who was called before is not this scenario's
            yield self._port, log

        @asynccontextmanager
        async def lend_port(*_: Any) -> AsyncIterator[int]:
            yield self._port

        lent: dict[str, Any] = {
            "open_installation": lend_installation,
            "make_flow": lend_flow,
            "open_logging_sipp": lend_log,
            "_open_callee": lend_log,
            "open_callee": lend_port,
            "SETTLE_S": 0.0,
        }
        for module in modules:
            for name, value in lent.items():
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, value)
