"""`OutboundCall`: the whole life of one call that we place, pure.

How it works. Messages, wishes and `now` go in; datagrams and events come out, into the `Outbox`
that all calls of a core share. Its requests and their transactions live in a `Requester`
(`requests`), the callee's requests are answered by an `Answerer` (`uas`); what either delivers
becomes a happening, and `call_states.CALL_TABLE` says what follows from it.

A call is over for its owner with `Ended`, and lingers here afterwards, small, for as long as its
transactions must still answer repetitions; `is_finished` says when it can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from adapters.media import sdp
from adapters.media.types import Remote
from adapters.sip.call.dialog import Dialog, establish
from adapters.sip.call.outbox import CallEvent, MediaAgreed, Outbox
from adapters.sip.call.requests import Exchange, Parties, Requester
from adapters.sip.call.states import CALL_TABLE, Action, CallState, Happening
from adapters.sip.call.transaction import Event, Timing, due, response_event
from adapters.sip.call.uas import Answerer, LocalMedia
from adapters.sip.trunk import Line
from adapters.sip.wire.fields import read_q850, read_retry_after
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Message, Request, Response, SipParseError
from engine.ports.telephony import Ended, How, Ringing

FORKS_MAX = 8
"""Dialogs of one INVITE that are acknowledged and ended; a further fork gets no ACK, and its callee
gives up by its own timer."""


class OutboundCall:
    """One outbound call. Every method takes `now` in seconds of the owner's monotonic clock."""

    __slots__ = (
        "_answerer",
        "_deadline",
        "_dialog",
        "_early_answer",
        "_ending",
        "_is_ringing",
        "_line",
        "_media",
        "_outbox",
        "_parties",
        "_remote",
        "_requester",
        "_timing",
        "next_wake",
        "scheduled_at",
        "state",
    )

    def __init__(
        self, line: Line, parties: Parties, media: LocalMedia, timing: Timing, outbox: Outbox
    ) -> None:
        self._line = line
        self._parties = parties
        self._media = media
        self._timing = timing
        self._outbox = outbox
        self._requester = Requester(line, parties, timing, outbox)
        self._answerer: Answerer | None = None
        self._dialog: Dialog | None = None
        self._early_answer = b""
        self._remote: Remote | None = None
        self._ending: How = "we_hung_up"
        self._is_ringing = False
        self._deadline = inf
        self.state: CallState = "prepared"
        self.next_wake = inf
        """When `wake` wants to be called; `inf` for never."""
        self.scheduled_at = inf
        """The core's own note: when its next entry for this call comes up."""

    @property
    def call_id(self) -> bytes:
        return self._parties.call_id

    @property
    def hop(self) -> Hop:
        """Where the INVITE goes."""
        return self._requester.invite_hop

    @property
    def is_unanswered(self) -> bool:
        """Whether the INVITE is out and not even a provisional response has come."""
        return self.state in ("calling", "holding_cancel")

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
        self._settle()

    def hang_up(self, now: float) -> None:
        """End the call: CANCEL or BYE, whatever it takes. Repeating it does nothing."""
        self._happen("hang_up", now)
        self._settle()

    def lose_stream(self, now: float) -> None:
        """The media plane lost the call's stream."""
        self._happen("stream_lost", now)
        self._settle()

    def abandon(self, how: How) -> None:
        """End the call here and now and send nothing: a fault of ours hit it, or the socket closes."""
        self._requester.exchanges.clear()
        self._answerer = None
        self._deadline = self.next_wake = inf
        if self.state != "ended":
            self.state = "ended"
            self._report(Ended(how))

    # What arrives.

    def receive_response(self, response: Response, now: float) -> None:
        """A response with this call's Call-ID. Raises `SipParseError` before anything is changed."""
        cseq = response.cseq
        tag = response.to_tag or b"" if response.status >= 200 else b""
        exchange = self._requester.find(response.branch, cseq.method)
        if exchange is None:
            return
        for effect in self._requester.advance(exchange, response_event(response.status), now):
            if effect == "ack":
                self._requester.acknowledge_refusal(exchange, response)
            elif cseq.method == b"INVITE":
                self._receive_invite_response(exchange, response, tag, now)
            elif cseq.method == b"BYE" and response.status >= 200:
                self._receive_bye_response(exchange, response, now)
        self._settle()

    def receive_request(self, request: Request, reply_to: Hop, now: float) -> None:
        """A request with this call's Call-ID. Raises `SipParseError` before anything is changed."""
        answerer = self._answerer
        if answerer is None:
            answerer = self._answerer = Answerer(
                self._parties.local_tag, self._line.contact, self._media, self._timing, self._outbox
            )
        dialog = self._dialog if self.state == "answered" else None
        is_early = self._dialog is None and self.state != "ended"
        tags = None if is_early else self._requester.acks
        result = answerer.receive(request, reply_to, now, dialog, tags)
        if isinstance(result, Remote):
            if result != self._remote:
                self._remote = result
                self._report(MediaAgreed(result, is_first=False))
        elif result is not None:
            self._happen(result, now, request)
        self._settle()

    def fail_transport(self, now: float) -> None:
        """What was sent to the trunk could not be delivered (ICMP, or the socket's own error)."""
        for exchange in tuple(self._requester.exchanges):
            self._carry_out(exchange, "transport_failed", now)
        self._settle()

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
        self._settle()

    # Inside.

    def _happen(self, happening: Happening, now: float, message: Message | None = None) -> None:
        found = CALL_TABLE.get((self.state, happening))
        if found is None:
            return
        self.state, actions = found
        for action in actions:
            _ACTIONS[action](self, now, message)

    def _report(self, event: CallEvent) -> None:
        self._outbox.events.append((self, event))

    def _settle(self) -> None:
        """Forget what is over, and say when to be woken."""
        wake = min(self._deadline, self._requester.forget_over())
        if self._answerer is not None:
            wake = min(wake, self._answerer.next_wake)
        self.next_wake = wake

    def _carry_out(self, exchange: Exchange, event: Event, now: float) -> None:
        """What a timer or the transport does to an exchange."""
        method = exchange.transaction.method
        for effect in self._requester.advance(exchange, event, now):
            if effect == "send":
                continue
            if method == b"INVITE":
                self._happen("unreachable", now)
            elif method == b"BYE" and exchange.dialog is self._dialog:
                self._happen("bye_done", now)

    def _receive_invite_response(
        self, exchange: Exchange, response: Response, tag: bytes, now: float
    ) -> None:
        if response.status < 200:
            if response.body and response.content_type == b"application/sdp":
                self._early_answer = response.body
            self._happen("provisional", now, response)
        elif response.status >= 300:
            is_challenge = self._requester.take_challenge(exchange, response)
            self._happen("challenge" if is_challenge else "refusal", now, response)
        elif tag in self._requester.acks:
            self._requester.acknowledge_again(tag)
        elif len(self._requester.acks) < FORKS_MAX:
            self._receive_answer(exchange, response, now)

    def _receive_answer(self, exchange: Exchange, response: Response, now: float) -> None:
        dialog = establish(response, self._parties.uri, exchange.transaction.cseq)
        if self._dialog is not None or self.state == "ended":
            # Another fork answered, or one that came too late: nobody will ever talk to it
            # (RFC 3261 §13.2.2.4).
            self._requester.acknowledge(dialog)
            self._requester.send_bye(dialog, now)
            return
        self._dialog = dialog
        # Some carriers put the answer into the 183 alone, though §13.2.1 wants it in the 200 too.
        body = response.body or self._early_answer
        self._early_answer = b""
        try:
            self._remote = sdp.read_answer(body)
        except sdp.SdpError:
            self._happen("unusable_answer", now, response)
        else:
            self._happen("answer", now, response)

    def _receive_bye_response(self, exchange: Exchange, response: Response, now: float) -> None:
        dialog = exchange.dialog
        assert dialog is not None
        if self._requester.take_challenge(exchange, response):
            self._requester.send_bye(dialog, now, challenged=exchange)
        elif dialog is self._dialog:
            # 200, or 408 and 481, which say that the dialog is gone just as well (§12.2.1.2).
            self._happen("bye_done", now, response)

    # The actions of the table.

    def _send_invite(self, now: float, message: Message | None) -> None:
        self._requester.send_invite(self._media.offer(), now)

    def _send_cancel(self, now: float, message: Message | None) -> None:
        self._requester.send_cancel(now)

    def _acknowledge(self, now: float, message: Message | None) -> None:
        assert self._dialog is not None
        self._requester.acknowledge(self._dialog)

    def _send_bye(self, now: float, message: Message | None) -> None:
        assert self._dialog is not None
        self._requester.send_bye(self._dialog, now)

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

    def _note_no_media(self, now: float, message: Message | None) -> None:
        self._ending = "no_media"

    def _note_lost(self, now: float, message: Message | None) -> None:
        self._ending = "lost"

    def _end_hung_up(self, now: float, message: Message | None) -> None:
        if isinstance(message, Response):
            self._end(Ended("we_hung_up", message.status, message.reason_text))
        else:
            self._end(Ended("we_hung_up"))

    def _end_rejected(self, now: float, message: Message | None) -> None:
        assert isinstance(message, Response)
        self._end(
            Ended(
                "rejected",
                sip_code=message.status,
                sip_reason=message.reason_text,
                q850=read_q850(_reasons(message)),
                retry_after_s=read_retry_after(message.first(b"retry-after")),
            )
        )

    def _end_unreachable(self, now: float, message: Message | None) -> None:
        self._end(Ended("unreachable"))

    def _end_by_callee(self, now: float, message: Message | None) -> None:
        assert message is not None
        self._end(Ended("callee_hung_up", 200, "OK", read_q850(_reasons(message))))

    def _end_as_noted(self, now: float, message: Message | None) -> None:
        self._end(Ended(self._ending, 200, "OK"))

    def _end(self, ended: Ended) -> None:
        self._deadline = inf
        self._early_answer = b""
        self._requester.forget_messages()
        self._report(ended)


def _reasons(message: Message) -> list[bytes]:
    try:
        return message.listed(b"reason")
    except SipParseError:
        return []


_ACTIONS: dict[Action, Callable[[OutboundCall, float, Message | None], None]] = {
    "send_invite": OutboundCall._send_invite,
    "send_cancel": OutboundCall._send_cancel,
    "acknowledge": OutboundCall._acknowledge,
    "send_bye": OutboundCall._send_bye,
    "start_deadline": OutboundCall._start_deadline,
    "forget_invite": OutboundCall._forget_invite,
    "report_progress": OutboundCall._report_progress,
    "report_answer": OutboundCall._report_answer,
    "note_no_media": OutboundCall._note_no_media,
    "note_lost": OutboundCall._note_lost,
    "end_hung_up": OutboundCall._end_hung_up,
    "end_rejected": OutboundCall._end_rejected,
    "end_unreachable": OutboundCall._end_unreachable,
    "end_by_callee": OutboundCall._end_by_callee,
    "end_as_noted": OutboundCall._end_as_noted,
}
