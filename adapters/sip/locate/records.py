"""From a trunk's target to its servers, by the records of the DNS (RFC 3263 §4, RFC 2782).

How it works. `locate_servers` is a generator that knows the way and asks nobody: it yields the
questions that can be asked at once, is sent their answers, and returns what was found. There are at
most three rounds: NAPTR, SRV, addresses. The resolver drives it with the real DNS, a test with a
dictionary.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Final, Literal, NamedTuple, TypeVar

from msgspec import Struct

from adapters.sip.locate.server import SERVERS_MAX, Server, in_order
from adapters.sip.locate.target import (
    Family,
    TrunkTarget,
    default_port,
    transport_without_records,
)
from adapters.sip.wire.hop import Hop, Transport
from engine.ports.clock import Randomness

NAPTRS_MAX: Final = 8
"""NAPTR records that are followed; there are three services."""
ENDPOINTS_MAX: Final = 16
"""SRV records whose targets are looked up; of more, those of the best priority and weight."""
ADDRESSES_MAX: Final = 8
"""Addresses of one name and family."""
TTL_S_MIN: Final = 10.0
"""A result is good for so long, however short the DNS says: look-ups are not made for each call."""
TTL_S_MAX: Final = 3600.0
"""A result is looked up again after so long, however long the DNS says."""
PARTIAL_TTL_S: Final = 30.0
"""A result for which a question stayed unanswered is good for no longer."""

Kind = Literal["NAPTR", "SRV", "A", "AAAA"]

_SERVICES: Final[dict[bytes, Transport]] = {
    b"SIPS+D2T": "tls",
    b"SIP+D2T": "tcp",
    b"SIP+D2U": "udp",
}
_SRV_PREFIX: Final[dict[Transport, str]] = {
    "tls": "_sips._tcp.",
    "tcp": "_sip._tcp.",
    "udp": "_sip._udp.",
}
_ADDRESS_KIND: Final[dict[Family, Kind]] = {4: "A", 6: "AAAA"}
NAME_LENGTH_MAX: Final = 253
"""Characters of a domain name (RFC 1035 §2.3.4)."""

_BROADCAST: Final = ip_address("255.255.255.255")

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# A last label of digits is how inet_aton's other spellings of an IP address (`127.1`) look, which
# the system's resolver would take.
_HOST_NAME: Final = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\Z)(?!0x[0-9a-f]*\Z){_LABEL}\Z")


class Question(NamedTuple):
    """What the DNS is asked."""

    name: str
    """Absolute, lower case, without the last dot."""
    kind: Kind


class Naptr(Struct, frozen=True):
    """RFC 3403 §4."""

    order: int
    preference: int
    flags: bytes
    service: bytes
    regexp: bytes
    replacement: str
    """The name of SRV records; without the last dot, so that the root is empty."""


class Srv(Struct, frozen=True):
    """RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str
    """A host name without the last dot; empty says that the service is decidedly not there."""


class Found(Struct, frozen=True):
    """The DNS answered. No records means that there are none: the name may not even exist."""

    records: tuple[Naptr | Srv | str, ...] = ()
    """An address is a string."""
    ttl_s: float = TTL_S_MAX


class Failed(Struct, frozen=True):
    """Nobody answered, or nothing that can be understood."""

    reason: str


Answers = Mapping[Question, Found | Failed]


class Located(Struct, frozen=True):
    """Where a trunk can be reached."""

    servers: tuple[Server, ...]
    """By priority, and in each priority in a weighted random order; never empty."""
    ttl_s: float
    """For how long that is good: between `TTL_S_MIN` and `TTL_S_MAX`."""


class LocateError(Exception):
    """A trunk's servers are not known. Its text is a sentence for a person."""


class NotFound(LocateError):
    """There are none, says who must know."""


class LookupFailed(LocateError):
    """Nobody could tell. Servers that were found earlier are likely to be still there."""


_T = TypeVar("_T")
Steps = Generator[tuple[Question, ...], Answers, _T]
"""Yields questions, is sent their answers, returns the result."""


class _Service(NamedTuple):
    order: int
    """Of the NAPTR record. Only the best order that has servers is used (RFC 3403 §4.1)."""
    transport: Transport
    name: str


class _Endpoint(Struct, frozen=True):
    """A host and port whose addresses are still to be found."""

    rank: tuple[int, int, int]
    """NAPTR order, place of the service, SRV priority: what comes first is better."""
    weight: int
    host: str
    port: int
    transport: Transport


