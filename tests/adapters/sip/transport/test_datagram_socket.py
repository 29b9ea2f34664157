from __future__ import annotations

import socket

import pytest

from adapters.sip.transport.datagram_socket import DatagramSocket, local_address_towards


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
