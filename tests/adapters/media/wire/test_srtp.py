"""One stream's SRTP, with libsrtp at the other end."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.media.types import SrtpKeys, SuiteName
from adapters.media.wire.rtp import Header, build_packet
from adapters.media.wire.srtp import SENDERS_MAX, SOURCES_MAX, TAG_BYTES, Shield
from tests.adapters.media.secure_peer import SUITES, SecurePeer, keys_of

REPORT = struct.pack("!BBHI", 0x80, 201, 1, 7)


def packet(number: int, payload: bytes = b"\xff" * 160) -> bytes:
    return build_packet(Header(0, number & 0xFFFF, 160 * number & 0xFFFF_FFFF, 7), payload)


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_protected_is_opened_at_the_other_end_in_both_ways(suite: SuiteName) -> None:
    shield, peer = Shield(keys_of(suite)), SecurePeer(keys_of(suite))
    protected = [shield.protect(packet(number)) for number in range(3)]
    assert [len(one or b"") for one in protected] == [172 + TAG_BYTES[suite]] * 3
    assert [peer.open(one or b"") for one in protected] == [packet(number) for number in range(3)]
    assert [shield.open(peer.protect(packet(number))) for number in range(3)] == [
        packet(number) for number in range(3)
    ]
    assert peer.open_rtcp(shield.protect_rtcp(REPORT) or b"") == REPORT
    assert shield.open_rtcp(peer.protect_rtcp(REPORT)) == REPORT


@pytest.mark.parametrize("suite", SUITES)
def test_a_call_of_many_hours_is_heard_beyond_every_rollover(suite: SuiteName) -> None:
    shield, peer = Shield(keys_of(suite)), SecurePeer(keys_of(suite))
    # Far apart, and yet near enough that nobody could take one for a packet of the round before.
    for number in range(0, 5 * 65_536, 16_384):
        assert peer.open(shield.protect(packet(number)) or b"") == packet(number)
        assert shield.open(peer.protect(packet(number))) == packet(number)


@given(st.binary(max_size=300))
def test_what_is_not_srtp_is_refused_and_leaves_no_trace(data: bytes) -> None:
    keys = keys_of("AES_CM_128_HMAC_SHA1_80")
    shield, peer = Shield(keys), SecurePeer(keys)
    assert shield.open(data) is None
    assert shield.open_rtcp(data) is None
    assert shield.open(peer.protect(packet(1))) == packet(1)


def test_a_packet_is_heard_once() -> None:
    keys = keys_of("AEAD_AES_128_GCM")
    shield, peer = Shield(keys), SecurePeer(keys)
    first, second = peer.protect(packet(1)), peer.protect(packet(2))
    assert [shield.open(one) for one in (second, first, second, first)] == [
        packet(2),
        packet(1),
        None,
        None,
    ]


@given(st.integers(0, 8 * 182 - 1))
def test_a_packet_of_which_one_bit_was_changed_is_refused(bit: int) -> None:
    keys = keys_of("AES_CM_128_HMAC_SHA1_80")
    shield, peer = Shield(keys), SecurePeer(keys)
    forged = bytearray(peer.protect(packet(1)))
    forged[bit // 8] ^= 1 << bit % 8
    assert shield.open(bytes(forged)) is None


def test_the_same_keys_again_change_nothing() -> None:
    keys = keys_of("AES_CM_128_HMAC_SHA1_80")
    shield, peer = Shield(keys), SecurePeer(keys)
    for number in range(0, 3 * 65_536, 16_384):
        shield.change(SrtpKeys(keys.suite, bytes(keys.sent), bytes(keys.heard)))
        assert peer.open(shield.protect(packet(number)) or b"") == packet(number)
        assert shield.open(peer.protect(packet(number))) == packet(number)


def test_a_new_key_of_the_callee_is_taken_and_its_old_one_is_not() -> None:
    before = keys_of("AES_CM_128_HMAC_SHA1_80")
    after = SrtpKeys(before.suite, before.sent, b"z" * 30)
    shield, old_peer, new_peer = Shield(before), SecurePeer(before), SecurePeer(after)
    assert shield.open(old_peer.protect(packet(1))) == packet(1)
    shield.change(after)
    assert shield.open(old_peer.protect(packet(2))) is None
    assert shield.open(new_peer.protect(packet(2))) == packet(2)
    # What we send goes on in the old key and count.
    assert old_peer.open(shield.protect(packet(1)) or b"") == packet(1)


def test_a_key_of_ours_that_comes_back_goes_on_where_it_was() -> None:
    first, second = keys_of("AES_CM_128_HMAC_SHA1_80"), keys_of("AEAD_AES_128_GCM", seed=8)
    shield, peer = Shield(first), SecurePeer(first)
    assert peer.open(shield.protect(packet(1)) or b"") == packet(1)
    shield.change(second)
    assert SecurePeer(second).open(shield.protect(packet(2)) or b"") == packet(2)
    shield.change(first)
    # A number that was used under this key is never used again.
    assert shield.protect(packet(1, b"\x00" * 160)) is None
    assert peer.open(shield.protect(packet(3)) or b"") == packet(3)


def test_a_callee_that_changes_its_source_without_end_is_not_kept_in_mind_without_end() -> None:
    """It has the keys, so that each of its packets is authentic; libsrtp keeps something of every source."""
    keys = keys_of("AES_CM_128_HMAC_SHA1_80")
    shield, peer = Shield(keys), SecurePeer(keys)
    sources = [build_packet(Header(0, 1, 160, ssrc), b"") for ssrc in range(1, SOURCES_MAX + 9)]
    opened = [shield.open(peer.protect(source)) for source in sources]
    assert opened == [*sources[:SOURCES_MAX], *[None] * 8]
    # Nor is its RTCP a way around that; and those that were heard are heard on.
    report = struct.pack("!BBHI", 0x80, 201, 1, SOURCES_MAX + 9)
    assert shield.open_rtcp(peer.protect_rtcp(report)) is None
    again = build_packet(Header(0, 2, 320, SOURCES_MAX), b"")
    assert shield.open(peer.protect(again)) == again


def test_a_stream_whose_keys_change_too_often_is_refused_and_nothing_else() -> None:
    shield = Shield(keys_of("AES_CM_128_HMAC_SHA1_80", seed=0))
    for seed in range(1, SENDERS_MAX):
        shield.change(keys_of("AES_CM_128_HMAC_SHA1_80", seed=seed))
    with pytest.raises(ValueError, match="too often"):
        shield.change(keys_of("AES_CM_128_HMAC_SHA1_80", seed=SENDERS_MAX))
