"""`OutboundCall`: the whole life of one call that we place, pure.

How it works. Messages, wishes and `now` go in; datagrams and events come out, into the `Outbox`
that all calls of a core share. Its requests and their transactions live in a `Requester`
(`requests`), the callee's requests are answered by an `Answerer` (`uas`); what either delivers
becomes a happening, and `states.CALL_TABLE` says what follows from it. Beside them stand what a
ringing call has, its early dialogs (`early`, `reliable`), and what a long one has, its session timer
(`session_timer`) and the refreshes it asks for (`refresh`).

A call is over for its owner with `Ended`, and lingers here afterwards, small, for as long as its
transactions must still answer repetitions; `is_finished` says when it can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf

from adapters.media.types import Remote
from adapters.sip.call.dialog import Dialog
from adapters.sip.call.early import FORKS_MAX, Forks
from adapters.sip.call.endings import ENDINGS, NOTES
from adapters.sip.call.exchange import Exchange
from adapters.sip.call.outbox import CallEvent, MediaAgreed, Outbox
from adapters.sip.call.reach import Reach
from adapters.sip.call.refresh import Refresher
from adapters.sip.call.reliable import rack_line, read_rseq
from adapters.sip.call.requests import Parties, Requester
from adapters.sip.call.session_timer import SessionTimer
from adapters.sip.call.states import CALL_TABLE, Action, CallState, Happening
from adapters.sip.call.transaction import Event, Timing, due, response_event
from adapters.sip.call.uas import Answerer, LocalMedia, Standing
from adapters.sip.trunk import Line
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Message, Request, Response
from engine.ports.telephony import Ended, How, Ringing

PRACKS_MAX = 16
"""Acknowledgements of provisional responses that are kept at once; what would need one more is left
unacknowledged, and comes again."""
NAP_S_MAX = 64.0
"""A call with a session timer wakes at least this often, though there is nothing to do: an entry of the
owner's timers outlives its call, and may not keep it for the half of a session."""


