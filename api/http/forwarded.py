"""Who sent a request that came through proxies. The operator names their addresses, and nobody else is
believed what a header says.

Every proxy writes down, behind what it was told, whom it has the request from. So the list is read from its
end, and the first address that is no proxy's is the sender's; what stands before that, the sender wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from msgspec import Struct
from werkzeug.datastructures import Headers

from api.config.keys import ForwardedBy

Network = IPv4Network | IPv6Network

HOPS_MAX: Final = 20
"""Proxies that one request comes through at the most."""
ADDRESSES_KEPT: Final = 1_024
"""Addresses that are remembered as they were read: most requests come from few."""
NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
PAIR: Final = re.compile(rf'[ \t]*({NAME})=({NAME}|"[^"\\]*")[ \t]*')


class Sender(Struct, frozen=True):
    """Who sent a request, and how."""

    address: str
    """An IP address; empty where nobody knows it."""
    scheme: str
    """`http` or `https`, as the sender spoke it."""


class Proxies(Struct, frozen=True):
    """The proxies that are believed."""

    networks: tuple[Network, ...] = ()
    header: ForwardedBy = "x-forwarded-for"
    """The other one is not looked at: a proxy that does not write it passes on what a stranger wrote."""

    def find_sender(self, peer: str | None, scheme: str, headers: Headers) -> Sender:
        """Who sent a request.

        Args:
            peer: the address at the other end of the connection.
            scheme: what is spoken on it.
            headers: of the request.
        """
        address = _read_address(peer or "")
        if address is None:
            return Sender(peer or "", scheme)
        if not self._has(address):
            return Sender(str(address), scheme)
        for hop in self._read_hops(headers):
            found = _read_address(hop.address)
            if found is None:
                break
            address, scheme = found, hop.scheme or scheme
            if not self._has(address):
                break
        return Sender(str(address), scheme)

    def _has(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.networks)

    def _read_hops(self, headers: Headers) -> Iterator[Sender]:
        """From whom each proxy has the request, the nearest first; what is unreadable has no address."""
        if self.header == "forwarded":
            for element in _list_backwards(headers.getlist("Forwarded")):
                yield _read_element(element)
            return
        schemes = _list_backwards(headers.getlist("X-Forwarded-Proto"))
        # Many proxies overwrite the scheme, and go on with the list of addresses: the last one said holds.
        scheme = _read_scheme(schemes[0] if schemes else "")
        for address in _list_backwards(headers.getlist("X-Forwarded-For")):
            yield Sender(address, scheme)


def _list_backwards(lines: Sequence[str]) -> list[str]:
    """The items of a header, the last first."""
    # A comma within quotes parts an item in two that cannot be read: no address has one.
    items = [item.strip() for line in lines for item in line.split(",")]
    return items[: -HOPS_MAX - 1 : -1]


def _read_element(element: str) -> Sender:
    """One proxy's part of `Forwarded` (RFC 7239 §4)."""
    pairs: dict[str, str] = {}
    for part in element.split(";"):
        pair = PAIR.fullmatch(part)
        if pair is None:
            return Sender("", "")
        pairs[pair[1].lower()] = pair[2].strip('"')
    return Sender(pairs.get("for", ""), _read_scheme(pairs.get("proto", "")))


def _read_scheme(text: str) -> str:
    scheme = text.lower()
    return scheme if scheme in ("http", "https") else ""


@lru_cache(maxsize=ADDRESSES_KEPT)
def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, with or without a port, IPv6 in brackets or, without a port, bare."""
    bare = re.fullmatch(r"\[([^\]]*)\](?::\d{1,5})?", text) or re.fullmatch(
        r"([0-9.]+)(?::\d{1,5})?", text, re.ASCII
    )
    try:
        address = ip_address(bare[1] if bare else text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # Whoever listens on IPv6 for both has IPv4 clients in this form.
        return address.ipv4_mapped or IPv6Address(int(address))
    return address
