"""Values for tests of the store, and the steps that many of them begin with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from engine.drafts import Batch, Draft, pack_drafts
from engine.model import (
    Account,
    AccountRules,
    Attempt,
    CallList,
    Contact,
    Did,
    Flow,
    FlowSettings,
    ListCounts,
    RejectedRow,
    Report,
    SipOutcome,
)
from engine.model.agent import Agent, Leg
from engine.model.disposition import Disposition
from engine.model.events import Event, EventType, StoredEvent
from engine.ports.intake_store import NewList
from engine.ports.store import Store
from engine.ports.stored import IdempotentAnswer, Page

NOW = 1_767_225_600.25
"""When tests take place, seconds since the epoch."""
ACME, OTHER = "acc_1", "acc_2"
FLOW, CALLS = "flw_1", "lst_0001"
OTHER_FLOW, OTHER_CALLS = "flw_2", "lst_0002"
LIST = "lst_1000"


class FixedClock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.at


class Kit(Struct):
    """A store under test with what it was made with."""

    store: Store
    clock: FixedClock
    told: list[tuple[StoredEvent, ...]]
    """What each commit brought."""

    @property
    def events(self) -> list[tuple[str, int, str]]:
        """(account, seq, type) of everything told so far."""
        return [(one.account, one.seq, one.type) for some in self.told for one in some]

    def events_of(self, kind: EventType) -> list[dict[str, Any]]:
        """The bodies of everything told of one type."""
        bodies = [msgspec.json.decode(one.body) for some in self.told for one in some]
        return [body for body in bodies if body["type"] == kind]


def an_account(account: str = ACME, name: str = "acme") -> Account:
    """An account of which calls to India, and to the United States, are nothing new."""
    rules = AccountRules(approved_countries=("IN", "US"))
    return Account(account, name, "Asia/Kolkata", f"{name}@example.com", NOW, rules)


def a_flow(flow: str = FLOW, account: str = ACME, calls: str = CALLS, **more: Any) -> Flow:
    values: dict[str, Any] = {
        "id": flow,
        "account": account,
        "name": "reminder",
        "kind": "multicast",
        "timezone": "Asia/Kolkata",
        "definition": {"start": "bye", "nodes": {"bye": {"type": "hangup"}}},
        "settings": FlowSettings(attempts_max=5, declined="next"),
        "version": 1,
        "listener_active": True,
        "dids": ("+911140000001",),
        "calls_list": calls,
        "created_at": NOW,
    }
    return Flow(**(values | more))


def a_did(number: str = "+911140000001", account: str = ACME) -> Did:
    return Did(number, account, "main", cps=5.0, channels=10)


def a_list(
    call_list: str = LIST, account: str = ACME, flow: str = FLOW, accepted: int = 3, **more: Any
) -> CallList:
    values: dict[str, Any] = {
        "id": call_list,
        "account": account,
        "flow": flow,
        "flow_version": 1,
        "name": "january",
        "source": "upload",
        "status": "running",
        "report": Report(rows=accepted + 1, accepted=accepted, rejected=1),
        "created_at": NOW,
        "header": ("tel1", "name"),
    }
    return CallList(**(values | more))


def a_contact(row: int, call_list: str = LIST, **more: Any) -> Contact:
    values: dict[str, Any] = {
        "id": f"cnt_{call_list[4:]}_{row:05d}",
        "account": ACME,
        "list": call_list,
        "flow": FLOW,
        "row": row,
        "tel": (f"+9198000{row:05d}", "+12025550123"),
        "variables": {"name": f"Name {row}"},
        "starttime": NOW,
        "reference": f"ref-{row}",
        "state": "open",
        "due_at": NOW,
        "wait_code": "starttime",
    }
    return Contact(**(values | more))


def a_new_list(contacts: int = 3, call_list: str = LIST, **more: Any) -> NewList:
    return NewList(
        a_list(call_list, accepted=contacts, **more),
        [a_contact(row, call_list) for row in range(1, contacts + 1)],
        (a_rejected(contacts + 1),),
    )


def a_batch(
    numbers: Sequence[int],
    call_list: str = LIST,
    account: str = ACME,
    flow: str = FLOW,
    *,
    starts: Sequence[float] = (),
    tels: Sequence[str] = (),
    place: int = 1,
) -> Batch:
    """Contacts whose ids are made of numbers that follow one another, in rows from `place` on."""
    drafts = [
        Draft(
            place + row,
            (tels[row % len(tels)],) if tels else (f"+9198000{number:05d}", "+12025550123"),
            {"name": f"Name {row}"},
            starts[row] if starts else NOW,
            None if row % 2 else f"ref-{row}",
        )
        for row, number in enumerate(numbers)
    ]
    return Batch(account, flow, call_list, f"cnt_{numbers[0]:028x}", pack_drafts(drafts), 1)


def a_rejected(row: int) -> RejectedRow:
    return RejectedRow(row, "tel1", "invalid_number", "12 is no number", ("12", "Bob"))


def an_attempt(contact: Contact, number: int = 1, **more: Any) -> Attempt:
    values: dict[str, Any] = {
        "id": f"att_{number:06d}",
        "account": contact.account,
        "flow": contact.flow,
        "list": contact.list,
        "contact": contact.id,
        "number": contact.tel[contact.tel_index],
        "did": "+911140000001",
        "trunk": "main",
        "status": "initiated",
        "initiated_at": NOW + 1,
    }
    return Attempt(**(values | more))


def an_answer(key: str = "key-1", account: str = ACME, at: float = NOW) -> IdempotentAnswer:
    return IdempotentAnswer(account, key, b"\x01" * 32, 202, b'{"ok":true}', at)


def about(attempt: Attempt, kind: EventType, at: float = NOW + 1, **data: Any) -> Event:
    return Event(
        kind,
        at,
        attempt.account,
        attempt.flow,
        attempt.list,
        attempt.contact,
        attempt.id,
        data=data,
    )


def ended(attempt: Attempt, disposition: Disposition = "answered", at: float = NOW + 9) -> Attempt:
    return msgspec.structs.replace(
        attempt,
        status="completed",
        disposition=disposition,
        answered_at=at - 5,
        ended_at=at,
        sip=SipOutcome(200, "OK", f"{attempt.id}@127.0.0.1"),
        result={"choice": "1"},
    )


def completed(
    contact: Contact, disposition: Disposition = "answered", at: float = NOW + 9
) -> Contact:
    return msgspec.structs.replace(
        contact, state="completed", spent=1, disposition=disposition, completed_at=at
    )


def waiting_again(contact: Contact, due_at: float = NOW + 60) -> Contact:
    return msgspec.structs.replace(
        contact, state="open", due_at=due_at, wait_code="retry_wait", spent=1, tries={"busy": 1}
    )


def an_agent(nth: int = 1, flow: str = FLOW, account: str = ACME, **more: Any) -> Agent:
    values: dict[str, Any] = {
        "id": f"agt_{nth:04d}",
        "account": account,
        "flow": flow,
        "number": f"+91114000{nth:04d}",
        "name": f"Agent {nth}",
        "wrap_up_s": None,
        "presence": "away",
        "presence_at": NOW,
        "created_at": NOW,
    }
    return Agent(**(values | more))


def a_leg(nth: int = 1, **more: Any) -> Leg:
    values: dict[str, Any] = {
        "id": f"leg_{nth:06d}",
        "account": ACME,
        "flow": FLOW,
        "list": CALLS,
        "number": "+911140000001",
        "did": "+911140000001",
        "trunk": "main",
        "initiated_at": NOW + 1,
    }
    return Leg(**(values | more))


async def furnish(store: Store) -> None:
    """Two accounts, each with a flow."""
    await store.add_account(an_account())
    await store.add_account(an_account(OTHER, "other"))
    await store.add_flow(a_flow())
    await store.add_flow(a_flow(OTHER_FLOW, OTHER, OTHER_CALLS))


async def begin(store: Store, contact: Contact, number: int = 1) -> Attempt:
    """Begin an attempt that nothing refuses."""
    attempt = an_attempt(contact, number)
    assert await store.begin_attempt(attempt, about(attempt, "attempt.initiated")) is None
    return attempt


async def end(store: Store, attempt: Attempt, contact: Contact, at: float = NOW + 9) -> None:
    """End it with what follows for its contact."""
    outcome = ended(attempt, contact.disposition or "busy", at)
    assert await store.end_attempt(outcome, contact, [about(attempt, "attempt.ended", at)])


async def dial_to_end(store: Store, contacts: Sequence[Contact], first: int = 1) -> None:
    """One answered attempt on each."""
    for number, contact in enumerate(contacts, first):
        await end(store, await begin(store, contact, number), completed(contact))


async def status_of_list(
    store: Store, call_list: str = LIST
) -> tuple[str, float | None, float | None]:
    """(status, started_at, finished_at)."""
    found = await store.get_list(ACME, call_list)
    assert found is not None
    return found.status, found.started_at, found.finished_at


async def counts(store: Store, call_list: str = LIST) -> ListCounts:
    """Where its contacts are, a year from now, when no start time is to come."""
    found = await store.count_list(ACME, call_list, NOW + 365 * 86_400)
    assert found is not None
    return found


async def due(store: Store, call_list: str = LIST, until: float = float("inf")) -> list[str]:
    """Ids of what may be dialled."""
    return [contact.id for contact in await store.due_contacts(call_list, until, 10_000)]


async def all_pages(
    ask: Callable[[int, str | None], Awaitable[Page[Any]]], limit: int
) -> list[Any]:
    """Everything, a page at a time; no page but the last is short."""
    found: list[Any] = []
    cursor = None
    while True:
        page = await ask(limit, cursor)
        found += page.items
        if page.next is None:
            return found
        assert len(page.items) == limit
        cursor = page.next
