"""A trunk's registration, against a registrar that answers what a test wants."""

from __future__ import annotations

from math import inf
from typing import get_args

import pytest
from msgspec import structs

from adapters.sip.errand.registration import (
    PAUSE_S_MIN,
    REGISTRATION_TABLE,
    Action,
    Happening,
    State,
)
from adapters.sip.trunk import Line, Trunk, open_line
from adapters.sip.wire.hop import Hop
from engine.ports.telephony import TrunkCondition
from tests.adapters.sip.errand.desk import (
    CHALLENGE,
    CREDENTIALS,
    HERE,
    SERVER,
    Chance,
    Headers,
    trunk_line,
)
from tests.adapters.sip.errand.registering import Scene

WELL = TrunkCondition("main", is_usable=True, detail="The trunk is registered.")


def ill(detail: str) -> TrunkCondition:
    return TrunkCondition("main", is_usable=False, detail=detail)


def test_the_first_register_is_worded_like_this() -> None:
    scene = Scene()
    assert scene.registration.next_wake == -inf
    errand = scene.registration.wake(scene.now, scene.line)
    assert errand is not None
    scene.begin(errand)
    transaction = errand._transaction
    assert transaction is not None
    call_id, tag, token = (b"%032x" % drawn for drawn in (1, 2, 3))
    assert transaction.message == (
        b"REGISTER sip:192.0.2.70:5070 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bK%b.1\r\n"
        b"Max-Forwards: 70\r\n"
        b"From: <sip:alice@192.0.2.70>;tag=%b\r\n"
        b"To: <sip:alice@192.0.2.70>\r\n"
        b"Call-ID: %b\r\n"
        b"CSeq: 1 REGISTER\r\n"
        b"Contact: <sip:callwheel@192.0.2.1:5062>\r\n"
        b"Expires: 3600\r\n"
        b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE\r\n"
        b"User-Agent: callwheel\r\n"
        b"Content-Length: 0\r\n\r\n" % (token, tag, call_id)
    )


@pytest.mark.parametrize(
    ("line", "registrar", "ours"),
    [
        (
            trunk_line(credentials=CREDENTIALS, domain="carrier.example"),
            b"sip:carrier.example",
            b"<sip:alice@carrier.example>",
        ),
        (
            trunk_line(credentials=CREDENTIALS, domain="[2001:db8::9]"),
            b"sip:[2001:db8::9]",
            b"<sip:alice@[2001:db8::9]>",
        ),
        (
            trunk_line(Hop("2001:db8::1", 5060), credentials=CREDENTIALS),
            b"sip:[2001:db8::1]:5060",
            b"<sip:alice@[2001:db8::1]>",
        ),
        (
            trunk_line(
                credentials=structs.replace(CREDENTIALS, username=b'a@b"\r\n'),
            ),
            b"sip:192.0.2.70:5070",
            b"<sip:a%40b%22%0D%0A@192.0.2.70>",
        ),
        (trunk_line(), b"sip:192.0.2.70:5070", b"<sip:callwheel@192.0.2.70>"),
        (
            open_line(Trunk("main", "carrier.example"), SERVER, HERE),
            b"sip:carrier.example",
            b"<sip:callwheel@carrier.example>",
        ),
    ],
)
def test_who_registers_and_where(line: Line, registrar: bytes, ours: bytes) -> None:
    request = Scene(line).expect()
    assert (request.uri, request.raw(b"to")) == (registrar, [ours])
    assert request.raw(b"from")[0].partition(b";tag=")[0] == ours


def test_a_registration_is_refreshed_before_it_ends_with_the_same_call_id_and_a_higher_number() -> (
    None
):
    scene = Scene()
    requests = [scene.register()]
    assert scene.ask() is None
    assert (scene.registration.condition, scene.skip()) == (WELL, 3600 * 0.6)
    requests.append(scene.register())
    scene.skip()
    requests.append(scene.register())
    assert [(r.call_id, r.from_tag, r.cseq.number) for r in requests] == [
        (requests[0].call_id, requests[0].from_tag, number) for number in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("expires", "share", "refreshed_after", "is_lost_before"),
    [
        (b"3600", 0.5, 2520.0, False),
        (b"60", 0.0, 36.0, False),
        (b"20", 0.0, 15.0, False),
        (b"15", 0.0, 15.0, True),
        (b"1", 0.0, 1.0, True),
    ],
)
def test_what_the_registrar_grants_says_when_it_is_refreshed(
    expires: bytes, share: float, refreshed_after: float, is_lost_before: bool
) -> None:
    scene = Scene(chance=Chance(share))
    scene.register((b"Contact", b"<sip:callwheel@192.0.2.1:5062>;expires=" + expires))
    assert scene.skip() == refreshed_after
    scene.ask()
    assert scene.is_usable is not is_lost_before


def test_a_registration_too_short_to_refresh_is_lost_and_won_again() -> None:
    scene = Scene()
    scene.register((b"Expires", b"1"))
    scene.skip()
    assert scene.ask() is None
    assert scene.registration.condition == ill("The registration ran out before it was refreshed.")
    assert scene.skip() == PAUSE_S_MIN - 1
    scene.register((b"Expires", b"1"))
    assert scene.registration.condition == WELL


