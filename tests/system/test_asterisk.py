"""Calls through a real Asterisk that wants digest, over each transport."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom

import pytest
import trio

from adapters.sip.transport.sockets import TlsSettings
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgentSettings, open_user_agent
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.hop import Transport
from bench.installation import make_config, make_csv, make_flow, open_installation, wait_completed
from bench.sip_caller import SilentPlane
from engine.dial.attempts.lifecycle import Ending, outcome_of
from engine.model import AttemptStatus
from engine.model.disposition import Disposition
from engine.ports.telephony import CallRequest, Ended, Ringing
from tests.system.asterisk import PASSWORD, USER, Asterisk, require_asterisk, run_asterisk

CALLS = 200
GUARD_S = 60.0
TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp", "tls")

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def asterisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    log = tmp_path_factory.mktemp("asterisk") / "asterisk.log"
    with run_asterisk(require_asterisk(), log) as running:
        yield running


def trunk_uri(asterisk: Asterisk, transport: Transport) -> str:
    port = asterisk.tls_port if transport == "tls" else asterisk.port
    return f"sip:localhost:{port};transport={transport}"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_two_hundred_calls_with_digest_are_answered(
    asterisk: Asterisk, transport: Transport, tmp_path: Path
) -> None:
    trunk = f'username = "{USER}"\npassword = "{PASSWORD}"\n'
    sip = f'tls_ca = "{asterisk.certificate}"\n'
    config = make_config(tmp_path / "data", trunk_uri(asterisk, transport)) + trunk
    config = config.replace("[sip]\n", f"[sip]\n{sip}")
    async with open_installation(tmp_path, config) as engine:
        flow = await make_flow(engine.client, {"+14155550100": 100})
        view = await engine.client.upload_list(flow, "people.csv", make_csv(CALLS))
        assert await wait_completed(engine.client, view.id) == {"answered": CALLS}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("extension", "disposition"), [("busy", "busy"), ("ring", "no-answer")])
async def test_a_busy_and_an_absent_callee_end_as_such(
    asterisk: Asterisk, transport: Transport, extension: str, disposition: Disposition
) -> None:
    trunk = Trunk(
        name="asterisk",
        host="localhost",
        port=asterisk.tls_port if transport == "tls" else asterisk.port,
        transport=transport,
        credentials=Credentials(USER.encode(), PASSWORD.encode()),
    )
    settings = UserAgentSettings((trunk,), tls=TlsSettings(authorities=str(asterisk.certificate)))
    request = CallRequest("att_1", extension, "+14155550100", "asterisk")
    status: AttemptStatus = "initiated"
    ending: Ending = "the call ended"
    async with (
        open_user_agent(settings, SilentPlane(), SystemRandom()) as agent,
        agent.prepare_call(request) as call,
    ):
        call.dial()
        with trio.fail_after(GUARD_S):
            while not isinstance(progress := await call.next_progress(), Ended):
                assert isinstance(progress, Ringing), "nobody answers these extensions"
                status = "ringing"
                if extension == "ring" and ending != "time-out":
                    ending = "time-out"
                    call.hang_up()
            ended = await call.wait_ended()
    assert outcome_of(ended, ending, status).disposition == disposition
