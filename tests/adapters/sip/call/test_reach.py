"""Where the other side of a call can send us, and who is shown credentials there."""

from __future__ import annotations

import pytest

from adapters.sip.call.dialog import Dialog, destination
from adapters.sip.call.reach import Kind, Reach, classify
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request
from engine.ports.telephony import Ended
from tests.adapters.sip.lineup import CALLEE_ADDRESS, CONTACT, SDP_TYPE, TRUNK, Lineup, answer_sdp

CREDENTIALS = Credentials(b"user", b"secret")
CHALLENGE = (b"WWW-Authenticate", b'Digest realm="carrier", nonce="n", qop="auth"')
PROXY_CHALLENGE = (b"Proxy-Authenticate", CHALLENGE[1])
THROUGH_TRUNK = (b"Record-Route", b"<sip:192.0.2.70:5070;lr>")
LOOPBACK, LINK_LOCAL = Hop("127.0.0.1", 5070), Hop("169.254.0.7", 5070)
OWN = Hop("192.0.2.1", 5062)


def proven(requests: list[Request]) -> list[tuple[bytes, bool]]:
    """The requests' methods, and whether each brings credentials."""
    shown = {b"authorization", b"proxy-authorization"}
    return [(request.method, not shown.isdisjoint(request.fields)) for request in requests]


def answer_challenged(lineup: Lineup, *headers: tuple[bytes, bytes]) -> list[Request]:
    """What a call sends that was challenged and then answered, and hung up at once."""
    call, invite = lineup.dial()
    lineup.respond(invite, 407, headers=(PROXY_CHALLENGE,))
    _, again = lineup.requests()
    assert proven([again]) == [(b"INVITE", True)]
    lineup.respond(again, 200, headers=(CONTACT, SDP_TYPE, *headers), body=answer_sdp())
    lineup.hang_up(call)
    return lineup.requests()


def test_credentials_are_not_shown_to_whoever_a_contact_names() -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    assert proven(answer_challenged(lineup)) == [(b"ACK", False), (b"BYE", False)]


def test_credentials_are_shown_on_a_route_through_the_trunk() -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    sent = answer_challenged(lineup, THROUGH_TRUNK)
    assert proven(sent) == [(b"ACK", True), (b"BYE", True)]


def test_credentials_are_not_shown_on_a_route_past_the_trunk() -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    elsewhere = (b"Record-Route", b"<sip:192.0.2.70:5070;lr>, <sip:203.0.113.9;lr>")
    sent = answer_challenged(lineup, elsewhere)
    assert proven(sent) == [(b"ACK", False), (b"BYE", False)]


def test_a_challenge_of_whoever_a_contact_names_ends_the_bye_unanswered() -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    call, _ = lineup.answer()
    lineup.hang_up(call)
    (bye,) = lineup.requests()
    lineup.respond(bye, 401, headers=(CHALLENGE,))
    assert (lineup.requests(), lineup.events()) == ([], [Ended("we_hung_up", 200, "OK")])


def test_a_challenge_from_elsewhere_leaves_the_trunks_own_in_force() -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    _, invite = lineup.dial()
    lineup.respond(invite, 407, headers=(PROXY_CHALLENGE,))
    _, again = lineup.requests()
    session = (b"Session-Expires", b"1800;refresher=uac")
    lineup.respond(again, 200, headers=(CONTACT, SDP_TYPE, session), body=answer_sdp())
    lineup.requests()
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    assert proven([reinvite]) == [(b"INVITE", False)]
    chosen = (b"Proxy-Authenticate", b'Digest realm="carrier", nonce="chosen", stale=true')
    lineup.respond(reinvite, 407, headers=(chosen,))
    assert proven(lineup.requests()) == [(b"ACK", False)]


