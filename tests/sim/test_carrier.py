"""The simulated carrier on real sockets, called by a plain UDP client."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from adapters.media.sdp import read_answer
from adapters.sip.wire.message import Request, Response
from sim.call_log import CarrierStatistics, read_call_log
from sim.carrier import Carrier, CarrierSettings, run_carrier
from sim.exchange import Exchange
from sim.profile import Profile, always
from sim.rtp import sounds
from tests.sim.caller import Caller

PROMPT = Profile(ring_s=always(0.0), talk_s=always(60.0))
DEADLINE_S = 60.0
"""No test waits longer for anything."""


class Phone:
    """A caller's two sockets."""

    def __init__(self, sip: trio.socket.SocketType, rtp: trio.socket.SocketType) -> None:
        self.sip = sip
        self.rtp = rtp

    def caller(self, number: str = "+14155550100") -> Caller:
        return Caller(number, rtp_port=self.rtp.getsockname()[1], source=self.sip.getsockname()[:2])

    async def send(self, data: bytes) -> None:
        await self.sip.send(data)

    async def hear(self, caller: Caller) -> Request | Response:
        with trio.fail_after(DEADLINE_S):
            return caller.hear(await self.sip.recv(65_535))

    async def hear_final(self, caller: Caller) -> Response:
        """The next response that is not provisional."""
        while True:
            message = await self.hear(caller)
            if isinstance(message, Response) and message.status >= 200:
                return message


@asynccontextmanager
async def running(
    profile: Profile = PROMPT, log_path: Path | None = None
) -> AsyncIterator[tuple[Carrier, Phone]]:
    carrier = Carrier(CarrierSettings(bind="127.0.0.1:0", profile=profile, log_path=log_path))
    async with trio.open_nursery() as nursery:
        address = await nursery.start(carrier.run)
        with (
            trio.socket.socket(type=socket.SOCK_DGRAM) as sip,
            trio.socket.socket(type=socket.SOCK_DGRAM) as rtp,
        ):
            await sip.connect(address)
            await rtp.bind(("127.0.0.1", 0))
            yield carrier, Phone(sip, rtp)
        nursery.cancel_scope.cancel()


async def test_a_call_is_answered_and_both_sides_hear_rtp(tmp_path: Path) -> None:
    async with running(log_path=tmp_path / "log") as (_, phone):
        caller = phone.caller()
        await phone.send(caller.invite())
        answer = await phone.hear_final(caller)
        remote = read_answer(answer.body)
        await phone.send(caller.ack())
        with trio.fail_after(DEADLINE_S):
            heard = [await phone.rtp.recvfrom(2048) for _ in range(3)]
        assert [data[12:] for data, _ in heard] == list(sounds(0).speech[:3])
        assert {source for _, source in heard} == {(remote.host, remote.port)}
        for sequence in (1, 2, 4):
            packet = b"\x80\x00" + sequence.to_bytes(2, "big") + bytes(168)
            await phone.rtp.sendto(packet, (remote.host, remote.port))
        await phone.send(caller.bye())
        assert (await phone.hear_final(caller)).status == 200
    (record,), statistics = read_call_log(tmp_path / "log")
    assert (record.code, record.by, record.acks, record.byes) == (200, "caller", 1, 1)
    assert (record.rtp_received, record.rtp_gaps) == (3, 1)
    assert statistics is not None
    assert statistics.rtp_sent >= 3


@pytest.mark.parametrize(
    ("digits", "code", "outcome"),
    [("9486", 486, "busy"), ("9404", 404, "invalid"), ("9603", 603, "declined"),
     ("9503", 503, "congested")],
)  # fmt: skip
async def test_a_refusal_is_heard_acknowledged_and_logged(
    digits: str, code: int, outcome: str, tmp_path: Path
) -> None:
    async with running(log_path=tmp_path / "log") as (carrier, phone):
        caller = phone.caller(f"+1415555{digits}")
        await phone.send(caller.invite())
        assert (await phone.hear_final(caller)).status == code
        await phone.send(caller.ack("invite"))
        with trio.fail_after(DEADLINE_S):
            while not carrier.statistics().acks:
                await trio.lowlevel.checkpoint()
    (record,), _ = read_call_log(tmp_path / "log")
    assert (record.code, record.outcome, record.acks) == (code, outcome, 1)


async def test_a_call_that_nobody_answers_is_canceled() -> None:
    async with running() as (_, phone):
        caller = phone.caller("+14155559480")
        await phone.send(caller.invite())
        heard = [await phone.hear(caller), await phone.hear(caller)]
        assert [m.status for m in heard if isinstance(m, Response)] == [100, 180]
        caller.to_tag = None
        await phone.send(caller.cancel())
        finals = [await phone.hear_final(caller), await phone.hear_final(caller)]
        assert [(m.status, m.cseq.method) for m in finals] == [(200, b"CANCEL"), (487, b"INVITE")]


async def test_more_calls_than_the_ceiling_in_one_second_get_503() -> None:
    async with running(Profile(ring_s=always(0.0), cps_max=3, retry_after_s=2)) as (carrier, phone):
        finals = []
        for _ in range(5):
            caller = phone.caller()
            await phone.send(caller.invite())
            finals.append(await phone.hear_final(caller))
        assert [m.status for m in finals] == [200, 200, 200, 503, 503]
        assert [m.first(b"retry-after") for m in finals[3:]] == [b"2", b"2"]
        assert carrier.statistics().over_ceiling == 2


