"""Where a call's requests may go, and who of those they go to is shown the trunk's credentials. Pure.

Inside a dialog it is the other side that says where our requests go, by its Contact and Record-Route, and
whoever calls through a trunk is not the trunk: it may name a service on this machine, a neighbour on its
link, or our own sockets, and wait for what comes of that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Literal

from msgspec import Struct

from adapters.sip.wire.hop import Hop

HOSTS_REMEMBERED = 1024
"""Hosts of which it is remembered what kind they are."""

Kind = Literal["ordinary", "unspecified", "loopback", "link_local", "multicast", "broadcast"]

_TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as a NAT64 writes them (RFC 6052)."""
_IPV4_BITS = 0xFFFF_FFFF


def _is_nobody(hop: Hop) -> bool:
    return False


class Reach(Struct, frozen=True):
    """What calls know of the network around them."""

    trunk_hosts: Collection[str] = frozenset()
    """The IP addresses of the trunks. The set is its owner's and may change."""
    is_own: Callable[[Hop], bool] = _is_nobody
    """Whether a hop is one of our own sockets; its host is without IPv6's clothes."""

    def allows(self, hop: Hop, server: Hop) -> bool:
        """Whether the other side of a call to `server` may send us to a hop: to none of our own sockets,
        and only then to an address of a special kind when the server's is of the same kind."""
        if hop == server:
            return True
        host, kind = classify(hop.host)
        if self.is_own(hop._replace(host=host)):
            return False
        return (
            kind == "ordinary" or hop.host in self.trunk_hosts or kind == classify(server.host)[1]
        )

    def may_know(self, hop: Hop, server: Hop) -> bool:
        """Whether a hop may see the credentials for `server`: it is the trunk's own, and what was to be
        encrypted is."""
        if server.transport == "tls" and hop.transport != "tls":
            return False
        return hop.host == server.host or hop.host in self.trunk_hosts


@lru_cache(maxsize=HOSTS_REMEMBERED)
def classify(host: str) -> tuple[str, Kind]:
    """An IP address as it counts, which for an IPv4 address in IPv6's clothes is the IPv4 address, and
    its kind. Raises `ValueError` for anything but an IP address."""
    address = _undress(ip_address(host))
    return str(address), _kind(address)


def _undress(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & _IPV4_BITS) if address in _TRANSLATED else address


def _kind(address: IPv4Address | IPv6Address) -> Kind:
    if address.is_unspecified or (address.version == 4 and int(address) >> 24 == 0):
        # All of 0.0.0.0/8 is this host on this network (RFC 1122 §3.2.1.3).
        return "unspecified"
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link_local"
    if address.is_multicast:
        return "multicast"
    return "broadcast" if int(address) == _IPV4_BITS and address.version == 4 else "ordinary"
