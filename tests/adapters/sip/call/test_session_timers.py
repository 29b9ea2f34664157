"""Session timers (RFC 4028): what is offered, who refreshes, and what becomes of a session that is not."""

from __future__ import annotations

import pytest

from adapters.media.types import Remote
from adapters.sip.call.outbox import MediaAgreed
from adapters.sip.call.refresh import GLARE_S_MIN
from adapters.sip.call.session_timer import INTERVAL_S_MAX, RAISES_MAX
from adapters.sip.call.uac import NAP_S_MAX, OutboundCall
from adapters.sip.wire.digest import Credentials
from adapters.sip.wire.message import Request
from engine.ports.telephony import Ended
from tests.adapters.sip.lineup import (
    CALLEE,
    CALLEE_ADDRESS,
    CONTACT,
    SDP_TYPE,
    TRUNK,
    Headers,
    Lineup,
    answer_sdp,
)

CHALLENGE = (b"WWW-Authenticate", b'Digest realm="carrier", nonce="n1", qop="auth"')
ALLOWS_UPDATE = (b"Allow", b"INVITE, ACK, BYE, UPDATE")
SUPPORTED = (b"Supported", b"timer")
TOO_SMALL = Ended("rejected", 422, "Session Interval Too Small")
LOST = Ended("lost", 200, "OK")


def expires(value: bytes) -> tuple[bytes, bytes]:
    return (b"Session-Expires", value)


def agreed(
    value: bytes = b"1800;refresher=uac",
    *headers: tuple[bytes, bytes],
    session_expires_s: int = 1800,
) -> tuple[Lineup, OutboundCall, Request]:
    """A call that is up, with a session timer."""
    lineup = Lineup(session_expires_s=session_expires_s)
    call, invite = lineup.answer(headers=(expires(value), *headers))
    return lineup, call, invite


def says(request: Request, *names: bytes) -> list[bytes | None]:
    return [request.first(name) for name in names]


def finish(lineup: Lineup) -> None:
    """Whatever was under way, the call is forgotten."""
    lineup.wait(65)
    lineup.datagrams()
    lineup.events()
    assert (lineup.core.statistics().calls_kept, lineup.core.next_wake()) == (0, float("inf"))


# What is offered.


def test_an_invite_offers_a_timer_and_names_no_refresher() -> None:
    _, invite = Lineup(session_expires_s=900).dial()
    assert says(invite, b"supported", b"session-expires", b"min-se") == [
        b"100rel, timer",
        b"900",
        b"90",
    ]


def test_an_interval_below_the_least_is_not_offered() -> None:
    _, invite = Lineup(session_expires_s=30).dial()
    assert says(invite, b"session-expires", b"min-se") == [b"90", b"90"]


def test_a_trunk_without_timers_offers_none() -> None:
    _, invite = Lineup(session_expires_s=0).dial()
    assert says(invite, b"supported", b"session-expires", b"min-se") == [b"100rel", None, None]


@pytest.mark.parametrize("is_provisional_first", [True, False])
def test_a_422_gets_the_invite_again_with_the_interval_that_it_wants(
    is_provisional_first: bool,
) -> None:
    lineup = Lineup(session_expires_s=1800)
    _, invite = lineup.dial()
    if is_provisional_first:
        lineup.respond(invite, 100, tag=None)
    lineup.respond(invite, 422, headers=((b"Min-SE", b"3600"),))
    ack, again = lineup.requests()
    assert (ack.method, ack.branch) == (b"ACK", invite.branch)
    assert (again.method, again.cseq.number, again.body) == (b"INVITE", 2, invite.body)
    assert (again.call_id, again.from_tag) == (invite.call_id, invite.from_tag)
    assert says(again, b"session-expires", b"min-se") == [b"3600", b"3600"]
    assert lineup.events() == []


