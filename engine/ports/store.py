"""What the engine needs of its store. `tests/contract/test_store.py` is the definition in tests.

Every method that changes something returns after the commit: what it changed survives a crash. Each
is one transaction. Nothing outside the store may assume one process, SQLite's types, or that rows can
be scanned. Every question that an outsider can cause takes the account, so that the store cannot be
asked for another account's rows.

A cursor that no page gave raises `Conflict("invalid_cursor")`. Storing something of an account, flow or list
that does not exist raises `LookupError`, and of a flow that is deleted `Conflict("flow_deleted")`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from engine.audit import AuditEntry
from engine.did_health import HealthStep
from engine.disposition import Disposition
from engine.do_not_call import DoNotCall, DoNotCallChange
from engine.drafts import Batch
from engine.events import Event, StoredEvent
from engine.model import (
    Account,
    ApiKey,
    Attempt,
    BlockerCode,
    CallList,
    Contact,
    Did,
    Flow,
    ListCounts,
    ListStatus,
    Prompt,
    RejectedRow,
)
from engine.pickup import Pickup
from engine.ports.agent_store import AgentStore
from engine.ports.letters import LetterStore
from engine.ports.moving import MovingStore
from engine.ports.pickups import PickupStore
from engine.ports.recordings import RecordingKeeper, RecordingStore
from engine.ports.webhooks import WebhookStore

T = TypeVar("T")

CALLERS_KEPT = 8
"""Attempts on a number that are looked at for the DIDs that called it."""
PAGE_MAX = 1000
"""Rows of one page; a larger `limit` is cut to this."""
KEYS_MAX = 1000
"""Keys of an account that are not revoked."""
DUPLICATE_S = 24 * 3600.0
"""How long a file that came in is known again."""


class Page(Struct, Generic[T], frozen=True):
    """A part of a long answer."""

    items: tuple[T, ...]
    next: str | None
    """What to ask for the following part with; None at the end. Opaque to whoever holds it."""


class StoreUnavailable(Exception):
    """The store cannot write just now (disk full, read-only, locked, closed). Nothing was changed."""


class Conflict(Exception):
    """The change contradicts what is stored. `code` is stable and told to the caller."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class DuplicateList(Conflict):
    """The same file came in for the same flow within `DUPLICATE_S`."""

    def __init__(self, call_list: str, detail: str) -> None:
        super().__init__("duplicate_list", detail)
        self.call_list = call_list
        """The id of the list that the file made then."""


class PickedUp(Conflict):
    """The file of a list was picked up before, and may be where it was."""

    def __init__(self, pickup: Pickup) -> None:
        super().__init__("picked_up", f"The file was picked up before, as {pickup.id}.")
        self.pickup = pickup


class IdempotentAnswer(Struct, frozen=True):
    """The first answer to a request that carried an Idempotency-Key."""

    account: str
    """The account, or "" for the administrator's own requests."""
    key: str
    fingerprint: bytes
    """SHA-256 over method, path and body of the request."""
    status: int
    body: bytes
    created_at: float


Repeats = Literal["refused", "allowed"]
"""What becomes of a file that came in for its flow within the last `DUPLICATE_S`."""


PARTIAL = 206
"""The status of an answer that stands for what came so far of a request that broke off. It is read like any
other, and keeps nothing from being made: whoever takes the rest up puts another in its place."""


class NewList(Struct, frozen=True):
    """A trigger that was validated: what `accept_list` makes durable at once."""

    call_list: CallList
    contacts: Sequence[Contact]
    rejected: Sequence[RejectedRow] = ()
    content_sha256: bytes | None = None
    """Of the file that it came in; None for what is no file."""
    repeats: Repeats = "refused"
    pickup: Pickup | None = None
    """Of the file, where it lay in a folder; `PickedUp` is raised where its mark is known."""


Refusal = Literal["gone", "list_paused", "do_not_call", "duplicate_number"]
"""Why an attempt may not begin: the contact is no longer open (dialing, completed, its list canceled), or
was given a later start time; its list is paused; the number, or the one it was redirected from, is on the
do-not-call list of the account or the flow; or somebody was reached on it by another contact of the list,
which is not a standing one."""


class RecentStart(Struct, frozen=True):
    """An attempt, or a leg, made not long ago, as the sliding windows need it after a restart."""

    account: str
    flow: str
    did: str
    trunk: str
    number: str
    initiated_at: float