def test_a_challenge_is_answered_and_the_next_refresh_brings_its_credentials_along() -> None:
    scene = Scene()
    scene.respond(scene.expect(), 401, CHALLENGE)
    (second,) = scene.requests()
    scene.respond(second, 200)
    assert scene.registration.condition == WELL
    scene.skip()
    refresh = scene.register()
    assert [r.cseq.number for r in (second, refresh)] == [2, 3]
    assert [len(r.raw(b"authorization")) for r in (second, refresh)] == [1, 1]


def test_without_credentials_a_challenge_is_a_refusal() -> None:
    scene = Scene(trunk_line())
    scene.respond(scene.expect(), 401, CHALLENGE)
    assert scene.registration.condition == ill("The registrar answered 401 Unauthorized.")
    assert scene.skip() == 600


def test_after_a_refusal_the_next_try_asks_for_a_new_nonce() -> None:
    scene = Scene()
    scene.respond(scene.expect(), 401, CHALLENGE)
    scene.respond(scene.requests()[0], 403)
    scene.skip()
    assert scene.expect().raw(b"authorization") == []


@pytest.mark.parametrize(
    ("status", "headers", "wait_s", "reason"),
    [
        (403, (), 600, "403 Forbidden"),
        (404, (), 600, "404 Not Found"),
        (301, (), 600, "301 Moved Permanently"),
        (603, (), 600, "603 Decline"),
        (408, (), 30, "408 Request Timeout"),
        (429, (), 30, "429 Too Many Requests"),
        (480, (), 30, "480 Temporarily Unavailable"),
        (500, (), 30, "500 Server Internal Error"),
        (503, (), 30, "503 Service Unavailable"),
        (503, ((b"Retry-After", b"5"),), 30, "503 Service Unavailable"),
        (503, ((b"Retry-After", b"120 (soon)"),), 120, "503 Service Unavailable"),
        (503, ((b"Retry-After", b"999999999"),), 3600, "503 Service Unavailable"),
        (404, ((b"Retry-After", b"1800"),), 1800, "404 Not Found"),
        (423, (), 600, "423"),
        (423, ((b"Min-Expires", b"x"),), 600, "423"),
        (423, ((b"Min-Expires", b"60"),), 600, "423"),
        (423, ((b"Min-Expires", b"86401"),), 600, "423"),
        (200, ((b"Expires", b"0"),), 30, "200 OK"),
    ],
)
def test_what_a_failure_means(status: int, headers: Headers, wait_s: float, reason: str) -> None:
    scene = Scene()
    assert scene.registration.condition == ill("The trunk has not registered yet.")
    scene.respond(scene.expect(), status, *headers)
    assert scene.registration.condition == ill(f"The registrar answered {reason}.")
    assert scene.skip() == wait_s
    assert scene.ask() is not None


def test_a_registrar_that_is_silent_or_away_is_asked_at_growing_pauses() -> None:
    scene = Scene()
    pauses = []
    for round_ in range(6):
        scene.expect()
        if round_ % 2:
            scene.errands[0].fail_transport(scene.errands[0].hop, scene.now)
            scene.errands.clear()
            sentence = "The registrar cannot be reached."
        else:
            scene.be_silent()
            sentence = "The registrar did not answer."
        assert scene.registration.condition == ill(sentence)
        pauses.append(scene.skip())
    assert pauses == [30, 60, 120, 240, 300, 300]


def test_chance_takes_up_to_half_of_a_pause_away() -> None:
    scene = Scene(chance=Chance(0.999))
    pauses = []
    for status in (500, 500, 403, 403):
        scene.respond(scene.expect(), status)
        pauses.append(scene.skip())
    assert pauses == [15.015, 30.03, 1201.2, 1801.8]


def test_a_rest_that_was_asked_for_counts_once() -> None:
    scene = Scene()
    scene.respond(scene.expect(), 503, (b"Retry-After", b"200"))
    pauses = [scene.skip()]
    scene.expect()
    scene.be_silent()
    pauses.append(scene.skip())
    assert pauses == [200, 60]


def test_success_forgets_the_failures_before_it() -> None:
    scene = Scene()
    pauses = []
    for status in (500, 500, 200, 500):
        scene.respond(scene.expect(), status)
        pauses.append(scene.skip())
    assert pauses == [30, 60, 2160, 30]


def test_without_a_server_to_ask_it_waits_as_for_one_that_is_silent() -> None:
    scene = Scene()
    scene.line = None
    assert scene.ask() is None
    assert scene.registration.condition == ill("No server of the trunk is known to register with.")
    assert scene.skip() == 30


def test_a_registrar_that_wants_longer_registrations_gets_one_at_once() -> None:
    scene = Scene()
    scene.respond(scene.expect(), 423, (b"Min-Expires", b"7200"))
    assert scene.skip() == 0
    assert scene.register().raw(b"expires") == [b"7200"]
    assert scene.skip() == 7200 * 0.6
    assert scene.register().raw(b"expires") == [b"7200"]


