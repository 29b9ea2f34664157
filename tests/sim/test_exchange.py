"""The carrier without sockets: whole calls, message by message and moment by moment."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.sip.wire.message import Request, Response, parse
from sim.call_log import CallRecord, CarrierStatistics, LateRequest
from sim.exchange import Exchange
from sim.profile import Profile, Shares, Spread, always
from sim.rtp import Streams
from tests.sim.caller import SOURCE, Caller

SIGNALLING = ("127.0.0.1", 5070)
MEDIA = ("127.0.0.1", 7000)
PROMPT = Profile(ring_s=always(0.0), talk_s=always(10.0))
"""Everybody answers at once."""


class Line:
    """An exchange, the clock, and what it says to its callers."""

    def __init__(self, profile: Profile = PROMPT) -> None:
        self.streams = Streams(10)
        self.exchange = Exchange(profile, 1, SIGNALLING, MEDIA, self.streams)
        self.now = 1000.0

    def send(self, data: bytes, source: tuple[str, int] = SOURCE) -> list[str]:
        """What comes back for a datagram: `180 INVITE`, or `BYE`."""
        self.exchange.receive(data, source, self.now)
        return self.heard()

    def wait(self, duration_s: float) -> list[str]:
        """What comes while time passes."""
        until = self.now + duration_s
        while self.exchange.wake_at <= until:
            self.now = self.exchange.wake_at
            self.exchange.advance(self.now)
        self.now = until
        return self.heard()

    def heard(self) -> list[str]:
        self.messages = [parse(data) for data, _ in self.exchange.outbox]
        self.exchange.outbox.clear()
        return [
            message.method.decode()
            if isinstance(message, Request)
            else f"{message.status} {message.cseq.method.decode()}"
            for message in self.messages
        ]

    def response(self) -> Response:
        """The last thing that was heard."""
        message = self.messages[-1]
        assert isinstance(message, Response)
        return message

    def call(self, caller: Caller) -> list[str]:
        """Invite, and learn the callee's tag."""
        said = self.send(caller.invite())
        caller.to_tag = self.response().to_tag if self.response().status > 100 else None
        return said

    def records(self) -> list[CallRecord]:
        return [line for line in self.exchange.finished if isinstance(line, CallRecord)]


def test_a_call_from_invite_to_bye() -> None:
    line, caller = Line(), Caller()
    assert line.call(caller) == ["100 INVITE", "180 INVITE", "200 INVITE"]
    assert line.send(caller.ack()) == []
    assert line.wait(3.0) == []
    assert line.send(caller.bye()) == ["200 BYE"]
    assert line.exchange.finished == [
        CallRecord(
            number="+14155550100", caller="+14155550199", call_id=caller.call_id, invite_at=0.0,
            outcome="human", code=200, answered_at=0.0, ended_at=3.0, by="caller", acks=1, byes=1,
        )
    ]  # fmt: skip
    assert line.exchange.statistics() == CarrierStatistics(
        packets=3, invites=1, acks=1, byes=1, outcomes={"human": 1}, codes={200: 1},
        channels_peak=1, kept=1, streams=0,
    )  # fmt: skip


def test_the_callee_hangs_up_after_its_talk_time() -> None:
    line, caller = Line(), Caller()
    line.call(caller)
    line.send(caller.ack())
    assert line.wait(10.0) == ["BYE"]
    bye = line.messages[0]
    assert isinstance(bye, Request)
    assert (bye.uri, bye.to_tag, bye.from_tag) == (
        b"sip:caller@127.0.0.1:5062", b"caller", caller.to_tag,
    )  # fmt: skip
    assert line.send(caller.answer(bye)) == []
    assert line.wait(100.0) == []
    assert [(record.by, record.ended_at) for record in line.records()] == [("callee", 10.0)]
    assert line.exchange.statistics().kept == 0


def test_a_200_without_an_ack_is_repeated_and_ends_in_a_bye() -> None:
    line = Line()
    line.call(Caller())
    assert line.wait(3.5) == ["200 INVITE"] * 3
    said = line.wait(100.0)
    assert (said.count("200 INVITE"), said.count("BYE")) == (7, 11)
    assert [(record.acks, record.resent, record.code) for record in line.records()] == [
        (0, 20, 200)
    ]


