"""What is kept of a call: in order, bounded, and never a credential."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sip.trace.packing import UnreadableTrace, pack, unpack
from adapters.sip.trace.record import (
    BYTES_MAX,
    MESSAGES_MAX,
    CallTrace,
    KeptTrace,
    TracedMessage,
    mask_credentials,
)
from tests.adapters.sip.trace.conversation import (
    COMPLETE,
    EPOCH,
    HERE,
    INVITE,
    RINGING,
    TRUNK,
    kept,
    received,
    request,
    sent,
)

SECRET = b'Digest username="alice", response="6629fae49393a05397450978507c4ef1"'
MASKED = b"Digest " + b"*" * (len(SECRET) - 7)


def test_messages_are_kept_in_order_with_their_time_of_day() -> None:
    trace = CallTrace("att_1", "c0ffee", EPOCH - 1000.0)
    trace.keep_sent(INVITE, HERE, TRUNK, 1000.0)
    trace.keep_received(RINGING, HERE, TRUNK, 1000.25)
    assert trace.snapshot() == kept(sent(0.0, INVITE), received(0.25, RINGING))
    assert trace.size_bytes == len(INVITE) + len(RINGING)


def test_a_sealed_trace_takes_no_more() -> None:
    trace = CallTrace("att_1", "c0ffee", EPOCH)
    trace.keep_sent(INVITE, HERE, TRUNK, 0.0)
    whole = trace.seal()
    trace.keep_received(RINGING, HERE, TRUNK, 0.25)
    assert (whole, trace.snapshot()) == (kept(sent(0.0, INVITE)),) * 2


def test_of_too_many_messages_the_first_and_the_last_are_kept() -> None:
    trace = CallTrace("att_1", "c0ffee", EPOCH)
    said = [b"message %04d" % number for number in range(MESSAGES_MAX + 37)]
    for number, data in enumerate(said):
        trace.keep_sent(data, HERE, TRUNK, float(number))
    half = MESSAGES_MAX // 2
    assert trace.snapshot() == KeptTrace(
        "att_1",
        "c0ffee",
        tuple(sent(float(n), said[n]) for n in (*range(half), *range(half + 37, len(said)))),
        gap_at=half,
        messages_left_out=37,
        bytes_left_out=37 * 12,
    )


def test_of_too_many_bytes_the_first_and_the_last_are_kept() -> None:
    trace = CallTrace("att_1", "c0ffee", EPOCH)
    third = BYTES_MAX // 6
    said = [b"%d" % number + bytes(third - 1) for number in range(8)]
    for data in said:
        trace.keep_sent(data, HERE, TRUNK, 0.0)
    found = trace.snapshot()
    assert [message.data[:1] for message in found.messages] == [b"0", b"1", b"2", b"5", b"6", b"7"]
    assert (found.gap_at, found.messages_left_out, found.bytes_left_out) == (3, 2, 2 * third)


def test_a_message_beyond_all_bounds_is_left_out_alone() -> None:
    trace = CallTrace("att_1", "c0ffee", EPOCH)
    for data in (INVITE, bytes(BYTES_MAX), RINGING):
        trace.keep_sent(data, HERE, TRUNK, 0.0)
    assert trace.snapshot() == KeptTrace(
        "att_1", "c0ffee", (sent(0.0, INVITE), sent(0.0, RINGING)), 1, 1, BYTES_MAX
    )


@given(st.lists(st.integers(0, BYTES_MAX // 4), max_size=2 * MESSAGES_MAX))
def test_nothing_is_lost_without_being_counted_and_no_bound_is_exceeded(sizes: list[int]) -> None:
    trace = CallTrace("att_1", "c0ffee", EPOCH)
    for number, size in enumerate(sizes):
        trace.keep_sent(bytes(size), HERE, TRUNK, float(number))
    found = trace.snapshot()
    assert len(found.messages) + found.messages_left_out == len(sizes)
    assert trace.size_bytes + found.bytes_left_out == sum(sizes)
    assert trace.size_bytes == sum(len(message.data) for message in found.messages) <= BYTES_MAX
    assert len(found.messages) <= MESSAGES_MAX
    first = range(found.gap_at)
    last = range(found.gap_at + found.messages_left_out, len(sizes))
    assert [message.at - EPOCH for message in found.messages] == [*first, *last]


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: %b",
        b"Proxy-Authorization: %b",
        b"authorization:%b",
        b"PROXY-AUTHORIZATION \t:\t %b",
        b"P-Media-Authorization: %b",
        b"Authentication-Info: %b",
        b"Proxy-Authentication-Info: %b",
    ],
)
def test_a_credential_is_masked_however_its_header_is_spelled(line: bytes) -> None:
    message = b"BYE sip:x SIP/2.0\r\n%b\r\nCSeq: 1 BYE\r\n\r\n"
    assert mask_credentials(message % (line % SECRET)) == message % (line % MASKED)


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        (b"bearer mF_9.B5f-4.1JqM", b"bearer ***************"),
        (b"Basic\tQWxhZGRpbg==", b"Basic ************"),
        (b"QWxhZGRpbg== ", b"* ***********"),
        (b"Digest", b"* ****"),
        (b"Token QWxhZGRpbg==", b"* ****************"),
        (b"x", b"*"),
        (b"", b""),
    ],
)
def test_only_the_name_of_a_known_scheme_is_left(value: bytes, masked: bytes) -> None:
    message = b"BYE sip:x SIP/2.0\r\nAuthorization: %b\r\n\r\n"
    assert mask_credentials(message % value) == message % masked


@pytest.mark.parametrize("fold", [b"\r\n ", b"\r\n\t", b"\n ", b"\r ", b"\r\n    "])
def test_a_folded_credential_is_masked_to_its_end(fold: bytes) -> None:
    value = SECRET.replace(b", ", b"," + fold)
    message = b"BYE sip:x SIP/2.0\r\nAuthorization: %b\r\nCSeq: 1 BYE\r\n\r\nbody"
    masked = b"Digest " + b"*" * (len(value) - 7)
    assert mask_credentials(message % value) == message % masked


def test_a_value_that_begins_on_the_next_line_is_masked() -> None:
    message = b"BYE sip:x SIP/2.0\r\nAuthorization:%b\r\nCSeq: 1 BYE\r\n\r\n"
    value = b"\r\n " + SECRET
    masked = b"* " + b"*" * (len(value) - 2)
    assert mask_credentials(message % value) == message % masked


def test_several_credentials_are_all_masked_and_what_stands_between_is_not() -> None:
    message = request(
        b"INVITE",
        headers=(
            (b"Authorization", SECRET),
            (b"Subject", b"authorization is not a header here: no"),
            (b"Proxy-Authorization", SECRET + b"1"),
            (b"WWW-Authenticate", b'Digest realm="r", nonce="n"'),
        ),
        body=b"Authorization: %b\r\nx" % SECRET,
    )
    expected = message.replace(SECRET + b"1", MASKED + b"*").replace(SECRET, MASKED)
    assert mask_credentials(message) == expected
    assert len(expected) == len(message)


def test_what_is_kept_is_masked_at_once() -> None:
    trace = CallTrace("att_1", "c0ffee", EPOCH)
    with_secret = request(b"INVITE", headers=((b"Authorization", SECRET),))
    trace.keep_sent(with_secret, HERE, TRUNK, 0.0)
    trace.keep_received(with_secret, HERE, TRUNK, 0.0)
    masked = with_secret.replace(SECRET, MASKED)
    assert [message.data for message in trace.snapshot().messages] == [masked, masked]


NAME_PARTS = st.sampled_from([b"", b"X-", b"Proxy-", b"proxy-"])
LINE_ENDS = st.sampled_from([b"\r\n", b"\n", b"\r"])


@given(NAME_PARTS, st.sampled_from([b"", b" ", b"\t "]), LINE_ENDS, st.binary(max_size=40))
def test_no_bytes_before_a_line_hide_the_credential_in_it(
    prefix: bytes, blank: bytes, end: bytes, noise: bytes
) -> None:
    line = end + prefix + b"Authorization" + blank + b":" + SECRET + end + b"X: y"
    assert b"6629fae49393a053" not in mask_credentials(noise + line)


def test_masking_takes_a_time_that_grows_with_the_message_and_no_faster() -> None:
    """A name or a value made to let the search go back and forth would hold the engine up for minutes."""
    for hostile in (
        b"auth" * 16_000,
        b"\r\nauth " * 9_000,
        b"\r\nAuthorization:" + b"\r\n " * 20_000,
    ):
        assert len(mask_credentials(hostile)) == len(hostile)


@given(
    st.lists(
        st.builds(
            TracedMessage,
            st.floats(0, 2e9),
            st.booleans(),
            st.just(HERE),
            st.just(TRUNK),
            st.binary(max_size=200),
        ),
        max_size=5,
    )
)
def test_a_packed_trace_is_unpacked_as_it_was(messages: list[TracedMessage]) -> None:
    trace = kept(*messages)
    assert unpack(pack(trace)) == trace


def test_packing_makes_a_call_a_good_deal_smaller() -> None:
    trace = kept(*COMPLETE)
    assert len(pack(trace)) * 5 < sum(len(message.data) for message in COMPLETE)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_trace_is_read_as_another_or_as_unreadable(place: int, change: int) -> None:
    packed = bytearray(pack(kept(*COMPLETE)))
    packed[place % len(packed)] ^= change
    with suppress(UnreadableTrace):
        assert isinstance(unpack(bytes(packed)), KeptTrace)


def test_a_packed_bomb_is_unreadable() -> None:
    bomb = pack(kept(sent(0.0, bytes(50_000_000))))
    assert len(bomb) < 300_000
    with pytest.raises(UnreadableTrace):
        unpack(bomb)


def test_keys_of_srtp_are_masked_at_their_length() -> None:
    key = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
    said = INVITE + (
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%b|2^31|1:4 -X\r\n"
        b"a=crypto:2 AEAD_AES_128_GCM INLINE:%b;inline:%b\r\n"
        b"a=key-mgmt:mikey %b=\r\n"
    ) % (key, key, key, key)
    stars = b"*" * len(key)
    masked = INVITE + (
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%b|2^31|1:4 -X\r\n"
        b"a=crypto:2 AEAD_AES_128_GCM INLINE:%b;inline:%b\r\n"
        b"a=key-mgmt:mikey %b*\r\n"
    ) % (stars, stars, stars, stars)
    assert mask_credentials(said) == masked
    assert mask_credentials(masked) == masked


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"Content-Type: application/dtmf-relay", b"Signal=4\r\nDuration=160\r\n"),
        (b"c:Application/DTMF;x=1\r\nSubject: 4", b"4"),
    ],
)
def test_what_a_callee_presses_is_masked(kind: bytes, body: bytes) -> None:
    head = b"INFO sip:a@b SIP/2.0\r\n" + kind + b"\r\nContent-Length: 1\r\n\r\n"
    masked = b"\r\n".join(b"*" * len(line) for line in body.split(b"\r\n"))
    assert mask_credentials(head + body) == head + masked
    offer = b"INVITE sip:a@b SIP/2.0\r\nAccept: application/dtmf-relay\r\n\r\nv=0\r\n"
    assert mask_credentials(offer) == offer