def test_a_422_below_what_was_asked_for_raises_the_least_alone() -> None:
    lineup = Lineup(session_expires_s=1800)
    _, invite = lineup.dial()
    lineup.respond(invite, 422, headers=((b"Min-SE", b"600"),))
    _, again = lineup.requests()
    assert says(again, b"session-expires", b"min-se") == [b"1800", b"600"]


def test_a_422_is_met_twice_and_then_it_is_a_refusal() -> None:
    lineup = Lineup()
    _, invite = lineup.dial()
    for times in range(RAISES_MAX):
        lineup.respond(invite, 422, headers=((b"Min-SE", b"%d" % (2000 + times)),))
        _, invite = lineup.requests()
    lineup.respond(invite, 422, headers=((b"Min-SE", b"9000"),))
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [TOO_SMALL]


@pytest.mark.parametrize(
    ("wanted_s", "headers"),
    [
        (1800, ()),
        (1800, ((b"Min-SE", b"90"),)),
        (1800, ((b"Min-SE", b"soon"),)),
        (1800, ((b"Min-SE", b"%d" % (INTERVAL_S_MAX + 1)),)),
        (0, ((b"Min-SE", b"3600"),)),
    ],
)
def test_a_422_that_asks_for_nothing_that_can_be_given_is_a_refusal(
    wanted_s: int, headers: Headers
) -> None:
    lineup = Lineup(session_expires_s=wanted_s)
    _, invite = lineup.dial()
    lineup.respond(invite, 422, headers=headers)
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [TOO_SMALL]


def test_a_422_after_the_hang_up_is_not_met() -> None:
    lineup = Lineup()
    call, invite = lineup.dial()
    lineup.hang_up(call)
    lineup.respond(invite, 422, headers=((b"Min-SE", b"3600"),))
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ended("we_hung_up", 422, "Session Interval Too Small")]


def test_a_challenge_and_a_422_are_both_met() -> None:
    lineup = Lineup(credentials=Credentials(b"user", b"secret"))
    _, invite = lineup.dial()
    lineup.respond(invite, 401, headers=(CHALLENGE,))
    _, second = lineup.requests()
    lineup.respond(second, 422, headers=((b"Min-SE", b"3600"),))
    _, third = lineup.requests()
    assert (third.cseq.number, third.first(b"session-expires")) == (3, b"3600")
    assert b"nc=00000002" in third.fields[b"authorization"][0]


# We refresh.


@pytest.mark.parametrize("value", [b"1800;refresher=uac", b"1800", b"1800;refresher=whoever"])
def test_the_refresher_refreshes_by_update_at_half_the_interval(value: bytes) -> None:
    lineup, _, invite = agreed(value, ALLOWS_UPDATE)
    lineup.wait(899.9)
    assert lineup.methods() == []
    lineup.wait(0.1)
    (update,) = lineup.requests()
    assert (update.method, update.uri, update.body) == (b"UPDATE", CALLEE.strip(b"<>"), b"")
    assert (update.cseq.number, update.to_tag) == (2, b"callee")
    assert says(
        update, b"contact", b"supported", b"session-expires", b"min-se", b"content-type"
    ) == [invite.first(b"contact"), b"100rel, timer", b"1800;refresher=uac", b"90", None]


def test_a_refresh_that_is_answered_starts_the_interval_anew() -> None:
    lineup, _, _ = agreed(b"1800;refresher=uac", ALLOWS_UPDATE)
    for _ in range(3):
        lineup.wait(900)
        (update,) = lineup.requests()
        lineup.respond(update, 200, headers=(expires(b"1800;refresher=uac"),))
    lineup.wait(899)
    assert (lineup.methods(), lineup.events()) == ([], [])


