"""A process that picks lists up, over a real store, until it is killed at a step that it was told.

python -m tests.system.pickup_program FOLDER SETTING is a program of `tests.system.lives`.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
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
from engine.ids import IdSource
from engine.intake.submission import Intake
from engine.model.drop_settings import Door, DropSettings, FolderSettings, SftpSettings
from engine.ports.drops import DropSession
from tests.contract.store_samples import ACME, FLOW, furnish
from tests.system.lives import SystemClock, Watched, go_by, methods_of, serve_lives

EVERY_S: Final = 0.02
LETTERS: Final = "letters"
STEPS: Final = (
    *("before open", "after open", "after list_incoming", "after read"),
    *("before accept_list", "after accept_list", "before keep_refusal", "after keep_refusal"),
    *("before take_away", "after take_away", "before put", "after put"),
    *("before tell", "after tell", "before note_pickup_steps", "after note_pickup_steps"),
)
"""At which it can be told to be killed."""

_WATCHED: Final = methods_of(STEPS)


class WatchedDrops:
    """Places whose visits are steps."""

    def __init__(self, inner: AllDrops, kill_at: str) -> None:
        self._inner = inner
        self._kill_at = kill_at

    @asynccontextmanager
    async def open(self, setting: DropSettings, account: str) -> AsyncIterator[DropSession]:
        go_by("before open", self._kill_at)
        async with self._inner.open(setting, account) as session:
            go_by("after open", self._kill_at)
            watched: Any = Watched(session, self._kill_at, _WATCHED)
            yield watched


class Letters:
    """Keeps the keys of letters in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def tell(self, account: str, key: str, *letter: object) -> None:
        with self._file.open("a") as file:
            file.write(f"{key}\n")


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
        watched: Any = Watched(store, kill_at, _WATCHED)
        ids = IdSource(clock, secrets.SystemRandom())
        intake = Intake(
            store=watched,
            clock=clock,
            ids=ids,
            workers=InlineWorkers(),
            destinations=("+1",),
            on_accepted=lambda *_: None,
        )
        letters: Any = Watched(Letters(folder / LETTERS), kill_at, _WATCHED)
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


if __name__ == "__main__":
    serve_lives(partial(main, Path(sys.argv[1]), sys.argv[2]))
