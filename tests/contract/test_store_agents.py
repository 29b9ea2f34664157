"""Agents, second legs, and what customers met who answered, for every store."""

from __future__ import annotations

import msgspec
import pytest

from adapters.sqlite import rules
from engine.model import Attempt, Contact
from engine.model.agent import AGENTS_MAX, Agent, AnswerDay, day_of
from engine.ports.dial_store import RecentStart
from engine.ports.stored import Conflict
from tests.contract.store_samples import (
    ACME,
    CALLS,
    FLOW,
    LIST,
    NOW,
    OTHER,
    OTHER_FLOW,
    Kit,
    a_contact,
    a_leg,
    a_new_list,
    about,
    all_pages,
    an_agent,
    an_answer,
    begin,
    completed,
    ended,
)


async def agents(kit: Kit, flow: str = FLOW) -> list[Agent]:
    return await all_pages(
        lambda limit, cursor: kit.store.list_agents(ACME, flow, limit, cursor), 2
    )


async def test_agents_are_kept_in_order_and_found_only_in_their_flow(kit: Kit) -> None:
    made = [an_agent(number, wrap_up_s=number) for number in (1, 2, 3, 4, 5)]
    for one in made:
        assert await kit.store.add_agent(one) is None
    others = an_agent(6, OTHER_FLOW, OTHER)
    await kit.store.add_agent(others)
    assert await agents(kit) == made
    assert await kit.store.get_agent(ACME, FLOW, made[0].id) == made[0]
    assert await kit.store.get_agent(OTHER, FLOW, made[0].id) is None
    assert await kit.store.get_agent(ACME, FLOW, others.id) is None
    assert (await kit.store.list_agents(ACME, OTHER_FLOW, 1000, None)).items == ()
    assert (await kit.store.list_agents(OTHER, OTHER_FLOW, 1000, None)).items == (others,)
    assert kit.events_of("agent.added")[0]["data"] == {
        "agent": made[0].id,
        "name": "Agent 1",
        "number": made[0].number,
    }


async def test_a_flow_has_one_agent_of_a_number_and_not_too_many(kit: Kit) -> None:
    await kit.store.add_agent(an_agent(1))
    twin = an_agent(2, number=an_agent(1).number)
    with pytest.raises(Conflict, match="agent_exists"):
        await kit.store.add_agent(twin)
    await kit.store.add_agent(msgspec.structs.replace(twin, flow=OTHER_FLOW, account=OTHER))
    await kit.store.add_agent(an_agent(3))
    with pytest.raises(Conflict, match="agent_exists"):
        await kit.store.change_agent(ACME, FLOW, "agt_0003", lambda one: _like(one, twin), NOW)
    assert await agents(kit) == [an_agent(1), an_agent(3)]
    for number in range(4, AGENTS_MAX + 2):
        await kit.store.add_agent(an_agent(number))
    with pytest.raises(Conflict, match="too_many_agents"):
        await kit.store.add_agent(an_agent(AGENTS_MAX + 2))


def _like(agent: Agent, other: Agent) -> Agent:
    return msgspec.structs.replace(agent, number=other.number)


async def test_an_agent_of_a_flow_that_is_gone_is_not_kept(kit: Kit) -> None:
    with pytest.raises(LookupError):
        await kit.store.add_agent(an_agent(flow="flw_none"))
    await kit.store.delete_flow(ACME, FLOW)
    with pytest.raises(Conflict, match="flow_deleted"):
        await kit.store.add_agent(an_agent())


async def test_the_same_key_makes_an_agent_once(kit: Kit) -> None:
    answer = an_answer()
    assert await kit.store.add_agent(an_agent(), answer) is None
    assert await kit.store.add_agent(an_agent(2), answer) == answer
    assert await agents(kit) == [an_agent()]


