"""A telephone network in memory: the engine's `Telephony` port without a wire, for virtual time.

Each call follows a script that is chosen when it is dialled. `tests/contract/test_telephony.py` holds it
to the same promises as the SIP user agent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import trio
from msgspec import Struct

from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import (
    Answered,
    Call,
    CallEnded,
    CallRequest,
    Ended,
    MediaStatistics,
    Progress,
    Recorded,
    Ringing,
    TrunkCondition,
)

CANCEL_S: Final = 0.1
"""How long the simulated carrier takes to confirm a CANCEL."""


class CallScript(Struct, frozen=True):
    """How the far end treats one call."""

    ring_after_s: float | None = 0.1
    """Seconds from the INVITE to ringing; None rings never."""
    final_after_s: float | None = 2.0
    """Seconds from the INVITE to the answer or refusal; None never decides."""
    code: int = 200
    """The final SIP status; 0 is a trunk that does not answer at all."""
    talk_s: float | None = None
    """Seconds from the answer until the callee hangs up; None leaves that to the caller."""
    q850: int | None = None
    retry_after_s: float | None = None
    reason: str = ""
    """The reason phrase of a refusal."""
    redirected_to: str | None = None
    """The number that a 3xx names, E.164."""


class DialedCall(Struct, frozen=True):
    """What the far end saw of one call."""

    at: float
    """When the INVITE came, `trio.current_time()`."""
    request: CallRequest


class SimulatedTelephony:
    """Answers calls as `choose` says.

    Args:
        choose: the script of a call, from its request and how many calls that number had before.
        prompt_s: how long each prompt plays, seconds.
    """

    def __init__(
        self, choose: Callable[[CallRequest, int], CallScript], prompt_s: float = 5.0
    ) -> None:
        self._choose = choose
        self._prompt_s = prompt_s
        self._calls_to: dict[str, int] = {}
        self.dialed: list[DialedCall] = []
        """Every call, in the order in which its INVITE came."""
        self.up = 0
        """Calls that were dialled and are not over."""
        self.up_max = 0
        """The most calls that were up at once."""
        self._tell: list[Callable[[TrunkCondition], None]] = []
        self._unusable: dict[str, TrunkCondition] = {}

    def watch_trunks(self, tell: Callable[[TrunkCondition], None]) -> None:
        """See the port."""
        self._tell.append(tell)
        for condition in self._unusable.values():
            tell(condition)

    def set_condition(self, trunk: str, is_usable: bool, detail: str = "") -> None:
        """Let a trunk become unusable, or usable again, for those who watch. Calls go on as they did: it is
        for the caller to make none."""
        was_usable = trunk not in self._unusable
        condition = TrunkCondition(trunk, is_usable, detail)
        if is_usable:
            self._unusable.pop(trunk, None)
        else:
            self._unusable[trunk] = condition
        if is_usable and was_usable:
            return
        for tell in self._tell:
            tell(condition)

    def prepare_call(self, request: CallRequest) -> AbstractAsyncContextManager[Call]:
        """See the port."""
        return self._prepare(request)

    @asynccontextmanager
    async def _prepare(self, request: CallRequest) -> AsyncIterator[Call]:
        await trio.lowlevel.checkpoint()
        call = _SimulatedCall(self, request, self._prompt_s)
        try:
            yield call
        finally:
            call.leave()

    def begin(self, request: CallRequest) -> CallScript:
        """An INVITE arrives."""
        before = self._calls_to.get(request.number, 0)
        self._calls_to[request.number] = before + 1
        self.dialed.append(DialedCall(trio.current_time(), request))
        self.up += 1
        self.up_max = max(self.up_max, self.up)
        return self._choose(request, before)

    def end(self) -> None:
        """A call is over."""
        self.up -= 1


class _SimulatedCall:
    def __init__(self, network: SimulatedTelephony, request: CallRequest, prompt_s: float) -> None:
        self._network = network
        self._request = request
        self._prompt_s = prompt_s
        self._script: CallScript | None = None
        self._dialed_at = 0.0
        self._answered_at: float | None = None
        self._rang = False
        self._hung_up_at: float | None = None
        self._ended: Ended | None = None
        self._changed = trio.lowlevel.ParkingLot()

    @property
    def call_id(self) -> str:
        return f"{self._request.attempt}@simulated"

    def dial(self) -> None:
        assert self._script is None, "a call is dialled once"
        self._script = self._network.begin(self._request)
        self._dialed_at = trio.current_time()

    async def next_progress(self) -> Progress:
        while True:
            await trio.lowlevel.checkpoint()
            progress, at = self._next()
            if progress is not None and at <= trio.current_time():
                return self._note(progress)
            with trio.move_on_at(at):
                await self._changed.park()

    async def play(self, prompt: str) -> None:
        await self._last(self._prompt_s)

    async def next_digit(self) -> str:
        raise NotImplementedError

    def forget_digits(self) -> None:
        raise NotImplementedError

    async def send_digits(self, digits: str) -> None:
        raise NotImplementedError

    async def detect_machine(self, parameters: AmdParameters | None = None) -> AmdVerdict:
        raise NotImplementedError

    async def wait_for_beep(self) -> None:
        raise NotImplementedError

    async def record(
        self, recording: str, *, max_s: float, silence_s: float | None = None, finish_on: str = ""
    ) -> Recorded:
        raise NotImplementedError

    async def bridge(self, other: Call) -> Call:
        raise NotImplementedError

    async def wait_ended(self) -> Ended:
        while True:
            progress = await self.next_progress()
            if isinstance(progress, Ended):
                return progress

    def hang_up(self) -> None:
        if self._script is None:
            self._finish(Ended("we_hung_up"))
        elif self._ended is None and self._hung_up_at is None:
            self._hung_up_at = trio.current_time()
        self._changed.unpark_all()

    def media_statistics(self) -> MediaStatistics:
        return MediaStatistics()

    def leave(self) -> None:
        """The call's block is left."""
        if self._ended is None:
            self._finish(Ended("we_hung_up"))

    async def _last(self, duration_s: float) -> None:
        with trio.move_on_after(duration_s):
            raise CallEnded(await self.wait_ended())

    def _next(self) -> tuple[Progress | None, float]:
        """What comes next and when, as far as it is certain."""
        if self._ended is not None:
            return self._ended, self._dialed_at
        if self._script is None:
            return None, float("inf")
        coming = [one for one in (self._by_script(), self._by_hang_up()) if one is not None]
        if not coming:
            return None, float("inf")
        return min(coming, key=lambda one: one[1])

    def _by_hang_up(self) -> tuple[Progress, float] | None:
        if self._hung_up_at is None:
            return None
        if self._answered_at is not None:
            return Ended("we_hung_up", 200), self._hung_up_at
        assert self._script is not None
        if self._script.code == 0:
            return None
        return Ended("we_hung_up", 487, "Request Terminated"), self._hung_up_at + CANCEL_S

    def _by_script(self) -> tuple[Progress, float] | None:
        script = self._script
        assert script is not None
        if self._answered_at is not None:
            if script.talk_s is None:
                return None
            return Ended("callee_hung_up", 200), self._answered_at + script.talk_s
        if script.code == 0:
            return Ended("unreachable"), self._dialed_at + 32.0
        if not self._rang and script.ring_after_s is not None:
            return Ringing(), self._dialed_at + script.ring_after_s
        if script.final_after_s is None:
            return None
        at = self._dialed_at + script.final_after_s
        if script.code == 200:
            return Answered(), at
        refusal = Ended(
            "rejected",
            script.code,
            script.reason,
            script.q850,
            script.retry_after_s,
            redirected_to=script.redirected_to,
        )
        return refusal, at

    def _note(self, progress: Progress) -> Progress:
        match progress:
            case Ringing():
                self._rang = True
            case Answered():
                self._answered_at = trio.current_time()
            case Ended():
                self._finish(progress)
        return progress

    def _finish(self, ended: Ended) -> None:
        if self._ended is None:
            self._ended = ended
            if self._script is not None:
                self._network.end()
        self._changed.unpark_all()
