"""Probes of a trunk's servers: when they go out, and what their answers mean."""

from __future__ import annotations

from math import inf

import pytest

from adapters.sip.call.authentication import Authenticator
from adapters.sip.errand.probe import SERVERS_MAX, Probed, Prober
from adapters.sip.trunk import Line
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.message import Request
from tests.adapters.sip.errand.desk import CHALLENGE, CREDENTIALS, Chance, Desk, trunk_line

FIRST, SECOND = Hop("192.0.2.70", 5070), Hop("192.0.2.71", 5070)


class Scene(Desk):
    """Chance is in the middle, so that no pause is longer or shorter than it says."""

    def __init__(
        self,
        *hops: Hop,
        probe_s: float = 60.0,
        share: float = 0.5,
        authenticator: Authenticator | None = None,
    ) -> None:
        super().__init__()
        self.told: list[Probed] = []
        self.prober = Prober(
            probe_s, Chance(share), lambda probed, _: self.told.append(probed), authenticator
        )
        self.prober.watch(lines(*hops), self.now)

    def probe(self) -> list[Request]:
        """The probes that go out now."""
        return [self.begin(errand) for errand in self.prober.wake(self.now)]

    def skip(self) -> float:
        """Go to the next probe, and say how long that was."""
        waited = self.prober.next_wake - self.now
        self.wait(waited)
        self.datagrams()
        return round(waited, 3)

    def next_pause(self, status: int | None, *headers: tuple[bytes, bytes]) -> float:
        """Probe the one server there is, and say when it is probed again."""
        (request,) = self.probe()
        if status is None:
            self.errands[0].fail_transport(self.errands[0].hop, self.now)
            self.errands.clear()
        else:
            self.respond(request, status, *headers)
        return self.skip()


def lines(*hops: Hop) -> list[Line]:
    return [trunk_line(hop) for hop in hops]


def test_a_probe_says_who_asks_and_what_is_understood() -> None:
    scene = Scene(FIRST)
    scene.skip()
    (request,) = scene.probe()
    assert (request.method, request.uri) == (b"OPTIONS", b"sip:192.0.2.70:5070")
    names = (b"to", b"contact", b"accept", b"allow", b"user-agent", b"max-forwards")
    assert [request.raw(name) for name in names] == [
        [b"<sip:192.0.2.70:5070>"],
        [b"<sip:callwheel@192.0.2.1:5062>"],
        [b"application/sdp"],
        [b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"],
        [b"callwheel"],
        [b"70"],
    ]
    assert request.from_addr.uri == b"sip:callwheel@192.0.2.1:5062"


def test_each_probe_has_a_call_id_of_its_own() -> None:
    scene = Scene(FIRST)
    seen = set()
    for _ in range(3):
        scene.skip()
        (request,) = scene.probe()
        seen.add((request.call_id, request.from_tag, request.branch))
        scene.respond(request, 200)
    assert len(seen) == len({call_id for call_id, _, _ in seen}) == 3


@pytest.mark.parametrize(
    ("status", "headers", "probed"),
    [
        (200, (), Probed(FIRST, True, "The server 192.0.2.70 answered 200 OK.", 200)),
        (401, (), Probed(FIRST, True, "The server 192.0.2.70 answered 401 Unauthorized.", 401)),
        (404, (), Probed(FIRST, True, "The server 192.0.2.70 answered 404 Not Found.", 404)),
        (
            405,
            (),
            Probed(FIRST, True, "The server 192.0.2.70 answered 405 Method Not Allowed.", 405),
        ),
        (483, (), Probed(FIRST, True, "The server 192.0.2.70 answered 483.", 483)),
        (501, (), Probed(FIRST, True, "The server 192.0.2.70 answered 501 Not Implemented.", 501)),
        (
            503,
            ((b"Retry-After", b"30"),),
            Probed(
                FIRST, False, "The server 192.0.2.70 answered 503 Service Unavailable.", 503, 30.0
            ),
        ),
        (
            503,
            (),
            Probed(FIRST, False, "The server 192.0.2.70 answered 503 Service Unavailable.", 503),
        ),
    ],
)
def test_any_response_but_503_is_a_sign_of_life(
    status: int, headers: tuple[tuple[bytes, bytes], ...], probed: Probed
) -> None:
    scene = Scene(FIRST)
    scene.skip()
    scene.respond(scene.probe()[0], status, *headers)
    assert scene.told == [probed]


def test_silence_is_none_and_is_not_waited_for_for_long() -> None:
    scene = Scene(FIRST)
    scene.skip()
    scene.respond(scene.probe()[0], 100)
    scene.wait(3.9)
    assert scene.told == []
    scene.wait(0.1)
    assert scene.told == [Probed(FIRST, False, "The server 192.0.2.70 did not answer.")]


def test_a_transport_that_fails_is_none() -> None:
    scene = Scene(FIRST)
    scene.skip()
    scene.probe()
    scene.errands[0].fail_transport(FIRST, scene.now)
    assert scene.told == [Probed(FIRST, False, "The server 192.0.2.70 cannot be reached.")]


def test_a_probe_that_was_broken_off_says_nothing_of_the_server() -> None:
    scene = Scene(FIRST)
    scene.skip()
    scene.probe()
    scene.errands[0].abandon("lost")
    assert (scene.told, scene.skip()) == ([], 60)


def test_a_server_that_is_well_is_probed_at_the_usual_pauses() -> None:
    scene = Scene(FIRST)
    assert [scene.skip(), *(scene.next_pause(200) for _ in range(4))] == [2.5, 60, 60, 60, 60]


@pytest.mark.parametrize(("share", "pauses"), [(0.0, [0, 54]), (0.999999999, [5, 66])])
def test_chance_spreads_the_probes(share: float, pauses: list[float]) -> None:
    scene = Scene(FIRST, share=share)
    assert [scene.skip(), scene.next_pause(200)] == pauses


def test_a_server_that_fails_is_probed_sooner_and_less_and_less_until_the_usual_pause() -> None:
    scene = Scene(FIRST)
    scene.skip()
    assert [scene.next_pause(None) for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]


def test_a_server_that_comes_back_is_probed_soon_until_it_has_proven_itself() -> None:
    scene = Scene(FIRST)
    scene.skip()
    pauses = [scene.next_pause(status) for status in (None, None, 200, 200, 200, 200)]
    assert pauses == [2, 4, 2, 2, 60, 60]


@pytest.mark.parametrize(
    ("retry_after", "pause"), [(b"1", 2), (b"45", 45), (b"999999", 300), (b"soon", 2)]
)
def test_a_server_that_asks_for_rest_gets_it_within_bounds(
    retry_after: bytes, pause: float
) -> None:
    scene = Scene(FIRST)
    scene.skip()
    assert scene.next_pause(503, (b"Retry-After", retry_after)) == pause


def test_a_server_that_calls_had_no_luck_with_is_probed_at_once() -> None:
    scene = Scene(FIRST)
    scene.skip()
    scene.respond(scene.probe()[0], 200)
    scene.wait(20)
    scene.prober.suspect(FIRST, scene.now)
    assert scene.skip() == 0
    assert [scene.next_pause(200) for _ in range(3)] == [2, 2, 60]


def test_suspicion_makes_no_flood_of_probes() -> None:
    scene = Scene(FIRST)
    scene.skip()
    began = scene.now
    probes = []
    while scene.now < began + 20:
        scene.prober.suspect(FIRST, scene.now)
        for request in scene.probe():
            probes.append(scene.now - began)
            scene.prober.suspect(FIRST, scene.now)
            scene.respond(request, 404)
        scene.wait(0.5)
    assert probes == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]


