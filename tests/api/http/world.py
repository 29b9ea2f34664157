"""The application over an engine that dials nobody, and clients to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import trio
from msgspec import Struct
from quart_trio import QuartTrio
from werkzeug.datastructures import Headers

from adapters.sqlite.store import open_sqlite_store
from adapters.workers import InlineWorkers
from api.http.app import make_app
from api.http.auth import hash_key
from api.http.exchange import HttpSettings
from api.http.feed import FeedHub
from engine.control.activating import Activations
from engine.control.administration import Administration
from engine.control.blocked import BlockedList
from engine.control.holding import Holding
from engine.control.rescheduling import Rescheduling
from engine.control.staffing import Staffing
from engine.dial.agents.floor import FloorGlance
from engine.dial.agents.pacing import Tally
from engine.dial.attempts.live import LiveAttempts
from engine.dial.did_keeper import DidKeeper
from engine.dial.limits.party import limits_of_engine
from engine.dial.operation import Operation
from engine.forecast.forecaster import Forecaster, Installation
from engine.ids import IdSource
from engine.intake.submission import Intake
from engine.model import (
    Account,
    ApiKey,
    Attempt,
    Blocker,
    BlockerCode,
    CallList,
    Contact,
    ListCounts,
    Role,
)
from engine.model.agent import Agent, Presence
from engine.model.did_health import RestRules
from engine.model.events import Event
from engine.ports.prompts import PromptRefused
from engine.ports.store import Store
from engine.ports.stored import Conflict
from engine.post.postman import Postman
from engine.schedule.outlet import Hold
from engine.schedule.scheduler import Scheduler
from sim.memory_store import MemoryStore
from tests.new_database import lay_database

EPOCH: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""
PUBLIC_URL: Final = "https://calls.example.com"
ADMIN_KEY: Final = "cw_the-administrators-own"
DEFINITION: Final = {
    "start": "hello",
    "variables": {"name": {"default": "there"}},
    "nodes": {"hello": {"type": "wait", "duration_s": 1, "next": "bye"}, "bye": {"type": "hangup"}},
}
FLOW: Final = {"name": "reminder", "timezone": "Asia/Kolkata", "definition": DEFINITION}


class Clock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.at = EPOCH

    def now(self) -> float:
        return self.at


class Load(Struct, frozen=True):
    channels_in_use: int
    calls_last_s: int


class Keeper:
    """Keeps prompts in memory; what begins with `bad` is no recording."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def add(self, prompt_id: str, data: bytes) -> float:
        if data.startswith(b"bad"):
            raise PromptRefused("not_audio", "The file cannot be read as WAV.")
        self.kept[prompt_id] = data
        return len(data) / 8000


class Coming(Struct, frozen=True):
    """An agent who comes, unless it is Nobody."""

    agent: Agent

    async def wait(self) -> None:
        if self.agent.name == "Nobody":
            raise Conflict("agent_unreached", "The agent's telephone was not answered.")


class Lounge:
    """Agents who come and go as they are told, and have no customers but those whom a test gives them."""

    def __init__(self) -> None:
        self.presence: dict[str, Presence] = {}
        self.next: Contact | None = None
        self.talk: str | None = None
        """Whom every agent talks with."""
        self.asked: list[tuple[str, ...]] = []

    def show(self, agent: Agent) -> Agent:
        presence = self.presence.get(agent.id, "away")
        return msgspec.structs.replace(agent, presence=presence, contact=self.talk)

    def refresh(self, agent: Agent) -> None:
        self.asked.append(("refresh", agent.name))

    def let_come(self, agent: Agent) -> Coming:
        if agent.name != "Nobody":
            self.presence[agent.id] = "available"
        return Coming(agent)

    def let_go(self, agent: Agent) -> None:
        self.presence[agent.id] = "away"

    def remove(self, agent: Agent) -> None:
        self.asked.append(("remove", agent.name))

    async def show_next(self, agent: Agent) -> Contact | None:
        return self.next

    def accept(self, agent: Agent, contact: str) -> None:
        self.asked.append(("accept", agent.name, contact))

    def skip(self, agent: Agent, contact: str) -> None:
        self.asked.append(("skip", agent.name, contact))

    def part(self, agent: Agent, contact: str | None = None) -> None:
        if self.talk is None:
            raise Conflict("agent_not_talking", "The agent talks with nobody.")
        if contact not in (None, self.talk):
            raise Conflict("another_contact", "The agent talks with another contact by now.")
        self.talk = None

    def look_at_floor(self, flow: str) -> FloorGlance:
        return FloorGlance(free=2, in_air=3, room=-1, tally=Tally(200, 3))


