"""The caller's side of a call in the plainest way: requests by hand, responses read back."""

from __future__ import annotations

from itertools import count

from msgspec import Struct

from adapters.media.sdp import build_offer
from adapters.sip.wire.message import Request, Response, build_request, parse

SOURCE = ("127.0.0.1", 5062)
"""Where the callers of pure tests sit."""

_calls = count(1)


class Caller(Struct):
    """One call to `number`, from its caller's end."""

    number: str = "+14155550100"
    call_id: str = ""
    rtp_port: int = 40_000
    source: tuple[str, int] = SOURCE
    to_tag: bytes | None = None
    """The callee's, once `hear` has taken in a response that carries it."""

    def __post_init__(self) -> None:
        self.call_id = self.call_id or f"call-{next(_calls)}"

    def request(
        self, method: str, cseq: int, branch: str, *more: tuple[bytes, bytes], body: bytes = b""
    ) -> bytes:
        host, port = self.source
        tag = b"" if self.to_tag is None else b";tag=" + self.to_tag
        via = f"SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK-{self.call_id}-{branch}"
        headers = [
            (b"Via", via.encode()),
            (b"From", f"<sip:+14155550199@{host}>;tag=caller".encode()),
            (b"To", f"<sip:{self.number}@127.0.0.1>".encode() + tag),
            (b"Call-ID", self.call_id.encode()),
            (b"CSeq", f"{cseq} {method}".encode()),
            (b"Contact", f"<sip:caller@{host}:{port}>".encode()),
            (b"Max-Forwards", b"70"),
            *more,
        ]
        return build_request(
            method.encode(), f"sip:{self.number}@127.0.0.1".encode(), headers, body
        )

    def invite(self, branch: str = "invite", cseq: int = 1, body: bytes | None = None) -> bytes:
        offer = build_offer(self.source[0], self.rtp_port, 1) if body is None else body
        return self.request(
            "INVITE", cseq, branch, (b"Content-Type", b"application/sdp"), body=offer
        )

    def ack(self, branch: str = "ack") -> bytes:
        """With the branch `invite` it is that of a refusal."""
        return self.request("ACK", 1, branch)

    def cancel(self) -> bytes:
        return self.request("CANCEL", 1, "invite")

    def bye(self) -> bytes:
        return self.request("BYE", 2, "bye")

    def answer(self, request: Request, status: int = 200) -> bytes:
        """A response to a request of the callee's."""
        lines = [b"SIP/2.0 %d OK" % status]
        for name in (b"Via", b"From", b"To", b"Call-ID", b"CSeq"):
            lines += [name + b": " + value for value in request.raw(name.lower())]
        return b"\r\n".join(lines) + b"\r\nContent-Length: 0\r\n\r\n"

    def hear(self, data: bytes) -> Request | Response:
        """Read what came, and learn the callee's tag from it."""
        message = parse(data)
        if isinstance(message, Response) and message.status > 100:
            self.to_tag = message.to_tag
        return message
