"""Requests that are too large for a datagram, and the lines that make them so."""

from __future__ import annotations

import pytest

from adapters.sip.call.outbox import Outbox
from adapters.sip.call.reach import Reach
from adapters.sip.call.requests import DATAGRAM_MAX, Parties
from adapters.sip.call.transaction import Timing
from adapters.sip.call.uac import OutboundCall
from adapters.sip.call.uas import LocalMedia
from adapters.sip.trunk import Here, Trunk, open_line
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request, Response, build_response, parse
from engine.ports.telephony import Ended
from tests.adapters.sip.lineup import HERE, TRUNK

LONG = (b"X-Long: " + b"x" * DATAGRAM_MAX, b"Identity: abc")
OVER_TCP = Hop(TRUNK.host, TRUNK.port, "tcp")


class Call:
    """One call without a core, whose INVITE is out."""

    def __init__(
        self, lines: tuple[bytes, ...] = LONG, *, large_over_tcp: bool = True, hop: Hop = TRUNK
    ) -> None:
        trunk = Trunk(
            "main",
            hop.host,
            hop.port,
            Credentials(b"user", b"secret"),
            large_over_tcp=large_over_tcp,
        )
        parties = Parties(
            uri=b"sip:+14155550199@192.0.2.70:5070",
            caller=b"<sip:+14155550100@192.0.2.1>;tag=ours",
            callee=b"<sip:+14155550199@192.0.2.70:5070>",
            local_tag=b"ours",
            call_id=b"call",
            token=b"0001",
            lines=lines,
        )
        self.outbox = Outbox()
        self.call = OutboundCall(
            open_line(trunk, hop, Here(HERE, HERE, HERE)),
            parties,
            LocalMedia("192.0.2.1", 20000, 7),
            Timing(),
            self.outbox,
            Reach(),
        )
        self.call.dial(0.0)

    def sent(self) -> list[tuple[Request, Hop]]:
        taken, self.outbox.datagrams = self.outbox.datagrams, []
        messages = [(parse(data), hop) for data, hop in taken]
        return [(message, hop) for message, hop in messages if isinstance(message, Request)]

    def respond(self, request: Request, status: int, *headers: tuple[bytes, bytes]) -> None:
        response = parse(build_response(request, status, to_tag=b"callee", headers=headers))
        assert isinstance(response, Response)
        self.call.receive_response(response, 1.0)

    def endings(self) -> list[object]:
        return [event for _, event in self.outbox.events]


def test_every_invite_of_a_call_has_its_lines_and_no_other_request_does() -> None:
    lineup = Call((b"P-Asserted-Identity: <tel:+14155550100>", b"Identity: abc"))
    ((invite, _),) = lineup.sent()
    lineup.respond(invite, 401, (b"WWW-Authenticate", b'Digest realm="carrier", nonce="n1"'))
    (ack, _), (again, _) = lineup.sent()
    for message, is_there in ((invite, True), (ack, False), (again, True)):
        assert (b"identity" in message.fields) is is_there
        assert (b"p-asserted-identity" in message.fields) is is_there
    assert again.fields[b"identity"] == [b"abc"]


def test_a_large_invite_goes_over_tcp_where_the_trunk_allows_it() -> None:
    lineup = Call()
    ((invite, hop),) = lineup.sent()
    assert (hop, invite.top_via.transport) == (OVER_TCP, b"TCP")


@pytest.mark.parametrize("large_over_tcp", [True, False])
def test_a_small_invite_and_one_of_another_trunk_stay_datagrams(large_over_tcp: bool) -> None:
    lineup = Call(() if large_over_tcp else LONG, large_over_tcp=large_over_tcp)
    ((invite, hop),) = lineup.sent()
    assert (hop, invite.top_via.transport) == (TRUNK, b"UDP")


def test_a_large_invite_whose_connection_fails_is_sent_as_a_datagram_once() -> None:
    lineup = Call()
    ((invite, _),) = lineup.sent()
    lineup.call.fail_transport(OVER_TCP, 0.1)
    ((again, hop),) = lineup.sent()
    assert (hop, again.top_via.transport) == (TRUNK, b"UDP")
    assert (again.branch, again.cseq, again.body) == (invite.branch, invite.cseq, invite.body)
    assert again.fields | {b"via": []} == invite.fields | {b"via": []}
    # From here on it is repeated, as datagrams are.
    assert lineup.call.next_wake == pytest.approx(0.6)
    lineup.call.fail_transport(OVER_TCP, 0.2)
    assert lineup.endings() == []
    lineup.call.fail_transport(TRUNK, 0.3)
    assert lineup.sent() == []
    assert lineup.endings() == [Ended("unreachable")]
    assert lineup.call.is_finished


def test_an_invite_that_got_a_response_over_tcp_is_not_sent_again() -> None:
    lineup = Call()
    ((invite, _),) = lineup.sent()
    lineup.respond(invite, 100)
    lineup.call.fail_transport(OVER_TCP, 0.1)
    assert (lineup.sent(), lineup.endings()) == ([], [])


def test_an_invite_that_is_not_wanted_any_more_is_not_sent_again() -> None:
    lineup = Call()
    lineup.sent()
    lineup.call.hang_up(0.1)
    lineup.call.fail_transport(OVER_TCP, 0.2)
    assert (lineup.sent(), lineup.endings()) == ([], [Ended("unreachable")])


def test_an_invite_over_tcp_for_another_reason_stays_there() -> None:
    lineup = Call(hop=OVER_TCP)
    lineup.sent()
    lineup.call.fail_transport(OVER_TCP, 0.1)
    assert (lineup.sent(), lineup.endings()) == ([], [Ended("unreachable")])


def test_the_cancel_of_a_large_invite_takes_its_way() -> None:
    lineup = Call()
    ((invite, _),) = lineup.sent()
    lineup.respond(invite, 180)
    lineup.call.hang_up(1.0)
    ((cancel, hop),) = lineup.sent()
    assert (cancel.method, cancel.branch, hop) == (b"CANCEL", invite.branch, OVER_TCP)
