"""What becomes of requests that wait: confirmed, refused, or expired."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio.testing
from msgspec import structs

from engine.form import Invalid
from engine.model import Account
from engine.model.activation import KEPT_S, LIFE_S, REASON_LENGTH_MAX, Activation
from engine.ports.stored import Conflict
from tests.contract.store_samples import ACME
from tests.engine.mail.test_desk import FIRST, SECOND, ask, deal, open_desk
from tests.engine.mail.world import FLOW, SENDER, MailWorld


async def open_request(folder: Path) -> tuple[MailWorld, Account, Activation]:
    world = await open_desk(folder)
    await deal(world, ask())
    world.told.clear()
    account = await world.store.get_account(ACME)
    assert account is not None
    [one] = (await world.store.list_activations(ACME, None, 9, None)).items
    return world, account, one


async def flow_of(world: MailWorld) -> tuple[bool, tuple[str, ...]]:
    flow = await world.store.get_flow(ACME, FLOW)
    assert flow is not None
    return flow.listener_active, flow.dids


async def last_letter(world: MailWorld) -> tuple[str, str, str | None]:
    letter = (await world.letters())[-1]
    return letter.to, letter.subject, letter.in_reply_to


async def test_confirming_activates_the_flow_on_those_numbers_and_tells_the_sender(
    tmp_path: Path,
) -> None:
    world, account, one = await open_request(tmp_path)
    world.clock.at += 60
    confirmed = await world.activations.confirm(account, one.id, "key_1")
    assert confirmed == structs.replace(
        one, status="confirmed", decided_at=world.clock.at, decided_by="key_1"
    )
    assert await flow_of(world) == (True, (FIRST, SECOND))
    assert world.changed == [(ACME, FLOW)]
    assert await last_letter(world) == (SENDER, "reminder is active", "<1@example.com>")
    [told] = world.events("activation.confirmed")
    assert told == {
        "activation": one.id, "sender": SENDER, "numbers": [FIRST, SECOND], "by": "key_1",
    }  # fmt: skip
    # Once more is nothing new.
    assert await world.activations.confirm(account, one.id, "key_2") == confirmed
    assert (len(await world.letters()), len(world.events("activation.confirmed"))) == (2, 1)
    with pytest.raises(Conflict) as caught:
        await world.activations.refuse(account, one.id, "No.", "key_2")
    assert caught.value.code == "activation_decided"


async def test_refusing_tells_the_sender_why_and_changes_no_flow(tmp_path: Path) -> None:
    world, account, one = await open_request(tmp_path)
    refused = await world.activations.refuse(account, one.id, "Not before Monday.", "key_1")
    assert refused is not None
    assert (refused.status, refused.reason, refused.code) == ("refused", "Not before Monday.", "")
    assert await flow_of(world) == (False, ())
    assert "The reason: Not before Monday.\n" in (await world.letters())[-1].text
    [told] = world.events("activation.refused")
    assert (told["reason"], told["by"]) == ("Not before Monday.", "key_1")
    with pytest.raises(Conflict) as caught:
        await world.activations.confirm(account, one.id, "key_1")
    assert caught.value.code == "activation_decided"


async def test_a_reason_is_not_endless(tmp_path: Path) -> None:
    world, account, one = await open_request(tmp_path)
    with pytest.raises(Invalid):
        await world.activations.refuse(account, one.id, "x" * (REASON_LENGTH_MAX + 1), "key_1")


async def remove_did(world: MailWorld) -> None:
    assert await world.store.remove_did(ACME, SECOND)


async def activate(world: MailWorld) -> None:
    await world.change_settings()


async def delete_flow(world: MailWorld) -> None:
    assert await world.store.delete_flow(ACME, FLOW)


async def wait_long(world: MailWorld) -> None:
    world.clock.at += LIFE_S


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (remove_did, "dids_changed"),
        (activate, "already_active"),
        (delete_flow, "flow_deleted"),
        (wait_long, "activation_expired"),
    ],
)
async def test_what_is_no_longer_possible_is_not_confirmed_and_can_be_refused(
    change: Any, code: str, tmp_path: Path
) -> None:
    world, account, one = await open_request(tmp_path)
    await change(world)
    with pytest.raises(Conflict) as caught:
        await world.activations.confirm(account, one.id, "key_1")
    assert caught.value.code == code
    assert await world.store.get_activation(ACME, one.id) == one
    assert (len(await world.letters()), world.changed) == (1, [])
    refused = await world.activations.refuse(account, one.id, "", "key_1")
    assert refused is not None
    assert refused.status == "refused"


async def test_what_nobody_decides_expires_and_its_sender_is_told(tmp_path: Path) -> None:
    world, account, one = await open_request(tmp_path)
    world.clock.at = one.expires_at - 1
    assert await world.activations.expire_due() == 0
    world.clock.at += 1
    assert await world.activations.expire_due() == 1
    assert await world.activations.expire_due() == 0
    expired = await world.store.get_activation(ACME, one.id)
    assert expired == structs.replace(one, status="expired", decided_at=one.expires_at)
    assert await last_letter(world) == (SENDER, "Your request has expired", "<1@example.com>")
    assert len(world.events("activation.expired")) == 1
    with pytest.raises(Conflict) as caught:
        await world.activations.confirm(account, one.id, "key_1")
    assert caught.value.code == "activation_decided"


async def test_old_requests_are_forgotten_while_it_runs(
    tmp_path: Path, autojump_clock: Any, nursery: Any
) -> None:
    world, account, one = await open_request(tmp_path)
    await world.activations.refuse(account, one.id, "", "key_1")
    world.clock.at += KEPT_S + 1
    await nursery.start(world.activations.run)
    await trio.testing.wait_all_tasks_blocked()
    assert await world.store.get_activation(ACME, one.id) is None


async def test_there_is_nothing_to_decide_of_another_account(tmp_path: Path) -> None:
    world, _, one = await open_request(tmp_path)
    other = await world.store.get_account("acc_2")
    assert other is not None
    assert await world.activations.confirm(other, one.id, "key_1") is None
    assert await world.activations.refuse(other, one.id, "", "key_1") is None
