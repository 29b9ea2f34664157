"""The signature of STIR/SHAKEN, byte for byte, and checked by a verifier that shares no code with it."""

from __future__ import annotations

import json
import os
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from adapters.sip.identity.headers import CERTIFICATE_URL_LENGTH_MAX
from adapters.sip.identity.passport import (
    KEY_FILE_BYTES_MAX,
    CannotSign,
    NotANumber,
    Signer,
    canonical_number,
    date_line,
)

CERTIFICATE_URL = "https://cert.example.org/passport.cer"
ORIGID = UUID("123e4567-e89b-12d3-a456-426655440000")
NOW = 1443208345.75

RFC8225_PUBLIC_KEY = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8HNbQd/TmvCKwPKHkMF9fScavGeH
78YTU8qLS8I5HLHSSmlATLcslQMhNC/OhlWBYC626nIlo7XeebYS7Sb37g==
-----END PUBLIC KEY-----
"""
RFC8225_TOKEN = (
    "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9j"
    "ZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9"
    ".eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI"
    "6IjE0NDMyMDgzNDUiLCJvcmlnIjp7InRuIjoiMTIxNTU1NTEyMTIifX0"
    ".rq3pjT1hoRwakEGjHCnWSwUnshd0-zJ6F1VOgFWSjHBr8Qjpjlk-cpFYpFYsojN"
    "CpTzO3QfPOlckGaS6hEck7w"
)
"""Appendix A of the drafts of RFC 8225, where the date was still a text."""


def unpack(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def verify(token: str, key: EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    """(header, claims) of a token, as its signer wrote them (RFC 7515 §5.2, RFC 7518 §3.4). Raises
    `InvalidSignature`."""
    header, claims, signature = token.split(".")
    raw = unpack(signature)
    assert len(raw) == 64
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    key.verify(encode_dss_signature(r, s), f"{header}.{claims}".encode(), ECDSA(SHA256()))
    return unpack(header), unpack(claims)


@pytest.fixture(scope="module")
def key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


def write_key(
    file: Path, key: EllipticCurvePrivateKey | RSAPrivateKey, passphrase: bytes = b""
) -> Path:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return file


def test_the_verifier_of_these_tests_agrees_with_an_example_that_others_signed() -> None:
    public = load_pem_public_key(RFC8225_PUBLIC_KEY)
    assert isinstance(public, EllipticCurvePublicKey)
    assert verify(RFC8225_TOKEN, public) == (
        b'{"alg":"ES256","typ":"passport","x5u":"https://cert.example.org/passport.cer"}',
        b'{"dest":{"uri":["sip:alice@example.com"]},"iat":"1443208345","orig":{"tn":"12155551212"}}',
    )
    with pytest.raises(InvalidSignature):
        verify(RFC8225_TOKEN.replace(".eyJkZXN0", ".eyJkZXN1"), public)


def test_a_call_is_signed_as_in_the_example_of_rfc_8588(key: EllipticCurvePrivateKey) -> None:
    """RFC 8588 §4, in the canonical form of RFC 8225 §9."""
    signer = Signer(key, CERTIFICATE_URL, "A")
    value = signer.sign("+1 215-555-0121", "+12155550131", now=NOW, origid=ORIGID).decode()
    token, _, parameters = value.partition(";")
    assert parameters == "info=<https://cert.example.org/passport.cer>;alg=ES256;ppt=shaken"
    assert verify(token, key.public_key()) == (
        b'{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.org/passport.cer"}',
        b'{"attest":"A","dest":{"tn":["12155550131"]},"iat":1443208345,"orig":{"tn":"12155550121"}'
        b',"origid":"123e4567-e89b-12d3-a456-426655440000"}',
    )


@pytest.mark.parametrize("attestation", ["A", "B", "C"])
def test_the_attestation_is_the_configured_one(
    key: EllipticCurvePrivateKey, attestation: str
) -> None:
    signer = Signer(key, CERTIFICATE_URL, attestation)  # type: ignore[arg-type]
    value = signer.sign("+1215", "+1216", now=NOW, origid=ORIGID).decode()
    _, claims = verify(value.partition(";")[0], key.public_key())
    assert json.loads(claims)["attest"] == attestation


def test_nobody_else_could_have_signed_it(key: EllipticCurvePrivateKey) -> None:
    signer = Signer(generate_private_key(SECP256R1()), CERTIFICATE_URL, "A")
    token, _, _ = signer.sign("+1215", "+1216", now=NOW, origid=ORIGID).decode().partition(";")
    with pytest.raises(InvalidSignature):
        verify(token, key.public_key())


def test_the_date_beside_it_is_of_the_second_that_was_signed(key: EllipticCurvePrivateKey) -> None:
    """RFC 8224 §4.1: a verifier compares the two."""
    signer = Signer(key, CERTIFICATE_URL, "B")
    identity, date = signer.lines("+1215", "+1216", now=NOW, origid=ORIGID)
    token = identity.decode().removeprefix("Identity: ").partition(";")[0]
    _, claims = verify(token, key.public_key())
    assert date == b"Date: Fri, 25 Sep 2015 19:12:25 GMT"
    signed_at = parsedate_to_datetime(date.decode().removeprefix("Date: ")).timestamp()
    assert json.loads(claims)["iat"] == signed_at


def test_a_date_of_a_single_digit_has_two() -> None:
    """RFC 3261 §25.1: `date1 = 2DIGIT SP month SP 4DIGIT`."""
    assert date_line(1_754_179_200.0) == b"Date: Sun, 03 Aug 2025 00:00:00 GMT"


@pytest.mark.parametrize(
    ("number", "canonical"),
    [
        ("+12155550121", "12155550121"),
        ("+1 (215) 555-0121", "12155550121"),
        ("+49.30/123 456", "4930123456"),
        ("*67#", "*67#"),
    ],
)
def test_a_number_is_signed_without_plus_and_separators(number: str, canonical: str) -> None:
    assert canonical_number(number) == canonical


@pytest.mark.parametrize("number", ["", "+", "anonymous", "+1234567890123456", "٣٤٥"])
def test_what_is_no_number_is_not_signed(number: str, key: EllipticCurvePrivateKey) -> None:
    signer = Signer(key, CERTIFICATE_URL, "A")
    with pytest.raises(NotANumber):
        signer.sign(number, "+12155550131", now=NOW, origid=ORIGID)
    with pytest.raises(NotANumber):
        signer.sign("+12155550121", number, now=NOW, origid=ORIGID)


@pytest.mark.parametrize(
    "form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "sec1"]
)
def test_a_key_file_in_either_form_signs(
    tmp_path: Path, key: EllipticCurvePrivateKey, form: PrivateFormat
) -> None:
    file = tmp_path / "key.pem"
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    signer = Signer.open(file, CERTIFICATE_URL, "A")
    token, _, _ = signer.sign("+1215", "+1216", now=NOW, origid=ORIGID).decode().partition(";")
    verify(token, key.public_key())
    assert signer.warnings == ()


def test_a_key_behind_its_curve_parameters_and_certificate_is_found(
    tmp_path: Path, key: EllipticCurvePrivateKey
) -> None:
    """`openssl ecparam -genkey` writes a block of parameters first, others put all into one file."""
    file = tmp_path / "key.pem"
    file.touch(mode=0o600)
    sec1 = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    file.write_bytes(parameters + sec1)
    signer = Signer.open(file, CERTIFICATE_URL, "A")
    token, _, _ = signer.sign("+1215", "+1216", now=NOW, origid=ORIGID).decode().partition(";")
    verify(token, key.public_key())


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_warned_of(
    tmp_path: Path, key: EllipticCurvePrivateKey, mode: int
) -> None:
    file = write_key(tmp_path / "key.pem", key)
    file.chmod(mode)
    assert Signer.open(file, CERTIFICATE_URL, "A").warnings == (
        f"{file} is open to others than its owner; make it private with chmod 600.",
    )


def faulty_key_files(folder: Path) -> Iterator[tuple[str, Path]]:
    yield "missing_key_file", folder / "none.pem"
    yield "unreadable_key_file", folder
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    yield "unreadable_key_file", pipe
    yield "unreadable_key_file", Path("/dev/zero")
    file = folder / "empty.pem"
    file.touch()
    yield "not_a_key", file
    file = folder / "public.pem"
    file.write_bytes(RFC8225_PUBLIC_KEY)
    yield "not_a_key", file
    file = folder / "huge.pem"
    file.write_bytes(b"x" * (KEY_FILE_BYTES_MAX + 1))
    yield "not_a_key", file
    encrypted = generate_private_key(SECP256R1())
    yield "encrypted_key", write_key(folder / "encrypted.pem", encrypted, b"secret")
    yield "wrong_kind_of_key", write_key(folder / "p384.pem", generate_private_key(SECP384R1()))
    yield "wrong_kind_of_key", write_key(folder / "rsa.pem", generate_rsa_key(65537, 2048))


def test_a_key_file_that_cannot_sign_is_told_apart(tmp_path: Path) -> None:
    for code, file in faulty_key_files(tmp_path):
        with pytest.raises(CannotSign, match=re.escape(str(file))) as caught:
            Signer.open(file, CERTIFICATE_URL, "A")
        assert caught.value.code == code


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://cert.example.org/p.cer",
        "cert.example.org/p.cer",
        "https://",
        "https:///p.cer",
        "https://a b/p.cer",
        "https://a/p.cer>;alg=none",
        "https://a/p.cer\r\nVia: x",
        "https://ä/p.cer",
        "https://a:port/p.cer",
        "https://[::1/p.cer",
        "https://a/" + "p" * CERTIFICATE_URL_LENGTH_MAX,
    ],
)
def test_a_certificate_is_where_verifiers_can_fetch_it(
    key: EllipticCurvePrivateKey, url: str
) -> None:
    with pytest.raises(CannotSign) as caught:
        Signer(key, url, "A")
    assert caught.value.code == "invalid_certificate_url"


def test_an_attestation_is_one_of_three(key: EllipticCurvePrivateKey) -> None:
    with pytest.raises(CannotSign) as caught:
        Signer(key, CERTIFICATE_URL, "D")  # type: ignore[arg-type]
    assert caught.value.code == "invalid_attestation"


def test_an_identity_is_one_line_without_spaces(key: EllipticCurvePrivateKey) -> None:
    value = Signer(key, CERTIFICATE_URL, "A").sign("+1215", "+1216", now=NOW, origid=ORIGID)
    assert re.fullmatch(rb"[\w-]+\.[\w-]+\.[\w-]{86};info=<\S+>;alg=ES256;ppt=shaken", value)
