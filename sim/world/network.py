"""The telephone network of the world: callees by a profile, and a way to them that loses, delays, repeats and
reorders what is sent, and that is cut off at times."""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import blake2b
from typing import Final

import msgspec
import trio
from msgspec import Struct

from engine.ports.clock import WallClock
from engine.ports.telephony import Call, CallRequest, Progress, Recorded, Ringing, TrunkCondition
from sim.call_script import CallScript, DialedCall, press
from sim.memory_store import MemoryStore
from sim.profile import Profile, plan_call
from sim.simulated_call import SimulatedCall
from sim.world.plan import Outage
from sim.world.process import Process, ProcessDied
from sim.world.tape import CallOver, Happened, Invite, Tape

PROMPT_S: Final = 5.0
JITTER_S: Final = 0.019
"""By how much one INVITE may be longer on its way than another: what the engine guards its windows for
(`engine.dial.limits.windows.GUARD_S`)."""
REDIRECTED: Final = 0.01
"""Share of calls that are redirected to another number."""
OPTS_OUT: Final = 0.1
"""Share of callees who press 9, which asks not to be called again."""
REPEATED: Final = 0.2
"""Share of calls whose 180 comes twice."""
OVERTAKEN: Final = 0.1
"""Share of calls whose 180 comes after the answer, and so never."""
AGENT_RINGS: Final = 0.1
"""Share of calls to agents that ring, and are not answered."""
AGENT_BUSY: Final = 0.05
AGENT_BREAKS: Final = 0.1
"""Share of answered calls to agents that the network loses."""
AGENT_STAYS_S: Final = 120.0
"""How long an agent stays on the line, on average."""
UNHEARD: Final = CallScript(ring_after_s=None, final_after_s=None, code=0)
"""Of a call that gets no answer at all."""
NINE: Final = press("9")
_SIX_DRAWS: Final = struct.Struct("<6Q")


class LiveCall(Struct, frozen=True):
    """A call that was prepared."""

    request: CallRequest
    process: int


class WorldNetwork:
    """The carrier and everything behind it. It outlives the processes that call through it."""

    def __init__(
        self,
        seed: int,
        profile: Profile,
        outages: Sequence[Outage],
        loss: float,
        store: MemoryStore,
        clock: WallClock,
        tape: Tape,
    ) -> None:
        self.tape = tape
        self.outages = outages
        self.live: dict[str, LiveCall] = {}
        """By attempt: calls that are prepared or up."""
        self._seed = seed
        self._profile = profile
        self._loss = loss
        self._store = store
        self._clock = clock

    def is_cut_off(self, trunk: str, at: float) -> bool:
        """Whether nothing gets through to a trunk at a moment."""
        return any(one.trunk == trunk and one.begin <= at < one.end for one in self.outages)

    def is_noticed(self, trunk: str, at: float) -> bool:
        """Whether probes find that nothing gets through."""
        return any(
            one.noticed and one.trunk == trunk and one.begin <= at < one.end for one in self.outages
        )

    def script_for(self, request: CallRequest) -> CallScript:
        """What becomes of a call that is dialled now."""
        now = trio.current_time()
        lost, redirected, other, overtaken, opts_out, which = self._draw(request, "far")
        if self.is_cut_off(request.trunk, now) or lost < self._loss:
            return UNHEARD
        if redirected < REDIRECTED:
            number = f"{request.number[:-4]}{int(other * 10_000):04}"
            return CallScript(ring_after_s=None, final_after_s=0.2, code=302, redirected_to=number)
        if request.attempt.startswith("leg_"):
            return self._cut_off(_by_agent(other, overtaken, which, opts_out), request.trunk, now)
        plan = plan_call(self._profile, self._seed, request.number, int(which * 2**32))
        if plan.code == 0:
            return UNHEARD
        rings = plan.alert and overtaken >= OVERTAKEN
        script = CallScript(
            ring_after_s=plan.alert_after_s if rings else None,
            final_after_s=plan.final_after_s,
            code=plan.code,
            talk_s=plan.talk_s if plan.code == 200 else None,
            retry_after_s=1.0 if plan.asks_for_pause else None,
            keys=NINE if opts_out < OPTS_OUT else (),
        )
        return self._cut_off(script, request.trunk, now) if self.outages else script

    def _draw(self, request: CallRequest, what: str) -> tuple[float, ...]:
        """Six draws of [0, 1) for a call. They hang on the attempt, whose id the seed makes: so nothing has
        to be kept of who was called before."""
        key = f"{self._seed}/{request.attempt}/{request.number}/{what}".encode()
        drawn = _SIX_DRAWS.unpack(blake2b(key, digest_size=48).digest())
        return tuple(draw / 2**64 for draw in drawn)

    def is_repeated(self, request: CallRequest) -> bool:
        """Whether a call's 180 comes twice."""
        return self._draw(request, "near")[1] < REPEATED

    def _cut_off(self, script: CallScript, trunk: str, now: float) -> CallScript:
        """What an outage during the call leaves of it: no response comes through, and an answered call is
        lost after a while of silence."""
        for one in self.outages:
            if one.trunk != trunk or one.begin < now:
                continue
            begins_s = one.begin - now
            if script.final_after_s is not None and begins_s < script.final_after_s:
                return msgspec.structs.replace(script, final_after_s=None)
            lost_s = begins_s + 32.0
            if script.breaks_after_s is None or lost_s < script.breaks_after_s:
                script = msgspec.structs.replace(script, breaks_after_s=lost_s)
        return script

    def note_invite(self, request: CallRequest, process: Process, script: CallScript) -> None:
        """An INVITE left."""
        now = trio.current_time()
        tables = self._store.tables
        kept = tables.attempts.get(request.attempt) or tables.legs.get(request.attempt)
        self.tape.add(
            Invite(
                at=now,
                wall_at=self._clock.now(),
                arrived_at=now + JITTER_S * self._draw(request, "near")[0],
                attempt=request.attempt,
                number=request.number,
                caller=request.caller,
                trunk=request.trunk,
                process=process.number,
                written=kept is not None and kept.ended_at is None,
                code=script.code,
            )
        )

    def note_over(self, attempt: str, died: bool) -> None:
        """A call that was dialled is over."""
        self.tape.add(CallOver(trio.current_time(), attempt, died))


