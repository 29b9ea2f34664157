"""A `SipCore` and a scripted callee on two ends of nothing: no socket, and time is a number."""

from __future__ import annotations

from collections.abc import Callable

from adapters.sip.call.outbox import CallEvent
from adapters.sip.call.uac import OutboundCall
from adapters.sip.call.uas import LocalMedia
from adapters.sip.core import Caller, SipCore
from adapters.sip.trunk import SESSION_EXPIRES_S, Here, Trunk, open_line
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request, Response, build_request, build_response, parse
from adapters.sip.wire.uri import Address

HERE: Address = ("192.0.2.1", 5062)
TRUNK = Hop("192.0.2.70", 5070)
CALLER = Caller(b"<sip:+14155550100@192.0.2.1:5062>")
CALLEE = b"<sip:callee@192.0.2.99:5099>"
CALLEE_ADDRESS = Hop("192.0.2.99", 5099)
SDP_TYPE = (b"Content-Type", b"application/sdp")
CONTACT = (b"Contact", CALLEE)

Headers = tuple[tuple[bytes, bytes], ...]


def answer_sdp(port: int = 6000, host: str = "192.0.2.99", codecs: str = "0") -> bytes:
    lines = ("v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0")
    return "\r\n".join((*lines, f"m=audio {port} RTP/AVP {codecs}", "")).encode()


class Lineup:
    """`now` moves only when a test moves it."""

    def __init__(
        self,
        *,
        credentials: Credentials | None = None,
        realm: bytes | None = None,
        session_expires_s: int = SESSION_EXPIRES_S,
        follows_redirects: bool = False,
        large_over_tcp: bool = False,
        trunk_hosts: tuple[str, ...] = (TRUNK.host,),
        is_own: Callable[[Hop], bool] = lambda hop: False,
    ) -> None:
        self.now = 1000.0
        self.core = SipCore(b"secret", frozenset(trunk_hosts), is_own=is_own)
        trunk = Trunk(
            "main",
            TRUNK[0],
            TRUNK[1],
            credentials,
            realm,
            session_expires_s=session_expires_s,
            follows_redirects=follows_redirects,
            large_over_tcp=large_over_tcp,
        )
        self.line = open_line(trunk, TRUNK, Here(HERE, HERE, HERE))
        self._tokens = 0

    def prepare(self, number: str = "+14155550199") -> OutboundCall:
        self._tokens += 1
        return self.prepare_with(b"%032x" % self._tokens * 3, number)

    def prepare_with(self, token: bytes, number: str = "+14155550199") -> OutboundCall:
        """A call whose token is not the next one in turn."""
        return self.core.prepare(
            self.line,
            number=number,
            caller=CALLER,
            token=token,
            media=LocalMedia("192.0.2.1", 20000, 7),
        )

    def dial(self) -> tuple[OutboundCall, Request]:
        """A call whose INVITE is out."""
        call = self.prepare()
        self.core.dial(call, self.now)
        (invite,) = self.requests()
        return call, invite

    def answer(self, tag: bytes = b"callee", headers: Headers = ()) -> tuple[OutboundCall, Request]:
        """A call that is up; its INVITE."""
        call, invite = self.dial()
        self.respond(invite, 200, tag=tag, headers=(CONTACT, SDP_TYPE, *headers), body=answer_sdp())
        self.requests()
        self.events()
        return call, invite

    def hang_up(self, call: OutboundCall) -> None:
        self.core.hang_up(call, self.now)

    def datagrams(self) -> list[tuple[bytes, Hop]]:
        return self.core.datagrams_to_send()

    def requests(self) -> list[Request]:
        messages = [parse(data) for data, _ in self.datagrams()]
        assert all(isinstance(message, Request) for message in messages)
        return [message for message in messages if isinstance(message, Request)]

    def responses(self) -> list[Response]:
        messages = [parse(data) for data, _ in self.datagrams()]
        assert all(isinstance(message, Response) for message in messages)
        return [message for message in messages if isinstance(message, Response)]

    def methods(self) -> list[bytes]:
        return [request.method for request in self.requests()]

    def events(self) -> list[CallEvent]:
        return [event for _, event in self.core.take_events()]

    def respond(
        self,
        request: Request,
        status: int,
        *,
        tag: bytes | None = b"callee",
        headers: Headers = (),
        body: bytes = b"",
        reason: bytes | None = None,
    ) -> None:
        data = build_response(
            request, status, to_tag=tag, headers=headers, body=body, reason=reason
        )
        self.core.receive(data, TRUNK, self.now)

    def ask(
        self,
        invite: Request,
        method: bytes,
        *,
        cseq: int = 1,
        branch: bytes = b"z9hG4bKfromcallee",
        tag: bytes = b"callee",
        headers: Headers = (),
        body: bytes = b"",
        to: bytes | None = None,
    ) -> None:
        """A request of the callee's inside the dialog that `invite` made."""
        self.core.receive(
            build_request(
                method,
                b"sip:callwheel@192.0.2.1:5062",
                (
                    (b"Via", b"SIP/2.0/UDP 192.0.2.70:5070;branch=" + branch),
                    (b"From", b"%b;tag=%b" % (invite.fields[b"to"][0], tag)),
                    (b"To", invite.fields[b"from"][0] if to is None else to),
                    (b"Call-ID", invite.call_id),
                    (b"CSeq", b"%d %b" % (cseq, method)),
                    *headers,
                ),
                body,
            ),
            TRUNK,
            self.now,
        )

    def wait(self, seconds: float) -> None:
        """Let time pass, with every timer at its own moment."""
        end = self.now + seconds
        while (wake := self.core.next_wake()) <= end:
            self.now = max(self.now, wake)
            self.core.wake(self.now)
        self.now = end
