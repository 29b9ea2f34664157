"""The examples of the RFCs, and what the field makes of them."""

from __future__ import annotations

import hashlib

import pytest

from adapters.sip.wire.digest import Challenge, Credentials, authorize, read_challenges, strongest
from adapters.sip.wire.fields import SipParseError

MUFASA = Credentials(b"Mufasa", b"Circle of Life")
RFC7616_CNONCE = b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def rfc7616(algorithm: bytes) -> Challenge:
    return Challenge(
        realm=b"http-auth@example.org",
        nonce=b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        algorithm=algorithm,
        qop=(b"auth", b"auth-int"),
        opaque=b"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    )


def answer(
    challenge: Challenge,
    credentials: Credentials = MUFASA,
    cnonce: bytes = RFC7616_CNONCE,
    nonce_count: int = 1,
    body: bytes = b"",
) -> bytes:
    return authorize(
        challenge,
        credentials,
        method=b"GET",
        uri=b"/dir/index.html",
        body=body,
        cnonce=cnonce,
        nonce_count=nonce_count,
    )


def response_in(value: bytes) -> bytes:
    return value.partition(b'response="')[2].partition(b'"')[0]


def hex_of(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data).hexdigest().encode()


def test_the_example_of_rfc_2617() -> None:
    challenge = Challenge(
        realm=b"testrealm@host.com",
        nonce=b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
        qop=(b"auth", b"auth-int"),
        opaque=b"5ccc069c403ebaf9f0171e9517f40e41",
    )
    assert answer(challenge, Credentials(b"Mufasa", b"Circle Of Life"), b"0a4f113b") == (
        b'Digest username="Mufasa", realm="testrealm@host.com", '
        b'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", '
        b'response="6629fae49393a05397450978507c4ef1", '
        b'cnonce="0a4f113b", qop=auth, nc=00000001, opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )


def test_without_qop_the_form_of_rfc_2069_is_spoken() -> None:
    challenge = Challenge(b"testrealm@host.com", b"dcd98b7102dd2f0e8b11d0f600bfb0c093")
    value = answer(challenge, Credentials(b"Mufasa", b"CircleOfLife"))
    assert response_in(value) == b"1949323746fe6a43ef61f9606e7febea"
    assert b"qop" not in value


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        (b"MD5", b"8ca523f5e9506fed4657c9700eebdbec"),
        (b"SHA-256", b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: bytes, response: bytes) -> None:
    assert response_in(answer(rfc7616(algorithm))) == response


def test_sha_512_256_is_the_same_formula_with_another_hash() -> None:
    name, challenge = "sha512_256", rfc7616(b"SHA-512-256")
    secret = hex_of(name, b"Mufasa:http-auth@example.org:Circle of Life")
    subject = hex_of(name, b"GET:/dir/index.html")
    proof = b":".join((secret, challenge.nonce, b"0000000a", RFC7616_CNONCE, b"auth", subject))
    assert response_in(answer(challenge, nonce_count=10)) == hex_of(name, proof)


def test_sess_binds_the_secret_to_both_nonces() -> None:
    challenge = rfc7616(b"MD5-sess")
    plain = hex_of("md5", b"Mufasa:http-auth@example.org:Circle of Life")
    secret = hex_of("md5", b"%b:%b:%b" % (plain, challenge.nonce, RFC7616_CNONCE))
    subject = hex_of("md5", b"GET:/dir/index.html")
    proof = b":".join((secret, challenge.nonce, b"00000001", RFC7616_CNONCE, b"auth", subject))
    value = answer(challenge)
    assert response_in(value) == hex_of("md5", proof)
    assert b"algorithm=MD5-sess" in value


def test_auth_int_covers_the_body_where_nothing_else_is_offered() -> None:
    challenge = Challenge(b"r", b"n", qop=(b"auth-int",))
    secret = hex_of("md5", b"Mufasa:r:Circle of Life")
    subject = hex_of("md5", b"GET:/dir/index.html:" + hex_of("md5", b"body"))
    proof = b":".join((secret, b"n", b"00000001", b"c", b"auth-int", subject))
    value = answer(challenge, cnonce=b"c", body=b"body")
    assert response_in(value) == hex_of("md5", proof)


def test_a_challenge_is_read_as_the_field_writes_it() -> None:
    raw = (
        b'Digest realm="a, \\"b\\"", nonce = "n" ,QOP="auth, auth-int", Algorithm=md5,'
        b'stale=TRUE, opaque="", domain="sip:x", x-unknown=1'
    )
    assert read_challenges(raw) == [
        Challenge(b'a, \\"b\\"', b"n", b"md5", (b"auth", b"auth-int"), b"", stale=True)
    ]


def test_several_challenges_on_one_line_are_told_apart_and_other_schemes_passed_over() -> None:
    raw = b'Basic realm="x", Digest realm="a",nonce="1", Digest realm="b", nonce="2", qop=auth'
    assert read_challenges(raw) == [
        Challenge(b"a", b"1"),
        Challenge(b"b", b"2", qop=(b"auth",)),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"Digest",
        b"Digest realm=x",
        b'Digest realm="x", realm="y", nonce="n"',
        b'Digest realm="x, nonce="n"',
        b'realm="x", nonce="n"',
        b"Digest " + b'a="",' * 26,
        b"Digest " + b'a="",' * 1000,
        b"Digest realm=sp ace, nonce=n",
    ],
)
def test_a_malformed_challenge_raises_the_typed_error(raw: bytes) -> None:
    with pytest.raises(SipParseError):
        read_challenges(raw)


def test_the_strongest_challenge_that_we_know_is_chosen() -> None:
    md5, md5_again = Challenge(b"r", b"1"), Challenge(b"r", b"2", b"MD5-sess")
    sha256 = Challenge(b"r", b"3", b"SHA-256")
    sha512 = Challenge(b"r", b"4", b"SHA-512-256")
    unknown = Challenge(b"r", b"5", b"SHA3-512")
    odd_qop = Challenge(b"r", b"6", b"SHA-512-256", qop=(b"token",))
    assert strongest([unknown, md5, sha256, sha512, odd_qop]) == sha512
    assert strongest([md5, sha256, odd_qop]) == sha256
    assert strongest([md5_again, md5]) == md5_again
    assert strongest([unknown, odd_qop]) is None


def test_a_quote_in_a_username_stays_inside() -> None:
    value = answer(Challenge(b"r", b"n"), Credentials(b'a"b\\', b"p"))
    assert b'username="a\\"b\\\\", realm' in value


def test_a_password_is_not_in_a_repr() -> None:
    assert repr(Credentials(b"user", b"hunter2")) == "Credentials(username=b'user')"
