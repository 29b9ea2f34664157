"""One row of a table: which carrier, what we do, and all that is to be seen of it on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import trio
from msgspec import Struct, structs

from adapters.media.types import Remote
from adapters.sip.call.transaction import Timing
from adapters.sip.core import SipStatistics
from adapters.sip.sip_call import Traces
from adapters.sip.trunk import Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from engine.dial.attempts.lifecycle import Ending, next_status, outcome_of
from engine.model import AttemptStatus
from engine.model.disposition import (
    AS_EVERYWHERE,
    CongestionKind,
    Disposition,
    Outcome,
    OutcomeTable,
)
from engine.ports.telephony import (
    Answered,
    Call,
    CallRequest,
    Ended,
    Presentation,
    Progress,
    Ringing,
)
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.fake_media import FakePlane, FakeStream
from tests.sipp.carrier import Carrier, Place, Verdict, open_carrier

CALL_S_MAX: Final = 50.0
"""No call takes longer. One that does is compared as it stands then, and fails."""
CARRIER_S_MAX: Final = 50.0
"""How long sipp may go on when our calls have ended."""
CALLEE_PORT: Final = 6000
"""Where every scenario's callee takes audio, unless it says otherwise."""
NOW: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z: when all of this happens, by the clock on the wall."""
PATIENT: Final = Timing(t1=2.0)
"""Of scenarios that are not about time: where a machine stands still, nobody repeats anything."""
SOME: Final = -1
"""For a count above 0 that depends on how busy the machine is."""
TROUBLES: Final = ("retransmissions_sent", "parse_errors", "strays", "faults")
"""Counters of the user agent that stay at 0 unless a scenario says otherwise."""

HUNG_UP: Final = Ended("we_hung_up", 200, "OK")
"""We ended an answered call."""
CANCELED: Final = Ended("we_hung_up", 487, "Request Terminated")
BY_CALLEE: Final = Ended("callee_hung_up", 200, "OK")
NO_MEDIA: Final = Ended("no_media", 200, "OK")

HangUp = Literal["never", "when dialled", "when it rings", "when answered", "when media moved"]
"""What ends the call from our side; `never` leaves that to the carrier."""


class Scenario(Struct, frozen=True):
    """What we do on a call that a scenario file carries, and what then is to be seen."""

    progress: tuple[Progress, ...]
    """The whole of it."""
    disposition: Disposition | None
    """None where nothing at all came from the trunk."""
    congestion: CongestionKind | None = None
    """What the trunk has too little of, with `congested`."""
    hang_up: HangUp | float = "when answered"
    """A number is a ring time-out, seconds after dialling."""
    trunk: Trunk = Trunk("main", "127.0.0.1")
    """Its host and port are the running sipp's."""
    outcomes: OutcomeTable = AS_EVERYWHERE
    """What the operator says that the trunk's refusals mean."""
    presentation: Presentation = Presentation()
    timing: Timing = PATIENT
    place: Place = Place()
    calls: int = 1
    options: tuple[str, ...] = ()
    """Further options of sipp's command line."""
    audio_ports: tuple[int, ...] | None = None
    """Where our audio was sent, in order; None is the callee's usual port once it answered."""
    troubles: tuple[tuple[str, int], ...] = ()
    """Counters of `TROUBLES` that are not 0, and how much they are, or `SOME`."""


class Seen(Struct, frozen=True):
    """What a scenario looked like from both sides."""

    progress: list[tuple[Progress, ...]]
    outcomes: list[Outcome]
    """What the engine makes of each call."""
    audio_ports: list[tuple[int, ...]]
    troubles: dict[str, int]
    carrier: Verdict


def expected(scenario: Scenario) -> dict[str, object]:
    """What must be seen of it: `Seen` by its fields, so that a failure shows only what differs."""
    ports = scenario.audio_ports
    if ports is None:
        ports = (CALLEE_PORT,) if Answered() in scenario.progress else ()
    seen = Seen(
        progress=[scenario.progress] * scenario.calls,
        outcomes=[_outcome(scenario)] * scenario.calls,
        audio_ports=[ports] * scenario.calls,
        troubles=dict(scenario.troubles),
        carrier=Verdict(successful_calls=scenario.calls),
    )
    return structs.asdict(seen)


def _outcome(scenario: Scenario) -> Outcome:
    last = scenario.progress[-1]
    assert isinstance(last, Ended), "every call ends"
    return Outcome(
        scenario.disposition,
        congestion=scenario.congestion,
        retry_after_s=last.retry_after_s if scenario.disposition == "congested" else None,
        redirected_to=last.redirected_to,
    )