class PastCall(Struct, frozen=True, gc=False):
    """An attempt on a number, as the caps of its callee count it."""

    attempt: str
    initiated_at: float


class Deferral(Struct, frozen=True):
    """A contact that stays open and is not looked at before `due_at`."""

    contact: str
    due_at: float
    wait_code: BlockerCode


class OpenList(Struct, frozen=True):
    """A list that still has open contacts and may be dialled."""

    account: str
    flow: str
    list: str
    status: ListStatus
    """`scheduled`, `running` or `paused`."""
    next_due_at: float
    """The earliest `due_at` of its open contacts."""


class AttemptFilter(Struct, frozen=True):
    """Which call detail records are asked for; None means any."""

    flow: str | None = None
    list: str | None = None
    contact: str | None = None
    from_at: float | None = None
    """Initiated at or after, seconds since the epoch."""
    to_at: float | None = None
    """Initiated before."""
    is_open: bool = False
    """Only those that go on."""


class SettingsStore(Protocol):
    """Accounts, keys, DIDs, flows, prompts. Whatever creates takes the answer that an Idempotency-Key
    reserves: when that key is taken, nothing is created and the earlier answer comes back. Whatever changes
    or removes an account, a DID or a flow raises `Conflict("precondition_failed")` with nothing changed where
    the request's condition does not hold (`engine.precondition`)."""

    async def add_account(
        self, account: Account, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Raises `Conflict("account_exists")` when the name is taken."""

    async def get_account(self, id_or_name: str) -> Account | None:
        """One account by either."""

    async def change_account(
        self, account: str, change: Callable[[Account], Account]
    ) -> Account | None:
        """Replace what may change of an account (all but its id, name and age) as by `change_flow`."""

    async def list_accounts(self, limit: int, cursor: str | None) -> Page[Account]:
        """In the order of their ids."""

    async def add_key(self, key: ApiKey) -> None:
        """Keep a key's hash. Raises `Conflict("too_many_keys")` when the account has `KEYS_MAX`."""

    async def get_key(self, account: str, key: str) -> ApiKey | None:
        """One key of the account, by its id."""

    async def list_keys(self, account: str, limit: int, cursor: str | None) -> Page[ApiKey]:
        """Those of the account, good or not, in the order of their ids."""

    async def change_key(
        self,
        account: str,
        key: str,
        change: Callable[[ApiKey], ApiKey],
        fresh: ApiKey | None = None,
    ) -> ApiKey | None:
        """Replace when a key ends (`expires_at`, `revoked_at`) as by `change_flow`, and keep `fresh`, the
        key of the same account that takes its place, as by `add_key`."""

    async def note_key_use(self, key: str, at: float) -> None:
        """Keep when a key was used last; a key that is gone is left alone."""

    async def find_key(self, sha256: bytes) -> ApiKey | None:
        """The key with this hash."""

    async def add_did(
        self, did: Did, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Raises `Conflict("did_exists")` when the number is there already, in any account."""

    async def list_dids(self, account: str, limit: int, cursor: str | None) -> Page[Did]:
        """Those of the account, in the order of their numbers."""

    async def find_dids(self, account: str, numbers: Sequence[str]) -> list[Did]:
        """Those of the numbers that the account has."""

    async def change_did(
        self,
        account: str | None,
        number: str,
        change: Callable[[Did], Did],
        tell: Callable[[Did], Event] | None = None,
    ) -> Did | None:
        """Replace what may change of a DID (all but its number and account) as by `change_flow`, with the
        event that `tell` makes of what it has become, if it has changed. None where there is no such DID,
        of this account or, where that is None, of any."""

    async def remove_did(self, account: str | None, number: str) -> bool:
        """Whether there was such a DID, as of `change_did`. What was called from it stays. Raises
        `Conflict("did_attached")` while it is one of a flow's."""

    async def add_flow(
        self, flow: Flow, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make the flow and, under its `calls_list`, the standing list of its single calls."""

    async def get_flow(self, account: str, flow: str) -> Flow | None:
        """One flow of the account."""

    async def list_flows(self, account: str, limit: int, cursor: str | None) -> Page[Flow]:
        """Those of the account, in the order of their ids."""

    async def change_flow(
        self, account: str, flow: str, change: Callable[[Flow], Flow]
    ) -> Flow | None:
        """Replace the flow by `change(flow)` and return that; None when there is no such flow. `change`
        is pure and quick, may run in another thread, and what it raises reaches the caller with nothing
        changed."""

    async def get_definition(self, account: str, flow: str, version: int) -> dict[str, Any] | None:
        """The graph that a flow, deleted or not, had in one of its versions; None where there was none.
        Of a flow that was changed often, a store may forget old ones that no open contact came with."""

    async def delete_flow(self, account: str, flow: str) -> bool:
        """Whether there was one. It is hidden from then on; its lists and records stay. Raises
        `Conflict("flow_in_use")` while it has contacts that are not completed."""

    async def add_prompt(
        self, prompt: Prompt, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Register a prompt whose sound is already kept."""

    async def get_prompt(self, account: str, prompt: str) -> Prompt | None:
        """One prompt of the account."""

    async def list_prompts(self, account: str, limit: int, cursor: str | None) -> Page[Prompt]:
        """In the order of their ids."""

    async def get_answer(self, account: str, key: str) -> IdempotentAnswer | None:
        """What was answered to this key within the last 24 hours."""

    async def add_do_not_call(
        self, account: str, numbers: Sequence[str], flow: str | None, at: float
    ) -> int:
        """List numbers for good, as `put_do_not_call`. In force for every attempt that begins after it
        returns."""

    async def put_do_not_call(self, account: str, entries: Sequence[DoNotCall]) -> int:
        """List numbers and ranges, each for a time or for good, and write down who did. How many were not
        listed so before: what is listed for as long or longer stays as it is. Raises
        `Conflict("too_many_prefixes")` with nothing changed."""

    async def remove_do_not_call(
        self, account: str, number: str, at: float, by: str | None = None
    ) -> bool:
        """Whether it was listed, account-wide or for any flow. Who struck it off is written down."""

    async def list_do_not_call(
        self, account: str, limit: int, cursor: str | None
    ) -> Page[DoNotCall]:
        """In the order of the numbers; those that have expired, too."""

    async def list_do_not_call_changes(
        self, account: str, limit: int, cursor: str | None
    ) -> Page[DoNotCallChange]:
        """Who listed what and struck what off, in the order of doing."""


class Promise(Struct, frozen=True):
    """What a list is to be, should nothing more of it come, and the answer that stands for its key until it
    is published."""

    call_list: CallList
    answer: IdempotentAnswer | None = None
    """Its status is `PARTIAL`."""


class ListTaking(Protocol):
    """A list that comes in piece by piece. Nobody sees it before it is published, and what is never published
    is cleared away, unless it was promised."""

    async def add(
        self,
        contacts: Sequence[Contact],
        rejected: Sequence[RejectedRow],
        promise: Promise | None = None,
    ) -> None:
        """Keep a piece of it, a thousand rows or so. With a promise it is durable when this returns: should
        the list neither be published nor grow, it is published as the promise says when the store is opened
        the next time."""

    async def add_batch(
        self, batch: Batch, rejected: Sequence[RejectedRow], promise: Promise | None = None
    ) -> None:
        """As `add`, of contacts that nobody has unpacked. A store may leave them so until it is asked for
        them."""

    async def drop_contacts(self) -> None:
        """Forget the contacts that came so far; its rejected rows stay."""

    async def publish(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make the list of what was added, as `accept_list` does, and with it what `new` brings."""


class AuditStore(Protocol):
    """Who changed what. Entries come in by themselves: see `engine.audit`."""

    async def list_audit(self, account: str, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """Those of the account, in the order of the changes, as far back as `AUDIT_KEPT_S`."""


class InstallationStore(Protocol):
    """Questions over all accounts: for the engine, and for the installation's administrator. Nothing that
    any other key causes may ask them."""

    async def list_all_dids(self, limit: int, cursor: str | None) -> Page[Did]:
        """In the order of their numbers."""

    async def get_any_did(self, number: str) -> Did | None:
        """One DID, of whichever account."""

    async def get_any_key(self, key: str) -> ApiKey | None:
        """One key of an account, by its id."""

    async def list_all_keys(self, limit: int, cursor: str | None) -> Page[ApiKey]:
        """Those of accounts, in the order of their ids."""

    async def list_all_audit(self, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """In the order of the changes, those of no account too."""

    async def list_all_flows(self, limit: int, cursor: str | None) -> Page[Flow]:
        """In the order of their ids."""


class IntakeStore(Protocol):
    """The commit that an accepted trigger waits for."""

    def take_list(self, account: str, flow: str) -> AbstractAsyncContextManager[ListTaking]:
        """Take a list in piece by piece; what is not published when the block ends is given up. Raises
        `Conflict("flow_deleted")`, and LookupError for an unknown flow."""

    async def accept_list(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make a list, its contacts, its rejected rows and the event `list.accepted` durable at once. A
        list with no contact is stored as it comes, with its status `rejected`. Raises `DuplicateList` with
        nothing stored, unless the list says that repeats are allowed: of two that come at once one is
        made."""

    async def find_list_of_content(
        self, account: str, flow: str, content_sha256: bytes, since: float
    ) -> CallList | None:
        """The newest list of the flow that this file made after `since`; lists that nothing was taken of
        do not count."""

    async def has_listed(self, account: str, flow: str, at: float) -> bool:
        """Whether there is any number, or range, that the flow must not call at a moment."""

    async def find_listed(
        self, account: str, flow: str, numbers: Sequence[str], at: float
    ) -> frozenset[str]:
        """Those of some numbers (thousands at the most) that the flow must not call at a moment."""

    async def accept_call(
        self, contact: Contact, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Add a contact to its flow's standing list."""


class DialStore(RecordingKeeper, Protocol):
    """What dialling reads and writes. It is not asked by outsiders, and so not by account."""

    async def open_lists(self) -> list[OpenList]:
        """Every list that has open contacts and is scheduled, running or paused."""

    async def open_list(self, call_list: str) -> OpenList | None:
        """One of them; None when nothing of it is open or it is canceled."""

    async def due_contacts(self, call_list: str, until: float, limit: int) -> list[Contact]:
        """Open contacts of a list with `due_at` ≤ until, in the order of (due_at, id)."""

    async def urgent_contacts(self, call_list: str, until: float, limit: int) -> list[Contact]:
        """Those of `due_contacts` whose own priority is `urgent`, found without a look at the others."""

    async def listed_contacts(self, call_list: str, until: float, limit: int) -> list[str]:
        """Of the first `limit` open contacts that are due at `until`, as `due_contacts` orders them, those
        whose next number is on the do-not-call list at that moment; in no order. Contacts with a detour are
        left out: of them the number that it leads to is asked about when it is dialled."""

    async def begin_attempt(self, attempt: Attempt, event: Event) -> Refusal | None:
        """Write down the intent to dial: the attempt is kept as `initiated`, its contact is `dialing`.
        The first attempt of a list starts the list, with its event. Refused with nothing changed."""

    async def note_progress(self, attempt: Attempt, *events: Event) -> None:
        """Keep what changed on an attempt that goes on (ringing, answered, steps of its flow). Nothing, and
        no event, is kept of one that has ended."""

    async def opt_out(self, numbers: Sequence[str], flow: str | None, event: Event) -> bool:
        """Put numbers of a callee on the do-not-call list of the event's account, or only of one of its
        flows, with the event. False, and nothing told, where all were listed already. From its return on no
        attempt begins on any of them, of whatever contact."""

    async def end_attempt(
        self, attempt: Attempt, contact: Contact, events: Sequence[Event]
    ) -> bool:
        """Keep an attempt's end and what follows for its contact: open again, or completed. A contact of
        a list that was canceled meanwhile and would be open again is completed as `canceled` instead.
        The last completed contact of a list completes the list, with its event. False, and nothing
        changed, when the attempt had ended before. An intent that is taken back before its INVITE left
        ends this way too, as `canceled`."""

    async def defer_contacts(self, deferrals: Sequence[Deferral], events: Sequence[Event]) -> None:
        """Move open contacts to a later moment. Those that are not open any more are left alone."""

    async def bring_forward(
        self, account: str, flow: str, code: BlockerCode, at: float, limit: int
    ) -> list[str]:
        """Make up to `limit` open contacts of the flow due at `at` that wait longer for the reason `code`;
        in which lists any are that were. Empty when there is none left."""

    async def settle_contact(self, contact: Contact, events: Sequence[Event], at: float) -> bool:
        """Keep what follows for an open contact without an attempt: it waits for another number, or is
        completed. Its events and its list are kept as by `end_attempt`. False, and nothing changed, when it
        is not open any more."""

    async def complete_contacts(
        self,
        contacts: Sequence[str],
        disposition: Disposition,
        at: float,
        reason: str | None = None,
    ) -> int:
        """Give open contacts their final disposition without an attempt (`skipped`, `expired`,
        `canceled`), with an event each, which carries the reason if there is one. How many were still
        open."""

    async def set_list_status(
        self, account: str, call_list: str, change: Literal["pause", "resume", "cancel"], at: float
    ) -> CallList | None:
        """The list as it is afterwards; None when the account has no such list. Raises
        `Conflict("list_finished")` for one that is completed, canceled or rejected, and
        `Conflict("list_standing")` for canceling a standing list. From its return on no attempt
        of a paused or canceled list begins."""

    async def close_canceled(self, limit: int, at: float) -> int:
        """Complete up to `limit` open contacts of canceled lists as `canceled`, with an event each, and
        say how many; 0 when none is left."""

    async def open_attempts(self) -> list[tuple[Attempt, Contact]]:
        """Attempts without an end, with their contacts: after a start, those that a crash interrupted."""

    async def last_callers(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[str, ...]]:
        """Which DIDs called each of the numbers, in the account's last `CALLERS_KEPT` attempts on it, the
        latest first; numbers that were not called are left out. One question, however many there are."""

    async def past_calls(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[PastCall, ...]]:
        """The account's last `CALLEE_CALLS_MAX` attempts on each number that may have reached somebody there,
        latest first: all but those that a full trunk refused (`congested`) before it rang. Numbers without
        any are left out. One question, however many there are."""

    async def did_health(self, since: float) -> list[HealthStep]:
        """What the calls of each DID came to that were initiated at or after `since` and ended since its
        `counts_from`, summed up by steps, oldest first; those that say nothing of it are left out."""

    async def did_starts(self, number: str, since: float, limit: int) -> list[float]:
        """When the latest attempts and legs of a DID were initiated, at or after `since`, oldest first."""

    async def recent_starts(self, since: float, until: float = math.inf) -> list[RecentStart]:
        """Attempts and legs initiated at or after `since` and before `until`, oldest first."""


class ReadStore(Protocol):
    """Questions of outsiders about what became of their calls."""

    async def get_list(self, account: str, call_list: str) -> CallList | None:
        """One list of the account."""

    async def count_list(self, account: str, call_list: str, now: float) -> ListCounts | None:
        """Where its contacts are. As quick for a million as for one."""

    async def count_waits(self, account: str, call_list: str, now: float) -> dict[BlockerCode, int]:
        """How many open contacts of a list have their `due_at` after `now`, by `wait_code`; nothing for a
        list that the account does not have. As quick as `count_list`."""

    async def first_waits(
        self, account: str, call_list: str, now: float
    ) -> dict[BlockerCode, float]:
        """When the first of those that `count_waits` counts comes due, by `wait_code`: seconds since the
        epoch; beyond the minute that is passing, the minute's beginning."""

    async def list_lists(
        self, account: str, flow: str | None, limit: int, cursor: str | None
    ) -> Page[CallList]:
        """Newest first. A standing list shows once it has a contact."""

    async def get_contact(self, account: str, contact: str) -> Contact | None:
        """One contact of the account."""

    async def list_contacts(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[Contact]:
        """In the order of their rows."""

    async def get_attempt(self, account: str, attempt: str) -> Attempt | None:
        """One attempt of the account."""

    async def list_attempts(
        self, account: str, which: AttemptFilter, limit: int, cursor: str | None
    ) -> Page[Attempt]:
        """In the order of their ids, which is that of their making."""

    async def list_results(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[tuple[Contact, Attempt | None]]:
        """Each contact with its last attempt, in the order of the rows."""

    async def list_rejected(
        self, account: str, call_list: str, limit: int, cursor: str | None
    ) -> Page[RejectedRow]:
        """Rows that were not taken, in their order."""

    async def events_after(self, account: str, seq: int, limit: int) -> list[StoredEvent]:
        """Events of the account with a higher number, in order."""

    async def last_seq(self, account: str) -> int:
        """The number of the account's newest event; 0 when there is none."""


class Store(
    SettingsStore,
    InstallationStore,
    AuditStore,
    IntakeStore,
    DialStore,
    MovingStore,
    AgentStore,
    RecordingStore,
    PickupStore,
    LetterStore,
    WebhookStore,
    ReadStore,
    Protocol,
):
    """All of it. An implementation is made with a function that is called, in the engine's thread and
    after each commit, with the events that the commit brought, in their order."""


EventListener = Callable[[Sequence[StoredEvent]], None]
"""Called with what one commit brought; it must not block and must not raise."""
