"""Whose certificates are looked at, by the names that stand in them."""

from __future__ import annotations

from ipaddress import ip_address

from adapters.sip.locate.records import NotFound, host_name, is_numeric
from adapters.sip.trunk import Trunk


def unchecked_names(trunks: tuple[Trunk, ...]) -> frozenset[str]:
    """Whose certificates are not looked at. Where two trunks share a name, and with it perhaps a
    connection, both must want it so."""
    checked, unchecked = (
        {_certified_name(trunk.host) for trunk in trunks if trunk.tls_check is is_checked}
        for is_checked in (True, False)
    )
    return frozenset(unchecked - checked)


def _certified_name(host: str) -> str:
    """The name that a trunk's hops over TLS have."""
    if is_numeric(host):
        return str(ip_address(host))
    try:
        return host_name(host)
    except NotFound:
        return host
