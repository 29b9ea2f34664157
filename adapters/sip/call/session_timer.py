"""The session timer of one call, RFC 4028: what is offered, what is agreed, and until when it holds.

Pure, and sends nothing: `Refresher` sends what keeps a session up, `Answerer` answers the callee's.
A session is refreshed by whoever was made the refresher, at half its interval; it is over a little
before its interval is, so that the BYE which ends it finds the dialog still there (§10).
"""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import Literal

from msgspec import Struct

from adapters.sip.call.reliable import EXTENSION as RELIABLE
from adapters.sip.wire.fields import (
    INTERVAL_MAX,
    SessionExpires,
    SipParseError,
    read_number,
    read_session_expires,
)
from adapters.sip.wire.message import Request, Response

EXTENSION = b"timer"
"""The option tag."""
MIN_SE_S = 90
"""The shortest interval that we take from a callee, and the shortest there may be (§4)."""
INTERVAL_S_MIN = 2
"""A trunk that grants less than this against §4 is taken to mean this: no call of ours is busy with
nothing but its refreshes."""
INTERVAL_S_MAX = 86_400
"""An interval that would have to be longer than a day is refused, and the call with it."""
RAISES_MAX = 2
"""How often one request is sent again because its interval was too short."""
EXPIRY_MARGIN_S_MAX = 32.0
"""A session ends this long before its interval, or a third of it, whichever is less (§10)."""
OFFERS_REMEMBERED = 256
"""Intervals whose lines are remembered; all calls of a trunk offer the same."""

Due = Literal["refresh", "expired"]


class Demand(Struct, frozen=True):
    """What a request of the callee's says of the timer."""

    terms: SessionExpires | None
    is_understood: bool
    """Whether its sender supports timers, and can be told anything about them."""

    @property
    def is_too_short(self) -> bool:
        """Whether 422 is due; whoever does not know timers cannot be told (§9)."""
        return self.terms is not None and self.terms.interval_s < MIN_SE_S and self.is_understood


class SessionTimer(Struct, gc=False):
    """See the module. All times in the owner's seconds."""

    wanted_s: int
    """The interval that our requests ask for; 0 neither offers a timer nor takes one."""
    min_se_s: int = MIN_SE_S
    """The shortest interval that every hop so far lets through."""
    raises: int = 0
    """How often a 422 has raised the interval of the request that is out."""
    interval_s: int = 0
    """What is agreed; 0 for no timer."""
    is_ours: bool = False
    """Whether we are the refresher."""
    refresh_at: float = inf
    expires_at: float = inf

    @property
    def next_wake(self) -> float:
        """When `due` will name something; `inf` for never."""
        return min(self.refresh_at, self.expires_at)

    def due(self, now: float) -> Due | None:
        """What time demands."""
        if self.expires_at <= now:
            return "expired"
        return "refresh" if self.refresh_at <= now else None

    def stop(self) -> None:
        """The session lasts for as long as its dialog does."""
        self.interval_s = 0
        self.refresh_at = self.expires_at = inf

    # Our requests and their responses.

    def invite_lines(self) -> tuple[bytes, ...]:
        """What the first INVITE says. It names no refresher: let the callee's side choose (§7.1)."""
        return _offer_lines(self.wanted_s, self.min_se_s)

    def refresh_lines(self) -> tuple[bytes, ...]:
        """What a refresh of ours says: the interval in force, and that we go on (§7.4)."""
        return (
            _supported_line(self.wanted_s),
            b"Session-Expires: %d;refresher=uac" % max(self.interval_s, self.min_se_s),
            b"Min-SE: %d" % self.min_se_s,
        )

    def raise_interval(self, response: Response) -> bool:
        """Take the longer interval that a 422 asks for. False where it cannot be met: no timer was
        offered, nothing longer is asked for, it is beyond `INTERVAL_S_MAX`, or it was raised
        `RAISES_MAX` times already."""
        if response.status != 422 or not self.wanted_s or self.raises >= RAISES_MAX:
            return False
        try:
            least = read_number(response.first(b"min-se") or b"", INTERVAL_MAX)
        except SipParseError:
            return False
        if not self.min_se_s < least <= INTERVAL_S_MAX:
            return False
        self.raises += 1
        self.min_se_s = least
        self.wanted_s = max(self.wanted_s, least)
        self.interval_s = max(self.interval_s, least) if self.interval_s else 0
        return True

    def agree(self, response: Response, now: float) -> None:
        """Take the terms of a 2xx to an INVITE or a refresh of ours; without any there is no timer
        from here on (§7.2)."""
        self.raises = 0
        if b"session-expires" not in response.fields:
            self.stop()
            return
        try:
            terms = _terms(response)
        except SipParseError:
            terms = None
        if terms is None or not self.wanted_s:
            self.stop()
            return
        # Where it does not say who refreshes, it is we who keep the session up.
        self.is_ours = terms.refresher != "uas"
        self._start(terms.interval_s, now)

    # The callee's requests.

    def read_demand(self, request: Request) -> Demand:
        """What a re-INVITE or UPDATE of the callee's says. Raises `SipParseError`."""
        supported = {tag.lower() for tag in request.listed(b"supported")}
        return Demand(_terms(request), EXTENSION in supported)

    def accept(self, demand: Demand, now: float) -> tuple[tuple[bytes, bytes], ...]:
        """Take the terms of a request that is answered with 2xx: the headers which say so (§9).

        A request without terms leaves those in force as they are, and counts as a refresh: its sender
        is there. The refresher stays who it was, unless the request names one.
        """
        terms = demand.terms
        if not self.wanted_s or (terms is None and not self.interval_s):
            return ()
        if terms is not None and terms.refresher is not None:
            self.is_ours = terms.refresher == "uas"
        # Who does not know timers cannot be the refresher.
        self.is_ours = self.is_ours or not demand.is_understood
        self._start(self.interval_s if terms is None else terms.interval_s, now)
        value = b"%d;refresher=%b" % (self.interval_s, b"uas" if self.is_ours else b"uac")
        required = ((b"Require", EXTENSION),) if demand.is_understood else ()
        return (*required, (b"Session-Expires", value))

    def _start(self, interval_s: int, now: float) -> None:
        self.interval_s = max(interval_s, INTERVAL_S_MIN)
        margin = min(EXPIRY_MARGIN_S_MAX, self.interval_s / 3)
        self.expires_at = now + self.interval_s - margin
        self.refresh_at = now + self.interval_s / 2 if self.is_ours else inf


def _terms(message: Request | Response) -> SessionExpires | None:
    """What a message says; None for nothing, and for the interval 0 that some write for it."""
    raw = message.first(b"session-expires")
    terms = None if raw is None else read_session_expires(raw)
    return terms if terms is not None and terms.interval_s > 0 else None


@lru_cache(maxsize=OFFERS_REMEMBERED)
def _offer_lines(wanted_s: int, min_se_s: int) -> tuple[bytes, ...]:
    supported = _supported_line(wanted_s)
    if not wanted_s:
        return (supported,)
    return (
        supported,
        b"Session-Expires: %d" % max(wanted_s, min_se_s),
        b"Min-SE: %d" % min_se_s,
    )


def extensions(wanted_s: int) -> frozenset[bytes]:
    """The extensions that a call understands."""
    return frozenset((RELIABLE, EXTENSION)) if wanted_s else frozenset((RELIABLE,))


def _supported_line(wanted_s: int) -> bytes:
    return b"Supported: 100rel, timer" if wanted_s else b"Supported: 100rel"
