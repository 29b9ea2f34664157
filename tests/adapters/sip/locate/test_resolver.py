"""The resolver against dnsmasq, which nobody here wrote, and against nameservers that mean harm."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.resolver
import dns.rrset
import pytest
import trio

from adapters.sip.locate.records import (
    PARTIAL_TTL_S,
    TTL_S_MAX,
    TTL_S_MIN,
    Located,
    LookupFailed,
    NotFound,
)
from adapters.sip.locate.resolver import SYSTEM_TTL_S, LookupSettings, locate
from adapters.sip.locate.server import Server
from adapters.sip.locate.target import Family, TrunkTarget
from adapters.sip.wire.hop import Hop
from tests.adapters.sip.dice import Dice
from tests.adapters.sip.locate.dnsmasq import HOST, running_dnsmasq
from tests.peers import require

DOMAIN = TrunkTarget("carrier.test")


@pytest.fixture
def dnsmasq() -> str:
    return require("dnsmasq", "dnsmasq-base")


async def found_by(
    nameserver: tuple[str, int],
    target: TrunkTarget = DOMAIN,
    families: tuple[Family, ...] = (4,),
    question_timeout_s: float = 5.0,
) -> Located:
    settings = LookupSettings((nameserver,), question_timeout_s)
    with trio.fail_after(30):
        return await locate(target, families, Dice(), settings)


# Against dnsmasq.


@pytest.mark.peer
async def test_naptr_leads_to_srv_and_srv_to_addresses_of_both_families(dnsmasq: str) -> None:
    async with running_dnsmasq(
        dnsmasq,
        "--naptr-record=carrier.test,20,1,s,SIP+D2U,,_sip._udp.carrier.test",
        "--naptr-record=carrier.test,10,1,s,SIP+D2T,,_sip._tcp.carrier.test",
        "--naptr-record=carrier.test,5,1,s,SIPS+D2T,,_sips._tcp.carrier.test",
        "--srv-host=_sips._tcp.carrier.test,main.test,5061,1,0",
        "--srv-host=_sip._tcp.carrier.test,backup.test,5091,20,0",
        "--srv-host=_sip._tcp.carrier.test,main.test,5090,10,7",
        "--host-record=main.test,192.0.2.1,2001:db8::1",
        "--host-record=backup.test,192.0.2.2",
    ) as nameserver:
        plain = await found_by(nameserver, families=(6, 4))
        secure = await found_by(nameserver, TrunkTarget("carrier.test", allowed=("tls", "tcp")))
    assert plain == Located(
        (
            Server(Hop("2001:db8::1", 5090, "tcp"), 0, 7),
            Server(Hop("192.0.2.1", 5090, "tcp"), 1, 7),
            Server(Hop("192.0.2.2", 5091, "tcp"), 2, 0),
        ),
        300.0,
    )
    assert secure == Located((Server(Hop("192.0.2.1", 5061, "tls", "carrier.test"), 0, 0),), 300.0)


@pytest.mark.peer
async def test_srv_alone_is_enough_and_cnames_are_followed(dnsmasq: str) -> None:
    async with running_dnsmasq(
        dnsmasq,
        "--srv-host=_sip._udp.carrier.test,edge.test,5090,1,1",
        "--cname=edge.test,real.test",
        "--host-record=real.test,192.0.2.1",
    ) as nameserver:
        located = await found_by(nameserver)
    assert located == Located((Server(Hop("192.0.2.1", 5090), 0, 1),), 300.0)


@pytest.mark.peer
async def test_an_address_alone_is_enough(dnsmasq: str) -> None:
    async with running_dnsmasq(
        dnsmasq, "--host-record=carrier.test,192.0.2.1,2001:db8::1"
    ) as nameserver:
        four = await found_by(nameserver)
        six = await found_by(nameserver, TrunkTarget("carrier.test", 5070, "tcp"), (6,))
    assert four == Located((Server(Hop("192.0.2.1", 5060)),), 300.0)
    assert six == Located((Server(Hop("2001:db8::1", 5070, "tcp")),), 300.0)


@pytest.mark.peer
async def test_a_name_that_does_not_exist_is_not_found(dnsmasq: str) -> None:
    async with running_dnsmasq(dnsmasq) as nameserver:
        with pytest.raises(NotFound, match=r"^carrier\.test leads to no IPv4 address$"):
            await found_by(nameserver)


@pytest.mark.peer
async def test_a_name_with_no_address_of_our_family_is_not_found(dnsmasq: str) -> None:
    async with running_dnsmasq(dnsmasq, "--host-record=carrier.test,192.0.2.1") as nameserver:
        with pytest.raises(NotFound, match=r"^carrier\.test leads to no IPv6 address$"):
            await found_by(nameserver, families=(6,))


@pytest.mark.peer
async def test_a_nameserver_that_refuses_is_a_failure_and_not_an_absence(dnsmasq: str) -> None:
    async with running_dnsmasq(dnsmasq) as nameserver:
        with pytest.raises(LookupFailed, match="REFUSED"):
            await found_by(nameserver, TrunkTarget("carrier.example"))


@pytest.mark.peer
@pytest.mark.parametrize(("ttl_s", "good_for_s"), [(1, TTL_S_MIN), (120, 120), (7200, TTL_S_MAX)])
async def test_the_ttl_is_kept_within_bounds(dnsmasq: str, ttl_s: int, good_for_s: float) -> None:
    async with running_dnsmasq(
        dnsmasq, "--host-record=carrier.test,192.0.2.1", ttl_s=ttl_s
    ) as nameserver:
        located = await found_by(nameserver)
    assert located.ttl_s == good_for_s


@pytest.mark.peer
async def test_an_answer_too_long_for_a_datagram_is_fetched_over_tcp(dnsmasq: str) -> None:
    hosts = [f"host-with-a-rather-long-name-{number:03}.carrier.test" for number in range(60)]
    async with running_dnsmasq(
        dnsmasq,
        *(f"--srv-host=_sip._udp.carrier.test,{host},5090,{n},1" for n, host in enumerate(hosts)),
        *(f"--host-record={host},192.0.2.{n + 1}" for n, host in enumerate(hosts)),
    ) as nameserver:
        located = await found_by(nameserver, TrunkTarget("carrier.test", None, "udp"))
    assert located.servers == tuple(Server(Hop(f"192.0.2.{n + 1}", 5090), n, 1) for n in range(16))


# Against nobody, and against those who mean harm.

Reply = Callable[[dns.message.Message], bytes]


@asynccontextmanager
async def nameserver_that_says(reply: Reply) -> AsyncIterator[tuple[str, int]]:
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        await bound.bind((HOST, 0))

        async def serve() -> None:
            while True:
                data, source = await bound.recvfrom(4096)
                await bound.sendto(reply(dns.message.from_wire(data)), source)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            yield bound.getsockname()
            nursery.cancel_scope.cancel()


def with_records(*lines: str) -> Reply:
    """Answers every question with the same records."""

    def reply(query: dns.message.Message) -> bytes:
        response = dns.message.make_response(query)
        for line in lines:
            name, ttl, kind, data = line.split(None, 3)
            response.answer.append(dns.rrset.from_text(name, int(ttl), "IN", kind, data))
        wire: bytes = response.to_wire()
        return wire

    return reply


def truncated(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.TC
    wire: bytes = response.to_wire()
    return wire


def garbled(query: dns.message.Message) -> bytes:
    return with_records("carrier.test. 60 A 192.0.2.1")(query)[:-3]


def of_another_question(query: dns.message.Message) -> bytes:
    other = dns.message.make_query("other.test.", "A", id=query.id)
    return with_records("other.test. 60 A 192.0.2.1")(other)


@pytest.mark.parametrize(
    "reply",
    [
        lambda query: b"",
        lambda query: b"\xff" * 512,
        lambda query: query.to_wire()[:12],
        garbled,
        truncated,
        of_another_question,
        with_records(
            "carrier.test. 60 CNAME b.test.",
            "b.test. 60 CNAME carrier.test.",
        ),
    ],
    ids=["empty", "noise", "header", "garbled", "truncated", "other question", "CNAME loop"],
)
async def test_a_nameserver_that_talks_nonsense_is_a_failed_look_up(reply: Reply) -> None:
    async with nameserver_that_says(reply) as nameserver:
        with pytest.raises((LookupFailed, NotFound)):
            await found_by(nameserver, TrunkTarget("carrier.test", 5060), question_timeout_s=0.2)


async def test_srv_targets_that_are_no_names_lead_nowhere() -> None:
    reply = with_records(
        r"_sip._udp.carrier.test. 60 SRV 0 1 5060 a\000b.test.",
        r"_sip._udp.carrier.test. 60 SRV 0 1 5060 a\.b\010.test.",
        r"_sip._udp.carrier.test. 60 SRV 0 1 5060 127.1.",
        r"_sip._udp.carrier.test. 60 SRV 0 1 0 carrier.test.",
    )
    async with nameserver_that_says(reply) as nameserver:
        with pytest.raises(NotFound):
            await found_by(nameserver, TrunkTarget("carrier.test", None, "udp"))


async def test_an_srv_target_of_the_root_says_that_there_is_no_such_service() -> None:
    reply = with_records("_sip._udp.carrier.test. 60 SRV 0 0 0 .")
    async with nameserver_that_says(reply) as nameserver:
        with pytest.raises(NotFound, match="says itself that it offers no SIP over udp"):
            await found_by(nameserver, TrunkTarget("carrier.test", None, "udp"))


async def test_a_nameserver_that_never_answers_is_a_failed_look_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        with pytest.raises(LookupFailed) as caught:
            await found_by(silent.getsockname(), DOMAIN, question_timeout_s=0.1)
    assert str(caught.value) == (
        "carrier.test could not be looked up (NAPTR of carrier.test: no answer within 0.1 s);"
        " a port in the trunk's URI does without SRV records"
    )


async def test_where_no_nameserver_listens_the_look_up_fails() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind((HOST, 0))
        nameserver = gone.getsockname()
    with pytest.raises(LookupFailed):
        await found_by(nameserver, TrunkTarget("carrier.test", 5060), question_timeout_s=0.1)


async def test_a_forwarder_that_drops_naptr_questions_is_lived_with() -> None:
    def reply(query: dns.message.Message) -> bytes:
        if query.question[0].rdtype.name == "NAPTR":
            return b""
        return with_records(
            "_sip._udp.carrier.test. 60 SRV 0 1 5090 carrier.test.",
            "carrier.test. 60 A 192.0.2.1",
        )(query)

    async with nameserver_that_says(reply) as nameserver:
        located = await found_by(nameserver, question_timeout_s=1.0)
    assert located == Located((Server(Hop("192.0.2.1", 5090), 0, 1),), PARTIAL_TTL_S)


# As the system does.


class FakeSystem(trio.abc.HostnameResolver):
    """Stands in for the system's `getaddrinfo`."""

    def __init__(self, answers: dict[str, str | int]) -> None:
        self._answers = answers

    async def getaddrinfo(self, host: Any, port: Any, family: int = 0, *_: Any, **__: Any) -> Any:
        answer = self._answers[host.decode() if isinstance(host, bytes) else host]
        if isinstance(answer, int):
            raise socket.gaierror(answer, "as the test has it")
        return [(family, socket.SOCK_DGRAM, 17, "", (answer, 0))]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


