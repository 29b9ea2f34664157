"""`MessagePump`: carries messages between the sockets and the core, and gives the core its time.

How it works. One task waits until the UDP socket is readable, drains it without waiting, and sends what
the core wants sent. Where datagrams come by the handful it comes back at the next beat without asking the
kernel whether there are more, which costs as much as handling one. Streams hand their messages in by
themselves; another task sleeps until the core's next timer. Nothing between a message and its answer waits
for anything but the beat.

Timers run at a coarse beat, and what has arrived is taken in before they are: when the machine held
this process up, the response lies in the socket already, and sending again would be needless.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import inf

import structlog
import trio
from msgspec import Struct

from adapters.sip.call.outbox import CallEvent
from adapters.sip.call.uac import OutboundCall
from adapters.sip.core import SipCore
from adapters.sip.errand.errand import Errand
from adapters.sip.trace.record import CallTrace
from adapters.sip.transport.sockets import Failed, Sockets
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.uri import Address
from engine.model import TrunkFailure

DATAGRAMS_PER_ROUND_MAX = 128
"""Datagrams that are taken before other tasks get a turn."""
ROUNDS_BEFORE_TIMERS_MAX = 32
"""Rounds of datagrams that are taken before timers run."""
BEAT_S = 0.005
"""Datagrams are looked for no more often than this. To wake up costs as much as to handle a few of them, and
under load they then come by the handful; who comes alone waits for nothing."""
HANDFUL = 2
"""Where so many have come since the last beat, there will be one at the next."""
HOPS_REMEMBERED = 1024
"""Sources whose `Hop` is not made anew for each datagram."""
TIMER_RESOLUTION_S = 0.02
"""The timers run no more often than this; SIP's shortest is 25 times longer."""
FAILURES_REMEMBERED_MAX = 256
"""Hops of which it is remembered why they last failed; with one more all are forgotten."""

_FAILURES: dict[str, TrunkFailure] = {"refused": "refused", "unreachable": "unreachable"}
"""What the reasons of sockets mean for a server's health; any other is a broken connection."""

_log = structlog.get_logger("callwheel.sip")


@lru_cache(maxsize=HOPS_REMEMBERED)
def _hop_of(source: Address) -> Hop:
    return Hop(*source)


class Cause(Struct, frozen=True):
    """Why nothing at all came from a hop."""

    failure: TrunkFailure
    detail: str = ""
    """A few words for a person, where there is more to say than the kind of failure does."""


_SILENCE = Cause("timed_out")


class Mailroom(Struct, frozen=True):
    """Whom a pump works for."""

    open_sockets: Callable[[Callable[[bytes, Hop], None], Failed], Sockets]
    """Given who takes messages and who hears of failures. Raises `OSError`."""
    tell: Callable[[OutboundCall, CallEvent], None]
    """Hears what happened to calls. It never raises."""
    finish_trace: Callable[[CallTrace], None]
    """Takes the traces of calls of which nothing more is kept."""


