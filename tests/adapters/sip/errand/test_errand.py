"""One request outside any call: how it is worded, sent, answered and given up."""

from __future__ import annotations

from hashlib import md5
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sip.call.authentication import Authenticator
from adapters.sip.call.transaction import Timing
from adapters.sip.errand.errand import (
    REQUESTS_PER_ERRAND_MAX,
    Errand,
    ErrandDone,
    Series,
    Subject,
    open_series,
)
from adapters.sip.trunk import Line
from adapters.sip.wire.fields import SipParseError
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request, Response, build_request, parse
from tests.adapters.sip.errand.desk import (
    CHALLENGE,
    CREDENTIALS,
    SERVER,
    STALE,
    Chance,
    Desk,
    trunk_line,
)

SUBJECT = Subject(
    method=b"OPTIONS",
    uri=b"sip:192.0.2.70:5070",
    sender=b"<sip:callwheel@192.0.2.1:5062>",
    receiver=b"<sip:192.0.2.70:5070>",
    lines=(b"Accept: application/sdp",),
)


class Scene:
    """An errand that has begun, and what it told."""

    def __init__(
        self,
        line: Line | None = None,
        *,
        authenticator: Authenticator | None = None,
        patience_s: float = inf,
    ) -> None:
        self.desk = Desk()
        self.told: list[tuple[str, int | None, float]] = []
        self.errand = Errand(
            trunk_line() if line is None else line,
            SUBJECT,
            Series(call_id=b"id", local_tag=b"tag", token=b"token"),
            self._hear,
            authenticator=authenticator,
            patience_s=patience_s,
        )
        self.request = self.desk.begin(self.errand)

    def _hear(self, done: ErrandDone, now: float) -> None:
        self.told.append((done.how, done.status, now))


def wanting(realm: bytes | None = None) -> Authenticator:
    return Authenticator(CREDENTIALS, realm)


def test_the_request_is_worded_like_this() -> None:
    errand = Errand(
        trunk_line(),
        SUBJECT,
        Series(call_id=b"id", local_tag=b"tag", token=b"token"),
        lambda *_: None,
    )
    desk = Desk()
    errand.begin(desk.now, desk.outbox, Timing())
    assert desk.datagrams() == [
        (
            b"OPTIONS sip:192.0.2.70:5070 SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bKtoken.1\r\n"
            b"Max-Forwards: 70\r\n"
            b"From: <sip:callwheel@192.0.2.1:5062>;tag=tag\r\n"
            b"To: <sip:192.0.2.70:5070>\r\n"
            b"Call-ID: id\r\n"
            b"CSeq: 1 OPTIONS\r\n"
            b"Accept: application/sdp\r\n"
            b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE\r\n"
            b"User-Agent: callwheel\r\n"
            b"Content-Length: 0\r\n\r\n",
            SERVER,
        )
    ]


@pytest.mark.parametrize("status", [200, 202, 302, 401, 404, 407, 423, 503, 600])
def test_a_final_response_is_the_result_and_the_end(status: int) -> None:
    scene = Scene()
    assert (scene.errand.silent_hosts, scene.errand.is_finished) == ((SERVER.host,), False)
    scene.desk.respond(scene.request, status)
    assert scene.told == [("answered", status, 1000.0)]
    assert (scene.errand.silent_hosts, scene.errand.is_finished) == ((), True)
    assert scene.errand.next_wake == inf


def test_a_provisional_response_is_no_result() -> None:
    scene = Scene()
    scene.desk.respond(scene.request, 100)
    assert (scene.told, scene.errand.silent_hosts) == ([], ())
    scene.desk.respond(scene.request, 200)
    assert scene.told == [("answered", 200, 1000.0)]


def test_over_udp_silence_is_asked_again_as_the_rfc_says_and_ends_after_64_t1() -> None:
    scene = Scene()
    sent: list[float] = []
    desk = scene.desk
    desk.wait(40, lambda: sent.extend([desk.now - 1000.0] * len(desk.requests())))
    assert sent == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert scene.told == [("timed_out", None, 1032.0)]
    assert desk.outbox.retransmissions == 10


def test_over_tcp_nothing_is_sent_again() -> None:
    scene = Scene(trunk_line(Hop("192.0.2.70", 5070, "tcp")))
    assert scene.request.top_via.transport == b"TCP"
    scene.desk.wait(40)
    assert scene.desk.datagrams() == []
    assert scene.told == [("timed_out", None, 1032.0)]


