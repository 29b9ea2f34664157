"""Everything that leads to an address inside, however it is written: nothing arrives there.

A listener on this machine stands for what is inside. It listens on all of its addresses, and whoever connects
is noted; no request of a flow and no webhook may.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any, Final

import pytest
import trio

from adapters.address_guard import AddressRefused
from adapters.http_client import HttpFailed
from adapters.outgoing_http import GuardedHttp, JsonRequests
from adapters.webhook import WebhookNotifier
from engine.model.webhook import Webhook
from engine.ports.requests import Question, RequestFailed
from tests.adapters.test_http_client import serve

AS_IPV4: Final = """
    127.0.0.1 127.0.0.1. 127.1 127.0.1 127.0.0.2 127.255.255.254 2130706433 2130706433. 0x7f000001
    0x7F.0.0.1 0x7f.1 0x7f.0x0.0x0.0x1 017700000001 0177.0.0.1 0177.0.1 0177.1 00000177.0.0.01
    127.0.0.01 0 0.0.0.0 0x0 00 0.0
"""
"""This machine, as IPv4 is written."""
AS_IPV6: Final = """
    [::1] [0:0:0:0:0:0:0:1] [0000::0001] [::] [::1%25lo] [::1%lo] [::127.0.0.1] [::7f00:1]
"""
"""As IPv6 is written."""
WITHIN_IPV6: Final = """
    [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::FFFF:7F00:0001] [::ffff:0:0]
    [::ffff:10.0.0.1] [::ffff:169.254.169.254] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::a00:1]
    [64:ff9b:1::127.0.0.1] [2002:7f00:1::] [2002:a00:1::1] [2001:0:7f00:1::]
"""
"""IPv4 within IPv6: mapped, translated (NAT64), 6to4, Teredo."""
IN_OTHER_CHARACTERS: Final = """
    ①②⑦.⓪.⓪.① １２７.０.０.１ 127。0。0。1 127｡0｡0｡1 127．0．0．1 ⓛⓞⓒⓐⓛⓗⓞⓢⓣ
"""
"""Other characters that a resolver reads as digits, dots or letters."""
AS_NAMES: Final = """
    localhost LOCALHOST LocalHost. localhost.localdomain ip6-localhost
"""
"""Names."""
OF_OTHERS: Final = """
    10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 169.254.169.254 0xa9fea9fe 2852039166 100.64.0.1
    192.0.0.1 198.18.0.1 [fe80::1] [fc00::1] [fd00:ec2::254] [fec0::1] [ff02::1] 224.0.0.1
    255.255.255.255 240.0.0.1
