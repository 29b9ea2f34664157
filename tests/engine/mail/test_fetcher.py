"""What becomes of sessions with a mailbox, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import trio

from engine.mail.fetcher import STEADY_S, MailboxStatus, MailFetcher
from engine.model.pickup import DropState
from engine.ports.mailboxes import Fetched, MailboxFailed
from engine.ports.stored import StoreUnavailable
from tests.contract.store_samples import ACME, NOW
from tests.engine.mail.world import FLOW, MailWorld, open_world

EVERY_S = 60.0
WRONG = MailboxFailed("login_failed", "The server refuses it.", "No such user at mx7.")
DOWN = MailboxFailed("unreachable", "The server cannot be used: Connection refused.")
NOTHING = Fetched(0, has_more=False)


class Chance(Random):
    """Adds nothing to a pause."""

    def random(self) -> float:
        return 0.0


class ScriptedMailbox:
    """A mailbox of which it is known what happens."""

    def __init__(self, *script: Fetched | MailboxFailed | Exception) -> None:
        """What each look brings, in turn; afterwards nothing. A failure before a session's first look has
        nobody let in."""
        self.script = list(script)
        self.opened_at: list[float] = []
        self.looks_at: list[float] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ScriptedMailbox]:
        self.opened_at.append(trio.current_time())
        if self.script and isinstance(self.script[0], MailboxFailed):
            raise self.script.pop(0)  # type: ignore[misc]
        yield self

    async def fetch(self) -> Fetched:
        self.looks_at.append(trio.current_time())
        happens = self.script.pop(0) if self.script else NOTHING
        if isinstance(happens, Exception):
            raise happens
        return happens

    async def wait(self, within_s: float) -> None:
        await trio.sleep(within_s)


async def run(
    world: MailWorld,
    mailbox: ScriptedMailbox,
    for_s: float,
    on_mail: Callable[[], None] = lambda: None,
) -> MailFetcher:
    fetcher = MailFetcher(mailbox, world.store, world.clock, Chance(), EVERY_S, on_mail)
    async with trio.open_nursery() as nursery:
        await nursery.start(fetcher.run)
        await trio.sleep(for_s)
        nursery.cancel_scope.cancel()
    return fetcher


async def state(world: MailWorld) -> DropState | None:
    return await world.store.drop_state(ACME, FLOW, "mailbox")


async def test_a_mailbox_is_looked_into_again_and_again_and_mails_wake_the_door(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    world = await open_world(tmp_path)
    mailbox = ScriptedMailbox(Fetched(20, True, 2), Fetched(1, False))
    woken: list[float] = []
    begun = trio.current_time()
    fetcher = await run(world, mailbox, 130, lambda: woken.append(trio.current_time() - begun))
    assert [at - begun for at in mailbox.looks_at] == [0, 0, 60, 120]
    assert woken == [0, 0]
    assert fetcher.status == MailboxStatus("ok", "", "", NOW, NOW, None, 0, 2)
    assert await state(world) == DropState("ok", "", NOW)
    assert world.told == []


async def test_a_mailbox_that_lets_nobody_in_is_tried_less_and_less_and_that_is_told_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    world = await open_world(tmp_path)
    mailbox = ScriptedMailbox(*[WRONG] * 7)
    begun = trio.current_time()
    fetcher = await run(world, mailbox, 2_000)
    assert [at - begun for at in mailbox.opened_at] == [0, 60, 180, 420, 900, 1_500]
    assert world.events("door.failed") == [
        {"door": "mailbox", "code": WRONG.code, "detail": WRONG.detail}
    ]
    assert await state(world) == DropState(WRONG.code, WRONG.detail, NOW)
    assert (fetcher.failing, fetcher.status.failures, fetcher.status.looked_at) == (1, 6, None)
    assert fetcher.status.said == "No such user at mx7."
    assert fetcher.status.next_at == NOW + 600


async def test_another_thing_that_is_wrong_is_told_and_so_is_its_end(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    world = await open_world(tmp_path)
    fetcher = await run(world, ScriptedMailbox(WRONG, DOWN), 500)
    assert [one["code"] for one in world.events("door.failed")] == [WRONG.code, DOWN.code]
    assert world.events("door.restored") == [{"door": "mailbox"}]
    assert (await state(world), fetcher.failing) == (DropState("ok", "", NOW), 0)


async def test_a_session_that_ends_after_a_while_is_no_failure(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    world = await open_world(tmp_path)
    mailbox = ScriptedMailbox(NOTHING, NOTHING, ValueError("closed"))
    begun = trio.current_time()
    await run(world, mailbox, 3 * STEADY_S)
    assert [at - begun for at in mailbox.opened_at] == [0, 120]
    assert world.told == []


async def test_a_server_that_says_without_end_that_there_is_news_is_asked_once_a_second(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    world = await open_world(tmp_path)
    mailbox = ScriptedMailbox(*[Fetched(0, has_more=True)] * 100)
    begun = trio.current_time()
    await run(world, mailbox, 9.5)
    assert [at - begun for at in mailbox.looks_at] == [*range(10)]


async def test_a_session_that_breaks_at_once_harms_nothing_else(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    world = await open_world(tmp_path)
    mailbox = ScriptedMailbox(ValueError("nonsense"))
    fetcher = await run(world, mailbox, 90)
    assert [one["code"] for one in world.events("door.failed")] == ["unavailable"]
    assert fetcher.status.code == "ok"


async def test_a_flow_that_hears_nobody_tells_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    world = await open_world(tmp_path)
    await world.change_settings(email_senders=())
    world.told.clear()
    await run(world, ScriptedMailbox(WRONG), 10)
    assert (await state(world), world.told) == (None, [])


async def test_what_a_store_could_not_keep_is_told_later(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    world = await open_world(tmp_path)
    keep = world.store.keep_drop_state

    async def fail(*_: object) -> None:
        world.store.keep_drop_state = keep  # type: ignore[method-assign]
        raise StoreUnavailable("the disk is full")

    world.store.keep_drop_state = fail  # type: ignore[method-assign, assignment]
    await run(world, ScriptedMailbox(WRONG, WRONG), 100)
    assert [one["code"] for one in world.events("door.failed")] == [WRONG.code]


async def test_after_a_restart_nothing_is_told_twice(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    world = await open_world(tmp_path)
    await run(world, ScriptedMailbox(WRONG), 10)
    world.clock.at += 100.0
    await run(world, ScriptedMailbox(MailboxFailed(WRONG.code, WRONG.detail)), 10)
    assert len(world.events("door.failed")) == 1
