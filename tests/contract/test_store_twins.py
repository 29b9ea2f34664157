"""The SQLite store against its in-memory twin: any sequence of operations, answered alike."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import msgspec
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.sqlite import rules
from engine.model import BlockerCode, Contact, Flow, Prompt, Recording
from engine.model.agent import Agent, Leg, Presence, day_of
from engine.model.disposition import Disposition
from engine.model.do_not_call import DoNotCall
from engine.model.events import StoredEvent
from engine.ports.dial_store import Deferral, Progress
from engine.ports.intake_store import NewList
from engine.ports.moving import ListEdit
from engine.ports.read_store import AttemptFilter
from engine.ports.store import Store
from engine.ports.stored import Conflict
from tests.contract.store_kits import open_kit
from tests.contract.store_samples import (
    ACME,
    CALLS,
    FLOW,
    NOW,
    OTHER,
    OTHER_CALLS,
    OTHER_FLOW,
    Kit,
    a_batch,
    a_contact,
    a_did,
    a_flow,
    a_leg,
    a_list,
    a_rejected,
    about,
    all_pages,
    an_account,
    an_agent,
    an_answer,
    an_attempt,
    ended,
    furnish,
)
from tests.sizes import size

ACCOUNTS = {ACME: (FLOW, CALLS), OTHER: (OTHER_FLOW, OTHER_CALLS)}
DISPOSITIONS: tuple[Disposition, ...] = get_args(Disposition)
PRESENCES: tuple[Presence, ...] = get_args(Presence)
CODES: tuple[BlockerCode, ...] = get_args(BlockerCode)
NUMBERS = ("+919800000001", "+447400000002")
"""The second is in a country that no account has called before."""

Outcome = tuple[str, Any]
Question = Callable[[Store], Awaitable[Any]]


async def outcome_of(question: Question, store: Store) -> Outcome:
    """What the store answered or what it raised."""
    try:
        return "answer", await question(store)
    except Conflict as error:
        return "conflict", error.code
    except LookupError:
        return "lookup error", None


class Twins:
    """Both stores, and what a test needs to know of them to ask for something sensible."""

    def __init__(self, sqlite: Kit, memory: Kit) -> None:
        self._kits = (sqlite, memory)
        self._seen = [0, 0]
        self.at = NOW
        self.lists = [CALLS, OTHER_CALLS]
        self.contacts: list[str] = []
        self.owners: dict[str, str] = {}
        self.attempts: list[tuple[str, Any]] = []
        """(contact, attempt)."""
        self.agents: list[tuple[str, str, str]] = []
        """(account, flow, agent)."""
        self.legs: list[Leg] = []
        self.made = 0

    async def ask(self, question: Question) -> Any:
        """Ask both; their answers and what they told must be alike."""
        sqlite, memory = [await outcome_of(question, kit.store) for kit in self._kits]
        assert sqlite == memory
        told = [self._told_since(number) for number in (0, 1)]
        assert told[0] == told[1]
        return sqlite[1]

    def pass_time(self, seconds: float) -> None:
        """Set both clocks forward."""
        self.at += seconds
        for kit in self._kits:
            kit.clock.at = self.at

    async def contact(self, number: int) -> Contact | None:
        """One of the contacts, as it is now."""
        if not self.contacts:
            return None
        contact = self.contacts[number % len(self.contacts)]
        store = self._kits[1].store
        return await store.get_contact(self.owners[contact], contact)

    def fresh(self) -> int:
        """A number that was not used."""
        self.made += 1
        return self.made

    def _told_since(self, number: int) -> list[StoredEvent]:
        told = self._kits[number].told[self._seen[number] :]
        self._seen[number] += len(told)
        return [event for some in told for event in some]


# What may happen. Each takes small numbers and makes of them something that may happen now.


async def accept_list(twins: Twins, account: int, count: int, seed: int, key: int) -> None:
    owner = (ACME, OTHER)[account % 2]
    flow = ACCOUNTS[owner][0]
    name = f"lst_{1000 + twins.fresh()}"
    contacts = [
        a_contact(
            1 + (row * (seed + 1)) % 5,
            name,
            id=f"cnt_{twins.fresh():06d}",
            account=owner,
            flow=flow,
            tel=(NUMBERS[(row + seed) % 2],),
            due_at=twins.at + ((row * 7 + seed) % 3) * 50,
            wait_code=CODES[(row + seed) % 2],
            reference=None if row % 2 else f"ref-{row}",
        )
        for row in range(count)
    ]
    status = "rejected" if not contacts else ("scheduled", "running")[seed % 2]
    made = a_list(name, owner, flow, accepted=count, status=status, created_at=twins.at)
    new = NewList(made, contacts, tuple(a_rejected(row) for row in range(seed % 3)))
    answer = an_answer(f"key-{key}", owner, twins.at) if key else None
    earlier = await twins.ask(lambda store: store.accept_list(new, answer))
    if earlier is None:
        twins.lists.append(name)
        twins.contacts += [contact.id for contact in contacts]
        twins.owners |= {contact.id: owner for contact in contacts}


async def accept_batch(twins: Twins, account: int, count: int, seed: int, gap: int) -> None:
    owner = (ACME, OTHER)[account % 2]
    flow = ACCOUNTS[owner][0]
    name = f"lst_{1000 + twins.fresh()}"
    made = a_list(name, owner, flow, accepted=2 * count, created_at=twins.at)
    batches = [
        a_batch(
            [twins.fresh() for _ in range(count)],
            name,
            owner,
            flow,
            starts=[twins.at + (seed + row * gap) % 4 * 50 for row in range(count)],
            tels=NUMBERS,
            place=place,
        )
        for place in (1, 1 + count)
    ]

    async def take(store: Store) -> None:
        async with store.take_list(owner, flow) as taking:
            for batch in batches:
                await taking.add_batch(batch, ())
            await taking.publish(NewList(made, ()))

    await twins.ask(take)
    contacts = [contact for batch in batches for contact in batch.contacts()]
    twins.lists.append(name)
    twins.contacts += [contact.id for contact in contacts]
    twins.owners |= {contact.id: owner for contact in contacts}


async def accept_call(twins: Twins, account: int, wait: int, key: int) -> None:
    owner = (ACME, OTHER)[account % 2]
    flow, calls = ACCOUNTS[owner]
    contact = a_contact(
        1,
        calls,
        id=f"cnt_{twins.fresh():06d}",
        account=owner,
        flow=flow,
        tel=(NUMBERS[wait % 2],),
        due_at=twins.at + wait,
    )
    answer = an_answer(f"key-{key}", owner, twins.at) if key else None
    earlier = await twins.ask(lambda store: store.accept_call(contact, answer))
    if earlier is None:
        twins.contacts.append(contact.id)
        twins.owners[contact.id] = owner


async def begin_attempt(twins: Twins, number: int, redirected: bool) -> None:
    contact = await twins.contact(number)
    if contact is not None:
        attempt = an_attempt(contact, twins.fresh(), initiated_at=twins.at)
        if redirected:
            other = NUMBERS[number % 2]
            attempt = msgspec.structs.replace(attempt, number=other, redirected_from=attempt.number)
        event = about(attempt, "attempt.initiated", twins.at)
        refused = await twins.ask(lambda store: store.begin_attempt(attempt, event))
        if refused is None:
            twins.attempts.append((contact.id, attempt))


async def note_progress(twins: Twins, number: int, answered: bool) -> None:
    if twins.attempts:
        _, attempt = twins.attempts[number % len(twins.attempts)]
        noted = msgspec.structs.replace(attempt, status="ringing", ringing_at=twins.at)
        if answered:
            noted = msgspec.structs.replace(noted, status="in-progress", digits="1")
        event = about(attempt, "attempt.ringing", twins.at)
        await twins.ask(lambda store: store.note_progress([Progress(noted, [event])]))


async def end_attempt(twins: Twins, number: int, how: int) -> None:
    if not twins.attempts:
        return
    contact_id, attempt = twins.attempts[number % len(twins.attempts)]
    contact = await twins.contact(twins.contacts.index(contact_id))
    assert contact is not None
    disposition = DISPOSITIONS[how % len(DISPOSITIONS)]
    events = [about(attempt, "attempt.ended", twins.at)]
    if how % 3 == 0:
        after = msgspec.structs.replace(
            contact, state="completed", disposition=disposition, completed_at=twins.at, spent=1
        )
    else:
        after = msgspec.structs.replace(
            contact,
            state="open",
            due_at=twins.at + how,
            tries={"busy": how},
            wait_code="retry_wait",
            detour=NUMBERS[0] if how % 2 else None,
            detoured=how % 4 == 1,
        )
        wait = about(attempt, "contact.waiting", twins.at)
        events.append(msgspec.structs.replace(wait, attempt=None))
    outcome = ended(attempt, disposition, twins.at)
    outcome = msgspec.structs.replace(outcome, abandoned=(None, False, True)[how % 3])
    await twins.ask(lambda store: store.end_attempt(outcome, after, events))


async def bring_forward(twins: Twins, code: int, limit: int) -> None:
    await twins.ask(lambda store: store.bring_forward(ACME, FLOW, CODES[code], twins.at, limit))


async def defer_contacts(twins: Twins, numbers: list[int], wait: int) -> None:
    found = [await twins.contact(number) for number in numbers]
    contacts = [contact for contact in found if contact is not None]
    deferrals = [Deferral(one.id, twins.at + wait, CODES[wait % len(CODES)]) for one in contacts]
    events = [
        msgspec.structs.replace(about(an_attempt(one), "contact.waiting"), attempt=None)
        for one in contacts
    ]
    await twins.ask(lambda store: store.defer_contacts(deferrals, events))


async def settle_contact(twins: Twins, number: int, how: int) -> None:
    contact = await twins.contact(number)
    if contact is None:
        return
    disposition = DISPOSITIONS[how % len(DISPOSITIONS)]
    after = msgspec.structs.replace(contact, state="open", due_at=twins.at + how, spent=how)
    if how % 3 == 0:
        after = msgspec.structs.replace(
            after, state="completed", disposition=disposition, completed_at=twins.at
        )
    wait = msgspec.structs.replace(about(an_attempt(contact), "contact.waiting"), attempt=None)
    await twins.ask(lambda store: store.settle_contact(after, [wait], twins.at))


async def complete_contacts(twins: Twins, numbers: list[int], how: int) -> None:
    found = [await twins.contact(number) for number in numbers]
    ids = [contact.id for contact in found if contact is not None]
    disposition = DISPOSITIONS[how % len(DISPOSITIONS)]
    reason = None if how % 2 else "do_not_call"
    await twins.ask(lambda store: store.complete_contacts(ids, disposition, twins.at, reason))


async def set_list_status(twins: Twins, account: int, number: int, change: Any) -> None:
    owner = (ACME, OTHER)[account % 2]
    name = twins.lists[number % len(twins.lists)]
    await twins.ask(lambda store: store.set_list_status(owner, name, change, twins.at))


async def close_canceled(twins: Twins, limit: int) -> None:
    await twins.ask(lambda store: store.close_canceled(limit, twins.at))


async def list_number(twins: Twins, account: int, number: int, flow: bool) -> None:
    owner = (ACME, OTHER)[account % 2]
    of_flow = ACCOUNTS[owner][0] if flow else None
    some = [NUMBERS[number % 2]]
    await twins.ask(lambda store: store.add_do_not_call(owner, some, of_flow, twins.at))


async def list_range(twins: Twins, account: int, digits: int, lasts: int) -> None:
    owner = (ACME, OTHER)[account % 2]
    until = twins.at + lasts if lasts else None
    entry = DoNotCall(
        f"{NUMBERS[0][:digits]}*", None, twins.at, until, "a range", "import", "key_1"
    )
    await twins.ask(lambda store: store.put_do_not_call(owner, [entry]))


async def find_listed(twins: Twins, number: int, wait: int) -> None:
    name = twins.lists[number % len(twins.lists)]

    async def ask(store: Store) -> list[str]:
        return sorted(await store.listed_contacts(name, twins.at + wait, 10))

    await twins.ask(ask)


async def strike_number(twins: Twins, account: int, number: int) -> None:
    owner = (ACME, OTHER)[account % 2]
    await twins.ask(lambda store: store.remove_do_not_call(owner, NUMBERS[number % 2], twins.at))


async def opt_out(twins: Twins, number: int, flow: bool) -> None:
    if twins.attempts:
        _, attempt = twins.attempts[number % len(twins.attempts)]
        event = about(attempt, "attempt.opt_out", twins.at)
        of_flow = attempt.flow if flow else None
        await twins.ask(lambda store: store.opt_out([attempt.number], of_flow, event))


async def change_flow(twins: Twins, account: int, name: int) -> None:
    def rename(flow: Flow) -> Flow:
        graph = {"start": f"node {name // 2}"}
        return msgspec.structs.replace(
            flow, name=f"name {name}", definition=graph, version=flow.version + 1
        )

    owner = (ACME, OTHER)[account % 2]
    await twins.ask(lambda store: store.change_flow(owner, FLOW, rename))


async def delete_flow(twins: Twins, account: int) -> None:
    owner = (ACME, OTHER)[account % 2]
    await twins.ask(lambda store: store.delete_flow(owner, ACCOUNTS[owner][0]))


async def add_setting(twins: Twins, kind: int, number: int, key: int) -> None:
    answer = an_answer(f"key-{key}", ACME, twins.at) if key else None
    fresh = f"{twins.fresh():04d}"
    makers: tuple[Question, ...] = (
        lambda store: store.add_account(an_account(f"acc_n{fresh}", f"name {number}"), answer),
        lambda store: store.add_did(a_did(f"+9111{number}"), answer),
        lambda store: store.add_flow(a_flow(f"flw_n{fresh}", calls=f"lst_n{fresh}"), answer),
        lambda store: store.add_prompt(Prompt(f"prm_{fresh}", ACME, "p", 1.0, NOW), answer),
        lambda store: store.add_recording(Recording(f"rec_{fresh}", ACME, f"att_{number}", NOW)),
    )
    await twins.ask(makers[kind % len(makers)])


async def add_agent(twins: Twins, account: int, number: int, key: int) -> None:
    owner = (ACME, OTHER)[account % 2]
    answer = an_answer(f"key-{key}", owner, twins.at) if key else None
    agent = an_agent(
        number, ACCOUNTS[owner][0], owner, id=f"agt_{twins.fresh():04d}", created_at=twins.at
    )
    await twins.ask(lambda store: store.add_agent(agent, answer))
    twins.agents.append((owner, ACCOUNTS[owner][0], agent.id))


async def change_agent(twins: Twins, number: int, how: int) -> None:
    if twins.agents:
        named = twins.agents[number % len(twins.agents)]

        def change(agent: Agent) -> Agent:
            return msgspec.structs.replace(agent, number=an_agent(how).number, wrap_up_s=how // 2)

        await twins.ask(lambda store: store.change_agent(*named, change, twins.at))


async def delete_agent(twins: Twins, number: int) -> None:
    if twins.agents:
        named = twins.agents[number % len(twins.agents)]
        await twins.ask(lambda store: store.delete_agent(*named, twins.at))


async def note_presence(twins: Twins, number: int, how: int) -> None:
    if twins.agents:
        agent = twins.agents[number % len(twins.agents)][2]
        presence = PRESENCES[how % len(PRESENCES)]
        await twins.ask(lambda store: store.note_presence(agent, presence, twins.at, "asked"))


async def reset_presence(twins: Twins) -> None:
    await twins.ask(lambda store: store.reset_presence(twins.at, "restart"))


async def begin_leg(twins: Twins, account: int, number: int) -> None:
    owner = (ACME, OTHER)[account % 2]
    flow, calls = ACCOUNTS[owner]
    attempt = twins.attempts[number % len(twins.attempts)][1].id if twins.attempts else None
    leg = a_leg(
        twins.fresh(),
        account=owner,
        flow=flow,
        list=calls,
        number=NUMBERS[number % 2],
        attempt=attempt,
        contact=twins.contacts[number % len(twins.contacts)] if twins.contacts else None,
        initiated_at=twins.at,
    )
    refused = await twins.ask(lambda store: store.begin_leg(leg))
    if refused is None:
        twins.legs.append(leg)


async def end_leg(twins: Twins, number: int, answered: bool) -> None:
    if twins.legs:
        leg = twins.legs[number % len(twins.legs)]
        heard = msgspec.structs.replace(leg, answered_at=twins.at)
        if answered:
            event = rules.leg_event("leg.initiated", leg, twins.at)
            await twins.ask(lambda store: store.note_leg(heard, event))
        over = msgspec.structs.replace(heard, ended_at=twins.at, outcome="answered", sip_code=200)
        await twins.ask(lambda store: store.end_leg(over))


async def edit_list(twins: Twins, number: int, wait: int) -> None:
    name = twins.lists[number % len(twins.lists)]
    edit = ListEdit(twins.at + wait if wait else None, "urgent" if wait % 2 else "high")
    await twins.ask(lambda store: store.edit_list(ACME, name, edit, twins.at))
    await twins.ask(_move_all)


async def _move_all(store: Store) -> list[str]:
    """Give all contacts their other start times; of which lists there were any."""
    moved = []
    while (some := await store.move_contacts(3)) is not None:
        moved += [some.list] if some.is_done else []
    return moved


async def reschedule_contact(twins: Twins, number: int, wait: int) -> None:
    contact = await twins.contact(number)
    if contact is not None:
        start = twins.at + wait
        owner = contact.account
        await twins.ask(lambda store: store.reschedule_contact(owner, contact.id, start))


async def pass_time(twins: Twins, seconds: int) -> None:
    twins.pass_time(seconds)


small = st.integers(0, 9)
keys = st.integers(0, 2)
some = st.lists(small, max_size=3)
changes = st.sampled_from(["pause", "resume", "cancel"])
steps = st.one_of(
    st.builds(
        partial, st.just(accept_list), account=small, count=st.integers(0, 4), seed=small, key=keys
    ),
    st.builds(
        partial, st.just(accept_batch), account=small, count=st.integers(1, 3), seed=small, gap=keys
    ),
    st.builds(partial, st.just(accept_call), account=small, wait=small, key=keys),
    st.builds(partial, st.just(begin_attempt), number=small, redirected=st.booleans()),
    st.builds(partial, st.just(begin_attempt), number=small, redirected=st.just(False)),
    st.builds(partial, st.just(settle_contact), number=small, how=small),
    st.builds(partial, st.just(note_progress), number=small, answered=st.booleans()),
    st.builds(partial, st.just(end_attempt), number=small, how=small),
    st.builds(partial, st.just(end_attempt), number=small, how=small),
    st.builds(
        partial,
        st.just(list_range),
        account=st.integers(0, 1),
        digits=st.integers(3, 12),
        lasts=st.sampled_from((0, 3, 100)),
    ),
    st.builds(partial, st.just(find_listed), number=st.integers(0, 9), wait=st.integers(0, 200)),
    st.builds(
        partial,
        st.just(bring_forward),
        code=st.integers(0, len(CODES) - 1),
        limit=st.integers(1, 5),
    ),
    st.builds(partial, st.just(defer_contacts), numbers=some, wait=st.integers(0, 200)),
    st.builds(partial, st.just(complete_contacts), numbers=some, how=small),
    st.builds(partial, st.just(set_list_status), account=small, number=small, change=changes),
    st.builds(partial, st.just(edit_list), number=small, wait=st.integers(0, 200)),
    st.builds(partial, st.just(reschedule_contact), number=small, wait=st.integers(0, 200)),
    st.builds(partial, st.just(close_canceled), limit=st.integers(1, 4)),
    st.builds(partial, st.just(list_number), account=small, number=small, flow=st.booleans()),
    st.builds(partial, st.just(opt_out), number=small, flow=st.booleans()),
    st.builds(partial, st.just(strike_number), account=small, number=small),
    st.builds(partial, st.just(change_flow), account=small, name=small),
    st.builds(partial, st.just(delete_flow), account=small),
    st.builds(partial, st.just(add_setting), kind=small, number=small, key=keys),
    st.builds(partial, st.just(add_agent), account=small, number=small, key=keys),
    st.builds(partial, st.just(change_agent), number=small, how=small),
    st.builds(partial, st.just(delete_agent), number=small),
    st.builds(partial, st.just(note_presence), number=small, how=small),
    st.just(reset_presence),
    st.builds(partial, st.just(begin_leg), account=small, number=small),
    st.builds(partial, st.just(end_leg), number=small, answered=st.booleans()),
    st.builds(partial, st.just(pass_time), seconds=st.sampled_from([1, 60, 90_000])),
)


async def compare_everything(twins: Twins) -> None:
    """Ask every question there is, about everything there is."""

    def pages(method: str, *arguments: Any, limit: int = 2) -> Question:
        return lambda store: all_pages(partial(getattr(store, method), *arguments), limit)

    at = twins.at
    questions: list[Question] = [
        pages("list_accounts"),
        pages("list_dids", None),
        pages("list_flows", None),
        lambda store: store.open_lists(),
        lambda store: store.open_attempts(),
        pages("list_agents", None, None),
        lambda store: store.open_legs(),
        lambda store: store.did_health(0),
        lambda store: store.last_callers(ACME, NUMBERS),
        lambda store: store.past_calls(ACME, NUMBERS),
        lambda store: store.did_starts("+911140000001", 0, 10),
        lambda store: store.answer_days(0),
        lambda store: store.answer_days(day_of(at)),
        lambda store: store.recent_starts(0),
        lambda store: store.recent_starts(at - 60),
    ]
    for account, (flow, _) in ACCOUNTS.items():
        questions += [
            pages("list_flows", account),
            pages("list_agents", account, flow),
            pages("list_prompts", account),
            pages("list_recordings", account, None),
            pages("list_recordings", account, "att_1"),
            pages("list_do_not_call", account),
            pages("list_lists", account, None),
            pages("list_lists", account, flow),
            pages("list_attempts", account, AttemptFilter()),
            pages("list_attempts", account, AttemptFilter(flow=flow, from_at=at - 90)),
            pages("list_attempts", account, AttemptFilter(to_at=at - 30)),
            partial(_ask, "events_after", account, 0, 1000),
            partial(_ask, "last_seq", account),
            *(partial(_ask, "get_definition", account, flow, version) for version in range(12)),
            *(partial(_ask, "get_answer", account, f"key-{key}") for key in (1, 2)),
        ]
        for name in twins.lists:
            questions += [
                partial(_ask, "get_list", account, name),
                partial(_ask, "count_list", account, name, at),
                partial(_ask, "count_waits", account, name, at - 90),
                partial(_ask, "count_waits", account, name, at),
                partial(_ask, "first_waits", account, name, at - 90),
                pages("list_attempts", account, AttemptFilter(list=name, is_open=True)),
                pages("list_contacts", account, name),
                pages("list_results", account, name),
                pages("list_rejected", account, name),
                pages("list_attempts", account, AttemptFilter(list=name)),
            ]
    for name in twins.lists:
        questions += [
            partial(_ask, "open_list", name),
            partial(_ask, "due_contacts", name, float("inf"), 100),
            partial(_ask, "due_contacts", name, at, 2),
        ]
    questions += [
        partial(_ask, "get_contact", owner, contact) for contact, owner in twins.owners.items()
    ]
    questions += [partial(_ask, "get_agent", *named) for named in twins.agents]
    for _, attempt in twins.attempts:
        questions.append(partial(_ask, "legs_of", attempt.account, attempt.id))
    for question in questions:
        await twins.ask(question)


async def _ask(method: str, *rest: Any) -> Any:
    *arguments, store = rest
    return await getattr(store, method)(*arguments)


async def run_both(happenings: list[Callable[[Twins], Awaitable[None]]], folder: Path) -> None:
    async with open_kit("sqlite", folder) as sqlite, open_kit("memory", folder) as memory:
        for kit in (sqlite, memory):
            await furnish(kit.store)
        twins = Twins(sqlite, memory)
        for happen in happenings:
            await happen(twins)
        await compare_everything(twins)


@settings(
    max_examples=size(40, 2000),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(steps, min_size=1, max_size=size(30, 80)))
def test_both_stores_answer_and_tell_the_same(
    happenings: list[Callable[[Twins], Awaitable[None]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trio.run(run_both, happenings, Path(folder))