@pytest.mark.parametrize("method", [b"PRACK", b"UPDATE"])
def test_no_request_answers_a_challenge_from_elsewhere(method: bytes) -> None:
    lineup = Lineup(credentials=CREDENTIALS)
    if method == b"PRACK":
        _, invite = lineup.dial()
        reliable = ((b"Require", b"100rel"), (b"RSeq", b"1"), CONTACT)
        lineup.respond(invite, 183, headers=reliable)
    else:
        lineup.answer(
            headers=((b"Session-Expires", b"1800;refresher=uac"), (b"Allow", b"UPDATE, BYE"))
        )
        lineup.wait(900)
    (asked,) = lineup.requests()
    assert asked.method == method
    lineup.respond(asked, 401, headers=(CHALLENGE,))
    assert [request.method for request in lineup.requests()] in ([], [b"CANCEL"])


def test_what_was_to_be_encrypted_is_not_proven_in_the_clear() -> None:
    server = Hop("192.0.2.70", 5061, "tls", "carrier.example")
    reach = Reach(frozenset({"192.0.2.70", "192.0.2.71"}))
    assert reach.may_know(Hop("192.0.2.71", 5061, "tls", "carrier.example"), server)
    assert not reach.may_know(Hop("192.0.2.70", 5060), server)
    assert not reach.may_know(Hop("192.0.2.72", 5061, "tls", "carrier.example"), server)


@pytest.mark.parametrize(
    ("host", "classified"),
    [
        ("192.0.2.9", ("192.0.2.9", "ordinary")),
        ("10.0.0.1", ("10.0.0.1", "ordinary")),
        ("2001:db8::1", ("2001:db8::1", "ordinary")),
        ("0.0.0.0", ("0.0.0.0", "unspecified")),
        ("0.1.2.3", ("0.1.2.3", "unspecified")),
        ("::", ("::", "unspecified")),
        ("127.9.9.9", ("127.9.9.9", "loopback")),
        ("::1", ("::1", "loopback")),
        ("::ffff:127.0.0.1", ("127.0.0.1", "loopback")),
        ("64:ff9b::7f00:1", ("127.0.0.1", "loopback")),
        ("169.254.169.254", ("169.254.169.254", "link_local")),
        ("fe80::1", ("fe80::1", "link_local")),
        ("224.0.1.75", ("224.0.1.75", "multicast")),
        ("ff02::1", ("ff02::1", "multicast")),
        ("255.255.255.255", ("255.255.255.255", "broadcast")),
    ],
)
def test_an_address_is_of_one_kind(host: str, classified: tuple[str, Kind]) -> None:
    assert classify(host) == classified


@pytest.mark.parametrize(
    ("contact", "server", "goes_to"),
    [
        (b"sip:x@192.0.2.9:5090", TRUNK, Hop("192.0.2.9", 5090)),
        (b"sip:x@127.0.0.1:9000", TRUNK, TRUNK),
        (b"sip:x@192.0.2.9;maddr=127.0.0.1", TRUNK, TRUNK),
        (b"sip:x@[::ffff:127.0.0.1]:9000", TRUNK, TRUNK),
        (b"sip:x@169.254.169.254:80;transport=tcp", TRUNK, TRUNK),
        (b"sip:x@224.0.1.75", TRUNK, TRUNK),
        (b"sip:x@255.255.255.255", TRUNK, TRUNK),
        (b"sip:x@0.0.0.0", TRUNK, TRUNK),
        (b"sip:x@192.0.2.1:5062", TRUNK, TRUNK),
        (b"sip:x@[::ffff:192.0.2.1]:5062", TRUNK, TRUNK),
        (b"sip:x@192.0.2.1:5063", TRUNK, Hop("192.0.2.1", 5063)),
        (b"sip:x@127.0.0.9:9000", LOOPBACK, Hop("127.0.0.9", 9000)),
        (b"sip:x@169.254.169.254", LOOPBACK, LOOPBACK),
        (b"sip:x@169.254.0.8", LINK_LOCAL, Hop("169.254.0.8", 5060)),
        (b"sip:x@127.0.0.1", LINK_LOCAL, LINK_LOCAL),
    ],
)
def test_a_contact_leads_to_no_address_that_the_server_could_not_be_at(
    contact: bytes, server: Hop, goes_to: Hop
) -> None:
    reach = Reach(frozenset({server.host}), lambda hop: hop == OWN)
    by_contact = Dialog(b"t", b"<sip:x>;tag=t", contact, (), 1)
    by_route = Dialog(b"t", b"<sip:x>;tag=t", b"sip:x@192.0.2.9", (b"<%b;lr>" % contact,), 1)
    assert destination(by_contact, server, reach) == goes_to
    assert destination(by_route, server, reach) == goes_to


