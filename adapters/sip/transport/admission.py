"""How many connections others may open to us; pure."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

from msgspec import Struct

IPV6_HOST_BITS = 64
"""One customer of a network has this many bits of addresses, so they count as one source."""


class AdmissionLimits(Struct, frozen=True):
    """Of connections that were opened to us and are still up. A stranger is whoever is no trunk."""

    trunks: int = 1024
    """From the addresses of all trunks together."""
    strangers: int = 256
    """From everybody else together."""
    strangers_per_source: int = 8
    strangers_per_s: float = 20.0
    """New ones, over a longer time: each costs a TLS handshake."""
    strangers_at_once: float = 50.0
    """New ones in one burst."""


class Admission:
    """`now` is the owner's time."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._trunks = 0
        self._strangers = 0
        self._sources: dict[int, int] = {}
        """Strangers' connections; only sources that have some are in it."""
        self._left = limits.strangers_at_once
        self._filled_at = 0.0

    def admit_trunk(self) -> bool:
        """Whether a trunk may have one more connection, which then counts."""
        if self._trunks >= self._limits.trunks:
            return False
        self._trunks += 1
        return True

    def release_trunk(self) -> None:
        """A trunk's connection has ended."""
        self._trunks -= 1

    def admit_stranger(self, host: str, now: float) -> bool:
        """Whether a stranger may have one more connection, which then counts."""
        limits = self._limits
        source = _source(host)
        of_source = self._sources.get(source, 0)
        if self._strangers >= limits.strangers or of_source >= limits.strangers_per_source:
            return False
        refilled = self._left + (now - self._filled_at) * limits.strangers_per_s
        self._left, self._filled_at = min(limits.strangers_at_once, refilled), now
        if self._left < 1:
            return False
        self._left -= 1
        self._strangers += 1
        self._sources[source] = of_source + 1
        return True

    def release_stranger(self, host: str) -> None:
        """A stranger's connection has ended."""
        source = _source(host)
        self._strangers -= 1
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]


def _source(host: str) -> int:
    address = ip_address(host)
    if isinstance(address, IPv4Address):
        return int(address)
    # Networks of IPv6 get their place behind all addresses of IPv4.
    return (int(address) >> IPV6_HOST_BITS) + 2**32