async def test_the_callee_hangs_up_by_itself_at_the_moment_it_planned() -> None:
    """Only the timer can bring this about: nothing comes in meanwhile."""
    async with running(Profile(ring_s=always(0.05), talk_s=always(0.1))) as (_, phone):
        caller = phone.caller()
        await phone.send(caller.invite())
        assert (await phone.hear_final(caller)).status == 200
        await phone.send(caller.ack())
        bye = await phone.hear(caller)
        assert isinstance(bye, Request)
        assert bye.method == b"BYE"


async def test_a_200_goes_out_again_while_its_ack_is_missing() -> None:
    async with running() as (_, phone):
        caller = phone.caller()
        await phone.send(caller.invite())
        assert [(await phone.hear_final(caller)).status for _ in range(2)] == [200, 200]


async def test_rubbish_is_counted_and_calls_go_on() -> None:
    async with running() as (carrier, phone):
        for data in (b"x", b"\0" * 1000, b"INVITE sip:a SIP/2.0\r\n\r\n", b"\xff" * 60_000, b""):
            await phone.send(data)
        caller = phone.caller()
        await phone.send(caller.invite())
        assert (await phone.hear_final(caller)).status == 200
        assert (carrier.statistics().malformed, carrier.statistics().faults) == (4, 0)


async def test_a_mistake_of_the_carriers_own_costs_one_datagram(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receive = Exchange.receive

    def broken(self: Exchange, data: bytes, source: tuple[str, int], now: float) -> None:
        if data == b"poison":
            raise ZeroDivisionError
        receive(self, data, source, now)

    monkeypatch.setattr(Exchange, "receive", broken)
    async with running() as (carrier, phone):
        await phone.send(b"poison")
        caller = phone.caller()
        await phone.send(caller.invite())
        assert (await phone.hear_final(caller)).status == 200
        assert carrier.statistics().faults == 1
    assert "ZeroDivisionError" in caplog.text


async def test_silent_profiles_send_no_rtp_and_count_what_comes() -> None:
    async with running(Profile(ring_s=always(0.0), media=False)) as (carrier, phone):
        caller = phone.caller()
        await phone.send(caller.invite())
        remote = read_answer((await phone.hear_final(caller)).body)
        await phone.rtp.sendto(b"\x80" + bytes(171), (remote.host, remote.port))
        with trio.fail_after(DEADLINE_S):
            while not carrier.statistics().rtp_received:
                await trio.lowlevel.checkpoint()
        assert carrier.statistics().rtp_sent == 0


async def test_a_log_on_a_full_disk_costs_lines_and_no_calls() -> None:
    async with running(log_path=Path("/dev/full")) as (carrier, phone):
        caller = phone.caller()
        await phone.send(caller.invite())
        await phone.hear_final(caller)
        await phone.send(caller.ack())
        await phone.send(caller.bye())
        assert (await phone.hear_final(caller)).status == 200
    assert carrier.statistics().log_failed == 2


async def test_the_log_is_on_disk_when_the_call_is_over(tmp_path: Path) -> None:
    """Whatever happens to the carrier next."""
    path = tmp_path / "log"
    async with running(log_path=path) as (_, phone):
        caller = phone.caller()
        await phone.send(caller.invite())
        await phone.hear_final(caller)
        await phone.send(caller.ack())
        await phone.send(caller.bye())
        await phone.hear_final(caller)
        with trio.fail_after(DEADLINE_S):
            while not path.read_bytes():
                await trio.lowlevel.checkpoint()
        assert [record.call_id for record in read_call_log(path)[0]] == [caller.call_id]


async def test_a_port_that_is_taken_is_an_error_before_the_start() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match="in use") as caught:
            await run_carrier(CarrierSettings(bind=bind))
    assert caught.value.errno == errno.EADDRINUSE


async def test_a_carrier_that_has_not_run_has_counted_nothing() -> None:
    assert Carrier(CarrierSettings()).statistics() == CarrierStatistics()


@pytest.mark.parametrize(
    ("bind", "address"),
    [("127.0.0.1:5070", ("127.0.0.1", 5070)), ("[::1]:0", ("::1", 0))],
)
def test_an_address_to_bind_is_read(bind: str, address: tuple[str, int]) -> None:
    assert CarrierSettings(bind=bind).bind_address == address


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bind": "127.0.0.1"}, "bind 127.0.0.1: expected ADDRESS:PORT"),
        ({"bind": "127.0.0.1:99999"}, "bind 127.0.0.1:99999: expected ADDRESS:PORT"),
        ({"bind": "carrier:5070"}, "bind carrier:5070: 'carrier' is not an IP address"),
        ({"bind": "0.0.0.0:5070"}, "bind 0.0.0.0:5070: needs an address to advertise"),
        ({"advertise": "carrier"}, "advertise carrier: not an IP address"),
    ],
)
def test_settings_that_cannot_be_are_told(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.")) as caught:
        Carrier(msgspec.convert(settings, CarrierSettings))
    assert str(caught.value) == said
