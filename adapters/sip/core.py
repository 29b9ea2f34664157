"""`SipCore`: all calls behind one socket, pure.

How it works. Bytes and `now` go in through `receive`, `wake` and the wishes of the owner; afterwards
the owner sends what `datagrams_to_send` gives it and tells what `take_events` gives it. A message
finds its call, or its errand, by its Call-ID; inside, branch and tags decide. What belongs to
neither, or comes from where it should not, is answered without state (`guard`) or dropped and counted.

All timers stand in one heap. A call is in it at most once for each moment that it ever asked for;
an entry that has become too early is put back when it comes up, and nothing is ever searched for.

A call whose handling raises is abandoned alone: it ends as `lost`, the exception waits in
`take_faults` for whoever keeps the log, and the next call goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from heapq import heappop, heappush
from math import inf

from msgspec import Struct

from adapters.sip.awaited import Awaited
from adapters.sip.call.outbox import CallEvent, Outbox
from adapters.sip.call.reach import Reach
from adapters.sip.call.requests import Parties
from adapters.sip.call.transaction import Timing
from adapters.sip.call.uac import OutboundCall
from adapters.sip.call.uas import LocalMedia
from adapters.sip.errand.errand import Errand
from adapters.sip.guard import (
    STRANGERS,
    TRUNKS,
    Refusals,
    answer_malformed,
    answer_outside,
    is_expected_source,
    names_call,
    stamp_via,
)
from adapters.sip.trace.record import CallTrace
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


Party = OutboundCall | Errand
"""What a Call-ID stands for here."""


def _nowhere(hop: Hop) -> Hop:
    return Hop("", 0, hop.transport)


def _is_nobody(hop: Hop) -> bool:
    return False


class Fault(Struct, frozen=True, eq=False):
    """An exception of ours, and the call that it hit."""

    call_id: bytes
    exception: Exception


class Caller(Struct, frozen=True, gc=False):
    """Who one call says is calling."""

    name_addr: bytes
    """The value of From, without a tag."""
    lines: tuple[bytes, ...] = ()
    """Whole header lines of the INVITE that go with it."""


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
    """Strangers' requests that got no answer: ACK, OPTIONS, or too many at once, and then whatever else
    it was that was not read any more."""
    trunks_ignored: int
    """Requests of trunks outside any call that got no answer because there were too many at once."""
    faults: int
    """Calls ended by a mistake of ours."""


class SipCore:
    """See the module.

    Args:
        secret: a few random bytes.
        trunk_hosts: the IP addresses of the trunks. The set is the owner's and may change.
        timing: the timers of transactions.
        own_end: our own end of what goes to a hop or comes from it, for traces.
        is_own: whether a hop is one of our own sockets; no call is led there.
    """

    def __init__(
        self,
        secret: bytes,
        trunk_hosts: Collection[str],
        timing: Timing | None = None,
        own_end: Callable[[Hop], Hop] = _nowhere,
        is_own: Callable[[Hop], bool] = _is_nobody,
    ) -> None:
        self._secret = secret
        self._trunk_hosts = trunk_hosts
        self._own_end = own_end
        self._reach = Reach(trunk_hosts, is_own)
        self._timing = Timing() if timing is None else timing
        self._outbox = Outbox()
        self._parties: dict[bytes, Party] = {}
        self._traces: dict[bytes, CallTrace] = {}
        self._traces_done: list[CallTrace] = []
        self._awaited: Awaited[Party] = Awaited()
        self._heap: list[tuple[float, int, Party]] = []
        self._entries = 0
        self._strangers = Refusals(STRANGERS)
        self._trunks = Refusals(TRUNKS)
        self._faults: list[Fault] = []
        self._calls_dialled = 0
        self._parse_errors = 0
        self._strays = 0
        self._strangers_refused = 0
        self._strangers_ignored = 0
        self._trunks_ignored = 0
        self._faults_seen = 0

    def prepare(
        self, line: Line, *, number: str, caller: Caller, token: bytes, media: LocalMedia
    ) -> OutboundCall:
        """A call that can be dialled; nothing is kept of it until then.

        `token` is unpredictable hex digits, of its own for each call. A third of it each is the call's
        Call-ID, its tag, and what its branches are made from: whoever learns one of them, as strangers
        may learn a Call-ID, learns nothing of the others. Raises `TooManyCalls`.
        """
        if len(self._parties) >= CALLS_MAX:
            raise TooManyCalls(f"{CALLS_MAX} calls are up")
        third = len(token) // 3
        call_id, tag, branches = token[:third], token[third : 2 * third], token[2 * third :]
        uri = b"sip:%b@%b" % (escape_user(number), line.callee_domain)
        parties = Parties(
            uri=uri,
            caller=b"%b;tag=%b" % (caller.name_addr, tag),
            callee=b"<%b>" % uri,
            local_tag=tag,
            call_id=call_id,
            token=branches,
            lines=caller.lines,
        )
        return OutboundCall(line, parties, media, self._timing, self._outbox, self._reach)

    def dial(self, call: OutboundCall, now: float, trace: CallTrace | None = None) -> None:
        """Send a prepared call's INVITE. `trace` keeps what the call says from now on; it comes back
        through `take_traces` when the call is forgotten."""
        self._parties[call.call_id] = call
        if trace is not None:
            self._traces[call.call_id] = trace
        self._calls_dialled += 1
        self._run(call, now, call.dial)

    def begin_errand(self, errand: Errand, now: float) -> None:
        """Send an errand's request. What comes of it is told to whoever made it."""
        self._parties[errand.call_id] = errand
        self._run(errand, now, lambda at: errand.begin(at, self._outbox, self._timing))

    def hang_up(self, call: OutboundCall, now: float) -> None:
        """End a call, dialled or not."""
        self._run(call, now, call.hang_up)

    def lose_stream(self, call: OutboundCall, now: float) -> None:
        """A call's media is gone."""
        self._run(call, now, call.lose_stream)

    def receive(self, data: bytes, source: Hop, now: float) -> None:
        """Take one datagram. Never raises for anything that is in it."""
        if source.host not in self._trunk_hosts and self._is_flood(data, source.host, now):
            self._strangers_ignored += 1
            return
        try:
            message = parse(data)
            if isinstance(message, Response):
                self._receive_response(message, data, source, now)
            else:
                self._receive_request(message, data, source, now)
        except SipParseError:
            # Keep-alives of bare line ends are no mistake (RFC 5626 §3.5.1).
            self._parse_errors += bool(data.strip(b"\r\n\0"))
            if source.host in self._trunk_hosts:
                self._refuse_malformed(data, source, now)
            else:
                # To read it was work as well, and it counts as an answer.
                self._strangers.take(source.host, now)

    def fail_transport(self, hop: Hop, now: float) -> None:
        """The network refused what was sent to a hop (ICMP, a broken connection): every request
        that got no response at all from there has failed."""
        for party in self._awaited.waiting_for(hop.host):
            self._run(party, now, party.fail_transport, hop)

    def next_wake(self) -> float:
        """When `wake` wants to be called, in the owner's time; `inf` for never."""
        return self._heap[0][0] if self._heap else inf

    def wake(self, now: float) -> None:
        """Do what time demands. Harmless when it comes early."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, party = heappop(heap)
            party.scheduled_at = inf if party.scheduled_at == at else party.scheduled_at
            if party.next_wake <= now:
                self._run(party, now, party.wake)
            else:
                self._schedule(party)

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

    def take_traces(self) -> list[CallTrace]:
        """The traces of calls of which nothing more is to be kept, once."""
        taken = self._traces_done
        if taken:
            self._traces_done = []
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
            calls_kept=len(self._parties),
            retransmissions_sent=self._outbox.retransmissions,
            parse_errors=self._parse_errors,
            strays=self._strays,
            strangers_refused=self._strangers_refused,
            strangers_ignored=self._strangers_ignored,
            trunks_ignored=self._trunks_ignored,
            faults=self._faults_seen,
        )

    def _is_flood(self, data: bytes, host: str, now: float) -> bool:
        """Whether a stranger's bytes are not worth parsing: nobody would be answered, and they concern no
        call. A response is always read: carriers answer from more addresses than they name."""
        if self._strangers.has_left(host, now) or data.startswith(b"SIP/2.0"):
            return False
        return not names_call(data, self._parties)

    def _receive_response(self, response: Response, data: bytes, source: Hop, now: float) -> None:
        party = self._parties.get(response.call_id)
        if party is None:
            self._strays += 1
            return
        self._trace_received(response.call_id, data, source, now)
        self._run(party, now, party.receive_response, response)
        if isinstance(party, OutboundCall) and party.answered_by is None and party.has_answer:
            # Those that follow the first 2xx repeat it, or are of other dialogs, which are ended at once. One
            # that belongs to no request of the call's answers nothing, and says nothing of who may ask.
            party.answered_by = source.host

    def _trace_received(self, call_id: bytes, data: bytes, source: Hop, now: float) -> None:
        trace = self._traces.get(call_id)
        if trace is not None:
            trace.keep_received(data, self._own_end(source), source, now)

    def _receive_request(self, request: Request, data: bytes, source: Hop, now: float) -> None:
        reply_to = stamp_via(request, source)
        party = self._parties.get(request.call_id)
        if party is not None and self._may_ask(party, source.host):
            self._trace_received(request.call_id, data, source, now)
            if not self._run(party, now, party.receive_request, request, reply_to):
                self._refuse_malformed(data, source, now)
            return
        is_trunk = source.host in self._trunk_hosts
        answer = None
        # A stranger's ACK has no answer and counts as one: to read it was work as well.
        wants_answer = request.method != b"ACK"
        if (wants_answer or not is_trunk) and self._may_answer(source.host, now) and wants_answer:
            try:
                answer = answer_outside(request, is_trunk=is_trunk, secret=self._secret)
            except SipParseError:
                self._parse_errors += 1
                if is_trunk:
                    self._answer_malformed(data, source)
                return
            except UnsafeValueError:
                # What `parse` lets in `compose` lets out; a hole in that is not worth the engine.
                self._parse_errors += 1
                return
        if answer is not None:
            self._outbox.datagrams.append((answer, reply_to))
        if not is_trunk:
            self._strangers_refused += answer is not None
            self._strangers_ignored += answer is None

    def _may_ask(self, party: Party, host: str) -> bool:
        """Whether requests for a call or errand of ours may come from an IP address."""
        if isinstance(party, Errand):
            return is_expected_source(host, self._trunk_hosts)
        return is_expected_source(host, self._trunk_hosts, party.dialogs, party.answered_by)

    def _may_answer(self, host: str, now: float) -> bool:
        """Whether somebody outside any call may be answered now; it counts as done."""
        if host not in self._trunk_hosts:
            return self._strangers.take(host, now)
        is_within = self._trunks.take(host, now)
        self._trunks_ignored += not is_within
        return is_within

    def _refuse_malformed(self, data: bytes, source: Hop, now: float) -> None:
        """Tell a trunk that its request cannot be read, where enough of it can; strangers are not
        told, and pay no one's bandwidth with garbage."""
        if source.host in self._trunk_hosts and self._may_answer(source.host, now):
            self._answer_malformed(data, source)

    def _answer_malformed(self, data: bytes, source: Hop) -> None:
        answer = answer_malformed(data, source, self._secret)
        if answer is not None:
            self._outbox.datagrams.append(answer)

    def _run(self, party: Party, now: float, do: Callable[..., None], *given: object) -> bool:
        """Do something on a call or errand, with what it takes before `now`, so that a mistake of ours in it
        ends that one alone; False when what came could not be read."""
        is_read = True
        sent_before = len(self._outbox.datagrams)
        try:
            do(*given, now)
        except SipParseError:
            self._parse_errors += 1
            is_read = False
        except Exception as exception:
            self._faults_seen += 1
            if len(self._faults) < FAULTS_MAX:
                self._faults.append(Fault(party.call_id, exception))
            party.abandon("lost")
        trace = self._traces.get(party.call_id)
        if trace is not None:
            for data, hop in self._outbox.datagrams[sent_before:]:
                trace.keep_sent(data, self._own_end(hop), hop, now)
        self._awaited.note(party, party.silent_hosts)
        if party.is_finished:
            self._forget(party)
        else:
            self._schedule(party)
        return is_read

    def _forget(self, party: Party) -> None:
        # The next errand of a registration may have its Call-ID already.
        if self._parties.get(party.call_id) is party:
            del self._parties[party.call_id]
        trace = self._traces.pop(party.call_id, None)
        if trace is not None:
            self._traces_done.append(trace)

    def _schedule(self, party: Party) -> None:
        if party.next_wake < party.scheduled_at:
            party.scheduled_at = party.next_wake
            self._entries += 1
            heappush(self._heap, (party.next_wake, self._entries, party))
