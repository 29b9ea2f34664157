"""What goes with a call: its trace, its signature, and how it presents its caller."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import structs
from structlog.testing import capture_logs
from trio.testing import MockClock

from adapters.sip.identity.headers import TrunkIdentity, UnsafeHeader
from adapters.sip.identity.passport import CannotSign
from adapters.sip.trace.record import CallTrace, TracedMessage
from adapters.sip.trunk import Stir, Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from adapters.sip.wire.hop import Hop, Transport
from adapters.sip.wire.message import Request
from engine.ports.telephony import Answered, CallRequest, Ended, Presentation
from tests.adapters.sip.carrier import Carrier, open_carrier, open_udp_carrier
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane
from tests.adapters.sip.lineup import SDP_TYPE, answer_sdp

HOST = "127.0.0.1"
REQUEST = CallRequest("att_1", "+14155550199", "+14155550100", "main")
NOW = 1_767_225_600.75
"""2026-01-01T00:00:00.75Z."""
CERTIFICATE_URL = "https://cert.example.com/shaken.pem"


class StoppedClock:
    def now(self) -> float:
        return NOW


class Traces:
    """Keeps every trace that was begun, and those that were finished."""

    def __init__(self) -> None:
        self.begun: list[CallTrace] = []
        self.finished: list[CallTrace] = []

    def begin(self, attempt: str, call_id: str) -> CallTrace:
        trace = CallTrace(attempt, call_id, 0.0)
        self.begun.append(trace)
        return trace

    def finish(self, trace: CallTrace) -> None:
        self.finished.append(trace)


class Line(NamedTuple):
    """A message of a trace, in short."""

    arrow: str
    start: bytes
    local: Hop
    remote: Hop


def lines_of(trace: CallTrace) -> list[Line]:
    return [in_short(message) for message in trace.snapshot().messages]


def in_short(message: TracedMessage) -> Line:
    words = message.data.split(b" ")
    start = words[1] if words[0] == b"SIP/2.0" else words[0]
    return Line("->" if message.sent else "<-", start, message.local, message.remote)


@asynccontextmanager
async def agent_of(
    carrier: Carrier, trunk: Trunk, traces: Traces | None = None, bind: str = HOST
) -> AsyncIterator[UserAgent]:
    settings = UserAgentSettings(
        trunks=(structs.replace(trunk, port=carrier.port),), bind=(bind, 0)
    )
    async with open_user_agent(
        settings, FakePlane(), Dice(), clock=StoppedClock(), traces=traces
    ) as agent:
        yield agent


async def invite_of(trunk: Trunk, request: CallRequest = REQUEST) -> Request:
    """The INVITE of a call."""
    async with (
        open_udp_carrier() as carrier,
        agent_of(carrier, trunk) as agent,
        agent.prepare_call(request) as call,
    ):
        call.dial()
        invite = await carrier.refuse(486)
        await call.wait_ended()
    return invite


# Traces.


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("bind", [HOST, "0.0.0.0"])
async def test_every_message_of_a_call_is_kept_in_order(transport: Transport, bind: str) -> None:
    traces = Traces()
    async with open_carrier(transport, HOST) as carrier:
        trunk = Trunk("main", HOST, transport=transport)
        async with (
            agent_of(carrier, trunk, traces, bind) as agent,
            agent.prepare_call(REQUEST) as call,
        ):
            assert traces.begun == []
            call.dial()
            invite = await carrier.receive(b"INVITE")
            await carrier.respond(invite, 180)
            await carrier.accept(invite)
            await carrier.receive(b"ACK")
            here = (b"Contact", carrier.contact)
            offer = answer_sdp(port=6002, host=HOST)
            await carrier.send(carrier.ask(invite, b"INVITE", here, SDP_TYPE, body=offer))
            await carrier.response()
            await carrier.send(carrier.ask(invite, b"ACK").replace(b"2 ACK", b"1 ACK"))
            await carrier.hang_up(invite)
            await carrier.response()
            assert await call.wait_ended() == Ended("callee_hung_up", 200, "OK")
            us, them = Hop(HOST, agent.address[1], transport), carrier.hop
    (trace,) = traces.begun
    assert (trace.attempt, trace.call_id) == ("att_1", call.call_id)
    assert traces.finished[0] is trace
    kept = lines_of(trace)
    assert [(line.arrow, line.start) for line in kept] == [
        ("->", b"INVITE"),
        ("<-", b"180"),
        ("<-", b"200"),
        ("->", b"ACK"),
        ("<-", b"INVITE"),
        ("->", b"200"),
        ("<-", b"ACK"),
        ("<-", b"BYE"),
        ("->", b"200"),
    ]
    assert {(line.local, line.remote) for line in kept} == {(us, them)}


async def test_retransmissions_are_kept_too(autojump_clock: MockClock) -> None:
    traces = Traces()
    async with (
        open_udp_carrier() as carrier,
        agent_of(carrier, Trunk("main", HOST), traces) as agent,
        agent.prepare_call(REQUEST) as call,
    ):
        call.dial()
        assert await call.wait_ended() == Ended("unreachable", failure="timed_out")
    assert [line.start for line in lines_of(traces.begun[0])] == [b"INVITE"] * 7


async def test_calls_at_the_same_time_have_a_trace_each() -> None:
    traces = Traces()
    async with (
        open_udp_carrier() as carrier,
        agent_of(carrier, Trunk("main", HOST), traces) as agent,
        agent.prepare_call(REQUEST) as one,
        agent.prepare_call(structs.replace(REQUEST, attempt="att_2")) as other,
    ):
        for call in (one, other):
            call.dial()
        for _ in range(2):
            await carrier.respond(await carrier.receive(b"INVITE"), 486)
        for call in (one, other):
            assert await call.wait_ended() == Ended("rejected", 486, "Busy Here")
    assert [trace.attempt for trace in traces.finished] == ["att_1", "att_2"]
    for trace in traces.begun:
        assert [line.start for line in lines_of(trace)] == [b"INVITE", b"486", b"ACK"]
        assert all(trace.call_id.encode() in message.data for message in trace.snapshot().messages)


async def test_the_trace_of_a_call_that_is_left_is_finished_when_nothing_more_can_come(
    autojump_clock: MockClock,
) -> None:
    traces = Traces()
    async with (
        open_udp_carrier() as carrier,
        agent_of(carrier, Trunk("main", HOST), traces) as agent,
    ):
        async with agent.prepare_call(REQUEST) as call:
            call.dial()
            invite = await carrier.receive(b"INVITE")
        await carrier.respond(invite, 180)
        cancel = await carrier.receive(b"CANCEL")
        await carrier.respond(cancel, 200)
        await carrier.respond(invite, 487)
        await carrier.receive(b"ACK")
        await trio.sleep(100.0)
        assert traces.finished == traces.begun
    assert [line.start for line in lines_of(traces.begun[0])] == [
        b"INVITE",
        b"180",
        b"CANCEL",
        b"200",
        b"487",
        b"ACK",
    ]


async def test_a_call_that_is_never_dialled_has_no_trace() -> None:
    traces = Traces()
    async with (
        open_udp_carrier() as carrier,
        agent_of(carrier, Trunk("main", HOST), traces) as agent,
        agent.prepare_call(REQUEST),
    ):
        pass
    assert (traces.begun, traces.finished) == ([], [])


# Signatures.


@pytest.fixture
def key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


@pytest.fixture
def signing(key: EllipticCurvePrivateKey, tmp_path: Path) -> Trunk:
    """A trunk that signs with the key."""
    file = tmp_path / "key.pem"
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Trunk("main", HOST, stir=Stir(str(file), CERTIFICATE_URL, "A"))


def decoded(part: bytes) -> bytes:
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


async def test_a_call_of_a_trunk_with_a_key_is_signed(
    signing: Trunk, key: EllipticCurvePrivateKey
) -> None:
    invite = await invite_of(signing)
    assert invite.raw(b"date") == [b"Thu, 01 Jan 2026 00:00:00 GMT"]
    (identity,) = invite.raw(b"identity")
    token, _, params = identity.partition(b";")
    assert params == b"info=<%b>;alg=ES256;ppt=shaken" % CERTIFICATE_URL.encode()
    header, claims, signature = token.split(b".")
    assert json.loads(decoded(header)) == {
        "alg": "ES256",
        "ppt": "shaken",
        "typ": "passport",
        "x5u": CERTIFICATE_URL,
    }
    said = json.loads(decoded(claims))
    assert said == {
        "attest": "A",
        "dest": {"tn": ["14155550199"]},
        "iat": 1_767_225_600,
        "orig": {"tn": "14155550100"},
        "origid": said["origid"],
    }
    raw = decoded(signature)
    numbers = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.public_key().verify(encode_dss_signature(*numbers), header + b"." + claims, ECDSA(SHA256()))


async def test_each_call_has_an_origid_of_its_own(signing: Trunk) -> None:
    async with open_udp_carrier() as carrier, agent_of(carrier, signing) as agent:
        origins = set()
        for _ in range(2):
            async with agent.prepare_call(REQUEST) as call:
                call.dial()
                invite = await carrier.refuse(486)
                await call.wait_ended()
            claims = invite.raw(b"identity")[0].split(b".")[1]
            origins.add(json.loads(decoded(claims))["origid"])
    assert len(origins) == 2


async def test_a_call_that_brings_an_identity_keeps_it_and_gets_no_other(signing: Trunk) -> None:
    brought = Presentation(headers=(("Identity", "made.else.where"), ("Date", "some day")))
    invite = await invite_of(signing, structs.replace(REQUEST, presentation=brought))
    assert invite.raw(b"identity") == [b"made.else.where"]
    assert invite.raw(b"date") == [b"some day"]


async def test_what_is_no_number_is_called_without_a_signature_and_logged(signing: Trunk) -> None:
    with capture_logs() as logs:
        invite = await invite_of(signing, structs.replace(REQUEST, caller="sales"))
    assert (invite.raw(b"identity"), invite.raw(b"date")) == ([], [])
    assert [entry["attempt"] for entry in logs if entry["event"] == "a call is not signed"] == [
        "att_1"
    ]


async def test_a_key_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    stir = Stir(str(tmp_path / "missing.pem"), CERTIFICATE_URL, "A")
    settings = UserAgentSettings(trunks=(Trunk("main", HOST, stir=stir),))
    with pytest.raises(CannotSign, match=r"There is no key file .*missing\.pem"):
        async with open_user_agent(settings, FakePlane(), Dice(), clock=StoppedClock()):
            raise AssertionError("unreachable")


# Presentation.


async def test_a_trunk_presents_its_calls_as_it_is_told() -> None:
    identity = TrunkIdentity(
        display_name="Example Ltd",
        asserted="did",
        diversion="+14155550123",
        headers=(("X-Account", "7"),),
    )
    invite = await invite_of(Trunk("main", HOST, domain="calls.example", identity=identity))
    name_addr, _, _ = invite.raw(b"from")[0].partition(b";")
    assert name_addr == b'"Example Ltd" <sip:+14155550100@calls.example>'
    assert {name: invite.raw(name) for name in (b"p-asserted-identity", b"diversion")} == {
        b"p-asserted-identity": [b"<sip:+14155550100@calls.example>"],
        b"diversion": [b"<sip:+14155550123@calls.example>;reason=unconditional"],
    }
    assert (invite.raw(b"x-account"), invite.raw(b"privacy")) == ([b"7"], [])


async def test_a_call_that_hides_its_number_shows_it_to_the_carrier_only() -> None:
    hidden = structs.replace(REQUEST, presentation=Presentation(withhold=True))
    invite = await invite_of(Trunk("main", HOST, domain="calls.example"), hidden)
    name_addr, _, _ = invite.raw(b"from")[0].partition(b";")
    assert name_addr == b'"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert invite.raw(b"privacy") == [b"id"]
    assert invite.raw(b"p-asserted-identity") == [b"<sip:+14155550100@calls.example>"]


async def test_what_may_not_go_out_is_left_out_and_logged() -> None:
    bad = Presentation(headers=(("X-Good", "yes"), ("Via", "no"), ("X-Bad", "a\r\nb")))
    with capture_logs() as logs:
        invite = await invite_of(Trunk("main", HOST), structs.replace(REQUEST, presentation=bad))
    assert (invite.raw(b"x-good"), invite.raw(b"x-bad")) == ([b"yes"], [])
    assert len(invite.raw(b"via")) == 1
    assert [entry["detail"] for entry in logs if entry["event"] == "a header was left out"] == [
        "The header 'Via' belongs to SIP itself and cannot be set.",
        "The header 'X-Bad' has a line break or a control character in it.",
    ]


async def test_the_lines_of_a_call_are_in_its_invite_only() -> None:
    identity = TrunkIdentity(headers=(("X-Account", "7"),))
    async with (
        open_udp_carrier() as carrier,
        agent_of(carrier, Trunk("main", HOST, identity=identity)) as agent,
        agent.prepare_call(REQUEST) as call,
    ):
        call.dial()
        invite = await carrier.receive(b"INVITE")
        await carrier.accept(invite)
        ack = await carrier.receive(b"ACK")
        assert await call.next_progress() == Answered()
        call.hang_up()
        bye = await carrier.receive(b"BYE")
        await carrier.respond(bye, 200)
        await call.wait_ended()
    assert [message.raw(b"x-account") for message in (invite, ack, bye)] == [[b"7"], [], []]


async def test_an_identity_that_cannot_stand_on_the_wire_is_told_at_the_start() -> None:
    identity = TrunkIdentity(display_name="two\r\nlines")
    settings = UserAgentSettings(trunks=(Trunk("main", "carrier.invalid", identity=identity),))
    with pytest.raises(UnsafeHeader, match="no line breaks"):
        async with open_user_agent(settings, FakePlane(), Dice()):
            raise AssertionError("unreachable")
