"""From a mail in a mailbox of Dovecot to dialled contacts and one receipt, and a kill in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from api.commands import CommandFailed
from bench.free_ports import free_port
from bench.installation import (
    Installation,
    make_config,
    make_flow,
    open_installation,
    wait_completed,
)
from tests.dovecot import HOST, PASSWORD, USER, Dovecot, open_dovecot
from tests.peers import require
from tests.system.carrier import open_carrier
from tests.system.mailbox import Mailbox, open_mailbox
from tests.system.test_mail import SENDER, get, receive, write_mail

pytestmark = pytest.mark.peer

GUARD_S = 290.0
POLL_S = 0.1
OTHERS = b"tel1\n+14155550113\n+14155550114\n"


@pytest.fixture
def server() -> Iterator[Dovecot]:
    with open_dovecot(require("dovecot", "dovecot-imapd")) as server:
        yield server


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with open_mailbox(free_port()) as mailbox:
        yield mailbox


def lines(server: Dovecot, smarthost: Mailbox) -> str:
    return "\n".join(
        [
            "[mail]",
            'domain = "lists.example.net"',
            f'smarthost = "127.0.0.1:{smarthost.port}"',
            "[mail.imap]",
            f'host = "{HOST}"',
            f"port = {server.tls_port}",
            f'user = "{USER}"',
            f'password = "{PASSWORD}"',
            f'tls_ca = "{server.authority}"',
            'address = "lists@example.net"',
            "every_s = 5",
        ]
    )


@contextmanager
def suppress_kill() -> Iterator[None]:
    """The product ends within, because it is killed."""
    try:
        yield
    except* CommandFailed as failed:
        if "code -9" not in str(failed.exceptions):
            raise  # it fell by itself


async def lists_of(engine: Installation, flow: str) -> list[str]:
    found = await get(engine, f"/v1/lists?flow={flow}")
    return [one["id"] for one in found["items"] if one["source"] == "email"]


async def wait_for_code(engine: Installation, flow: str, code: str) -> None:
    while True:
        if (await get(engine, f"/v1/flows/{flow}/mailbox"))["code"] == code:
            return
        await trio.sleep(POLL_S)


async def wait_for_lists(engine: Installation, flow: str, count: int) -> list[str]:
    while True:
        found = await lists_of(engine, flow)
        if len(found) >= count:
            return found
        await trio.sleep(POLL_S)


async def receive_subjects(mailbox: Mailbox, count: int) -> list[str]:
    """Of so many letters. One that was sent again, as its sender was killed before it noted that it had been
    taken, has the same Message-ID and is one letter."""
    subjects: dict[str, str] = {}
    while len(subjects) < count:
        letter = await receive(mailbox)
        subjects[str(letter["Message-ID"])] = str(letter["Subject"])
    return list(subjects.values())


async def test_a_mail_in_a_mailbox_is_dialled_once_and_answered_once_whatever_is_killed(
    server: Dovecot, mailbox: Mailbox, tmp_path: Path
) -> None:
    with trio.fail_after(GUARD_S):
        async with open_carrier(tmp_path) as trunk:
            config = make_config(tmp_path / "data", trunk, extra=lines(server, mailbox))
            with suppress_kill():
                async with open_installation(tmp_path, config) as engine:
                    settings = {"email_senders": [SENDER]}
                    flow = await make_flow(engine.client, {"+14155550100": 50}, settings=settings)
                    address = (await get(engine, f"/v1/flows/{flow}"))["triggers"]["email"]
                    await wait_for_code(engine, flow, "ok")
                    first = write_mail(address, "first.csv").as_bytes()
                    await trio.to_thread.run_sync(server.deliver, first)
                    await wait_for_lists(engine, flow, 1)
                    os.kill(engine.child.pid, signal.SIGKILL)
                    await trio.Event().wait()  # until it is killed
            # It comes once more, as after a crash between keeping and moving it.
            await trio.to_thread.run_sync(server.deliver, first)
            async with open_installation(tmp_path, config) as engine:
                second = write_mail(address, "leads.csv", OTHERS).as_bytes()
                await trio.to_thread.run_sync(server.deliver, second)
                lists = await wait_for_lists(engine, flow, 2)
                dispositions = [await wait_completed(engine.client, one) for one in lists]
                subjects = await receive_subjects(mailbox, 2)
                # A mail is put away once it is kept, whoever deals with it meanwhile.
                while await trio.to_thread.run_sync(server.mails):  # noqa: ASYNC110
                    await trio.sleep(POLL_S)
                state = await get(engine, f"/v1/flows/{flow}/mailbox")
                letters = (await get(engine, "/v1/letters"))["items"]
    assert address.startswith("lists+")
    assert len(lists) == 2
    assert sum(one.get("answered", 0) + one.get("unknown", 0) for one in dispositions) == 4
    assert sorted(subjects) == ["first.csv was taken", "leads.csv was taken"]
    assert sorted(one["subject"] for one in letters) == sorted(subjects)
    assert (state["code"], state["place"], state["failures"]) == ("ok", address, 0)
    assert server.mails() == []
    assert len(server.mails("Callwheel")) == 3


async def test_a_mailbox_that_cannot_be_used_says_so_and_is_found_again(
    server: Dovecot, mailbox: Mailbox, tmp_path: Path
) -> None:
    server.stop()
    with trio.fail_after(GUARD_S):
        async with open_carrier(tmp_path) as trunk:
            config = make_config(tmp_path / "data", trunk, extra=lines(server, mailbox))
            async with open_installation(tmp_path, config) as engine:
                settings = {"email_senders": [SENDER]}
                flow = await make_flow(engine.client, {"+14155550100": 50}, settings=settings)
                await wait_for_code(engine, flow, "unreachable")
                await trio.to_thread.run_sync(server.start)
                await wait_for_code(engine, flow, "ok")