class StillEngine:
    """The engine as the routes see it, without dialling."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        ids = IdSource(self.clock, Random(1))
        self.changed: list[tuple[str, str, str]] = []
        self.accepted: list[str] = []
        self.blocker: Blocker | None = None
        self.blocked: dict[BlockerCode, int] = {}
        self.blocked_detail: dict[BlockerCode, str] = {}
        self.obstacles: list[str] = []
        self.intake = Intake(
            store=store,
            clock=self.clock,
            ids=ids,
            workers=InlineWorkers(),
            destinations=("+91", "+1"),
            on_accepted=lambda _account, _flow, call_list, _due_at: self.accepted.append(call_list),
        )
        self.administration = Administration(
            store=store,
            clock=self.clock,
            ids=ids,
            on_account_changed=lambda account: self.changed.append(("account", account, account)),
            on_flow_changed=lambda account, flow: self.changed.append(("flow", account, flow)),
            on_did_changed=lambda account, did: self.changed.append(("did", account, did)),
        )

        scheduler = Scheduler(store, clock, lambda _work: Hold(None))
        operation = Operation(clock, limits_of_engine(1, 1), ())
        self.rescheduling = Rescheduling(store, clock, scheduler)
        installation = Installation(10, 10, (), (), (), None)
        self.forecaster = Forecaster(store, InlineWorkers(), Random(1), installation)
        self.holding = Holding(
            store,
            clock,
            operation,
            scheduler,
            LiveAttempts(),
            self.cancel_list,
            lambda account: self.changed.append(("account", account.id, account.id)),
            trio.Lock(),
        )
        self.dids = DidKeeper(store, clock, operation, RestRules(), lambda flow: None)
        self.agents = Lounge()
        self.staffing = Staffing(store=store, clock=clock, ids=ids, at_work=self.agents)

    async def pause_list(self, account: str, call_list: str) -> CallList | None:
        return await self.store.set_list_status(account, call_list, "pause", self.clock.now())

    async def resume_list(self, account: str, call_list: str) -> CallList | None:
        return await self.store.set_list_status(account, call_list, "resume", self.clock.now())

    async def cancel_list(self, account: str, call_list: str) -> CallList | None:
        return await self.store.set_list_status(account, call_list, "cancel", self.clock.now())

    async def cancel_contact(self, account: str, contact: str) -> Contact | None:
        if await self.store.get_contact(account, contact) is None:
            return None
        if not await self.store.complete_contacts([contact], "canceled", self.clock.now()):
            found = await self.store.get_contact(account, contact)
            assert found is not None
            code = "contact_dialing" if found.state == "dialing" else "contact_finished"
            raise Conflict(code, "Too late.")
        return await self.store.get_contact(account, contact)

    async def explain(self, contacts: Sequence[Contact]) -> list[Blocker | None]:
        return [self.blocker if contact.state == "open" else None for contact in contacts]

    async def sum_blockers(self, call_list: CallList, counts: ListCounts) -> BlockedList:
        return BlockedList(self.blocked, self.blocked_detail)

    def did_load(self, number: str) -> Load:
        return Load(channels_in_use=3, calls_last_s=2)

    def problems(self) -> list[str]:
        return self.obstacles


class Reply(Struct, frozen=True):
    """An answer of the API."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """The status and the code of an error."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return self.status, self.json["code"]


