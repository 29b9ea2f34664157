"""Keeping an answered call's session up where that is our part (RFC 4028 §10): by UPDATE where the
callee allows it, else by a re-INVITE whose offer changes nothing.

What a refusal means is a table. A callee that does not answer, or knows the dialog no more, ends the
call; one that refuses for another reason has until the session expires.
"""

from __future__ import annotations

from math import inf
from typing import Literal
from zlib import crc32

from adapters.media import sdp
from adapters.media.types import Remote
from adapters.sip.call.dialog import Dialog, refresh
from adapters.sip.call.exchange import Exchange
from adapters.sip.call.requests import Parties, Requester
from adapters.sip.call.session_timer import SessionTimer
from adapters.sip.call.uas import LocalMedia
from adapters.sip.trunk import ALLOW, Line
from adapters.sip.wire.fields import SipParseError, read_retry_after
from adapters.sip.wire.message import Response
from adapters.sip.wire.multipart import session_description

GLARE_S_MIN = 2.1
"""Shortest wait after a 491, for the side that made the Call-ID (RFC 3261 §14.1)."""
GLARE_STEPS = 191
"""Steps of 10 ms from there up to 4 s."""
WAIT_S_MIN = 1.0
"""How long a re-INVITE of ours waits for the end of one of the callee's, and the least that a refresh
waits that was refused, whatever the Retry-After."""

Loss = Literal["session_expired", "dialog_gone"]
"""How a refusal ends the call."""

_SEQUELS: dict[int, Loss | Literal["by_invite", "after_glare"]] = {
    405: "by_invite",
    408: "session_expired",
    481: "dialog_gone",
    491: "after_glare",
    501: "by_invite",
}
"""What follows from a refusal. Any other leaves the session as it is: it is refreshed once more after
the Retry-After, if the callee names one, and else expires."""


class Refresher:
    """Sends the refreshes of one call, and understands their responses."""

    __slots__ = (
        "_allows_update",
        "_glares",
        "_line",
        "_media",
        "_pending",
        "_requester",
        "_timer",
        "_token",
    )

    def __init__(
        self,
        line: Line,
        parties: Parties,
        media: LocalMedia,
        timer: SessionTimer,
        requester: Requester,
    ) -> None:
        self._line = line
        self._token = parties.token
        self._media = media
        self._timer = timer
        self._requester = requester
        self._allows_update = False
        self._pending: Exchange | None = None
        self._glares = 0

    @property
    def is_offering(self) -> bool:
        """Whether an offer of ours is out and not answered."""
        pending = self._pending
        return pending is not None and pending.is_reinvite

    def learn_methods(self, response: Response) -> None:
        """Note whether the callee allows UPDATE. A 2xx without Allow leaves it as it was."""
        if b"allow" not in response.fields:
            return
        try:
            self._allows_update = b"UPDATE" in response.listed(b"allow")
        except SipParseError:
            self._allows_update = False

    def refresh(self, dialog: Dialog, now: float, *, is_invited: bool) -> None:
        """Refresh the session; `is_invited` says that a re-INVITE of the callee's is not over yet."""
        self._timer.refresh_at = inf
        if self._pending is not None:
            return
        if is_invited and not self._allows_update:
            # Two re-INVITEs in one dialog may not be under way at once (RFC 3261 §14.1).
            self._timer.refresh_at = now + WAIT_S_MIN
        else:
            self._send(dialog, now)

    def stop(self) -> None:
        """The call is being ended: nothing more is sent but the ACK of a re-INVITE that is out."""
        self._pending = None

    def receive(self, exchange: Exchange, response: Response, now: float) -> Remote | Loss | None:
        """A final response to a refresh: what it means for the call, or where the callee's media went."""
        dialog = exchange.dialog
        assert dialog is not None
        is_success, is_repeated = response.status < 300, exchange.ack is not None
        if is_success and not is_repeated:
            refresh(dialog, response)
        if is_success and exchange.is_reinvite:
            self._requester.acknowledge_reinvite(exchange)
        if exchange is not self._pending:
            return None
        self._pending = None
        if is_success:
            self.learn_methods(response)
            self._timer.agree(response, now)
            return self._answer(response) if exchange.is_reinvite else None
        if self._requester.take_challenge(exchange, response):
            self._pending = self._requester.send_challenged(exchange, now)
        elif self._timer.raise_interval(response):
            self._send(dialog, now)
        else:
            return self._follow(exchange, response, dialog, now)
        return None

    def _send(self, dialog: Dialog, now: float) -> None:
        terms = self._timer.refresh_lines()
        if self._allows_update:
            target = (b"Contact: " + self._line.contact, b"Allow: " + ALLOW)
            self._pending = self._requester.send_inside(
                b"UPDATE", dialog, now, lines=(*target, *terms)
            )
        else:
            self._pending = self._requester.send_inside(
                b"INVITE",
                dialog,
                now,
                lines=(*self._line.invite_lines, *terms),
                body=self._media.unchanged(),
            )

    def _follow(
        self, exchange: Exchange, response: Response, dialog: Dialog, now: float
    ) -> Loss | None:
        sequel = _SEQUELS.get(response.status)
        if sequel == "by_invite" and exchange.method == b"UPDATE":
            self._allows_update = False
            self._send(dialog, now)
        elif sequel == "after_glare":
            self._timer.refresh_at = now + self._glare_delay_s()
        elif sequel == "session_expired" or sequel == "dialog_gone":
            return sequel
        else:
            retry_after_s = read_retry_after(response.first(b"retry-after"))
            if retry_after_s is not None:
                self._timer.refresh_at = now + max(retry_after_s, WAIT_S_MIN)
        return None

    def _glare_delay_s(self) -> float:
        # Chance that nobody else can guess, and that comes out the same when a run is repeated.
        self._glares += 1
        step = crc32(b"%b%d" % (self._token, self._glares)) % GLARE_STEPS
        return GLARE_S_MIN + step / 100

    def _answer(self, response: Response) -> Remote | None:
        try:
            return self._media.read_later_answer(session_description(response))
        except sdp.SdpError:
            # The session stays what it was (RFC 3261 §14.1).
            return None
