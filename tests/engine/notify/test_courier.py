"""The courier over a store, with receivers in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random

import msgspec
import pytest
import trio
from msgspec import Struct
from trio.testing import MockClock

from engine.model import FlowSettings
from engine.model.events import Event, StoredEvent
from engine.model.webhook import Delivery, Webhook
from engine.notify.courier import ACCOUNT_AT_ONCE_MAX, Courier
from engine.notify.pace import GIVE_UP_S, SPREAD, WAITS_S
from engine.ports.webhooks import Posted
from sim.memory_store import MemoryStore
from tests.contract.store_samples import ACME, FLOW, LIST, NOW, a_flow, a_new_list, an_account

URL = "https://example.com/hook"
OK = Posted("ok", status=200)
DAY_S = 86_400.0


class VirtualClock:
    """A wall clock that goes with trio's, unless somebody sets it."""

    def __init__(self) -> None:
        self.set_by_s = 0.0

    def now(self) -> float:
        return NOW + trio.current_time() + self.set_by_s


class Sent(Struct, frozen=True):
    at: float
    url: str
    id: str
    contact: str | None
    n: int
    """As the event's data has it."""


class Receivers:
    """Answers as a test says, after as long as it says, and remembers what came."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.taken: list[Sent] = []
        self.answer: Callable[[Sent], Posted] = lambda _: OK
        self.slow_s: dict[str, float] = {}
        self.at_once: dict[str, int] = {}
        self.most_at_once: dict[str, int] = {}

    async def post(
        self, hook: Webhook, delivery: str, body: bytes, at: float, account: str = ""
    ) -> Posted:
        event = msgspec.json.decode(body)
        one = Sent(at - NOW, hook.url, delivery, event["contact"], event["data"].get("n", 0))
        self.sent.append(one)
        self.at_once[hook.url] = self.at_once.get(hook.url, 0) + 1
        self.most_at_once[hook.url] = max(
            self.most_at_once.get(hook.url, 0), self.at_once[hook.url]
        )
        await trio.sleep(self.slow_s.get(hook.url, 0.01))
        self.at_once[hook.url] -= 1
        answer = self.answer(one)
        if answer.code == "ok":
            self.taken.append(one)
        return answer


class World:
    """A store with a courier over it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.receivers = Receivers()
        self.store = MemoryStore(self._hear, self.clock)
        self.courier: Courier | None = None

    def _hear(self, events: Sequence[StoredEvent]) -> None:
        if self.courier is not None:
            self.courier.note(events)

    async def add_flow(self, flow: str, url: str, account: str = ACME, lists: str = LIST) -> None:
        settings = FlowSettings(webhook=Webhook(url, "secret", ("contact.completed",)))
        calls = f"lst_of_{flow}"
        await self.store.add_flow(a_flow(flow, account, calls, settings=settings))
        await self.store.accept_list(a_new_list(1, lists, account=account, flow=flow))

    async def tell(
        self, contact: str, n: int, flow: str = FLOW, account: str = ACME, lists: str = LIST
    ) -> None:
        event = Event(
            "contact.completed", self.clock.now(), account, flow, lists, contact, data={"n": n}
        )
        await self.store.defer_contacts([], [event])

    async def states(self, flow: str = FLOW) -> dict[str, int]:
        counted: dict[str, int] = {}
        for one in (await self.store.list_deliveries(ACME, flow, None, 1000, None)).items:
            counted[one.state] = counted.get(one.state, 0) + 1
        return counted

    async def last_delivery(self) -> Delivery:
        return (await self.store.list_deliveries(ACME, FLOW, None, 1, None)).items[0]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            self.courier = Courier(self.store, self.receivers, self.clock, Random(1))
            await nursery.start(self.courier.run)
            yield
            nursery.cancel_scope.cancel()


@pytest.fixture
async def world(autojump_clock: MockClock) -> World:
    made = World()
    await made.store.add_account(an_account())
    await made.store.add_flow(
        a_flow(settings=FlowSettings(webhook=Webhook(URL, "secret", ("contact.completed",))))
    )
    await made.store.accept_list(a_new_list(1))
    return made