class _Inquiry:
    """What the questions of one location have in common."""

    def __init__(self, name: str, families: tuple[Family, ...]) -> None:
        self.name = name
        self.families = families
        self.ttl_s = TTL_S_MAX
        self.failures: list[str] = []

    def ask(self, questions: Iterable[Question]) -> Steps[Answers]:
        asked = tuple(dict.fromkeys(questions))
        answers: Answers = (yield asked) if asked else {}
        for question, answer in answers.items():
            if isinstance(answer, Failed):
                self.failures.append(f"{question.kind} of {question.name}: {answer.reason}")
                self.ttl_s = min(self.ttl_s, PARTIAL_TTL_S)
            elif answer.records:
                self.ttl_s = min(self.ttl_s, max(answer.ttl_s, TTL_S_MIN))
        return answers

    def failed(self, advice: str = "") -> LookupFailed:
        return LookupFailed(f"{self.name} could not be looked up ({self.failures[0]}){advice}")


def locate_servers(
    target: TrunkTarget, families: tuple[Family, ...], randomness: Randomness
) -> Steps[Located]:
    """The servers of a target. `families` are those that a socket can send to, the preferred first:
    a server's addresses of a later family rank behind those of an earlier one.

    Raises `NotFound` and `LookupFailed`, and nothing else whatever the answers hold.
    """
    if is_numeric(target.host):
        return _locate_numeric(target, families)
    inquiry = _Inquiry(host_name(target.host), families)
    if target.port is None:
        endpoints = yield from _find_endpoints(inquiry, target)
    else:
        transport = transport_without_records(target)
        endpoints = [_Endpoint((0, 0, 0), 0, inquiry.name, target.port, transport)]
    servers = yield from _find_servers(inquiry, endpoints)
    return Located(in_order(servers, randomness), inquiry.ttl_s)