class OutboundCall:
    """One outbound call. Every method takes `now` in seconds of the owner's monotonic clock."""

    __slots__ = (
        "_answerer",
        "_bye_lines",
        "_deadline",
        "_dialog",
        "_ending",
        "_forks",
        "_is_ringing",
        "_line",
        "_media",
        "_outbox",
        "_parties",
        "_refresher",
        "_remote",
        "_requester",
        "_timer",
        "_timing",
        "answered_by",
        "next_wake",
        "scheduled_at",
        "state",
    )

    def __init__(
        self,
        line: Line,
        parties: Parties,
        media: LocalMedia,
        timing: Timing,
        outbox: Outbox,
        reach: Reach,
    ) -> None:
        self._line = line
        self._parties = parties
        self._media = media
        self._timing = timing
        self._outbox = outbox
        self._requester = Requester(line, parties, timing, outbox, reach)
        self._timer = SessionTimer(line.trunk.session_expires_s)
        self._forks = Forks(parties.uri, media.read_answer)
        self._answerer: Answerer | None = None
        self._refresher: Refresher | None = None
        self._dialog: Dialog | None = None
        self._remote: Remote | None = None
        self._ending: How = "we_hung_up"
        self._bye_lines: tuple[bytes, ...] = ()
        self._is_ringing = False
        self._deadline = inf
        self.answered_by: str | None = None
        """The core's own note: the IP address that the 2xx which made the dialog came from."""
        self.state: CallState = "prepared"
        self.next_wake = inf
        """When `wake` wants to be called; `inf` for never."""
        self.scheduled_at = inf
        """The core's own note: when its next entry for this call comes up."""

    @property
    def call_id(self) -> bytes:
        return self._parties.call_id

    @property
    def dialogs(self) -> Iterable[Dialog]:
        """What requests of the callee's may refer to: the dialog that is up, before that the early ones."""
        return self._forks.dialogs() if self._dialog is None else (self._dialog,)

    @property
    def has_answer(self) -> bool:
        """Whether the INVITE has had a 2xx, of whichever fork."""
        return bool(self._requester.acks)

    @property
    def silent_hosts(self) -> tuple[str, ...]:
        """The hosts that a request of ours is out to and that have said nothing to it."""
        return self._requester.silent_hosts

    @property
    def is_finished(self) -> bool:
        """Whether nothing that may still arrive wants an answer."""
        if self.state != "ended" or self._requester.exchanges:
            return False
        return self._answerer is None or not self._answerer.is_busy

    # What the owner wishes.

    def dial(self, now: float) -> None:
        """Send the INVITE."""
        self._happen("dial", now)
        self._settle(now)

    def hang_up(self, now: float) -> None:
        """End the call: CANCEL or BYE, whatever it takes. Repeating it does nothing."""
        self._happen("hang_up", now)
        self._settle(now)

    def lose_stream(self, now: float) -> None:
        """The media plane lost the call's stream."""
        self._happen("stream_lost", now)
        self._settle(now)

    def abandon(self, how: How) -> None:
        """End the call here and now and send nothing: a fault of ours hit it, or the socket closes."""
        self._requester.forget_all()
        self._answerer = None
        self._deadline = self.next_wake = inf
        if self.state != "ended":
            self.state = "ended"
            self._report(Ended(how))

    # What arrives.

    def receive_response(self, response: Response, now: float) -> None:
        """A response with this call's Call-ID. Raises `SipParseError` before anything is changed."""
        cseq = response.cseq
        tag = response.to_tag or b"" if response.status > 100 else b""
        exchange = self._requester.find(response.branch, cseq.method)
        if exchange is None:
            return
        for effect in self._requester.advance(exchange, response_event(response.status), now):
            if effect == "ack":
                self._requester.acknowledge_refusal(exchange, response)
            elif exchange.dialog is not None:
                self._receive_inside(exchange, response, now)
            elif cseq.method == b"INVITE":
                self._receive_invite_response(exchange, response, tag, now)
        self._settle(now)

    def receive_request(self, request: Request, reply_to: Hop, now: float) -> None:
        """A request with this call's Call-ID. Raises `SipParseError` before anything is changed."""
        answerer = self._answerer
        if answerer is None:
            answerer = self._answerer = Answerer(
                self._parties.local_tag,
                self._line.contact,
                self._media,
                self._timer,
                self._timing,
                self._outbox,
            )
        tag = request.from_tag or b""
        standing = self._standing(tag)
        result = answerer.receive(request, reply_to, now, standing)
        if isinstance(result, Remote):
            if standing.stage == "up":
                self._move_media(result)
            elif (fork := self._forks.find(tag)) is not None:
                fork.remote = result
        elif result is not None:
            self._happen(result, now, request)
        self._settle(now)

    def fail_transport(self, hop: Hop, now: float) -> None:
        """What was sent to a hop could not be delivered (ICMP, or the socket's own error): each request
        that got no response from there has failed. A CANCEL goes on, for what it is to end rings all
        the same, and so nothing is gained by giving it up."""
        for exchange in self._requester.silent_towards(hop):
            if exchange.method != b"CANCEL":
                self._carry_out(exchange, "transport_failed", now)
        self._settle(now)

    def wake(self, now: float) -> None:
        """Do what time demands. Harmless when it comes early."""
        for exchange in tuple(self._requester.exchanges):
            while (event := due(exchange.transaction, now)) is not None:
                self._carry_out(exchange, event, now)
        if self._answerer is not None and self._answerer.wake(now):
            self._happen("ack_missing", now)
        if self._deadline <= now:
            self._deadline = inf
            self._happen("deadline", now)
        if self.state == "answered":
            self._keep_session(now)
        self._settle(now)

    # Inside.

    def _happen(self, happening: Happening, now: float, message: Message | None = None) -> None:
        found = CALL_TABLE.get((self.state, happening))
        if found is None:
            return
        self.state, actions = found
        for action in actions:
            do = _ACTIONS.get(action)
            if do is not None:
                do(self, now, message)
            elif action in NOTES:
                self._ending, self._bye_lines = NOTES[action]
            else:
                self._end(ENDINGS[action](self._ending, message, self._line.trunk))

    def _report(self, event: CallEvent) -> None:
        self._outbox.events.append((self, event))

    def _settle(self, now: float) -> None:
        """Forget what is over, and say when to be woken."""
        wake = min(self._deadline, self._requester.forget_over())
        if self.state == "ended":
            # All that is left is to be forgotten, which is done once and not for each transaction.
            wake = min(self._deadline, max(wake, self._requester.lingers_until()))
        if self._answerer is not None:
            wake = min(wake, self._answerer.next_wake)
        if self.state == "answered" and self._timer.interval_s:
            wake = min(wake, self._timer.next_wake, now + NAP_S_MAX)
        self.next_wake = wake

    def _carry_out(self, exchange: Exchange, event: Event, now: float) -> None:
        """What a timer or the transport does to an exchange."""
        for effect in self._requester.advance(exchange, event, now):
            if effect == "send":
                continue
            # The INVITE of a call that is to end is not sent a second time.
            may_repeat = effect == "unreachable" and self.state != "holding_cancel"
            if may_repeat and self._requester.send_as_datagram(exchange, now):
                continue
            if exchange.dialog is not None:
                self._happen_inside(exchange, _UNANSWERED[exchange.method], now)
            elif exchange.method == b"INVITE":
                self._happen("unreachable", now)

    def _happen_inside(
        self, exchange: Exchange, happening: Happening, now: float, response: Response | None = None
    ) -> None:
        """Something that befalls one dialog befalls the call where that is the dialog it is about."""
        dialog = exchange.dialog
        assert dialog is not None
        if happening == "prack_failed":
            if self._forks.lose(dialog):
                self._happen(happening, now, response)
        elif dialog is self._dialog:
            self._happen(happening, now, response)

    def _standing(self, tag: bytes) -> Standing:
        """What there is under a callee's tag."""
        dialog = self._dialog
        if dialog is not None and tag == dialog.remote_tag:
            if self.state != "answered":
                return Standing("over", dialog)
            refresher = self._refresher
            return Standing("up", dialog, refresher is not None and refresher.is_offering)
        if tag in self._requester.acks:
            return Standing("spare")
        if dialog is not None or self.state == "ended":
            return Standing("unknown")
        fork = self._forks.find(tag)
        if fork is None:
            return Standing("early")
        return Standing("early", self._forks.dialog(fork), not fork.is_answered)

    def _receive_invite_response(
        self, exchange: Exchange, response: Response, tag: bytes, now: float
    ) -> None:
        requester = self._requester
        if response.status < 200:
            if response.status == 100 or self._hear_fork(exchange, response, tag, now):
                self._happen("provisional", now, response)
        elif response.status >= 300:
            self._forks.clear()
            requester.forget_method(b"PRACK")
            is_met = requester.take_challenge(exchange, response)
            is_met = is_met or self._timer.raise_interval(response)
            self._happen("challenge" if is_met else "refusal", now, response)
        elif tag in requester.acks:
            requester.acknowledge_again(tag)
        elif len(requester.acks) < FORKS_MAX:
            self._receive_answer(exchange, response, tag, now)

    def _hear_fork(self, exchange: Exchange, response: Response, tag: bytes, now: float) -> bool:
        """Take a provisional response, and acknowledge it where it wants that; False where it is to be
        discarded."""
        if self.state == "ended":
            return False
        fork = self._forks.hear(tag, response)
        rseq = read_rseq(response)
        if rseq is None or fork is None:
            return True
        if not fork.takes(rseq) or self._requester.count(b"PRACK") >= PRACKS_MAX:
            return False
        self._forks.take_answer(fork, response)
        rack = rack_line(rseq, exchange.transaction.cseq)
        dialog = self._forks.dialog(fork)
        self._requester.send_inside(b"PRACK", dialog, now, lines=(rack,))
        fork.rseq = rseq
        return True

    def _receive_answer(
        self, exchange: Exchange, response: Response, tag: bytes, now: float
    ) -> None:
        dialog, remote = self._forks.answer(tag, response, exchange.transaction.cseq)
        if self._dialog is not None or self.state == "ended":
            # Another fork answered, or one that came too late: nobody will ever talk to it
            # (RFC 3261 §13.2.2.4).
            self._requester.acknowledge(dialog)
            self._requester.send_inside(b"BYE", dialog, now)
            return
        self._dialog, self._remote = dialog, remote
        self._timer.agree(response, now)
        if self._timer.interval_s:
            self._take_refresher().learn_methods(response)
        self._happen("answer" if remote is not None else "unusable_answer", now, response)

    def _receive_inside(self, exchange: Exchange, response: Response, now: float) -> None:
        """A response to a request of ours in a dialog."""
        if response.status < 200:
            return
        method = exchange.transaction.method
        if method in (b"INVITE", b"UPDATE"):
            self._receive_refresh_response(exchange, response, now)
        elif self._requester.take_challenge(exchange, response):
            self._requester.send_challenged(exchange, now)
        elif method == b"BYE":
            # 200, or 408 and 481, which say that the dialog is gone just as well (§12.2.1.2).
            self._happen_inside(exchange, "bye_done", now, response)
        elif response.status >= 300:
            self._happen_inside(exchange, "prack_failed", now, response)

    def _receive_refresh_response(self, exchange: Exchange, response: Response, now: float) -> None:
        refresher = self._take_refresher()
        if self.state != "answered":
            refresher.stop()
        result = refresher.receive(exchange, response, now)
        if isinstance(result, Remote):
            self._move_media(result)
        elif result is not None:
            self._happen_inside(exchange, result, now, response)

    def _keep_session(self, now: float) -> None:
        """Do what the session timer demands."""
        due_now = self._timer.due(now)
        if due_now == "expired":
            self._happen("session_expired", now)
        elif due_now == "refresh":
            assert self._dialog is not None
            is_invited = self._answerer is not None and self._answerer.is_invited
            self._take_refresher().refresh(self._dialog, now, is_invited=is_invited)

    def _take_refresher(self) -> Refresher:
        """Most calls end before they need one."""
        if self._refresher is None:
            self._refresher = Refresher(
                self._line, self._parties, self._media, self._timer, self._requester
            )
        return self._refresher

    def _move_media(self, remote: Remote) -> None:
        if remote != self._remote:
            self._remote = remote
            self._report(MediaAgreed(remote, is_first=False))

    # The actions of the table.

    def _send_invite(self, now: float, message: Message | None) -> None:
        self._requester.send_invite(self._media.offer(), self._timer.invite_lines(), now)

    def _send_cancel(self, now: float, message: Message | None) -> None:
        self._requester.send_cancel(now)

    def _acknowledge(self, now: float, message: Message | None) -> None:
        assert self._dialog is not None
        self._requester.acknowledge(self._dialog)

    def _send_bye(self, now: float, message: Message | None) -> None:
        assert self._dialog is not None
        self._requester.send_inside(b"BYE", self._dialog, now, lines=self._bye_lines)

    def _start_deadline(self, now: float, message: Message | None) -> None:
        self._deadline = now + self._timing.patience

    def _forget_invite(self, now: float, message: Message | None) -> None:
        self._requester.forget_invite()

    def _report_progress(self, now: float, message: Message | None) -> None:
        assert isinstance(message, Response)
        # It is reported once: a callee that repeats its 180 for an hour fills no queue.
        if message.status > 100 and not self._is_ringing:
            self._is_ringing = True
            self._report(Ringing())

    def _report_answer(self, now: float, message: Message | None) -> None:
        assert self._remote is not None
        self._report(MediaAgreed(self._remote, is_first=True))

    def _end(self, ended: Ended) -> None:
        self._deadline = inf
        self._forks.settle()
        self._requester.forget_method(b"PRACK")
        self._requester.forget_messages()
        self._report(ended)


_UNANSWERED: dict[bytes, Happening] = {
    b"BYE": "bye_done",
    b"PRACK": "prack_failed",
    b"INVITE": "session_expired",
    b"UPDATE": "session_expired",
}
"""What it means that a request of ours in a dialog gets no response."""

_ACTIONS: dict[Action, Callable[[OutboundCall, float, Message | None], None]] = {
    "send_invite": OutboundCall._send_invite,
    "send_cancel": OutboundCall._send_cancel,
    "acknowledge": OutboundCall._acknowledge,
    "send_bye": OutboundCall._send_bye,
    "start_deadline": OutboundCall._start_deadline,
    "forget_invite": OutboundCall._forget_invite,
    "report_progress": OutboundCall._report_progress,
    "report_answer": OutboundCall._report_answer,
}
