"""DKIM with keys from a name server, a double's and a real one's."""

from __future__ import annotations

from functools import partial

import pytest

from adapters.mail.proof import DkimProof, FindText, LookUpFailed, find_text
from adapters.workers import InlineWorkers
from bench.free_ports import free_port
from engine.ports.proofs import Proof
from tests.adapters.mail.test_signatures import MAIL, NAME, SENDER, make_rsa, sign
from tests.adapters.sip.locate.dnsmasq import running_dnsmasq
from tests.peers import require


def make_proof(find: FindText) -> DkimProof:
    return DkimProof(InlineWorkers(), find)


async def find_nothing(name: str) -> bytes | None:
    return None


async def fail(name: str) -> bytes | None:
    raise LookUpFailed("no name server answers")


async def test_an_unsigned_mail_is_unsigned_without_a_look_up() -> None:
    detail = "It has no DKIM signature of sales.example.com that stands for all of it."
    assert await make_proof(fail).prove(MAIL, SENDER) == Proof("unsigned", detail)


async def test_a_signature_without_a_key_does_not_hold() -> None:
    detail = "Its DKIM signature of sales.example.com does not hold."
    assert await make_proof(find_nothing).prove(sign(), SENDER) == Proof("bad_signature", detail)


async def test_a_key_that_cannot_be_looked_up_leaves_the_question_open() -> None:
    detail = "The key of sales.example.com could not be looked up just now."
    assert await make_proof(fail).prove(sign(), SENDER) == Proof("undecided", detail)


async def test_one_signature_that_holds_is_enough_where_the_key_of_another_is_not_found() -> None:
    async def find(name: str) -> bytes | None:
        return make_rsa()[1] if name == NAME else await fail(name)

    mail = sign(sign(), domain=b"example.com")
    assert await make_proof(find).prove(mail, SENDER) == Proof("proven", "")


@pytest.mark.peer
async def test_keys_come_from_a_real_name_server() -> None:
    key = make_rsa()[1].decode()
    # A text of more than 255 octets comes in several strings (RFC 6376 §3.6.2.2).
    record = f"--txt-record=k1._domainkey.sales.test,{key[:200]},{key[200:]}"
    twice = ["--txt-record=k2._domainkey.test,a", "--txt-record=k2._domainkey.test,b"]
    async with running_dnsmasq(require("dnsmasq", "dnsmasq-base"), record, *twice) as server:
        find = partial(find_text, nameservers=(server,))
        assert await find("k1._domainkey.sales.test") == key.encode()
        assert await find("k2._domainkey.test") is None
        assert await find("k3._domainkey.test") is None
        mail = sign(MAIL.replace(b"example.com", b"test"), b"sales.test")
        assert await make_proof(find).prove(mail, "anna@sales.test") == Proof("proven", "")


async def test_a_name_server_that_is_not_there_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.mail.proof.LOOK_UP_S_MAX", 0.2)
    with pytest.raises(LookUpFailed):
        await find_text("k1._domainkey.test", (("127.0.0.1", free_port()),))
