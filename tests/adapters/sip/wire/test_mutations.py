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

from adapters.sip.call.uac import FORKS_MAX, OutboundCall
from adapters.sip.call.uas import TRANSACTIONS_MAX
from adapters.sip.core import FAULTS_MAX
from adapters.sip.wire.digest import Credentials, read_challenges
from adapters.sip.wire.fields import read_q850, read_retry_after
from adapters.sip.wire.message import Request, Response, SipParseError, build_response, parse
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
    read_q850(message.raw(b"reason"))
    read_retry_after(message.first(b"retry-after"))
    if isinstance(message, Response):
        assert 100 <= message.status < 700
        assert isinstance(message.reason_text, str)
        return
    next_hop(message.uri, TRUNK)
    is_loose(message.uri)
    with contextlib.suppress(SipParseError):
        read_uri(message.uri)
    with contextlib.suppress(SipParseError):
        # What can be read can be echoed, and what is echoed can be read.
        echo = parse(build_response(message, 400, to_tag=b"tag"))
        assert echo.raw(b"via") == message.raw(b"via")


def messages_of_a_call() -> tuple[bytes, ...]:
    """What the callee might say in the first call of any line-up, before it is up and afterwards."""
    lineup = Lineup()
    call, invite = lineup.answer()
    lineup.hang_up(call)
    (bye,) = lineup.requests()
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
            (200, b"callee", extra, answer_sdp()),
            (200, b"fork", extra, answer_sdp()),
            (401, b"callee", ((b"WWW-Authenticate", CHALLENGE),), b""),
            (407, b"callee", ((b"Proxy-Authenticate", CHALLENGE),), b""),
            (486, b"callee", ((b"Reason", b'Q.850;cause=17;text="busy"'),), b""),
            (503, b"callee", ((b"Retry-After", b"120 (later)"),), b""),
        )
    ]
    found += [build_response(bye, status, to_tag=b"callee") for status in (200, 481)]
    found.append(
        build_response(bye, 401, to_tag=b"callee", headers=((b"WWW-Authenticate", CHALLENGE),))
    )
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
            (b"BREW", (), b""),
        )
    ]
    # These weigh more than the odd ones behind them, most of which are refused to begin with.
    found *= 6
    found += [into_call(point.data, invite) for point in POINTS if point.data[:4] != b"SIP/"]
    return tuple(found)


CORPUS = (*messages_of_a_call(), *(point.data for point in POINTS))


def begun(turn: int) -> tuple[Lineup, OutboundCall]:
    """A call that rings nowhere yet, one that is up, and one that is being hung up, in turns."""
    lineup = Lineup(credentials=Credentials(b"user", b"secret"))
    if turn % 3 == 0:
        call, _ = lineup.dial()
    else:
        call, _ = lineup.answer()
    if turn % 3 == 2:
        lineup.hang_up(call)
    lineup.datagrams()
    lineup.core.take_events()
    return lineup, call


def check_bounds(lineup: Lineup, call: OutboundCall) -> None:
    statistics = lineup.core.statistics()
    assert (statistics.faults, lineup.core.take_faults()) == (0, [])
    assert statistics.calls_kept <= 1
    assert len(lineup.core._heap) <= 2 * BATCH
    assert len(call._requester.acks) <= FORKS_MAX
    assert len(call._requester.exchanges) <= 4 + 2 * FORKS_MAX
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
