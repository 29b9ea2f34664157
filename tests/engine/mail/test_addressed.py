"""Whom a mail in a mailbox was for."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.mail.address import (
    MAILBOX_LENGTH_MAX,
    added_to,
    flow_of_plus,
    plus_address_of,
)
from engine.mail.addressed import ADDRESSES_MAX, find_addresses, find_return_path
from tests.engine.mail.world import FLOW, SECRET

MAILBOX = "lists@example.net"


@pytest.mark.parametrize(
    "head",
    [
        b"To: Lists <A@example.net>\r\n",
        b"to:\r\n\t<a@example.net>,\r\n b@example.net\r\nTo: c\r\n",
        b"Delivered-To: a@example.net\r\nTo: everybody@example.com\r\n",
        b"X-Original-To: a@example.net\nX: To: x@example.net\n",
        b"Envelope-To: a@example.net\r\n",
        b"Cc: =?utf-8?q?L?= <a@example.net>\r\nSubject: to d@example.net\r\n",
    ],
)
def test_the_address_is_found_in_whichever_header_it_stands(head: bytes) -> None:
    assert "a@example.net" in find_addresses(head)
    assert not {"x@example.net", "d@example.net"} & set(find_addresses(head))


@given(st.binary(max_size=300))
def test_no_octets_raise(octets: bytes) -> None:
    find_addresses(b"To: " + octets)
    find_return_path(b"Return-Path: " + octets)


def test_a_header_without_end_costs_no_more_than_a_moment() -> None:
    begun = time.process_time()
    find_addresses(b"To: " + b"a" * 1_000_000)
    assert (
        len(find_addresses(b"To: " + b"".join(b"a%d@x.y," % n for n in range(9_000))))
        == ADDRESSES_MAX
    )
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(
    ("head", "path"),
    [
        (b"Return-Path: <bounce@example.com>\r\nFrom: ada@example.com\r\n", "bounce@example.com"),
        (b"Return-Path: <>\r\nFrom: ada@example.com\r\n", ""),
        (b"From: Ada <ada@example.com>\r\n", "ada@example.com"),
        (b"Subject: x\r\n", ""),
    ],
)
def test_the_return_path_is_what_the_server_noted(head: bytes, path: str) -> None:
    assert find_return_path(head) == path


@given(st.binary(min_size=14, max_size=14))
def test_an_address_with_a_plus_leads_to_its_flow_and_to_no_other(id_: bytes) -> None:
    flow = f"flw_{id_.hex()}"
    address = plus_address_of(SECRET, flow, MAILBOX)
    assert flow_of_plus(SECRET, address, MAILBOX) == flow
    assert flow_of_plus(SECRET, address.upper(), MAILBOX) == flow
    assert flow_of_plus(SECRET[1:] + b"x", address, MAILBOX) is None
    assert flow_of_plus(SECRET, address, "other@example.net") is None
    assert flow_of_plus(SECRET, address.replace("example", "elsewhere"), MAILBOX) is None


def test_the_longest_mailbox_makes_an_address_that_servers_take() -> None:
    address = plus_address_of(SECRET, FLOW, "x" * MAILBOX_LENGTH_MAX + "@example.net")
    assert len(address.partition("@")[0]) == 64


@pytest.mark.parametrize(
    "address", [MAILBOX, "lists+@elsewhere", "lists", "+@", "", "@example.net"]
)
def test_an_address_without_a_plus_of_ours_adds_nothing(address: str) -> None:
    assert added_to(address, MAILBOX) is None
    assert flow_of_plus(SECRET, address, MAILBOX) is None