def test_without_update_a_reinvite_refreshes_and_changes_nothing() -> None:
    lineup, _, invite = agreed()
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    assert (reinvite.method, reinvite.uri) == (b"INVITE", CALLEE.strip(b"<>"))
    assert (reinvite.cseq.number, reinvite.to_tag) == (2, b"callee")
    assert (reinvite.body, reinvite.first(b"content-type")) == (invite.body, b"application/sdp")
    assert says(reinvite, b"contact", b"session-expires") == [
        invite.first(b"contact"),
        b"1800;refresher=uac",
    ]
    new = b"<sip:moved@192.0.2.98:5098>"
    for _ in range(2):
        lineup.respond(
            reinvite,
            200,
            headers=((b"Contact", new), SDP_TYPE, expires(b"1800;refresher=uac")),
            body=answer_sdp(),
        )
    ack, ack_again = lineup.datagrams()
    assert ack == ack_again
    assert ack[0].startswith(b"ACK sip:moved@192.0.2.98:5098 SIP/2.0\r\n")
    assert b"\r\nCSeq: 2 ACK\r\n" in ack[0]
    assert lineup.events() == []
    lineup.wait(899)
    assert (lineup.methods(), lineup.events()) == ([], [])


def test_an_answer_to_our_refresh_may_move_the_media() -> None:
    lineup, _, _ = agreed()
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    lineup.respond(reinvite, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp(port=7000))
    assert lineup.events() == [MediaAgreed(Remote("192.0.2.99", 7000, 0), is_first=False)]


@pytest.mark.parametrize("body", [b"", b"no", answer_sdp(codecs="9")])
def test_an_answer_to_our_refresh_that_cannot_be_used_leaves_the_media_where_it_was(
    body: bytes,
) -> None:
    lineup, _, _ = agreed()
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    lineup.respond(reinvite, 200, headers=(CONTACT, SDP_TYPE), body=body)
    assert (lineup.methods(), lineup.events()) == ([b"ACK"], [])


def test_an_allow_that_cannot_be_read_allows_no_update() -> None:
    lineup, _, _ = agreed(b"1800;refresher=uac", (b"Allow", b'INVITE, "UPDATE'))
    lineup.wait(900)
    assert lineup.methods() == [b"INVITE"]


def test_a_reinvite_repeats_what_we_said_last_even_where_that_was_an_answer() -> None:
    lineup, _, invite = agreed()
    lineup.ask(invite, b"INVITE", headers=(SDP_TYPE, SUPPORTED), body=answer_sdp(port=7000))
    (response,) = lineup.responses()
    lineup.ask(invite, b"ACK", branch=b"z9hG4bKack")
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    assert b"o=- 7 2 IN IP4" in response.body
    assert reinvite.body == response.body


def test_an_update_that_the_callee_does_not_know_after_all_becomes_a_reinvite() -> None:
    lineup, _, _ = agreed(b"1800;refresher=uac", ALLOWS_UPDATE)
    lineup.wait(900)
    (update,) = lineup.requests()
    lineup.respond(update, 405)
    (reinvite,) = lineup.requests()
    assert (reinvite.method, reinvite.cseq.number) == (b"INVITE", 3)
    lineup.respond(reinvite, 501)
    assert lineup.methods() == [b"ACK"]


