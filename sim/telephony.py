"""A telephone network in memory: the engine's `Telephony` port without a wire, for virtual time.

Each call follows a script that is chosen when it is dialled. `tests/contract/test_telephony.py` holds it
to the same promises as the SIP user agent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from engine.ports.telephony import Call, CallRequest, Recorded, TrunkCondition
from sim.call_script import CallScript, DialedCall, Moment, Press, press
from sim.simulated_call import SimulatedCall

__all__ = ["CallScript", "DialedCall", "Moment", "Press", "SimulatedTelephony", "press"]


class SimulatedTelephony:
    """Answers calls as `choose` says.

    Args:
        choose: the script of a call, from its request and how many calls that number had before.
        prompt_s: how long each prompt plays, seconds, …
        durations_s: … but for these, by their ids.
    """

    def __init__(
        self,
        choose: Callable[[CallRequest, int], CallScript],
        prompt_s: float = 5.0,
        durations_s: Mapping[str, float] | None = None,
    ) -> None:
        self._choose = choose
        self._prompt_s = prompt_s
        self._durations_s = dict(durations_s or {})
        self._calls_to: dict[str, int] = {}
        self.dialed: list[DialedCall] = []
        """Every call, in the order in which its INVITE came."""
        self.up = 0
        """Calls that were dialled and are not over."""
        self.up_max = 0
        """The most calls that were up at once."""
        self.missing: set[str] = set()
        """Prompts that are not there: playing one raises KeyError."""
        self.recordings: dict[str, Recorded] = {}
        """What was recorded, by its id."""
        self._tell: list[Callable[[TrunkCondition], None]] = []
        self._unusable: dict[str, TrunkCondition] = {}

    def set_duration(self, prompt: str, duration_s: float) -> None:
        """Let a prompt play for so long."""
        self._durations_s[prompt] = duration_s

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
        call = SimulatedCall(self, request, self._prompt_s, self._durations_s)
        try:
            yield call
        finally:
            call.leave()

    def begin(self, request: CallRequest) -> tuple[CallScript, DialedCall]:
        """An INVITE arrives."""
        before = self._calls_to.get(request.number, 0)
        self._calls_to[request.number] = before + 1
        dialed = DialedCall(trio.current_time(), request)
        self.dialed.append(dialed)
        self.up += 1
        self.up_max = max(self.up_max, self.up)
        return self._choose(request, before), dialed

    def end(self) -> None:
        """A call is over."""
        self.up -= 1
