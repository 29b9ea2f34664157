from __future__ import annotations

import pytest

from adapters.sip.locate.target import TrunkTarget, read_target
from adapters.sip.wire.fields import SipParseError


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:sip.example.com", TrunkTarget("sip.example.com")),
        ("sip:192.0.2.1:5070", TrunkTarget("192.0.2.1", 5070)),
        ("sip:[2001:db8::1]", TrunkTarget("2001:db8::1")),
        ("sip:Example.COM;transport=TCP", TrunkTarget("example.com", None, "tcp")),
        ("sip:example.com:5061;transport=tls", TrunkTarget("example.com", 5061, "tls")),
        ("sips:example.com", TrunkTarget("example.com", allowed=("tls",))),
        ("sips:example.com;transport=tcp", TrunkTarget("example.com", None, "tls", ("tls",))),
        ("sips:example.com;transport=tls", TrunkTarget("example.com", None, "tls", ("tls",))),
    ],
)
def test_a_uri_says_what_it_fixes_and_leaves_the_rest_open(uri: str, target: TrunkTarget) -> None:
    assert read_target(uri) == target


def test_what_the_dns_may_choose_from_is_the_callers() -> None:
    expected = TrunkTarget("example.com", allowed=("tls", "udp"))
    assert read_target("sip:example.com", ("tls", "udp")) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "example.com",
        "tel:+14155550100",
        "sip:example.com:0",
        "sip:example.com:65536",
        "sip:example.com;transport=sctp",
        "sip:example.com;transport",
        "sips:example.com;transport=udp",
        "sip:example.com;maddr=192.0.2.9",
        "sip:exämple.com",
    ],
)
def test_a_uri_that_leads_nowhere_is_refused(uri: str) -> None:
    with pytest.raises(SipParseError):
        read_target(uri)
