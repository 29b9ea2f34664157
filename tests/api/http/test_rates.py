from __future__ import annotations

from ipaddress import ip_address

import pytest
import trio

from api.http.app import make_app
from api.http.auth import CALLER_S, hash_key
from api.http.exchange import HttpSettings
from api.http.problem import Problem
from api.http.rates import (
    ADDRESSES_MAX,
    KEYS_MAX,
    WINDOW_S,
    WRONG_KEYS_PER_S,
    Rates,
    WrongKeys,
)
from tests.api.http.world import ADMIN_KEY, PUBLIC_URL, Client, World


def test_a_quota_is_used_up_and_fills_again_evenly() -> None:
    rates = Rates(1)
    told = [rates.count("a", 0.0)["RateLimit"] for _ in range(10)]
    assert (told[0], told[-1]) == ('"key";r=9;t=1', '"key";r=0;t=10')
    with pytest.raises(Problem) as caught:
        rates.count("a", 0.5)
    assert (caught.value.kind.status, caught.value.code) == (429, "rate_limited")
    assert caught.value.headers == {
        "RateLimit-Policy": '"key";q=10;w=10',
        "RateLimit": '"key";r=0;t=1',
        "Retry-After": "1",
    }
    assert rates.count("b", 0.5)["RateLimit"] == '"key";r=9;t=1'
    assert rates.count("a", 1.0)["RateLimit"] == '"key";r=0;t=10'
    assert rates.count("a", 100.0)["RateLimit"] == '"key";r=9;t=1'


def test_no_limit_says_nothing() -> None:
    assert Rates(0).count("a", 0.0) == {}


def test_keys_that_have_all_of_their_quota_are_forgotten() -> None:
    rates = Rates(1)
    for place in range(KEYS_MAX + 1):
        rates.count(f"key {place}", float(place) * 2)
    assert len(rates._whole_at) == 1


async def test_every_answer_to_a_key_tells_of_its_limit_and_one_too_many_is_refused(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    settings = HttpSettings(PUBLIC_URL, hash_key(ADMIN_KEY), requests_per_s=0.2)
    app = make_app(world.engine, settings, world.hub, world.keeper)
    viewer = Client(app, "viewer-ours")
    replies = [await viewer.get(path) for path in ("/v1/flows", "/v1/flows/x", "/v1/flows")]
    assert [reply.status for reply in replies] == [200, 404, 429]
    assert [reply.headers["RateLimit"] for reply in replies] == [
        '"key";r=1;t=5',
        '"key";r=0;t=10',
        '"key";r=0;t=5',
    ]
    assert {reply.headers["RateLimit-Policy"] for reply in replies} == {'"key";q=2;w=10'}
    assert replies[2].headers["Retry-After"] == "5"
    assert (await Client(app, "owner-ours").get("/v1/flows")).status == 200
    assert "RateLimit" not in (await viewer.get("/healthz")).headers
    await trio.sleep(5)
    assert (await viewer.get("/v1/flows")).status == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/flows", "/nothing"])
async def test_every_answer_is_closed_to_frames_and_guesses(world: World, path: str) -> None:
    headers = (await world.client("viewer").get(path)).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert {name: headers[name] for name in ("Referrer-Policy", "X-Frame-Options")} == {
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }
    assert headers["Strict-Transport-Security"] == "max-age=31536000"


def test_an_address_that_sent_too_many_wrong_keys_is_turned_away_for_a_while() -> None:
    wrong = WrongKeys()
    for _ in range(WRONG_KEYS_PER_S * WINDOW_S):
        wrong.check("198.51.100.1", 0.0)
        wrong.note("198.51.100.1", 0.0)
    with pytest.raises(Problem) as caught:
        wrong.check("198.51.100.1", 0.0)
    assert (caught.value.code, caught.value.headers) == ("rate_limited", {"Retry-After": "1"})
    wrong.check("198.51.100.2", 0.0)
    wrong.check("198.51.100.1", 1 / WRONG_KEYS_PER_S)


def test_addresses_of_one_network_count_together_where_one_customer_has_it_all() -> None:
    wrong = WrongKeys()
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:0:1::", "198.51.100.1"):
        wrong.note(address, 0.0)
    wrong.note("2001:db8:0:1::1", 0.0)
    wrong.note("::ffff:198.51.100.1", 0.0)
    wrong.note("no address", 0.0)
    assert len(wrong) == 5


def test_never_more_addresses_are_counted_than_the_bound() -> None:
    wrong = WrongKeys()
    for place in range(ADDRESSES_MAX * 3):
        wrong.note(str(ip_address(place)), 0.0)
        assert len(wrong) <= ADDRESSES_MAX


async def test_wrong_keys_are_turned_away_before_the_store_is_asked_and_good_ones_are_not(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    """Whoever has shown a good key is served, whatever others do behind the same address."""
    viewer = world.client("viewer")
    assert (await viewer.get("/v1/me")).status == 200
    await trio.sleep(CALLER_S + 1)  # it is looked up again
    statuses = [
        (await Client(world.app, f"wrong {place}").get("/v1/me")).status
        for place in range(WRONG_KEYS_PER_S * WINDOW_S + 1)
    ]
    assert statuses == [401] * (WRONG_KEYS_PER_S * WINDOW_S) + [429]
    assert (await Client(world.app, "wrong").get("/v1/me")).headers["Retry-After"] == "1"
    assert (await world.stranger.get("/v1/events?ticket=x")).status == 429
    assert (await viewer.get("/v1/me")).status == 200
    # A key that nobody has shown before waits with the others, and not for long.
    assert (await world.client("owner").get("/v1/me")).status == 429
    await trio.sleep(1)
    assert (await world.client("owner").get("/v1/me")).status == 200
