"""Requests to activate listeners, for every store."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from engine.model import Flow
from engine.model.activation import Activation, Decision, activation_told
from engine.model.letter import Letter
from engine.ports.stored import Conflict
from tests.contract.store_samples import (
    ACME,
    CALLS,
    FLOW,
    NOW,
    OTHER,
    Kit,
    a_did,
    a_flow,
    all_pages,
)

FIRST, FOREIGN = "+911140000001", "+911140000009"


def make_request(number: int, **changes: Any) -> Activation:
    request = Activation(
        id=f"act_{number}",
        account=ACME,
        mail=f"mail-{number}",
        sender="ada@example.com",
        subject="Please activate",
        message_id="<1@example.com>",
        flow=FLOW,
        numbers=(FIRST, FOREIGN),
        created_at=NOW + number,
        expires_at=NOW + 100 + number,
    )
    return structs.replace(request, **changes)


def make_letter(id_: str, key: str) -> Letter:
    return Letter(id_, key, ACME, "ada@example.com", "It is so", "Really.\n", NOW, NOW)


def make_new(number: int, **changes: Any) -> Decision:
    request = make_request(number, **changes)
    letter = make_letter(f"ltr_{number}", f"{request.id}/asked")
    return Decision(request, None, activation_told(request, None), letter)


def refused(request: Activation, at: float = NOW + 9, **changes: Any) -> Activation:
    decided = structs.replace(request, status="refused", reason="No.", decided_at=at)
    return structs.replace(decided, **changes)


async def test_a_mail_makes_one_request_with_its_event_and_its_letter(kit: Kit) -> None:
    made = make_new(1)
    assert await kit.store.add_activation(made)
    again = make_new(2, mail="mail-1", flow=None)
    assert not await kit.store.add_activation(again)
    assert await kit.store.get_activation(ACME, "act_1") == made.activation
    assert await kit.store.get_activation(OTHER, "act_1") is None
    assert await kit.store.get_activation(ACME, "act_2") is None
    assert await kit.store.due_letters(NOW, 9) == [made.letter]
    assert [one["data"]["activation"] for one in kit.events_of("activation.requested")] == ["act_1"]
    with pytest.raises(LookupError):
        await kit.store.add_activation(make_new(3, account="acc_nowhere"))


async def test_a_flow_has_one_request_that_is_pending(kit: Kit) -> None:
    await kit.store.add_activation(make_new(1))
    with pytest.raises(Conflict) as caught:
        await kit.store.add_activation(make_new(2))
    assert caught.value.code == "activation_pending"
    assert "act_1" in caught.value.detail
    # One that is refused at once is kept beside it.
    turned_away = make_new(3, status="refused", code="activation_pending", decided_at=NOW)
    assert await kit.store.add_activation(turned_away)
    assert [one.id for one in await kit.store.due_letters(NOW, 9)] == ["ltr_1", "ltr_3"]


async def test_an_account_has_only_so_many_pending_requests(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.sqlite.activations.PENDING_MAX", 2)
    monkeypatch.setattr("sim.memory_store.activations.PENDING_MAX", 2)
    for number in (1, 2):
        await kit.store.add_activation(make_new(number, flow=f"flw_{number}"))
    with pytest.raises(Conflict) as caught:
        await kit.store.add_activation(make_new(3, flow="flw_3"))
    assert caught.value.code == "too_many_activations"
    assert await kit.store.add_activation(make_new(4, account=OTHER, flow="flw_3"))


async def test_a_decision_changes_the_request_and_the_flow_in_one_transaction(kit: Kit) -> None:
    await kit.store.add_did(a_did(FIRST))
    await kit.store.add_did(a_did(FOREIGN, OTHER))
    await kit.store.add_activation(make_new(1))
    seen: list[object] = []

    def decide(one: Activation, flow: Flow | None, owned: frozenset[str]) -> Decision:
        seen[:] = [one, flow, owned]
        assert flow is not None
        decided = structs.replace(one, status="confirmed", decided_at=NOW + 5, decided_by="key_1")
        after = structs.replace(flow, dids=(FIRST,), listener_active=True)
        told = activation_told(decided, flow)
        return Decision(decided, after, told, make_letter("ltr_9", "act_1/decided"))

    confirmed = await kit.store.decide_activation(ACME, "act_1", decide)
    assert seen == [make_request(1), a_flow(), frozenset({FIRST})]
    assert confirmed == await kit.store.get_activation(ACME, "act_1")
    assert confirmed is not None
    assert (confirmed.status, confirmed.decided_by) == ("confirmed", "key_1")
    flow = await kit.store.get_flow(ACME, FLOW)
    assert flow is not None
    assert (flow.dids, flow.listener_active) == ((FIRST,), True)
    [told] = kit.events_of("activation.confirmed")
    assert (told["flow"], told["list"], told["data"]["by"]) == (FLOW, CALLS, "key_1")
    assert [one.id for one in await kit.store.due_letters(NOW, 9)] == ["ltr_1", "ltr_9"]
    # The next request for the flow may come.
    assert await kit.store.add_activation(make_new(2))


async def test_what_a_decision_raises_leaves_all_as_it_was(kit: Kit) -> None:
    await kit.store.add_activation(make_new(1))

    def decide(one: Activation, flow: Flow | None, owned: frozenset[str]) -> Decision:
        raise Conflict("unknown_did", "No.")

    with pytest.raises(Conflict):
        await kit.store.decide_activation(ACME, "act_1", decide)
    assert await kit.store.get_activation(ACME, "act_1") == make_request(1)
    assert await kit.store.decide_activation(OTHER, "act_1", decide) is None
    assert await kit.store.decide_activation(ACME, "act_2", decide) is None


async def test_a_decision_about_a_flow_that_is_gone_is_told_so(kit: Kit) -> None:
    await kit.store.add_activation(make_new(1))
    await kit.store.delete_flow(ACME, FLOW)

    def decide(one: Activation, flow: Flow | None, owned: frozenset[str]) -> Decision:
        assert (flow, owned) == (None, frozenset())
        decided = refused(one)
        return Decision(decided, None, activation_told(decided, None), None)

    decided = await kit.store.decide_activation(ACME, "act_1", decide)
    assert decided == refused(make_request(1))


async def test_requests_are_listed_by_status_the_newest_first(kit: Kit) -> None:
    for number in range(1, 6):
        await kit.store.add_activation(make_new(number, flow=f"flw_{number}"))
    turned_away = refused(make_request(6, flow=None), code="unknown_flow")
    await kit.store.add_activation(
        Decision(turned_away, None, activation_told(turned_away, None), None)
    )
    await kit.store.add_activation(make_new(7, account=OTHER))
    listed = {
        status: [
            one.id
            for one in await all_pages(
                lambda *at, status=status: kit.store.list_activations(ACME, status, *at), 2
            )
        ]
        for status in (None, "pending", "refused", "expired")
    }
    pending = [f"act_{number}" for number in (5, 4, 3, 2, 1)]
    assert listed == {
        None: ["act_6", *pending],
        "pending": pending,
        "refused": ["act_6"],
        "expired": [],
    }


async def test_those_whose_time_is_over_are_found_in_turn(kit: Kit) -> None:
    for number in (3, 1, 2):
        await kit.store.add_activation(make_new(number, flow=f"flw_{number}"))
    over = await kit.store.activations_to_expire(NOW + 102, 9)
    assert [one.id for one in over] == ["act_1", "act_2"]
    assert len(await kit.store.activations_to_expire(NOW + 999, 1)) == 1


async def test_decided_requests_are_forgotten_by_and_by(kit: Kit) -> None:
    for number in range(1, 4):
        one = refused(make_request(number), at=NOW + number)
        await kit.store.add_activation(Decision(one, None, activation_told(one, None), None))
    await kit.store.add_activation(make_new(4))
    assert await kit.store.clear_activations(NOW + 3, 1) == 1
    assert await kit.store.clear_activations(NOW + 3, 9) == 1
    left = await all_pages(lambda *at: kit.store.list_activations(ACME, None, *at), 9)
    assert [one.id for one in left] == ["act_4", "act_3"]
