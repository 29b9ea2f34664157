"""The keys of SRTP in SDP, and that nothing shows them."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media.sdp import (
    KEY_BYTES,
    PLAIN,
    SUITES,
    MediaTerms,
    build_answer,
    build_offer,
    make_terms,
    read_answer,
)
from adapters.media.sdp.crypto import CryptoLine, read_crypto, write_crypto
from adapters.media.types import Remote, SrtpKeys, SuiteName

KEY = bytes(range(30))
TEXT = b64encode(KEY)
SHA1_80: SuiteName = "AES_CM_128_HMAC_SHA1_80"

USABLE = {
    "plain": b"1 AES_CM_128_HMAC_SHA1_80 inline:%b",
    "a lifetime": b"1 AES_CM_128_HMAC_SHA1_80 inline:%b|2^48",
    "a hint for the window": b"1 AES_CM_128_HMAC_SHA1_80 inline:%b WSH=128",
    "what may be passed over": b"1 AES_CM_128_HMAC_SHA1_80 inline:%b -X=1",
    "small letters": b"1 aes_cm_128_hmac_sha1_80 INLINE:%b",
    "blanks": b"  1   AES_CM_128_HMAC_SHA1_80\tinline:%b ",
}
UNUSABLE = {
    "nothing": b"",
    "no suite": b"1",
    "no key": b"1 AES_CM_128_HMAC_SHA1_80",
    "a tag that is none": b"x AES_CM_128_HMAC_SHA1_80 inline:%b",
    "a tag without end": b"1234567890 AES_CM_128_HMAC_SHA1_80 inline:%b",
    "a suite beyond ours": b"1 F8_128_HMAC_SHA1_80 inline:%b",
    "another method": b"1 AES_CM_128_HMAC_SHA1_80 other:%b",
    "a key identifier": b"1 AES_CM_128_HMAC_SHA1_80 inline:%b|1:4",
    "a lifetime and a key identifier": b"1 AES_CM_128_HMAC_SHA1_80 inline:%b|2^31|1:4",
    "two keys": b"1 AES_CM_128_HMAC_SHA1_80 inline:%b;inline:%b",
    "no encryption": b"1 AES_CM_128_HMAC_SHA1_80 inline:%b UNENCRYPTED_SRTP",
    "a rate of key derivation": b"1 AES_CM_128_HMAC_SHA1_80 inline:%b KDR=1",
    "a key that is too long": b"1 AES_CM_128_HMAC_SHA1_80 inline:AAAA%b",
    "a key that is no base64": b"1 AES_CM_128_HMAC_SHA1_80 inline:%b!",
    "a key of another suite's length": b"1 AEAD_AES_128_GCM inline:%b",
}


@pytest.mark.parametrize("name", USABLE)
def test_a_key_of_the_field_is_read(name: str) -> None:
    assert read_crypto(USABLE[name].replace(b"%b", TEXT)) == CryptoLine(1, SHA1_80, KEY)


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_line_that_we_cannot_keep_to_is_passed_over(name: str) -> None:
    assert read_crypto(UNUSABLE[name].replace(b"%b", TEXT)) is None


@given(st.binary(max_size=120))
def test_a_line_of_anything_is_read_or_passed_over(value: bytes) -> None:
    read_crypto(value)
    read_crypto(b"1 AES_CM_128_HMAC_SHA1_80 inline:" + value)


suites = st.sampled_from(SUITES)


@given(st.integers(0, 999_999_999), suites, st.data())
def test_a_line_that_is_written_is_read(tag: int, suite: SuiteName, data: st.DataObject) -> None:
    key = data.draw(st.binary(min_size=KEY_BYTES[suite], max_size=KEY_BYTES[suite]))
    line = write_crypto(tag, suite, key).encode().removeprefix(b"a=crypto:")
    assert read_crypto(line) == CryptoLine(tag, suite, key)


def secrets_of(first: int) -> MediaTerms:
    counter = iter(range(first, 256))
    return make_terms(("PCMU",), "required", lambda length: bytes([next(counter)]) * length)


def test_an_offer_and_its_answer_agree_on_two_keys() -> None:
    ours, theirs = secrets_of(1), secrets_of(101)
    offer = build_offer("192.0.2.1", 20000, 7, terms=ours)
    answer, caller = build_answer(offer, "192.0.2.9", 30000, 8, 1, theirs)
    callee = read_answer(answer, ours)
    mine, its = ours.keys[SHA1_80], theirs.keys[SHA1_80]
    assert caller == Remote("192.0.2.1", 20000, 0, 101, srtp=SrtpKeys(SHA1_80, its, mine))
    assert callee == Remote("192.0.2.9", 30000, 0, 101, srtp=SrtpKeys(SHA1_80, mine, its))


def test_every_suite_has_a_key_of_its_own() -> None:
    terms = secrets_of(1)
    assert tuple(terms.keys) == SUITES
    assert len(set(terms.keys.values())) == len(SUITES)
    assert [len(key) for key in terms.keys.values()] == list(KEY_BYTES.values())


def test_a_call_in_the_clear_asks_for_no_secret() -> None:
    def refuse(length: int) -> bytes:
        raise AssertionError("nobody needs a key")

    assert make_terms(("PCMU", "PCMA"), "off", refuse) is PLAIN


def test_no_key_is_shown_by_what_holds_it() -> None:
    terms = make_terms(("PCMU",), "optional", lambda length: b"k" * length)
    offer = build_offer("192.0.2.1", 20000, 7, terms=terms)
    remote = build_answer(offer, "192.0.2.9", 30000, 8, 1, terms)[1]
    line = read_crypto(b"1 AES_CM_128_HMAC_SHA1_80 inline:" + TEXT)
    for shown in (repr(terms), repr(remote), str(remote), repr(line)):
        assert "kkkk" not in shown
        assert repr(KEY)[2:-1] not in shown
