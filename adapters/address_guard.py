"""Which addresses may be sent to by what an outsider wrote: a webhook's, or a flow's own request.

A name is resolved once, and what it resolves to is judged and then connected to, so that a second answer of
its name server changes nothing. Only addresses of the public internet may be, and those that the operator
lists. An IPv6 address that stands for an IPv4 one is judged as that: mapped (RFC 4291 §2.5.5.2), compatible
(§2.5.5.1), 6to4 (RFC 3056) and NAT64 (RFC 6052). Odd ways to write 127.0.0.1, such as `2130706433` or
`0x7f.1`, are for the resolver to understand: its answer is what is judged.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import trio

from adapters.shares import Shares

Network = IPv4Network | IPv6Network

ADDRESSES_MAX: Final = 8
"""Addresses of one name that are tried."""
RESOLVING_MAX: Final = 20
"""Names that one account has resolved at once while others have none, and half of those of all. Each is
resolved in a thread: they have their own, so that a silent name server holds up nothing else."""

_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")


class AddressRefused(Exception):
    """The name is not known, or leads only to where nothing may be sent. `code` is stable, `detail` one
    sentence for a person."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class AddressGuard:
    """Finds the addresses of a name that may be sent to.

    Args:
        allow: networks that may be sent to though they are not public.
    """

    def __init__(self, allow: Sequence[Network] = ()) -> None:
        self._allow = tuple(allow)
        self._resolving = trio.CapacityLimiter(2 * RESOLVING_MAX)
        self._shares = Shares(2 * RESOLVING_MAX)

    async def find(self, host: str, port: int, account: str = "") -> tuple[str, ...]:
        """The addresses that may be connected to, in the resolver's order; at least one. It takes as long as
        the resolver takes; an account whose names take long leaves room to the others. Raises
        `AddressRefused`."""
        try:
            async with self._shares.slot(account):
                found = await trio.to_thread.run_sync(
                    _resolve, host, port, abandon_on_cancel=True, limiter=self._resolving
                )
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no name"
            raise AddressRefused("unknown_host", f"{host} is not known: {reason}.") from error
        allowed = tuple(one for one in dict.fromkeys(found) if self.may_reach(one))
        if not allowed:
            shown = ", ".join(found[:3])
            raise AddressRefused(
                "address_not_allowed",
                f"{host} leads to {shown}, where nothing may be sent; `webhooks.allow` lists exceptions.",
            )
        return allowed[:ADDRESSES_MAX]

    def may_reach(self, address: str) -> bool:
        """Whether an IP address may be connected to."""
        written = ip_address(address.partition("%")[0])
        meant = unwrap(written)
        if any(one in network for one in (written, meant) for network in self._allow):
            return True
        if isinstance(meant, IPv6Address) and meant.is_site_local:
            return False
        return (
            meant.is_global
            and not meant.is_multicast
            and not meant.is_reserved
            and not meant.is_link_local
            and not meant.is_unspecified
        )


def unwrap(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return inner
    # `::1` and `::` are addresses of their own.
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _resolve(host: str, port: int) -> list[str]:
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in answers]