def test_a_challenged_refresh_is_sent_again_with_credentials() -> None:
    lineup = Lineup(
        credentials=Credentials(b"user", b"secret"),
        trunk_hosts=(TRUNK.host, CALLEE_ADDRESS.host),
    )
    lineup.answer(headers=(expires(b"1800;refresher=uac"),))
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    lineup.respond(reinvite, 401, headers=(CHALLENGE,))
    ack, again = lineup.requests()
    assert (ack.branch, ack.uri, ack.to_tag) == (reinvite.branch, reinvite.uri, b"callee")
    assert (again.method, again.cseq.number, again.body) == (b"INVITE", 3, reinvite.body)
    assert again.fields[b"session-expires"] == reinvite.fields[b"session-expires"]
    lineup.respond(again, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    (ack,) = lineup.requests()
    assert ack.fields[b"authorization"] == again.fields[b"authorization"]


def test_a_refresh_whose_interval_is_too_small_is_sent_again_with_a_longer_one() -> None:
    lineup, _, _ = agreed(b"1800;refresher=uac", ALLOWS_UPDATE)
    lineup.wait(900)
    (update,) = lineup.requests()
    lineup.respond(update, 422, headers=((b"Min-SE", b"2400"),))
    (again,) = lineup.requests()
    assert says(again, b"session-expires", b"min-se") == [b"2400;refresher=uac", b"2400"]


def test_after_a_glare_the_refresh_is_sent_again_a_little_later() -> None:
    lineup, _, _ = agreed()
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    lineup.respond(reinvite, 491)
    assert lineup.methods() == [b"ACK"]
    lineup.wait(GLARE_S_MIN - 0.01)
    assert lineup.methods() == []
    lineup.wait(4.0 - GLARE_S_MIN + 0.01)
    again = lineup.requests()[0]
    assert (again.method, again.cseq.number) == (b"INVITE", 3)


def test_not_every_call_waits_equally_long_after_a_glare() -> None:
    waits = set()
    for number in range(8):
        lineup = Lineup()
        for _ in range(number):
            lineup.prepare()
        lineup.answer(headers=(expires(b"1800;refresher=uac"),))
        lineup.wait(900)
        (reinvite,) = lineup.requests()
        lineup.respond(reinvite, 491)
        lineup.requests()
        began = lineup.now
        while not lineup.methods():
            lineup.wait(0.01)
        waits.add(round(lineup.now - began, 2))
    assert len(waits) > 4
    assert min(waits) >= GLARE_S_MIN
    assert max(waits) <= 4.0


def test_a_refresh_that_is_refused_for_now_is_sent_again_when_the_callee_says() -> None:
    lineup, _, _ = agreed(b"1800;refresher=uac", ALLOWS_UPDATE)
    lineup.wait(900)
    (update,) = lineup.requests()
    lineup.respond(update, 500, headers=((b"Retry-After", b"7"),))
    lineup.wait(6.9)
    assert lineup.methods() == []
    lineup.wait(0.1)
    assert lineup.methods() == [b"UPDATE"]


def test_a_callee_that_says_at_once_is_not_asked_more_than_once_a_second() -> None:
    lineup, _, _ = agreed(b"1800;refresher=uac", ALLOWS_UPDATE)
    lineup.wait(900)
    sent = 0
    for _ in range(100):
        for update in lineup.requests():
            sent += 1
            lineup.respond(update, 500, headers=((b"Retry-After", b"0"),))
        lineup.wait(0.1)
    assert sent == 10


def test_a_refused_refresh_leaves_the_call_up_until_its_session_expires() -> None:
    lineup, _, _ = agreed(b"1800;refresher=uac", ALLOWS_UPDATE)
    lineup.wait(900)
    (update,) = lineup.requests()
    lineup.respond(update, 488)
    lineup.wait(867.9)
    assert (lineup.methods(), lineup.events()) == ([], [])
    lineup.wait(0.1)
    (bye,) = lineup.requests()
    assert (bye.method, bye.first(b"reason")) == (b"BYE", b"SIP;cause=408")
    lineup.respond(bye, 200)
    assert lineup.events() == [LOST]
    finish(lineup)


@pytest.mark.parametrize(("status", "reason"), [(481, None), (408, b"SIP;cause=408")])
@pytest.mark.parametrize("allow", [ALLOWS_UPDATE, (b"Allow", b"INVITE, ACK, BYE")])
def test_a_callee_that_knows_the_dialog_no_more_has_ended_the_call(
    allow: tuple[bytes, bytes], status: int, reason: bytes | None
) -> None:
    lineup, _, _ = agreed(b"1800;refresher=uac", allow)
    lineup.wait(900)
    (refresh,) = lineup.requests()
    lineup.respond(refresh, status)
    *_, bye = lineup.requests()
    assert (bye.method, bye.first(b"reason")) == (b"BYE", reason)
    lineup.respond(bye, 481)
    assert lineup.events() == [LOST]
    finish(lineup)


@pytest.mark.parametrize("has_provisional", [True, False])
def test_a_refresh_that_nobody_answers_ends_the_call_after_64_t1(has_provisional: bool) -> None:
    lineup, _, _ = agreed()
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    if has_provisional:
        lineup.respond(reinvite, 100, tag=None)
    lineup.wait(31.9)
    assert b"BYE" not in lineup.methods()
    lineup.wait(0.1)
    (bye,) = lineup.requests()
    assert (bye.method, bye.first(b"reason")) == (b"BYE", b"SIP;cause=408")
    lineup.wait(32)
    assert lineup.events() == [LOST]
    finish(lineup)


def test_a_2xx_without_terms_ends_the_timer() -> None:
    lineup, _, _ = agreed(b"1800;refresher=uac", ALLOWS_UPDATE)
    lineup.wait(900)
    (update,) = lineup.requests()
    lineup.respond(update, 200)
    lineup.wait(7200)
    assert (lineup.methods(), lineup.events()) == ([], [])


@pytest.mark.parametrize(
    ("wanted_s", "value"), [(1800, b""), (1800, b"x"), (1800, b"0"), (0, b"1800;refresher=uac")]
)
def test_a_callee_without_a_timer_is_left_in_peace(wanted_s: int, value: bytes) -> None:
    lineup, _, _ = agreed(value, session_expires_s=wanted_s)
    lineup.wait(7200)
    assert (lineup.methods(), lineup.events()) == ([], [])
    assert lineup.core.next_wake() == float("inf")


def test_a_trunk_that_grants_next_to_nothing_does_not_keep_us_busy() -> None:
    lineup, _, _ = agreed(b"1;refresher=uac", ALLOWS_UPDATE)
    sent = 0
    for _ in range(100):
        lineup.wait(0.1)
        for update in lineup.requests():
            sent += 1
            lineup.respond(update, 200, headers=(expires(b"1;refresher=uac"),))
    assert (sent, lineup.events()) == (10, [])


def test_a_call_that_is_hung_up_during_its_refresh_ends_and_acknowledges_it_still() -> None:
    lineup, call, _ = agreed()
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    lineup.hang_up(call)
    (bye,) = lineup.requests()
    lineup.respond(bye, 200)
    lineup.respond(reinvite, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp(port=7000))
    assert lineup.methods() == [b"ACK"]
    assert lineup.events() == [Ended("we_hung_up", 200, "OK")]
    finish(lineup)


def test_a_refresh_that_is_refused_behind_the_hang_up_is_not_sent_again() -> None:
    lineup, call, _ = agreed()
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    lineup.hang_up(call)
    lineup.requests()
    lineup.respond(reinvite, 422, headers=((b"Min-SE", b"3600"),))
    assert lineup.methods() == [b"ACK"]


def test_a_long_call_that_ended_is_not_kept_by_its_timer() -> None:
    lineup, call, _ = agreed()
    lineup.wait(40)
    lineup.hang_up(call)
    (bye,) = lineup.requests()
    lineup.respond(bye, 200)
    lineup.wait(NAP_S_MAX)
    assert lineup.core.next_wake() == float("inf")


# The callee refreshes.


def test_a_session_that_the_callee_does_not_refresh_ends_shortly_before_its_interval() -> None:
    lineup, _, _ = agreed(b"1800;refresher=uas")
    lineup.wait(1767.9)
    assert lineup.methods() == []
    lineup.wait(0.1)
    (bye,) = lineup.requests()
    assert (bye.method, bye.first(b"reason")) == (b"BYE", b"SIP;cause=408")
    lineup.respond(bye, 200)
    assert lineup.events() == [LOST]
    finish(lineup)


def test_a_short_session_ends_a_third_before_its_interval() -> None:
    lineup, _, _ = agreed(b"90;refresher=uas")
    lineup.wait(59.9)
    assert lineup.methods() == []
    lineup.wait(0.1)
    assert lineup.methods() == [b"BYE"]


@pytest.mark.parametrize("method", [b"UPDATE", b"INVITE"])
def test_a_refresh_of_the_callee_keeps_the_session_up_and_the_refresher(method: bytes) -> None:
    lineup, _, invite = agreed(b"1800;refresher=uas")
    sdp: Headers = (SDP_TYPE,) if method == b"INVITE" else ()
    for number in range(1, 4):
        lineup.wait(900)
        lineup.ask(
            invite,
            method,
            cseq=number,
            branch=b"z9hG4bK%d" % number,
            headers=(SUPPORTED, expires(b"1200"), *sdp),
            body=answer_sdp() if sdp else b"",
        )
        if sdp:
            lineup.ask(invite, b"ACK", cseq=number, branch=b"z9hG4bKack")
        (response,) = lineup.responses()
        assert response.status == 200
        assert [response.first(name) for name in (b"require", b"session-expires")] == [
            b"timer",
            b"1200;refresher=uac",
        ]
    lineup.wait(1167.9)
    assert (lineup.methods(), lineup.events()) == ([], [])
    lineup.wait(0.1)
    assert lineup.methods() == [b"BYE"]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ((SUPPORTED, expires(b"600;refresher=uas")), [b"timer", b"600;refresher=uas"]),
        ((SUPPORTED, expires(b"600;refresher=uac")), [b"timer", b"600;refresher=uac"]),
        ((SUPPORTED, expires(b"600")), [b"timer", b"600;refresher=uac"]),
        ((SUPPORTED,), [b"timer", b"1800;refresher=uac"]),
        ((expires(b"600;refresher=uac"),), [None, b"600;refresher=uas"]),
        ((), [None, b"1800;refresher=uas"]),
        ((SUPPORTED, expires(b"0")), [b"timer", b"1800;refresher=uac"]),
    ],
)
def test_the_refresher_is_who_is_named_or_was_it_before_and_knows_timers(
    headers: Headers, told: list[bytes | None]
) -> None:
    lineup, _, invite = agreed(b"1800;refresher=uas")
    lineup.ask(invite, b"UPDATE", headers=headers)
    (response,) = lineup.responses()
    assert [response.first(name) for name in (b"require", b"session-expires")] == told


