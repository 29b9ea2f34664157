"""Where lists are picked up."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from adapters.address_guard import AddressGuard
from adapters.drop.doors import AllDrops
from adapters.drop.local import LocalDrops
from adapters.drop.sftp import open_sftp_drops
from api.config import Config
from engine.drop.keeper import DropKeeper
from engine.drop.visit import VisitServices
from engine.ids import IdSource
from engine.ports.clock import Randomness, WallClock
from engine.ports.holder import Holder
from engine.ports.store import Store
from engine.runtime import Engine


async def open_doors(
    config: Config,
    engine: Engine,
    store: Store,
    holder: Holder,
    clock: WallClock,
    chance: Randomness,
    stack: AsyncExitStack,
) -> DropKeeper:
    """Who picks lists up from SFTP servers and watched folders, for as long as the stack."""

    async def find_name(account: str) -> str | None:
        found = await store.get_account(account)
        return None if found is None else found.name

    sftp = await stack.enter_async_context(open_sftp_drops(AddressGuard(config.sftp.allow)))
    roots = {one.account: Path(one.path) for one in config.folders}
    services = VisitServices(
        store=store,
        intake=engine.intake,
        clock=clock,
        ids=IdSource(clock, chance),
        drops=AllDrops(sftp, LocalDrops(roots, find_name)),
        holder=holder,
    )
    return DropKeeper(services, chance)