class WatchedStream(FakeStream):
    """A stream that says when its audio moved."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.moved = trio.Event()

    def connect(self, remote: Remote) -> None:
        super().connect(remote)
        if len(self.remotes) > 1:
            self.moved.set()


class WatchedPlane(FakePlane):
    """A media plane of such streams."""

    async def open_stream(self) -> WatchedStream:
        stream = WatchedStream(20000 + 2 * len(self.streams))
        self.streams.append(stream)
        return stream


class StoppedClock:
    """A wall clock that always says the same."""

    def now(self) -> float:
        return NOW


class Observation:
    """What one call looks like from our side, while it goes on."""

    def __init__(self) -> None:
        self.history: list[Progress] = []
        self.status: AttemptStatus = "initiated"
        self.ending: Ending = "the call ended"

    async def follow(self, call: Call, stream: FakeStream, hang_up: HangUp | float) -> None:
        """Dial, and go on to the end."""
        call.dial()
        async with trio.open_nursery() as nursery:
            if hang_up == "when dialled":
                self._give_up(call)
            elif isinstance(hang_up, float):
                nursery.start_soon(self._give_up_after, call, hang_up)
            while not self.history or not isinstance(self.history[-1], Ended):
                progress = await call.next_progress()
                self.history.append(progress)
                if isinstance(progress, Ringing):
                    self.status = next_status(self.status, "ringing") or self.status
                    if hang_up == "when it rings":
                        self._give_up(call)
                elif isinstance(progress, Answered):
                    self.status = next_status(self.status, "answered") or self.status
                    if hang_up == "when answered":
                        call.hang_up()
                    elif hang_up == "when media moved":
                        assert isinstance(stream, WatchedStream)
                        nursery.start_soon(_hang_up_when_moved, call, stream)
            nursery.cancel_scope.cancel()

    def outcome(self, table: OutcomeTable) -> Outcome:
        """What the engine would make of it."""
        last = self.history[-1] if self.history else None
        if not isinstance(last, Ended):
            return Outcome("unknown")
        return outcome_of(last, self.ending, self.status, table)

    async def _give_up_after(self, call: Call, seconds: float) -> None:
        await trio.sleep(seconds)
        self._give_up(call)

    def _give_up(self, call: Call) -> None:
        self.ending = "time-out"
        call.hang_up()


async def _hang_up_when_moved(call: Call, stream: WatchedStream) -> None:
    await stream.moved.wait()
    call.hang_up()


async def play(sipp: str, folder: Path, name: str, scenario: Scenario) -> dict[str, object]:
    """Run a scenario: sipp as the carrier, our user agent, and the calls between them."""
    async with open_carrier(
        sipp, name, folder, scenario.place, calls=scenario.calls, options=scenario.options
    ) as carrier:
        return await play_against(carrier, scenario, settings_for(carrier, scenario))


def settings_for(carrier: Carrier, scenario: Scenario) -> UserAgentSettings:
    """A user agent whose trunk is this sipp."""
    trunk = structs.replace(scenario.trunk, host=carrier.place.host, port=carrier.port)
    return UserAgentSettings(trunks=(trunk,), bind=(carrier.place.host, 0), timing=scenario.timing)


async def play_against(
    carrier: Carrier,
    scenario: Scenario,
    settings: UserAgentSettings,
    traces: Traces | None = None,
    *,
    carrier_s_max: float = CARRIER_S_MAX,
) -> dict[str, object]:
    """Place a scenario's calls with a sipp that runs, and look at both sides until it has ended."""
    plane = WatchedPlane()
    observations = [Observation() for _ in range(scenario.calls)]
    async with open_user_agent(
        settings, plane, Dice(), clock=StoppedClock(), traces=traces
    ) as agent:
        with trio.move_on_after(CALL_S_MAX):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_stop_when_failed, carrier, nursery.cancel_scope)
                async with trio.open_nursery() as calls:
                    for number, observation in enumerate(observations):
                        calls.start_soon(_place, agent, plane, scenario, number, observation)
                nursery.cancel_scope.cancel()
        # What still goes on between sipp and a user agent without calls is to be seen as well.
        with trio.move_on_after(carrier_s_max):
            await carrier.wait_exit()
        await carrier.stop()
        statistics = agent.statistics().sip
    seen = Seen(
        progress=[tuple(one.history) for one in observations],
        outcomes=[one.outcome(scenario.outcomes) for one in observations],
        audio_ports=[tuple(remote.port for remote in stream.remotes) for stream in plane.streams],
        troubles=_troubles(statistics, dict(scenario.troubles)),
        carrier=carrier.verdict(),
    )
    return structs.asdict(seen)


async def _place(
    agent: UserAgent,
    plane: WatchedPlane,
    scenario: Scenario,
    number: int,
    observation: Observation,
) -> None:
    request = CallRequest(
        attempt=f"att_{number}",
        number=f"+1415555{number:04}",
        caller="+14155550100",
        trunk="main",
        presentation=scenario.presentation,
    )
    async with agent.prepare_call(request) as call:
        await observation.follow(call, plane.streams[-1], scenario.hang_up)


async def _stop_when_failed(carrier: Carrier, calls: trio.CancelScope) -> None:
    # sipp ends when it has seen enough. When it ends unhappy nobody answers us any more.
    if await carrier.wait_exit() != 0:
        calls.cancel()


def _troubles(statistics: SipStatistics, due: dict[str, int]) -> dict[str, int]:
    counted = {name: int(getattr(statistics, name)) for name in TROUBLES}
    return {
        name: SOME if due.get(name) == SOME else count for name, count in counted.items() if count
    }