class MessagePump:
    """See the module. Raises `OSError` when a socket cannot be bound."""

    def __init__(self, core: SipCore, mailroom: Mailroom) -> None:
        self._core = core
        self._tell = mailroom.tell
        self._finish_trace = mailroom.finish_trace
        self._errands: dict[Errand, Callable[[], None]] = {}
        self._failures: dict[Hop, tuple[Cause, float]] = {}
        self._alarm = trio.CancelScope()
        self._rests_until = -inf
        """No timer runs before."""
        self.datagrams_received = 0
        self.sockets = mailroom.open_sockets(self._take_message, self._hear_of_failure)

    def flush(self, now: float) -> None:
        """Send and tell everything that the core has to say."""
        core = self._core
        while messages := core.datagrams_to_send():
            for data, hop in messages:
                self.sockets.send(data, hop)
        for call, event in core.take_events():
            self._tell(call, event)
        for fault in core.take_faults():
            _log.error(
                "a call was ended by a fault of ours",
                call_id=fault.call_id.decode("ascii", "replace"),
                exc_info=fault.exception,
            )
        for trace in core.take_traces():
            self._finish_trace(trace)
        if self._errands:
            self._end_errands()
        wake = max(core.next_wake(), self._rests_until)
        if wake < self._alarm.deadline:
            self._alarm.deadline = wake

    def begin_errand(self, errand: Errand, done: Callable[[], None]) -> None:
        """Send an errand, and call `done` when it is."""
        now = trio.current_time()
        self._errands[errand] = done
        self._core.begin_errand(errand, now)
        self.flush(now)

    def cause_of_silence(self, hop: Hop, since: float) -> Cause:
        """Why nothing at all came from a hop: what its transport has said since then, or nothing."""
        cause, at = self._failures.get(hop, (_SILENCE, since))
        return cause if at >= since else _SILENCE

    async def read_datagrams(self) -> None:
        """Run for as long as the pump is wanted."""
        beat = -inf
        taken = 0
        while True:
            if taken < HANDFUL:
                await trio.lowlevel.wait_readable(self.sockets.datagrams.socket)
            # The beat is also where other tasks get a turn when the kernel was not waited for.
            if taken >= HANDFUL or trio.current_time() < beat:
                await trio.sleep_until(beat)
            now = trio.current_time()
            beat = now + BEAT_S
            taken = self._drain(now)

    async def keep_time(self) -> None:
        """Run for as long as the pump is wanted."""
        while True:
            self._rests_until = trio.current_time() + TIMER_RESOLUTION_S
            deadline = max(self._core.next_wake(), self._rests_until)
            with trio.CancelScope(deadline=deadline) as self._alarm:
                await trio.sleep_forever()
            now = trio.current_time()
            # When the machine held us up, the response may have come in time and wait in the
            # socket: nothing is sent again before that was looked at.
            for _ in range(ROUNDS_BEFORE_TIMERS_MAX):
                if self._drain(now) < DATAGRAMS_PER_ROUND_MAX:
                    break
            self._core.wake(now)
            self.flush(now)

    def _drain(self, now: float) -> int:
        """Take what has arrived; how many datagrams that were, `DATAGRAMS_PER_ROUND_MAX` at most."""
        datagrams = self.sockets.datagrams
        taken = 0
        while taken < DATAGRAMS_PER_ROUND_MAX and (datagram := datagrams.receive()) is not None:
            data, source = datagram
            taken += 1
            self._take(data, _hop_of(source), now)
        if not taken or datagrams.has_errors:
            # Readable without a datagram: it is the error queue, which stays readable until it is
            # empty. Where datagrams never cease to come, that is never seen.
            for address in datagrams.take_errors():
                self._hear_of_failure(Hop(*address), "refused", "")
        self.datagrams_received += taken
        self.flush(now)
        return taken

    def _take_message(self, data: bytes, source: Hop) -> None:
        """A message came over a stream."""
        now = trio.current_time()
        self._take(data, source, now)
        self.flush(now)

    def _take(self, data: bytes, source: Hop, now: float) -> None:
        try:
            self._core.receive(data, source, now)
        except Exception:
            _log.exception("a message was not handled", source=source, data=data[:200])

    def _hear_of_failure(self, hop: Hop, reason: str, detail: str) -> None:
        """Something could not be sent, or a connection has broken."""
        now = trio.current_time()
        cause = Cause(_FAILURES.get(reason, "broken"), detail)
        known = self._failures.get(hop)
        if known is not None and reason == "back_off":
            # It was not even tried, for the reason of the last time.
            cause, _ = known
        if known is None and len(self._failures) >= FAILURES_REMEMBERED_MAX:
            self._failures.clear()
        self._failures[hop] = (cause, now)
        self._core.fail_transport(hop, now)
        # It may be told in the midst of a flush, which goes on with what this has brought; and if not,
        # this one is as good as any.
        self._alarm.deadline = now

    def _end_errands(self) -> None:
        for errand in [errand for errand in self._errands if errand.is_finished]:
            self._errands.pop(errand)()
