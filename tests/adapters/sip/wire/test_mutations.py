"""Mutated messages of the suite: nothing but the typed error comes of them, they cost little, and
they leave nothing behind. A failure names its seed and shows the message."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from heapq import heappushpop
from math import inf
from random import Random
from time import thread_time

import pytest

from adapters.sip.call.early import FORKS_MAX
from adapters.sip.call.redirect import redirected_to
from adapters.sip.call.uac import PRACKS_MAX, OutboundCall
from adapters.sip.call.uas import TRANSACTIONS_MAX
from adapters.sip.core import FAULTS_MAX
from adapters.sip.wire.digest import Credentials, read_challenges
from adapters.sip.wire.fields import read_q850, read_retry_after, read_session_expires
from adapters.sip.wire.message import Request, Response, SipParseError, build_response, parse
from adapters.sip.wire.multipart import session_description
from adapters.sip.wire.uri import is_loose, next_hop, read_uri
from tests.adapters.sip.lineup import CONTACT, SDP_TYPE, TRUNK, Lineup, answer_sdp
from tests.adapters.sip.wire.test_torture_verdicts import into_call
from tests.adapters.sip.wire.torture import POINTS, written
from tests.sizes import size

SEEDS = range(10)
MESSAGES_PER_SEED = size(5_000, 100_000)
"""Times the seeds: 50,000 under `make test`, a million under `make test-long`."""
BATCH = 100
"""Messages that one core gets. Half of all messages go to a core."""
CPU_S_MAX = 0.010
"""Of parsing a message, reading its views and handling it in a call."""
SUSPECTS = 5
"""The slowest messages of a seed, which are measured again."""
MESSAGE_BYTES_MAX = 65_507
"""No UDP datagram holds more."""
SENT_MAX = 4
"""Most datagrams that one message may cause."""

EXCHANGES_MAX = 4 + 2 * FORKS_MAX + PRACKS_MAX + 8
"""INVITE and CANCEL, their challenged twins, a BYE and its twin for each fork, the PRACKs, and the
refreshes of the few seconds that a batch lasts."""

VIEWS = (
    "branch", "from_tag", "to_tag", "from_addr", "to_addr", "cseq", "vias", "top_via", "contact",
    "content_type",
)  # fmt: skip
LISTS = (b"record-route", b"route", b"require", b"supported", b"reason", b"accept", b"contact")
CHALLENGE = (
    b'Digest realm="tr\\"unk", nonce="n0", qop="auth,auth-int", algorithm=SHA-256, stale=false'
)
ODD = (
    b'"', b"<", b">", b",", b";", b"=", b"\\", b"\\\0", b"\0", b"\r", b"\n", b"\r\n", b"\r\n ", b" ", b"\t",
    b":", b"@", b"%", b"%00", b"[", b"]", b"*", b"(", b"/", b"?", b"\xff", b"\xc3\xa9", b";;", b',"', b'\\"',
)  # fmt: skip
NUMBERS = (
    b"0", b"-1", b"00000000000000000000007", b"65536", b"2147483647", b"2147483648", b"4294967296",
    b"18446744073709551616", b"9" * 300, b"9" * 5000, b"1e9", b"0x10", b"\xd9\xa3",
)  # fmt: skip
_DIGITS = re.compile(rb"[0-9]+")

Mutation = Callable[[Random, bytes, tuple[bytes, ...]], bytes]


def flip_bits(dice: Random, data: bytes, corpus: tuple[bytes, ...]) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def a_slice(dice: Random, data: bytes) -> tuple[int, int]:
    begin = dice.randrange(len(data))
    return begin, min(len(data), begin + int(dice.expovariate(1 / 12)) + 1)


def delete(dice: Random, data: bytes, corpus: tuple[bytes, ...]) -> bytes:
    begin, end = a_slice(dice, data)
    return data[:begin] + data[end:]


def duplicate(dice: Random, data: bytes, corpus: tuple[bytes, ...]) -> bytes:
    begin, end = a_slice(dice, data)
    times = dice.choice((2, 2, 3, 70, 700))
    return data[:begin] + data[begin:end] * times + data[end:]


def insert(dice: Random, data: bytes, corpus: tuple[bytes, ...]) -> bytes:
    at = dice.randrange(len(data))
    times = dice.choice((1, 1, 1, 2, 40, 4000))
    return data[:at] + dice.choice(ODD) * times + data[at:]


def splice(dice: Random, data: bytes, corpus: tuple[bytes, ...]) -> bytes:
    other = dice.choice(corpus)
    return data[: dice.randrange(len(data))] + other[dice.randrange(len(other)) :]


def repeat_line(dice: Random, data: bytes, corpus: tuple[bytes, ...]) -> bytes:
    lines = data.split(b"\r\n")
    at = dice.randrange(len(lines))
    lines[at:at] = [lines[at]] * dice.choice((1, 1, 2, 10, 60, 300))
    return b"\r\n".join(lines)


def swap_values(dice: Random, data: bytes, corpus: tuple[bytes, ...]) -> bytes:
    """Two headers exchange their values."""
    lines = data.split(b"\r\n")
    one, two = dice.randrange(len(lines)), dice.randrange(len(lines))
    (name, colon, value), (name2, colon2, value2) = (
        lines[one].partition(b":"), lines[two].partition(b":"),
    )  # fmt: skip
    lines[one], lines[two] = name + colon + value2, name2 + colon2 + value
    return b"\r\n".join(lines)


def enlarge_number(dice: Random, data: bytes, corpus: tuple[bytes, ...]) -> bytes:
    found = list(_DIGITS.finditer(data))
    if not found:
        return data
    number = dice.choice(found)
    return data[: number.start()] + dice.choice(NUMBERS) + data[number.end() :]


def truncate(dice: Random, data: bytes, corpus: tuple[bytes, ...]) -> bytes:
    return data[: dice.randrange(len(data))]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, delete, duplicate, insert, splice, repeat_line, swap_values, enlarge_number, truncate,
)  # fmt: skip


def mutated(dice: Random, corpus: tuple[bytes, ...]) -> bytes:
    """One of the messages with up to three mutations, and one in sixteen with none."""
    data = dice.choice(corpus)
    for _ in range(dice.choice((0, *[1] * 8, *[2] * 5, 3, 3))):
        if data:
            data = dice.choice(MUTATIONS)(dice, data, corpus)[:MESSAGE_BYTES_MAX]
    return data


def read_everything(data: bytes) -> None:
    """Parse, and ask for whatever can be asked for. Only `SipParseError` may come of it."""
    try:
        message = parse(data)
    except SipParseError:
        return
    for view in VIEWS:
        with contextlib.suppress(SipParseError):
            getattr(message, view)
    for name in LISTS:
        with contextlib.suppress(SipParseError):
            message.listed(name)
    for value in message.raw(b"www-authenticate"):
        with contextlib.suppress(SipParseError):
            read_challenges(value)
    for value in message.raw(b"session-expires"):
        with contextlib.suppress(SipParseError):
            read_session_expires(value)
    assert len(session_description(message)) <= len(message.body)
    read_q850(message.raw(b"reason"))
    read_retry_after(message.first(b"retry-after"))
    if isinstance(message, Response):
        assert 100 <= message.status < 700
        assert isinstance(message.reason_text, str)
        number = redirected_to(message)
        assert number is None or number.lstrip("+").isdigit()
        return
    next_hop(message.uri, TRUNK)
    is_loose(message.uri)
    with contextlib.suppress(SipParseError):
        read_uri(message.uri)
    with contextlib.suppress(SipParseError):
        # What can be read can be echoed, and what is echoed can be read.
        echo = parse(build_response(message, 400, to_tag=b"tag"))
        assert echo.raw(b"via") == message.raw(b"via")


RELIABLE = ((b"Require", b"100rel"), (b"RSeq", b"1"))
TIMER = (b"Session-Expires", b"1800;refresher=uac")
ALLOW = (b"Allow", b"INVITE, ACK, BYE, UPDATE")
MIN_SE = (b"Min-SE", b"1900")
MIXED = (b"Content-Type", b'multipart/mixed;boundary="edge"')


def mixed(sdp: bytes) -> bytes:
    return (
        b"--edge\r\nContent-Type: application/isup;version=itu-t92+\r\n"
        b"Content-Disposition: signal;handling=optional\r\n\r\n\x01\x00\x49\r\n"
        b"--edge\r\nContent-Type: application/sdp\r\n\r\n" + sdp + b"\r\n--edge--\r\n"
    )


Begun = tuple[OutboundCall, Request]
"""A call, and the last request that it sent."""


def dialled(lineup: Lineup) -> Begun:
    """The INVITE is out."""
    return lineup.dial()


def up(lineup: Lineup) -> Begun:
    """The callee has answered."""
    return lineup.answer()


def being_hung_up(lineup: Lineup) -> Begun:
    """Our BYE is out."""
    call, _ = lineup.answer()
    lineup.hang_up(call)
    return call, lineup.requests()[-1]


def ringing(lineup: Lineup) -> Begun:
    """Our PRACK is out, in an early dialog."""
    call, invite = lineup.dial()
    lineup.respond(invite, 183, headers=(CONTACT, *RELIABLE, SDP_TYPE), body=answer_sdp())
    return call, lineup.requests()[-1]


def reinviting(lineup: Lineup) -> Begun:
    """Our refresh is out, a re-INVITE."""
    call, _ = lineup.answer(headers=(TIMER,))
    lineup.wait(900.0)
    return call, lineup.requests()[-1]


def updating(lineup: Lineup) -> Begun:
    """Our refresh is out, an UPDATE."""
    call, _ = lineup.answer(headers=(TIMER, ALLOW))
    lineup.wait(900.0)
    return call, lineup.requests()[-1]


STAGES: tuple[Callable[[Lineup], Begun], ...] = (
    dialled, up, being_hung_up, ringing, reinviting, updating,
)  # fmt: skip


def responses_to_requests_inside() -> list[bytes]:
    """What the callee might say to our BYE, PRACK and refreshes."""
    found = []
    for stage in (being_hung_up, ringing, reinviting, updating):
        _, request = stage(Lineup())
        sdp = stage is reinviting
        found += [
            build_response(request, status, to_tag=b"callee", headers=headers, body=body)
            for status, headers, body in (
                (200, (CONTACT, TIMER, *([SDP_TYPE] if sdp else [])), answer_sdp() if sdp else b""),
                (401, ((b"WWW-Authenticate", CHALLENGE),), b""),
                (422, (MIN_SE,), b""),
                (481, (), b""),
                (491, (), b""),
                (500, ((b"Retry-After", b"1"),), b""),
            )
        ]
    return found


def messages_of_a_call() -> tuple[bytes, ...]:
    """What the callee might say in the first call of any line-up, before it is up and afterwards."""
    _, invite = dialled(Lineup())
    extra = (
        CONTACT,
        SDP_TYPE,
        (b"Record-Route", b"<sip:192.0.2.70:5070;lr>, <sip:edge.example;lr>"),
    )
    found = [
        build_response(invite, status, to_tag=tag, headers=headers, body=body)
        for status, tag, headers, body in (
            (100, None, (), b""),
            (180, b"callee", (CONTACT,), b""),
            (183, b"callee", extra, answer_sdp()),
            (183, b"callee", (*extra, *RELIABLE), answer_sdp()),
            (180, b"fork", (CONTACT, (b"Require", b"100rel"), (b"RSeq", b"2")), b""),
            (200, b"callee", extra, answer_sdp()),
            (200, b"callee", (CONTACT, TIMER, ALLOW, MIXED), mixed(answer_sdp())),
            (200, b"fork", extra, answer_sdp()),
            (302, b"callee", ((b"Contact", b"<sip:+14155550123@x>;q=0.7, <tel:+1-2>;q=0.8"),), b""),
            (422, b"callee", (MIN_SE,), b""),
            (401, b"callee", ((b"WWW-Authenticate", CHALLENGE),), b""),
            (407, b"callee", ((b"Proxy-Authenticate", CHALLENGE),), b""),
            (486, b"callee", ((b"Reason", b'Q.850;cause=17;text="busy"'),), b""),
            (503, b"callee", ((b"Retry-After", b"120 (later)"),), b""),
        )
    ]
    found += responses_to_requests_inside()
    found += [
        into_call(written(method + b" sip:us@192.0.2.1 SIP/2.0", *more, body=body), invite)
        for method, more, body in (
            (b"BYE", (b"Reason: Q.850;cause=16",), b""),
            (b"CANCEL", (), b""),
            (b"ACK", (), b""),
            (b"INFO", (b"Content-Type: application/dtmf-relay",), b"Signal=5\r\n"),
            (b"OPTIONS", (), b""),
            (b"INVITE", (), b""),
            (b"INVITE", (b"Content-Type: application/sdp",), answer_sdp(port=7000)),
            (b"UPDATE", (b"Content-Type: application/sdp",), answer_sdp(port=7002)),
            (b"UPDATE", (b"Contact: <sip:new@198.51.100.8>",), b""),
            (b"UPDATE", (b"Supported: timer", b"Session-Expires: 600;refresher=uac"), b""),
            (b"UPDATE", (b"Supported: timer", b"Session-Expires: 20", b"Require: timer"), b""),
            (
                b"INVITE",
                (b"Content-Type: application/sdp", b"Supported: timer", b"x: 90;refresher=uas"),
                answer_sdp(host="0.0.0.0"),
            ),
            (b"INVITE", (b"Content-Type: multipart/mixed;boundary=edge",), mixed(answer_sdp())),
            (b"REFER", (b"Refer-To: <sip:+19005550100@example>",), b""),
            (b"PRACK", (b"RAck: 1 1 INVITE",), b""),
            (b"BREW", (), b""),
        )
    ]
    # These weigh more than the odd ones behind them, most of which are refused to begin with.
    found *= 6
    found += [into_call(point.data, invite) for point in POINTS if point.data[:4] != b"SIP/"]
    return tuple(found)


CORPUS = (*messages_of_a_call(), *(point.data for point in POINTS))


def begun(turn: int) -> tuple[Lineup, OutboundCall]:
    """A call in each stage in turns."""
    lineup = Lineup(credentials=Credentials(b"user", b"secret"), follows_redirects=True)
    call, _ = STAGES[turn % len(STAGES)](lineup)
    lineup.datagrams()
    lineup.core.take_events()
    return lineup, call


def check_bounds(lineup: Lineup, call: OutboundCall) -> None:
    statistics = lineup.core.statistics()
    assert (statistics.faults, lineup.core.take_faults()) == (0, [])
    assert statistics.calls_kept <= 1
    assert len(lineup.core._heap) <= 2 * BATCH
    assert len(call._requester.acks) <= FORKS_MAX
    assert len(call._requester.exchanges) <= EXCHANGES_MAX
    assert len(tuple(call.dialogs)) <= FORKS_MAX
    if call._answerer is not None:
        assert len(call._answerer._transactions) <= TRANSACTIONS_MAX


def give(lineup: Lineup, data: bytes) -> None:
    """Let a core have a message, from its trunk, and look at what it does at once."""
    lineup.now += 0.05
    lineup.core.receive(data, TRUNK, lineup.now)
    sent = lineup.datagrams()
    assert len(sent) <= SENT_MAX
    assert len(lineup.core.take_events()) <= SENT_MAX
    for answer, _ in sent:
        assert answer.endswith(b"\r\n") or b"\r\n\r\n" in answer
    lineup.core.wake(lineup.now)
    lineup.datagrams()
    lineup.core.take_events()


def finish(lineup: Lineup, call: OutboundCall) -> None:
    """Whatever was said in it, a call that is hung up is forgotten in the end."""
    lineup.hang_up(call)
    lineup.wait(600.0)
    lineup.datagrams()
    lineup.core.take_events()
    statistics = lineup.core.statistics()
    assert (statistics.calls_kept, statistics.faults, lineup.core.next_wake()) == (0, 0, inf)


def runs(dice: Random) -> Iterator[tuple[int, bytes]]:
    for number in range(MESSAGES_PER_SEED):
        yield number, mutated(dice, CORPUS)


def cost(data: bytes, turn: int) -> float:
    """Seconds of CPU that a message takes, in a call of its own."""
    lineup, _ = begun(turn)
    began = thread_time()
    read_everything(data)
    give(lineup, data)
    return thread_time() - began


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_mutated_message_gets_nothing_but_the_typed_error_and_leaves_nothing(seed: int) -> None:
    slowest: list[tuple[float, bytes, int]] = [(0.0, b"", 0)] * SUSPECTS
    turn = 0
    lineup, call = begun(turn)
    for number, data in runs(Random(seed)):
        began = thread_time()
        try:
            read_everything(data)
            if number % 2 == 0:
                give(lineup, data)
                check_bounds(lineup, call)
        except Exception as error:
            raise AssertionError(f"seed {seed}, message {number}: {data!r}") from error
        heappushpop(slowest, (thread_time() - began, data, turn))
        if number % (2 * BATCH) == 2 * BATCH - 1:
            finish(lineup, call)
            turn += 1
            lineup, call = begun(turn)
    finish(lineup, call)
    for _, data, turn in slowest:
        # The best of three: what a message costs itself, and not the machine's other business.
        assert min(cost(data, turn) for _ in range(3)) < CPU_S_MAX, data


@pytest.mark.parametrize("is_canceled", [False, True])
def test_a_call_whose_callee_hangs_up_while_its_200_is_lost_is_forgotten(is_canceled: bool) -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.respond(invite, 183)
    if is_canceled:
        lineup.hang_up(call)
    lineup.ask(invite, b"BYE")
    lineup.datagrams()
    lineup.respond(invite, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    assert lineup.methods()[:2] == [b"ACK", b"BYE"]
    finish(lineup, call)


@pytest.mark.parametrize("is_canceled", [False, True])
def test_a_call_whose_callee_hangs_up_and_never_answers_is_forgotten(is_canceled: bool) -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.respond(invite, 183)
    if is_canceled:
        lineup.hang_up(call)
    lineup.ask(invite, b"BYE")
    finish(lineup, call)


def test_the_mutations_reach_what_they_are_for() -> None:
    """A fuzz run whose messages were all refused at the first line would prove nothing."""
    dice = Random(1)
    lineup, _ = begun(1)
    kinds = {"refused": 0, "request": 0, "response": 0, "answered": 0}
    for _ in range(2_000):
        data = mutated(dice, CORPUS)
        try:
            message = parse(data)
            kinds["request" if isinstance(message, Request) else "response"] += 1
        except SipParseError:
            kinds["refused"] += 1
        lineup.core.receive(data, TRUNK, lineup.now)
        kinds["answered"] += bool(lineup.datagrams())
    assert min(kinds.values()) > 200, kinds
    assert len(lineup.core.take_faults()) < FAULTS_MAX
