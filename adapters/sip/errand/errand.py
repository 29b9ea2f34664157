"""`Errand`: one request of ours outside any call, and what came of it. Pure.

How it works. Towards `SipCore` it looks like a call: a Call-ID, a moment to be woken at, responses
and requests that are handed in. Inside it is one client transaction after the other: the request,
and once or twice more with credentials where a challenge asks for them. Whatever happens, exactly one
`ErrandDone` is told, and then it can be forgotten.

It does not linger in Timer K. That timer only swallows repeated responses, and those find no branch
of a later errand, or no Call-ID at all, and are dropped as strays. So the next request of a
registration, which must have the same Call-ID, never stands in the way of the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal

from msgspec import Struct

from adapters.sip.call.authentication import Authenticator, Tries
from adapters.sip.call.outbox import Outbox
from adapters.sip.call.requests import DATAGRAM_MAX
from adapters.sip.call.transaction import (
    CLIENT,
    Event,
    Timing,
    Transaction,
    due,
    response_event,
    step,
    timing_over,
)
from adapters.sip.trunk import ALLOW, PRODUCT, Line
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request, Response, build_response, compose
from engine.ports.clock import Randomness
from engine.ports.telephony import How

REASON_CHARACTERS_MAX = 80
"""How much of a reason phrase is shown to a person."""
REQUESTS_PER_ERRAND_MAX = 3
"""The request, and the same with credentials for the challenges that `authentication` answers."""

CONSTANT_LINES = (b"Allow: " + ALLOW, b"User-Agent: " + PRODUCT)
"""The lines that every errand carries."""


class Series(Struct, eq=False):
    """What requests with the same Call-ID share: one errand's, or all those of a registration."""

    call_id: bytes
    local_tag: bytes
    """The tag of our From."""
    token: bytes
    """Unpredictable, and a token of RFC 3261 §25.1: branches and cnonces are made from it."""
    cseq: int = 0
    """The number of the last request."""


def open_series(randomness: Randomness) -> Series:
    """A series that nobody has used or can guess."""
    # None of them says anything about another: a Call-ID is shown to more people than a branch.
    call_id, local_tag, token = (b"%032x" % randomness.getrandbits(128) for _ in range(3))
    return Series(call_id=call_id, local_tag=local_tag, token=token)


class Subject(Struct, frozen=True):
    """What an errand asks, of whom, and in whose name."""

    method: bytes
    uri: bytes
    """The Request-URI."""
    sender: bytes
    """The value of From without its tag."""
    receiver: bytes
    """The value of To."""
    lines: tuple[bytes, ...] = ()
    """Further complete header lines, behind CSeq."""


class ErrandDone(Struct, frozen=True):
    """What came of an errand; nothing follows."""

    how: Literal["answered", "timed_out", "unreachable", "abandoned"]
    """`timed_out`: no final response came; `unreachable`: the transport failed; `abandoned`: it was
    broken off on our side."""
    response: Response | None = None
    """The final response, where one came. A challenge is only here when it was not answered."""

    @property
    def status(self) -> int | None:
        """The final response's status code, None where none came."""
        return None if self.response is None else self.response.status

    def describe(self, who: str) -> str:
        """One sentence for a person; `who` begins it, such as "The registrar"."""
        if self.response is None:
            return f"{who} {_WITHOUT_RESPONSE[self.how]}."
        text = self.response.reason_text[:REASON_CHARACTERS_MAX]
        reason = "".join(c if c.isprintable() else " " for c in text).strip()
        return f"{who} answered {self.response.status} {reason}".rstrip() + "."


_WITHOUT_RESPONSE = {
    "answered": "answered",
    "timed_out": "did not answer",
    "unreachable": "cannot be reached",
    "abandoned": "was not asked to the end",
}


