from __future__ import annotations

import pytest
import trio

from api.http.app import make_app
from api.http.auth import hash_key
from api.http.exchange import HttpSettings
from api.http.problem import Problem
from api.http.rates import KEYS_MAX, Rates
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
