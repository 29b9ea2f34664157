"""What the callee asks of us inside a dialog, answered at once: BYE, re-INVITE, UPDATE, INFO, OPTIONS.

Pure. Each request gets one final response, which its server transaction keeps, so that the same
request again gets the same bytes again.

Any other method is refused: 405 with what is allowed where some RFC defines it, else 501. REFER is
among them, on purpose as 405 and not 603: no person declined anything, a call of ours is not to be
sent elsewhere by its callee, and whoever heeds our Allow does not even ask. So are SUBSCRIBE, NOTIFY
and MESSAGE, and PRACK, since we send no provisional responses.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal

from msgspec import Struct, structs

from adapters.media import sdp
from adapters.media.types import Remote
from adapters.sip.call.dialog import Dialog, refresh
from adapters.sip.call.outbox import Outbox
from adapters.sip.call.session_timer import MIN_SE_S, SessionTimer, extensions
from adapters.sip.call.states import Happening
from adapters.sip.call.transaction import (
    INVITE_SERVER,
    SERVER,
    Event,
    Timing,
    Transaction,
    due,
    step,
    timing_over,
)
from adapters.sip.trunk import ALLOW
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.inspection import SDP_TYPE, find_objection
from adapters.sip.wire.message import METHODS, CSeq, Request, build_response
from adapters.sip.wire.multipart import session_description

TRANSACTIONS_MAX = 16
"""Server transactions of one call that are kept; with one more the oldest is forgotten, and its
repetition would be answered anew."""

Headers = tuple[tuple[bytes, bytes], ...]

_ALLOW: Headers = ((b"Allow", ALLOW),)
_ACCEPT: Headers = ((b"Accept", SDP_TYPE),)
_SDP: Headers = ((b"Content-Type", SDP_TYPE),)


class LocalMedia(Struct, gc=False):
    """Our end of a call's media, and the counting of its descriptions (RFC 3264 §8)."""

    address: str
    """IP address that the callee sends RTP to."""
    port: int
    session_id: int
    session_version: int = 1
    answered: bytes = b""
    """Our last description, where it was an answer; empty where it was `offer`'s."""
    terms: sdp.MediaTerms = sdp.PLAIN
    """What is offered and accepted; with the keys, which stay the same for the whole call."""

    def offer(self) -> bytes:
        """The SDP of the INVITE; the same again for the same version."""
        return sdp.build_offer(
            self.address, self.port, self.session_id, self.session_version, self.terms
        )

    def unchanged(self) -> bytes:
        """The description in force once more, for an offer that is to change nothing: same version,
        same bytes (RFC 3264 §8)."""
        return self.answered or self.offer()

    def next_offer(self) -> bytes:
        """An offer of a later moment."""
        self.session_version += 1
        self.answered = b""
        return self.offer()

    def answer(self, offer: bytes) -> tuple[bytes, Remote]:
        """Raises `sdp.SdpError` when nothing of the offer can be used."""
        version = self.session_version + 1
        answer, remote = sdp.build_answer(
            offer, self.address, self.port, self.session_id, version, self.terms
        )
        self.session_version, self.answered = version, answer
        return answer, remote

    def read_answer(self, body: bytes) -> Remote:
        """The answer to our first offer. Raises `sdp.SdpError` when nothing of it can be used."""
        return sdp.read_answer(body, self.terms)

    def read_later_answer(self, body: bytes) -> Remote:
        """The answer to an offer of ours when the media runs already. Raises `sdp.SdpError`."""
        return sdp.read_later_answer(body, self.terms)


Stage = Literal["unknown", "spare", "early", "up", "over"]
"""Where the dialog stands that a request names: `unknown` to us; `spare`, that of a fork which answered
beside another and was ended; `early`, before any answer, when the callee may not even have been heard
of; `up`; `over`, while it is being ended and afterwards."""


class Standing(Struct, frozen=True):
    """What a request of the callee's comes upon."""

    stage: Stage
    dialog: Dialog | None = None
    """None where a callee sends requests before it was heard of, and where no dialog matters."""
    has_open_offer: bool = False
    """Whether an offer of ours in this dialog has no answer yet."""


class Verdict(Struct, frozen=True):
    """How a request is answered, and what it means for the call."""

    status: int
    headers: Headers = ()
    body: bytes = b""
    result: Remote | Happening | None = None


_GONE = Verdict(481)


