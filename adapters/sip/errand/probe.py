"""`Prober`: asks a trunk's servers from time to time whether they are there (OPTIONS, RFC 3261 §11), pure.

How it works. `wake` gives the probes that are due, each an `Errand` of its own; what becomes of one is
told as a `Probed` to whoever keeps the servers' health. At most one probe of a server is under way.

What is a sign of life: any final response, whatever it says. A server that does not know OPTIONS, or
us, or wants credentials, says so, and that is all that a probe asks. One response is none: 503, by
which a server asks to be left alone and others to be tried (RFC 3261 §21.5.4, RFC 3263 §4.3). Silence
for `PATIENCE_S` and a transport that fails are none either.

A server that failed is asked sooner, at pauses that double until they are the usual one, and still
sooner than usual until it has answered `STEADY_ANSWERS` times in a row, so that health which asks for
several good answers gets them quickly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf

from msgspec import Struct

from adapters.sip.call.authentication import Authenticator
from adapters.sip.errand.errand import Errand, ErrandDone, Subject, open_series
from adapters.sip.trunk import PRODUCT, Line
from adapters.sip.wire.fields import read_retry_after
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.inspection import SDP_TYPE
from engine.ports.clock import Randomness

SERVERS_MAX = 64
"""Servers of one trunk that are probed; further ones are not."""
PATIENCE_S = 4.0
"""How long a probe waits for its answer: three retransmissions over UDP. The 32 s of Timer F would
hide an outage for longer than most calls ring."""
PAUSE_S_MIN = 2.0
"""Between two probes of one server, but for the jitter; also the pause after its first failure."""
FIRST_PAUSE_S_MAX = 5.0
"""The first probes of a trunk's servers are spread over no more than this."""
JITTER = 0.1
"""The share by which a pause is longer or shorter, as chance has it."""
STEADY_ANSWERS = 3
"""Answers in a row after which a server that failed is probed at the usual pauses again."""
DOUBLINGS_MAX = 16
"""How often a pause is doubled before the usual one bounds it."""
RETRY_AFTER_S_MAX = 300.0
"""Longest Retry-After of a 503 that keeps probes away."""


class Probed(Struct, frozen=True):
    """What one probe found."""

    hop: Hop
    is_well: bool
    """Whether the server gave a sign of life, and did not ask to be left alone."""
    detail: str
    """One sentence for a person."""
    status: int | None = None
    """The response's status, None where none came. A server that is not well and has one asked to be
    left alone: it is there."""
    retry_after_s: float | None = None
    """The Retry-After of a 503, seconds."""


class _Server(Struct, eq=False):
    line: Line
    due_at: float
    """`inf` while a probe is under way."""
    asked_at: float = -inf
    excused_until: float = -inf
    """Before this it is not asked, as it wished."""
    failures: int = 0
    """In a row."""
    answers: int = STEADY_ANSWERS
    """In a row; a server is thought well before it has failed."""


class Prober:
    """The probes of one trunk. `now` is in seconds of the owner's monotonic clock.

    `probe_s` is the usual pause between two probes of a server; 0 sends none at all. With an
    `authenticator` a challenge is answered, without one it is a sign of life like any other. `tell`
    hears each `Probed` and the time; it notes, and calls nothing of the core.
    """

    __slots__ = ("_authenticator", "_pause_s", "_randomness", "_servers", "_tell", "next_wake")

    def __init__(
        self,
        probe_s: float,
        randomness: Randomness,
        tell: Callable[[Probed, float], None],
        authenticator: Authenticator | None = None,
    ) -> None:
        self._pause_s = max(probe_s, PAUSE_S_MIN) if probe_s > 0 else inf
        self._randomness = randomness
        self._tell = tell
        self._authenticator = authenticator
        self._servers: dict[Hop, _Server] = {}
        self.next_wake = inf
        """When `wake` wants to be called; `inf` for never."""

    def watch(self, lines: Iterable[Line], now: float) -> None:
        """Probe these servers from now on, the first `SERVERS_MAX` of them, and no others. Of one that
        was there before, nothing is forgotten."""
        if self._pause_s == inf:
            return
        watched: dict[Hop, _Server] = {}
        for line in lines:
            if len(watched) >= SERVERS_MAX:
                break
            server = self._servers.get(line.hop)
            if server is None:
                spread_s = min(self._pause_s, FIRST_PAUSE_S_MAX)
                server = _Server(line, now + spread_s * self._randomness.random())
            server.line = line
            watched[line.hop] = server
        self._servers = watched
        self._settle()

    def suspect(self, hop: Hop, now: float) -> None:
        """A call had no luck with a server: ask it soon. However often this is said, the server is
        asked no more often than after a failed probe."""
        server = self._servers.get(hop)
        if server is None:
            return
        server.answers = 0
        if server.due_at != inf:
            soon = server.asked_at + self._pause_after_failures(server.failures)
            server.due_at = min(server.due_at, max(now, soon, server.excused_until))
            self._settle()

    def wake(self, now: float) -> list[Errand]:
        """The probes that are to be begun now. Harmless when it comes early."""
        errands = []
        for server in self._servers.values():
            if server.due_at <= now:
                server.due_at, server.asked_at = inf, now
                errands.append(self._probe(server))
        self._settle()
        return errands

    def _probe(self, server: _Server) -> Errand:
        line = server.line
        target = b"sip:" + line.callee_domain
        return Errand(
            line,
            Subject(
                method=b"OPTIONS",
                uri=target,
                sender=b"<sip:%b@%b>" % (PRODUCT, line.caller_domain),
                receiver=b"<%b>" % target,
                lines=(b"Contact: " + line.contact, b"Accept: " + SDP_TYPE),
            ),
            open_series(self._randomness),
            lambda done, at: self._conclude(server, done, at),
            authenticator=self._authenticator,
            patience_s=PATIENCE_S,
        )

    def _conclude(self, server: _Server, done: ErrandDone, now: float) -> None:
        hop = server.line.hop
        if self._servers.get(hop) is not server:
            return
        # An errand that was broken off on our side says nothing about the server.
        probed = None if done.how == "abandoned" else _judge(hop, done)
        if probed is not None:
            server.failures = 0 if probed.is_well else server.failures + 1
            server.answers = server.answers + 1 if probed.is_well else 0
            server.excused_until = now + min(probed.retry_after_s or 0.0, RETRY_AFTER_S_MAX)
        jitter = 1 + JITTER * (2 * self._randomness.random() - 1)
        server.due_at = max(now + self._pause(server) * jitter, server.excused_until)
        self._settle()
        if probed is not None:
            self._tell(probed, now)

    def _pause(self, server: _Server) -> float:
        if server.failures:
            return self._pause_after_failures(server.failures - 1)
        return self._pause_s if server.answers >= STEADY_ANSWERS else PAUSE_S_MIN

    def _pause_after_failures(self, doublings: int) -> float:
        return min(self._pause_s, PAUSE_S_MIN * 2.0 ** min(doublings, DOUBLINGS_MAX))

    def _settle(self) -> None:
        self.next_wake = min((server.due_at for server in self._servers.values()), default=inf)


def _judge(hop: Hop, done: ErrandDone) -> Probed:
    who = f"The server {hop.host}"
    retry_after_s = None
    if done.response is not None and done.status == 503:
        retry_after_s = read_retry_after(done.response.first(b"retry-after"))
    is_well = done.status is not None and done.status != 503
    return Probed(hop, is_well, done.describe(who), done.status, retry_after_s)
