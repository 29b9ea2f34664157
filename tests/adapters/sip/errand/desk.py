"""What stands in for the core and the far end of an errand: no socket, and time is a number."""

from __future__ import annotations

from collections.abc import Callable

from adapters.sip.call.outbox import Outbox
from adapters.sip.call.transaction import Timing
from adapters.sip.errand.errand import Errand
from adapters.sip.trunk import Here, Line, Trunk, open_line
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request, Response, build_response, parse

HERE = Here(("192.0.2.1", 5062), ("192.0.2.1", 5062), ("192.0.2.1", 5063))
SERVER = Hop("192.0.2.70", 5070)
CREDENTIALS = Credentials(b"alice", b"wonder")
CHALLENGE = (b"WWW-Authenticate", b'Digest realm="carrier", nonce="n1", algorithm=MD5')
STALE = (b"WWW-Authenticate", CHALLENGE[1].replace(b"n1", b"n2") + b", stale=true")

Headers = tuple[tuple[bytes, bytes], ...]


class Chance:
    """Chance that always comes out as `share`, and bits that count up."""

    def __init__(self, share: float = 0.0) -> None:
        self._share = share
        self._drawn = 0

    def random(self) -> float:
        return self._share

    def getrandbits(self, bits: int, /) -> int:
        self._drawn += 1
        return self._drawn


def trunk_line(
    hop: Hop = SERVER,
    *,
    credentials: Credentials | None = None,
    realm: bytes | None = None,
    domain: str | None = None,
    large_over_tcp: bool = False,
) -> Line:
    trunk = Trunk(
        "main",
        hop.host,
        hop.port,
        credentials,
        realm,
        domain,
        large_over_tcp=large_over_tcp,
        registers=True,
    )
    return open_line(trunk, hop, HERE)


class Desk:
    """Begins errands and wakes them, as the core does. `now` moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.outbox = Outbox()
        self.errands: list[Errand] = []

    def begin(self, errand: Errand) -> Request:
        self.errands.append(errand)
        errand.begin(self.now, self.outbox, Timing())
        (request,) = self.requests()
        return request

    def datagrams(self) -> list[tuple[bytes, Hop]]:
        taken = self.outbox.datagrams
        self.outbox.datagrams = []
        return taken

    def requests(self) -> list[Request]:
        messages = [parse(data) for data, _ in self.datagrams()]
        assert all(isinstance(message, Request) for message in messages)
        return [message for message in messages if isinstance(message, Request)]

    def respond(self, request: Request, status: int, *headers: tuple[bytes, bytes]) -> None:
        response = parse(build_response(request, status, to_tag=b"far", headers=headers))
        assert isinstance(response, Response)
        for errand in tuple(self.errands):
            if errand.call_id == request.call_id:
                errand.receive_response(response, self.now)
        self._forget_finished()

    def next_wake(self, *others: float) -> float:
        return min([errand.next_wake for errand in self.errands] + list(others))

    def wait(self, seconds: float, see: Callable[[], object] = lambda: None) -> None:
        """Let time pass for what is under way, with every timer at its own moment."""
        end = self.now + seconds
        while self.errands and (wake := self.next_wake()) <= end:
            self.now = max(self.now, wake)
            for errand in tuple(self.errands):
                errand.wake(self.now)
            self._forget_finished()
            see()
        self.now = end

    def _forget_finished(self) -> None:
        self.errands = [errand for errand in self.errands if not errand.is_finished]