class Client:
    """Speaks to the application with one key."""

    def __init__(self, app: QuartTrio, key: str | None, acts_for: str | None = None) -> None:
        """`acts_for` is the account that an administrator's key names."""
        self._client = app.test_client()
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        if acts_for is not None:
            self._headers["Callwheel-Account"] = acts_for

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: bytes | None = None,
        content_type: str = "application/json",
        **headers: str,
    ) -> Reply:
        """A request with `body` as JSON, or with `data` as it is; `headers` have underscores in their
        names."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is None and body is not None:
            data = msgspec.json.encode(body)
        if data is not None:
            sent["Content-Type"] = content_type
        response = await self._client.open(  # type: ignore[call-arg]
            path, method=method, headers={**self._headers, **sent}, data=data
        )
        answered = await response.get_data(as_text=False)
        return Reply(response.status_code, response.headers, answered)

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.send("GET", path, None, data=None, content_type="", **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Reply:
        return await self.send(
            "POST", path, body, data=None, content_type="application/json", **headers
        )

    async def put(self, path: str, body: Any = None) -> Reply:
        return await self.send("PUT", path, body)

    async def patch(self, path: str, body: Any = None) -> Reply:
        return await self.send("PATCH", path, body)

    async def delete(self, path: str) -> Reply:
        return await self.send("DELETE", path)

    async def upload(
        self, path: str, name: str, content: bytes, *, field: str = "file", **headers: str
    ) -> Reply:
        """A multipart form with one file."""
        boundary = headers.pop("boundary", "b0und4ry")
        form = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode() + content
        return await self.send(
            "POST",
            path,
            data=form + f"\r\n--{boundary}--\r\n".encode(),
            content_type=f"multipart/form-data; boundary={boundary}",
            **headers,
        )


class World:
    """The application, its engine, and keys of every role."""

    def __init__(self, store: Store, hub: FeedHub, clock: Clock) -> None:
        self.store = store
        self.hub = hub
        self.engine = StillEngine(store, clock)
        self.keeper = Keeper()
        settings = HttpSettings(public_url=PUBLIC_URL, admin_sha256=hash_key(ADMIN_KEY))
        self.changed_by_mail: list[tuple[str, str]] = []
        activations = Activations(
            store=store,
            clock=clock,
            postman=Postman(store, None, clock, IdSource(clock, Random(2)), Random(3)),
            on_flow_changed=lambda *of: self.changed_by_mail.append(of),
        )
        self.app = make_app(self.engine, settings, hub, self.keeper, activations=activations)
        self.administrator = Client(self.app, ADMIN_KEY)
        self.stranger = Client(self.app, None)

    @classmethod
    def bare(cls) -> World:
        """A world with nothing in it, to look at."""
        hub, clock = FeedHub(), Clock()
        return cls(MemoryStore(hub.publish, clock), hub, clock)

    async def furnish(self) -> None:
        """Two accounts, with keys `ROLE-ACCOUNT`, and a DID each."""
        await self.store.add_account(Account("acc_0", "default", "UTC", "a@example.com", EPOCH))
        for place, name in enumerate(("ours", "theirs"), start=1):
            account = Account(f"acc_{place}", name, "UTC", f"{name}@example.com", EPOCH)
            await self.store.add_account(account)
            roles: tuple[Role, ...] = ("owner", "operator", "viewer")
            for role in roles:
                key = f"{role}-{name}"
                record = ApiKey(f"key_{role}_{place}", account.id, role, hash_key(key), EPOCH)
                await self.store.add_key(record)
            did = {"number": f"+1415555010{place}", "account": name, "trunk": "main"}
            assert (await self.administrator.post("/v1/dids", did)).status == 201

    def client(self, role: str, account: str = "ours") -> Client:
        """A client with the key of a role."""
        return Client(self.app, f"{role}-{account}")

    async def make_flow(
        self, *, listening: bool = True, account: str = "ours", **fields: Any
    ) -> str:
        """A flow; its id."""
        owner = self.client("owner", account)
        flow = str((await owner.post("/v1/flows", {**FLOW, **fields})).json["id"])
        if listening:
            number = {"ours": "+14155550101", "theirs": "+14155550102"}[account]
            assert (await owner.put(f"/v1/flows/{flow}/dids", {"numbers": [number]})).status == 200
            reply = await owner.put(f"/v1/flows/{flow}/listener", {"active": True})
            assert reply.status == 200
        return flow

    async def make_agent(self, flow: str, **fields: Any) -> str:
        """An agent of the flow; its id."""
        body = {"number": "+14155550177", "name": "Ada", **fields}
        reply = await self.client("operator").post(f"/v1/flows/{flow}/agents", body)
        assert reply.status == 201
        return str(reply.json["id"])

    async def make_list(self, flow: str, *contacts: Mapping[str, Any]) -> str:
        """A list of the flow; its id."""
        body = {"name": "june", "contacts": contacts or ({"tel": ["+919876543210"]},)}
        reply = await self.client("operator").post(f"/v1/flows/{flow}/multicast", body)
        assert reply.status == 202, reply.body
        return str(reply.json["list"])

    async def contacts(self, call_list: str) -> list[Contact]:
        """The contacts of a list of ours."""
        return list((await self.store.list_contacts("acc_1", call_list, 1000, None)).items)

    async def begin_attempt(self, contact: Contact, **changes: Any) -> Attempt:
        """An attempt on a contact, begun now."""
        attempt = Attempt(
            id=changes.pop("id", f"att_{contact.id}"),
            account=contact.account,
            flow=contact.flow,
            list=contact.list,
            contact=contact.id,
            number=contact.tel[0],
            did="+14155550101",
            trunk="main",
            status="initiated",
            initiated_at=self.engine.clock.now(),
        )
        event = Event(
            type="attempt.initiated",
            time=attempt.initiated_at,
            account=attempt.account,
            flow=attempt.flow,
            list=attempt.list,
            contact=attempt.contact,
            attempt=attempt.id,
        )
        assert await self.store.begin_attempt(attempt, event) is None
        return msgspec.structs.replace(attempt, **changes)


@asynccontextmanager
async def opened_world(folder: Path | None = None) -> AsyncIterator[World]:
    """A furnished world, in memory or on a database in a folder."""
    hub, clock = FeedHub(), Clock()
    async with AsyncExitStack() as stack:
        store: Store = MemoryStore(hub.publish, clock)
        if folder is not None:
            path = folder / "callwheel.db"
            lay_database(path)
            opening = open_sqlite_store(path, hub.publish, clock)
            store = await stack.enter_async_context(opening)
        world = World(store, hub, clock)
        await world.furnish()
        yield world
