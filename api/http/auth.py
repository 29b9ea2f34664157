"""Who asks: keys, roles, and the single-use tickets of browsers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

import structlog
import trio
from msgspec import Struct
from werkzeug.datastructures import Headers

from api.http.problem import Problem
from api.http.rates import WrongKeys
from engine.control.administration import DEFAULT_ACCOUNT
from engine.model import Account, Role, Scope
from engine.ports.clock import WallClock
from engine.ports.store import Store
from engine.ports.stored import StoreUnavailable

log = structlog.get_logger()

ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "owner", "administrator")
"""Each may do what those before it may."""
KEY_PREFIX: Final = "cw_"
"""By which people, and scanners of leaked secrets, know a key."""
KEY_BYTES: Final = 32
KEY_LENGTH_MAX: Final = 200
"""Characters of a key; an administrator may have chosen a long one."""
ACCOUNT_HEADER: Final = "Callwheel-Account"
"""By which an administrator says for whom it acts: the name or id of an account."""
CALLERS_MAX: Final = 1_024
"""Callers that are remembered."""
CALLER_S: Final = 5.0
"""How long: so late a change of a key is noticed."""
PROVEN_S: Final = 3_600.0
"""How long it is known of a key that it was good."""
USE_NOTED_S: Final = 60.0
"""How often at most the use of a key is written down."""
ENDED_KEPT_S: Final = 100 * 86_400.0
"""How long the end of a key is remembered here, longer than an overlap may be: from then on it is in the
store that it has ended, and nobody who was looked up before is left."""
ENDED_MAX: Final = 10_000
TICKETS_MAX: Final = 10_000
"""Tickets that wait for their use."""
TICKET_S: Final = 30.0
"""How long a ticket may wait."""

K = TypeVar("K")
V = TypeVar("V")


class Caller(Struct, frozen=True):
    """Who asks, and for which account."""

    key: str
    """The id of the key, or `administrator` for the installation's own."""
    role: Role
    account: Account
    """All that it asks for is this account's."""
    is_explicit: bool
    """Whether the account follows from the request; False for an administrator who named none."""
    scopes: tuple[Scope, ...] = ()
    """The parts of the API that the key is for; none is all."""
    expires_at: float | None = None
    """When the key ends, seconds since the epoch."""


class Fleeting(Generic[K, V]):
    """Values that are forgotten after a while, and never more of them than a bound."""

    def __init__(self, keep_s: float, size_max: int) -> None:
        self._keep_s = keep_s
        self._size_max = size_max
        self._entries: dict[K, tuple[V, float]] = {}  # in the order of their end

    def get(self, key: K) -> V | None:
        """The value, while it is remembered."""
        value, until = self._entries.get(key, (None, 0.0))
        return value if trio.current_time() < until else None

    def put(self, key: K, value: V) -> None:
        """Remember a value. The oldest goes when there are too many."""
        self._entries.pop(key, None)
        self._expire()
        if len(self._entries) >= self._size_max:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (value, trio.current_time() + self._keep_s)

    def take(self, key: K) -> V | None:
        """The value, for the only time."""
        value = self.get(key)
        self._entries.pop(key, None)
        return value

    def __len__(self) -> int:
        self._expire()
        return len(self._entries)

    def _expire(self) -> None:
        now = trio.current_time()
        while self._entries:
            key = next(iter(self._entries))
            if self._entries[key][1] > now:
                return
            del self._entries[key]