def test_retransmitted_requests_get_the_same_answers() -> None:
    line, caller = Line(), Caller()
    line.send(caller.invite())
    first = line.messages
    line.send(caller.invite())
    assert line.messages == first[-1:]
    caller.to_tag = line.response().to_tag
    assert line.send(caller.ack()) == []
    assert line.send(caller.ack()) == []
    line.send(caller.bye())
    first = line.messages
    line.send(caller.bye())
    assert line.messages == first
    line.send(caller.request("BYE", 3, "another"))
    assert line.exchange.finished[1:] == [
        LateRequest(caller.call_id, "bye", is_repeated=True), LateRequest(caller.call_id, "bye"),
    ]  # fmt: skip
    statistics = line.exchange.statistics()
    assert (statistics.invites, statistics.invite_retransmissions, statistics.invites_repeated) == (
        1, 1, 0,
    )  # fmt: skip


def test_a_bye_that_comes_again_while_the_callees_own_waits_is_told_from_a_second_one() -> None:
    line, caller = Line(), Caller()
    line.call(caller)
    line.send(caller.ack())
    assert line.wait(10.0) == ["BYE"]
    [own] = line.messages
    assert isinstance(own, Request)
    for bye in (caller.bye(), caller.bye(), caller.request("BYE", 3, "another")):
        assert line.send(bye) == ["200 BYE"]
    line.send(caller.answer(own))
    assert [(record.byes, record.bye_retransmissions) for record in line.records()] == [(3, 1)]


def test_a_refusal_is_acknowledged_within_its_transaction() -> None:
    line, caller = Line(), Caller("+14155559486")
    assert line.call(caller) == ["100 INVITE", "486 INVITE"]
    assert line.wait(0.5) == ["486 INVITE"]
    assert line.send(caller.ack("invite")) == []
    assert line.wait(100.0) == []
    assert [(r.outcome, r.code, r.by, r.acks, r.resent) for r in line.records()] == [
        ("busy", 486, "callee", 1, 1)
    ]


def test_a_cancel_ends_a_call_that_nobody_answers() -> None:
    line, caller = Line(), Caller("+14155559480")
    assert line.call(caller) == ["100 INVITE", "180 INVITE"]
    line.wait(45.0)
    caller.to_tag = None
    assert line.send(caller.cancel()) == ["200 CANCEL", "487 INVITE"]
    assert line.send(caller.cancel()) == ["200 CANCEL"]
    line.send(caller.ack("invite"))
    assert [(r.outcome, r.code, r.by, r.cancels, r.ended_at) for r in line.records()] == [
        ("no-answer", 487, "cancel", 2, 45.0)
    ]


def test_silence_answers_nothing_and_is_logged() -> None:
    line, caller = Line(), Caller("+14155559408")
    assert line.send(caller.invite()) == []
    assert line.send(caller.invite()) == []
    assert line.send(caller.cancel()) == []
    assert line.send(caller.invite("again", 2)) == []
    assert line.wait(100.0) == []
    assert [(r.outcome, r.code, r.by, r.invite_retransmissions) for r in line.records()] == [
        ("silent", 0, None, 1)
    ]


def test_calls_above_the_ceilings_are_refused_with_retry_after() -> None:
    line = Line(Profile(ring_s=always(0.0), cps_max=2, retry_after_s=7))
    assert [line.call(Caller())[-1] for _ in range(3)] == ["200 INVITE"] * 2 + ["503 INVITE"]
    assert line.response().first(b"retry-after") == b"7"
    line.wait(1.0)
    assert line.call(Caller())[-1] == "200 INVITE"
    statistics = line.exchange.statistics()
    assert (statistics.over_ceiling, statistics.channels, statistics.channels_peak) == (1, 3, 3)
    assert statistics.outcomes == {"human": 3, "congested": 1}


def test_a_channel_is_free_again_when_its_call_ends() -> None:
    line = Line(Profile(ring_s=always(0.0), channels_max=1))
    first = Caller()
    line.call(first)
    assert line.call(Caller())[-1] == "503 INVITE"
    line.send(first.ack())
    line.send(first.bye())
    assert line.call(Caller())[-1] == "200 INVITE"


def test_a_call_that_a_ceiling_refused_is_not_one_that_the_number_had() -> None:
    """So a run under a ceiling repeats, whichever calls the ceiling hits."""
    shares = Shares(busy=0.3, invalid=0.3, congested=0.2)
    free = Line(Profile(shares=shares, post_dial_s=always(0.0)))
    tight = Line(Profile(shares=shares, post_dial_s=always(0.0), cps_max=1))
    for _ in range(8):
        free.call(Caller())
        tight.call(Caller())
        tight.call(Caller())
        tight.wait(1.0)
    assert free.exchange.statistics().over_ceiling == 0
    assert tight.exchange.statistics().over_ceiling == 8
    outcomes = tight.exchange.statistics().outcomes
    outcomes["congested"] -= 8
    assert outcomes == free.exchange.statistics().outcomes