async def test_a_change_and_a_removal_are_told(kit: Kit) -> None:
    await kit.store.add_agent(an_agent())
    changed = msgspec.structs.replace(an_agent(), name="Ada", wrap_up_s=3.0)
    got = await kit.store.change_agent(ACME, FLOW, changed.id, lambda _: changed, NOW + 1)
    assert got == changed
    assert await agents(kit) == [changed]
    assert await kit.store.change_agent(OTHER, FLOW, changed.id, lambda one: one, NOW) is None
    assert not await kit.store.delete_agent(OTHER, FLOW, changed.id, NOW)
    assert await kit.store.delete_agent(ACME, FLOW, changed.id, NOW + 2)
    assert not await kit.store.delete_agent(ACME, FLOW, changed.id, NOW + 2)
    assert await agents(kit) == []
    assert [kind for _, _, kind in kit.events] == ["agent.added", "agent.changed", "agent.removed"]


async def test_presence_is_told_when_it_changes_and_everybody_is_away_after_a_start(
    kit: Kit,
) -> None:
    for number in (1, 2, 3):
        await kit.store.add_agent(an_agent(number))
    assert await kit.store.note_presence("agt_0001", "available", NOW + 1, "asked")
    assert not await kit.store.note_presence("agt_0001", "available", NOW + 2, "asked")
    assert await kit.store.note_presence("agt_0003", "busy", NOW + 3, "call")
    assert not await kit.store.note_presence("agt_none", "busy", NOW + 3, "call")
    assert await kit.store.reset_presence(NOW + 9, "restart") == 2
    assert await kit.store.reset_presence(NOW + 9, "restart") == 0
    found = await agents(kit)
    assert [(one.presence, one.presence_at, one.presence_reason) for one in found] == [
        ("away", NOW + 9, "restart"),
        ("away", NOW, None),
        ("away", NOW + 9, "restart"),
    ]
    told = [event["data"] for event in kit.events_of("agent.presence")]
    assert [(one["agent"], one["presence"], one["reason"]) for one in told] == [
        ("agt_0001", "available", "asked"),
        ("agt_0003", "busy", "call"),
        ("agt_0001", "away", "restart"),
        ("agt_0003", "away", "restart"),
    ]


async def test_a_leg_is_open_from_its_intent_to_its_end(kit: Kit) -> None:
    leg = a_leg(attempt="att_000001", contact="cnt_1", agent="agt_0001")
    assert await kit.store.begin_leg(leg) is None
    assert await kit.store.open_legs() == [leg]
    heard = msgspec.structs.replace(leg, answered_at=NOW + 3)
    told = rules.leg_event("leg.ended", heard, NOW + 3)
    await kit.store.note_leg(heard, msgspec.structs.replace(told, type="leg.answered"))
    assert await kit.store.open_legs() == [heard]
    over = msgspec.structs.replace(heard, ended_at=NOW + 8, outcome="answered", sip_code=200)
    assert await kit.store.end_leg(over)
    assert not await kit.store.end_leg(over)
    await kit.store.note_leg(heard, told)
    assert await kit.store.open_legs() == []
    assert await kit.store.legs_of(ACME, "att_000001") == [over]
    assert await kit.store.legs_of(OTHER, "att_000001") == []
    assert [kind for _, _, kind in kit.events] == ["leg.initiated", "leg.answered", "leg.ended"]
    [last] = kit.events_of("leg.ended")
    assert (last["attempt"], last["contact"], last["list"]) == ("att_000001", "cnt_1", CALLS)
    assert last["data"] == {
        "leg": leg.id,
        "agent": "agt_0001",
        "number": leg.number,
        "outcome": "answered",
        "duration_s": 5.0,
        "sip_code": 200,
    }


@pytest.mark.parametrize("flow", [None, FLOW])
async def test_no_leg_begins_to_a_number_that_must_not_be_called(
    kit: Kit, flow: str | None
) -> None:
    await kit.store.add_do_not_call(ACME, [a_leg().number], flow, NOW)
    assert await kit.store.begin_leg(a_leg()) == "do_not_call"
    assert await kit.store.begin_leg(a_leg(list="lst_none")) == "gone"
    assert await kit.store.open_legs() == []
    assert kit.events == []


