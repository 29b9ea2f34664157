"""Item 1: TCP, TLS, IPv6, address translation, connections that break, requests that are too long."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import pytest
import trio
import trustme
from msgspec import Struct, structs

from adapters.sip.call.transaction import Timing
from adapters.sip.transport.sockets import TlsSettings
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgentSettings, open_user_agent
from bench.free_ports import free_port
from engine.ports.telephony import Answered, CallRequest, Ended, Presentation, Ringing
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane
from tests.sipp.carrier import Place, Verdict, open_carrier
from tests.sipp.door import open_door
from tests.sipp.scenario import (
    CALL_S_MAX,
    CARRIER_S_MAX,
    HUNG_UP,
    PATIENT,
    Scenario,
    expected,
    play,
    play_against,
)

pytestmark = [pytest.mark.peer, pytest.mark.punctual]

HOST: Final = "127.0.0.1"
STREAM: Final = Place(mode="t1")
TCP: Final = Trunk("main", HOST, transport="tcp")
RUNG_AND_ANSWERED: Final = Scenario((Ringing(), Answered(), HUNG_UP), "answered")
OVER_TCP: Final = structs.replace(RUNG_AND_ANSWERED, trunk=TCP, place=STREAM)
STORY: Final = ("X-Story", "x" * 900)

SCENARIOS: Final[dict[str, Scenario]] = {
    "over_tcp": OVER_TCP,
    "slow_over_tcp": structs.replace(OVER_TCP, timing=Timing(t1=0.05)),
    "many_messages_in_one_segment": OVER_TCP,
    "over_ipv6": structs.replace(RUNG_AND_ANSWERED, trunk=Trunk("main", "::1"), place=Place("::1")),
    "sees_another_address_of_ours": RUNG_AND_ANSWERED,
    "large_invite": structs.replace(
        OVER_TCP,
        trunk=Trunk("main", HOST, large_over_tcp=True),
        presentation=Presentation(headers=(STORY,)),
    ),
}
OTHER_SCENARIOS: Final = ("closes_the_connection", "over_tls")


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_call_goes_over_the_transport_that_the_carrier_takes(
    name: str, sipp: str, tmp_path: Path
) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])


async def test_a_bye_is_not_lost_with_the_connection_that_the_carrier_closed(
    sipp: str, tmp_path: Path
) -> None:
    port = free_port(STREAM.host)
    trunk = Trunk("main", HOST, port, transport="tcp")
    settings = UserAgentSettings(trunks=(trunk,), timing=PATIENT)
    options = ("-key", "door", str(port))
    async with (
        open_carrier(sipp, "closes_the_connection", tmp_path, STREAM, options=options) as carrier,
        open_door(carrier, port) as door,
        open_user_agent(settings, FakePlane(), Dice()) as agent,
        agent.prepare_call(CallRequest("att_1", "+14155550199", "+14155550100", "main")) as call,
    ):
        with trio.fail_after(CALL_S_MAX):
            call.dial()
            progress = [await call.next_progress()]
            await door.acknowledged.wait()
            await door.cut()
            call.hang_up()
            progress.append(await call.next_progress())
            await carrier.wait_exit()
        assert carrier.verdict() == Verdict()
        assert door.connections == 2
    assert progress == [Answered(), HUNG_UP]


class Papers(Struct, frozen=True):
    """Which certificate the carrier shows, and whom we believe."""

    shown_for: str
    is_authority_known: bool
    is_checked: bool = True


UNREACHABLE: Final = Scenario((Ended("unreachable", failure="broken"),), None)

PAPERS: Final[dict[str, tuple[Papers, Scenario]]] = {
    "a good certificate": (Papers(HOST, is_authority_known=True), RUNG_AND_ANSWERED),
    "a certificate for another": (Papers("127.0.0.9", is_authority_known=True), UNREACHABLE),
    "a certificate by nobody we know": (Papers(HOST, is_authority_known=False), UNREACHABLE),
    "no check": (
        Papers("127.0.0.9", is_authority_known=False, is_checked=False),
        RUNG_AND_ANSWERED,
    ),
}


@pytest.mark.parametrize("name", PAPERS)
async def test_over_tls_the_carrier_must_be_who_it_says(
    name: str, sipp: str, tmp_path: Path
) -> None:
    papers, scenario = PAPERS[name]
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(papers.shown_for).configure_cert(context)
    known = str(tmp_path / "authority.pem") if papers.is_authority_known else None
    port = free_port(STREAM.host)
    trunk = Trunk("main", HOST, port, transport="tls", tls_check=papers.is_checked)
    settings = UserAgentSettings(
        trunks=(trunk,), tls=TlsSettings(authorities=known), timing=PATIENT
    )
    async with (
        open_carrier(
            sipp, "over_tls", tmp_path, STREAM, options=("-key", "door", str(port))
        ) as carrier,
        open_door(carrier, port, context),
    ):
        # A sipp that nobody can reach waits in vain.
        carrier_s_max = 0.0 if scenario is UNREACHABLE else CARRIER_S_MAX
        seen = await play_against(carrier, scenario, settings, carrier_s_max=carrier_s_max)
    wanted = expected(scenario)
    if scenario is UNREACHABLE:
        wanted["carrier"] = Verdict(exit_code=-9, successful_calls=0)
    assert seen == wanted
