"""From a mail to the activation address to a request, a refusal or nothing, and what its sender is told."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine.mail.desk import ASKED_MAX, STRANGER_S
from engine.model import Account, AccountRules
from engine.model.activation import Activation
from engine.ports.proofs import Proof
from tests.contract.store_samples import ACME, NOW, OTHER, OTHER_FLOW, a_did
from tests.engine.mail.world import (
    ACTIVATE,
    FLOW,
    OWN_ACCOUNT,
    SENDER,
    MailWorld,
    open_world,
)
from tests.engine.plug import PulledOut

HOLDER = "acme@example.com"
FIRST, SECOND, FOREIGN = "+911140000001", "+911140000002", "+911140000009"
OWN = "acc_own"


def ask(
    text: str | None = None,
    sender: str = SENDER,
    subject: str = "please",
    message_id: str = "<1@example.com>",
    **headers: str,
) -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Ada <{sender}>"
    message["To"] = ACTIVATE
    message["Subject"] = subject
    message["Message-ID"] = message_id
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(
        f"Account: {ACME}\nFlow: {FLOW}\nDIDs: {FIRST}, {SECOND}\n" if text is None else text
    )
    return message


async def open_desk(folder: Path, **flow: Any) -> MailWorld:
    """A flow that is not active, and DIDs of two accounts."""
    world = await open_world(folder)
    await world.store.add_account(Account(OWN, OWN_ACCOUNT, "UTC", "", NOW))
    for number in (FIRST, SECOND):
        await world.store.add_did(a_did(number))
    await world.store.add_did(a_did(FOREIGN, OTHER))
    values = {"listener_active": False, "dids": (), **flow}
    await world.store.change_flow(ACME, FLOW, lambda one: structs.replace(one, **values))
    return world


async def deal(world: MailWorld, *messages: EmailMessage, mail_from: str = SENDER) -> None:
    for message in messages:
        world.clock.at += 0.001
        world.drop(message, mail_from, ACTIVATE)
    await world.door.deal_with_due()
    assert world.spooled() == []


async def requests(world: MailWorld, account: str = ACME) -> list[Activation]:
    return list((await world.store.list_activations(account, None, 100, None)).items)


async def test_a_request_waits_for_an_operator_and_its_sender_is_told(tmp_path: Path) -> None:
    world = await open_desk(tmp_path)
    await deal(world, ask())
    [one] = await requests(world)
    assert (one.status, one.flow, one.numbers, one.sender) == (
        "pending", FLOW, (FIRST, SECOND), SENDER,
    )  # fmt: skip
    [letter] = await world.letters()
    assert (letter.account, letter.to, letter.in_reply_to) == (ACME, SENDER, "<1@example.com>")
    assert letter.subject == "Your request for reminder was received"
    assert one.id in letter.text
    assert f"    {FIRST}\n    {SECOND}\n" in letter.text
    assert world.events("activation.requested") == [
        {"activation": one.id, "sender": SENDER, "numbers": [FIRST, SECOND]}
    ]
    flow = await world.store.get_flow(ACME, FLOW)
    assert flow is not None
    assert (flow.listener_active, flow.dids) == (False, ())
    [entry] = (await world.store.list_audit(ACME, 9, None)).items
    assert (entry.role, entry.key, entry.source, entry.action) == (
        "sender",
        "",
        SENDER,
        "mail activate",
    )
    assert entry.targets == (one.id, FLOW)


async def test_a_mail_that_names_no_number_asks_for_those_that_the_flow_has(tmp_path: Path) -> None:
    world = await open_desk(tmp_path, dids=(SECOND,))
    await deal(world, ask(f"{ACME} {FLOW}"))
    [one] = await requests(world)
    assert (one.status, one.numbers) == ("pending", (SECOND,))


async def test_the_holder_of_the_account_may_ask_for_any_flow(tmp_path: Path) -> None:
    world = await open_desk(tmp_path)
    await world.change_settings(email_senders=())
    await world.store.change_flow(
        ACME, FLOW, lambda one: structs.replace(one, listener_active=False)
    )
    await deal(world, ask(sender=HOLDER.upper()))
    assert [one.status for one in await requests(world)] == ["pending"]
    assert [one.to for one in await world.letters()] == [HOLDER]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (f"Account: {ACME}\nFlow: flw_404\nDIDs: {FIRST}", "unknown_flow", "has no flow flw_404"),
        (f"Account: {ACME}\nFlow: {OTHER_FLOW}\nDIDs: {FIRST}", "unknown_flow", "has no flow"),
        (f"Account: acc_404\nFlow: {FLOW}\nDIDs: {FIRST}", "unknown_account", "another account"),
        (f"Account: {ACME}\nDIDs: {FIRST}", "incomplete", "the flow's id"),
        (f"Flow: {FLOW}\nDIDs: {FIRST}", "incomplete", "the account's id"),
        (f"{ACME} {FLOW} flw_1", "several_flows", "one for each"),
        (f"{ACME} {FLOW}", "no_dids", "has no DID"),
        (f"{ACME} {FLOW}\nDIDs: {FIRST}, {FOREIGN}", "unknown_did", f"has no DID {FOREIGN}."),
        (f"{ACME} {FLOW}\nDIDs: {FIRST}, 12 34", "invalid_number", "'12 34'"),
        (
            f"{ACME} {FLOW}\nDIDs: " + ",".join(f"+91114000{n:04}" for n in range(101)),
            "too_many_dids", "100 DIDs at most",
        ),
    ],
)  # fmt: skip
async def test_what_cannot_be_granted_is_refused_in_clear_words(
    text: str, code: str, says: str, tmp_path: Path
) -> None:
    world = await open_desk(tmp_path)
    await deal(world, ask(text, sender=HOLDER), mail_from=HOLDER)
    [one] = await requests(world)
    assert (one.status, one.code, one.decided_by) == ("refused", code, None)
    assert says in one.reason
    [letter] = await world.letters()
    assert (letter.to, letter.subject) == (HOLDER, "Your request was refused")
    assert f"    {one.reason} ({code})\n" in letter.text
    assert [event["code"] for event in world.events("activation.refused")] == [code]


async def test_an_active_flow_is_not_activated_again(tmp_path: Path) -> None:
    world = await open_desk(tmp_path, listener_active=True)
    await deal(world, ask())
    assert [one.code for one in await requests(world)] == ["already_active"]


async def test_numbers_that_could_never_be_called_from_are_refused(tmp_path: Path) -> None:
    world = await open_desk(tmp_path)
    await world.store.change_account(
        ACME, lambda one: structs.replace(one, rules=AccountRules(number_series="india"))
    )
    await deal(world, ask())
    assert [one.code for one in await requests(world)] == ["wrong_number_series"]


async def test_a_second_request_for_a_flow_is_told_of_the_first(tmp_path: Path) -> None:
    world = await open_desk(tmp_path)
    await deal(world, ask(), ask(message_id="<2@example.com>"))
    second, first = await requests(world)
    assert (first.status, second.status, second.code) == (
        "pending",
        "refused",
        "activation_pending",
    )
    assert first.id in second.reason
    assert len(await world.letters()) == 2


@pytest.mark.parametrize(
    "text",
    [
        None,
        f"Account: acc_404\nFlow: {FLOW}\nDIDs: {FIRST}",
        f"Account: {ACME}\nFlow: flw_404\nDIDs: {FIRST}",
        "Account: acc_404\nFlow: flw_404\nDIDs: +1",
        f"{ACME} {FLOW}\nDIDs: {FOREIGN}",
        "Hello",
        "",
    ],
)
async def test_a_stranger_hears_the_same_whatever_there_is(
    text: str | None, tmp_path: Path
) -> None:
    world = await open_desk(tmp_path)
    await deal(world, ask(text, sender="eve@example.org"))
    assert await requests(world) == []
    [letter] = await world.letters()
    assert (letter.account, letter.to) == (OWN, "eve@example.org")
    assert letter.subject == "Your mail was not understood"
    assert not any(sign in letter.text for sign in (ACME, FLOW, FIRST, "404", "reminder"))
    assert world.told == []


async def test_a_stranger_is_answered_once_a_day(tmp_path: Path) -> None:
    world = await open_desk(tmp_path)
    for _ in range(3):
        await deal(world, ask("Hello", sender="eve@example.org"))
        await deal(world, ask(sender="eve@example.org", message_id=f"<{world.clock.at}@a.b>"))
        world.clock.at += STRANGER_S / 3
    assert len(await world.letters()) == 1
    world.start()
    await deal(world, ask("Hello again", sender="eve@example.org"))
    assert len(await world.letters()) == 2


async def test_a_mail_that_comes_again_is_the_same_request(tmp_path: Path) -> None:
    """As after an answer of the receiver that was lost."""
    world = await open_desk(tmp_path)
    await deal(world, ask())
    await deal(world, ask())
    assert (len(await requests(world)), len(await world.letters())) == (1, 1)


async def test_only_so_many_strangers_are_answered_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.mail.desk.STRANGERS_MAX", 3)
    world = await open_desk(tmp_path)
    await deal(world, *(ask("Hello", sender=f"eve{number}@example.org") for number in range(5)))
    assert len(await world.letters()) == 3


@pytest.mark.parametrize(
    "headers",
    [{"Auto-Submitted": "auto-replied"}, {"Precedence": "bulk"}, {"List-Id": "<all.example.com>"}],
)
@pytest.mark.parametrize("sender", [SENDER, "eve@example.org"])
async def test_a_mail_of_a_machine_asks_for_nothing_and_is_not_answered(
    sender: str, headers: dict[str, str], tmp_path: Path
) -> None:
    world = await open_desk(tmp_path)
    await deal(world, ask(sender=sender, **headers))
    assert (await requests(world), await world.letters()) == ([], [])


async def test_a_mail_without_a_return_path_is_not_answered(tmp_path: Path) -> None:
    world = await open_desk(tmp_path)
    await deal(world, ask(), mail_from="")
    assert (await requests(world), await world.letters()) == ([], [])


async def test_where_lists_need_proof_of_their_sender_requests_do(tmp_path: Path) -> None:
    world = await open_desk(tmp_path)
    await world.change_settings(email_dkim=True)
    await world.store.change_flow(
        ACME, FLOW, lambda one: structs.replace(one, listener_active=False)
    )
    world.proofs = [Proof("unsigned", "It has no signature.")]
    await deal(world, ask(), ask(message_id="<2@example.com>"))
    proven, doubtful = await requests(world)
    assert (doubtful.status, doubtful.code, doubtful.reason) == (
        "refused", "dkim_failed", "It has no signature.",
    )  # fmt: skip
    # Whoever it was that wrote is not known, and is not answered.
    assert (proven.status, len(await world.letters())) == ("pending", 1)


async def test_a_sender_who_asks_and_asks_is_heard_so_often(tmp_path: Path) -> None:
    world = await open_desk(tmp_path)
    await deal(
        world, *(ask(message_id=f"<{number}@example.com>") for number in range(ASKED_MAX + 3))
    )
    assert len(await requests(world)) == ASKED_MAX
    assert len(await world.letters()) == ASKED_MAX


async def test_a_mail_is_dealt_with_once_wherever_the_plug_is_pulled(tmp_path: Path) -> None:
    steps, at = 1, 0
    seen: set[str] = set()
    while at < steps:
        world = await open_desk(tmp_path / str(at))
        for text in (None, f"{ACME} {FLOW}\nDIDs: {FOREIGN}"):
            world.clock.at += 1
            world.drop(ask(text), address=ACTIVATE)
        world.clock.at += 1
        world.drop(ask("Hello", sender="eve@example.org"), address=ACTIVATE)
        world.plug.pull_at = at
        try:
            await world.door.deal_with_due()
        except PulledOut as pulled:
            seen.add(str(pulled))
        world.plug.pull_at = None
        before = len(world.plug.steps)
        await world.start().deal_with_due()
        if at == 0:
            steps = len(world.plug.steps) - before
        assert sorted(one.status for one in await requests(world)) == ["pending", "refused"], at
        assert sorted(one.subject for one in await world.letters()) == [
            "Your mail was not understood",
            "Your request for reminder was received",
            "Your request was refused",
        ], at
        assert len(world.events("activation.requested")) == 1
        assert len((await world.store.list_audit(ACME, 9, None)).items) == 2
        assert world.spooled() == []
        at += 1
    assert {"before add_activation", "after add_activation", "after keep_letter"} < seen
