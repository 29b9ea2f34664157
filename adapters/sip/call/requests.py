"""The requests of one call: how they are worded, sent and kept, and sent once more."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from msgspec import Struct

from adapters.sip.call.authentication import Authenticator, Tries
from adapters.sip.call.dialog import Dialog, addressing, destination
from adapters.sip.call.exchange import Exchange, Sent
from adapters.sip.call.outbox import Outbox
from adapters.sip.call.reach import Reach
from adapters.sip.call.transaction import (
    CLIENT,
    INVITE_CLIENT,
    REINVITE_CLIENT,
    Effect,
    Event,
    Timing,
    Transaction,
    step,
    timing_over,
)
from adapters.sip.trunk import Line
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Response, compose

DATAGRAM_MAX = 1300
"""A longer request could be cut into fragments on its way (RFC 3261 §18.1.1)."""

_LINGERING = ("completed", "accepted")
"""States of a client's transaction in which it does nothing more of itself but end."""


class Parties(Struct, frozen=True, gc=False):
    """Who calls whom, in the bytes of one call's messages."""

    uri: bytes
    """The Request-URI."""
    caller: bytes
    """The value of From, with our tag."""
    callee: bytes
    """The value of To before the callee has a tag."""
    local_tag: bytes
    call_id: bytes
    token: bytes
    """Unpredictable, and a token of RFC 3261 §25.1: branches and cnonces are made from it."""
    lines: tuple[bytes, ...] = ()
    """Whole header lines that every INVITE of the call has, but for those inside its dialog."""