def test_a_second_transaction_with_the_call_id_of_a_live_call_is_a_loop() -> None:
    """RFC 3261 §8.2.2.2."""
    line, caller = Line(), Caller()
    line.call(caller)
    caller.to_tag = None
    assert line.send(caller.invite("other", 2)) == ["482 INVITE"]
    assert line.exchange.statistics().invites_repeated == 1


def test_a_refused_call_can_be_tried_again_under_its_call_id() -> None:
    """As a caller does whose first try lacked credentials."""
    line, caller = Line(), Caller("+14155559486")
    line.send(caller.invite())
    assert line.send(caller.invite("other", 2))[-1] == "486 INVITE"
    line.send(caller.ack("invite"))
    assert line.exchange.statistics().strays == 1
    line.wait(100.0)
    assert [(r.acks, r.invite_at, r.code) for r in line.records()] == [(0, 0.0, 486)] * 2
    assert line.exchange.statistics().invites_repeated == 1


def test_an_invite_inside_a_call_leaves_the_media_as_it_was() -> None:
    line, caller = Line(), Caller()
    line.call(caller)
    line.send(caller.ack())
    assert line.send(caller.invite("again", 3)) == ["488 INVITE"]
    caller.to_tag = b"somebody-else"
    assert line.send(caller.invite("more", 4)) == ["481 INVITE"]


@pytest.mark.parametrize(
    ("method", "said"),
    [("BYE", ["481 BYE"]), ("CANCEL", ["481 CANCEL"]), ("ACK", []), ("INFO", ["481 INFO"]),
     ("OPTIONS", ["200 OPTIONS"]), ("REGISTER", ["405 REGISTER"]), ("NEW", ["405 NEW"])],
)  # fmt: skip
def test_requests_outside_of_any_call_get_their_answers(method: str, said: list[str]) -> None:
    assert Line().send(Caller().request(method, 1, "x")) == said


def test_info_inside_a_call_is_taken() -> None:
    line, caller = Line(), Caller()
    line.call(caller)
    assert line.send(caller.request("INFO", 2, "x")) == ["200 INFO"]


def test_calls_beyond_the_memory_for_them_get_a_503_that_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sim.exchange.LINES_MAX", 2)
    line = Line()
    for _ in range(2):
        line.call(Caller())
    assert line.send(Caller().invite()) == ["503 INVITE"]
    assert line.response().first(b"retry-after") == b"1"
    statistics = line.exchange.statistics()
    assert (statistics.kept, statistics.over_ceiling, statistics.invites) == (2, 1, 3)