def test_whoever_takes_the_refreshing_over_refreshes() -> None:
    lineup, _, invite = agreed(b"1800;refresher=uas")
    lineup.ask(invite, b"UPDATE", headers=(SUPPORTED, expires(b"600;refresher=uas")))
    lineup.responses()
    lineup.wait(300)
    (reinvite,) = lineup.requests()
    assert says(reinvite, b"session-expires") == [b"600;refresher=uac"]


def test_a_timer_that_the_callee_starts_later_counts() -> None:
    lineup = Lineup()
    _, invite = lineup.answer()
    lineup.ask(invite, b"UPDATE", headers=(SUPPORTED, expires(b"600;refresher=uac")))
    (response,) = lineup.responses()
    assert response.first(b"session-expires") == b"600;refresher=uac"
    lineup.wait(568)
    assert lineup.methods() == [b"BYE"]


def test_a_callee_that_refreshes_too_often_is_told_the_least() -> None:
    lineup, _, invite = agreed(b"1800;refresher=uas")
    lineup.ask(invite, b"UPDATE", headers=(SUPPORTED, expires(b"89;refresher=uac")))
    (response,) = lineup.responses()
    assert (response.status, response.first(b"min-se")) == (422, b"90")
    lineup.wait(1768)
    assert lineup.methods() == [b"BYE"]