class Requester:
    """Writes and sends one call's requests, and keeps their transactions."""

    __slots__ = (
        "_authenticator",
        "_branches",
        "_cseq",
        "_invite",
        "_line",
        "_outbox",
        "_parties",
        "_reach",
        "_timing",
        "acks",
        "exchanges",
        "silent_hosts",
    )

    def __init__(
        self, line: Line, parties: Parties, timing: Timing, outbox: Outbox, reach: Reach
    ) -> None:
        self._line = line
        self._reach = reach
        self._parties = parties
        self._timing = timing
        self._outbox = outbox
        trunk = line.trunk
        self._authenticator = (
            Authenticator(trunk.credentials, trunk.realm) if trunk.credentials is not None else None
        )
        self._branches = 0
        self._cseq = 0
        self._invite: Exchange | None = None
        self.acks: dict[bytes, Sent] = {}
        """The ACK of each dialog by its callee's tag, to be sent again for a repeated 200."""
        self.exchanges: list[Exchange] = []
        """Those whose transactions still live; a handful at most."""
        self.silent_hosts: tuple[str, ...] = ()
        """The hosts that a request is out to and that have said nothing to it, as of the last
        `forget_over`."""

    def find(self, branch: bytes | None, method: bytes) -> Exchange | None:
        """The exchange that a response belongs to (RFC 3261 §17.1.3)."""
        for exchange in self.exchanges:
            transaction = exchange.transaction
            if transaction.branch == branch and transaction.method == method:
                return exchange
        return None

    def count(self, method: bytes) -> int:
        """How many exchanges of a method still live."""
        return sum(exchange.method == method for exchange in self.exchanges)

    def advance(self, exchange: Exchange, event: Event, now: float) -> tuple[Effect, ...]:
        """Let an event happen to an exchange. What it wants sent again is sent; all its effects are
        returned."""
        transaction = exchange.transaction
        effects = step(transaction, event, now)
        if "send" in effects:
            self._outbox.datagrams.append((transaction.message, transaction.destination))
            self._outbox.retransmissions += 1
        return effects

    def forget_over(self) -> float:
        """Drop what is over, and say when the next timer runs out; `inf` for never."""
        wake = inf
        is_any_over = False
        silent_hosts: tuple[str, ...] = ()
        for exchange in self.exchanges:
            transaction = exchange.transaction
            if transaction.state == "terminated":
                is_any_over = True
            else:
                wake = min(wake, transaction.retransmit_at, transaction.expires_at)
                if transaction.is_silent:
                    silent_hosts += (transaction.destination.host,)
        self.silent_hosts = silent_hosts
        if is_any_over:
            self.exchanges = [e for e in self.exchanges if not e.transaction.is_over]
        return wake

    def lingers_until(self) -> float:
        """When the last of its transactions ends, where all of them but wait for repetitions of the response
        that they have had; `-inf` where one has more to do."""
        until = -inf
        for exchange in self.exchanges:
            if exchange.transaction.state not in _LINGERING:
                return -inf
            until = max(until, exchange.transaction.expires_at)
        return until

    def forget_all(self) -> None:
        """Give everything up, and answer nothing any more."""
        self.exchanges.clear()
        self.silent_hosts = ()

    def silent_towards(self, hop: Hop) -> list[Exchange]:
        """The requests that are out to a hop and have had no response."""
        return [
            exchange
            for exchange in self.exchanges
            if exchange.transaction.is_silent and exchange.transaction.destination == hop
        ]

    def forget_messages(self) -> None:
        """Free what will not be sent again: calls linger by the thousand after their end."""
        for exchange in self.exchanges:
            if exchange.transaction.retransmit_at == inf:
                exchange.transaction.message = b""

    def forget_method(self, method: bytes) -> None:
        """Give all requests of a method up: the dialogs that they were for are over."""
        self.exchanges = [e for e in self.exchanges if e.transaction.method != method]

    def forget_invite(self) -> None:
        """Give the INVITE up: whatever still comes for it is a stray (RFC 3261 §9.1)."""
        self.exchanges = [e for e in self.exchanges if e is not self._invite]

    def take_challenge(self, exchange: Exchange, response: Response) -> bool:
        """Whether a refusal is a challenge which the same request can answer, sent once more. One of
        somebody who is not the trunk's is not even remembered: he would choose the nonce, or pass on
        the trunk's."""
        authenticator = self._authenticator
        if authenticator is None or not self._may_know(exchange.transaction.destination):
            return False
        return authenticator.learn(response, exchange.tries)

    def send_invite(self, offer: bytes, timer_lines: tuple[bytes, ...], now: float) -> None:
        """The first INVITE, or the one that answers a challenge or a 422: same tag and Call-ID, a new
        branch and the next number (RFC 3261 §22.2, RFC 4028 §7.3)."""
        self._cseq += 1
        parties = self._parties
        credentials = self._credentials(b"INVITE", parties.uri, self._cseq, offer)
        self._invite = self._begin(
            b"INVITE",
            now,
            cseq=self._cseq,
            branch=self._next_branch(),
            tries=self._invite.tries if self._invite is not None else Tries(),
            extra=(*self._line.invite_lines, *timer_lines, *parties.lines, *credentials),
            body=offer,
        )
        self._invite.credentials = credentials

    def send_cancel(self, now: float) -> None:
        """The INVITE's twin: same branch, number and addressing (RFC 3261 §9.1)."""
        assert self._invite is not None
        invite = self._invite.transaction
        self._begin(
            b"CANCEL",
            now,
            cseq=invite.cseq,
            branch=invite.branch,
            tries=Tries(),
            hop=invite.destination,
        )

    def send_inside(
        self,
        method: bytes,
        dialog: Dialog,
        now: float,
        *,
        lines: tuple[bytes, ...] = (),
        body: bytes = b"",
        challenged: Exchange | None = None,
    ) -> Exchange:
        """A request in a dialog; `challenged` is the one whose challenge it answers."""
        cseq = dialog.next_cseq()
        uri, _ = addressing(dialog)
        hop = self._hop(dialog)
        credentials = self._credentials(method, uri, cseq, body) if self._may_know(hop) else ()
        exchange = self._begin(
            method,
            now,
            cseq=cseq,
            branch=self._next_branch(),
            dialog=dialog,
            hop=hop,
            tries=challenged.tries if challenged is not None else Tries(),
            extra=(*lines, *credentials),
            body=body,
        )
        exchange.lines, exchange.body, exchange.credentials = lines, body, credentials
        return exchange

    def send_challenged(self, exchange: Exchange, now: float) -> Exchange:
        """A request in a dialog once more, with the credentials that were asked for."""
        assert exchange.dialog is not None
        return self.send_inside(
            exchange.method,
            exchange.dialog,
            now,
            lines=exchange.lines,
            body=exchange.body,
            challenged=exchange,
        )

    def send_as_datagram(self, exchange: Exchange, now: float) -> bool:
        """Send a request by UDP after all, where its size alone made it go over TCP and that has failed
        (RFC 3261 §18.1.1). False where that is not so, or was done before, or where the call is over
        and the message was freed.

        Branch and number stay: should the trunk have got it over TCP, it can tell that it is the same.
        """
        hop, before = exchange.datagram_hop, exchange.transaction
        if hop is None or not before.message:
            return False
        vias = self._line.vias
        message = before.message.replace(vias[before.destination.transport], vias["udp"], 1)
        exchange.datagram_hop = None
        exchange.transaction = again = Transaction(
            table=before.table,
            method=before.method,
            branch=before.branch,
            cseq=before.cseq,
            message=message,
            destination=hop,
            timing=self._timing,
            state="trying" if before.table is CLIENT else "calling",
        )
        step(again, "start", now)
        self._outbox.datagrams.append((message, hop))
        return True

    def acknowledge_refusal(self, exchange: Exchange, response: Response) -> None:
        """The ACK of a 300 to 699, part of the INVITE's own transaction (RFC 3261 §17.1.1.3)."""
        invite = exchange.transaction
        ack = self._write(
            b"ACK",
            invite.destination,
            cseq=invite.cseq,
            branch=invite.branch,
            dialog=exchange.dialog,
            remote=response.fields[b"to"][0],
        )
        self._outbox.datagrams.append((ack, invite.destination))

    def acknowledge(self, dialog: Dialog) -> None:
        """The ACK of a 2xx to the INVITE, kept to be sent again for each repetition."""
        assert self._invite is not None
        self.acks[dialog.remote_tag] = self._send_ack(dialog, self._invite)

    def acknowledge_again(self, remote_tag: bytes) -> None:
        """Answer a repeated 200 with the ACK that it got before."""
        self._outbox.datagrams.append(self.acks[remote_tag])

    def acknowledge_reinvite(self, exchange: Exchange) -> None:
        """The ACK of a 2xx to a re-INVITE of ours, the first one or a repeated one."""
        if exchange.ack is not None:
            self._outbox.datagrams.append(exchange.ack)
            return
        assert exchange.dialog is not None
        exchange.ack = self._send_ack(exchange.dialog, exchange)

    def _send_ack(self, dialog: Dialog, invite: Exchange) -> Sent:
        """The ACK of a 2xx: a request of its own with the INVITE's number and credentials
        (RFC 3261 §13.2.2.4)."""
        hop = self._hop(dialog)
        ack = self._write(
            b"ACK",
            hop,
            cseq=invite.transaction.cseq,
            branch=self._next_branch(),
            dialog=dialog,
            extra=invite.credentials if self._may_know(hop) else (),
        )
        sent = (ack, hop)
        self._outbox.datagrams.append(sent)
        return sent

    def _next_branch(self) -> bytes:
        self._branches += 1
        return b"z9hG4bK%b.%d" % (self._parties.token, self._branches)

    def _credentials(
        self, method: bytes, uri: bytes, cseq: int, body: bytes = b""
    ) -> tuple[bytes, ...]:
        if self._authenticator is None:
            return ()
        cnonce = b"%b%d" % (self._parties.token, cseq)
        return tuple(self._authenticator.lines(method, uri, body, cnonce))

    def _begin(
        self,
        method: bytes,
        now: float,
        *,
        cseq: int,
        branch: bytes,
        tries: Tries,
        dialog: Dialog | None = None,
        hop: Hop | None = None,
        extra: Iterable[bytes] = (),
        body: bytes = b"",
    ) -> Exchange:
        """Send a request and await its response. `hop` is None unless it must go a certain way."""
        if hop is None:
            hop = self._hop(dialog)
        message = self._write(
            method, hop, cseq=cseq, branch=branch, dialog=dialog, extra=extra, body=body
        )
        datagram_hop = None
        if len(message) > DATAGRAM_MAX and self._line.trunk.large_over_tcp and not hop.is_reliable:
            datagram_hop = hop
            hop = Hop(hop.host, hop.port, "tcp")
            message = self._write(
                method, hop, cseq=cseq, branch=branch, dialog=dialog, extra=extra, body=body
            )
        table = CLIENT
        if method == b"INVITE":
            table = INVITE_CLIENT if dialog is None else REINVITE_CLIENT
        transaction = Transaction(
            table=table,
            method=method,
            branch=branch,
            cseq=cseq,
            message=message,
            destination=hop,
            timing=timing_over(self._timing, hop.transport),
            state="trying" if table is CLIENT else "calling",
        )
        step(transaction, "start", now)
        self._outbox.datagrams.append((message, hop))
        exchange = Exchange(transaction, dialog, tries, datagram_hop=datagram_hop)
        self.exchanges.append(exchange)
        return exchange

    def _hop(self, dialog: Dialog | None) -> Hop:
        before = self._line.hop
        return before if dialog is None else destination(dialog, before, self._reach)

    def _may_know(self, hop: Hop) -> bool:
        """Whether a hop may see credentials, or ask for them."""
        return self._reach.may_know(hop, self._line.hop)

    def _write(
        self,
        method: bytes,
        hop: Hop,
        *,
        cseq: int,
        branch: bytes,
        remote: bytes | None = None,
        dialog: Dialog | None = None,
        extra: Iterable[bytes] = (),
        body: bytes = b"",
    ) -> bytes:
        """A request in a dialog, or, where that is None, the INVITE or what shares its addressing.

        `extra` are complete lines. Raises `UnsafeValueError` when anything in it would end a line.
        """
        parties = self._parties
        uri = parties.uri
        routes: tuple[bytes, ...] = ()
        if dialog is not None:
            uri, routes = addressing(dialog)
            remote = dialog.remote if remote is None else remote
        lines = [
            b"%b %b SIP/2.0" % (method, uri),
            self._line.vias[hop.transport] + branch,
            b"Max-Forwards: 70",
            b"From: " + parties.caller,
            b"To: " + (parties.callee if remote is None else remote),
            b"Call-ID: " + parties.call_id,
            b"CSeq: %d %b" % (cseq, method),
            *extra,
        ]
        if routes:
            lines[2:2] = [b"Route: " + route for route in routes]
        return compose(lines, body)