@pytest.fixture
async def system() -> AsyncIterator[None]:
    answers: dict[str, str | int] = {
        "pbx": "192.0.2.1",
        "nobody.test": socket.EAI_NONAME,
        "later.test": socket.EAI_AGAIN,
    }
    trio.socket.set_custom_hostname_resolver(FakeSystem(answers))
    yield
    trio.socket.set_custom_hostname_resolver(None)


async def test_localhost_is_found_without_any_nameserver() -> None:
    with trio.fail_after(10):
        located = await locate(TrunkTarget("localhost"), (4,), Dice())
    assert located == Located((Server(Hop("127.0.0.1", 5060)),), SYSTEM_TTL_S)


async def test_localhost_is_asked_of_no_nameserver_even_where_one_is_given() -> None:
    target = TrunkTarget("Localhost.", None, "tls")
    located = await found_by((HOST, 9), target)
    expected = Server(Hop("127.0.0.1", 5061, "tls", "localhost"))
    assert located == Located((expected,), SYSTEM_TTL_S)


async def test_a_name_of_the_hosts_file_is_looked_up_nowhere_else(
    tmp_path: Path, system: None
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(b"# pbx is below\n192.0.2.1\tgate.lan PBX # the old one\n\xff\xfe\n")
    settings = LookupSettings(hosts_file=str(hosts))
    with trio.fail_after(10):
        located = await locate(TrunkTarget("pbx", None, "tcp"), (4,), Dice(), settings)
    assert located == Located((Server(Hop("192.0.2.1", 5060, "tcp")),), SYSTEM_TTL_S)


async def test_the_system_tells_no_such_name_from_a_failure(system: None) -> None:
    settings = LookupSettings(hosts_file="/nowhere/hosts")
    with pytest.raises(NotFound):
        await locate(TrunkTarget("nobody.test", 5060), (4, 6), Dice(), settings)
    with pytest.raises(LookupFailed, match="as the test has it"):
        await locate(TrunkTarget("later.test", 5060), (4,), Dice(), settings)


async def test_service_records_come_from_the_systems_nameservers_and_addresses_from_the_system(
    system: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = with_records(
        "_sip._tcp.carrier.test. 20 SRV 0 1 5090 pbx.", "carrier.test. 60 A 192.0.2.66"
    )
    async with nameserver_that_says(reply) as (host, port):

        def read(resolver: Any, _: Any) -> None:
            resolver.nameservers, resolver.port = [host], port

        monkeypatch.setattr("dns.resolver.BaseResolver.read_resolv_conf", read)
        settings = LookupSettings(hosts_file="/nowhere/hosts")
        with trio.fail_after(10):
            target = TrunkTarget("carrier.test", None, "tcp")
            located = await locate(target, (4,), Dice(), settings)
    assert located == Located((Server(Hop("192.0.2.1", 5090, "tcp"), 0, 1),), 20.0)


async def test_a_machine_without_any_nameserver_cannot_look_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(resolver: Any, _: Any) -> None:
        raise OSError("no nameservers")

    monkeypatch.setattr("dns.resolver.BaseResolver.read_resolv_conf", read)
    with pytest.raises(LookupFailed, match="no nameservers"):
        await locate(DOMAIN, (4,), Dice(), LookupSettings(hosts_file="/nowhere/hosts"))


async def test_a_hosts_file_that_is_not_there_holds_no_names_and_addresses_ask_nobody() -> None:
    settings = LookupSettings(hosts_file="/nowhere/hosts")
    located = await locate(TrunkTarget("192.0.2.1", 5070), (4,), Dice(), settings)
    assert located == Located((Server(Hop("192.0.2.1", 5070)),), TTL_S_MAX)


async def test_a_fault_of_the_library_is_a_failed_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: Any, **__: Any) -> Any:
        raise RecursionError("too deep")

    monkeypatch.setattr("dns.asyncresolver.Resolver.resolve", break_down)
    with pytest.raises(LookupFailed, match="too deep"):
        await found_by((HOST, 9), TrunkTarget("carrier.test", 5060))
