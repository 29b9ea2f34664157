"""The address for requests to activate listeners, which is no secret, and may not keep lists out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.mail.content import ACTIVATION_BYTES_MAX
from adapters.mail.rate import ACTIVATION_MAILS_MAX
from tests.adapters.mail.receiver import ADDRESS, DOMAIN, SENDER, Receiver, Talk, open_receiver

ACTIVATE = f"activate@{DOMAIN}"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp("spool")
    with open_receiver(folder, peer_mails_max=1_000, activation=ACTIVATE) as receiver:
        yield receiver


@pytest.fixture
def talk(receiver: Receiver) -> Iterator[Talk]:
    talk = Talk(receiver.port)
    talk.ask("EHLO client.example.com")
    talk.ask(f"MAIL FROM:<{SENDER}>")
    yield talk
    talk.close()


def tell(talk: Talk, octets: int, *addresses: str) -> str:
    """Bring a mail of about so many octets to these; the last reply."""
    for address in addresses:
        assert talk.ask(f"RCPT TO:<{address}>").startswith("250")
    reply = talk.ask("DATA")
    if not reply.startswith("354"):
        return reply
    talk.say(b"From: ada@example.com\r\n\r\n" + (b"x" * 98 + b"\r\n") * (octets // 100) + b".\r\n")
    return talk.hear()


def test_a_request_is_kept_as_a_list_is(talk: Talk, receiver: Receiver) -> None:
    before = len(receiver.contents())
    assert tell(talk, 100, ACTIVATE.upper()).startswith("250 2.0.0 Kept")
    assert len(receiver.contents()) == before + 1


@pytest.mark.parametrize("address", [f"activate@x.{DOMAIN}", f"activate2@{DOMAIN}", "activate"])
def test_no_address_like_it_is_taken(talk: Talk, address: str) -> None:
    assert talk.ask(f"RCPT TO:<{address}>").startswith("550")


def test_a_request_is_short_and_a_list_may_be_long(talk: Talk) -> None:
    assert tell(talk, ACTIVATION_BYTES_MAX + 10_000, ACTIVATE).startswith("552")
    talk.ask(f"MAIL FROM:<{SENDER}>")
    assert tell(talk, ACTIVATION_BYTES_MAX + 10_000, ACTIVATE, ADDRESS).startswith("250")


def test_where_none_are_taken_there_is_no_such_address(tmp_path: Path) -> None:
    with open_receiver(tmp_path) as receiver:
        talk = Talk(receiver.port)
        talk.ask("EHLO client.example.com")
        talk.ask(f"MAIL FROM:<{SENDER}>")
        assert talk.ask(f"RCPT TO:<{ACTIVATE}>").startswith("550")
        talk.close()


def test_requests_of_everybody_are_few_a_minute_and_lists_still_come(tmp_path: Path) -> None:
    with open_receiver(tmp_path, peer_mails_max=1_000, activation=ACTIVATE) as receiver:
        talk = Talk(receiver.port)
        talk.ask("EHLO client.example.com")
        replies = []
        for _ in range(ACTIVATION_MAILS_MAX + 1):
            talk.ask(f"MAIL FROM:<{SENDER}>")
            replies.append(tell(talk, 100, ACTIVATE)[:3])
            talk.ask("RSET")
        assert replies == ["250"] * ACTIVATION_MAILS_MAX + ["450"]
        talk.ask(f"MAIL FROM:<{SENDER}>")
        assert tell(talk, 100, ADDRESS).startswith("250")
        talk.close()