def test_a_registrar_that_wants_more_and_more_waits_like_one_that_refuses() -> None:
    scene = Scene()
    scene.respond(scene.expect(), 423, (b"Min-Expires", b"7200"))
    scene.respond(scene.expect(), 423, (b"Min-Expires", b"8000"))
    assert scene.skip() == 600
    assert scene.expect().raw(b"expires") == [b"7200"]


def test_a_refresh_that_fails_does_not_end_what_still_lasts() -> None:
    scene = Scene()
    scene.register((b"Expires", b"100"))
    scene.skip()
    scene.expect()
    scene.be_silent()
    assert (scene.now, scene.registration.condition) == (1000 + 60 + 32, WELL)
    scene.skip()
    assert (scene.now, scene.ask()) == (1100, None)
    assert scene.registration.condition == ill("The registrar did not answer.")
    assert scene.skip() == 22


def test_a_registration_that_ends_while_its_refresh_is_under_way_has_ended() -> None:
    scene = Scene()
    scene.register((b"Expires", b"30"))
    scene.skip()
    refresh = scene.expect()
    scene.skip()
    assert (scene.now, scene.ask()) == (1030, None)
    assert scene.registration.condition == ill("The registration ran out before it was refreshed.")
    scene.respond(refresh, 200)
    assert scene.registration.condition == WELL


def test_a_refresh_that_is_refused_ends_the_registration() -> None:
    scene = Scene()
    scene.register()
    scene.skip()
    scene.respond(scene.expect(), 403)
    assert not scene.is_usable
    assert scene.skip() == 600


def test_an_answer_that_came_after_what_it_granted_is_no_registration() -> None:
    scene = Scene()
    request = scene.expect()
    scene.wait(20)
    scene.datagrams()
    scene.respond(request, 200, (b"Expires", b"10"))
    assert scene.registration.next_wake <= scene.now
    scene.ask()
    assert not scene.is_usable


def test_stopping_takes_the_registration_back() -> None:
    scene = Scene()
    scene.register()
    scene.registration.stop(scene.now)
    scene.registration.stop(scene.now)
    ended = ill("The trunk is no longer registered, since the engine stops.")
    assert scene.registration.condition == ended
    request = scene.expect()
    assert request.raw(b"expires") == [b"0"]
    assert request.raw(b"contact") == [b"<sip:callwheel@192.0.2.1:5062>"]
    assert not scene.registration.is_stopped
    scene.respond(request, 200)
    assert (scene.registration.is_stopped, scene.registration.next_wake) == (True, inf)


@pytest.mark.parametrize("status", [200, 403, 423, 500, None])
def test_stopping_waits_for_no_second_try(status: int | None) -> None:
    scene = Scene()
    scene.register()
    scene.registration.stop(scene.now)
    request = scene.expect()
    if status is None:
        scene.be_silent()
    else:
        scene.respond(request, status, (b"Min-Expires", b"9000"))
    assert (scene.registration.is_stopped, scene.registration.next_wake) == (True, inf)


@pytest.mark.parametrize(
    ("status", "unregisters"), [(200, True), (423, True), (500, True), (403, False)]
)
def test_stopping_waits_for_the_register_that_is_under_way(status: int, unregisters: bool) -> None:
    scene = Scene()
    request = scene.expect()
    scene.registration.stop(scene.now)
    assert (scene.ask(), scene.registration.next_wake) == (None, inf)
    scene.respond(request, status, (b"Min-Expires", b"9000"))
    assert scene.registration.is_stopped is not unregisters
    last = scene.ask()
    assert (last.raw(b"expires") if last is not None else None) == ([b"0"] if unregisters else None)


def test_what_never_registered_stops_at_once_with_nothing_new_to_tell() -> None:
    scene = Scene()
    before = scene.registration.condition
    scene.registration.stop(scene.now)
    assert (scene.registration.is_stopped, scene.ask()) == (True, None)
    assert scene.registration.next_wake == inf
    assert scene.registration.condition == before


def test_what_has_not_been_answered_yet_stops_with_nothing_new_to_tell() -> None:
    scene = Scene()
    scene.expect()
    before = scene.registration.condition
    scene.registration.stop(scene.now)
    assert scene.registration.condition == before


def test_stopping_without_a_server_to_tell_is_stopping_too() -> None:
    scene = Scene()
    scene.register()
    scene.registration.stop(scene.now)
    scene.line = None
    assert (scene.ask(), scene.registration.is_stopped) == (None, True)


def test_an_errand_that_was_broken_off_is_tried_again() -> None:
    scene = Scene()
    scene.expect()
    scene.errands[0].abandon("lost")
    assert scene.registration.condition == ill("The registrar was not asked to the end.")
    assert scene.skip() == 30


def test_the_table_names_nothing_that_there_is_not() -> None:
    states = {state for state, _ in REGISTRATION_TABLE} | {
        s for s, _ in REGISTRATION_TABLE.values()
    }
    actions = {action for _, actions in REGISTRATION_TABLE.values() for action in actions}
    assert states == set(get_args(State))
    assert {happening for _, happening in REGISTRATION_TABLE} == set(get_args(Happening))
    assert actions == set(get_args(Action))
