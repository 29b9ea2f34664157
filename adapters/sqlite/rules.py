"""The rules that every store keeps, whatever it keeps its rows in. Pure: no SQL, no clock.

How a list gets from one status to the next, what an attempt may begin on, which events follow from a
change, and how long an answer is remembered. The in-memory twin of
`sim.memory_store` goes by the same functions, so that the two cannot drift apart in them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field

from engine.model import Attempt, CallList, Contact, Flow, ListStatus, Priority, Report
from engine.model.agent import Agent, Leg
from engine.model.disposition import Disposition
from engine.model.events import Event
from engine.ports.dial_store import Refusal
from engine.ports.intake_store import NewList
from engine.ports.stored import (
    DUPLICATE_S,
    PARTIAL,
    Conflict,
    IdempotentAnswer,
)

ANSWER_KEPT_S: Final = 24 * 3600.0
"""How long an Idempotency-Key brings its first answer back."""

RESULT_BYTES_TOLD_MAX: Final = 8192
"""Of what a call has set, as JSON, that is told with its contact's completion."""
VERSIONS_KEPT: Final = 50
"""Graphs of a flow, the newest, that are kept whether anybody needs them or not."""
VERSIONS_MAX: Final = 2 * VERSIONS_KEPT
"""Graphs of a flow beyond which those are cleared away that no open contact came with: of many changes one in
fifty looks at the contacts."""

ListChange = Literal["pause", "resume", "cancel"]
OpenState = Literal["open", "dialing"]

OPEN_STATUSES: Final[frozenset[ListStatus]] = frozenset({"scheduled", "running", "paused"})
"""Statuses of a list that may still be dialled."""

AFTER_CHANGE: Final[dict[tuple[ListStatus, ListChange], ListStatus]] = {
    ("scheduled", "pause"): "paused",
    ("running", "pause"): "paused",
    ("paused", "pause"): "paused",
    ("scheduled", "resume"): "scheduled",
    ("running", "resume"): "running",
    ("paused", "resume"): "running",  # or `scheduled`, when no attempt was made yet
    ("scheduled", "cancel"): "canceled",
    ("running", "cancel"): "canceled",
    ("paused", "cancel"): "canceled",
}
"""What an operator's change makes of a list. What is not here is refused: the list is finished."""


class ListState(Struct):
    """Where a list stands. It changes as its contacts do, in the same transaction."""

    id: str
    account: str
    flow: str
    status: ListStatus
    standing: bool
    started_at: float | None = None
    finished_at: float | None = None
    contacts: int = 0
    open: int = 0
    dialing: int = 0
    completed: int = 0
    dispositions: dict[Disposition, int] = field(default_factory=dict)
    moving_to: float | None = None
    """The start time that its contacts are being given; see `moving_rules`."""
    moved_row: int = 0
    moved_id: str = ""
    """Up to which contact, by row and id, they have it."""
    revision: int = 0
    priority: Priority | None = None
    """See `CallList`."""

    @property
    def is_open(self) -> bool:
        """Whether it has contacts that may still be dialled."""
        return self.open > 0 and self.status in OPEN_STATUSES

    @property
    def needs_closing(self) -> bool:
        """Whether it was canceled and has open contacts that were not told so."""
        return self.open > 0 and self.status == "canceled"


def accepted(call_list: CallList, contacts: int) -> CallList:
    """The list as it is stored: as it came, but `rejected` when nothing of it can be dialled."""
    if contacts or call_list.standing:
        return call_list
    return msgspec.structs.replace(call_list, status="rejected")


def state_of_new(call_list: CallList, contacts: int) -> ListState:
    """The state of a list that was just accepted with so many contacts, all open."""
    return ListState(
        id=call_list.id,
        account=call_list.account,
        flow=call_list.flow,
        status=call_list.status,
        standing=call_list.standing,
        started_at=call_list.started_at,
        finished_at=call_list.finished_at,
        contacts=contacts,
        open=contacts,
        priority=call_list.priority,
    )


def standing_list(flow: Flow) -> CallList:
    """The list that a flow's single calls belong to, made with the flow."""
    return CallList(
        id=flow.calls_list,
        account=flow.account,
        flow=flow.id,
        flow_version=flow.version,
        name=flow.name,
        source="api",
        status="scheduled",
        report=Report(rows=0, accepted=0, rejected=0),
        created_at=flow.created_at,
        standing=True,
    )


