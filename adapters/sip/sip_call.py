"""`SipCall`: one call as the engine sees it, over the pure `OutboundCall`."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from math import inf
from typing import Protocol, TypeVar

import structlog
import trio
from msgspec import Struct, structs

from adapters.media.types import PlaneUnavailable, Stream, StreamLost
from adapters.sip.call.outbox import CallEvent, MediaAgreed
from adapters.sip.call.uac import OutboundCall
from adapters.sip.core import SipCore
from adapters.sip.gateway import Gateway
from adapters.sip.trace.record import CallTrace
from adapters.sip.trunk import Line
from engine.ports.amd import AmdParameters, AmdVerdict
from engine.ports.telephony import (
    Answered,
    Call,
    CallEnded,
    Ended,
    MediaStatistics,
    Progress,
    Recorded,
    TelephonyUnavailable,
)

Done = TypeVar("Done")

_log = structlog.get_logger("callwheel.sip")


class Agent(Protocol):
    """What a call needs of the user agent that it belongs to."""

    core: SipCore

    def flush(self, now: float) -> None:
        """Send and tell everything that the core has to say."""

    def watch(self, call: SipCall, scope: trio.CancelScope) -> None:
        """End an answered call when its stream is lost."""


class Traces(Protocol):
    """Keeps what calls say on the wire."""

    def begin(self, attempt: str, call_id: str) -> CallTrace:
        """The trace of a call that is about to be dialled."""

    def finish(self, trace: CallTrace) -> None:
        """The call is over. Once is enough."""


class Way(Struct, frozen=True):
    """How a call reaches its trunk."""

    attempt: str
    """Whose call it is."""
    gateway: Gateway
    line: Line
    chosen_at: float
    """trio's time."""


