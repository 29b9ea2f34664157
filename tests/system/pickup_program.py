"""A process that picks lists up, over a real store, until it is killed at a step that it was told.

python -m tests.system.pickup_program FOLDER SETTING reads a step a line, lives one life for it in a process
of its own, and says how that ended. With an empty step it ends by itself, once nothing is left to be done.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from adapters.address_guard import AddressGuard
from adapters.drop.doors import AllDrops
from adapters.drop.local import LocalDrops
from adapters.drop.sftp import open_sftp_drops
from adapters.sqlite.store import open_sqlite_store
from adapters.workers import InlineWorkers
from engine.drop.visit import Memory, VisitServices, visit
from engine.drop_settings import Door, DropSettings, FolderSettings, SftpSettings
from engine.ids import IdSource
from engine.intake.submission import Intake
from engine.ports.drops import DropSession
from tests.contract.store_samples import ACME, FLOW, furnish

EVERY_S: Final = 0.02
LETTERS: Final = "letters"
STEPS: Final = (
    *("before open", "after open", "after list_incoming", "after read"),
    *("before accept_list", "after accept_list", "before keep_refusal", "after keep_refusal"),
    *("before take_away", "after take_away", "before put", "after put"),
    *("before tell", "after tell", "before note_pickup_steps", "after note_pickup_steps"),
)
"""At which it can be told to be killed."""

_WATCHED: Final = frozenset(step.partition(" ")[2] for step in STEPS)


class Watched:
    """Something whose methods are steps."""

    def __init__(self, inner: Any, kill_at: str, watched: frozenset[str] | None = None) -> None:
        """`watched` are the names of methods that are steps; None are those of `STEPS`."""
        self._inner = inner
        self._kill_at = kill_at
        self._watched = _WATCHED if watched is None else watched

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in self._watched:
            return method

        async def run(*args: Any, **kwargs: Any) -> Any:
            step(f"before {name}", self._kill_at)
            result = await method(*args, **kwargs)
            step(f"after {name}", self._kill_at)
            return result

        return run


class WatchedDrops:
    """Places whose visits are steps."""

    def __init__(self, inner: AllDrops, kill_at: str) -> None:
        self._inner = inner
        self._kill_at = kill_at

    @asynccontextmanager
    async def open(self, setting: DropSettings, account: str) -> AsyncIterator[DropSession]:
        step("before open", self._kill_at)
        async with self._inner.open(setting, account) as session:
            step("after open", self._kill_at)
            watched: Any = Watched(session, self._kill_at)
            yield watched


class Letters:
    """Keeps the keys of letters in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def tell(self, account: str, key: str, *letter: object) -> None:
        with self._file.open("a") as file:
            file.write(f"{key}\n")


class SystemClock:
    """The machine's time of day."""

    def now(self) -> float:
        return time.time()  # noqa: TID251 - this is where the clock comes from


def step(name: str, kill_at: str) -> None:
    """Go by a step, or no further."""
    if name == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)


def read_setting(text: str) -> tuple[Door, DropSettings]:
    """A setting as `sftp` or `folder` has it, but for how often it is visited."""
    kind, _, body = text.partition(":")
    if kind == "sftp":
        setting = msgspec.json.decode(body, type=SftpSettings)
        return "sftp", msgspec.structs.replace(setting, every_s=EVERY_S)
    return "folder", FolderSettings(body, EVERY_S)


async def main(folder: Path, setting_text: str, kill_at: str) -> None:
    door, setting = read_setting(setting_text)
    clock = SystemClock()

    async def name_of(account: str) -> str | None:
        return account

    async with (
        open_sqlite_store(folder / "callwheel.db", lambda _: None, clock) as store,
        open_sftp_drops(AddressGuard([ip_network("127.0.0.0/8")])) as sftp,
    ):
        if await store.get_account(ACME) is None:
            await furnish(store)
        watched: Any = Watched(store, kill_at)
        ids = IdSource(clock, secrets.SystemRandom())
        intake = Intake(
            store=watched,
            clock=clock,
            ids=ids,
            workers=InlineWorkers(),
            destinations=("+1",),
            on_accepted=lambda *_: None,
        )
        letters: Any = Watched(Letters(folder / LETTERS), kill_at)
        local = LocalDrops({ACME: folder / "places"}, name_of)
        drops = WatchedDrops(AllDrops(sftp, local), kill_at)
        services = VisitServices(watched, intake, clock, ids, drops, letters)
        memory = Memory()
        while True:
            flow = await store.get_flow(ACME, FLOW)
            assert flow is not None
            problem = await visit(services, flow, door, setting, memory)
            assert problem is None, problem
            left = await store.pickups_left(ACME, FLOW, door, 1)
            if not kill_at and not left and not memory.before:
                return
            await trio.sleep(EVERY_S)


def live(folder: Path, setting_text: str, kill_at: str) -> int:
    """One life, in a process that has read all modules already; how it ended."""
    process = os.fork()
    if not process:
        status = 1
        try:
            trio.run(main, folder, setting_text, kill_at)
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        print(live(Path(sys.argv[1]), sys.argv[2], line.strip()), flush=True)