def list_accepted(call_list: CallList, contacts: int) -> list[Event]:
    """What is told of a new list. Nothing of one that was rejected: it was not accepted."""
    if call_list.status == "rejected":
        return []
    data = {
        "name": call_list.name,
        "source": call_list.source,
        "contacts": contacts,
        "rejected": call_list.report.rejected,
    }
    return [
        Event(
            "list.accepted",
            call_list.created_at,
            call_list.account,
            call_list.flow,
            call_list.id,
            data=data,
        )
    ]


REACHED: Final[frozenset[Disposition]] = frozenset({"answered", "declined"})
"""Dispositions of an attempt after which no other contact of its list rings that number: a person took the
call, or refused it."""


def refusal(state: str, row: ListState, listed: bool, reached: bool) -> Refusal | None:
    """Why no attempt may begin on a contact in `state` of this list, whose number is or is not `listed`
    as do-not-call, and was or was not `reached` by another contact."""
    if state != "open" or row.status == "canceled":
        return "gone"
    if row.status == "paused":
        return "list_paused"
    if listed:
        return "do_not_call"
    return "duplicate_number" if reached and not row.standing else None


def leg_refusal(state: str | None, row: ListState) -> Refusal | None:
    """Why no leg may begin for a contact in `state` of this list; None is of a leg for none. One that is
    `dialing` has the call that the leg is for."""
    if state == "completed" or (state == "open" and row.status == "canceled"):
        return "gone"
    return "list_paused" if state == "open" and row.status == "paused" else None


def begin(row: ListState, at: float) -> list[Event]:
    """An open contact is dialled now. The first one starts the list."""
    row.open -= 1
    row.dialing += 1
    if row.started_at is not None:
        return []
    row.started_at = at
    row.status = "running"
    return [list_event("list.started", row, at)]


def new_country(call: Attempt | Leg, country: str) -> Event:
    """What is told of the first call of an account to a country."""
    contact, attempt = (
        (call.contact, call.id) if isinstance(call, Attempt) else (call.contact, call.attempt)
    )
    data = {"country": country, "number": call.number}
    return Event(
        "account.new_country",
        call.initiated_at,
        call.account,
        call.flow,
        call.list,
        contact,
        attempt,
        data,
    )


def reopen(row: ListState) -> None:
    """A contact that was dialled waits again."""
    row.dialing -= 1
    row.open += 1


def complete(row: ListState, was: OpenState, disposition: Disposition, at: float) -> list[Event]:
    """A contact got its disposition. The last one finishes the list, unless it is a standing one."""
    if was == "open":
        row.open -= 1
    else:
        row.dialing -= 1
    row.completed += 1
    row.dispositions[disposition] = row.dispositions.get(disposition, 0) + 1
    return _finish(row, at)


def _finish(row: ListState, at: float) -> list[Event]:
    if row.standing or row.completed < row.contacts:
        return []
    if row.status != "canceled":
        row.status = "completed"
    row.finished_at = at
    return [list_event("list.completed", row, at, dispositions=dict(row.dispositions))]


def contact_completed(
    row: ListState,
    contact: str,
    reference: str | None,
    disposition: Disposition,
    at: float,
    reason: str | None = None,
) -> Event:
    """What is told of a contact's final disposition, with the reason where there is one to be told."""
    data = {"disposition": disposition, "reference": reference}
    if reason is not None:
        data["reason"] = reason
    return Event("contact.completed", at, row.account, row.flow, row.id, contact, data=data)


def settle(contact: Contact, row: ListState, at: float) -> Contact:
    """What follows for the contact of an attempt that ended: what its caller decided, but where its list
    was canceled meanwhile it does not wait again."""
    if contact.state == "open" and row.status == "canceled":
        return msgspec.structs.replace(
            contact, state="completed", disposition="canceled", completed_at=at
        )
    return contact


def told_of_end(
    contact: Contact, row: ListState, events: Sequence[Event], attempt: Attempt | None = None
) -> list[Event]:
    """The events of an attempt's end: those of the caller, without a wait that does not happen, and the
    contact's completion where the caller did not tell of it, with what the attempt brought to light."""
    if contact.state != "completed":
        return list(events)
    kept = [one for one in events if one.type != "contact.waiting" or one.contact != contact.id]
    if any(one.type == "contact.completed" and one.contact == contact.id for one in kept):
        return kept
    assert contact.disposition is not None
    assert contact.completed_at is not None
    told = contact_completed(
        row, contact.id, contact.reference, contact.disposition, contact.completed_at
    )
    if attempt is not None:
        told.data.update(_said_on(attempt))
    kept.append(told)
    return kept


def _said_on(attempt: Attempt) -> dict[str, Any]:
    """What a contact's completion tells of its last call: whoever hears of it need not ask what was said."""
    said: dict[str, Any] = {"number": attempt.number}
    if attempt.digits:
        said["digits"] = attempt.digits
    if attempt.result and len(msgspec.json.encode(attempt.result)) <= RESULT_BYTES_TOLD_MAX:
        said["result"] = dict(attempt.result)
    return said