def _by_agent(answers: float, after: float, leaves: float, breaks: float) -> CallScript:
    """What becomes of a call to an agent, by draws of [0, 1): most answer, and hang up at any moment."""
    after_s = 0.5 + 4 * after
    if answers < AGENT_RINGS:
        return CallScript(ring_after_s=after_s, final_after_s=None)
    if answers < AGENT_RINGS + AGENT_BUSY:
        return CallScript(ring_after_s=None, final_after_s=after_s, code=486)
    talk_s = AGENT_STAYS_S * -math.log(1 - leaves)
    breaks_after_s = after_s + talk_s / 2 if breaks < AGENT_BREAKS else None
    return CallScript(final_after_s=after_s, talk_s=talk_s, breaks_after_s=breaks_after_s)


class ProcessTelephony:
    """The port of one process."""

    def __init__(self, network: WorldNetwork, process: Process) -> None:
        self.missing: set[str] = set()
        self.recordings: dict[str, Recorded] = {}
        self.network = network
        self.process = process
        self._tell: list[Callable[[TrunkCondition], None]] = []

    def watch_trunks(self, tell: Callable[[TrunkCondition], None]) -> None:
        """See the port."""
        self._tell.append(tell)
        now = trio.current_time()
        for one in self.network.outages:
            if one.noticed and one.begin <= now < one.end:
                tell(TrunkCondition(one.trunk, False, "Its probes fail."))

    async def run(self) -> None:
        """Tell what probes find, until cancelled."""
        moments = sorted(
            {
                (at, one.trunk)
                for one in self.network.outages
                if one.noticed
                for at in (one.begin, one.end)
            }
        )
        for at, trunk in moments:
            if at < trio.current_time():
                continue
            await trio.sleep_until(at)
            is_usable = not self.network.is_noticed(trunk, at)
            self.network.tape.add(Happened(at, "trunk", f"{trunk} {is_usable}"))
            if not self.process.is_dead:
                for tell in self._tell:
                    tell(TrunkCondition(trunk, is_usable, "As its probes say."))

    def prepare_call(self, request: CallRequest) -> AbstractAsyncContextManager[Call]:
        """See the port."""
        return self._prepare(request)

    @asynccontextmanager
    async def _prepare(self, request: CallRequest) -> AsyncIterator[Call]:
        self.process.check()
        await trio.lowlevel.checkpoint()
        self.process.check()  # who died meanwhile has no call that anybody would end
        call = _WorldCall(self, request)
        self.process.on_death[call] = call.fall_silent
        self.network.live[request.attempt] = LiveCall(request, self.process.number)
        try:
            yield call
        finally:
            del self.process.on_death[call]
            if not self.process.is_dead:
                self.network.live.pop(request.attempt, None)
            call.leave()


class _Line:
    """What one call needs of the network that it belongs to."""

    def __init__(self, telephony: ProcessTelephony, request: CallRequest) -> None:
        self.missing = telephony.missing
        self.recordings = telephony.recordings
        self._telephony = telephony
        self._request = request
        self._is_over = False

    def begin(self, request: CallRequest) -> tuple[CallScript, DialedCall]:
        """An INVITE leaves."""
        telephony = self._telephony
        telephony.process.step()
        script = telephony.network.script_for(request)
        telephony.network.note_invite(request, telephony.process, script)
        return script, DialedCall(trio.current_time(), request)

    def end(self) -> None:
        """The call is over."""
        self.note_over(died=False)

    def note_over(self, *, died: bool) -> None:
        """Once."""
        if not self._is_over:
            self._is_over = True
            self._telephony.network.note_over(self._request.attempt, died)


class _WorldCall(SimulatedCall):
    """A call whose process may die, and whose 180 may come twice."""

    def __init__(self, telephony: ProcessTelephony, request: CallRequest) -> None:
        self._line = _Line(telephony, request)
        super().__init__(self._line, request, PROMPT_S, {})
        self._process = telephony.process
        self._rings_again = telephony.network.is_repeated(request)

    async def next_progress(self) -> Progress:
        if self._rang and self._rings_again:
            self._rings_again = False
            await trio.lowlevel.checkpoint()
            return Ringing()
        return await super().next_progress()

    def fall_silent(self) -> None:
        """The process is dead."""
        if self._script is not None and self._ended is None:
            self._line.note_over(died=True)
        self._line._telephony.network.live.pop(self._request.attempt, None)
        self._changed.unpark_all()

    def _next(self) -> tuple[Progress | None, float]:
        if self._process.is_dead:
            raise ProcessDied
        return super()._next()

    def leave(self) -> None:
        if not self._process.is_dead:
            super().leave()
