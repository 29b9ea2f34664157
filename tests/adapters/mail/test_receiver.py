"""The process that takes mails, spoken to by clients that mean well and by others."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from adapters.mail.content import (
    MAIL_BYTES_MAX,
    RECIPIENTS_MAX,
    TOO_LARGE,
    ContentRefused,
    read_content,
)
from adapters.mail.receiver_process import PEER_CONNECTIONS_MAX, Door, name_peer
from adapters.mail.receiver_settings import ReceiverSettings
from tests.adapters.mail.receiver import (
    ADDRESS,
    DOMAIN,
    SECRET,
    SENDER,
    Receiver,
    Talk,
    open_receiver,
)
from tests.peers import require

HEAD = b"From: ada@example.com\r\nSubject: a list\r\n\r\n"
INNER = f"MAIL FROM:<eve@example.org>\r\nRCPT TO:<{ADDRESS}>\r\nDATA\r\nforged".encode()
SMUGGLED = {
    "LF . LF": b"\n.\n",
    "LF . CR LF": b"\n.\r\n",
    "CR LF . LF": b"\r\n.\n",
    "CR . CR": b"\r.\r",
    "CR . CR LF": b"\r.\r\n",
    "CR LF . CR": b"\r\n.\r",
    "CR LF NUL . CR LF": b"\r\n\x00.\r\n",
    "CR CR LF . CR CR LF": b"\r\r\n.\r\r\n",
}
"""What some server or other takes for the end of a mail."""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with open_receiver(tmp_path_factory.mktemp("spool"), peer_mails_max=1_000) as receiver:
        yield receiver


@pytest.fixture
def talk(receiver: Receiver) -> Iterator[Talk]:
    talk = Talk(receiver.port)
    yield talk
    talk.close()


def make_mail() -> EmailMessage:
    message = EmailMessage()
    message["From"] = SENDER
    message["Subject"] = "a list"
    message.add_attachment(b"tel1\n+1\n", maintype="text", subtype="csv", filename="a.csv")
    return message


def test_a_mail_over_starttls_is_in_the_spool_when_its_sender_hears_250(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert(DOMAIN).private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    pem = str(tmp_path / "pem")
    with open_receiver(tmp_path / "spool", certificate=pem, key=pem) as receiver:
        client = receiver.connect()
        client._host = DOMAIN  # type: ignore[attr-defined]  # whom the certificate is of
        client.starttls(context=context)
        assert client.send_message(make_mail(), SENDER, [ADDRESS.upper()]) == {}
        [content] = receiver.contents()
        assert b'filename="a.csv"' in content
        client.quit()


def test_what_is_said_before_starttls_is_not_taken_for_what_is_said_after_it(
    tmp_path: Path,
) -> None:
    authority = trustme.CA()
    authority.issue_cert(DOMAIN).private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    pem = str(tmp_path / "pem")
    with open_receiver(tmp_path / "spool", certificate=pem, key=pem) as receiver:
        talk = Talk(receiver.port)
        assert talk.ask("EHLO client.example.com").startswith("250")
        talk.say(b"STARTTLS\r\nEHLO injected.example.com\r\n")
        assert talk.hear().startswith("220")
        with context.wrap_socket(talk._socket, server_hostname=DOMAIN) as secure:
            secure.sendall(b"NOOP\r\n")
            assert secure.recv(1_000).startswith(b"250")
            secure.sendall(b"MAIL FROM:<ada@example.com>\r\n")
            assert secure.recv(1_000).startswith(b"503")


@pytest.mark.peer
def test_swaks_sends_a_list(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"tel1\n+14155550100\n")
    before = len(receiver.contents())
    server = f"127.0.0.1:{receiver.port}"
    arguments = ["--from", SENDER, "--to", ADDRESS, "--attach", f"@{tmp_path / 'a.csv'}"]
    subprocess.run(
        [require("swaks", "swaks"), "--server", server, *arguments],
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert len(receiver.contents()) == before + 1


@pytest.mark.parametrize(
    "address",
    [
        "eve@example.org",
        f"flw_0123456789abcdef0123456789ab@{DOMAIN}",
        ADDRESS.replace("-", "-a")[:-1],
        ADDRESS.replace(DOMAIN, "example.org"),
        f"eve%example.org@{DOMAIN}",
        f"@{DOMAIN}:eve@example.org",
        "postmaster",
    ],
)
def test_nothing_is_taken_for_anybody_else(talk: Talk, address: str) -> None:
    talk.ask("EHLO client.example.com")
    talk.ask(f"MAIL FROM:<{SENDER}>")
    assert talk.ask(f"RCPT TO:<{address}>")[:2] in ("55", "50")
    assert talk.ask("DATA").startswith("503")


@pytest.mark.parametrize("end", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_no_mail_is_smuggled_behind_another(receiver: Receiver, talk: Talk, end: bytes) -> None:
    before = len(receiver.contents())
    talk.begin()
    talk.say(HEAD + b"one" + end + INNER + b"\r\n.\r\n")
    reply = talk.hear()
    kept = receiver.contents()[before:]
    if end == b"\r\n\x00.\r\n":
        # A NUL is no end of a line: the rest is text of the one mail.
        assert (reply[:3], len(kept)) == ("250", 1)
        assert b"forged" in kept[0]
    else:
        assert (reply[:9], kept) == ("550 5.6.0", [])
    # Nothing of what stood behind was taken for a command.
    assert talk.ask("NOOP").startswith("250")


def test_dots_before_lines_are_those_of_the_text(receiver: Receiver, talk: Talk) -> None:
    talk.begin()
    talk.say(HEAD + b"..\r\n...x\r\n.y\r\n.\r\n")
    assert talk.hear().startswith("250")
    assert receiver.contents()[-1] == HEAD + b".\r\n..x\r\ny\r\n"


def test_a_mail_that_is_too_large_is_refused_by_its_size_and_by_what_comes(
    receiver: Receiver, talk: Talk
) -> None:
    talk.ask("EHLO client.example.com")
    assert talk.ask(f"MAIL FROM:<{SENDER}> SIZE={MAIL_BYTES_MAX + 1}").startswith("552")
    before = len(receiver.contents())
    talk.begin()
    line = b"x" * 998 + b"\r\n"
    for _ in range(MAIL_BYTES_MAX // 1_000_000 + 1):
        talk.say(line * 1_000)
    talk.say(b"\r\n.\r\n")
    assert talk.hear().startswith("552 5.3.4")
    assert len(receiver.contents()) == before
    assert talk.ask("NOOP").startswith("250")


def test_a_line_that_is_too_long_refuses_the_mail(receiver: Receiver, talk: Talk) -> None:
    before = len(receiver.contents())
    talk.begin()
    talk.say(HEAD + b"x" * 5_000 + b"\r\n" + b"y" * 5_000 + b".\r\n.\r\n")
    assert talk.hear().startswith("500 5.5.2")
    assert len(receiver.contents()) == before


def test_a_mail_of_empty_lines_takes_little_memory(receiver: Receiver, talk: Talk) -> None:
    """An object for each line would be some ten megabytes."""

    def peak_kib() -> int:
        status = Path(f"/proc/{receiver.process_id}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])

    before = peak_kib()
    talk.begin()
    talk.say(b"\r\n" * 200_000 + b".\r\n")
    assert talk.hear().startswith("250")
    assert (peak_kib() - before) * 1_024 < 4_000_000


def test_a_mail_of_too_many_lines_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.mail.content.LINES_MAX", 3)

    async def read() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(b"\r\n" * 4 + b".\r\n")
        return await read_content(reader, MAIL_BYTES_MAX, lambda: None)

    with pytest.raises(ContentRefused) as refused:
        asyncio.run(read())
    assert (refused.value.reply, refused.value.is_read) == (TOO_LARGE, False)


def test_a_mail_has_few_recipients(talk: Talk) -> None:
    talk.ask("EHLO client.example.com")
    talk.ask(f"MAIL FROM:<{SENDER}>")
    replies = [talk.ask(f"RCPT TO:<{ADDRESS}>")[:3] for _ in range(RECIPIENTS_MAX + 1)]
    assert replies == ["250"] * RECIPIENTS_MAX + ["452"]


def test_an_address_has_few_connections(tmp_path: Path) -> None:
    with open_receiver(tmp_path) as receiver:
        talks = [Talk(receiver.port) for _ in range(PEER_CONNECTIONS_MAX + 1)]
        assert [talk.greeting[:3] for talk in talks] == ["220"] * PEER_CONNECTIONS_MAX + ["421"]
        for talk in talks:
            talk.close()


def test_an_address_brings_few_mails_a_minute(tmp_path: Path) -> None:
    with open_receiver(tmp_path, peer_mails_max=2) as receiver, receiver.connect() as client:
        for _ in range(2):
            client.send_message(make_mail(), SENDER, [ADDRESS])
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.send_message(make_mail(), SENDER, [ADDRESS])
        assert refused.value.smtp_code == 450
        assert len(receiver.contents()) == 2


def test_a_mail_beyond_the_limit_is_not_even_read(tmp_path: Path) -> None:
    with open_receiver(tmp_path, peer_mails_max=1) as receiver:
        talk = Talk(receiver.port)
        talk.begin()
        talk.say(b"bare\nline\r\n.\r\n")
        assert talk.hear().startswith("550")  # and counts
        talk.ask(f"MAIL FROM:<{SENDER}>")
        talk.ask(f"RCPT TO:<{ADDRESS}>")
        assert talk.ask("DATA").startswith("450 4.7.1")
        talk.close()


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_who_has_many_addresses_of_one_network_is_one(host: str, peer: str) -> None:
    assert name_peer(host) == peer


def test_a_spool_that_takes_nothing_puts_the_sender_off(tmp_path: Path) -> None:
    with open_receiver(tmp_path) as receiver, receiver.connect() as client:
        (tmp_path / "tmp").rmdir()
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.send_message(make_mail(), SENDER, [ADDRESS])
        assert refused.value.smtp_code == 451
        assert receiver.contents() == []


def test_no_login_is_offered(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert(DOMAIN).private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    pem = str(tmp_path / "pem")
    with open_receiver(tmp_path / "spool", certificate=pem, key=pem) as receiver:
        client = receiver.connect()
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] == 502
        client._host = DOMAIN  # type: ignore[attr-defined]  # whom the certificate is of
        client.starttls(context=context)
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] == 502
        client.quit()


def test_a_mail_that_is_kept_is_answered_so_when_the_engine_hears_nothing_more(
    tmp_path: Path,
) -> None:
    """What is refused then would be sent once more, and dialled again."""
    with open_receiver(tmp_path) as receiver, receiver.connect() as client:
        receiver.deafen()
        assert client.send_message(make_mail(), SENDER, [ADDRESS]) == {}
        assert len(receiver.contents()) == 1


def test_what_nobody_foresaw_puts_the_sender_off(tmp_path: Path) -> None:
    async def break_down() -> str:
        door = Door(ReceiverSettings("127.0.0.1", 0, DOMAIN, SECRET, str(tmp_path)))
        return await door.handle_exception(RuntimeError("a secret"))

    assert asyncio.run(break_down()) == "451 4.3.0 That did not work; try again later"