class Answerer:
    """Answers the requests of one call's callee."""

    __slots__ = (
        "_contact",
        "_extensions",
        "_local_tag",
        "_media",
        "_offered_in",
        "_outbox",
        "_supported",
        "_timer",
        "_timing",
        "_transactions",
    )

    def __init__(
        self,
        local_tag: bytes,
        contact: bytes,
        media: LocalMedia,
        timer: SessionTimer,
        timing: Timing,
        outbox: Outbox,
    ) -> None:
        self._local_tag = local_tag
        self._extensions = extensions(timer.wanted_s)
        self._supported: Headers = (
            *_ALLOW,
            (b"Supported", b", ".join(sorted(self._extensions))),
        )
        self._contact: Headers = ((b"Contact", contact), *self._supported)
        self._media = media
        self._timer = timer
        self._timing = timing
        self._transactions: list[Transaction] = []
        self._outbox = outbox
        self._offered_in: int | None = None
        """CSeq of the re-INVITE whose ACK will bring the answer to an offer of ours."""

    @property
    def is_busy(self) -> bool:
        """Whether a repetition may still come."""
        return bool(self._transactions)

    @property
    def is_invited(self) -> bool:
        """Whether a re-INVITE of the callee's still waits for its ACK."""
        return any(t.method == b"INVITE" and t.state == "completed" for t in self._transactions)

    @property
    def next_wake(self) -> float:
        """When `wake` wants to be called."""
        return min((t.next_wake for t in self._transactions), default=inf)

    def receive(
        self, request: Request, reply_to: Hop, now: float, standing: Standing
    ) -> Remote | Happening | None:
        """Answer a request: what it means for the call, or where the callee's media went.

        `standing` is what there is under the request's From tag. Raises `SipParseError` before
        anything is changed.
        """
        cseq, branch = request.cseq, request.branch or b""
        to_tag = request.to_tag
        if request.method == b"ACK":
            return self._receive_ack(request, cseq, now) if to_tag == self._local_tag else None
        for transaction in self._transactions:
            # The number tells requests apart where the branch does not (RFC 3261 §17.2.3): some
            # send none, or the bare magic cookie.
            if (
                transaction.branch == branch
                and transaction.method == request.method
                and transaction.cseq == cseq.number
            ):
                self._run(transaction, "request_again", now)
                return None
        if to_tag is None:
            # Only our own INVITE, come back to us, carries this Call-ID without a tag (§8.2.2.2).
            verdict = Verdict(482) if request.method == b"INVITE" else _GONE
        elif request.method == b"CANCEL":
            verdict = Verdict(200) if self._has_invite(branch) else _GONE
        elif to_tag != self._local_tag or standing.stage == "unknown":
            verdict = _GONE
        else:
            verdict = self._judge(request, cseq, standing, now)
        self._respond(request, cseq, branch, verdict, reply_to, now)
        return verdict.result

    def wake(self, now: float) -> bool:
        """Do what time demands; True when a 2xx to a re-INVITE was never acknowledged, which ends
        the dialog (RFC 3261 §14.2)."""
        is_unacknowledged = False
        for transaction in tuple(self._transactions):
            while (event := due(transaction, now)) is not None:
                is_unacknowledged |= self._run(transaction, event, now)
        self._transactions = [t for t in self._transactions if not t.is_over]
        return is_unacknowledged

    def _run(self, transaction: Transaction, event: Event, now: float) -> bool:
        effects = step(transaction, event, now)
        if "send" in effects:
            self._outbox.datagrams.append((transaction.message, transaction.destination))
            self._outbox.retransmissions += event == "retransmit_due"
        return "unacknowledged" in effects and transaction.message.startswith(b"SIP/2.0 2")

    def _respond(
        self,
        request: Request,
        cseq: CSeq,
        branch: bytes,
        verdict: Verdict,
        reply_to: Hop,
        now: float,
    ) -> None:
        is_success = verdict.status < 300
        # A 2xx to an INVITE is repeated over any transport: a proxy on the way may lose it over
        # another (§13.3.1.4).
        transport = "udp" if request.method == b"INVITE" and is_success else reply_to.transport
        transaction = Transaction(
            table=INVITE_SERVER if request.method == b"INVITE" else SERVER,
            method=request.method,
            branch=branch,
            cseq=cseq.number,
            message=build_response(
                request,
                verdict.status,
                to_tag=self._local_tag,
                headers=verdict.headers,
                body=verdict.body,
            ),
            destination=reply_to,
            timing=timing_over(self._timing, transport),
            state="completed",
        )
        if len(self._transactions) >= TRANSACTIONS_MAX:
            del self._transactions[0]
        self._transactions.append(transaction)
        self._run(transaction, "start", now)

    def _has_invite(self, branch: bytes) -> bool:
        return any(t.branch == branch and t.method == b"INVITE" for t in self._transactions)

    def _receive_ack(self, ack: Request, cseq: CSeq, now: float) -> Remote | None:
        for transaction in self._transactions:
            if transaction.method == b"INVITE" and transaction.cseq == cseq.number:
                self._run(transaction, "acknowledged", now)
        if self._offered_in != cseq.number:
            return None
        self._offered_in = None
        try:
            return self._media.read_later_answer(session_description(ack))
        except sdp.SdpError:
            # The dialog stays as it was before the re-INVITE (§14.1): so does the media.
            return None

    def _judge(self, request: Request, cseq: CSeq, standing: Standing, now: float) -> Verdict:
        method, stage, dialog = request.method, standing.stage, standing.dialog
        if method == b"BYE":
            # Whatever it requires, or how it counts: nobody is held in a call who wants to leave.
            return Verdict(200, result=None if stage == "spare" else "peer_bye")
        handler = _HANDLERS.get(method)
        if handler is None:
            return Verdict(405 if method in METHODS else 501, _ALLOW)
        if stage in ("spare", "over"):
            return _GONE
        if dialog is None:
            # The callee has answered, and its request overtook the answer: it may ask again.
            return Verdict(491) if method in _MODIFYING else _GONE
        objection = find_objection(request, self._extensions)
        is_refresh = stage == "up" and method in _MODIFYING
        demand = self._timer.read_demand(request) if is_refresh and self._timer.wanted_s else None
        if dialog.remote_cseq is not None and cseq.number < dialog.remote_cseq:
            return Verdict(500)
        dialog.remote_cseq = cseq.number
        if objection is not None:
            return Verdict(objection.status, objection.headers)
        if demand is not None and demand.is_too_short:
            return Verdict(422, ((b"Min-SE", b"%d" % MIN_SE_S),))
        verdict = handler(self, request, cseq, standing, dialog)
        if demand is not None and verdict.status == 200:
            terms = self._timer.accept(demand, now)
            return structs.replace(verdict, headers=verdict.headers + terms)
        return verdict

    def _answer_invite(
        self, request: Request, cseq: CSeq, standing: Standing, dialog: Dialog
    ) -> Verdict:
        if standing.stage == "early" or standing.has_open_offer:
            # An INVITE of ours is under way in this dialog (§14.2).
            return Verdict(491)
        if self.is_invited:
            return Verdict(500, ((b"Retry-After", b"5"),))
        offer = session_description(request)
        if offer:
            return self._answer_offer(request, offer, dialog)
        # An INVITE without an offer asks for ours; the answer comes in its ACK (§14.2).
        self._offered_in = cseq.number
        refresh(dialog, request)
        return Verdict(200, self._contact + _SDP, self._media.next_offer())

    def _answer_update(
        self, request: Request, cseq: CSeq, standing: Standing, dialog: Dialog
    ) -> Verdict:
        offer = session_description(request)
        if not offer:
            refresh(dialog, request)
            return Verdict(200, self._contact)
        if standing.has_open_offer or self._offered_in is not None:
            # Our own offer is still unanswered (RFC 3311 §5.2).
            return Verdict(491)
        return self._answer_offer(request, offer, dialog)

    def _answer_offer(self, request: Request, offer: bytes, dialog: Dialog) -> Verdict:
        try:
            answer, remote = self._media.answer(offer)
        except sdp.SdpError:
            return Verdict(488)
        refresh(dialog, request)
        return Verdict(200, self._contact + _SDP, answer, remote)

    def _answer_info(
        self, request: Request, cseq: CSeq, standing: Standing, dialog: Dialog
    ) -> Verdict:
        return Verdict(200)

    def _answer_options(
        self, request: Request, cseq: CSeq, standing: Standing, dialog: Dialog
    ) -> Verdict:
        return Verdict(200, self._supported + _ACCEPT)


_MODIFYING = (b"INVITE", b"UPDATE")
"""The methods that may change a session, and that refresh it (RFC 4028 §9)."""

_HANDLERS: dict[bytes, Callable[[Answerer, Request, CSeq, Standing, Dialog], Verdict]] = {
    b"INVITE": Answerer._answer_invite,
    b"UPDATE": Answerer._answer_update,
    b"INFO": Answerer._answer_info,
    b"OPTIONS": Answerer._answer_options,
}
