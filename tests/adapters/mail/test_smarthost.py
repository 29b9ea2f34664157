"""Letters through a real mail server: STARTTLS, a password, refusals for now and for good."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import Any

import pytest
import trio
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from msgspec import Struct

from adapters.mail.smarthost import Encryption, SmarthostSettings, SmtpSmarthost
from bench.free_ports import free_port
from engine.ids import IdSource
from engine.model.letter import FIRST_WAIT_S, Letter
from engine.ports.letters import NotSent
from engine.post.postman import Postman
from sim.memory_store import MemoryStore
from tests.contract.store_samples import ACME, FixedClock, furnish

USER, PASSWORD, DOMAIN, ADA = "callwheel", "a secret", "calls.example.com", "ada@example.net"
LETTER = Letter("let_1", "key", ACME, ADA, "Your list", "All is well: jeden zażółć.", 0.0, 0.0)


class Taken(Struct):
    """What came in of one letter."""

    mail_from: str
    to: list[str]
    content: bytes
    is_encrypted: bool
    is_logged_in: bool


class Smarthost:
    """A server that answers as it is told to, in turn, and then takes what comes."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: SimpleQueue[Taken] = SimpleQueue()
        self.to_rcpt: list[str] = []
        self.to_data: list[str] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_rcpt:
            return self.to_rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.to_data:
            return self.to_data.pop(0)
        content: Any = envelope.content
        encrypted, known = session.ssl is not None, bool(session.authenticated)
        self.taken.put(
            Taken(envelope.mail_from or "", envelope.rcpt_tos, content, encrypted, known)
        )
        return "250 OK"


def check_login(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any
) -> AuthResult:
    is_good = login == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_good, handled=is_good)


@contextmanager
def running(folder: Path, *, wants_login: bool = False) -> Iterator[Smarthost]:
    """A server on a free port of loopback that offers STARTTLS."""
    certificate = trustme.CA().issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "both.pem")
    host = Smarthost()
    host.port = free_port()
    controller = Controller(
        host,
        hostname="127.0.0.1",
        port=host.port,
        tls_context=context,
        auth_required=wants_login,
        authenticator=check_login,
    )
    controller.start()
    try:
        yield host
    finally:
        controller.stop()


def client(
    host: Smarthost, encryption: Encryption = "offered", password: str | None = None
) -> SmtpSmarthost:
    user = None if password is None else USER
    return SmtpSmarthost(
        SmarthostSettings("127.0.0.1", host.port, DOMAIN, encryption, user, password)
    )


@pytest.mark.parametrize(("encryption", "is_encrypted"), [("offered", True), ("off", False)])
async def test_a_letter_is_handed_over_whole_and_encrypted_where_that_is_offered(
    encryption: Encryption, is_encrypted: bool, tmp_path: Path
) -> None:
    with running(tmp_path) as host:
        await client(host, encryption).send(LETTER)
    taken = host.taken.get()
    assert (taken.mail_from, taken.to) == (f"callwheel@{DOMAIN}", [ADA])
    assert taken.is_encrypted is is_encrypted
    assert f"Message-ID: <let_1@{DOMAIN}>".encode() in taken.content
    assert "zażółć".encode() in taken.content or b"za=C5=BC=C3=B3=C5=82=C4=87" in taken.content


async def test_a_password_is_shown_to_nobody_whose_certificate_is_not_trusted(
    tmp_path: Path,
) -> None:
    with running(tmp_path, wants_login=True) as host:
        with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED") as caught:
            await client(host, password=PASSWORD).send(LETTER)
        assert not caught.value.is_final
        assert host.taken.empty()


async def test_a_password_lets_us_in_and_a_wrong_one_gives_no_letter_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, wants_login=True) as host:
        trusting = ssl.create_default_context(cafile=tmp_path / "both.pem")
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
        await client(host, "required", PASSWORD).send(LETTER)
        taken = host.taken.get()
        assert (taken.is_encrypted, taken.is_logged_in) == (True, True)
        for password in ("another", None):
            with pytest.raises(NotSent) as caught:
                await client(host, "required", password).send(LETTER)
            assert not caught.value.is_final, caught.value.detail


@pytest.mark.parametrize("step", ["to_rcpt", "to_data"])
async def test_a_letter_is_tried_again_that_is_refused_for_now_and_given_up_that_is_for_good(
    step: str, tmp_path: Path
) -> None:
    clock = FixedClock()
    store = MemoryStore(lambda _: None, clock)
    await furnish(store)
    with running(tmp_path) as host:
        postman = Postman(store, client(host), clock, IdSource(clock, Random(1)), Random(2))

        async def wait_for(*wanted: tuple[str, int]) -> list[str]:
            while True:
                letters = (await store.list_letters(ACME, 9, None)).items
                if sorted((one.state, one.tries) for one in letters) == sorted(wanted):
                    return [one.last for one in letters]
                await trio.sleep(0.02)  # the server is a thread, and has no event to wait for

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                await nursery.start(postman.run)
                getattr(host, step).append("451 4.3.0 Try again later")
                await postman.post(ACME, "one", ADA, "one", "text")
                assert await wait_for(("waiting", 1)) == ["451 4.3.0 Try again later"]
                clock.at += 2 * FIRST_WAIT_S
                postman.wake()
                await wait_for(("sent", 2))
                getattr(host, step).append("550 5.1.1 Nobody here")
                await postman.post(ACME, "two", ADA, "two", "text")
                assert "550 5.1.1 Nobody here" in await wait_for(("sent", 2), ("given_up", 1))
                nursery.cancel_scope.cancel()
    assert (host.taken.get().to, host.taken.empty()) == ([ADA], True)