class SipCall:
    """One call, as `engine.ports.telephony.Call`."""

    def __init__(
        self,
        agent: Agent,
        core_call: OutboundCall,
        stream: Stream,
        way: Way,
        traces: Traces | None,
    ) -> None:
        self.context = copy_context()
        """That in which it was prepared: what the log says of it carries the names of its attempt."""
        self._agent = agent
        self.core_call = core_call
        self._stream = stream
        self._way = way
        self._traces = traces
        self._trace: CallTrace | None = None
        self.gateway = way.gateway
        """Of the trunk that carries it."""
        self._is_way_judged = False
        # Ringing, Answered and Ended are each reported once, so that three places bound it.
        self._progress: deque[Progress] = deque()
        self._waiting = trio.lowlevel.ParkingLot()
        self._is_answered = False
        self._is_hanging_up = False
        self._ended: Ended | None = None
        self._dialed_at = inf
        self._watching: trio.CancelScope | None = None
        """Around the task that waits for the loss of the stream, once there is one."""
        self._doings: list[trio.CancelScope] = []
        """Around what is done with the stream and ends with the call."""

    @property
    def call_id(self) -> str:
        """The SIP Call-ID."""
        return self.core_call.call_id.decode("ascii")

    def dial(self) -> None:
        """Send the INVITE, now, without waiting."""
        now = self._dialed_at = trio.current_time()
        if self._traces is not None:
            self._trace = self._traces.begin(self._way.attempt, self.call_id)
        self._agent.core.dial(self.core_call, now, self._trace)
        self._agent.flush(now)

    def hang_up(self) -> None:
        """End the call: nothing before `dial`, CANCEL before the answer, BYE after it."""
        if self._ended is None:
            self._is_hanging_up = True
            now = trio.current_time()
            self._agent.core.hang_up(self.core_call, now)
            self._agent.flush(now)

    async def next_progress(self) -> Progress:
        """Wait for the next thing that happens. After `Ended` it returns `Ended` again."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._progress:
            if self._ended is not None:
                return self._ended
            await self._park()
        return self._progress.popleft()

    async def wait_ended(self) -> Ended:
        """Wait until the call is over."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._ended is None:
            await self._park()
        return self._ended

    async def play(self, prompt: str) -> None:
        """Play a prompt by its id to its end.

        Raises `CallEnded` when the call ends first, `KeyError` when there is no such prompt, and
        `RuntimeError` before the answer.
        """
        await self._while_up(partial(self._stream.play, prompt))

    async def next_digit(self) -> str:
        """Wait for the next key that the callee presses. Raises `CallEnded` when none is left and the
        call is over, and `RuntimeError` before the answer."""
        with suppress(CallEnded):
            return await self._while_up(self._stream.next_digit)
        # Keys that are left are given without waiting.
        with trio.move_on_at(-inf), suppress(StreamLost):
            return await self._stream.next_digit()
        raise CallEnded(await self.wait_ended())

    def forget_digits(self) -> None:
        """Throw away the keys that were pressed and not asked for."""
        self._stream.forget_digits()

    async def send_digits(self, digits: str) -> None:
        """Press these keys, one after the other; a prompt that plays waits meanwhile.

        Raises `CallEnded` when the call ends first, `ValueError` for what is no key and for more than
        64 of them, `RuntimeError` before the answer, and `trio.BusyResourceError` while others are
        being pressed.
        """
        await self._while_up(partial(self._stream.send_digits, digits))

    async def detect_machine(self, parameters: AmdParameters | None = None) -> AmdVerdict:
        """Listen to the callee from now on until it is known who answered.

        Raises `CallEnded` when the call ends first, `ValueError` for parameters out of bounds, and
        `RuntimeError` before the answer.
        """
        return await self._while_up(partial(self._stream.detect_machine, parameters))

    async def wait_for_beep(self) -> None:
        """Return when a beep that was heard from now on is over. Raises `CallEnded`, and
        `RuntimeError` before the answer."""
        await self._while_up(self._stream.wait_for_beep)

    async def record(
        self, recording: str, *, max_s: float, silence_s: float | None = None, finish_on: str = ""
    ) -> Recorded:
        """Record the callee from now on; the call's end ends it.

        Raises `ValueError` for an id, a limit or a key that is none, and `RuntimeError` before the
        answer.
        """
        self._check_answered()
        if self._ended is not None:
            return Recorded(recording, 0.0, "call_ended")
        # What was recorded is made safe before it is told, be the call over or not.
        return await self._stream.record(
            recording, max_s=max_s, silence_s=silence_s, finish_on=finish_on
        )

    async def bridge(self, other: Call) -> Call:
        """Let the two callees hear each other, until one of the calls ends: that one comes back.

        Raises `RuntimeError` where one of them was never answered, `trio.BusyResourceError` where one
        plays or is bridged, and `TelephonyUnavailable` where the media plane has no room for it.
        """
        if not isinstance(other, SipCall):
            raise TypeError("only calls of one telephony can be bridged")
        if not (self._is_answered and other._is_answered):
            raise RuntimeError("nobody has answered yet")
        ended: list[SipCall] = []
        refusal: Exception | None = None

        async def note_end(call: SipCall) -> None:
            await call.wait_ended()
            ended.append(call)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for call in (self, other):
                nursery.start_soon(note_end, call)
            try:
                await self._stream.bridge(other._stream)
                # A stream is over, and its call is about to end, if it is not lost.
            except (trio.BusyResourceError, ValueError, PlaneUnavailable) as error:
                refusal = error
                nursery.cancel_scope.cancel()
        if ended:
            return ended[0]
        assert refusal is not None
        if isinstance(refusal, PlaneUnavailable):
            raise TelephonyUnavailable(str(refusal)) from refusal
        raise refusal

    def media_statistics(self) -> MediaStatistics:
        """What is known of the media so far; final once the call's block is left."""
        return self._stream.statistics()

    # For the user agent.

    def hear(self, event: CallEvent) -> None:
        """Take what the core says about this call."""
        if isinstance(event, Ended) and event.how == "unreachable":
            failure = self._way.gateway.find_failure(self._way.line, self._dialed_at)
            event = structs.replace(event, failure=failure)
        if not self._is_way_judged:
            event = self._judge_way(event)
        if isinstance(event, MediaAgreed):
            self._stream.connect(event.remote)
            if not event.is_first:
                return
            self._is_answered = True
            self._progress.append(Answered())
        else:
            if isinstance(event, Ended):
                self._ended = event
                if self._traces is not None and self._trace is not None:
                    # What the call's transactions still say is taken for a little longer.
                    self._traces.finish(self._trace)
                self._stop_watching()
                self._stream.end_recording()
                for scope in self._doings:
                    scope.cancel()
            self._progress.append(event)
        self._waiting.unpark_all()

    def _judge_way(self, event: CallEvent) -> CallEvent:
        """Tell the gateway what the first event says of the server that was chosen."""
        self._is_way_judged = True
        way, now = self._way, trio.current_time()
        match event:
            case Ended(how="rejected"):
                if way.gateway.note_refusal(way.line, event, now):
                    # The next call goes to another server: no reason for the trunk to rest.
                    return structs.replace(event, retry_after_s=None, has_other_way=True)
            case Ended(how="unreachable"):
                if way.gateway.note_failure(way.line, way.chosen_at, now):
                    return structs.replace(event, has_other_way=True)
            case Ended(sip_code=None):
                way.gateway.give_back(way.line, way.chosen_at, now)
            case _:
                way.gateway.note_answer(way.line, now)
        return event

    def lose_stream(self) -> None:
        """The stream is gone: an answered call ends as `lost`."""
        now = trio.current_time()
        self._agent.core.lose_stream(self.core_call, now)
        self._agent.flush(now)

    def _check_answered(self) -> None:
        if not self._is_answered:
            raise RuntimeError("nobody has answered yet")

    async def _while_up(self, do: Callable[[], Awaitable[Done]]) -> Done:
        """Do something with the stream. Raises `CallEnded` when the call ends first."""
        self._check_answered()
        if self._ended is None:
            with trio.CancelScope() as scope:
                self._doings.append(scope)
                try:
                    return await do()
                except StreamLost:
                    self.lose_stream()
                finally:
                    self._doings.remove(scope)
        raise CallEnded(await self.wait_ended())

    async def _park(self) -> None:
        if self._is_answered and not self._is_hanging_up and self._watching is None:
            # A prompt hears for itself that its stream is lost. Only who merely waits needs a task
            # to hear it for him, and most calls end before anybody does.
            self._watching = trio.CancelScope()
            self._agent.watch(self, self._watching)
        await self._waiting.park()

    async def watch_stream(self, scope: trio.CancelScope) -> None:
        """Run until the stream is lost or the scope is cancelled."""
        with scope:
            try:
                await self._stream.wait_lost()
            except Exception:
                self.context.run(
                    _log.exception, "watching a media stream failed", call_id=self.call_id
                )
            self.lose_stream()

    def leave(self) -> None:
        """The block is left: hang up, and hear nothing any more."""
        self.hang_up()
        self._stop_watching()
        if not self._is_way_judged:
            self._is_way_judged = True
            self._way.gateway.give_back(self._way.line, self._way.chosen_at, trio.current_time())

    def _stop_watching(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
