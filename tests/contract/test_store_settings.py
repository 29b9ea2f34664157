"""Accounts, keys, DIDs, flows, prompts, answers and do-not-call, for every store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import pytest
import trio

from engine.model import (
    AccountRules,
    ApiKey,
    CallingWindow,
    Cap,
    Did,
    Flow,
    FlowSettings,
    Prompt,
    Report,
    RetryRule,
)
from engine.model.did_health import DidRest, RestWhen
from engine.model.do_not_call import DoNotCall
from engine.model.events import Event
from engine.ports.settings_store import KEYS_MAX
from engine.ports.store import Store
from engine.ports.stored import Conflict, IdempotentAnswer, Page
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
    a_did,
    a_flow,
    a_list,
    a_new_list,
    all_pages,
    an_account,
    an_answer,
    dial_to_end,
)


async def test_an_account_is_found_by_id_and_by_name(bare_kit: Kit) -> None:
    store, account = bare_kit.store, an_account()
    assert await store.add_account(account) is None
    assert [await store.get_account(key) for key in (ACME, "acme", "nobody")] == [
        account,
        account,
        None,
    ]


async def test_an_account_keeps_its_rules_and_what_was_changed_of_it(bare_kit: Kit) -> None:
    window = CallingWindow("09:00", "21:00", ("mon", "tue"), "Asia/Kolkata", ("2027-01-26",))
    made = msgspec.structs.replace(an_account(), rules=AccountRules((window, window)))
    await bare_kit.store.add_account(made)
    assert await bare_kit.store.get_account(ACME) == made
    changed = msgspec.structs.replace(
        made,
        timezone="UTC",
        email="x@example.com",
        rules=AccountRules(window),
        stopped_at=NOW,
    )
    assert await bare_kit.store.change_account(ACME, lambda one: changed) == changed
    assert await bare_kit.store.get_account(ACME) == changed
    assert await bare_kit.store.list_accounts(10, None) == Page((changed,), None)
    assert await bare_kit.store.change_account("acc_9", lambda one: one) is None


async def test_a_second_account_of_a_name_is_refused(bare_kit: Kit) -> None:
    await bare_kit.store.add_account(an_account())
    with pytest.raises(Conflict) as caught:
        await bare_kit.store.add_account(an_account("acc_9"))
    assert caught.value.code == "account_exists"
    assert await bare_kit.store.get_account("acc_9") is None


async def test_accounts_are_paged_in_the_order_of_their_ids(bare_kit: Kit) -> None:
    accounts = [an_account(f"acc_{n}", f"name {9 - n}") for n in range(5)]
    for account in reversed(accounts):
        await bare_kit.store.add_account(account)
    assert await all_pages(bare_kit.store.list_accounts, 2) == accounts
    assert await all_pages(bare_kit.store.list_accounts, 5) == accounts


async def test_a_key_is_found_by_its_hash(kit: Kit) -> None:
    owner = ApiKey("key_1", ACME, "owner", b"a" * 32, NOW)
    administrator = ApiKey("key_2", None, "administrator", b"b" * 32, NOW)
    await kit.store.add_key(owner)
    await kit.store.add_key(administrator)
    hashes = (b"a" * 32, b"b" * 32, b"c" * 32)
    assert [await kit.store.find_key(one) for one in hashes] == [owner, administrator, None]


async def test_a_key_is_replaced_and_ended_in_one_transaction(kit: Kit) -> None:
    old = ApiKey("key_1", ACME, "owner", b"a" * 32, NOW, "CRM", ("lists",), NOW + 60)
    fresh = msgspec.structs.replace(old, id="key_2", sha256=b"b" * 32)
    await kit.store.add_key(old)

    def end(key: ApiKey) -> ApiKey:
        return msgspec.structs.replace(key, expires_at=NOW + 5)

    ended = end(old)
    assert await kit.store.change_key(OTHER, "key_1", end, fresh) is None
    assert await kit.store.change_key(ACME, "key_1", end, fresh) == ended
    assert await kit.store.get_key(ACME, "key_1") == ended
    assert await kit.store.get_key(OTHER, "key_1") is None
    assert await kit.store.get_any_key("key_1") == ended
    assert await all_pages(lambda *page: kit.store.list_keys(ACME, *page), 1) == [ended, fresh]
    assert (await kit.store.list_keys(OTHER, 9, None)).items == ()
    assert await all_pages(kit.store.list_all_keys, 1) == [ended, fresh]
    await kit.store.note_key_use("key_2", NOW + 1)
    assert await kit.store.find_key(b"b" * 32) == msgspec.structs.replace(
        fresh, last_used_at=NOW + 1
    )


async def test_a_key_is_replaced_once_for_each_idempotency_key(kit: Kit) -> None:
    old = ApiKey("key_1", ACME, "owner", b"a" * 32, NOW)
    fresh = msgspec.structs.replace(old, id="key_2", sha256=b"b" * 32)
    another = msgspec.structs.replace(old, id="key_3", sha256=b"c" * 32)
    await kit.store.add_key(old)

    def end(key: ApiKey) -> ApiKey:
        return msgspec.structs.replace(key, expires_at=NOW + 5)

    def end_later(key: ApiKey) -> ApiKey:
        return msgspec.structs.replace(key, expires_at=NOW + 9)

    change = kit.store.change_key
    assert await change(ACME, "key_1", end, fresh, an_answer()) == end(old)
    assert await change(ACME, "key_1", end_later, another, an_answer(at=NOW + 1)) == an_answer()
    assert (await kit.store.list_keys(ACME, 9, None)).items == (end(old), fresh)


async def test_an_account_has_so_many_keys_and_revoked_ones_make_room(kit: Kit) -> None:
    made = [
        ApiKey(f"key_{n:04}", ACME, "viewer", n.to_bytes(32, "big"), NOW)
        for n in range(KEYS_MAX + 2)
    ]
    async with trio.open_nursery() as nursery:
        for key in made[:KEYS_MAX]:
            nursery.start_soon(kit.store.add_key, key)
    with pytest.raises(Conflict, match="too_many_keys"):
        await kit.store.add_key(made[KEYS_MAX])

    def revoke(key: ApiKey) -> ApiKey:
        return msgspec.structs.replace(key, revoked_at=NOW)

    await kit.store.change_key(ACME, "key_0000", revoke, made[KEYS_MAX])
    with pytest.raises(Conflict, match="too_many_keys"):
        await kit.store.add_key(made[KEYS_MAX + 1])


async def test_a_did_keeps_its_limits(kit: Kit) -> None:
    did = Did("+911", ACME, "main", 0.5, 7, (Cap(3, 900), Cap(100, 86_400)))
    await kit.store.add_did(did)
    assert await kit.store.find_dids(ACME, ["+911"]) == [did]


async def test_a_number_is_a_did_only_once_in_the_installation(kit: Kit) -> None:
    await kit.store.add_did(a_did("+911", ACME))
    with pytest.raises(Conflict) as caught:
        await kit.store.add_did(a_did("+911", OTHER))
    assert caught.value.code == "did_exists"


async def test_what_is_changed_of_a_did_is_kept_and_told_once(kit: Kit) -> None:
    made = a_did("+911", ACME)
    await kit.store.add_did(made)
    rest = DidRest(NOW, NOW + 60, "blocked", "So many were blocked.")
    changed = msgspec.structs.replace(
        made,
        trunk="other",
        cps=2.5,
        channels=3,
        caps=(Cap(1, 60),),
        rest_when=RestWhen(0.5, rest_s=60),
        rest=rest,
        counts_from=NOW,
    )

    def tell(one: Did) -> Event:
        return Event("did.resting", NOW, one.account, "", "", data={"did": one.number})

    before = await kit.store.last_seq(ACME)
    assert await kit.store.change_did(ACME, "+911", lambda one: changed, tell) == changed
    assert await kit.store.change_did(None, "+911", lambda one: one, tell) == changed
    assert await kit.store.find_dids(ACME, ["+911"]) == [changed]
    [event] = await kit.store.events_after(ACME, before, 10)
    assert (event.seq, event.type, event.flow, event.list) == (before + 1, "did.resting", "", "")
    said = msgspec.json.decode(event.body)
    assert (said["flow"], said["list"], said["data"]) == (None, None, {"did": "+911"})
    assert await kit.store.change_did(OTHER, "+911", lambda one: made) is None
    assert await kit.store.change_did(None, "+999", lambda one: made) is None


async def test_a_did_is_taken_away_unless_a_flow_calls_from_it(kit: Kit) -> None:
    for number in ("+911", "+912"):
        await kit.store.add_did(a_did(number, ACME))
    await kit.store.change_flow(
        ACME, FLOW, lambda one: msgspec.structs.replace(one, dids=("+911", "+913"))
    )
    with pytest.raises(Conflict) as caught:
        await kit.store.remove_did(ACME, "+911")
    assert (caught.value.code, FLOW in caught.value.detail) == ("did_attached", True)
    answers = [await kit.store.remove_did(account, "+912") for account in (OTHER, ACME, ACME, None)]
    assert answers == [False, True, False, False]
    assert await kit.store.find_dids(ACME, ["+911", "+912"]) == [a_did("+911", ACME)]


async def test_dids_are_paged_in_the_order_of_their_numbers(kit: Kit) -> None:
    ours = [a_did(f"+91{n}", ACME) for n in (1, 3, 5)]
    theirs = [a_did(f"+91{n}", OTHER) for n in (2, 4)]
    for did in (*theirs, *reversed(ours)):
        await kit.store.add_did(did)
    assert await all_pages(lambda *page: kit.store.list_dids(ACME, *page), 1) == ours
    everyone = sorted((*ours, *theirs), key=lambda did: did.number)
    assert await all_pages(kit.store.list_all_dids, 2) == everyone


async def test_an_account_finds_only_its_own_dids(kit: Kit) -> None:
    for did in (a_did("+911", ACME), a_did("+912", OTHER), a_did("+913", ACME)):
        await kit.store.add_did(did)
    asked = ["+913", "+912", "+911", "+913", "+919"]
    assert await kit.store.find_dids(ACME, asked) == [a_did("+913"), a_did("+911")]
    many = [f"+1{n}" for n in range(2000)]
    assert await kit.store.find_dids(ACME, [*many, "+911"]) == [a_did("+911")]


async def test_a_flow_comes_back_as_it_was_made_with_its_standing_list(bare_kit: Kit) -> None:
    settings = FlowSettings(retry={"busy": RetryRule(2, 60.5)}, ring_timeout_s=20, cps=0.25)
    flow = a_flow(settings=settings, dids=("+911", "+912"), kind="dialer")
    await bare_kit.store.add_account(an_account())
    assert await bare_kit.store.add_flow(flow) is None
    assert await bare_kit.store.get_flow(ACME, FLOW) == flow
    assert await bare_kit.store.get_list(ACME, CALLS) == a_list(
        CALLS,
        name="reminder",
        source="api",
        status="scheduled",
        report=Report(0, 0, 0),
        header=(),
        standing=True,
    )


async def test_flows_are_paged_in_the_order_of_their_ids(kit: Kit) -> None:
    for number in (4, 3):
        await kit.store.add_flow(a_flow(f"flw_{number}", calls=f"lst_000{number}"))
    ours = await all_pages(lambda *page: kit.store.list_flows(ACME, *page), 2)
    assert [flow.id for flow in ours] == [FLOW, "flw_3", "flw_4"]
    everyone = await all_pages(kit.store.list_all_flows, 3)
    assert [flow.id for flow in everyone] == [FLOW, OTHER_FLOW, "flw_3", "flw_4"]


async def test_a_change_replaces_the_flow(kit: Kit) -> None:
    def change(flow: Flow) -> Flow:
        return msgspec.structs.replace(
            flow,
            name="new",
            version=flow.version + 1,
            listener_active=False,
            dids=(),
            definition={"start": "other", "nodes": {}},
            settings=FlowSettings(attempts_max=9),
        )

    expected = change(a_flow())
    assert await kit.store.change_flow(ACME, FLOW, change) == expected
    assert await kit.store.get_flow(ACME, FLOW) == expected


async def test_a_change_that_raises_changes_nothing(kit: Kit) -> None:
    def change(flow: Flow) -> Flow:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await kit.store.change_flow(ACME, FLOW, change)
    assert await kit.store.get_flow(ACME, FLOW) == a_flow()


async def test_a_deleted_flow_is_hidden_and_its_lists_stay(kit: Kit) -> None:
    store = kit.store
    await store.accept_list(a_new_list(1))
    await dial_to_end(store, [a_contact(1)])
    assert await store.delete_flow(ACME, FLOW)
    assert await store.get_flow(ACME, FLOW) is None
    assert await store.change_flow(ACME, FLOW, lambda flow: flow) is None
    assert (await store.list_flows(ACME, 10, None)).items == ()
    assert not await store.delete_flow(ACME, FLOW)
    found = await store.get_list(ACME, LIST)
    assert found is not None
    assert found.status == "completed"


@pytest.mark.parametrize("status", ["scheduled", "running"])
async def test_a_flow_with_contacts_that_are_not_completed_is_not_deleted(
    kit: Kit, status: str
) -> None:
    await kit.store.accept_list(a_new_list(1, status=status))
    with pytest.raises(Conflict) as caught:
        await kit.store.delete_flow(ACME, FLOW)
    assert caught.value.code == "flow_in_use"
    assert await kit.store.get_flow(ACME, FLOW) == a_flow()


async def test_a_flow_whose_canceled_contacts_are_not_closed_yet_is_not_deleted(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(1))
    await kit.store.set_list_status(ACME, LIST, "cancel", NOW)
    with pytest.raises(Conflict):
        await kit.store.delete_flow(ACME, FLOW)
    await kit.store.close_canceled(10, NOW)
    assert await kit.store.delete_flow(ACME, FLOW)


async def test_a_flow_with_a_waiting_single_call_is_not_deleted(kit: Kit) -> None:
    await kit.store.accept_call(a_contact(1, CALLS))
    with pytest.raises(Conflict):
        await kit.store.delete_flow(ACME, FLOW)


async def test_a_deleted_flow_takes_no_triggers(kit: Kit) -> None:
    await kit.store.delete_flow(ACME, FLOW)
    for trigger in ("list", "call"):
        with pytest.raises(Conflict) as caught:
            await CREATIONS[trigger](kit.store, an_answer())
        assert caught.value.code == "flow_deleted"
    assert await kit.store.get_list(ACME, LIST) is None
    assert await kit.store.get_answer(ACME, "key-1") is None


async def test_prompts_are_paged_in_the_order_of_their_ids(kit: Kit) -> None:
    ours = [Prompt(f"prm_{n}", ACME, f"prompt {n}", 1.5, NOW) for n in range(3)]
    theirs = Prompt("prm_9", OTHER, "theirs", 2.0, NOW)
    for prompt in (*reversed(ours), theirs):
        await kit.store.add_prompt(prompt)
    assert await all_pages(lambda *page: kit.store.list_prompts(ACME, *page), 2) == ours
    assert await kit.store.get_prompt(ACME, "prm_1") == ours[1]
    assert await kit.store.get_prompt(ACME, "prm_9") is None


async def test_do_not_call_counts_what_was_new(kit: Kit) -> None:
    store = kit.store
    assert await store.add_do_not_call(ACME, ["+2", "+1", "+2"], None, NOW) == 2
    assert await store.add_do_not_call(ACME, ["+1", "+3"], None, NOW) == 1
    assert await store.add_do_not_call(ACME, ["+1"], FLOW, NOW) == 1
    assert await store.add_do_not_call(OTHER, ["+1"], None, NOW) == 1
    listed: list[tuple[str, str | None]] = [("+1", None), ("+1", FLOW), ("+2", None), ("+3", None)]
    for limit in (1, 2, 4, 100):
        found = await all_pages(lambda *page: store.list_do_not_call(ACME, *page), limit)
        assert [(one.number, one.flow) for one in found] == listed


async def test_what_bars_a_number_is_found_by_it_its_own_entries_and_the_ranges_it_lies_in(
    kit: Kit,
) -> None:
    store = kit.store
    await store.add_do_not_call(ACME, ["+1900*", "+19*", "+1800*", "+19005550100"], None, NOW)
    await store.add_do_not_call(ACME, ["+19005550100", "+19005550101"], FLOW, NOW)
    await store.add_do_not_call(OTHER, ["+19005550100"], None, NOW)

    async def find(number: str, limit: int) -> list[tuple[str, str | None]]:
        async def ask(limit: int, cursor: str | None) -> Page[DoNotCall]:
            return await store.list_do_not_call(ACME, limit, cursor, number)

        return [(one.number, one.flow) for one in await all_pages(ask, limit)]

    ranges: list[tuple[str, str | None]] = [("+19*", None), ("+1900*", None)]
    for limit in (1, 2, 9):
        own = [("+19005550100", None), ("+19005550100", FLOW)]
        assert await find("+19005550100", limit) == [*ranges, *own]
        assert await find("+19005550101", limit) == [*ranges, ("+19005550101", FLOW)]
        assert await find("+15550100", limit) == []


async def test_a_struck_number_is_off_for_the_account_and_all_its_flows(kit: Kit) -> None:
    store = kit.store
    await store.add_do_not_call(ACME, ["+1"], None, NOW)
    await store.add_do_not_call(ACME, ["+1", "+2"], FLOW, NOW)
    await store.add_do_not_call(OTHER, ["+1"], None, NOW)
    assert await store.remove_do_not_call(ACME, "+1", NOW)
    assert not await store.remove_do_not_call(ACME, "+1", NOW)
    assert (await store.list_do_not_call(ACME, 10, None)).items == (DoNotCall("+2", FLOW, NOW),)
    assert (await store.list_do_not_call(OTHER, 10, None)).items == (DoNotCall("+1", None, NOW),)


Creation = Callable[[Store, IdempotentAnswer | None], Awaitable[IdempotentAnswer | None]]

CREATIONS: dict[str, Creation] = {
    "account": lambda store, answer: store.add_account(an_account("acc_9", "nine"), answer),
    "did": lambda store, answer: store.add_did(a_did("+919"), answer),
    "flow": lambda store, answer: store.add_flow(a_flow("flw_9", calls="lst_0009"), answer),
    "key": lambda store, answer: store.add_key(
        ApiKey("key_9", ACME, "owner", b"9" * 32, NOW), answer
    ),
    "prompt": lambda store, answer: store.add_prompt(Prompt("prm_9", ACME, "p", 1, NOW), answer),
    "list": lambda store, answer: store.accept_list(a_new_list(), answer),
    "call": lambda store, answer: store.accept_call(a_contact(1, CALLS), answer),
}


async def count_of_everything(store: Store) -> list[int]:
    pages: list[Page[Any]] = [
        await store.list_accounts(100, None),
        await store.list_all_dids(100, None),
        await store.list_all_flows(100, None),
        await store.list_all_keys(100, None),
        await store.list_prompts(ACME, 100, None),
        await store.list_lists(ACME, None, 100, None),
        await store.list_contacts(ACME, CALLS, 100, None),
    ]
    return [len(page.items) for page in pages]


@pytest.mark.parametrize("what", CREATIONS)
async def test_a_taken_key_creates_nothing_and_brings_the_first_answer_back(
    kit: Kit, what: str
) -> None:
    first = msgspec.structs.replace(an_answer(), body=b"first")
    await kit.store.add_key(ApiKey("key_1", ACME, "owner", b"a" * 32, NOW))
    await kit.store.add_account(an_account("acc_5", "five"), first)
    before, told = await count_of_everything(kit.store), kit.events
    assert await CREATIONS[what](kit.store, an_answer(at=NOW + 60)) == first
    assert await count_of_everything(kit.store) == before
    assert kit.events == told


@pytest.mark.parametrize("what", CREATIONS)
async def test_whatever_creates_keeps_its_answer(kit: Kit, what: str) -> None:
    before = await count_of_everything(kit.store)
    assert await CREATIONS[what](kit.store, an_answer()) is None
    assert await kit.store.get_answer(ACME, "key-1") == an_answer()
    assert await count_of_everything(kit.store) != before


async def test_an_answer_belongs_to_its_account(kit: Kit) -> None:
    await kit.store.add_prompt(Prompt("prm_1", ACME, "p", 1, NOW), an_answer())
    assert await kit.store.get_answer(OTHER, "key-1") is None
    theirs = an_answer(account=OTHER)
    assert await kit.store.add_prompt(Prompt("prm_2", OTHER, "p", 1, NOW), theirs) is None


async def test_the_administrators_answers_belong_to_no_account(kit: Kit) -> None:
    await kit.store.add_account(an_account("acc_9", "nine"), an_answer(account=""))
    assert await kit.store.get_answer("", "key-1") == an_answer(account="")
    assert await kit.store.get_answer(ACME, "key-1") is None


async def test_a_refused_creation_keeps_no_answer(kit: Kit) -> None:
    await kit.store.add_did(a_did())
    with pytest.raises(Conflict):
        await kit.store.add_did(a_did(), an_answer())
    assert await kit.store.get_answer(ACME, "key-1") is None


async def test_an_answer_is_forgotten_after_a_day(kit: Kit) -> None:
    store, day_s = kit.store, 24 * 3600.0
    await store.add_prompt(Prompt("prm_1", ACME, "p", 1, NOW), an_answer())
    kit.clock.at = NOW + day_s - 1
    assert await store.get_answer(ACME, "key-1") == an_answer()
    late = an_answer(at=NOW + day_s - 1)
    assert await store.add_prompt(Prompt("prm_2", ACME, "p", 1, NOW), late) == an_answer()
    kit.clock.at = NOW + day_s
    assert await store.get_answer(ACME, "key-1") is None
    renewed = an_answer(at=NOW + day_s)
    assert await store.add_prompt(Prompt("prm_2", ACME, "p", 1, NOW), renewed) is None
    assert await store.get_answer(ACME, "key-1") == renewed


async def test_a_cursor_of_somebodys_making_is_refused(kit: Kit) -> None:
    store = kit.store
    crafted = (
        "x",
        "é",
        "W10",
        "WyJhIiwiYiJd",
        "bnVsbA",
        "WzFlOTk5XQ",
        "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OSwiYSJd",
    )
    for cursor in crafted:
        asks: tuple[Callable[[], Awaitable[object]], ...] = (
            partial(store.list_accounts, 10, cursor),
            partial(store.list_contacts, ACME, LIST, 10, cursor),
            partial(store.list_rejected, ACME, LIST, 10, cursor),
        )
        for ask in asks:
            with pytest.raises(Conflict) as caught:
                await ask()
            assert caught.value.code == "invalid_cursor"


@pytest.mark.parametrize(("limit", "shown"), [(-1, 1), (0, 1), (2, 2), (10**9, 3)])
async def test_a_page_has_one_row_at_least_and_a_thousand_at_most(
    bare_kit: Kit, limit: int, shown: int
) -> None:
    for number in range(3):
        await bare_kit.store.add_account(an_account(f"acc_{number}", f"name {number}"))
    assert len((await bare_kit.store.list_accounts(limit, None)).items) == shown
