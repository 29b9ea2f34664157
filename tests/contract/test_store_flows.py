"""What flows ask of every store: the graphs of earlier versions, steps of a call, and opt-outs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.model import Flow, Step
from engine.model.do_not_call import DoNotCall
from engine.ports.dial_store import Progress
from engine.ports.intake_store import NewList
from tests.contract.store_samples import (
    ACME,
    CALLS,
    FLOW,
    NOW,
    OTHER,
    OTHER_FLOW,
    Kit,
    a_contact,
    a_flow,
    a_list,
    a_new_list,
    about,
    an_attempt,
    begin,
    completed,
    end,
    ended,
)

FIRST = a_flow().definition
SECOND: dict[str, Any] = {"start": "b", "nodes": {"b": {"type": "wait", "duration_s": 1}}}


async def change(kit: Kit, definition: dict[str, Any], version: int) -> None:
    def replace(flow: Flow) -> Flow:
        return msgspec.structs.replace(flow, definition=definition, version=version)

    assert await kit.store.change_flow(ACME, FLOW, replace) is not None


async def test_the_graph_of_every_version_is_kept(kit: Kit) -> None:
    await change(kit, FIRST, 2)
    await change(kit, SECOND, 3)
    await change(kit, SECOND, 4)
    await change(kit, FIRST, 5)
    await kit.store.delete_flow(ACME, FLOW)
    found = [await kit.store.get_definition(ACME, FLOW, version) for version in range(7)]
    assert found == [None, FIRST, FIRST, SECOND, SECOND, FIRST, FIRST]


async def test_a_flow_that_is_changed_for_ever_keeps_what_open_contacts_need_and_the_newest(
    kit: Kit,
) -> None:
    """A list, a single call that waits and one that is on the line, each with a graph of its own; one that is
    done needs none."""
    store = kit.store
    waits, talks, done = (a_contact(n, CALLS, flow_version=n) for n in (4, 8, 12))
    for contact in (waits, talks, done):
        await store.accept_call(contact)
    await store.accept_list(
        NewList(a_list(accepted=1, flow_version=16), [a_contact(16, flow_version=16)])
    )
    await begin(store, talks, 1)
    await end(store, await begin(store, done, 2), completed(done))
    for version in range(2, 203):
        graph = FIRST if version % 2 else SECOND
        await change(kit, graph, version)
    found = {n: await store.get_definition(ACME, FLOW, n) for n in (4, 8, 16, *range(153, 203))}
    assert found == {n: FIRST if n % 2 else SECOND for n in found}
    kept = [await store.get_definition(ACME, FLOW, n) for n in range(4)]
    assert kept == [None] * 4


async def test_graphs_of_others_and_of_flows_that_are_not_there_are_not_given(kit: Kit) -> None:
    assert await kit.store.get_definition(OTHER, FLOW, 1) is None
    assert await kit.store.get_definition(ACME, OTHER_FLOW, 1) is None
    assert await kit.store.get_definition(ACME, "flw_77", 1) is None


async def test_a_contact_keeps_the_version_that_it_came_with(kit: Kit) -> None:
    early, late = a_contact(1, flow_version=2), a_contact(2, flow_version=7)
    await kit.store.accept_list(NewList(a_list(accepted=2), [early, late]))
    call = a_contact(1, CALLS, flow_version=5)
    await kit.store.accept_call(call)
    assert await kit.store.get_contact(ACME, call.id) == call
    await end(kit.store, await begin(kit.store, early), completed(early))
    assert await kit.store.get_contact(ACME, early.id) == completed(early)
    assert await kit.store.due_contacts(late.list, NOW, 10) == [late]


STEPS = (Step("hello", "say", 0.0, "played"), Step("ask", "gather", 4.25, "answered"))


async def test_steps_are_kept_with_the_attempt_and_told_in_their_order(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1))
    attempt = await begin(store, a_contact(1))
    noted = msgspec.structs.replace(attempt, status="in-progress", steps=STEPS[:1])
    events = [about(attempt, "attempt.step", NOW + n, node=f"n{n}") for n in range(3)]
    await store.note_progress([Progress(noted, events)])
    assert await store.get_attempt(ACME, attempt.id) == noted
    over = msgspec.structs.replace(ended(attempt), steps=STEPS, result={"choice": "1"})
    last = [about(attempt, "attempt.step", NOW + 3, node="n3"), about(attempt, "attempt.ended")]
    assert await store.end_attempt(over, completed(a_contact(1)), last)
    assert await store.get_attempt(ACME, attempt.id) == over
    assert [one["data"]["node"] for one in kit.events_of("attempt.step")] == [
        "n0",
        "n1",
        "n2",
        "n3",
    ]
    assert [kind for _, _, kind in kit.events[-4:-2]] == ["attempt.step", "attempt.ended"]


async def test_steps_of_an_attempt_that_is_over_are_not_told(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1))
    attempt = await begin(store, a_contact(1))
    await end(store, attempt, completed(a_contact(1)))
    steps = [about(attempt, "attempt.step"), about(attempt, "attempt.step")]
    await store.note_progress([Progress(attempt, steps)])
    assert kit.events_of("attempt.step") == []


@pytest.mark.parametrize("flow", [None, FLOW])
async def test_an_opt_out_is_told_once_and_holds_for_every_contact_with_that_number(
    kit: Kit, flow: str | None
) -> None:
    """A contact that waits with the number, one that is scheduled, and one with it in second place."""
    store = kit.store
    number = "+919800000001"
    people = [
        a_contact(1, tel=(number,)),
        a_contact(2, tel=(number,)),
        a_contact(3, tel=(number,), starttime=NOW + 900, due_at=NOW + 900),
        a_contact(4, tel=("+12025550123", number), tel_index=1),
    ]
    await store.accept_list(NewList(a_list(accepted=4), people))
    attempt = await begin(store, people[0])
    event = about(attempt, "attempt.opt_out", NOW + 2, number=number)
    assert await store.opt_out([number], flow, event)
    assert not await store.opt_out([number], flow, event)
    assert [one["data"] for one in kit.events_of("attempt.opt_out")] == [{"number": number}]
    assert (await store.list_do_not_call(ACME, 10, None)).items == (
        DoNotCall(number, flow, event.time, source="call", added_by=attempt.id),
    )
    for place, contact in enumerate(people[1:], 2):
        later = an_attempt(contact, place)
        refused = await store.begin_attempt(later, about(later, "attempt.initiated"))
        assert refused == "do_not_call"


async def test_an_opt_out_from_one_flow_leaves_the_account_s_others_alone(kit: Kit) -> None:
    store = kit.store
    await store.add_flow(a_flow("flw_9", calls="lst_0009"))
    first = a_contact(1)
    other = a_contact(1, "lst_9", flow="flw_9")
    await store.accept_list(NewList(a_list(accepted=1), [first]))
    await store.accept_list(NewList(a_list("lst_9", flow="flw_9", accepted=1), [other]))
    attempt = await begin(store, first)
    assert await store.opt_out([first.tel[0]], FLOW, about(attempt, "attempt.opt_out"))
    await begin(store, other, 2)


async def test_an_opt_out_of_an_unknown_account_is_not_kept(kit: Kit) -> None:
    attempt = an_attempt(a_contact(1, account="acc_77"))
    with pytest.raises(LookupError):
        await kit.store.opt_out([attempt.number], None, about(attempt, "attempt.opt_out"))
