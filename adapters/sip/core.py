"""`SipCore`: all calls behind one socket, pure.

How it works. Bytes and `now` go in through `receive`, `wake` and the wishes of the owner; afterwards
the owner sends what `datagrams_to_send` gives it and tells what `take_events` gives it. A datagram
finds its call by its Call-ID; inside the call, branch and tags decide. What belongs to no call is
answered without state (`guard`) or dropped and counted.

All timers stand in one heap. A call is in it at most once for each moment that it ever asked for;
an entry that has become too early is put back when it comes up, and nothing is ever searched for.

A call whose handling raises is abandoned alone: it ends as `lost`, the exception waits in
`take_faults` for whoever keeps the log, and the next call goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

from msgspec import Struct

from adapters.sip.call.outbox import CallEvent, Outbox
from adapters.sip.call.requests import Parties
from adapters.sip.call.transaction import Timing
from adapters.sip.call.uac import OutboundCall
from adapters.sip.call.uas import LocalMedia
from adapters.sip.guard import RefusalRate, answer_malformed, answer_outside, stamp_via
from adapters.sip.trunk import Line
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request, Response, SipParseError, UnsafeValueError, parse
from adapters.sip.wire.uri import escape_user

CALLS_MAX = 200_000
"""Calls that are up or linger. One more cannot be prepared."""
FAULTS_MAX = 100
"""Exceptions that wait for `take_faults`; further ones are only counted."""


class TooManyCalls(Exception):
    """`CALLS_MAX` is reached."""


class Fault(Struct, frozen=True, eq=False):
    """An exception of ours, and the call that it hit."""

    call_id: bytes
    exception: Exception


class SipStatistics(Struct, frozen=True):
    """What a core has done so far."""

    calls: int
    """Calls dialled."""
    calls_kept: int
    """Calls that are up or linger at this moment."""
    retransmissions_sent: int
    parse_errors: int
    """Datagrams dropped because they could not be read."""
    strays: int
    """Responses to no call of ours."""
    strangers_refused: int
    strangers_ignored: int
    """Strangers' requests that got no answer: ACK, OPTIONS, or too many at once."""
    faults: int
    """Calls ended by a mistake of ours."""


