"""One call of the simulated network: the engine's `Call` port over a script.

Nothing happens by itself here. Whoever waits asks what comes next and when, sleeps until then, and notes
that it happened: so it costs nothing that a call is long, and virtual time jumps from one thing to the next.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Final, Protocol

import trio

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
    RecordingEnding,
    Ringing,
)
from sim.call_script import CallScript, DialedCall, Moment
from sim.virtual_clock import VirtualClock

CANCEL_S: Final = 0.1
"""How long the simulated carrier takes to confirm a CANCEL."""
SENT_DIGIT_S: Final = 0.2
"""How long it takes to send a key, with the pause behind it."""
DIGITS_KEPT: Final = 64
"""Keys that are kept until somebody asks, and that are sent in one go; see the port."""
KEYS: Final = frozenset("0123456789*#ABCD")


class Network(Protocol):
    """What a call needs of the network that it belongs to."""

    missing: set[str]
    recordings: dict[str, Recorded]

    def begin(self, request: CallRequest) -> tuple[CallScript, DialedCall]:
        """An INVITE arrives."""

    def end(self) -> None:
        """A call is over."""


class SimulatedCall:
    """Made by `SimulatedTelephony.prepare_call`; see the port."""

    def __init__(
        self,
        network: Network,
        request: CallRequest,
        prompt_s: float,
        durations_s: Mapping[str, float],
    ) -> None:
        self._network = network
        self._request = request
        self._prompt_s = prompt_s
        self._durations_s = durations_s
        self._script: CallScript | None = None
        self._dialed: DialedCall | None = None
        self._dialed_at = 0.0
        self._answered_at: float | None = None
        self._rang = False
        self._hung_up_at: float | None = None
        self._ended: Ended | None = None
        self._plays = 0
        self._leaves_at = inf
        """When the callee hangs up, as far as that is known."""
        self._coming: list[tuple[float, int, str]] = []
        """Keys that will be pressed: (when, place in the script, key), a heap."""
        self._digits: deque[str] = deque(maxlen=DIGITS_KEPT)
        self._finish_on: str | None = None
        """Keys that end the recording that goes on."""
        self._finished = False
        self._bridged: SimulatedCall | None = None
        self._changed = trio.lowlevel.ParkingLot()

    @property
    def call_id(self) -> str:
        return f"{self._request.attempt}@simulated"

    def dial(self) -> None:
        assert self._script is None, "a call is dialled once"
        self._script, self._dialed = self._network.begin(self._request)
        self._dialed_at = trio.current_time()

    async def next_progress(self) -> Progress:
        progress, at = self._next()
        if progress is not None and at <= trio.current_time():
            await trio.lowlevel.checkpoint()
            progress, at = self._next()
        while progress is None or at > trio.current_time():
            await self._wait_until(at)
            progress, at = self._next()
        return self._note(progress)

    async def play(self, prompt: str) -> None:
        assert self._answered_at is not None, "nobody has answered yet"
        if prompt in self._network.missing:
            raise KeyError(prompt)
        self._plays += 1
        number = self._plays
        self._seen.played.append(prompt)
        self._note_moment("prompt_begins", number)
        try:
            await self._last(self._durations_s.get(prompt, self._prompt_s))
        finally:
            self._note_moment("prompt_ends", number)

    async def next_digit(self) -> str:
        self._take_keys()
        if self._digits or self._is_over():
            await trio.lowlevel.checkpoint()
            self._take_keys()
        while not self._digits:
            await self._wait_key()
            self._take_keys()
        return self._digits.popleft()

    def forget_digits(self) -> None:
        self._take_keys()
        self._digits.clear()

    async def send_digits(self, digits: str) -> None:
        if not KEYS.issuperset(digits) or len(digits) > DIGITS_KEPT:
            raise ValueError(f"up to {DIGITS_KEPT} keys can be sent, not {digits!r}")
        for digit in digits:
            await self._last(SENT_DIGIT_S)
            self._seen.digits.append(digit)

    async def detect_machine(self, parameters: AmdParameters | None = None) -> AmdVerdict:
        assert self._script is not None, "nobody was called yet"
        verdict = self._script.verdict
        await self._last(verdict.elapsed_ms / 1000)
        return verdict

    async def wait_for_beep(self) -> None:
        assert self._script is not None
        assert self._answered_at is not None, "nobody has answered yet"
        since_s = trio.current_time() - self._answered_at
        beeps = [at for at in self._script.beeps_s if at > since_s]
        await self._last(min(beeps, default=inf) - since_s)

    async def record(
        self, recording: str, *, max_s: float, silence_s: float | None = None, finish_on: str = ""
    ) -> Recorded:
        begun = trio.current_time()
        self._take_keys()
        self._finish_on, self._finished = finish_on, False
        silent_at = inf if silence_s is None else self._silent_at(begun, silence_s)
        ending: RecordingEnding = "stopped"
        try:
            ending = await self._until_recorded(begun + max_s, silent_at)
        finally:
            self._finish_on = None
            recorded = Recorded(recording, trio.current_time() - begun, ending)
            self._network.recordings[recording] = recorded
        return recorded

    async def bridge(self, other: Call) -> Call:
        assert isinstance(other, SimulatedCall), "both are calls of one network"
        ended: list[SimulatedCall] = []

        async def wait(one: SimulatedCall, scope: trio.CancelScope) -> None:
            try:
                while True:
                    await trio.lowlevel.checkpoint()
                    one._take_keys()
                    await one._wait_key()
            except CallEnded:
                ended.append(one)
                scope.cancel()

        with self._joined(other):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait, self, nursery.cancel_scope)
                nursery.start_soon(wait, other, nursery.cancel_scope)
        return ended[0]

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

    @property
    def _seen(self) -> DialedCall:
        assert self._dialed is not None, "nobody was called yet"
        return self._dialed

    async def _last(self, duration_s: float) -> None:
        with trio.move_on_after(duration_s):
            raise CallEnded(await self.wait_ended())

    async def _wait_until(self, at: float) -> None:
        """Until that moment, or until something changes that was expected."""
        clock = trio.lowlevel.current_clock()
        if not isinstance(clock, VirtualClock):
            with trio.move_on_at(at):
                await self._changed.park()
            return
        alarm = clock.set_alarm(at, self._changed.unpark_all)
        try:
            await self._changed.park()
        finally:
            alarm.call_off()

    def _is_over(self) -> bool:
        progress, at = self._next()
        return isinstance(progress, Ended) and at <= trio.current_time()

    async def _wait_key(self) -> None:
        """Until a key may be there. Raises `CallEnded` when the call is over."""
        progress, at = self._next()
        if isinstance(progress, Ended) and at <= trio.current_time():
            self._note(progress)
            raise CallEnded(progress)
        await self._wait_until(min(at, self._coming[0][0] if self._coming else inf))

    async def _until_recorded(self, full_at: float, silent_at: float) -> RecordingEnding:
        while True:
            await trio.lowlevel.checkpoint()
            self._take_keys()
            if self._finished:
                return "key"
            if trio.current_time() >= min(silent_at, full_at):
                return "silence" if silent_at <= full_at else "max"
            try:
                with trio.move_on_at(min(silent_at, full_at)):
                    await self._wait_key()
            except CallEnded:
                return "call_ended"

    def _silent_at(self, begun: float, silence_s: float) -> float:
        """When nothing will have been said for so long, of what is recorded from `begun` on."""
        assert self._script is not None
        assert self._answered_at is not None, "nobody has answered yet"
        quiet_since = begun
        for first_s, last_s in self._script.speaks_s:
            if self._answered_at + first_s - quiet_since >= silence_s:
                break
            quiet_since = max(quiet_since, self._answered_at + last_s)
        return quiet_since + silence_s

    @contextmanager
    def _joined(self, other: SimulatedCall) -> Iterator[None]:
        assert self._bridged is other._bridged is None, "a call is bridged with one other at a time"
        self._bridged, other._bridged = other, self
        try:
            yield
        finally:
            self._bridged = other._bridged = None

    def _note_moment(self, since: str, prompt: int = 0) -> None:
        """Something happened that the callee acts upon."""
        assert self._script is not None
        now = trio.current_time()

        def is_it(moment: Moment) -> bool:
            return moment.since == since and (since == "answer" or moment.prompt == prompt)

        for place, one in enumerate(self._script.keys):
            if is_it(one.at):
                heapq.heappush(self._coming, (now + one.at.after_s, place, one.key))
        leaves = self._script.hangs_up
        if leaves is not None and is_it(leaves):
            self._leaves_at = min(self._leaves_at, now + leaves.after_s)
        self._changed.unpark_all()

    def _take_keys(self) -> None:
        """Keep what was pressed until now."""
        until = trio.current_time()
        progress, at = self._next()
        if isinstance(progress, Ended):
            until = min(until, at)
        while self._coming and self._coming[0][0] <= until:
            _, _, key = heapq.heappop(self._coming)
            if self._bridged is not None:
                self._bridged._seen.digits.append(key)
            if self._finish_on is not None and key in self._finish_on:
                self._finished = True
            else:
                self._digits.append(key)

    def _next(self) -> tuple[Progress | None, float]:
        """What comes next and when, as far as it is certain."""
        if self._ended is not None:
            return self._ended, self._dialed_at
        if self._script is None:
            return None, inf
        coming = [one for one in (self._by_script(), self._by_hang_up()) if one is not None]
        if not coming:
            return None, inf
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
            breaks_at = inf
            if script.breaks_after_s is not None:
                breaks_at = max(self._answered_at, self._dialed_at + script.breaks_after_s)
            if breaks_at < self._leaves_at:
                return Ended("lost", 200), breaks_at
            if self._leaves_at == inf:
                return None
            return Ended("callee_hung_up", 200), self._leaves_at
        if script.code == 0:
            return Ended("unreachable", failure="timed_out"), self._dialed_at + 32.0
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
                self._note_answer()
            case Ended():
                self._finish(progress)
        return progress

    def _note_answer(self) -> None:
        assert self._script is not None
        self._answered_at = trio.current_time()
        if self._script.talk_s is not None:
            self._leaves_at = self._answered_at + self._script.talk_s
        self._note_moment("answer")

    def _finish(self, ended: Ended) -> None:
        if self._ended is None:
            self._take_keys()  # what was not pressed until now is not pressed any more
            self._ended = ended
            if self._script is not None:
                self._network.end()
        self._changed.unpark_all()
