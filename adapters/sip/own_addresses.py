"""`OwnAddresses`: under which address of ours somebody else sees us."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address

from adapters.sip.transport.datagram_socket import local_address_towards
from adapters.sip.transport.sockets import Sockets
from adapters.sip.trunk import Here
from adapters.sip.wire.hop import Hop

OWN_ADDRESSES_REMEMBERED_MAX = 256
"""Hosts and hops of which it is remembered under which address of ours we reach them."""


class OwnAddresses:
    """Where a user agent is.

    Args:
        sockets: its sockets, asked for when they are needed.
        bound: the host that they were to be bound to.
        advertise: the IP address that others see us under, where it is not the one we are bound to.
    """

    def __init__(self, sockets: Callable[[], Sockets], bound: str, advertise: str | None) -> None:
        self._sockets = sockets
        self._bound = bound
        self._advertise = advertise
        self._known_end = lru_cache(OWN_ADDRESSES_REMEMBERED_MAX)(self._find_end)
        self._is_local = lru_cache(OWN_ADDRESSES_REMEMBERED_MAX)(self._look_whether_local)

    def here_towards(self, hop: Hop) -> Here:
        """Our addresses as a hop sees them. Raises `OSError` where there is no way to it."""
        host, ports = self._find_host(hop.host), self._sockets().ports
        return Here((host, ports["udp"]), (host, ports["tcp"]), (host, ports["tls"]))

    def end_towards(self, hop: Hop) -> Hop:
        """Our own end of what goes to a hop or comes from it, for traces."""
        try:
            return self._known_end(hop)
        except OSError:
            return Hop(self._bound, self._sockets().ports[hop.transport], hop.transport)

    def is_own(self, hop: Hop) -> bool:
        """Whether a hop is one of our own sockets, under whichever address."""
        if hop.port != self._sockets().ports[hop.transport]:
            return False
        return hop.host == self._advertise or self._is_local(hop.host)

    def _find_end(self, hop: Hop) -> Hop:
        """Raises `OSError` where there is no way to it, which is not remembered."""
        host = self._find_host(hop.host)
        return Hop(host, self._sockets().ports[hop.transport], hop.transport)

    def _look_whether_local(self, host: str) -> bool:
        """Whether what is sent to a host arrives at what we are bound to."""
        datagrams = self._sockets().datagrams
        bound, port = datagrams.address
        if not ip_address(bound).is_unspecified:
            return host == bound
        try:
            # To an address of its own the system sends from that address.
            return local_address_towards((host, port), datagrams.family) == host
        except OSError:
            return False

    def _find_host(self, towards: str) -> str:
        """The IP address of ours that another one sees. Raises `OSError` where there is no way to it."""
        if self._advertise is not None:
            return self._advertise
        datagrams = self._sockets().datagrams
        host, port = datagrams.address
        if not ip_address(host).is_unspecified:
            return host
        # Which port there is asked about makes no difference.
        return local_address_towards((towards, port), datagrams.family)