"""
"""The networks of others that are not public."""
WRITTEN: Final = tuple(
    f"{AS_IPV4} {AS_IPV6} {WITHIN_IPV6} {IN_OTHER_CHARACTERS} {AS_NAMES} {OF_OTHERS}".split()
)
"""Hosts of addresses, as somebody would write them who wants to get inside."""
TRUST: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Of nobody; to make one that knows the system's authorities for each test takes long."""
ALLOWED: Final = (ip_network("127.0.0.0/8"),)
NAMED: Final = {
    # Services that answer with whatever address stands in the name.
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "7f000001.nip.io": ["127.0.0.1"],
    "10-0-0-1.sslip.io": ["10.0.0.1"],
    "--1.sslip.io": ["::1"],
    "localtest.me": ["127.0.0.1", "::1"],
    "metadata.google.internal": ["169.254.169.254"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "translated.example": ["64:ff9b::7f00:1"],
    "zone.example": ["fe80::1%eth0"],
    "several.example": ["10.0.0.1", "127.0.0.1", "::1", "fd00::1"],
}
"""What a name server of the attacker's answers."""


class Inside:
    """What must not be reached."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.visits = 0


@asynccontextmanager
async def standing_inside() -> AsyncIterator[Inside]:
    """A listener on all addresses of this machine, IPv4 and IPv6."""
    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", 0))
    listener.listen()
    listener.setblocking(False)
    inside = Inside(listener.getsockname()[1])
    with listener:
        yield inside
        while True:  # the kernel has taken whoever came, accepted or not
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                return
            inside.visits += 1


async def try_all(url: str) -> set[str]:
    """Send there in every way that an outsider's address is sent to; the codes of the refusals."""
    http = GuardedHttp(tls=TRUST)
    codes = set()
    try:
        await http.request("GET", url, timeout_s=10)
        codes.add("sent")
    except (AddressRefused, HttpFailed) as error:
        codes.add(error.code)
    try:
        await JsonRequests(http).ask(Question("POST", url, {"a": 1}, timeout_s=10))
        codes.add("sent")
    except RequestFailed as error:
        codes.add(error.code)
    posted = await WebhookNotifier(http, 10).post(Webhook(url, "secret"), "acc_1.1", b"{}", 0.0)
    return codes | {posted.code}


def test_there_are_60_spellings_and_more() -> None:
    assert len(set(WRITTEN)) == len(WRITTEN) >= 60


async def test_the_listener_sees_whoever_connects() -> None:
    """Or the tests below would prove nothing."""
    async with standing_inside() as inside:
        for host in ("127.0.0.1", "::1"):
            await (await trio.open_tcp_stream(host, inside.port)).aclose()
    assert inside.visits == 2


@pytest.mark.parametrize("host", WRITTEN)
async def test_no_spelling_of_an_address_inside_leads_there(host: str) -> None:
    async with standing_inside() as inside:
        codes = await try_all(f"http://{host}:{inside.port}/")
    assert inside.visits == 0
    assert codes <= {"address_not_allowed", "unknown_host", "invalid_url"}


@pytest.mark.parametrize("name", NAMED)
async def test_no_name_that_leads_inside_is_followed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.address_guard._resolve", lambda host, _port: NAMED[host])
    async with standing_inside() as inside:
        codes = await try_all(f"http://{name}:{inside.port}/")
    assert (inside.visits, codes) == (0, {"address_not_allowed"})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_leads_inside(status: int) -> None:
    """The receiver may be sent to; where it points to may not, and is not asked for either."""
    async with standing_inside() as inside:
        to = b"http://127.0.0.1:%d/" % inside.port
        reply = b"HTTP/1.1 %d X\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status, to)
        async with serve(lambda _request, _body: reply) as place:
            http = GuardedHttp(ALLOWED, tls=TRUST)
            answer = await http.request("GET", f"http://{place}/", timeout_s=10)
            posted = await WebhookNotifier(http, 10).post(
                Webhook(f"http://{place}/", "secret"), "acc_1.1", b"{}", 0.0
            )
    assert (inside.visits, answer.status, posted.code) == (0, status, "bad_status")


def rebinding(public: str, inside: str) -> Callable[[str, int], list[str]]:
    """A name server that answers with the one address first, and with the other from then on."""
    answers = iter([public])
    return lambda _host, _port: [next(answers, inside)]


async def test_a_name_that_is_rebound_between_the_check_and_the_connection_leads_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was checked is what is connected to: the name is not asked for a second time."""
    asked_for: list[str] = []

    async def connect(address: str, _port: int, **_tls: Any) -> None:
        asked_for.append(address)
        raise OSError(errno.ECONNREFUSED, "nobody is there")

    async with standing_inside() as inside:
        monkeypatch.setattr(
            "adapters.address_guard._resolve", rebinding("93.184.216.34", "127.0.0.1")
        )
        url, http = f"http://rebound.example:{inside.port}/", GuardedHttp(tls=TRUST)
        with monkeypatch.context() as public:
            public.setattr("adapters.http_client.connect_tcp", connect)
            with pytest.raises(HttpFailed):
                await http.request("GET", url, timeout_s=10)
        with pytest.raises(AddressRefused):  # and the next request is checked anew
            await http.request("GET", url, timeout_s=10)
    assert (inside.visits, asked_for) == (0, ["93.184.216.34"])