class Keyring:
    """Knows callers by their keys."""

    def __init__(self, store: Store, admin_sha256: bytes, clock: WallClock) -> None:
        """`admin_sha256` is the hash of the administrator's key."""
        self._store = store
        self._admin_sha256 = admin_sha256
        self._clock = clock
        self._uses: Fleeting[str, float] = Fleeting(USE_NOTED_S, CALLERS_MAX)
        self._ended: Fleeting[str, float] = Fleeting(ENDED_KEPT_S, ENDED_MAX)
        self._callers: Fleeting[tuple[bytes, str | None], Caller] = Fleeting(CALLER_S, CALLERS_MAX)
        self._wrong_keys = WrongKeys()
        self._proven: Fleeting[bytes, bool] = Fleeting(PROVEN_S, CALLERS_MAX)

    async def find_caller(self, headers: Headers, address: str) -> Caller:
        """Who sent these headers, from this address. Raises the problems `unauthenticated`, `forbidden` for a
        key that acts for another account than its own, `not_found` for an account that is not there, and
        `rate_limited` where too many wrong keys came from the address."""
        sha256 = hash_key(read_bearer(headers))
        named = headers.get(ACCOUNT_HEADER)
        caller = self._callers.get((sha256, named))
        if caller is None:
            with self._counting(address, is_proven=self._proven.get(sha256) is not None):
                caller = await self._look_up(sha256, named)
            self._callers.put((sha256, named), caller)
            self._proven.put(sha256, True)
        self.check(caller)
        return caller

    def redeem(self, tickets: Tickets, ticket: str, address: str) -> Caller:
        """Whom a ticket stands for. Raises the problems `unauthenticated` and `rate_limited`."""
        with self._counting(address, is_proven=False):
            caller = tickets.redeem(ticket)
        self.check(caller)
        return caller

    @contextmanager
    def _counting(self, address: str, *, is_proven: bool) -> Iterator[None]:
        """Count who turns out to be nobody. A key that was good lately is looked at all the same: others may
        come from the same address."""
        if not is_proven:
            self._wrong_keys.check(address, trio.current_time())
        try:
            yield
        except Problem as problem:
            if problem.code == "unauthenticated":
                self._wrong_keys.note(address, trio.current_time())
            raise

    def check(self, caller: Caller) -> None:
        """Raise the problem `unauthenticated` where its key was revoked or has expired since it was looked
        up."""
        now = self._clock.now()
        ends_at = self._ended.get(caller.key)
        if (ends_at is not None and now >= ends_at) or (
            caller.expires_at is not None and now >= caller.expires_at
        ):
            raise unauthenticated("The key is not good any more.", "invalid_token")

    def end(self, key: str, at: float) -> None:
        """Know at once that a key ends at a moment, seconds since the epoch: callers are remembered for a
        while."""
        known = self._ended.get(key)
        # Of a replacement and a revocation at once, the replacement may be the last to say so.
        self._ended.put(key, at if known is None else min(at, known))

    async def _note_use(self, key: str) -> None:
        """Write down that a key is used, seldom enough to cost nothing. Who asks is not kept out by a store
        that cannot write."""
        if self._uses.get(key) is not None:
            return
        now = self._clock.now()
        self._uses.put(key, now)
        try:
            await self._store.note_key_use(key, now)
        except StoreUnavailable as error:
            log.warning("key_use_not_noted", key=key, error=repr(error))

    async def _look_up(self, sha256: bytes, named: str | None) -> Caller:
        if hmac.compare_digest(sha256, self._admin_sha256):
            return await self._make_administrator("administrator", named)
        key = await self._store.find_key(sha256)
        if key is None:
            raise unauthenticated("The key is not known.", "invalid_token")
        if not key.is_good(self._clock.now()):
            raise unauthenticated("The key is not good any more.", "invalid_token")
        await self._note_use(key.id)
        if key.account is None:
            return await self._make_administrator(key.id, named)
        account = await self._store.get_account(key.account)
        if account is None:
            raise unauthenticated("The key is not known.", "invalid_token")
        if named not in (None, account.id, account.name):
            raise Problem("forbidden", "This key acts for its own account only.")
        return Caller(
            key.id,
            key.role,
            account,
            is_explicit=True,
            scopes=key.scopes,
            expires_at=key.expires_at,
        )

    async def _make_administrator(self, key: str, named: str | None) -> Caller:
        account = await self._store.get_account(named or DEFAULT_ACCOUNT)
        if account is None:
            raise Problem("not_found", f"There is no account {named or DEFAULT_ACCOUNT!r}.")
        return Caller(key, "administrator", account, is_explicit=named is not None)


class Tickets:
    """Lets a browser, which cannot send a header with a websocket, bring a ticket in its place."""

    def __init__(self) -> None:
        self._tickets: Fleeting[str, Caller] = Fleeting(TICKET_S, TICKETS_MAX)

    def issue(self, caller: Caller) -> str:
        """A ticket that stands for the caller once, within `TICKET_S`. Raises the problem `busy` when too
        many wait for their use."""
        if len(self._tickets) >= TICKETS_MAX:
            raise Problem("busy", "Too many tickets wait for their use.")
        ticket = secrets.token_urlsafe(KEY_BYTES)
        self._tickets.put(ticket, caller)
        return ticket

    def redeem(self, ticket: str) -> Caller:
        """Whom it stands for. Raises the problem `unauthenticated`."""
        caller = self._tickets.take(ticket)
        if caller is None:
            raise unauthenticated("The ticket is not known, was used, or is too old.")
        return caller


def make_key() -> str:
    """A new key: 256 random bits behind a prefix."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def hash_key(key: str) -> bytes:
    """What is kept of a key: SHA-256, which needs no salt or stretching for 256 random bits."""
    return hashlib.sha256(key.encode()).digest()


def require_role(caller: Caller, least: Role) -> None:
    """Raise the problem `forbidden` unless the caller has the role `least`, or one above it."""
    if ROLES.index(caller.role) < ROLES.index(least):
        raise Problem("forbidden", f"This takes the role {least}; the key's is {caller.role}.")


def require_scope(caller: Caller, scope: Scope | None) -> None:
    """Raise the problem `forbidden` unless the key is for this part of the API; None is of no part."""
    if scope is not None and caller.scopes and scope not in caller.scopes:
        raise Problem("forbidden", f"This takes the scope {scope}, which the key does not have.")


def unauthenticated(detail: str, error: str | None = None) -> Problem:
    """The problem, with the challenge of RFC 6750 §3."""
    challenge = 'Bearer realm="callwheel"' + (f', error="{error}"' if error else "")
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": challenge})


def read_bearer(headers: Headers) -> str:
    """The key that a request brings. Raises the problem `unauthenticated`."""
    scheme, _, key = (headers.get("Authorization") or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise unauthenticated("Send your key as `Authorization: Bearer KEY`.")
    if len(key) > KEY_LENGTH_MAX:
        raise unauthenticated("The key is not known.", "invalid_token")
    return key
