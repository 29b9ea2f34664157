"""`Registration`: keeps a trunk registered (RFC 3261 §10.2), pure.

How it works. `wake` gives the next REGISTER, as an `Errand`, when `next_wake` has come; what becomes
of it comes back by itself. `REGISTRATION_TABLE` says what follows from what. All requests of one
registration share a Call-ID, and their numbers rise (§10.2.4); there is never more than one under way.

Two answers to a failure. Where the registrar did not say no (silence, 5xx, 408, 429) the pauses grow
from half a minute to five; where it did (403, 404, credentials that it does not take) they grow from
five minutes to an hour, since asking harder opens no door and closes accounts. A failed refresh of the
first kind does not end a registration that still lasts; one of the second kind does.

What a registrar may ask besides and does not get: Service-Route (RFC 3608) and Path (RFC 3327) are
passed over. We declare neither, and the requests of a trunk go to the trunk.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal

from adapters.sip.call.authentication import Authenticator
from adapters.sip.errand.bindings import read_expiry
from adapters.sip.errand.errand import Errand, ErrandDone, Subject, open_series
from adapters.sip.trunk import PRODUCT, Line, Trunk, domain_bytes
from adapters.sip.wire.fields import SipParseError, read_number, read_retry_after
from adapters.sip.wire.uri import escape_user
from engine.ports.clock import Randomness
from engine.ports.telephony import TrunkCondition

PAUSE_S_MIN = 15.0
"""Between the beginnings of two errands, whatever a registrar grants or asks; only the one that
follows a 423 goes at once. A registration that lasts less long than this is lost in between."""
ERRANDS_PER_PAUSE_MAX = 2
"""One, and one more after a 423."""
REFRESH_SHARE_MIN = 0.6
"""The earliest share of a registration's life at which it is refreshed."""
REFRESH_SHARE_MAX = 0.8
"""The latest; what is left is for tries that fail."""
EXPIRY_S_MAX = 86_400
"""Longest life that a registrar may demand with a 423."""
RETRY_AFTER_S_MAX = 3600.0
"""Longest Retry-After that is honoured in full."""
FAILED_WAIT_S = (30.0, 300.0)
"""First and longest pause after a failure; it doubles in between, and chance takes up to half of it
away (RFC 5626 §4.5)."""
REFUSED_WAIT_S = (600.0, 3600.0)
"""The same after a refusal."""
DOUBLINGS_MAX = 16
"""How often a pause is doubled before its own bound stops counting."""

_AGAIN = frozenset((408, 429, 480))
"""Statuses below 500 that say "not now" rather than "no"."""

State = Literal[
    "idle",
    "registering",
    "registered",
    "refreshing",
    "closing",
    "leaving",
    "unregistering",
    "stopped",
]
"""`closing` waits for a REGISTER that is under way, `leaving` is about to unregister."""
Happening = Literal["due", "granted", "too_brief", "refused", "failed", "expired", "stop"]
"""`too_brief` is a 423 that can be met, `expired` the end of a registration that was not refreshed in
time; `refused` is a no of the registrar's, `failed` everything else that did not help."""
Action = Literal["keep_binding", "drop_binding", "hurry", "rest", "wait", "wait_long"]

RegistrationTable = dict[tuple[State, Happening], tuple[State, tuple[Action, ...]]]

_REFUSED: tuple[State, tuple[Action, ...]] = ("idle", ("drop_binding", "wait_long"))
_LEAVE: tuple[State, tuple[Action, ...]] = ("leaving", ("drop_binding", "hurry"))
_GONE: tuple[State, tuple[Action, ...]] = ("stopped", ("drop_binding", "rest"))

