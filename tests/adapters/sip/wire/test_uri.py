from __future__ import annotations

import pytest

from adapters.sip.wire.fields import SipParseError
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.uri import Uri, escape_user, host_port, is_loose, next_hop, read_uri


@pytest.mark.parametrize(
    ("raw", "uri"),
    [
        (b"sip:a@Host.Example", Uri(b"sip", b"a", b"host.example", None, {}, b"")),
        (b"SIPS:host:5061", Uri(b"sips", None, b"host", 5061, {}, b"")),
        (
            b"sip:a:secret@[2001:db8::1]:5070;transport=TCP;lr?Subject=x",
            Uri(b"sip", b"a", b"2001:db8::1", 5070, {b"transport": b"TCP", b"lr": None}, b"Subject=x"),
        ),
        (
            b"sip:user;par=u%40example.net@example.com",
            Uri(b"sip", b"user;par=u%40example.net", b"example.com", None, {}, b""),
        ),
        (
            b"tel:+1-201-555;phone-context=x",
            Uri(b"tel", b"+1-201-555", b"", None, {b"phone-context": b"x"}, b""),
        ),
    ],
)  # fmt: skip
def test_a_uri_comes_apart(raw: bytes, uri: Uri) -> None:
    assert read_uri(raw) == uri


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"sip:",
        b"http://x",
        b"sip:@x",
        b"sip:a@b@c",
        b"sip:a@[::1",
        b"sip:a@::1",
        b"sip:a@b:70000",
        b"sip:a@b c",
        b"tel:",
        b"sip:a@b;x;x",
    ],
)
def test_what_is_no_uri_raises_the_typed_error(raw: bytes) -> None:
    with pytest.raises(SipParseError):
        read_uri(raw)


def test_a_user_part_cannot_leave_its_place() -> None:
    assert escape_user("+14155550199") == b"+14155550199"
    assert escape_user("a@b;c>d\r\né") == b"a%40b%3Bc%3Ed%0D%0A%C3%A9"


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert host_port(("2001:db8::1", 5060)) == b"[2001:db8::1]:5060"
    assert host_port(("192.0.2.1", 1)) == b"192.0.2.1:1"


@pytest.mark.parametrize(
    ("raw", "hop"),
    [
        (b"sip:a@192.0.2.1", Hop("192.0.2.1", 5060)),
        (b"sip:a@192.0.2.1:5070;transport=udp", Hop("192.0.2.1", 5070)),
        (b"sip:[2001:DB8::0:1]:5070", Hop("2001:db8::1", 5070)),
        (b"sip:a@host;maddr=192.0.2.9", Hop("192.0.2.9", 5060)),
        (b"sip:a@192.0.2.1;transport=TCP", Hop("192.0.2.1", 5060, "tcp")),
        (b"sip:a@192.0.2.1;transport=tls", Hop("192.0.2.1", 5061, "tls", "trunk.example")),
        (b"sips:a@192.0.2.1:5071", Hop("192.0.2.1", 5071, "tls", "trunk.example")),
        (b"sip:a@host.example", None),
        (b"tel:+1", None),
        (b"garbage", None),
    ],
)
def test_a_next_hop_is_known_for_ip_addresses_only(raw: bytes, hop: Hop | None) -> None:
    assert next_hop(raw, Hop("192.0.2.70", 5060, "udp", "trunk.example")) == hop


def test_a_uri_that_names_no_transport_means_that_of_its_call() -> None:
    before = Hop("192.0.2.70", 5061, "tls", "trunk.example")
    assert next_hop(b"sip:a@192.0.2.1", before) == Hop("192.0.2.1", 5061, "tls", "trunk.example")


def test_a_router_is_loose_when_it_says_so() -> None:
    assert [is_loose(raw) for raw in (b"sip:p;lr", b"sip:p;lr=on", b"sip:p", b"x")] == [
        True,
        True,
        False,
        False,
    ]