async def test_no_leg_begins_for_a_contact_that_may_not_be_called(kit: Kit) -> None:
    """A leg that is for a contact before its own call; one that is for its call goes on."""
    await kit.store.accept_list(a_new_list(3))
    leg = a_leg(list=LIST, contact=a_contact(1).id)
    await begin(kit.store, a_contact(2))
    await kit.store.complete_contacts([a_contact(3).id], "canceled", NOW)
    await kit.store.set_list_status(ACME, LIST, "pause", NOW)
    events = len(kit.events)
    assert await kit.store.begin_leg(leg) == "list_paused"
    done = msgspec.structs.replace(leg, contact=a_contact(3).id)
    assert await kit.store.begin_leg(done) == "gone"
    assert await kit.store.open_legs() == []
    assert len(kit.events) == events
    talks = msgspec.structs.replace(leg, id="leg_2", contact=a_contact(2).id)
    assert await kit.store.begin_leg(talks) is None
    await kit.store.set_list_status(ACME, LIST, "resume", NOW)
    assert await kit.store.begin_leg(leg) is None
    await kit.store.set_list_status(ACME, LIST, "cancel", NOW)
    later = msgspec.structs.replace(leg, id="leg_3")
    assert await kit.store.begin_leg(later) == "gone"


async def test_legs_count_among_the_recent_starts(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    await begin(kit.store, a_contact(1))
    for number, at in ((1, NOW + 2), (2, NOW), (3, NOW - 1)):
        await kit.store.begin_leg(a_leg(number, initiated_at=at))
    starts = await kit.store.recent_starts(NOW)
    assert starts == [_start(NOW), _start(NOW + 1, a_contact(1).tel[0]), _start(NOW + 2)]


def _start(at: float, number: str = a_leg().number) -> RecentStart:
    return RecentStart(ACME, FLOW, "+911140000001", "main", number, at)


async def test_who_answered_and_who_was_abandoned_is_counted_by_the_day(kit: Kit) -> None:
    met: list[tuple[bool | None, str, float]] = [
        (None, "answered", 1.0),
        (False, "answered", 2.0),
        (True, "answered", 3.0),
        (False, "machine", 4.0),
        (True, "unknown", 5.0),
        (False, "answered", 86_401.0),
        (False, "no-answer", 6.0),
    ]
    await kit.store.accept_list(a_new_list(len(met)))
    for number, (abandoned, disposition, after_s) in enumerate(met, 1):
        contact = a_contact(number)
        attempt = msgspec.structs.replace(
            ended(await begin(kit.store, contact, number)),
            disposition=disposition,
            abandoned=abandoned,
            agent="agt_0001",
            ended_at=NOW + after_s,
        )
        assert await _end(kit, attempt, contact)
        assert not await _end(kit, attempt, contact)
        assert await kit.store.get_attempt(ACME, attempt.id) == attempt
    today = day_of(NOW)
    days = [AnswerDay(FLOW, today, 3, 2), AnswerDay(FLOW, today + 1, 1, 0)]
    assert list(await kit.store.answer_days(0)) == days
    assert list(await kit.store.answer_days(today + 1)) == days[1:]


async def _end(kit: Kit, attempt: Attempt, contact: Contact) -> bool:
    assert attempt.ended_at is not None
    events = [about(attempt, "attempt.ended", attempt.ended_at)]
    return await kit.store.end_attempt(attempt, completed(contact), events)


async def test_a_contact_remembers_who_is_to_talk_with_it(kit: Kit) -> None:
    contact = a_contact(1, CALLS, agent="+14155550100")
    await kit.store.accept_call(contact)
    assert await kit.store.get_contact(ACME, contact.id) == contact
    assert await kit.store.due_contacts(CALLS, NOW, 10) == [contact]
