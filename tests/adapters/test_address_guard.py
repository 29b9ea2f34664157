"""Which addresses may be sent to by what an outsider wrote."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from adapters.address_guard import AddressGuard, AddressRefused


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:7f00:1::",
    ],
)
def test_an_address_that_is_not_public_is_refused_in_whatever_form(address: str) -> None:
    assert not AddressGuard().may_reach(address)


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"],
)
def test_a_public_address_may_be_reached(address: str) -> None:
    assert AddressGuard().may_reach(address)


def test_what_the_operator_lists_may_be_reached_and_nothing_beside_it() -> None:
    guard = AddressGuard([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    asked = ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "192.168.1.1", "127.0.0.1", "fc00::1"]
    assert [guard.may_reach(address) for address in asked] == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "127.1", "0x7f.1", "0177.0.0.1", "localhost", "::1"]
)
async def test_every_way_to_write_this_machine_is_refused(host: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        await AddressGuard().find(host, 80)
    assert caught.value.code == "address_not_allowed"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 300, "x\ud800"])
async def test_a_name_that_is_not_known_is_refused(host: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        await AddressGuard().find(host, 80)
    assert caught.value.code == "unknown_host"


async def test_an_address_that_is_allowed_is_given_to_be_connected_to() -> None:
    guard = AddressGuard([ip_network("127.0.0.0/8")])
    assert await guard.find("127.1", 80) == ("127.0.0.1",)
