"""One request as a handler sees it, and the answer that a handler gives.

A handler is `async def handler(exchange) -> Answer`. By the time it is called the caller is known and
allowed, the body is read, and a repeated request was answered already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, TypeVar

import msgspec
import trio
from msgspec import Struct, field
from werkzeug.datastructures import MIMEAccept

from api.http.auth import Caller, Keyring, Tickets
from api.http.engine_front import EngineFront
from api.http.etags import Tagged, Tags, is_among
from api.http.feed import FeedHub
from api.http.forwarded import Proxies
from api.http.gate import GatedBody
from api.http.parameters import Parameters
from api.http.problem import Problem
from api.http.rates import Rates
from api.http.seals import Seal
from api.http.uploads import UploadedFile
from api.http.views.encoding import encode
from engine.control.activating import Activations
from engine.drop.keeper import DropKeeper
from engine.mail.fetcher import MailFetcher
from engine.model import Account, Flow
from engine.ports.prompts import PromptKeeper
from engine.ports.recordings import RecordingReader
from engine.ports.store import Store
from engine.ports.stored import IdempotentAnswer, Page
from engine.ports.traces import CallTraces

T = TypeVar("T")
JSON_TYPE: Final = "application/json"
KEY_LENGTH_MAX: Final = 255
"""Characters of an Idempotency-Key."""


class HttpSettings(Struct, frozen=True):
    """What the operator configured of the HTTP front."""

    public_url: str
    """How outsiders reach it, without a slash at the end."""
    admin_sha256: bytes
    """SHA-256 of the administrator's key."""
    requests_per_s: float = 0
    """That a key may send; 0 for any number."""
    proxies: Proxies = Proxies()
    """Whose word is taken on who sent a request."""
    find_address: Callable[[str], str | None] = lambda flow: None
    """The address of a flow, by its id, to which lists are mailed; None where no mail is taken."""
    mailbox: MailFetcher | None = None
    """Who fetches mails out of a mailbox; None where nobody does."""


class Described(Protocol):
    """The API's description, encoded."""

    @property
    def document(self) -> bytes:
        """OpenAPI, as JSON."""

    @property
    def page(self) -> bytes:
        """HTML."""


class Front(Struct, frozen=True):
    """What all requests share."""

    engine: EngineFront
    settings: HttpSettings
    hub: FeedHub
    prompts: PromptKeeper
    traces: CallTraces | None
    """None where no messages are kept."""
    recordings: RecordingReader | None
    """None where nothing is recorded."""
    wake_hook: Callable[[str, str], None]
    """Called with an account and a flow for whose webhook there may be something to be sent."""
    doors: DropKeeper | None
    """Who picks lists up; None where nobody does."""
    activations: Activations | None
    """Who decides what mails ask for; None where no mails are taken."""
    show_metrics: Callable[[], bytes] | None
    """What the process does, for Prometheus; None where nobody counts."""
    find_problems: Callable[[], list[str]]
    """Why no call can be made, beside what the engine itself knows, a sentence each."""
    describe: Callable[[], Described]
    """The API's own description."""
    keyring: Keyring
    tickets: Tickets
    rates: Rates
    tags: Tags
    large_bodies: trio.CapacityLimiter
    """Bodies of more than a usual size that are in memory at once."""
    large_bodies_of: defaultdict[str, trio.CapacityLimiter]
    """The same of each account, by its id."""
    streams: trio.CapacityLimiter
    """Streams that are read at once."""
    streams_of: defaultdict[str, trio.CapacityLimiter]
    """The same of each account, by its id."""
    open_streams: set[tuple[str, str]] = field(default_factory=set)
    """Account and Idempotency-Key of streams that go on."""


class Answer(Struct, frozen=True):
    """What a handler answers."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


class Once(Struct, frozen=True):
    """An Idempotency-Key, and the request that came with it."""

    account: str
    """Id, or "" for the administrator's own requests."""
    key: str
    fingerprint: bytes
    """SHA-256 over method, path and body."""
    now: float
    seal: Seal | None = None
    """Under which the answer is kept; None for one without a secret in it."""

    def keep(self, status: int, body: bytes) -> IdempotentAnswer:
        """What the store is to keep of an answer."""
        if self.seal is not None:
            body = self.seal.close(body, self.fingerprint)
        return IdempotentAnswer(self.account, self.key, self.fingerprint, status, body, self.now)

    def replay(self, earlier: IdempotentAnswer) -> Answer:
        """The first answer again. Raises the problem `idempotency_mismatch` when it was one to another
        request, or has a secret and was one to another caller."""
        body: bytes | None = earlier.body
        if self.seal is not None:
            body = self.seal.open(earlier.body, self.fingerprint)
        if earlier.fingerprint != self.fingerprint or body is None:
            detail = "Take a new Idempotency-Key for each new request."
            raise Problem("idempotency_mismatch", detail)
        return Answer(earlier.status, body, headers={"Idempotent-Replayed": "true"})