async def test_each_event_is_delivered_once_and_those_of_a_contact_in_order(
    world: World, autojump_clock: MockClock
) -> None:
    async with world.running():
        for n in range(5):
            for contact in range(20):
                await world.tell(f"cnt_{contact}", n)
        await trio.sleep(60)
    assert await world.states() == {"delivered": 100}
    assert len({one.id for one in world.receivers.sent}) == len(world.receivers.sent) == 100
    for contact in range(20):
        of_one = [one.n for one in world.receivers.sent if one.contact == f"cnt_{contact}"]
        assert of_one == [0, 1, 2, 3, 4]


async def test_what_an_earlier_run_left_is_delivered_by_the_next(
    world: World, autojump_clock: MockClock
) -> None:
    for n in range(3):
        await world.tell("cnt_1", n)
    async with world.running():
        await trio.sleep(1)
    assert [one.n for one in world.receivers.sent] == [0, 1, 2]


async def test_a_receiver_that_is_slow_then_down_then_broken_then_gone_loses_nothing_unseen(
    world: World, autojump_clock: MockClock
) -> None:
    receivers, phases = world.receivers, {"down": False, "broken": False, "gone": False}

    def answer(_: Sent) -> Posted:
        if phases["gone"]:
            return Posted("gone", "It answered with the status 410.", 410)
        if phases["broken"]:
            return Posted("bad_status", "It answered with the status 500.", 500)
        return Posted("unreachable", "No.") if phases["down"] else OK

    receivers.answer = answer
    receivers.slow_s[URL] = 12.0
    async with world.running():
        for n in range(3):
            for contact in range(10):
                await world.tell(f"cnt_{contact}", n)
        await trio.sleep(600)
        assert await world.states() == {"delivered": 30}
        receivers.slow_s[URL] = 0.01
        phases["down"] = True
        for contact in range(10):
            await world.tell(f"cnt_{contact}", 3)
        await trio.sleep(3 * 3600)
        assert await world.states() == {"delivered": 30, "pending": 10}
        while_down = len(receivers.sent) - 30
        assert while_down < 40  # it is asked now and then, and not for each that waits
        phases.update(down=False, broken=True)
        await trio.sleep(3 * 3600)
        assert await world.states() == {"delivered": 30, "pending": 10}
        phases["broken"] = False
        await trio.sleep(DAY_S)
        assert await world.states() == {"delivered": 40}
        for contact in range(10):
            of_one = [one.n for one in receivers.taken if one.contact == f"cnt_{contact}"]
            assert of_one == [0, 1, 2, 3]
        phases["gone"] = True
        for contact in range(10):
            await world.tell(f"cnt_{contact}", 4)
        await trio.sleep(3600)
        assert await world.states() == {"delivered": 40, "given_up": 10}
        assert (await world.last_delivery()).last is not None
        sent = len(receivers.sent)
        await world.tell("cnt_1", 5)
        await trio.sleep(DAY_S)
        assert len(receivers.sent) == sent
        assert await world.states() == {"delivered": 40, "given_up": 10}
        assert len({one.id for one in receivers.taken}) == len(receivers.taken) == 40


@pytest.mark.parametrize("setting", [-DAY_S, -30 * DAY_S])
async def test_a_clock_that_is_set_back_holds_nothing_up(
    world: World, autojump_clock: MockClock, setting: float
) -> None:
    """Neither what waits to be sent again, nor what comes then; and a receiver is told the time as it is."""
    receivers, is_down = world.receivers, True
    receivers.answer = lambda _: Posted("unreachable", "No.") if is_down else OK
    async with world.running():
        for contact in range(10):
            await world.tell(f"cnt_{contact}", 0)
        await trio.sleep(600)  # the receiver is left alone by now, and every delivery waits
        assert await world.states() == {"pending": 10}
        world.clock.set_by_s = setting
        is_down = False
        await world.tell("cnt_0", 1)
        await trio.sleep(3600)
        assert await world.states() == {"delivered": 11}
        assert [one.n for one in receivers.taken if one.contact == "cnt_0"] == [0, 1]
        now = world.clock.now() - NOW
        assert all(now - 3600 <= one.at <= now for one in receivers.taken)