@pytest.mark.parametrize("status", [None, 100])
def test_patience_of_its_own_ends_an_errand_earlier(status: int | None) -> None:
    scene = Scene(patience_s=4.0)
    if status is not None:
        scene.desk.respond(scene.request, status)
    scene.desk.wait(40)
    assert scene.told == [("timed_out", None, 1004.0)]
    scene.errand.receive_response(answer(scene.request), 1041.0)
    assert scene.told == [("timed_out", None, 1004.0)]


def test_its_patience_is_not_renewed_by_a_challenge() -> None:
    scene = Scene(authenticator=wanting(), patience_s=4.0)
    scene.desk.wait(3)
    scene.desk.respond(scene.request, 401, CHALLENGE)
    scene.desk.wait(40)
    assert scene.told == [("timed_out", None, 1004.0)]


def test_a_transport_that_fails_is_the_result() -> None:
    scene = Scene()
    scene.errand.fail_transport(Hop(SERVER.host, 5999), 1000.5)
    scene.errand.fail_transport(SERVER, 1001.0)
    scene.errand.fail_transport(SERVER, 1002.0)
    assert scene.told == [("unreachable", None, 1001.0)]
    assert (scene.errand.is_finished, scene.errand.next_wake) == (True, inf)


def test_a_challenge_is_answered_with_the_next_number_and_a_new_branch() -> None:
    scene = Scene(authenticator=wanting(b"carrier"))
    scene.desk.respond(scene.request, 401, CHALLENGE)
    (second,) = scene.desk.requests()
    proof = md5(
        md5(b"alice:carrier:wonder").hexdigest().encode()
        + b":n1:"
        + md5(b"OPTIONS:sip:192.0.2.70:5070").hexdigest().encode()
    ).hexdigest()
    assert second.raw(b"authorization") == [
        b'Digest username="alice", realm="carrier", nonce="n1", uri="sip:192.0.2.70:5070", '
        b'response="%b", algorithm=MD5' % proof.encode()
    ]
    assert [(r.call_id, r.from_tag, r.cseq.number, r.branch) for r in (scene.request, second)] == [
        (b"id", b"tag", 1, b"z9hG4bKtoken.1"),
        (b"id", b"tag", 2, b"z9hG4bKtoken.2"),
    ]
    scene.desk.respond(second, 200)
    assert scene.told == [("answered", 200, 1000.0)]


def test_credentials_that_are_refused_are_not_sent_again() -> None:
    scene = Scene(authenticator=wanting())
    scene.desk.respond(scene.request, 401, CHALLENGE)
    (second,) = scene.desk.requests()
    scene.desk.respond(second, 401, CHALLENGE)
    assert (scene.desk.requests(), scene.told) == ([], [("answered", 401, 1000.0)])


def test_a_stale_nonce_is_forgiven_once() -> None:
    scene = Scene(authenticator=wanting())
    request, requests = scene.request, [scene.request]
    for challenge in (CHALLENGE, STALE, STALE):
        scene.desk.respond(request, 401, challenge)
        sent = scene.desk.requests()
        requests += sent
        request = requests[-1]
    assert [r.cseq.number for r in requests] == list(range(1, REQUESTS_PER_ERRAND_MAX + 1))
    assert scene.told == [("answered", 401, 1000.0)]


@given(realm=st.binary(max_size=12).filter(lambda realm: not set(realm) & set(b'\r\n\0"\\')))
def test_no_other_realm_than_the_trunks_gets_credentials(realm: bytes) -> None:
    scene = Scene(authenticator=wanting(b"carrier"))
    header = b'Digest realm="%b", nonce="n"' % realm
    scene.desk.respond(scene.request, 407, (b"Proxy-Authenticate", header))
    sent = [request.raw(b"proxy-authorization") != [] for request in scene.desk.requests()]
    assert sent == ([True] if realm == b"carrier" else [])


def test_a_request_that_grew_too_long_goes_over_tcp_where_the_trunk_allows_it() -> None:
    line = trunk_line(credentials=CREDENTIALS, large_over_tcp=True)
    scene = Scene(line, authenticator=wanting())
    long_nonce = b'Digest realm="carrier", nonce="%b"' % (b"n" * 1200)
    scene.desk.respond(scene.request, 401, (b"WWW-Authenticate", long_nonce))
    ((data, hop),) = scene.desk.datagrams()
    message = parse(data)
    assert (hop, scene.errand.hop) == (Hop("192.0.2.70", 5070, "tcp"),) * 2
    assert message.top_via.transport == b"TCP"


