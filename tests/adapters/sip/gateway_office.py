"""What stands around a `Gateway` in its tests: a scripted DNS, and servers that answer errands as told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from msgspec import Struct

from adapters.sip.call.outbox import Outbox
from adapters.sip.call.transaction import Timing
from adapters.sip.errand.errand import Errand
from adapters.sip.gateway import Gateway, GatewayServices
from adapters.sip.locate.records import Located, LocateError
from adapters.sip.locate.resolver import LookupSettings
from adapters.sip.locate.server import Server
from adapters.sip.pump import Cause
from adapters.sip.trunk import Here, Trunk
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request, Response, build_response, parse
from engine.ports.telephony import TrunkCondition
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.errand.desk import HERE

FIRST, SECOND, THIRD = Hop("192.0.2.1", 5060), Hop("192.0.2.2", 5060), Hop("192.0.2.3", 5060)
NAME = "carrier.example"
ROUND_TRIP_S = 0.25


def located(*hops: Hop, ttl_s: float = 3600.0) -> Located:
    """Servers, the best first."""
    return Located(tuple(Server(hop, priority) for priority, hop in enumerate(hops)), ttl_s)


class Reply(Struct, frozen=True):
    """How a server answers errands."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Told(Struct, frozen=True):
    """A condition, and when it was told."""

    at: float
    is_usable: bool
    detail: str


class Office:
    """The services of one gateway. Time begins at 0 with `open_gateway`.

    `looks` are what the DNS says, one after the other; the last is said again and again.
    """

    def __init__(self, nursery: trio.Nursery, looks: tuple[Located | LocateError, ...]) -> None:
        self._nursery = nursery
        self._looks = list(looks)
        self._began = trio.current_time()
        self.looked_at: list[float] = []
        self.replies: dict[Hop, Reply] = {}
        """Servers that are not here say nothing."""
        self.unreachable: set[str] = set()
        """Hosts to which we have no way."""
        self.causes: dict[Hop, Cause] = {}
        self.asked: list[tuple[float, Hop]] = []
        """When each errand was begun, and where it went."""
        self.requests: list[Request] = []
        """All that was sent, retransmissions and answers to challenges included."""
        self.told: list[Told] = []
        self.hosts: list[frozenset[str]] = []
        """Each set of hosts that was told."""
        self.gateway: Gateway | None = None
        self.may_register = trio.Event()
        self.may_register.set()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return trio.current_time() - self._began

    @property
    def usable(self) -> list[tuple[float, bool]]:
        """What was told without its words; times in tenths of a second."""
        return [(round(told.at, 1), told.is_usable) for told in self.told]

    def services(self) -> GatewayServices:
        return GatewayServices(
            begin=self._begin,
            here=self._here,
            families=(4,),
            lookup=LookupSettings(),
            randomness=Dice(),
            tell=self._tell,
            hosts_changed=self._note_hosts,
            cause_of_silence=lambda hop, _: self.causes.get(hop, Cause("timed_out")),
            may_register=self.may_register,
        )

    async def locate(self, *_: object) -> Located:
        """Stands in for the resolver."""
        await trio.lowlevel.checkpoint()
        self.looked_at.append(self.now)
        look = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(look, LocateError):
            raise look
        return look

    def _here(self, hop: Hop) -> Here:
        if hop.host in self.unreachable:
            raise OSError("Network is unreachable")
        return HERE

    def _tell(self, condition: TrunkCondition) -> None:
        assert condition.trunk == "main"
        self.told.append(Told(self.now, condition.is_usable, condition.detail))

    def _note_hosts(self) -> None:
        assert self.gateway is not None
        self.hosts.append(self.gateway.hosts)

    def _begin(self, errand: Errand, done: Callable[[], None]) -> None:
        outbox = Outbox()
        self.asked.append((self.now, errand.hop))
        errand.begin(trio.current_time(), outbox, Timing())
        self._nursery.start_soon(self._tend, errand, outbox, done)

    async def _tend(self, errand: Errand, outbox: Outbox, done: Callable[[], None]) -> None:
        """Give an errand its time, and what the server says to it."""
        while not errand.is_finished:
            reply = self.replies.get(errand.hop)
            for data, _ in outbox.datagrams:
                request = parse(data)
                assert isinstance(request, Request)
                self.requests.append(request)
            outbox.datagrams.clear()
            if reply is None:
                await trio.sleep_until(errand.next_wake)
                errand.wake(trio.current_time())
            else:
                await trio.sleep(ROUND_TRIP_S)
                data = build_response(
                    self.requests[-1], reply.status, to_tag=b"far", headers=reply.headers
                )
                response = parse(data)
                assert isinstance(response, Response)
                errand.receive_response(response, trio.current_time())
        done()


@asynccontextmanager
async def open_gateway(
    monkeypatch: pytest.MonkeyPatch,
    *looks: Located | LocateError,
    trunk: Trunk | None = None,
    replies: dict[Hop, Reply] | None = None,
    unreachable: tuple[str, ...] = (),
    may_register: trio.Event | None = None,
) -> AsyncIterator[tuple[Gateway, Office]]:
    """A gateway that runs, and has looked for its servers once."""
    async with trio.open_nursery() as nursery:
        office = Office(nursery, looks)
        office.replies.update(replies or {})
        office.unreachable.update(unreachable)
        if may_register is not None:
            office.may_register = may_register
        monkeypatch.setattr("adapters.sip.gateway.locate", office.locate)
        gateway = Gateway(trunk or Trunk("main", NAME), office.services())
        office.gateway = gateway
        nursery.start_soon(gateway.run)
        await gateway.wait_located()
        await trio.testing.wait_all_tasks_blocked()
        yield gateway, office
        nursery.cancel_scope.cancel()
