"""A real Dovecot, and what is fetched out of its mailbox."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from msgspec import structs

from adapters.mail import mailbox_session
from adapters.mail.mailbox import ImapMailbox
from adapters.mail.mailbox_session import (
    AGE_DAYS_MAX,
    TRIES_MAX,
    MailboxSession,
    open_mailbox,
    read_mark,
    write_mark,
)
from adapters.mail.mailbox_wire import MailboxSettings, Taken
from adapters.mail.spool import FolderSpool, make_spool
from engine.mail.address import address_of, plus_address_of
from engine.mail.identity import identify_mail
from engine.ports.mailboxes import Fetched, MailboxFailed
from engine.ports.mails import SpooledMail
from tests.dovecot import HOST, PASSWORD, USER, Dovecot, open_dovecot
from tests.engine.mail.world import DOMAIN, FLOW, SECRET, SENDER
from tests.peers import require
from tests.sizes import size

pytestmark = pytest.mark.peer

ADDRESS = address_of(SECRET, FLOW, DOMAIN)
MAILBOX = "lists@example.net"
PLUS = plus_address_of(SECRET, FLOW, MAILBOX)
STEPS = ("before keep", "after keep", "after put away", "before note", "after note")
KILLS = size(1, 50)
"""At each step."""


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with open_dovecot(require("dovecot", "dovecot-imapd")) as server:
        yield server


@pytest.fixture
def server(dovecot: Dovecot) -> Dovecot:
    """The same with an empty mailbox."""
    with dovecot.log_in() as client:
        for _, _, folder in client.list_folders():
            client.select_folder(folder)
            client.delete_messages(client.search())
            client.expunge()
            client.close_folder()
            if folder != "INBOX":
                client.delete_folder(folder)
    return dovecot


def settings(server: Dovecot, spool: Path, **changes: object) -> MailboxSettings:
    if not (spool / "new").exists():
        make_spool(spool)
    plain = MailboxSettings(
        HOST,
        server.tls_port,
        USER,
        str(spool),
        DOMAIN,
        SECRET,
        password=PASSWORD,
        tls_ca=str(server.authority),
        address=MAILBOX,
    )
    return structs.replace(plain, **changes)


def mail(number: int = 1, to: str = ADDRESS, text: str = "Here you are.") -> bytes:
    head = f"From: {SENDER}\r\nTo: {to}\r\nMessage-ID: <{number}@example.com>\r\n"
    return f"{head}\r\n{text}\r\n".encode()


async def spooled(spool: Path) -> list[SpooledMail]:
    folder = FolderSpool(spool)
    found = [await folder.read_mail(one) for one in await folder.list_mails(1_000)]
    return [one for one in found if one is not None]


def fetch(setting: MailboxSettings) -> Fetched:
    with open_mailbox(setting) as session:
        return session.fetch()


async def test_a_mail_for_a_flow_comes_into_the_spool_and_is_moved_and_others_stay(
    server: Dovecot, tmp_path: Path
) -> None:
    theirs = mail(2, to="bob@example.net")
    for one in (mail(), theirs, mail(3, to=PLUS)):
        server.deliver(one)
    assert fetch(settings(server, tmp_path)) == Fetched(2, has_more=False)
    first, second = await spooled(tmp_path)
    assert (first.content, second.content) == (mail(), mail(3, to=PLUS))
    assert [first.recipients, second.recipients] == [(ADDRESS,), (ADDRESS,)]
    assert (first.mail_from, first.cut, first.key) == (SENDER, "", identify_mail(mail()))
    assert [one for one, _ in server.mails()] == [theirs]
    assert [one for one, _ in server.mails("Callwheel")] == [mail(), mail(3, to=PLUS)]
    assert fetch(settings(server, tmp_path)) == Fetched(0, has_more=False)


@pytest.mark.parametrize(("taken", "left"), [("flag", [(b"\\Seen",)]), ("delete", [])])
async def test_a_mail_that_was_taken_is_marked_or_deleted_instead(
    taken: Taken, left: list[tuple[bytes, ...]], server: Dovecot, tmp_path: Path
) -> None:
    server.deliver(mail())
    setting = settings(server, tmp_path, taken=taken)
    assert fetch(setting).kept == 1
    kept = [tuple(flag for flag in flags if flag != b"\\Recent") for _, flags in server.mails()]
    assert kept == left
    assert fetch(setting).kept == 0
    assert server.mails("Callwheel") == []


async def test_a_server_without_move_gets_a_copy_and_no_foreign_mail_is_expunged(
    tmp_path: Path,
) -> None:
    program = require("dovecot", "dovecot-imapd")
    with open_dovecot(program, "imap_capability = IMAP4rev1 UIDPLUS") as server:
        server.deliver(mail())
        server.deliver(mail(2, to="bob@example.net"))
        with server.log_in() as client:
            client.select_folder("INBOX")
            client.add_flags([2], [b"\\Deleted"])
        assert fetch(settings(server, tmp_path)).kept == 1
        assert len(server.mails()) == 1
        assert [one for one, _ in server.mails("Callwheel")] == [mail()]
        with open_mailbox(settings(server, tmp_path)) as session:
            # It offers no IDLE.
            session.wait(0.01)


async def test_a_mailbox_that_is_numbered_anew_is_looked_through_again_and_old_mails_stay(
    server: Dovecot, tmp_path: Path
) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - its server has this clock
    old = now - timedelta(days=AGE_DAYS_MAX + 2)
    server.deliver(mail(1), at=old)
    server.deliver(mail(2))
    setting = settings(server, tmp_path, taken="flag")
    assert fetch(setting).kept == 1
    write_mark(tmp_path, structs.replace(read_mark(tmp_path), uidvalidity=1))
    assert fetch(setting).kept == 1
    # The door knows the second by its key.
    assert [one.key for one in await spooled(tmp_path)] == [identify_mail(mail(2))] * 2


async def test_a_mail_that_is_too_large_is_not_fetched_and_its_headers_say_why(
    server: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_session, "MAIL_BYTES_MAX", 1 << 20)
    server.deliver(mail(text="x\r\n" * 400_000))
    assert fetch(settings(server, tmp_path)).kept == 1
    [one] = await spooled(tmp_path)
    assert one.content == mail().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert one.cut == "It is too large: at most 1 MB and 500000 lines are taken."
    assert server.mails() == []


async def test_a_mail_for_which_no_spool_has_room_keeps_no_other_waiting(
    server: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_session, "MAIL_BYTES_MAX", 1 << 20)
    monkeypatch.setattr("adapters.mail.spool.SPOOL_BYTES_MAX", 1 << 20)
    server.deliver(mail(text="x\r\n" * 400_000))
    server.deliver(mail(2))
    assert fetch(settings(server, tmp_path)).kept == 2


async def test_a_mail_over_which_we_break_keeps_no_other_waiting_for_ever(
    server: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.deliver(mail(1, text="break"))
    server.deliver(mail(2))
    keep = MailboxSession._put_away

    def break_over(self: MailboxSession, uid: int) -> None:
        if uid == first:
            raise MemoryError
        keep(self, uid)

    with server.log_in() as client:
        client.select_folder("INBOX")
        first = client.search()[0]
    monkeypatch.setattr(MailboxSession, "_put_away", break_over)
    for _ in range(TRIES_MAX):
        with pytest.raises(MemoryError):
            fetch(settings(server, tmp_path))
    assert fetch(settings(server, tmp_path)) == Fetched(1, False, passed_over=1)
    assert [one for one, _ in server.mails()] == [mail(1, text="break")]


async def test_a_mail_that_a_broken_connection_interrupts_is_never_passed_over(
    server: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.deliver(mail())

    def cut(self: MailboxSession, uid: int) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(MailboxSession, "_put_away", cut)
        for _ in range(TRIES_MAX + 1):
            with pytest.raises(MailboxFailed):
                fetch(settings(server, tmp_path))
    assert fetch(settings(server, tmp_path)) == Fetched(1, False)


async def test_nothing_is_fetched_while_the_spool_has_no_room(
    server: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.deliver(mail())
    with monkeypatch.context() as patch:
        patch.setattr("adapters.mail.spool.SPOOL_MAILS_MAX", 0)
        for _ in range(TRIES_MAX + 1):
            with pytest.raises(MailboxFailed) as caught:
                fetch(settings(server, tmp_path))
            assert caught.value.code == "no_room"
    assert fetch(settings(server, tmp_path)).kept == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": "wrong"}, "login_failed"),
        ({"password": None, "password_file": "/nowhere"}, "login_failed"),
        ({"folder": "Lists"}, "no_folder"),
        ({"tls_ca": None}, "certificate"),
        ({"host": "127.0.0.1"}, "certificate"),
        ({"port": 1}, "unreachable"),
    ],
)
async def test_what_is_wrong_with_a_mailbox_is_said_by_a_code(
    changes: dict[str, object], code: str, server: Dovecot, tmp_path: Path
) -> None:
    mailbox = ImapMailbox(settings(server, tmp_path, **changes))
    with pytest.raises(MailboxFailed) as caught:
        async with mailbox.open():
            pass
    assert caught.value.code == code, caught.value.detail
    assert PASSWORD not in caught.value.detail


def test_what_is_wrong_tells_no_account_where_the_password_lies(
    server: Dovecot, tmp_path: Path
) -> None:
    with pytest.raises(MailboxFailed) as caught:
        fetch(settings(server, tmp_path, password=None, password_file="/nowhere"))
    wanted = "The password's file cannot be read: No such file or directory."
    assert caught.value.detail == wanted


async def test_too_many_requests_to_activate_stay_in_the_mailbox_and_keep_no_list_waiting(
    server: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_session, "ACTIVATION_MAILS_MAX", 2)
    activate = f"activate@{DOMAIN}"
    for number in range(4):
        server.deliver(mail(number, to=activate))
    server.deliver(mail(4, to=f"{activate}, {ADDRESS}"))
    found = fetch(settings(server, tmp_path, activation=activate))
    assert found == Fetched(3, has_more=False, passed_over=2)
    recipients = [one.recipients for one in await spooled(tmp_path)]
    assert recipients == [(activate,), (activate,), (ADDRESS,)]
    assert [one for one, _ in server.mails()] == [mail(2, to=activate), mail(3, to=activate)]


@pytest.mark.parametrize("tls", ["on", "starttls", "off"])
async def test_a_session_in_its_process_hears_of_a_mail_that_comes(
    tls: str, server: Dovecot, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    setting = settings(
        server,
        tmp_path / "spool",
        tls=tls,
        port=server.tls_port if tls == "on" else server.port,
        password=None,
        password_file=str(tmp_path / "password"),
    )
    with trio.fail_after(60):
        async with ImapMailbox(setting).open() as session:
            assert await session.fetch() == Fetched(0, has_more=False)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.wait, 30.0)
                await trio.to_thread.run_sync(server.deliver, mail())
            assert await session.fetch() == Fetched(1, has_more=False)


async def test_a_server_that_goes_away_is_noticed_and_found_again(
    server: Dovecot, tmp_path: Path
) -> None:
    mailbox = ImapMailbox(settings(server, tmp_path))
    async with mailbox.open() as session:
        server.stop()
        with pytest.raises(MailboxFailed) as caught:
            await session.fetch()
    assert caught.value.code == "unreachable"
    server.start()
    async with mailbox.open() as session:
        assert await session.fetch() == Fetched(0, has_more=False)


async def test_no_mail_is_lost_wherever_it_is_killed_and_copies_are_known_by_their_key(
    server: Dovecot, tmp_path: Path
) -> None:
    setting = settings(server, tmp_path)
    number = 0
    for step in STEPS * KILLS:
        number += 1
        server.deliver(mail(number))
        assert live(setting, step) == -signal.SIGKILL, step
    assert live(setting, "") == 0
    keys = {one.key for one in await spooled(tmp_path)}
    assert keys == {identify_mail(mail(one)) for one in range(1, number + 1)}
    assert server.mails() == []


def live(setting: MailboxSettings, kill_at: str) -> int:
    """Fetch in a process of its own, which is killed at a step; how it ended."""

    def step(name: str) -> None:
        if name == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    process = os.fork()
    if not process:
        status = 1
        try:
            with open_mailbox(setting, step) as session:
                while session.fetch().has_more:
                    pass
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