def told_of_deferrals(events: Sequence[Event], asked: set[str], moved: set[str]) -> list[Event]:
    """The caller's events without those of contacts that were left alone."""
    return [one for one in events if one.contact not in asked or one.contact in moved]


def change_status(row: ListState, change: ListChange, at: float) -> list[Event]:
    """Pause, resume or cancel. Raises `Conflict` with nothing changed; asking for what is so already
    changes nothing and tells nothing."""
    after = AFTER_CHANGE.get((row.status, change))
    if after is None:
        raise Conflict("list_finished", f"The list is {row.status}; nothing of it can be changed.")
    if change == "cancel" and row.standing:
        raise Conflict("list_standing", "The list of a flow's single calls cannot be canceled.")
    if change == "resume" and row.started_at is None:
        after = "scheduled" if row.status == "paused" else row.status
    if after == row.status:
        return []
    row.status = after
    row.revision += 1
    if change == "cancel":
        return _finish(row, at)
    return [list_event("list.paused" if change == "pause" else "list.started", row, at)]


def list_event(
    kind: Literal["list.started", "list.paused", "list.rescheduled", "list.completed"],
    row: ListState,
    at: float,
    **more: Any,
) -> Event:
    """Something that happened to a list."""
    data = {"status": row.status, **more}
    return Event(kind, at, row.account, row.flow, row.id, data=data)


def agent_event(
    kind: Literal["agent.added", "agent.changed", "agent.removed", "agent.presence"],
    agent: Agent,
    calls_list: str,
    at: float,
    reason: str | None = None,
) -> Event:
    """Something that happened to an agent. It is told with the standing list of the agent's flow."""
    data: dict[str, Any] = {"agent": agent.id, "name": agent.name, "number": agent.number}
    if kind == "agent.presence":
        data |= {"presence": agent.presence, "reason": reason}
    return Event(kind, at, agent.account, agent.flow, calls_list, data=data)


def leg_event(
    kind: Literal["leg.initiated", "leg.ended"], leg: Leg, at: float, **more: Any
) -> Event:
    """Something that happened to a leg."""
    data = {"leg": leg.id, "agent": leg.agent, "number": leg.number, **more}
    return Event(kind, at, leg.account, leg.flow, leg.list, leg.contact, leg.attempt, data=data)


def leg_ended(leg: Leg) -> Event:
    """The end of a leg."""
    assert leg.ended_at is not None
    talked_s = None if leg.answered_at is None else leg.ended_at - leg.answered_at
    return leg_event(
        "leg.ended",
        leg,
        leg.ended_at,
        outcome=leg.outcome,
        duration_s=talked_s,
        sip_code=leg.sip_code,
    )


def hook_disabled(flow: Flow, url: str, at: float, detail: str) -> Event:
    """What is told of a webhook that is sent nothing more."""
    data = {"url": url, "detail": detail}
    return Event("webhook.disabled", at, flow.account, flow.id, flow.calls_list, data=data)


def counts_as_answered(attempt: Attempt) -> bool:
    """Whether an attempt that has ended is one of the calls that a person answered, and for which an agent
    was wanted. One that was abandoned stays one where a crash has left it `unknown`."""
    if attempt.disposition == "unknown":
        return attempt.abandoned is True
    return attempt.abandoned is not None and attempt.disposition == "answered"


def is_remembered(answer: IdempotentAnswer, now: float) -> bool:
    """Whether this answer still stands for its key."""
    return now - answer.created_at < ANSWER_KEPT_S


def stands(answer: IdempotentAnswer, now: float) -> bool:
    """Whether nothing is made any more under this answer's key."""
    return answer.status != PARTIAL and is_remembered(answer, now)


def superfluous_versions(kept: Sequence[int], needed: Iterable[int]) -> list[int]:
    """Which graphs of a flow may go.

    Args:
        kept: versions that have a row of their own, rising; each stands for those up to the next as well.
        needed: versions that open contacts came with.
    """
    newest = set(kept[-VERSIONS_KEPT:])
    for version in needed:
        place = bisect_right(kept, version)
        newest.update(kept[place - 1 : place])
    return [version for version in kept if version not in newest]


def repeats_since(new: NewList, contacts: int) -> float | None:
    """After which moment an earlier list of the same file forbids this one, which has so many contacts; None
    where none does."""
    if new.content_sha256 is None or not contacts or new.repeats == "allowed":
        return None
    return new.call_list.created_at - DUPLICATE_S