def is_numeric(host: str) -> bool:
    """Whether a host is an IP address, written as one."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def host_name(host: str) -> str:
    """A domain as the DNS wants it: ASCII, lower case, without the last dot. Raises `NotFound` when
    it cannot be one."""
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        name = ""
    if not _is_host_name(name):
        raise NotFound(f"{host!r} is neither a host name nor an IP address")
    return name


def _is_host_name(name: str) -> bool:
    return len(name) <= NAME_LENGTH_MAX and _HOST_NAME.match(name) is not None


def _locate_numeric(target: TrunkTarget, families: tuple[Family, ...]) -> Located:
    """RFC 3263 §4.1 and §4.2: an IP address is looked up nowhere."""
    transport = transport_without_records(target)
    port = default_port(transport) if target.port is None else target.port
    for family in families:
        address = _usable_address(target.host, family)
        if address is not None:
            name = address if transport == "tls" else ""
            return Located((Server(Hop(address, port, transport, name)),), TTL_S_MAX)
    raise NotFound(f"{target.host} is not an {_spell(families)} address of one host")


def _find_endpoints(inquiry: _Inquiry, target: TrunkTarget) -> Steps[list[_Endpoint]]:
    """By SRV, or without a port where there are no SRV records (RFC 3263 §4.2)."""
    services, fallback = yield from _find_services(inquiry, target)
    failures_before = len(inquiry.failures)
    answers = yield from inquiry.ask(Question(service.name, "SRV") for service in services)
    endpoints: list[_Endpoint] = []
    refused: set[Transport] = set()
    for place, service in enumerate(services):
        records = _records(answers, Question(service.name, "SRV"), Srv)
        usable = [record for record in records if record.port and _is_target(record.target)]
        if not usable and any(not record.target for record in records):
            refused.add(service.transport)
        for record in usable:
            rank = (service.order, place, record.priority)
            host = record.target.lower()
            endpoints.append(_Endpoint(rank, record.weight, host, record.port, service.transport))
    if endpoints:
        endpoints.sort(key=lambda one: (one.rank, -one.weight, one.host, one.port))
        return endpoints[:ENDPOINTS_MAX]
    if len(inquiry.failures) > failures_before:
        # Its address might be that of its web site, so that is no substitute.
        raise inquiry.failed("; a port in the trunk's URI does without SRV records")
    if fallback in refused:
        raise NotFound(f"{inquiry.name} says itself that it offers no SIP over {fallback}")
    return [_Endpoint((0, 0, 0), 0, inquiry.name, default_port(fallback), fallback)]


def _find_services(
    inquiry: _Inquiry, target: TrunkTarget
) -> Steps[tuple[list[_Service], Transport]]:
    """The services to ask SRV records for, the preferred first; and the transport where there are
    none (RFC 3263 §4.1)."""
    name = inquiry.name
    if target.transport is not None:
        service = _Service(0, target.transport, _SRV_PREFIX[target.transport] + name)
        return [service], target.transport
    question = Question(name, "NAPTR")
    # A NAPTR question that nobody answers is taken for one without records: there are forwarders
    # that drop it, and who publishes NAPTR must publish SRV records of the same domain too.
    answers = yield from inquiry.ask((question,))
    naptrs = sorted(
        (
            (record.order, record.preference, _SERVICES[record.service.upper()], record.replacement)
            for record in _records(answers, question, Naptr)
            if record.flags.lower() == b"s"
            and not record.regexp
            and _SERVICES.get(record.service.upper()) in target.allowed
            and _is_host_name(record.replacement.lower())
        ),
    )[:NAPTRS_MAX]
    if naptrs:
        services = [
            _Service(order, transport, replacement.lower())
            for order, _, transport, replacement in naptrs
        ]
        return services, services[0].transport
    services = [
        _Service(0, transport, _SRV_PREFIX[transport] + name) for transport in target.allowed
    ]
    return services, transport_without_records(target)


def _find_servers(inquiry: _Inquiry, endpoints: list[_Endpoint]) -> Steps[list[Server]]:
    """Look up the addresses of all endpoints, and rank what was found."""
    families = inquiry.families
    answers = yield from inquiry.ask(
        Question(endpoint.host, _ADDRESS_KIND[family])
        for endpoint in endpoints
        if not is_numeric(endpoint.host)
        for family in families
    )
    ranked: dict[tuple[int, ...], list[tuple[_Endpoint, list[str]]]] = {}
    for endpoint in endpoints:
        found = [_addresses(answers, endpoint.host, family) for family in families]
        for step, addresses in enumerate(filter(None, found)):
            ranked.setdefault((*endpoint.rank, step), []).append((endpoint, addresses))
    if not ranked:
        if inquiry.failures:
            raise inquiry.failed()
        raise NotFound(f"{inquiry.name} leads to no {_spell(families)} address")
    best_order = min(ranked)[0]
    groups = [group for rank, group in sorted(ranked.items()) if rank[0] == best_order]
    return _merge(groups, inquiry.name)


def _merge(groups: list[list[tuple[_Endpoint, list[str]]]], name: str) -> list[Server]:
    """One server for each hop: where one shows up twice, at its better rank."""
    servers: dict[Hop, Server] = {}
    for priority, group in enumerate(groups):
        # The addresses of one name share its weight. Weights are whole numbers, so the whole group
        # is scaled until every share is one too.
        scale = math.lcm(*(len(addresses) for _, addresses in group))
        for endpoint, addresses in group:
            weight = endpoint.weight * scale // len(addresses)
            # RFC 5922 §7.2: the certificate must be for the domain that was configured. What the
            # DNS led to instead may be anybody's.
            certified = name if endpoint.transport == "tls" else ""
            for address in addresses:
                hop = Hop(address, endpoint.port, endpoint.transport, certified)
                known = servers.get(hop)
                if known is None:
                    servers[hop] = Server(hop, priority, weight)
                elif known.priority == priority:
                    servers[hop] = Server(hop, priority, known.weight + weight)
    best_first = sorted(servers.values(), key=lambda one: (one.priority, -one.weight, one.hop))
    return best_first[:SERVERS_MAX]


_R = TypeVar("_R", Naptr, Srv, str)


def _records(answers: Answers, question: Question, kind: type[_R]) -> list[_R]:
    answer = answers.get(question)
    if not isinstance(answer, Found):
        return []
    return [record for record in answer.records if isinstance(record, kind)]


def _is_target(target: str) -> bool:
    # An IP address is against RFC 2782, and means what it says.
    return is_numeric(target) or _is_host_name(target.lower())


def _addresses(answers: Answers, host: str, family: Family) -> list[str]:
    texts = (
        [host]
        if is_numeric(host)
        else _records(answers, Question(host, _ADDRESS_KIND[family]), str)
    )
    usable = {_usable_address(text, family) for text in texts} - {None}
    return sorted(address for address in usable if address)[:ADDRESSES_MAX]


def _usable_address(text: str, family: Family) -> str | None:
    """An address as the system spells it; None where it is not one that a single host can have."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if address.version != family or address.is_unspecified or address.is_multicast:
        return None
    if address == _BROADCAST or getattr(address, "ipv4_mapped", None) is not None:
        return None
    return str(address)


def _spell(families: Sequence[Family]) -> str:
    return " or ".join(f"IPv{family}" for family in families)


def one_line(error: Exception) -> str:
    """What went wrong, for `Failed`: libraries break their lines."""
    return " ".join(str(error).split()) or type(error).__name__