def test_a_callee_that_knows_no_timers_cannot_be_told_that_its_interval_is_too_small() -> None:
    lineup, _, invite = agreed(b"1800;refresher=uas")
    lineup.ask(invite, b"UPDATE", headers=(expires(b"60"),))
    (response,) = lineup.responses()
    assert (response.status, response.first(b"session-expires")) == (200, b"60;refresher=uas")


def test_terms_that_cannot_be_read_are_400_and_change_nothing() -> None:
    lineup, _, invite = agreed(b"1800;refresher=uas")
    lineup.ask(invite, b"UPDATE", headers=(expires(b"often"),))
    assert [response.status for response in lineup.responses()] == [400]
    lineup.ask(invite, b"UPDATE", headers=(SUPPORTED,))
    assert [response.status for response in lineup.responses()] == [200]


def test_without_timers_of_ours_the_terms_of_a_callee_mean_nothing() -> None:
    lineup = Lineup(session_expires_s=0)
    _, invite = lineup.answer()
    lineup.ask(invite, b"UPDATE", headers=(SUPPORTED, expires(b"20;refresher=uac")))
    (response,) = lineup.responses()
    assert (response.status, response.first(b"session-expires")) == (200, None)
    lineup.wait(7200)
    assert (lineup.methods(), lineup.events()) == ([], [])


