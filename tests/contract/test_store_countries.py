"""The first call of an account to a country is told of, once, with its intent."""

from __future__ import annotations

import msgspec

from engine.model import Account
from tests.contract.store_samples import (
    ACME,
    NOW,
    Kit,
    a_contact,
    a_leg,
    a_new_list,
    about,
    an_attempt,
)

UK, JAMAICA = "+447400123456", "+18765550123"


async def test_the_first_call_to_a_country_is_told_of_once_and_after_its_intent(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(3))
    for row, number in ((1, UK), (2, UK), (3, JAMAICA)):
        attempt = an_attempt(a_contact(row, tel=(number,)), row)
        assert await kit.store.begin_attempt(attempt, about(attempt, "attempt.initiated")) is None
    told = kit.events_of("account.new_country")
    assert [(one["attempt"], one["data"]) for one in told] == [
        ("att_000001", {"country": "GB", "number": UK}),
        ("att_000003", {"country": "JM", "number": JAMAICA}),
    ]
    kinds = [kind for _, _, kind in kit.events]
    assert kinds == [
        "list.accepted",
        "attempt.initiated",
        "list.started",
        "account.new_country",
        "attempt.initiated",
        "attempt.initiated",
        "account.new_country",
    ]


async def test_a_refused_intent_leaves_a_country_new(kit: Kit) -> None:
    await kit.store.accept_list(a_new_list(2))
    await kit.store.add_do_not_call(ACME, [UK], None, NOW)
    for row, number in ((1, UK), (2, "+447400123457")):
        attempt = an_attempt(a_contact(row, tel=(number,)), row)
        await kit.store.begin_attempt(attempt, about(attempt, "attempt.initiated"))
    told = kit.events_of("account.new_country")
    assert [one["attempt"] for one in told] == ["att_000002"]


async def test_second_legs_count_and_each_account_has_its_own_countries(kit: Kit) -> None:
    assert await kit.store.begin_leg(a_leg(1, number=UK)) is None
    assert await kit.store.begin_leg(a_leg(2, number=UK)) is None
    other = a_leg(3, number=UK, account="acc_2", flow="flw_2", list="lst_0002")
    assert await kit.store.begin_leg(other) is None
    told = kit.events_of("account.new_country")
    assert [one["account"] for one in told] == ["acc_1", "acc_2"]


async def test_a_country_that_was_approved_is_nothing_to_be_told_of_before_or_after(
    kit: Kit,
) -> None:
    def approve(account: Account) -> Account:
        rules = msgspec.structs.replace(account.rules, approved_countries=("GB",))
        return msgspec.structs.replace(account, rules=rules)

    def take_back(account: Account) -> Account:
        rules = msgspec.structs.replace(account.rules, approved_countries=())
        return msgspec.structs.replace(account, rules=rules)

    await kit.store.change_account(ACME, approve)
    await kit.store.begin_leg(a_leg(1, number=UK))
    await kit.store.change_account(ACME, take_back)
    await kit.store.begin_leg(a_leg(2, number=UK))
    await kit.store.begin_leg(a_leg(3, number=JAMAICA))
    told = kit.events_of("account.new_country")
    assert [one["data"]["country"] for one in told] == ["JM"]