class BodyStream(Struct, frozen=True):
    """A body that is read as it comes, by its handler."""

    source: GatedBody
    once: Once | None
    """With the fingerprint of all but the body; None where there is no Idempotency-Key."""
    turn: AsyncExitStack
    """Held while it is read: a handler that goes on after its return hands it on (`pop_all`) to the `turn` of
    the source."""


class Exchange(Struct, frozen=True):
    """One request."""

    front: Front
    caller: Caller | None
    """None on a route that takes no key."""
    path: Mapping[str, str]
    """What the route's braces stand for."""
    parameters: Parameters
    """What follows the question mark."""
    accepted: MIMEAccept = MIMEAccept()
    """The media types that the caller wants to have."""
    media_type: str = ""
    """Of the body."""
    body: bytes = b""
    file: UploadedFile | None = None
    """What a form brought."""
    once: Once | None = None
    passed_over: frozenset[str] = frozenset()
    """Fields of the body that are not looked at (`api.http.shown`)."""
    stream: BodyStream | None = None
    """A body that is read as it comes; `body` is empty then."""
    if_none_match: str | None = None
    """What the caller has already, as the header says it."""
    last_event_id: str | None = None
    """The last event that the caller has, as the header says it."""
    turn: AsyncExitStack = field(default_factory=AsyncExitStack)
    """What is pushed here is let go when the request is over, however that comes; for requests without a
    body."""

    @property
    def engine(self) -> EngineFront:
        """The engine."""
        return self.front.engine

    @property
    def store(self) -> Store:
        """The engine's store, for questions."""
        return self.front.engine.store

    @property
    def account(self) -> Account:
        """Whose things are asked for."""
        assert self.caller is not None  # only routes that take a key ask this
        return self.caller.account

    @property
    def names_account(self) -> bool:
        """Whether that account follows from the request; False for an administrator who named none."""
        return self.caller is not None and self.caller.is_explicit

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.front.engine.clock.now()

    def read_json(self) -> Any:
        """The body, without what is passed over. Raises the problem `invalid_json`."""
        try:
            raw = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem("invalid_json", f"The body is not JSON: {error}.") from None
        if self.passed_over and isinstance(raw, dict):
            return {name: value for name, value in raw.items() if name not in self.passed_over}
        return raw

    async def make(
        self,
        status: int,
        show: Callable[[T], Any],
        create: Callable[[Callable[[T], IdempotentAnswer] | None], Awaitable[T | IdempotentAnswer]],
    ) -> Answer:
        """Make something, at most once for each Idempotency-Key.

        Args:
            status: of the answer when it is made.
            show: what was made → what is answered.
            create: makes it. It is given what turns the thing into the answer to keep beside it.
        """
        once = self.once

        def remember(made: T) -> IdempotentAnswer:
            assert once is not None
            return once.keep(status, encode(show(made)))

        made = await create(None if once is None else remember)
        if isinstance(made, IdempotentAnswer):
            assert once is not None
            return once.replay(made)
        return answer(show(made), status)

    def answer_tagged(self, thing: Tagged, view: Any) -> Answer:
        """A thing that can be edited, with its tag. What the caller has already is not sent again, unless
        it shows more than its tag stands for. Raises `invalid_parameter`."""
        tag = self.front.tags.tag_of(thing)
        headers = {"ETag": tag}
        if isinstance(thing, Account | Flow) and is_among(tag, self.if_none_match):
            return Answer(304, headers=headers)
        return Answer(200, encode(view), headers=headers)


def answer(view: Any, status: int = 200) -> Answer:
    """A view as JSON."""
    return Answer(status, encode(view))


def answer_page(page: Page[Any], show: Callable[[Any], Any]) -> Answer:
    """A part of a long list, each item as `show` shows it."""
    return answer({"items": [show(item) for item in page.items], "next": page.next})


NOTHING: Final = Answer(204)
"""Done, and nothing to tell."""