@pytest.mark.parametrize(("session_expires_s", "status"), [(1800, 200), (0, 420)])
def test_a_callee_may_require_timers_where_we_have_them(
    session_expires_s: int, status: int
) -> None:
    lineup = Lineup(session_expires_s=session_expires_s)
    _, invite = lineup.answer()
    lineup.ask(invite, b"UPDATE", headers=((b"Require", b"timer"), SUPPORTED))
    (response,) = lineup.responses()
    assert response.status == status
    assert response.first(b"unsupported") == (None if status == 200 else b"timer")


# Both at once.


def test_a_reinvite_of_the_callee_that_crosses_ours_is_491() -> None:
    lineup, _, invite = agreed()
    lineup.wait(900)
    (reinvite,) = lineup.requests()
    lineup.ask(invite, b"INVITE", headers=(SDP_TYPE,), body=answer_sdp(port=7000))
    lineup.ask(invite, b"ACK", branch=b"z9hG4bKfromcallee")
    lineup.ask(
        invite, b"UPDATE", cseq=2, branch=b"z9hG4bK2", headers=(SDP_TYPE,), body=answer_sdp()
    )
    lineup.ask(invite, b"UPDATE", cseq=3, branch=b"z9hG4bK3")
    assert [response.status for response in lineup.responses()] == [491, 491, 200]
    lineup.respond(reinvite, 200, headers=(CONTACT, SDP_TYPE), body=answer_sdp())
    lineup.requests()
    lineup.ask(
        invite,
        b"INVITE",
        cseq=4,
        branch=b"z9hG4bK4",
        headers=(SDP_TYPE,),
        body=answer_sdp(port=7000),
    )
    assert [response.status for response in lineup.responses()] == [200]


def test_a_refresh_is_not_sent_beside_one_that_is_out() -> None:
    lineup, _, invite = agreed(b"1800;refresher=uac", ALLOWS_UPDATE)
    lineup.wait(900)
    (update,) = lineup.requests()
    lineup.ask(invite, b"UPDATE", headers=(SUPPORTED, expires(b"90;refresher=uas")))
    lineup.respond(update, 100, tag=None)
    lineup.responses()
    lineup.wait(31.9)
    assert {(request.method, request.cseq.number) for request in lineup.requests()} == {
        (b"UPDATE", 2)
    }


def test_a_reinvite_of_ours_waits_for_the_end_of_the_callees() -> None:
    lineup, _, invite = agreed()
    lineup.wait(899)
    lineup.ask(invite, b"INVITE", headers=(SDP_TYPE,), body=answer_sdp(codecs="9"))
    assert [response.status for response in lineup.responses()] == [488]
    lineup.wait(1.9)
    assert {response.status for response in lineup.responses()} == {488}
    lineup.ask(invite, b"ACK")
    lineup.wait(0.2)
    assert lineup.methods() == [b"INVITE"]