async def test_a_clock_that_is_set_back_and_right_again_makes_no_try_late_or_early(
    world: World, autojump_clock: MockClock
) -> None:
    tried_at: list[float] = []

    def refuse(_: Sent) -> Posted:
        tried_at.append(trio.current_time())
        return Posted("bad_status", "It answered with 500.", 500)

    world.receivers.answer = refuse
    async with world.running():
        await world.tell("cnt_0", 0)
        await trio.sleep(30)
        world.clock.set_by_s = -DAY_S
        await trio.sleep(100)
        world.clock.set_by_s = 0
        await trio.sleep(1000)
    waits = [later - earlier for earlier, later in pairwise(tried_at)]
    assert len(waits) == 3
    for wait, least in zip(waits, WAITS_S, strict=False):
        assert least <= wait <= (1 + SPREAD) * least + 0.1


async def test_what_is_never_taken_is_given_up_after_three_days_and_says_so(
    world: World, autojump_clock: MockClock
) -> None:
    world.receivers.answer = lambda _: Posted("bad_status", "It answered with 500.", 500)
    async with world.running():
        for contact in range(200):
            for n in range(2):
                await world.tell(f"cnt_{contact}", n)
        await trio.sleep(GIVE_UP_S - 3600)
        assert (await world.states())["pending"] > 300
        await trio.sleep(7200)
        assert await world.states() == {"given_up": 400}
        codes = {
            one.last.code
            for one in (await world.store.list_deliveries(ACME, FLOW, None, 1000, None)).items
            if one.last is not None
        }
        assert codes <= {"expired", "bad_status"}
        assert len(world.receivers.sent) < 3 * DAY_S / 500


async def test_a_dead_receiver_holds_up_nobody_else(
    world: World, autojump_clock: MockClock
) -> None:
    world.receivers.answer = lambda one: (
        Posted("timeout", "") if one.url != "https://ok.example/" else OK
    )
    await world.store.add_account(an_account("acc_9", "other"))
    for n in range(20):
        url = f"https://dead{n}.example/"
        world.receivers.slow_s[url] = 15.0
        await world.add_flow(f"flw_dead{n}", url, lists=f"lst_dead{n}")
    await world.add_flow("flw_ok", "https://ok.example/", "acc_9", "lst_ok")
    async with world.running():
        for n in range(20):
            for contact in range(30):
                await world.tell(f"cnt_{n}_{contact}", 0, f"flw_dead{n}", lists=f"lst_dead{n}")
        await trio.sleep(0.5)
        for contact in range(50):
            await world.tell(f"cnt_ok_{contact}", 0, "flw_ok", "acc_9", "lst_ok")
        await trio.sleep(2)
        assert len(world.receivers.taken) == 50
        assert sum(world.receivers.at_once.values()) <= ACCOUNT_AT_ONCE_MAX


async def test_a_hook_that_was_taken_away_gives_up_what_waits(
    world: World, autojump_clock: MockClock
) -> None:
    await world.tell("cnt_1", 0)
    await world.store.change_flow(
        ACME, FLOW, lambda flow: msgspec.structs.replace(flow, settings=FlowSettings())
    )
    async with world.running():
        await trio.sleep(1)
    last = (await world.last_delivery()).last
    assert await world.states() == {"given_up": 1}
    assert last is not None
    assert last.code == "no_webhook"
    assert world.receivers.sent == []


async def test_a_receiver_that_asks_for_time_gets_it(
    world: World, autojump_clock: MockClock
) -> None:
    busy = Posted("bad_status", "It answered with the status 429.", 429, 120.0)
    world.receivers.answer = lambda one: busy if one.at < 60 else OK
    async with world.running():
        await world.tell("cnt_1", 0)
        await trio.sleep(300)
    first, second = world.receivers.sent
    assert second.at - first.at >= 120
    assert await world.states() == {"delivered": 1}
