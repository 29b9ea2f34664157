"""From a mail in the spool to lists and answers, whatever comes between."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from engine.mail.door import PROOF_RETRY_S, READ_RETRY_S, READINGS_MAX
from engine.mail.proving import PROOF_S_MAX
from engine.model.letter import Attachment
from engine.ports.proofs import Proof
from engine.ports.workers import WorkerFailed, WorkersBusy
from tests.contract.store_samples import ACME
from tests.engine.mail.world import FLOW, GOOD, OTHER, SENDER, make_mail, open_world
from tests.engine.plug import PulledOut

UNDECIDED = Proof("undecided", "The key of example.com could not be looked up just now.")


async def test_each_list_of_a_mail_is_taken_and_answered(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    world.drop(make_mail({"people.csv": GOOD, "more.csv": OTHER, "logo.png": b"\x89PNG"}))
    assert await world.door.deal_with_due() == 1
    assert await world.lists() == ["more.csv", "people.csv"]
    first, second = await world.letters()
    assert (first.to, first.in_reply_to) == (SENDER, "<1@example.com>")
    assert (first.subject, second.subject) == ("people.csv was taken", "more.csv was taken")
    assert "people.csv: 2 of 3 rows were taken" in first.text
    [attached] = first.attachments
    assert isinstance(attached, Attachment)
    assert attached.data.decode().splitlines()[1].startswith("nonsense,3,tel1,invalid_number,")
    assert second.attachments == ()
    assert world.spooled() == []
    pickups = (await world.store.list_pickups(ACME, FLOW, 10, None)).items
    assert [one.is_done for one in pickups] == [True, True]


async def test_a_file_that_cannot_be_read_is_answered_with_why(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    world.drop(make_mail({"people.csv": b"\x89PNG\x00\x00"}))
    await world.door.deal_with_due()
    [letter] = await world.letters()
    assert letter.subject == "people.csv was refused"
    assert "(not_csv)" in letter.text


async def test_a_mail_without_a_list_is_answered_with_that(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    world.drop(make_mail({"logo.png": b"\x89PNG"}))
    await world.door.deal_with_due()
    [letter] = await world.letters()
    assert letter.subject == "No list was attached"
    assert "logo.png" in letter.text


async def test_a_mail_that_is_sent_again_is_taken_once_and_answered_once(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    message = make_mail({"people.csv": GOOD, "broken.csv": b"\x89PNG"})
    world.drop(message)
    await world.door.deal_with_due()
    world.clock.at += 600.0
    again = b"Received: from elsewhere\r\nReturn-Path: <x@example.com>\r\n" + message.as_bytes()
    world.drop(again)
    assert await world.start().deal_with_due() == 1
    assert (await world.lists(), world.spooled()) == (["people.csv"], [])
    assert len(await world.letters()) == 2
    assert len(world.events("door.file_refused")) == 1


async def test_another_mail_with_the_same_words_is_another(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    for number in range(2):

        def change(message: EmailMessage, number: int = number) -> None:
            message.replace_header("Message-ID", f"<{number}@example.com>")

        world.drop(make_mail({}, change=change))
    await world.door.deal_with_due()
    assert len(await world.letters()) == 2


async def test_a_mail_that_is_tangled_is_answered_with_that(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    world.drop(b"From: ada@example.com\r\nSubject: knots\r\n\r\n" + b"--x\r\n" * 3_000)
    await world.door.deal_with_due()
    [letter] = await world.letters()
    assert (letter.subject, "more than 2000 parts" in letter.text) == (
        "Your mail was refused",
        True,
    )
    assert [one["code"] for one in world.events("door.mail_refused")] == ["too_tangled"]
    assert world.spooled() == []


async def test_a_sender_who_is_not_listed_is_neither_heard_nor_answered(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    await world.change_settings(email_senders=("grace@example.com",))
    world.drop(make_mail())
    await world.door.deal_with_due()
    assert (await world.lists(), await world.letters(), world.spooled()) == ([], [], [])
    [event] = world.events("door.mail_refused")
    assert (event["code"], event["sender"]) == ("sender_not_allowed", SENDER)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Auto-Submitted", "auto-replied"),
        ("Auto-Submitted", "auto-generated (nightly)"),
        ("Precedence", "bulk"),
        ("List-Id", "<all.example.com>"),
        ("X-Auto-Response-Suppress", "All"),
    ],
)
async def test_a_mail_of_a_machine_brings_lists_and_is_not_answered(
    header: str, value: str, tmp_path: Path
) -> None:
    def change(message: EmailMessage) -> None:
        message[header] = value

    world = await open_world(tmp_path)
    world.drop(make_mail(change=change))
    await world.door.deal_with_due()
    assert (await world.lists(), await world.letters()) == (["people.csv"], [])


async def test_a_mail_without_a_return_path_is_not_answered(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    world.drop(make_mail(), mail_from="")
    await world.door.deal_with_due()
    assert (await world.lists(), await world.letters()) == (["people.csv"], [])


async def test_a_sender_gets_no_more_answers_than_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.mail.door.ANSWERS_MAX", 2)
    world = await open_world(tmp_path)
    for text in ("one", "two", "three"):
        world.drop(f"From: {SENDER}\r\n\r\n{text}".encode())
    await world.door.deal_with_due()
    assert len(await world.letters()) == 2


@pytest.mark.parametrize("code", ["unsigned", "bad_signature"])
async def test_a_mail_that_is_not_its_senders_is_refused_where_the_flow_asks(
    code: Any, tmp_path: Path
) -> None:
    world = await open_world(tmp_path)
    await world.change_settings(email_dkim=True)
    world.proofs = [Proof(code, "It is not.")]
    world.drop(make_mail())
    await world.door.deal_with_due()
    assert (await world.lists(), await world.letters(), world.spooled()) == ([], [], [])
    [event] = world.events("door.mail_refused")
    assert (event["code"], event["detail"]) == ("dkim_failed", "It is not.")


async def test_a_flow_that_does_not_ask_takes_mails_without_proof(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    world.proofs = [Proof("bad_signature", "It is not.")]
    world.drop(make_mail())
    await world.door.deal_with_due()
    assert await world.lists() == ["people.csv"]


async def test_a_mail_whose_proof_is_not_known_yet_waits_and_keeps_no_other_waiting(
    tmp_path: Path,
) -> None:
    world = await open_world(tmp_path)
    await world.change_settings(email_dkim=True)
    world.proofs = [UNDECIDED]
    world.drop(make_mail())
    world.clock.at += 1
    world.drop(make_mail({"more.csv": OTHER}))
    assert await world.door.deal_with_due() == 2
    assert (await world.lists(), len(world.spooled())) == (["more.csv"], 1)
    assert await world.door.deal_with_due() == 0
    world.clock.at += PROOF_RETRY_S
    assert await world.door.deal_with_due() == 1
    assert (await world.lists(), world.spooled()) == (["more.csv", "people.csv"], [])


async def test_a_mail_whose_proof_nobody_finds_within_a_day_is_refused(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    await world.change_settings(email_dkim=True)
    world.drop(make_mail())
    world.proofs = [UNDECIDED]
    world.clock.at += PROOF_S_MAX
    await world.door.deal_with_due()
    assert [one["code"] for one in world.events("door.mail_refused")] == ["dkim_failed"]
    assert (await world.lists(), world.spooled()) == ([], [])


async def test_a_mail_over_which_workers_break_is_set_aside_and_keeps_no_other_waiting(
    tmp_path: Path,
) -> None:
    world = await open_world(tmp_path)
    bad = world.drop(b"From: ada@example.com\r\n\r\nbreak here")
    world.clock.at += 1
    world.drop(make_mail())
    run = world.workers.run

    async def break_over(function: Any, content: bytes, *args: Any) -> Any:
        if b"break here" in content:
            raise WorkerFailed("the worker process died at its work")
        return await run(function, content, *args)

    world.workers.run = break_over
    for _ in range(READINGS_MAX - 1):
        with pytest.raises(WorkerFailed):
            await world.door.deal_with_due()
    await world.door.deal_with_due()
    assert (world.spooled(), world.spooled("aside")) == ([], [bad])
    assert await world.lists() == ["people.csv"]
    assert [one["code"] for one in world.events("door.mail_refused")] == ["unreadable"]


async def test_a_mail_is_not_set_aside_because_all_workers_are_busy(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    world.drop(make_mail())
    run = world.workers.run

    async def be_busy(*args: Any) -> Any:
        raise WorkersBusy("64 jobs are waiting for a worker already")

    world.workers.run = be_busy
    for _ in range(READINGS_MAX + 1):
        with pytest.raises(WorkersBusy):
            await world.door.deal_with_due()
    world.workers.run = run
    await world.door.deal_with_due()
    assert await world.lists() == ["people.csv"]


@pytest.mark.parametrize("head", [b'{"peer":"\xff"}', b'{"peer":1}', b"", b"{"])
async def test_a_damaged_mail_is_set_aside_and_keeps_no_other_waiting(
    head: bytes, tmp_path: Path
) -> None:
    world = await open_world(tmp_path)
    bad = world.drop(make_mail())
    (tmp_path / "new" / bad).write_bytes(head + b"\n" + make_mail().as_bytes())
    world.clock.at += 1
    world.drop(make_mail({"more.csv": OTHER}))
    await world.door.deal_with_due()
    assert (world.spooled(), world.spooled("aside")) == ([], [bad])
    assert await world.lists() == ["more.csv"]


async def test_a_mail_that_the_disk_does_not_give_keeps_no_other_waiting(tmp_path: Path) -> None:
    world = await open_world(tmp_path)
    bad = world.drop(make_mail())
    there = tmp_path / "new" / bad
    there.rename(tmp_path / "away")
    there.mkdir()
    world.clock.at += 1
    world.drop(make_mail({"more.csv": OTHER}))
    await world.door.deal_with_due()
    assert (world.spooled(), await world.lists()) == ([bad], ["more.csv"])
    there.rmdir()
    (tmp_path / "away").rename(there)
    world.clock.at += READ_RETRY_S
    await world.door.deal_with_due()
    assert (world.spooled(), await world.lists()) == ([], ["more.csv", "people.csv"])


async def test_a_mail_is_taken_once_and_answered_once_wherever_the_plug_is_pulled(
    tmp_path: Path,
) -> None:
    files = {"people.csv": GOOD, "broken.csv": b"\x89PNG\x00\x00", "more.csv": OTHER}
    steps = 1
    at = 0
    seen: set[str] = set()
    while at < steps:
        world = await open_world(tmp_path / str(at))
        world.drop(make_mail(files))
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
        assert await world.lists() == ["more.csv", "people.csv"], at
        subjects = sorted(one.subject for one in await world.letters())
        assert subjects == [
            "broken.csv was refused",
            "more.csv was taken",
            "people.csv was taken",
        ], at
        assert len(world.events("door.file_refused")) == 1
        assert world.spooled() == []
        at += 1
    assert {
        "before accept_list",
        "after accept_list",
        "after keep_letter",
        "before remove_mail",
    } < seen
    assert {"after remove_mail", "after keep_refusal"} < seen