class SipCore:
    """See the module. `secret` is a few random bytes, `trunk_hosts` the IP addresses of the trunks."""

    def __init__(
        self, secret: bytes, trunk_hosts: frozenset[str], timing: Timing | None = None
    ) -> None:
        self._secret = secret
        self._trunk_hosts = trunk_hosts
        self._timing = Timing() if timing is None else timing
        self._outbox = Outbox()
        self._calls: dict[bytes, OutboundCall] = {}
        self._unanswered: dict[str, dict[OutboundCall, None]] = {}
        self._heap: list[tuple[float, int, OutboundCall]] = []
        self._entries = 0
        self._refusals = RefusalRate()
        self._faults: list[Fault] = []
        self._calls_dialled = 0
        self._parse_errors = 0
        self._strays = 0
        self._strangers_refused = 0
        self._strangers_ignored = 0
        self._faults_seen = 0

    def prepare(
        self, line: Line, *, number: str, caller: str, token: bytes, media: LocalMedia
    ) -> OutboundCall:
        """A call that can be dialled; nothing is kept of it until then.

        `token` is at least 16 unpredictable hex digits, of its own for each call. Raises
        `TooManyCalls`.
        """
        if len(self._calls) >= CALLS_MAX:
            raise TooManyCalls(f"{CALLS_MAX} calls are up")
        callee, shown = escape_user(number), escape_user(caller)
        half = len(token) // 2
        uri = b"sip:%b@%b" % (callee, line.callee_domain)
        parties = Parties(
            uri=uri,
            caller=b"<sip:%b@%b>;tag=%b" % (shown, line.caller_domain, token[:half]),
            callee=b"<%b>" % uri,
            local_tag=token[:half],
            call_id=token,
            token=token[half:],
        )
        return OutboundCall(line, parties, media, self._timing, self._outbox)

    def dial(self, call: OutboundCall, now: float) -> None:
        """Send a prepared call's INVITE."""
        self._calls[call.call_id] = call
        self._calls_dialled += 1
        self._run(call, call.dial, now)

    def hang_up(self, call: OutboundCall, now: float) -> None:
        """End a call, dialled or not."""
        self._run(call, call.hang_up, now)

    def lose_stream(self, call: OutboundCall, now: float) -> None:
        """A call's media is gone."""
        self._run(call, call.lose_stream, now)

    def receive(self, data: bytes, source: Hop, now: float) -> None:
        """Take one datagram. Never raises for anything that is in it."""
        try:
            message = parse(data)
            if isinstance(message, Response):
                self._receive_response(message, now)
            else:
                self._receive_request(message, data, source, now)
        except SipParseError:
            # Keep-alives of bare line ends are no mistake (RFC 5626 §3.5.1).
            self._parse_errors += bool(data.strip(b"\r\n\0"))
            self._refuse_malformed(data, source)

    def fail_transport(self, hop: Hop, now: float) -> None:
        """The network refused what was sent to a hop (ICMP, a broken connection): every INVITE that
        got no response at all from there has failed."""
        for call in tuple(self._unanswered.get(hop.host, ())):
            if call.hop == hop:
                self._run(call, call.fail_transport, now)

    def next_wake(self) -> float:
        """When `wake` wants to be called, in the owner's time; `inf` for never."""
        return self._heap[0][0] if self._heap else inf

    def wake(self, now: float) -> None:
        """Do what time demands. Harmless when it comes early."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, call = heappop(heap)
            call.scheduled_at = inf if call.scheduled_at == at else call.scheduled_at
            if call.next_wake <= now:
                self._run(call, call.wake, now)
            else:
                self._schedule(call)

    def datagrams_to_send(self) -> list[tuple[bytes, Hop]]:
        """What is to be sent, in order, once."""
        taken = self._outbox.datagrams
        if taken:
            self._outbox.datagrams = []
        return taken

    def take_events(self) -> list[tuple[OutboundCall, CallEvent]]:
        """What happened to calls, in order, once."""
        taken = self._outbox.events
        if taken:
            self._outbox.events = []
        return taken

    def take_faults(self) -> list[Fault]:
        """Exceptions of ours, once."""
        taken = self._faults
        if taken:
            self._faults = []
        return taken

    def statistics(self) -> SipStatistics:
        """Counters since the start."""
        return SipStatistics(
            calls=self._calls_dialled,
            calls_kept=len(self._calls),
            retransmissions_sent=self._outbox.retransmissions,
            parse_errors=self._parse_errors,
            strays=self._strays,
            strangers_refused=self._strangers_refused,
            strangers_ignored=self._strangers_ignored,
            faults=self._faults_seen,
        )

    def _receive_response(self, response: Response, now: float) -> None:
        call = self._calls.get(response.call_id)
        if call is None:
            self._strays += 1
        else:
            self._run(call, lambda at: call.receive_response(response, at), now)

    def _receive_request(self, request: Request, data: bytes, source: Hop, now: float) -> None:
        reply_to = stamp_via(request, source)
        call = self._calls.get(request.call_id)
        if call is not None:
            if not self._run(call, lambda at: call.receive_request(request, reply_to, at), now):
                self._refuse_malformed(data, source)
            return
        is_trunk = source.host in self._trunk_hosts
        answer = None
        if is_trunk or self._refusals.take(now):
            try:
                answer = answer_outside(request, is_trunk=is_trunk, secret=self._secret)
            except UnsafeValueError:
                # What `parse` lets in `compose` lets out; a hole in that is not worth the engine.
                self._parse_errors += 1
                return
        if answer is not None:
            self._outbox.datagrams.append((answer, reply_to))
        if not is_trunk:
            self._strangers_refused += answer is not None
            self._strangers_ignored += answer is None

    def _refuse_malformed(self, data: bytes, source: Hop) -> None:
        """Tell a trunk that its request cannot be read, where enough of it can; strangers are not
        told, and pay no one's bandwidth with garbage."""
        if source.host in self._trunk_hosts:
            answer = answer_malformed(data, source, self._secret)
            if answer is not None:
                self._outbox.datagrams.append(answer)

    def _run(self, call: OutboundCall, do: Callable[[float], None], now: float) -> bool:
        """Do something on a call, so that a mistake of ours in it ends this call alone; False when
        what came could not be read."""
        is_read = True
        try:
            do(now)
        except SipParseError:
            self._parse_errors += 1
            is_read = False
        except Exception as exception:
            self._faults_seen += 1
            if len(self._faults) < FAULTS_MAX:
                self._faults.append(Fault(call.call_id, exception))
            call.abandon("lost")
        if call.is_unanswered:
            self._unanswered.setdefault(call.hop.host, {})[call] = None
        elif call.hop.host in self._unanswered:
            self._unanswered[call.hop.host].pop(call, None)
        if call.is_finished:
            self._calls.pop(call.call_id, None)
        else:
            self._schedule(call)
        return is_read

    def _schedule(self, call: OutboundCall) -> None:
        if call.next_wake < call.scheduled_at:
            call.scheduled_at = call.next_wake
            self._entries += 1
            heappush(self._heap, (call.next_wake, self._entries, call))