def test_the_number_seen_first_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is forgotten counts its calls from 0 again, and so repeats its first fate."""
    monkeypatch.setattr("sim.exchange.NUMBERS_MAX", 2)
    profile = Profile(post_dial_s=Spread(0.0, 5.0, 10.0), shares=Shares(busy=1.0))
    line = Line(profile)

    def delay_of(number: str) -> float:
        caller = Caller(number)
        line.send(caller.invite())
        line.wait(10.0)
        line.send(caller.ack("invite"))
        record = line.records()[-1]
        return round((record.ended_at or 0) - record.invite_at, 5)

    first = delay_of("+1")
    assert delay_of("+1") != first
    delay_of("+2")
    delay_of("+3")
    assert delay_of("+1") == first


def test_a_bye_with_the_wrong_tag_ends_nobodys_call() -> None:
    line, caller = Line(), Caller()
    line.call(caller)
    line.send(caller.ack())
    caller.to_tag = b"wrong"
    assert line.send(caller.bye()) == ["481 BYE"]
    assert line.exchange.statistics().channels == 1


def test_an_offer_without_a_common_codec_is_refused_with_488() -> None:
    line = Line()
    video = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 RTP/AVP 96\r\n"
    assert line.send(Caller().invite(body=video))[-1] == "488 INVITE"
    assert line.exchange.statistics().outcomes == {"failed": 1}


def test_an_invite_without_an_offer_gets_one() -> None:
    """RFC 3261 §13.2.1."""
    line = Line()
    line.send(Caller().invite(body=b""))
    assert b"m=audio 7000 RTP/AVP 0 8 101\r\n" in line.response().body
    assert line.streams.sending == {}


def test_183_carries_sdp_and_its_stream_becomes_the_calls() -> None:
    line, caller = Line(), Caller("+14155559183")
    assert line.call(caller) == ["100 INVITE", "183 INVITE"]
    early = line.response().body
    stream = next(iter(line.streams.sending.values()))
    assert line.wait(2.0) == ["200 INVITE"]
    assert line.response().body == early
    assert list(line.streams.sending.values()) == [stream]
    caller.to_tag = line.response().to_tag
    line.send(caller.ack())
    line.send(caller.bye())
    assert line.streams.sending == {}


def test_an_answer_without_sdp_can_be_had() -> None:
    line = Line()
    line.call(Caller("+14155559204"))
    assert (line.response().status, line.response().body) == (200, b"")


def test_rtp_is_counted_for_its_call() -> None:
    line, caller = Line(), Caller(rtp_port=40_000)
    line.call(caller)
    for sequence in (1, 2, 4, 5):
        line.streams.receive(
            b"\x80\x00" + sequence.to_bytes(2, "big") + bytes(8), ("127.0.0.1", 40_000)
        )
    line.send(caller.ack())
    line.send(caller.bye())
    assert [(r.rtp_received, r.rtp_gaps) for r in line.records()] == [(4, 1)]


@pytest.mark.parametrize(("number", "code"), [("", 484), ("1" * 65, 484), ("1" * 64, 200)])
def test_a_number_that_cannot_be_one_is_incomplete(number: str, code: int) -> None:
    line = Line()
    data = Caller(number).invite()
    if not number:
        data = data.replace(b"sip:@127.0.0.1", b"sip:127.0.0.1")
    assert line.send(data)[-1] == f"{code} INVITE"


def test_what_is_not_finished_is_logged_when_the_carrier_stops() -> None:
    line, caller = Line(), Caller()
    line.call(caller)
    line.exchange.close(line.exchange.statistics())
    record, statistics = line.exchange.finished
    assert isinstance(record, CallRecord)
    assert (record.code, record.ended_at, record.by) == (200, None, None)
    assert isinstance(statistics, CarrierStatistics)


def test_calls_do_not_disturb_each_other() -> None:
    """Three hundred of them, each with a moment of its own for everything."""
    line = Line(Profile(ring_s=always(3.0), talk_s=always(5.0)))
    callers = [Caller() for _ in range(300)]
    for caller in callers:
        assert line.send(caller.invite()) == ["100 INVITE", "180 INVITE"]
        line.now += 0.001
    answered = line.wait(3.0)
    assert answered == ["200 INVITE"] * 300
    for caller, answer in zip(callers, line.messages, strict=True):
        caller.to_tag = answer.to_tag
        line.send(caller.ack())
    assert line.wait(5.0) == ["BYE"] * 300
    for caller, bye in zip(callers, line.messages, strict=True):
        assert isinstance(bye, Request)
        line.send(caller.answer(bye))
    line.wait(33.0)
    assert [round((r.answered_at or 0) - r.invite_at, 6) for r in line.records()] == [3.0] * 300
    assert [round((r.ended_at or 0) - (r.answered_at or 0), 6) for r in line.records()] == [
        5.0
    ] * 300
    statistics = line.exchange.statistics()
    assert (statistics.channels, statistics.channels_peak, statistics.kept, statistics.resent) == (
        0, 300, 0, 0,
    )  # fmt: skip


def mutations(message: bytes) -> st.SearchStrategy[bytes]:
    """The message with a stretch of it replaced by anything."""
    cuts = st.tuples(st.integers(0, len(message)), st.integers(0, 30), st.binary(max_size=20))
    return cuts.map(lambda cut: message[: cut[0]] + cut[2] + message[cut[0] + cut[1] :])


WHOLE = [Caller(call_id="fuzz").invite(), Caller(call_id="fuzz", to_tag=b"callee-1").bye(),
         Caller(call_id="fuzz").cancel(), Caller(call_id="fuzz", to_tag=b"callee-1").ack()]  # fmt: skip


@example([b"\r\n\r\n", b"\0", b"\xff" * 100])
@example([WHOLE[0].replace(b"+1415", b"\0"), WHOLE[0].replace(b"caller", b'"\\\0"')])
@given(st.lists(st.binary(max_size=200) | st.sampled_from(WHOLE).flatmap(mutations), max_size=6))
def test_nothing_that_comes_in_raises_or_keeps_a_call_from_going_through(
    story: list[bytes],
) -> None:
    line = Line()
    for data in story:
        line.send(data)
    caller = Caller()
    assert line.call(caller) == ["100 INVITE", "180 INVITE", "200 INVITE"]
    line.send(caller.ack())
    assert line.send(caller.bye()) == ["200 BYE"]
    line.wait(1000.0)
    assert (line.exchange.statistics().channels, line.exchange.statistics().kept) == (0, 0)


def test_what_cannot_be_read_is_counted_and_line_ends_are_not() -> None:
    line = Line()
    for data in (b"\r\n\r\n", b"hello", Caller().invite().replace(b"1 INVITE", b"x INVITE")):
        assert line.send(data) == []
    assert line.exchange.statistics() == CarrierStatistics(packets=3, malformed=2)
