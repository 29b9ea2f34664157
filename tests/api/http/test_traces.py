"""What an attempt said on the wire, as the API gives it out."""

from __future__ import annotations

import pytest

from api.http.app import make_app
from api.http.auth import hash_key
from api.http.exchange import HttpSettings
from tests.api.http.world import ADMIN_KEY, PUBLIC_URL, Client, Reply, World

PCAP_TYPE = "application/vnd.tcpdump.pcap"


class Traces:
    """Keeps the traces of the attempts that it is told of."""

    def __init__(self, *attempts: str) -> None:
        self._attempts = attempts

    async def ladder(self, attempt: str) -> str | None:
        return f"ladder of {attempt} → …\n" if attempt in self._attempts else None

    async def full_ladder(self, attempt: str) -> str | None:
        return f"full ladder of {attempt}\n" if attempt in self._attempts else None

    async def pcap(self, attempt: str) -> bytes | None:
        return b"\xa1\xb2\xc3\xd4" if attempt in self._attempts else None


async def begin(world: World, *, kept: bool = True) -> tuple[Client, str]:
    """An operator at an engine that keeps traces, and the address of an attempt's."""
    flow = await world.make_flow()
    [contact] = await world.contacts(await world.make_list(flow))
    attempt = await world.begin_attempt(contact, id="att_1")
    settings = HttpSettings(public_url=PUBLIC_URL, admin_sha256=hash_key(ADMIN_KEY))
    traces = Traces(attempt.id) if kept else Traces()
    world.app = make_app(world.engine, settings, world.hub, world.keeper, traces)
    return world.client("operator"), f"/v1/attempts/{attempt.id}/trace"


def essence(reply: Reply) -> tuple[int, str, bytes]:
    return reply.status, reply.headers["Content-Type"], reply.body


LADDER = (200, "text/plain; charset=utf-8", "ladder of att_1 → …\n".encode())
FULL = (200, "text/plain; charset=utf-8", b"full ladder of att_1\n")
PCAP = (200, PCAP_TYPE, b"\xa1\xb2\xc3\xd4")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", LADDER),
        ("?full=false", LADDER),
        ("?full=true", FULL),
        ("?format=text", LADDER),
        ("?format=text&full=true", FULL),
        ("?format=pcap", PCAP),
    ],
)
async def test_the_address_says_in_which_form_it_is_wanted(
    world: World, query: str, expected: tuple[int, str, bytes]
) -> None:
    operator, path = await begin(world)
    assert essence(await operator.get(path + query)) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", LADDER),
        ("text/plain", LADDER),
        ("text/html, */*;q=0.1", LADDER),
        ("image/png", LADDER),
        (PCAP_TYPE, PCAP),
        (f"text/plain;q=0.5, {PCAP_TYPE}", PCAP),
        (f"text/plain, {PCAP_TYPE};q=0.5", LADDER),
        (";;;,", LADDER),
    ],
)
async def test_otherwise_the_header_accept_says_it(
    world: World, accept: str, expected: tuple[int, str, bytes]
) -> None:
    operator, path = await begin(world)
    assert essence(await operator.get(path, Accept=accept)) == expected


async def test_the_address_goes_before_the_header(world: World) -> None:
    operator, path = await begin(world)
    assert essence(await operator.get(path + "?format=text", Accept=PCAP_TYPE)) == LADDER


async def test_a_capture_comes_as_a_file(world: World) -> None:
    operator, path = await begin(world)
    reply = await operator.get(path + "?format=pcap")
    assert reply.headers["Content-Disposition"] == 'attachment; filename="att_1.pcap"'
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("query", ["?format=png", "?full=maybe", "?pcap=true"])
async def test_another_form_is_an_error(world: World, query: str) -> None:
    operator, path = await begin(world)
    assert (await operator.get(path + query)).problem == (400, "invalid_parameter")


@pytest.mark.parametrize("query", ["", "?full=true", "?format=pcap"])
async def test_a_trace_that_is_not_kept_any_more_is_told_from_an_attempt_that_is_not_there(
    world: World, query: str
) -> None:
    operator, path = await begin(world, kept=False)
    reply = await operator.get(path + query)
    assert reply.problem == (404, "trace_not_kept")
    assert reply.json["detail"] == (
        "There are no messages of att_1 (any more): the configuration's `[sip] trace_keep_s` says how"
        " long they are kept, and `trace_bytes_max` how many."
    )
    assert (await operator.get("/v1/attempts/att_2/trace" + query)).problem == (404, "not_found")


async def test_an_engine_that_keeps_none_says_the_same(world: World) -> None:
    before = world.app
    _, path = await begin(world)
    world.app = before
    assert (await world.client("operator").get(path)).problem == (404, "trace_not_kept")


async def test_what_another_account_said_is_not_found(world: World) -> None:
    _, path = await begin(world)
    theirs = world.client("owner", "theirs")
    for query in ("", "?full=true", "?format=pcap"):
        assert (await theirs.get(path + query)).problem == (404, "not_found")


async def test_a_viewer_does_not_see_it(world: World) -> None:
    _, path = await begin(world)
    assert (await world.client("viewer").get(path)).problem == (403, "forbidden")