REGISTRATION_TABLE: RegistrationTable = {
    ("idle", "due"): ("registering", ()),
    ("idle", "failed"): ("idle", ("wait",)),
    ("idle", "stop"): _GONE,
    ("registering", "granted"): ("registered", ("keep_binding",)),
    ("registering", "too_brief"): ("idle", ("hurry",)),
    ("registering", "refused"): _REFUSED,
    ("registering", "failed"): ("idle", ("wait",)),
    ("registering", "stop"): ("closing", ()),
    ("registered", "due"): ("refreshing", ()),
    ("registered", "failed"): ("registered", ("wait",)),
    ("registered", "expired"): ("idle", ("drop_binding",)),
    ("registered", "stop"): _LEAVE,
    ("refreshing", "granted"): ("registered", ("keep_binding",)),
    ("refreshing", "too_brief"): ("registered", ("hurry",)),
    ("refreshing", "refused"): _REFUSED,
    ("refreshing", "failed"): ("registered", ("wait",)),
    ("refreshing", "expired"): ("registering", ("drop_binding",)),
    ("refreshing", "stop"): ("closing", ("drop_binding",)),
    ("closing", "granted"): _LEAVE,
    ("closing", "too_brief"): _LEAVE,
    ("closing", "refused"): _GONE,
    # Nobody knows whether it arrived.
    ("closing", "failed"): _LEAVE,
    ("leaving", "due"): ("unregistering", ()),
    ("leaving", "failed"): _GONE,
    ("unregistering", "granted"): _GONE,
    ("unregistering", "too_brief"): _GONE,
    ("unregistering", "refused"): _GONE,
    # It is not tried again: whoever stops has no time, and the registrar forgets by itself.
    ("unregistering", "failed"): _GONE,
}
"""A pair that is not here means nothing, and is dropped."""


