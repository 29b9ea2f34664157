"""Items 2 and 3: OPTIONS probes and REGISTER, and what is told of the trunk.

The pauses between errands are made shorter than any carrier would like, so that a refresh is seen
within a second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import trio
from msgspec import Struct, structs

from adapters.sip.errand import probe, registration
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgentSettings, open_user_agent
from adapters.sip.wire.digest import Credentials
from engine.ports.telephony import TrunkCondition
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane
from tests.sipp.carrier import POLL_S, Carrier, Place, Verdict, open_carrier
from tests.sipp.scenario import CALL_S_MAX, CARRIER_S_MAX, PATIENT

pytestmark = [pytest.mark.peer, pytest.mark.punctual]


class Watched(Struct, frozen=True):
    """A trunk, and what is told of it until it has answered so often."""

    trunk: Trunk
    answers: int
    told: tuple[tuple[bool, str], ...]
    """Whether it can be used, and why; `SERVER` stands for the server's address."""
    calls: int = 1
    """What sipp counts as calls: those of one Call-ID."""


CREDENTIALS: Final = Credentials(b"caller", b"secret")


REGISTERING: Final = Trunk("main", "127.0.0.1", credentials=CREDENTIALS, registers=True)
PROBED: Final = Trunk("main", "127.0.0.1", probe_s=0.3)
WAITS: Final = (False, "The trunk has not registered yet.")
WELL: Final = (True, "1 of 1 servers is well.")
GONE: Final = (False, "The trunk is no longer registered, since the engine stops.")
RESTS: Final = (
    False,
    "0 of 1 servers are well; SERVER over udp has asked to be left alone for 1 s (503).",
)

SCENARIOS: Final[dict[str, Watched]] = {
    "registers": Watched(REGISTERING, 3, (WAITS, WELL, GONE)),
    "register_423_too_brief": Watched(REGISTERING, 2, (WAITS, WELL, GONE)),
    "register_423_for_ever": Watched(
        REGISTERING, 2, (WAITS, (False, "The registrar answered 423 Interval Too Brief."))
    ),
    "register_403": Watched(
        REGISTERING, 1, (WAITS, (False, "The registrar answered 403 Account Suspended."))
    ),
    "answers_options_probes": Watched(PROBED, 2, (), calls=2),
    "refuses_options_probes": Watched(PROBED, 2, (RESTS, WELL, RESTS), calls=2),
}


@pytest.fixture
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errands follow each other quickly."""
    monkeypatch.setattr(registration, "PAUSE_S_MIN", 0.3)
    monkeypatch.setattr(probe, "PAUSE_S_MIN", 0.2)
    monkeypatch.setattr(probe, "FIRST_PAUSE_S_MAX", 0.1)


async def watch(carrier: Carrier, watched: Watched) -> list[tuple[bool, str]]:
    """What a user agent tells of its trunk until it has had its answers; then it is closed."""
    told: list[TrunkCondition] = []
    trunk = structs.replace(watched.trunk, port=carrier.port)
    settings = UserAgentSettings(trunks=(trunk,), timing=PATIENT)
    async with open_user_agent(settings, FakePlane(), Dice()) as agent:
        agent.watch_trunks(told.append)
        with trio.move_on_after(CALL_S_MAX):
            while agent.statistics().datagrams_received < watched.answers:  # noqa: ASYNC110 - a counter has no event
                await trio.sleep(POLL_S)
    with trio.move_on_after(CARRIER_S_MAX):
        await carrier.wait_exit()
    await carrier.stop()
    server = f"127.0.0.1:{carrier.port}"
    return [(one.is_usable, one.detail.replace(server, "SERVER")) for one in told]


@pytest.mark.usefixtures("haste")
@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_trunk_that_is_asked_something_beside_calls_is_told_of_as_it_answers(
    name: str, sipp: str, tmp_path: Path
) -> None:
    watched = SCENARIOS[name]
    async with open_carrier(sipp, name, tmp_path, Place(), calls=watched.calls) as carrier:
        told = await watch(carrier, watched)
        assert (told, carrier.verdict()) == (
            list(watched.told),
            Verdict(successful_calls=watched.calls),
        )
