"""Which of a trunk's servers is well, and which one the next request goes to (RFC 3263 §4.3).

How it works. Each server has a circuit: it is `up` until enough failures in a row take it `down`. Then
it waits, each time twice as long, and one request at a time may try it (`trying`), until enough
answers in a row take it up again. The circuit is a table below. Beside it a server that answers 503
is left alone for a while without being any less well.

A failure is told long after its request left: the last of a thousand calls into the void ends 32 s
after it was dialled, when the server may be back for half a minute. So a failure counts only where
nothing was heard of the server since the request left; that is what "in a row" means here.

What a callee says is never told here but as an answer: a 486 proves that the server is well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, Literal

from msgspec import Struct

from adapters.sip.locate.server import SERVERS_MAX, Server, pick
from adapters.sip.wire.hop import Hop
from engine.model import TrunkFailure
from engine.ports.clock import Randomness

Failure = Literal[TrunkFailure, "probe_failed"]
"""How a request failed without any response; `probe_failed`: an OPTIONS was never answered."""

FALL: Final[dict[Failure, int]] = {
    "refused": 2,
    "unreachable": 2,
    "broken": 3,
    "timed_out": 3,
    "probe_failed": 3,
}
"""How many failures of one kind in a row take a server down. Who is told that nobody is there knows
more than who merely hears nothing, so that hard evidence counts more. Mixed failures add up by their
shares: one `refused` and two `timed_out` are one half and two thirds, which is enough."""
RISE: Final = 2
"""How many answers in a row take a server up again."""
BACK_OFF_S_MIN: Final = 2.0
"""A server that has just gone down waits so long for its first trial; each failed trial doubles it."""
BACK_OFF_S_MAX: Final = 60.0
STEADY_S: Final = 60.0
"""A server that falls again within so long of having risen goes on with the wait of before."""
TRIAL_S_MAX: Final = 40.0
"""A trial of which nothing was told for so long is forgotten: more than Timer B, 64·T1."""
REST_S_DEFAULT: Final = 5.0
"""A 503 without Retry-After puts a server behind the others for so long."""
REST_S_MAX: Final = 300.0
"""Longest Retry-After that is heeded: it comes from outside."""
DOUBT_S: Final = 60.0
"""A server where a request has failed, and nothing was heard since, comes after all others for so long: the
request goes on to the next one at once (RFC 3263 §4.3), rather than to find out how dead the first is."""
DESCRIBED_MAX: Final = 3
"""Servers that a description names."""

State = Literal["up", "down", "trying"]
Event = Literal["answered", "risen", "harmed", "fallen", "chosen", "given_back"]
"""`risen` is the answer that is enough, `fallen` the failure that is."""

_WHOLE: Final = math.lcm(*FALL.values())
"""The harm that takes a server down; each failure is a whole share of it."""

_SAID: Final[dict[Failure, str]] = {
    "refused": "nobody listens there",
    "unreachable": "the network has no way to it",
    "broken": "the connection breaks",
    "timed_out": "calls are not answered",
    "probe_failed": "OPTIONS is not answered",
}


class _Health(Struct):
    """What is known of one server. Times are seconds of a clock that only rises."""

    state: State = "up"
    harm: int = 0
    """Shares of `_WHOLE` since the last answer."""
    answers: int = 0
    """In a row, while not up."""
    back_off_s: float = 0.0
    waits_until: float = -math.inf
    """While down: when the next trial may go."""
    trial_at: float = -math.inf
    """While trying: when the trial was chosen."""
    answered_at: float = -math.inf
    risen_at: float = -math.inf
    rests_until: float = -math.inf
    """Asked to be left alone, by Retry-After."""
    aside_until: float = -math.inf
    """Used only where no other server is well."""
    doubted_until: float = -math.inf
    """The same, because a request has just failed there; an answer ends it."""
    failure: Failure = "timed_out"
    """The last one."""

    def is_first_choice(self, now: float) -> bool:
        """Whether nothing speaks for asking another server first."""
        is_doubted = self.state == "up" and self.doubted_until > now
        return self.aside_until <= now and not is_doubted

    def is_well(self, now: float) -> bool:
        """Whether nothing at all speaks against it."""
        return self.state == "up" and self.rests_until <= now and self.is_first_choice(now)

    def ready_at(self) -> float:
        """When a request may go there."""
        if self.state == "down":
            return max(self.waits_until, self.rests_until)
        if self.state == "trying":
            return max(self.trial_at + TRIAL_S_MAX, self.rests_until)
        return self.rests_until


def _wait(health: _Health, now: float) -> None:
    health.answers = 0
    health.back_off_s = min(max(2 * health.back_off_s, BACK_OFF_S_MIN), BACK_OFF_S_MAX)
    health.waits_until = now + health.back_off_s


def _fall(health: _Health, now: float) -> None:
    if now - health.risen_at >= STEADY_S:
        health.back_off_s = 0.0
    _wait(health, now)


def _end_wait(health: _Health, now: float) -> None:
    health.waits_until = now


def _start_trial(health: _Health, now: float) -> None:
    health.trial_at = now


def _lose_count(health: _Health, now: float) -> None:
    health.answers = 0


def _rise(health: _Health, now: float) -> None:
    health.harm = health.answers = 0
    health.risen_at = now


def _heal(health: _Health, now: float) -> None:
    health.harm = 0


def _nothing(health: _Health, now: float) -> None:
    """What has happened changes nothing."""


CIRCUIT: Final[dict[tuple[State, Event], tuple[State, Callable[[_Health, float], None]]]] = {
    ("up", "answered"): ("up", _heal),
    ("up", "harmed"): ("up", _nothing),
    ("up", "fallen"): ("down", _fall),
    ("up", "chosen"): ("up", _nothing),
    ("up", "given_back"): ("up", _nothing),
    # Whoever speaks while down may be tried at once.
    ("down", "answered"): ("down", _end_wait),
    ("down", "risen"): ("up", _rise),
    # Not a trial, but a probe or a call from before the fall: no reason to wait longer.
    ("down", "harmed"): ("down", _lose_count),
    ("down", "fallen"): ("down", _lose_count),
    ("down", "chosen"): ("trying", _start_trial),
    ("down", "given_back"): ("down", _nothing),
    # One answer is not enough, so that the next trial follows.
    ("trying", "answered"): ("down", _end_wait),
    ("trying", "risen"): ("up", _rise),
    ("trying", "harmed"): ("down", _wait),
    ("trying", "fallen"): ("down", _wait),
    # The trial before was never heard of again.
    ("trying", "chosen"): ("trying", _start_trial),
    ("trying", "given_back"): ("down", _end_wait),
}
"""(state, event) → (state, what else changes)."""


def _happen(health: _Health, event: Event, now: float) -> None:
    health.state, change = CIRCUIT[health.state, event]
    change(health, now)


class ServerTable:
    """The servers of one trunk and how well each is. Every time is an argument: seconds of a clock
    that only rises. What is told of a server that has left the table is ignored."""

    def __init__(self, servers: Iterable[Server] = ()) -> None:
        self._servers: tuple[Server, ...] = ()
        self._health: dict[Hop, _Health] = {}
        self.replace(servers)

    @property
    def servers(self) -> tuple[Server, ...]:
        """By priority."""
        return self._servers

    def replace(self, servers: Iterable[Server]) -> None:
        """Take a new resolution. Servers that stay keep their health; new ones count as well. More
        than `SERVERS_MAX` are cut off at the end."""
        ranked = sorted(servers, key=lambda server: server.priority)[:SERVERS_MAX]
        unique: dict[Hop, Server] = {}
        for server in ranked:
            unique.setdefault(server.hop, server)
        self._servers = tuple(unique.values())
        self._health = {
            server.hop: self._health.get(server.hop) or _Health() for server in self._servers
        }

    def choose(self, now: float, randomness: Randomness) -> Hop | None:
        """Where the next request goes: the best priority that is well, there by weight. A server
        that is down and has waited long enough counts as well for one request, its trial. Servers
        that were put aside by a 503 without Retry-After come after all others. None when all are
        down or resting.

        Whoever chooses must tell what came of it: `note_answer`, `note_failure`, `note_busy`, or
        `give_back` when nothing was sent or nothing can be told.
        """
        ready = [server for server in self._servers if self._health[server.hop].ready_at() <= now]
        well = [server for server in ready if self._health[server.hop].is_first_choice(now)]
        candidates = well or ready
        if not candidates:
            return None
        best = candidates[0].priority
        hop = pick([server for server in candidates if server.priority == best], randomness).hop
        _happen(self._health[hop], "chosen", now)
        return hop

    def has_other(self, hop: Hop, now: float) -> bool:
        """Whether the next request goes from this server to one that nothing at all speaks against. One
        that is merely due for a trial is none. While this one is well itself, as after a failure that
        proves nothing, the next request would come to it again."""
        health = self._health.get(hop)
        if health is not None and health.is_well(now):
            return False
        return any(other.is_well(now) for other in self._health.values())

    def usable(self, now: float) -> bool:
        """Whether `choose` has an answer."""
        return any(health.ready_at() <= now for health in self._health.values())

    def until(self, now: float) -> float:
        """When it is worth asking `choose` again: `now` where it has an answer, infinity where no
        server is known. While a trial is out that is a guess, because its answer may come at once.
        """
        return min(
            (
                max(now, min(health.ready_at(), now + BACK_OFF_S_MIN))
                if health.state == "trying" and health.rests_until <= now
                else max(now, health.ready_at())
                for health in self._health.values()
            ),
            default=math.inf,
        )

    def due_trials(self, now: float) -> tuple[Hop, ...]:
        """The servers that are down and have waited long enough: a probe may try them before a call
        has to. Each needs `begin_trial` first."""
        return tuple(
            hop
            for hop, health in self._health.items()
            if health.state != "up" and health.ready_at() <= now
        )

    def begin_trial(self, hop: Hop, now: float) -> bool:
        """Take the one place for a trial of a server that is down; False where it is not free. What
        comes of it is told as if `choose` had chosen the server."""
        if hop not in self.due_trials(now):
            return False
        _happen(self._health[hop], "chosen", now)
        return True

    def note_answer(self, hop: Hop, now: float) -> None:
        """Any response came, provisional or final, to a call or a probe; a refusal by the callee is
        one. Once a request is enough."""
        health = self._health.get(hop)
        if health is None:
            return
        health.answered_at = now
        health.doubted_until = -math.inf
        if health.state != "up":
            health.answers += 1
        _happen(health, "risen" if health.answers >= RISE else "answered", now)

    def note_busy(self, hop: Hop, now: float, retry_after_s: float | None = None) -> None:
        """The server itself answered 503. That is an answer as any other, and it is left alone for
        its Retry-After. Without one the server makes no such wish (RFC 3261 §21.5.4): for
        `REST_S_DEFAULT` it is used only where no other server is well."""
        health = self._health.get(hop)
        if health is None:
            return
        self.note_answer(hop, now)
        if retry_after_s is None or not retry_after_s > 0:
            health.aside_until = max(health.aside_until, now + REST_S_DEFAULT)
        else:
            health.rests_until = max(health.rests_until, now + min(retry_after_s, REST_S_MAX))

    def note_failure(self, hop: Hop, failure: Failure, now: float, chosen_at: float) -> None:
        """A request failed without any response. `chosen_at` is the `now` with which its server was
        chosen, or with which its probe was sent."""
        health = self._health.get(hop)
        if health is None or chosen_at < health.answered_at:
            return
        if health.state == "trying" and chosen_at < health.trial_at:
            return
        health.failure = failure
        health.doubted_until = now + DOUBT_S
        health.harm = min(health.harm + _WHOLE // FALL[failure], _WHOLE)
        _happen(health, "fallen" if health.harm >= _WHOLE else "harmed", now)

    def give_back(self, hop: Hop, now: float, chosen_at: float) -> None:
        """A chosen server was not used after all, or the request ended before anything was heard. If
        it was a trial, the next one may go at once."""
        health = self._health.get(hop)
        if health is not None and chosen_at >= health.trial_at:
            _happen(health, "given_back", now)

    def describe(self, now: float) -> str:
        """How the trunk's servers are, in one sentence for a person."""
        if not self._servers:
            return "No server of the trunk is known."
        troubles = [
            trouble
            for server in self._servers
            if (trouble := _describe_trouble(server.hop, self._health[server.hop], now))
        ]
        count = len(self._servers)
        well = count - len(troubles)
        parts = [f"{well} of {count} servers {'is' if well == 1 else 'are'} well"]
        parts += troubles[:DESCRIBED_MAX]
        if len(troubles) > DESCRIBED_MAX:
            parts.append(f"and {len(troubles) - DESCRIBED_MAX} more")
        return "; ".join(parts) + "."


def _describe_trouble(hop: Hop, health: _Health, now: float) -> str | None:
    """What is the matter with one server; None where nothing is."""
    host = f"[{hop.host}]" if ":" in hop.host else hop.host
    name = f"{host}:{hop.port} over {hop.transport}"
    wait_s = math.ceil(max(health.ready_at(), now) - now)
    if health.state == "trying":
        return f"{name} is being tried again ({_SAID[health.failure]})"
    if health.state == "down":
        when = f"in {wait_s} s" if wait_s > 0 else "with the next request"
        return f"{name} is down ({_SAID[health.failure]}) and is tried again {when}"
    if wait_s > 0:
        return f"{name} has asked to be left alone for {wait_s} s (503)"
    if health.state == "up" and health.doubted_until > now:
        doubt_s = math.ceil(health.doubted_until - now)
        return f"{name} comes after all others for {doubt_s} s ({_SAID[health.failure]})"
    if health.aside_until > now:
        aside_s = math.ceil(health.aside_until - now)
        return f"{name} comes after all others for {aside_s} s (503)"
    return None