class Registration:
    """One trunk's registration. `now` is in seconds of the owner's monotonic clock."""

    __slots__ = (
        "_asked_s",
        "_authenticator",
        "_expires_at",
        "_failures",
        "_granted_s",
        "_has_raised",
        "_randomness",
        "_retry_after_s",
        "_sent_at",
        "_series",
        "_trouble",
        "_trunk",
        "_try_at",
        "state",
    )

    def __init__(self, trunk: Trunk, randomness: Randomness) -> None:
        self._trunk = trunk
        self._randomness = randomness
        self._series = open_series(randomness)
        self._authenticator = (
            Authenticator(trunk.credentials, trunk.realm) if trunk.credentials is not None else None
        )
        self._asked_s = trunk.register_expires_s
        self._granted_s = 0
        self._has_raised = False
        """Whether the REGISTER under way is the one that follows a 423."""
        self._retry_after_s = 0.0
        self._failures = 0
        """In a row."""
        self._sent_at = 0.0
        self._try_at = -inf
        self._expires_at = inf
        self._trouble = "The trunk has not registered yet."
        self.state: State = "idle"

    @property
    def next_wake(self) -> float:
        """When `wake` wants to be called: at once in the beginning, `inf` for never."""
        return min(self._try_at, self._expires_at)

    @property
    def is_registered(self) -> bool:
        """Whether the registrar has us and has not been asked to forget us."""
        return self.state in ("registered", "refreshing")

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more will be sent."""
        return self.state == "stopped"

    @property
    def condition(self) -> TrunkCondition:
        """What there is to say of the trunk now. It changes in `wake`, `stop`, and while an errand of
        this registration handles what arrives."""
        is_registered = self.is_registered
        detail = "The trunk is registered." if is_registered else self._trouble
        return TrunkCondition(self._trunk.name, is_registered, detail)

    def wake(self, now: float, line: Line | None) -> Errand | None:
        """Do what time demands: the REGISTER that is to be begun now, None where none is.

        `line` goes to the server of the trunk that is to be asked; None says that none is known,
        which counts as a failure.
        """
        if self._expires_at <= now:
            self._happen("expired", now)
        if self._try_at > now:
            return None
        self._try_at = inf
        self._retry_after_s = 0.0
        if line is None:
            self._trouble = "No server of the trunk is known to register with."
            self._happen("failed", now)
            return None
        self._happen("due", now)
        self._sent_at = now
        expires_s = 0 if self.state == "unregistering" else self._asked_s
        return Errand(
            line,
            self._subject(line, expires_s),
            self._series,
            lambda done, at: self._conclude(line, done, at),
            authenticator=self._authenticator,
        )

    def stop(self, now: float) -> None:
        """Unregister: at the next `wake`, or when the REGISTER under way is done (§10.2 allows only
        one at a time). Follow `next_wake` until `is_stopped`, or for as long as you can wait."""
        if self.is_registered:  # one that has no registration has said already why
            self._trouble = "The trunk is no longer registered, since the engine stops."
        self._happen("stop", now)

    def _subject(self, line: Line, expires_s: int) -> Subject:
        trunk = self._trunk
        if trunk.domain is not None:
            registrar = domain = domain_bytes(trunk.domain)
        else:
            # The port belongs into the Request-URI, where the registrar recognises itself by it, and
            # not into the address-of-record (§10.2).
            registrar = domain = line.callee_domain
            if trunk.port is not None:
                domain = domain.removesuffix(b":%d" % trunk.port)
        credentials = trunk.credentials
        user = PRODUCT if credentials is None else escape_user(credentials.username.decode())
        ours = b"<sip:%b@%b>" % (user, domain)
        return Subject(
            method=b"REGISTER",
            uri=b"sip:" + registrar,
            sender=ours,
            receiver=ours,
            lines=(b"Contact: " + line.contact, b"Expires: %d" % expires_s),
        )

    def _conclude(self, line: Line, done: ErrandDone, now: float) -> None:
        happening = self._judge(line, done)
        if happening != "too_brief":
            self._has_raised = False
        if happening in ("failed", "refused"):
            self._trouble = done.describe("The registrar")
        if done.response is not None:
            self._retry_after_s = read_retry_after(done.response.first(b"retry-after")) or 0.0
        self._happen(happening, now)

    def _judge(self, line: Line, done: ErrandDone) -> Happening:
        """What an errand's end means. What the registrar grants or demands is noted."""
        response = done.response
        if response is None:
            return "failed"
        if 200 <= response.status < 300:
            self._granted_s = read_expiry(response, line.contact, self._asked_s)
            # An answer that keeps us for no time at all is a failure, unless that was asked.
            return "granted" if self._granted_s > 0 or self.state == "unregistering" else "failed"
        if response.status == 423 and not self._has_raised:
            try:
                demanded_s = read_number(response.first(b"min-expires") or b"", EXPIRY_S_MAX)
            except SipParseError:
                return "refused"
            if demanded_s > self._asked_s:
                self._asked_s = demanded_s
                self._has_raised = True
                return "too_brief"
        is_passing = response.status in _AGAIN or 500 <= response.status < 600
        return "failed" if is_passing else "refused"

    def _happen(self, happening: Happening, now: float) -> None:
        found = REGISTRATION_TABLE.get((self.state, happening))
        if found is None:
            return
        self.state, actions = found
        for action in actions:
            _ACTIONS[action](self, now)

    # The actions of the table.

    def _keep_binding(self, now: float) -> None:
        # Counted from the moment that we asked: the registrar began no earlier than that.
        spread = REFRESH_SHARE_MAX - REFRESH_SHARE_MIN
        share = REFRESH_SHARE_MIN + spread * self._randomness.random()
        self._expires_at = self._sent_at + self._granted_s
        self._try_at = self._sent_at + max(share * self._granted_s, PAUSE_S_MIN)
        self._failures = 0
        self._trouble = "The registration ran out before it was refreshed."

    def _drop_binding(self, now: float) -> None:
        self._expires_at = inf

    def _hurry(self, now: float) -> None:
        self._try_at = now

    def _rest(self, now: float) -> None:
        self._try_at = inf

    def _wait(self, now: float) -> None:
        self._pause(now, *FAILED_WAIT_S)

    def _wait_long(self, now: float) -> None:
        # If it was a nonce grown old that was refused in this way, the next try asks for a new one.
        if self._authenticator is not None:
            self._authenticator.known.clear()
        self._pause(now, *REFUSED_WAIT_S)

    def _pause(self, now: float, first_s: float, longest_s: float) -> None:
        pause_s = min(longest_s, first_s * 2 ** min(self._failures, DOUBLINGS_MAX))
        self._failures += 1
        pause_s *= 1 - self._randomness.random() / 2
        self._try_at = now + max(pause_s, min(self._retry_after_s, RETRY_AFTER_S_MAX))


_ACTIONS: dict[Action, Callable[[Registration, float], None]] = {
    "keep_binding": Registration._keep_binding,
    "drop_binding": Registration._drop_binding,
    "hurry": Registration._hurry,
    "rest": Registration._rest,
    "wait": Registration._wait,
    "wait_long": Registration._wait_long,
}