def test_a_call_whose_contact_is_this_machine_is_acknowledged_and_ended_at_the_trunk() -> None:
    lineup = Lineup(is_own=lambda hop: hop == OWN)
    for contact in (b"<sip:x@127.0.0.1:22>", b"<sip:x@192.0.2.1:5062>"):
        call, invite = lineup.dial()
        headers = ((b"Contact", contact), SDP_TYPE)
        lineup.respond(invite, 200, headers=headers, body=answer_sdp())
        lineup.hang_up(call)
        assert [hop for _, hop in lineup.datagrams()] == [TRUNK, TRUNK]


def test_the_parts_of_a_token_say_nothing_of_each_other() -> None:
    lineup = Lineup()
    call_id, tag, branches = b"a" * 32, b"b" * 32, b"c" * 32
    call = lineup.prepare_with(call_id + tag + branches)
    lineup.core.dial(call, lineup.now)
    (invite,) = lineup.requests()
    assert (invite.call_id, invite.from_tag) == (call_id, tag)
    assert invite.branch == b"z9hG4bK" + branches + b".1"


def test_a_bye_that_cannot_be_delivered_ends_its_call_and_no_other() -> None:
    lineup = Lineup()
    gone, _ = lineup.answer()
    other, _ = lineup.answer()
    lineup.hang_up(gone)
    lineup.core.fail_transport(Hop(CALLEE_ADDRESS.host, 5100), lineup.now)
    lineup.core.fail_transport(TRUNK, lineup.now)
    assert lineup.core.take_events() == []
    lineup.core.fail_transport(CALLEE_ADDRESS, lineup.now)
    assert lineup.core.take_events() == [(gone, Ended("we_hung_up", 200, "OK"))]
    assert other.state == "answered"


def test_a_refresh_that_cannot_be_delivered_ends_its_call_as_one_that_times_out() -> None:
    lineup = Lineup()
    lineup.answer(headers=((b"Session-Expires", b"1800;refresher=uac"),))
    lineup.wait(900)
    lineup.requests()
    lineup.core.fail_transport(CALLEE_ADDRESS, lineup.now)
    assert lineup.methods() == [b"BYE"]
    lineup.core.fail_transport(CALLEE_ADDRESS, lineup.now)
    assert lineup.events() == [Ended("lost", 200, "OK")]


def test_a_prack_that_cannot_be_delivered_cancels_the_call_and_a_cancel_goes_on() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    lineup.respond(invite, 183, headers=((b"Require", b"100rel"), (b"RSeq", b"1"), CONTACT))
    assert lineup.methods() == [b"PRACK"]
    lineup.core.fail_transport(CALLEE_ADDRESS, lineup.now)
    assert lineup.methods() == [b"CANCEL"]
    lineup.core.fail_transport(TRUNK, lineup.now)
    lineup.wait(0.5)
    assert lineup.methods() == [b"CANCEL"]


def test_an_answered_call_hears_nothing_of_a_transport_that_it_asks_nothing_of() -> None:
    lineup = Lineup()
    call, _ = lineup.answer()
    for hop in (TRUNK, CALLEE_ADDRESS):
        lineup.core.fail_transport(hop, lineup.now)
    assert (call.state, call.silent_hosts, lineup.datagrams()) == ("answered", (), [])
