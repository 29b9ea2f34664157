"""Whatever a callee says, in whatever order, a call ends once, leaves nothing behind, and breaks no rule
that holds in every dialog. A failure names its seed."""

from __future__ import annotations

from math import inf
from random import Random

import pytest

from adapters.sip.call.outbox import CallEvent, MediaAgreed
from adapters.sip.call.uac import OutboundCall
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.message import Request, parse
from engine.ports.telephony import Ended, Ringing
from tests.adapters.sip.lineup import CONTACT, SDP_TYPE, TRUNK, Headers, Lineup, answer_sdp
from tests.sizes import size

SEEDS = range(8)
DIALOGUES = size(100, 2_000)
STEPS = 30
OPEN_MAX = 12
"""Requests of ours that the callee still remembers."""

STATUSES = (100, 180, 180, 183, 183, 200, 200, 200, 200, 401, 408, 422, 481, 486, 491, 500, 503)
TAGS = (b"callee", b"callee", b"callee", b"fork")
METHODS = (b"UPDATE", b"INVITE", b"ACK", b"INFO", b"OPTIONS", b"REFER", b"CANCEL", b"BYE")
PAUSES = (0.0, 0.3, 0.6, 2.0, 5.0, 33.0, 50.0, 500.0)
BODIES = (b"", answer_sdp(), answer_sdp(port=7000), answer_sdp(host="0.0.0.0"), b"v=0")


class Dialogue:
    """A call and a callee without manners."""

    def __init__(self, seed: str) -> None:
        self._dice = Random(seed)
        self._lineup = Lineup(
            credentials=self._dice.choice((None, Credentials(b"user", b"secret"))),
            session_expires_s=self._dice.choice((0, 90, 1800)),
        )
        self._call: OutboundCall
        self._call, self._invite = self._lineup.dial()
        self._open = [self._invite]
        self._events: list[CallEvent] = []
        self._rseq = 0
        self._numbers: dict[bytes, int] = {}
        """By branch."""
        self._highest: dict[bytes | None, int] = {}
        """By the callee's tag."""

    def run(self) -> None:
        for _ in range(STEPS):
            step = self._dice.choice((self._respond,) * 6 + (self._ask,) * 3 + (self._pause,) * 2)
            step()
            self._look()
        self._lineup.hang_up(self._call)
        self._lineup.wait(200.0)
        self._look()
        statistics = self._lineup.core.statistics()
        assert self._lineup.core.take_faults() == []
        assert (statistics.calls_kept, self._lineup.core.next_wake()) == (0, inf)
        self._check_events()

    def _respond(self) -> None:
        """Answer any request of ours, most often the last one."""
        dice = self._dice
        request = dice.choice((*self._open, *[self._open[-1]] * 3))
        headers: list[tuple[bytes, bytes]] = [CONTACT, SDP_TYPE]
        status = dice.choice(STATUSES)
        if 100 < status < 200 and dice.random() < 0.6:
            self._rseq += dice.choice((0, 1, 1, 1, 2))
            headers += [(b"Require", b"100rel"), (b"RSeq", b"%d" % self._rseq)]
        if dice.random() < 0.6:
            terms = dice.choice((b"2;refresher=uac", b"4;refresher=uas", b"90", b"1800"))
            headers.append((b"Session-Expires", terms))
        if dice.random() < 0.5:
            headers.append((b"Allow", b"INVITE, UPDATE"))
        if status == 401:
            nonce = b"%d" % dice.randrange(3)
            headers.append((b"WWW-Authenticate", b'Digest realm="r", nonce="%b"' % nonce))
        headers.append((b"Min-SE", b"%d" % dice.choice((90, 2000, 3000))))
        headers.append((b"Retry-After", b"%d" % dice.choice((0, 3))))
        tag = dice.choice(TAGS)
        body = dice.choice(BODIES)
        self._lineup.respond(request, status, tag=tag, headers=tuple(headers), body=body)

    def _ask(self) -> None:
        dice = self._dice
        method = dice.choice(METHODS[: dice.choice((3, 8))])
        headers: Headers = (
            (b"Supported", b"timer"),
            *((b"Session-Expires", value) for value in dice.choice(((), (b"90",), (b"4",)))),
        )
        body = dice.choice(BODIES) if method in (b"INVITE", b"UPDATE", b"ACK") else b""
        number = dice.randrange(1, 40)
        self._lineup.ask(
            self._invite,
            method,
            cseq=number,
            branch=b"z9hG4bK%d" % number,
            tag=dice.choice(TAGS),
            headers=(*headers, SDP_TYPE) if body else headers,
            body=body,
        )

    def _pause(self) -> None:
        self._lineup.wait(self._dice.choice(PAUSES))
        if self._dice.random() < 0.05:
            self._lineup.hang_up(self._call)
        if self._dice.random() < 0.05:
            self._lineup.core.fail_transport(TRUNK, self._lineup.now)

    def _look(self) -> None:
        """Take what was sent and told."""
        for data, _ in self._lineup.datagrams():
            message = parse(data)
            if isinstance(message, Request):
                self._check_number(message)
                if message.method != b"ACK":
                    self._open = [*self._open[-OPEN_MAX:], message]
        self._events += self._lineup.events()

    def _check_number(self, request: Request) -> None:
        """Inside a dialog numbers rise, but for those of ACK and CANCEL, and a repetition keeps its own
        (RFC 3261 §12.2.1.1). A new INVITE begins new dialogs."""
        if request.method in (b"ACK", b"CANCEL"):
            return
        assert request.branch is not None
        number, tag = request.cseq.number, request.to_tag
        if request.branch not in self._numbers:
            if tag is None:
                self._highest.clear()
            assert number > self._highest.get(tag, 0), request.method
            self._highest[tag] = number
        assert self._numbers.setdefault(request.branch, number) == number

    def _check_events(self) -> None:
        """Ringing once, first media once, and the end once, at the end."""
        kinds = [type(event) for event in self._events]
        assert kinds.count(Ended) == 1
        assert kinds[-1] is Ended
        assert kinds.count(Ringing) <= 1
        firsts = [event.is_first for event in self._events if isinstance(event, MediaAgreed)]
        assert firsts == [True] * bool(firsts) + [False] * (len(firsts) - 1)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_call_with_a_callee_without_manners_ends_once_and_is_forgotten(seed: int) -> None:
    for number in range(DIALOGUES):
        name = f"{seed}.{number}"
        try:
            Dialogue(name).run()
        except Exception as error:
            raise AssertionError(f"dialogue {name}") from error
