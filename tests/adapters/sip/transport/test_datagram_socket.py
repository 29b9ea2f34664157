from __future__ import annotations

import socket
import struct

import pytest

from adapters.sip.transport.datagram_socket import DatagramSocket, local_address_towards
from adapters.sip.wire.uri import Address

NET_UNREACHABLE, HOST_UNREACHABLE, PROHIBITED = 0, 1, 13
"""Codes of RFC 792 and RFC 1812 §5.2.7.1."""


def say_unreachable(sender: Address, destination: Address, code: int) -> None:
    """Tell a socket of loopback, as a router does, that a datagram of its did not reach its destination."""
    udp = struct.pack("!HHHH", sender[1], destination[1], 8, 0)
    ends = socket.inet_aton(sender[0]) + socket.inet_aton(destination[0])
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0) + ends
    parts = struct.pack("!BBHI", 3, code, 0, 0) + ip + udp
    total = sum(struct.unpack(f"!{len(parts) // 2}H", parts))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        pytest.skip("only root may play a router")
    with raw:
        raw.sendto(parts[:2] + struct.pack("!H", checksum) + parts[4:], (sender[0], 0))


def test_a_datagram_comes_with_its_source() -> None:
    here, there = DatagramSocket("127.0.0.1", 0), DatagramSocket("127.0.0.1", 0)
    try:
        assert here.receive() is None
        assert there.send(b"hello", here.address) == "sent"
        assert here.receive() == (b"hello", there.address)
    finally:
        here.close()
        there.close()


def test_an_ipv6_socket_speaks_of_addresses_in_the_same_two_parts() -> None:
    here = DatagramSocket("::1", 0)
    try:
        assert here.send(b"self", here.address) == "sent"
        assert here.receive() == (b"self", here.address)
        assert here.address[0] == "::1"
    finally:
        here.close()


def test_a_refused_destination_is_named_and_only_once() -> None:
    closed = DatagramSocket("127.0.0.1", 0)
    nobody = closed.address
    closed.close()
    here = DatagramSocket("127.0.0.1", 0)
    try:
        assert here.send(b"x", nobody) == "sent"
        assert here.take_errors() == [nobody]
        assert here.take_errors() == []
    finally:
        here.close()


def test_the_pending_error_of_one_destination_does_not_swallow_a_datagram_to_another() -> None:
    closed = DatagramSocket("127.0.0.1", 0)
    nobody = closed.address
    closed.close()
    here, there = DatagramSocket("127.0.0.1", 0), DatagramSocket("127.0.0.1", 0)
    try:
        here.send(b"x", nobody)
        assert here.send(b"hello", there.address) == "sent"
        assert there.receive() == (b"hello", here.address)
        assert here.take_errors() == [nobody]
    finally:
        here.close()
        there.close()


@pytest.mark.parametrize("code", [NET_UNREACHABLE, HOST_UNREACHABLE, PROHIBITED])
def test_a_host_that_no_router_knows_a_way_to_does_not_keep_others_from_being_sent_to(
    code: int,
) -> None:
    here, there = DatagramSocket("127.0.0.1", 0), DatagramSocket("127.0.0.1", 0)
    try:
        say_unreachable(here.address, ("127.0.0.9", 5060), code)
        assert here.send(b"hello", there.address) == "sent"
        assert there.receive() == (b"hello", here.address)
        assert here.take_errors() == [("127.0.0.9", 5060)]
    finally:
        here.close()
        there.close()


def test_what_the_system_refuses_to_send_has_failed() -> None:
    here = DatagramSocket("127.0.0.1", 0)
    try:
        assert here.send(b"x" * 70_000, here.address) == "failed"
        assert here.take_errors() == []
    finally:
        here.close()


def test_a_taken_port_raises_and_leaks_nothing() -> None:
    here = DatagramSocket("127.0.0.1", 0)
    try:
        with pytest.raises(OSError, match="in use"):
            DatagramSocket(*here.address)
    finally:
        here.close()


def test_our_address_towards_loopback_is_loopback() -> None:
    assert local_address_towards(("127.0.0.1", 5060), socket.AF_INET) == "127.0.0.1"