def answer(request: Request, status: bytes = b"200 OK") -> Response:
    lines = [
        b"SIP/2.0 " + status,
        b"Via: " + request.raw(b"via")[0],
        b"From: " + request.raw(b"from")[0],
        b"To: " + request.raw(b"to")[0],
        b"Call-ID: " + request.call_id,
        b"CSeq: " + request.raw(b"cseq")[0],
    ]
    response = parse(b"\r\n".join(lines) + b"\r\n\r\n")
    assert isinstance(response, Response)
    return response


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"via", b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKtoken.9"),
        (b"cseq", b"1 REGISTER"),
    ],
)
def test_a_response_to_something_else_means_nothing(field: bytes, value: bytes) -> None:
    scene = Scene()
    response = answer(scene.request)
    response.fields[field] = [value]
    scene.errand.receive_response(response, 1000.0)
    assert (scene.told, scene.errand.silent_hosts) == ([], (SERVER.host,))


def test_a_response_that_cannot_be_read_changes_nothing() -> None:
    scene = Scene()
    response = answer(scene.request)
    response.fields[b"cseq"] = [b"x OPTIONS"]
    with pytest.raises(SipParseError):
        scene.errand.receive_response(response, 1000.0)
    assert (scene.told, scene.errand.silent_hosts) == ([], (SERVER.host,))


def test_an_errand_that_is_broken_off_says_so_once() -> None:
    scene = Scene()
    scene.desk.wait(0.6)
    scene.errand.abandon("lost")
    scene.errand.abandon("lost")
    assert scene.told == [("abandoned", None, 1000.5)]


def test_a_fault_in_whoever_is_told_is_not_told_of_again() -> None:
    calls = []

    def fail(done: ErrandDone, now: float) -> None:
        calls.append(done.how)
        raise ZeroDivisionError

    errand = Errand(trunk_line(), SUBJECT, open_series(Chance()), fail)
    request = Desk().begin(errand)
    with pytest.raises(ZeroDivisionError):
        errand.receive_response(answer(request), 1000.0)
    errand.abandon("lost")
    assert (calls, errand.is_finished) == (["answered"], True)


@pytest.mark.parametrize(
    ("method", "to", "sender", "answers"),
    [
        (b"OPTIONS", b"<sip:192.0.2.70:5070>", b"<sip:us@x>;tag=tag", [482]),
        (b"OPTIONS", b"<sip:192.0.2.70:5070>", b"<sip:them@x>;tag=other", [481]),
        (b"BYE", b"<sip:x>;tag=tag", b"<sip:them@x>;tag=other", [481]),
        (b"ACK", b"<sip:x>;tag=tag", b"<sip:them@x>;tag=other", []),
    ],
)
def test_a_request_with_its_call_id_is_refused_and_leaves_nothing(
    method: bytes, to: bytes, sender: bytes, answers: list[int]
) -> None:
    scene = Scene()
    data = build_request(
        method,
        b"sip:us@192.0.2.1",
        (
            (b"Via", b"SIP/2.0/UDP 192.0.2.70:5070;branch=z9hG4bKx"),
            (b"From", sender),
            (b"To", to),
            (b"Call-ID", b"id"),
            (b"CSeq", b"1 " + method),
        ),
    )
    request = parse(data)
    assert isinstance(request, Request)
    scene.errand.receive_request(request, SERVER, 1000.0)
    sent = [(int(answer[8:11]), hop) for answer, hop in scene.desk.datagrams()]
    assert sent == [(status, SERVER) for status in answers]
    assert scene.told == []


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (b"403 Forbidden", "The registrar answered 403 Forbidden."),
        (b"404", "The registrar answered 404."),
        (b"500 a\x1b[2J\tb\xff", "The registrar answered 500 a [2J b\ufffd."),
        (b"500 " + b"x" * 500, "The registrar answered 500 " + "x" * 80 + "."),
    ],
)
def test_a_response_is_told_in_one_sentence(status: bytes, sentence: str) -> None:
    done = ErrandDone("answered", answer(Scene().request, status))
    assert done.describe("The registrar") == sentence


def test_what_has_no_response_is_told_in_one_sentence_too() -> None:
    sentences = [
        ErrandDone("timed_out").describe("It"),
        ErrandDone("unreachable").describe("It"),
        ErrandDone("abandoned").describe("It"),
    ]
    assert sentences == [
        "It did not answer.",
        "It cannot be reached.",
        "It was not asked to the end.",
    ]
