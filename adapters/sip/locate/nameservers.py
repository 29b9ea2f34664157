"""Questions to nameservers, over dnspython, which `resolver` imports when it has one: that takes a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from adapters.sip.locate.records import Failed, Found, Naptr, Question, Srv, one_line


async def ask_nameservers(
    question: Question, nameservers: tuple[tuple[str, int], ...], timeout_s: float
) -> Found | Failed:
    """The records that these nameservers have, or those of the system where none is named. Raises `OSError`.

    Args:
        timeout_s: by which the caller gives up.
    """
    try:
        return await _resolve(question, nameservers, timeout_s)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return Found()
    except dns.exception.DNSException as error:
        return Failed(one_line(error))


async def _resolve(
    question: Question, nameservers: tuple[tuple[str, int], ...], timeout_s: float
) -> Found:
    resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    resolver.cache = None
    if nameservers:
        resolver.nameservers = [
            dns.nameserver.Do53Nameserver(host, port) for host, port in nameservers
        ]
    answer = await resolver.resolve(
        dns.name.from_text(question.name + "."),
        dns.rdatatype.from_text(question.kind),
        # The caller's ends it first: this one is measured by the wall clock, which can be set.
        lifetime=2 * timeout_s,
        search=False,
        backend=dns.asyncbackend.get_backend("trio"),
    )
    read = _READERS[question.kind]
    # The chain of CNAMEs is as short-lived as its shortest link.
    return Found(tuple(map(read, answer)), float(answer.chaining_result.minimum_ttl))


def _read_srv(record: Any) -> Srv:
    return Srv(record.priority, record.weight, record.port, _read_name(record.target))


def _read_naptr(record: Any) -> Naptr:
    return Naptr(
        record.order,
        record.preference,
        record.flags,
        record.service,
        record.regexp,
        _read_name(record.replacement),
    )


def _read_address(record: Any) -> str:
    return str(record.address)


def _read_name(name: dns.name.Name) -> str:
    """Without the last dot: the root is empty. What is no host name keeps its escapes."""
    return name.to_text(omit_final_dot=True) if len(name) > 1 else ""


_READERS: Final[dict[str, Callable[[Any], Naptr | Srv | str]]] = {
    "SRV": _read_srv,
    "NAPTR": _read_naptr,
    "A": _read_address,
    "AAAA": _read_address,
}
