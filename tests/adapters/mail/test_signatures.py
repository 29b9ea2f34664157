"""Which DKIM signatures prove a sender, with keys that were made for the test."""

from __future__ import annotations

import base64
from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from adapters.mail.signatures import (
    SIGNATURES_MAX,
    Candidate,
    check_candidates,
    find_candidates,
)

SENDER = "anna@sales.example.com"
MAIL = (
    b"From: Anna <anna@sales.example.com>\r\n"
    b"To: abc@lists.example.net\r\n"
    b"Subject: a list\r\n"
    b"\r\n"
    b"tel1\r\n+14155550100\r\n"
)
NAME = "k1._domainkey.sales.example.com"


@cache
def make_rsa() -> tuple[bytes, bytes]:
    """(private key for dkimpy, TXT record)"""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def sign(
    mail: bytes = MAIL,
    domain: bytes = b"sales.example.com",
    *,
    length: bool = False,
) -> bytes:
    signer = dkim.DKIM(mail)
    signature = signer.sign(
        b"k1", domain, make_rsa()[0], canonicalize=(b"relaxed", b"relaxed"), length=length
    )
    return bytes(signature) + mail


def judge(mail: bytes, records: dict[str, bytes] | None = None, sender: str = SENDER) -> str:
    known = {NAME: make_rsa()[1]} if records is None else records
    return check_candidates(mail, find_candidates(mail, sender), known)


def test_a_signature_of_the_senders_domain_proves_the_sender() -> None:
    assert find_candidates(sign(), SENDER) == (Candidate(0, NAME),)
    assert judge(sign()) == "proven"


def test_a_signature_of_a_domain_above_the_senders_proves_the_sender() -> None:
    mail = sign(domain=b"Example.COM")
    assert judge(mail, {"k1._domainkey.example.com": make_rsa()[1]}) == "proven"


def test_a_signature_with_ed25519_proves_the_sender() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    private = base64.b64encode(key.private_bytes_raw())
    record = b"v=DKIM1; k=ed25519; p=" + base64.b64encode(key.public_key().public_bytes_raw())
    signer = dkim.DKIM(MAIL, signature_algorithm=b"ed25519-sha256")
    mail = signer.sign(b"k1", b"sales.example.com", private) + MAIL
    assert judge(mail, {NAME: record}) == "proven"


@pytest.mark.parametrize(
    "domain", [b"example.org", b"les.example.com", b"x.sales.example.com", b"com"]
)
def test_a_signature_of_another_domain_is_none(domain: bytes) -> None:
    assert find_candidates(sign(domain=domain), SENDER) == ()


def test_a_mail_without_a_signature_is_unsigned() -> None:
    assert judge(MAIL) == "unsigned"


def test_a_signature_that_counts_octets_is_none_as_a_list_could_be_added_behind_them() -> None:
    """dkimpy itself takes it."""
    mail = sign(length=True) + b"+14155550199\r\n"
    assert dkim.verify(mail, dnsfunc=lambda name, timeout=0: make_rsa()[1])
    assert judge(mail) == "unsigned"


def test_a_signature_that_leaves_from_out_is_none() -> None:
    mail = sign().replace(b"from", b"to")
    assert find_candidates(mail, SENDER) == ()


def test_a_signature_with_sha1_is_none() -> None:
    mail = sign().replace(b"a=rsa-sha256", b"a=rsa-sha1", 1)
    assert find_candidates(mail, SENDER) == ()


def test_a_mail_with_two_senders_has_no_signature() -> None:
    assert find_candidates(b"From: eve@example.org\r\n" + sign(), SENDER) == ()


@pytest.mark.parametrize(
    ("before", "after"), [(b"+14155550100", b"+14155550199"), (b"a list", b"another")]
)
def test_a_mail_that_was_changed_has_a_bad_signature(before: bytes, after: bytes) -> None:
    assert judge(sign().replace(before, after)) == "bad_signature"


@pytest.mark.parametrize("change", ["gone", "test", "revoked", "nonsense", "long"])
def test_a_key_that_may_not_be_used_proves_nothing(change: str) -> None:
    record = make_rsa()[1]
    changed = {
        "gone": {},
        "test": {NAME: record + b"; t=s:y"},
        "revoked": {NAME: b"v=DKIM1; p="},
        "nonsense": {NAME: b"\xff=;;=\x00"},
        "long": {NAME: record + b"; n=" + b"x" * 5_000},
    }
    assert judge(sign(), changed[change]) == "bad_signature"


def test_the_second_signature_counts_where_the_first_is_a_strangers() -> None:
    mail = sign(sign(), domain=b"example.org")
    assert find_candidates(mail, SENDER) == (Candidate(1, NAME),)
    assert judge(mail) == "proven"


def test_only_the_first_signatures_are_looked_at() -> None:
    stranger = b"DKIM-Signature: a=rsa-sha256; d=example.org; s=x; h=from\r\n"
    assert judge(stranger * (SIGNATURES_MAX - 1) + sign()) == "proven"
    assert judge(stranger * SIGNATURES_MAX + sign()) == "unsigned"


def test_a_name_that_cannot_be_looked_up_is_no_key() -> None:
    for tag in (b"s=" + b"a" * 64, b"s=..", b"s=\xc3\xa4", b"s="):
        mail = b"DKIM-Signature: a=rsa-sha256; d=example.com; h=from; " + tag + b"\r\n" + MAIL
        assert find_candidates(mail, SENDER) == ()


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_octets_raise(tags: bytes, record: bytes) -> None:
    head = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=k1; h=from; bh=AAAA; b=AAAA; "
    for mail in (tags, head + tags.replace(b"\n", b"") + b"\r\n" + MAIL):
        candidates = find_candidates(mail, SENDER)
        told = check_candidates(mail, candidates, {"k1._domainkey.example.com": record})
        assert told in ("unsigned", "bad_signature")