class Errand:
    """One request. Every method takes `now` in seconds of the owner's monotonic clock.

    `tell` hears the one `ErrandDone` and the time, in the midst of what led to it: it notes, and
    calls nothing of the core. Without an `authenticator` a challenge is a response like any other.
    """

    __slots__ = (
        "_authenticator",
        "_deadline",
        "_line",
        "_outbox",
        "_patience_s",
        "_seen_at",
        "_series",
        "_subject",
        "_tell",
        "_timing",
        "_transaction",
        "_tries",
        "done",
        "is_finished",
        "next_wake",
        "scheduled_at",
    )

    def __init__(
        self,
        line: Line,
        subject: Subject,
        series: Series,
        tell: Callable[[ErrandDone, float], None],
        *,
        authenticator: Authenticator | None = None,
        patience_s: float = inf,
    ) -> None:
        self._line = line
        self._subject = subject
        self._series = series
        self._tell = tell
        self._authenticator = authenticator
        self._patience_s = patience_s
        self._deadline = inf
        self._seen_at = 0.0
        self._tries = Tries()
        self._timing = Timing()
        # Until it begins nobody sends what it writes, and it writes nothing.
        self._outbox = Outbox()
        self._transaction: Transaction | None = None
        self.done: ErrandDone | None = None
        """What came of it; None before that is known."""
        self.is_finished = False
        """Whether the result was told; what still arrives means nothing."""
        self.next_wake = inf
        """When `wake` wants to be called; `inf` for never."""
        self.scheduled_at = inf
        """The core's own note: when its next entry for this errand comes up."""

    @property
    def call_id(self) -> bytes:
        return self._series.call_id

    @property
    def hop(self) -> Hop:
        """Where the request goes."""
        transaction = self._transaction
        return self._line.hop if transaction is None else transaction.destination

    @property
    def silent_hosts(self) -> tuple[str, ...]:
        """The host that a request is out to, while not even a provisional response has come."""
        transaction = self._transaction
        silent = transaction is not None and transaction.is_silent
        return (self.hop.host,) if silent else ()

    # What the owner wishes.

    def begin(self, now: float, outbox: Outbox, timing: Timing) -> None:
        """Send the request, into the core's outbox and by its timers. Once."""
        assert self._transaction is None
        assert not self.is_finished
        self._outbox, self._timing, self._seen_at = outbox, timing, now
        self._deadline = now + self._patience_s
        self._send(now)

    def abandon(self, how: How) -> None:
        """Give up here and now and send nothing: a fault of ours hit it, or the socket closes."""
        self._finish(ErrandDone("abandoned"), self._seen_at)

    # What arrives.

    def receive_response(self, response: Response, now: float) -> None:
        """A response with this Call-ID. Raises `SipParseError` before anything is changed."""
        transaction = self._transaction
        branch, method = response.branch, response.cseq.method
        if transaction is None or (branch, method) != (transaction.branch, transaction.method):
            return
        self._seen_at = now
        effects = step(transaction, response_event(response.status), now)
        self.next_wake = self._wake_at()
        if "deliver" in effects and response.status >= 200:
            self._receive_final(response, now)

    def receive_request(self, request: Request, reply_to: Hop, now: float) -> None:
        """A request with this Call-ID: 482 for our own that came back (RFC 3261 §8.2.2.2), 481 for
        anything in a dialog, since there is none. Nothing is kept of it.

        Raises `SipParseError`.
        """
        if request.method == b"ACK":
            return
        cseq = request.cseq
        is_ours = (
            request.to_tag is None
            and request.from_tag == self._series.local_tag
            and cseq.number == self._series.cseq
        )
        status = 482 if is_ours else 481
        answer = build_response(request, status, to_tag=self._series.local_tag)
        self._outbox.datagrams.append((answer, reply_to))

    def fail_transport(self, hop: Hop, now: float) -> None:
        """What was sent to a hop could not be delivered (ICMP, or the socket's own error)."""
        if hop == self.hop:
            self._advance("transport_failed", now)

    def wake(self, now: float) -> None:
        """Do what time demands. Harmless when it comes early."""
        self._seen_at = now
        if self._deadline <= now:
            self._finish(ErrandDone("timed_out"), now)
        while self._transaction is not None and (event := due(self._transaction, now)) is not None:
            self._advance(event, now)

    # Inside.

    def _receive_final(self, response: Response, now: float) -> None:
        authenticator = self._authenticator
        if authenticator is not None and authenticator.learn(response, self._tries):
            self._send(now)
        else:
            self._finish(ErrandDone("answered", response), now)

    def _advance(self, event: Event, now: float) -> None:
        """What a timer or the transport does."""
        transaction = self._transaction
        if transaction is None:
            return
        effects = step(transaction, event, now)
        self.next_wake = self._wake_at()
        if "send" in effects:
            self._outbox.datagrams.append((transaction.message, transaction.destination))
            self._outbox.retransmissions += 1
        elif "timed_out" in effects:
            self._finish(ErrandDone("timed_out"), now)
        elif "unreachable" in effects:
            self._finish(ErrandDone("unreachable"), now)

    def _finish(self, done: ErrandDone, now: float) -> None:
        self._transaction = None
        self._deadline = self.next_wake = inf
        if not self.is_finished:
            self.is_finished = True
            self.done = done
            self._tell(done, now)

    def _wake_at(self) -> float:
        assert self._transaction is not None
        return min(self._transaction.next_wake, self._deadline)

    def _send(self, now: float) -> None:
        """The request, or the same with credentials: same tag and Call-ID, a new branch and the next
        number (RFC 3261 §22.2)."""
        series, subject, hop = self._series, self._subject, self._line.hop
        series.cseq += 1
        credentials: list[bytes] = []
        if self._authenticator is not None:
            cnonce = b"%b%d" % (series.token, series.cseq)
            credentials = self._authenticator.lines(subject.method, subject.uri, b"", cnonce)
        branch = b"z9hG4bK%b.%d" % (series.token, series.cseq)
        message = self._write(hop, branch, credentials)
        if len(message) > DATAGRAM_MAX and self._line.trunk.large_over_tcp and not hop.is_reliable:
            hop = Hop(hop.host, hop.port, "tcp")
            message = self._write(hop, branch, credentials)
        transaction = self._transaction = Transaction(
            table=CLIENT,
            method=subject.method,
            branch=branch,
            cseq=series.cseq,
            message=message,
            destination=hop,
            timing=timing_over(self._timing, hop.transport),
        )
        step(transaction, "start", now)
        self._outbox.datagrams.append((message, hop))
        self.next_wake = self._wake_at()

    def _write(self, hop: Hop, branch: bytes, credentials: list[bytes]) -> bytes:
        """Raises `UnsafeValueError` when anything in it would end a line."""
        series, subject = self._series, self._subject
        return compose(
            [
                b"%b %b SIP/2.0" % (subject.method, subject.uri),
                self._line.vias[hop.transport] + branch,
                b"Max-Forwards: 70",
                b"From: %b;tag=%b" % (subject.sender, series.local_tag),
                b"To: " + subject.receiver,
                b"Call-ID: " + series.call_id,
                b"CSeq: %d %b" % (series.cseq, subject.method),
                *subject.lines,
                *CONSTANT_LINES,
                *credentials,
            ]
        )
