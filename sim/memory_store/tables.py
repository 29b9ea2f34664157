"""What the store holds, and the steps that several of its methods share."""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from adapters.sqlite import refusals, rules
from engine.model import (
    Account,
    ApiKey,
    Attempt,
    BlockerCode,
    CallList,
    Contact,
    Did,
    Flow,
    Prompt,
    Recording,
)
from engine.model.activation import Activation
from engine.model.agent import Agent, AnswerDay, Leg, day_of
from engine.model.audit import AUDIT_KEPT_S, AuditEntry
from engine.model.countries import country_of
from engine.model.disposition import Disposition
from engine.model.do_not_call import (
    PREFIXES_MAX,
    DoNotCall,
    DoNotCallChange,
    added,
    is_prefix,
    is_weaker,
)
from engine.model.events import Event, StoredEvent, number_event
from engine.model.letter import Letter
from engine.model.pickup import DropState, FileMark, Pickup, Place
from engine.model.webhook import Delivery, Webhook
from engine.ports.clock import WallClock
from engine.ports.intake_store import NewList
from engine.ports.store import EventListener
from engine.ports.stored import IdempotentAnswer, PickedUp
from sim.memory_store.list_entry import ListEntry

EVENTS_KEPT_MAX: Final = 100_000
"""Events of an account that can still be asked for."""
STALE_MAX: Final = 64
"""Entries of a list's heap that may be out of date beyond one for each open contact."""