def test_suspicion_does_not_cut_a_rest_short() -> None:
    scene = Scene(FIRST)
    scene.skip()
    scene.respond(scene.probe()[0], 503, (b"Retry-After", b"45"))
    scene.wait(10)
    scene.prober.suspect(FIRST, scene.now)
    scene.prober.suspect(SECOND, scene.now)
    assert scene.skip() == 35


def test_servers_are_probed_each_for_itself() -> None:
    scene = Scene(FIRST, SECOND)
    scene.skip()
    first, second = scene.probe()
    scene.respond(first, 200)
    scene.wait(4)
    assert [(probed.hop, probed.is_well) for probed in scene.told] == [
        (FIRST, True),
        (SECOND, False),
    ]
    assert second.uri == b"sip:192.0.2.71:5070"
    assert scene.skip() == 2


def test_of_a_server_that_stays_nothing_is_forgotten_and_one_that_goes_is_not_told_of() -> None:
    scene = Scene(FIRST, SECOND)
    scene.skip()
    first, second = scene.probe()
    scene.prober.watch(lines(FIRST), scene.now)
    assert scene.probe() == []
    scene.respond(second, 200)
    scene.respond(first, 200)
    assert [probed.hop for probed in scene.told] == [FIRST]
    assert scene.skip() == 60


def test_a_trunk_without_servers_is_not_probed() -> None:
    scene = Scene(FIRST)
    scene.prober.watch([], scene.now)
    assert (scene.prober.next_wake, scene.probe()) == (inf, [])


def test_without_a_pause_nothing_is_ever_probed() -> None:
    scene = Scene(FIRST, probe_s=0.0)
    assert (scene.prober.next_wake, scene.prober.wake(1e9)) == (inf, [])


def test_a_pause_that_is_too_short_is_made_longer() -> None:
    scene = Scene(FIRST, probe_s=0.01)
    scene.skip()
    assert [scene.next_pause(status) for status in (200, None, None)] == [2, 2, 2]


def test_no_more_servers_are_probed_than_the_bound() -> None:
    scene = Scene(*[Hop("192.0.2.70", 1000 + port) for port in range(SERVERS_MAX + 5)])
    scene.skip()
    assert len(scene.probe()) == SERVERS_MAX


def test_a_challenge_is_answered_where_there_are_credentials() -> None:
    scene = Scene(FIRST, authenticator=Authenticator(CREDENTIALS, b"carrier"))
    scene.skip()
    scene.respond(scene.probe()[0], 401, CHALLENGE)
    (second,) = scene.requests()
    assert (len(second.raw(b"authorization")), scene.told) == (1, [])
    scene.respond(second, 200)
    assert scene.told == [Probed(FIRST, True, "The server 192.0.2.70 answered 200 OK.", 200)]
