"""Who sent a request: proxies that the operator named are believed, and nobody else."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from api.http.app import make_app
from api.http.auth import hash_key
from api.http.exchange import HttpSettings
from api.http.feed import FeedHub
from api.http.forwarded import HOPS_MAX, Network, Proxies, Sender
from sim.memory_store import MemoryStore
from tests.api.http.serving import serving
from tests.api.http.world import ADMIN_KEY, Clock, World

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
OLD = Proxies(PROXIES)
NEW = Proxies(PROXIES, "forwarded")


def find(proxies: Proxies, peer: str, *headers: tuple[str, str]) -> tuple[str, str]:
    sender = proxies.find_sender(peer, "http", Headers(headers))
    return sender.address, sender.scheme


@pytest.mark.parametrize("proxies", [OLD, NEW, Proxies()])
def test_a_stranger_is_believed_nothing(proxies: Proxies) -> None:
    told = (
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "for=192.0.2.1;proto=https"),
        ("Remote-Addr", "192.0.2.1"),
        ("X-Real-Ip", "192.0.2.1"),
    )
    assert find(proxies, "203.0.113.9", *told) == ("203.0.113.9", "http")


@pytest.mark.parametrize(
    ("told", "sender"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:DB8:0::1]:4711", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        # What the sender wrote itself stands before what the proxy wrote.
        ("127.0.0.1, 10.9.9.9, 192.0.2.1", "192.0.2.1"),
        # Proxies behind proxies.
        ("6.6.6.6, 192.0.2.1, 10.1.1.1, fd00::2", "192.0.2.1"),
        # A request that began at a proxy.
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        # What cannot be read ends the way back: the nearest address that is known holds.
        ("192.0.2.1, unknown", "10.0.0.1"),
        ("192.0.2.1, _hidden, 10.3.3.3", "10.3.3.3"),
        ("192.0.2.1, 0177.0.0.1", "10.0.0.1"),
        ("192.0.2.1, 2130706433", "10.0.0.1"),
        ("", "10.0.0.1"),
        (",,,", "10.0.0.1"),
    ],
)
def test_the_sender_is_the_last_address_that_is_no_proxys(told: str, sender: str) -> None:
    assert find(OLD, "10.0.0.1", ("X-Forwarded-For", told))[0] == sender


def test_several_lines_of_a_header_are_one_list() -> None:
    lines = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.1, 10.1.1.1")]
    assert find(OLD, "10.0.0.1", *lines) == ("192.0.2.1", "http")


@pytest.mark.parametrize(
    ("told", "sender"),
    [
        ("for=192.0.2.1", ("192.0.2.1", "http")),
        ('For="192.0.2.1:47";PROTO=HTTPS;by=10.0.0.1', ("192.0.2.1", "https")),
        ('for="[2001:db8::1]:4711";proto=https', ("2001:db8::1", "https")),
        ("for=6.6.6.6;proto=http, for=192.0.2.1;proto=https", ("192.0.2.1", "https")),
        ('for=6.6.6.6, for=192.0.2.1;proto=https, for="[fd00::1]"', ("192.0.2.1", "https")),
        # An open quote that a stranger wrote swallows nothing of what the proxy wrote.
        ('for="6.6.6.6, for=192.0.2.1', ("192.0.2.1", "http")),
        ("for=192.0.2.1;proto=javascript", ("192.0.2.1", "http")),
        ("for=unknown", ("10.0.0.1", "http")),
        ("for=192.0.2.1 for=6.6.6.6", ("10.0.0.1", "http")),
        ("proto=https", ("10.0.0.1", "http")),
    ],
)
def test_the_header_of_rfc_7239_is_read(told: str, sender: tuple[str, str]) -> None:
    assert find(NEW, "10.0.0.1", ("Forwarded", told)) == sender


def test_a_header_that_the_proxies_do_not_write_is_not_looked_at() -> None:
    new, old = ("Forwarded", "for=192.0.2.1"), ("X-Forwarded-For", "192.0.2.2")
    assert find(OLD, "10.0.0.1", new) == ("10.0.0.1", "http")
    assert find(OLD, "10.0.0.1", new, old) == ("192.0.2.2", "http")
    assert find(NEW, "10.0.0.1", new, old) == ("192.0.2.1", "http")


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "http, https"])
def test_a_proxy_tells_what_the_sender_spoke(scheme: str) -> None:
    told = (("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", scheme))
    assert find(OLD, "::ffff:10.0.0.1", *told) == ("192.0.2.1", "https")


def test_no_more_hops_are_followed_than_a_request_can_have() -> None:
    told = ", ".join(["192.0.2.1", *["10.1.1.1"] * HOPS_MAX])
    assert find(OLD, "10.0.0.1", ("X-Forwarded-For", told))[0] == "10.1.1.1"


def test_a_peer_without_an_address_stays_as_it_is() -> None:
    assert OLD.find_sender(None, "http", Headers()) == Sender("", "http")
    assert OLD.find_sender("<local>", "http", Headers()) == Sender("<local>", "http")
    assert OLD.find_sender("fe80::1%eth0", "http", Headers()).address == "fe80::1"


async def send(world: World, told: str) -> tuple[str, bool]:
    """Make a list over a real socket, with this X-Forwarded-For and, by a proxy, over TLS: from where the
    audit log has it, and whether the client is told to stay with TLS."""
    flow = await world.make_flow(listening=False)
    head = (
        f"DELETE /v1/flows/{flow} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer owner-ours\r\nX-Forwarded-For: {told}\r\n"
        "X-Forwarded-Proto: https\r\nRemote-Addr: 6.6.6.6\r\n\r\n"
    )
    async with serving(world.app) as server:
        answer = await server.exchange(head.encode())
    assert answer.startswith(b"HTTP/1.1 204 ")
    [entry] = (await world.store.list_audit("acc_1", 1000, None)).items[-1:]
    return entry.source, b"strict-transport-security" in answer.lower()


@pytest.mark.parametrize(
    ("proxies", "sender"),
    [
        ((ip_network("127.0.0.0/8"),), ("192.0.2.1", True)),
        ((ip_network("10.0.0.0/8"),), ("127.0.0.1", False)),
        ((), ("127.0.0.1", False)),
    ],
)
async def test_the_audit_log_has_the_sender_and_not_the_proxy(
    proxies: tuple[Network, ...], sender: tuple[str, bool]
) -> None:
    hub, clock = FeedHub(), Clock()
    world = World(MemoryStore(hub.publish, clock), hub, clock)
    settings = HttpSettings(
        "http://calls.example.com", hash_key(ADMIN_KEY), proxies=Proxies(proxies)
    )
    world.app = make_app(world.engine, settings, hub, world.keeper)
    await world.furnish()
    assert await send(world, "6.6.6.6, 192.0.2.1") == sender


@given(st.text(alphabet='for=;,"\\[]:.019a %_', max_size=200))
def test_whatever_a_header_says_there_is_a_sender(told: str) -> None:
    for proxies, name in ((OLD, "X-Forwarded-For"), (NEW, "Forwarded")):
        assert proxies.find_sender("10.0.0.1", "http", Headers([(name, told)])).address