class Tables:
    """Everything, in dicts. Methods of the store change it between two checkpoints, so that nobody sees
    half of a change."""

    def __init__(self, on_events: EventListener, clock: WallClock, events_kept_max: int) -> None:
        self.clock = clock
        self._on_events = on_events
        self._events_kept_max = events_kept_max
        self.accounts: dict[str, Account] = {}
        self.keys: dict[bytes, ApiKey] = {}
        self.audit: list[AuditEntry] = []
        self.dids: dict[str, Did] = {}
        self.flows: dict[str, Flow] = {}
        self.definitions: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        """By flow: (version, graph), rising, where a graph differs from the one before it."""
        self.deleted_flows: set[str] = set()
        self.prompts: dict[str, Prompt] = {}
        self.recordings: dict[str, Recording] = {}
        self.do_not_call: dict[str, dict[tuple[str, str], DoNotCall]] = {}
        """By account, and by (number, flow or "" for all of it)."""
        self.ranges: dict[str, set[tuple[str, str]]] = {}
        """Which of those are ranges of numbers."""
        self.do_not_call_changes: dict[str, list[DoNotCallChange]] = {}
        self.answers: dict[tuple[str, str], IdempotentAnswer] = {}
        self._answer_ages: list[tuple[float, str, str]] = []
        self.lists: dict[str, ListEntry] = {}
        self.open_lists: dict[str, ListEntry] = {}
        self.canceled_lists: dict[str, ListEntry] = {}
        """Canceled, with contacts that are still open."""
        self.moving_lists: dict[str, ListEntry] = {}
        """Whose contacts are being given another start time."""
        self.contacts: dict[str, Contact] = {}
        self.attempts: dict[str, Attempt] = {}
        self.attempts_of_account: dict[str, list[str]] = {}
        """Sorted."""
        self.attempts_on: dict[tuple[str, str], list[str]] = {}
        """By account and number; sorted."""
        self.attempts_of_contact: dict[str, tuple[str, ...]] = {}
        """Sorted."""
        self.reached: dict[tuple[str, str], set[str]] = {}
        """By list and number: contacts through which somebody was reached on it."""
        self.countries: dict[str, set[str]] = {}
        """By account: those that it has called."""
        self.open_attempts: dict[str, None] = {}
        self.deliveries: dict[str, dict[int, Delivery]] = {}
        """By flow and number of the event."""
        self.done_deliveries: dict[tuple[str, int], float] = {}
        """By account and number: when they were done."""
        self.disabled_hooks: dict[str, tuple[str, float]] = {}
        """By flow: the address to which nothing is sent, and since when."""
        self.pickups: dict[str, Pickup] = {}
        self.letters: dict[str, Letter] = {}
        self.activations: dict[str, Activation] = {}
        self.drop_states: dict[tuple[str, Place], DropState] = {}
        """By flow."""
        self.agents: dict[str, Agent] = {}
        self.legs: dict[str, Leg] = {}
        self.open_legs: dict[str, None] = {}
        self.answer_days: dict[tuple[str, int], AnswerDay] = {}
        """By flow and day."""
        self.seqs: dict[str, int] = {}
        self.events: dict[str, list[StoredEvent]] = {}
        self._told: list[StoredEvent] = []

    def the_account(self, account: str) -> Account:
        """An account by its id. Raises LookupError when there is none."""
        found = self.accounts.get(account)
        if found is None:
            raise LookupError(f"there is no account {account}")
        return found

    def know_flow(self, account: str, flow: str) -> None:
        """See that the account has the flow, deleted or not. Raises LookupError."""
        found = self.flows.get(flow)
        if found is None or found.account != account:
            raise LookupError(f"the account {account} has no flow {flow}")

    def check_flow(self, account: str, flow: str) -> None:
        """See that the flow takes calls. Raises `Conflict("flow_deleted")` and LookupError."""
        self.know_flow(account, flow)
        if flow in self.deleted_flows:
            raise refusals.flow_deleted()

    def list_of(self, account: str, call_list: str) -> ListEntry | None:
        """A list, when it is this account's."""
        found = self.lists.get(call_list)
        return found if found is not None and found.state.account == account else None

    def is_listed(self, account: str, number: str, flow: str, at: float) -> bool:
        """Whether the number must not be called by this flow at a moment."""
        listed = self.do_not_call.get(account)
        if not listed:
            return False
        names = [number]
        if self.ranges.get(account):
            names += [f"{number[:length]}*" for length in range(1, len(number) + 1)]
        for name in names:
            for key in ((name, ""), (name, flow)):
                one = listed.get(key)
                if one is not None and one.bars(number, flow, at):
                    return True
        return False

    def put_do_not_call(self, account: str, entries: Sequence[DoNotCall]) -> int:
        """List numbers and ranges; how many were not listed so before. Raises LookupError for an unknown
        account, and `Conflict("too_many_prefixes")`."""
        listed = self.do_not_call.setdefault(self.the_account(account).id, {})
        fresh: dict[tuple[str, str], DoNotCall] = {}
        changes = []
        for entry in entries:
            key = entry.number, entry.flow or ""
            if not is_weaker(entry, fresh.get(key) or listed.get(key)):
                fresh[key] = entry
                changes.append(added(entry))
        ranges = {key for key in fresh if is_prefix(key[0])} | self.ranges.get(account, set())
        if len(ranges) > PREFIXES_MAX and any(is_prefix(one) for one, _ in fresh):
            raise refusals.too_many_prefixes()
        self.ranges[account] = ranges
        listed.update(fresh)
        self.do_not_call_changes.setdefault(account, []).extend(changes)
        return len(changes)

    def keep_definition(self, flow: Flow) -> None:
        """Keep a flow's present graph under its version, where it is another than before."""
        kept = self.definitions.setdefault(flow.id, [])
        if kept and kept[-1][0] == flow.version:
            kept.pop()
        if not kept or kept[-1][1] != flow.definition:
            kept.append((flow.version, flow.definition))
        if len(kept) > rules.VERSIONS_MAX:
            needed = {one.flow_version for one in self.contacts.values() if _needs(one, flow.id)}
            gone = rules.superfluous_versions([version for version, _ in kept], needed)
            kept[:] = [one for one in kept if one[0] not in gone]

    def definition_of(self, flow: str, version: int) -> dict[str, Any] | None:
        """The graph that a flow had in one of its versions."""
        kept = self.definitions.get(flow, [])
        found = bisect_right(kept, version, key=lambda one: one[0])
        return kept[found - 1][1] if found else None

    def earlier_answer(self, answer: IdempotentAnswer | None) -> IdempotentAnswer | None:
        """The answer that already stands for this one's key."""
        if answer is None:
            return None
        earlier = self.answers.get((answer.account, answer.key))
        if earlier is not None and rules.stands(earlier, answer.created_at):
            return earlier
        return None

    def keep_answer(self, answer: IdempotentAnswer | None) -> None:
        """Let this answer stand for its key, and forget the expired ones."""
        if answer is None:
            return
        self.answers[answer.account, answer.key] = answer
        ages = self._answer_ages
        heapq.heappush(ages, (answer.created_at, answer.account, answer.key))
        while answer.created_at - ages[0][0] >= rules.ANSWER_KEPT_S:
            made_at, account, key = heapq.heappop(ages)
            kept = self.answers.get((account, key))
            if kept is not None and kept.created_at == made_at:
                del self.answers[account, key]

    def keep_audit(self, entry: AuditEntry) -> None:
        """Write down who changed something, and whose it is."""
        if entry.account is not None:
            self.the_account(entry.account)
        self.audit = [one for one in self.audit if entry.at - one.at < AUDIT_KEPT_S]
        self.audit.append(entry)

    def add_list(self, call_list: CallList, contacts: Sequence[Contact] = ()) -> ListEntry:
        """Make a list with its contacts."""
        state = rules.state_of_new(call_list, len(contacts))
        entry = ListEntry(len(self.lists), call_list, state)
        self.lists[call_list.id] = entry
        self.contacts.update({one.id: one for one in contacts})
        entry.contacts = [one.id for one in sorted(contacts, key=_place)]
        entry.urgent = [one.id for one in contacts if one.priority == "urgent"]
        entry.due = sorted([(one.due_at, one.id) for one in contacts])  # a sorted list is a heap
        self.rank(entry)
        self.sort_in(entry)
        return entry

    def rank(self, entry: ListEntry) -> None:
        """Give the contacts of a list its priority, if it has one."""
        if entry.state.priority is not None:
            for id_ in entry.contacts:
                contact = self.contacts[id_]
                ranked = msgspec.structs.replace(contact, priority=entry.state.priority)
                self.contacts[id_] = ranked

    def accept(self, new: NewList) -> None:
        """Make the list of a trigger."""
        call_list = rules.accepted(new.call_list, len(new.contacts))
        entry = self.add_list(call_list, new.contacts)
        entry.rejected = tuple(new.rejected)
        if new.contacts:
            entry.content_sha256 = new.content_sha256
        self.tell(rules.list_accepted(call_list, len(new.contacts)))
        if new.pickup is not None:
            self.pickups[new.pickup.id] = new.pickup

    def check_pickup(self, new: NewList) -> None:
        """Raises `PickedUp` where the file was picked up before, and may be where it was."""
        if new.pickup is not None:
            one = new.pickup
            earlier = self.find_pickup(one.account, one.flow, one.place, one.file)
            if earlier is not None:
                raise PickedUp(earlier)

    def find_pickup(self, account: str, flow: str, place: str, file: FileMark) -> Pickup | None:
        """The pick-up of a file that may be there still."""
        wanted = account, flow, place, file
        for one in self.pickups.values():
            if one.removed_at is None and (one.account, one.flow, one.place, one.file) == wanted:
                return one
        return None

    def check_repeat(self, new: NewList) -> None:
        """Raises `DuplicateList` where the file came in for its flow before, and that matters."""
        since = rules.repeats_since(new, len(new.contacts))
        if since is not None and new.content_sha256 is not None:
            one = new.call_list
            earlier = self.list_of_content(one.account, one.flow, new.content_sha256, since)
            if earlier is not None:
                raise refusals.duplicate_list(earlier)

    def list_of_content(
        self, account: str, flow: str, content_sha256: bytes, since: float
    ) -> CallList | None:
        """The newest list of a flow that a file made after a moment."""
        found = [
            entry.as_list()
            for entry in self.lists.values()
            if entry.content_sha256 == content_sha256
            and (entry.state.account, entry.state.flow) == (account, flow)
            and entry.accepted.created_at > since
        ]
        return max(found, key=lambda one: (one.created_at, one.id), default=None)

    def add_letter(self, letter: Letter) -> bool:
        """Keep a new letter, once for its key. Raises LookupError for an unknown account."""
        self.the_account(letter.account)
        kept = self.letters
        if any((one.account, one.key) == (letter.account, letter.key) for one in kept.values()):
            return False
        kept[letter.id] = letter
        return True

    def add_call(self, contact: Contact) -> None:
        """Add a contact to a standing list, as its last row."""
        entry = self.lists[contact.list]
        state = entry.state
        state.contacts += 1
        state.open += 1
        placed = msgspec.structs.replace(contact, row=state.contacts)
        self.contacts[placed.id] = placed
        entry.contacts.append(placed.id)
        if placed.priority == "urgent":
            entry.urgent.append(placed.id)
        self.push_due(entry, placed)
        self.sort_in(entry)

    def sort_in(self, entry: ListEntry) -> None:
        """Keep a list where it is looked for, after its state changed."""
        for kept, belongs in (
            (self.open_lists, entry.state.is_open),
            (self.canceled_lists, entry.state.needs_closing),
        ):
            if belongs:
                kept[entry.state.id] = entry
            else:
                kept.pop(entry.state.id, None)

    def push_due(self, entry: ListEntry, contact: Contact) -> None:
        """Note when an open contact is due."""
        heapq.heappush(entry.due, (contact.due_at, contact.id))
        if len(entry.due) > 2 * entry.state.open + STALE_MAX:
            entry.due = sorted({due for due in entry.due if self._is_due_then(due)})

    def next_due(self, entry: ListEntry, until: float, limit: int) -> list[Contact]:
        """Open contacts with `due_at` ≤ until, the earliest first."""
        if len(entry.due) <= limit:
            entry.due = sorted({due for due in entry.due if self._is_due_then(due)})
            some = entry.due[: bisect_right(entry.due, until, key=lambda due: due[0])]
            return [self.contacts[contact] for _, contact in some]
        found: list[tuple[float, str]] = []
        while entry.due and len(found) < limit and entry.due[0][0] <= until:
            due = heapq.heappop(entry.due)
            if self._is_due_then(due) and (not found or found[-1] != due):
                found.append(due)
        for due in found:
            heapq.heappush(entry.due, due)
        return [self.contacts[contact] for _, contact in found]

    def count_waits(self, entry: ListEntry, now: float) -> dict[BlockerCode, int]:
        """Open contacts whose moment is ahead, by what they wait for."""
        later = self._due_after(entry, now)
        return dict(Counter(self.contacts[contact].wait_code for _, contact in later))

    def first_waits(self, entry: ListEntry, now: float) -> dict[BlockerCode, float]:
        """The earliest moment of these, by what they wait for."""
        later = sorted(self._due_after(entry, now), reverse=True)
        return {self.contacts[contact].wait_code: at for at, contact in later}

    def _due_after(self, entry: ListEntry, now: float) -> set[tuple[float, str]]:
        return {due for due in entry.due if due[0] > now and self._is_due_then(due)}

    def complete(
        self,
        contacts: Iterable[str],
        disposition: Disposition,
        at: float,
        reason: str | None = None,
    ) -> int:
        """Give those that are open their disposition, with their events; how many were."""
        done = 0
        for contact_id in contacts:
            contact = self.contacts.get(contact_id)
            if contact is None or contact.state != "open":
                continue
            self.contacts[contact_id] = msgspec.structs.replace(
                contact, state="completed", disposition=disposition, completed_at=at
            )
            entry = self.lists[contact.list]
            state = entry.state
            told = rules.contact_completed(
                state, contact_id, contact.reference, disposition, at, reason
            )
            self.tell((told, *rules.complete(state, "open", disposition, at)))
            self.sort_in(entry)
            done += 1
        return done

    def add_attempt(self, attempt: Attempt) -> None:
        """Keep a new attempt, which is open."""
        self.attempts[attempt.id] = attempt
        self.open_attempts[attempt.id] = None
        insort(self.attempts_on.setdefault((attempt.account, attempt.number), []), attempt.id)
        insort(self.attempts_of_account.setdefault(attempt.account, []), attempt.id)
        others = self.attempts_of_contact.get(attempt.contact, ())
        self.attempts_of_contact[attempt.contact] = tuple(sorted((*others, attempt.id)))

    def note_country(self, call: Attempt | Leg) -> None:
        """Keep which country a call goes to, and tell of it where nobody has called it or approved it."""
        known, country = self.countries.setdefault(call.account, set()), country_of(call.number)
        if country not in known:
            known.add(country)
            if country not in self.the_account(call.account).rules.approved_countries:
                self.tell((rules.new_country(call, country),))

    def count_answer(self, attempt: Attempt, at: float) -> None:
        """Count what a customer met who answered, if this was one."""
        if rules.counts_as_answered(attempt):
            key = attempt.flow, day_of(at)
            so_far = self.answer_days.get(key, AnswerDay(*key, 0, 0))
            abandoned = so_far.abandoned + bool(attempt.abandoned)
            self.answer_days[key] = AnswerDay(*key, so_far.answered + 1, abandoned)

    def tell(self, events: Iterable[Event]) -> None:
        """Number events and keep them. Raises LookupError for an unknown account."""
        for event in events:
            seq = self.seqs.get(self.the_account(event.account).id, 0) + 1
            self.seqs[event.account] = seq
            hook = self.hook_of(event.flow)
            is_wanted = hook is not None and hook.wants(event.type)
            stored = number_event(event, seq, is_wanted)
            self._told.append(stored)
            if is_wanted:
                self._add_delivery(event, seq)
            kept = self.events.setdefault(event.account, [])
            kept.append(stored)
            if len(kept) >= 2 * self._events_kept_max:
                del kept[: -self._events_kept_max]

    def hook_of(self, flow: str) -> Webhook | None:
        """Where events of a flow are sent; None where nowhere."""
        found = self.flows.get(flow)
        hook = found.settings.webhook if found is not None else None
        url, _ = self.disabled_hooks.get(flow, ("", 0.0))
        return None if hook is None or hook.url == url else hook

    def body_of(self, account: str, seq: int) -> bytes:
        """The JSON of an event that is kept."""
        kept = self.events[account]
        return kept[seq - kept[0].seq].body

    def _add_delivery(self, event: Event, seq: int) -> None:
        subject = event.contact or event.list
        kept = self.deliveries.setdefault(event.flow, {})
        waits = any(one.subject == subject and one.state == "pending" for one in kept.values())
        kept[seq] = Delivery(
            event.account,
            event.flow,
            seq,
            event.type,
            subject,
            "pending",
            event.time,
            event.time,
            None if waits else event.time,
        )

    def commit(self) -> None:
        """Pass on what was told since the last commit."""
        told, self._told = self._told, []
        if told:
            self._on_events(told)

    def _is_due_then(self, due: tuple[float, str]) -> bool:
        contact = self.contacts.get(due[1])  # it may have been forgotten, see `forgetting`
        return contact is not None and contact.state == "open" and contact.due_at == due[0]


def _place(contact: Contact) -> tuple[int, str]:
    return contact.row, contact.id


def _needs(contact: Contact, flow: str) -> bool:
    """Whether the contact will still go through a graph of the flow."""
    return contact.flow == flow and contact.state != "completed"
