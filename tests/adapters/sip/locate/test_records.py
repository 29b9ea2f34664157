"""RFC 3263 §4 by a zone that is a dictionary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sip.locate.records import (
    ADDRESSES_MAX,
    ENDPOINTS_MAX,
    PARTIAL_TTL_S,
    TTL_S_MAX,
    TTL_S_MIN,
    Failed,
    Found,
    Located,
    LocateError,
    LookupFailed,
    Naptr,
    NotFound,
    Srv,
)
from adapters.sip.locate.server import SERVERS_MAX, Server
from adapters.sip.locate.target import Family, TrunkTarget
from adapters.sip.wire.hop import Hop, Transport
from tests.adapters.sip.locate.zone import Asked, Zone, addresses, naptr, srv

ONE = "192.0.2.1"
TWO = "192.0.2.2"
SIX = "2001:db8::1"
DEAD = Failed("SERVFAIL")


def only(*servers: Server, ttl_s: float = 300.0) -> Located:
    return Located(servers, ttl_s)


# What is asked, and what is not.


@pytest.mark.parametrize(
    ("target", "hop"),
    [
        (TrunkTarget(ONE), Hop(ONE, 5060)),
        (TrunkTarget(ONE, 5070), Hop(ONE, 5070)),
        (TrunkTarget(ONE, None, "tcp"), Hop(ONE, 5060, "tcp")),
        (TrunkTarget(ONE, None, "tls"), Hop(ONE, 5061, "tls", ONE)),
        (TrunkTarget(ONE, allowed=("tls",)), Hop(ONE, 5061, "tls", ONE)),
        (TrunkTarget(ONE, allowed=("tcp", "tls")), Hop(ONE, 5060, "tcp")),
        (TrunkTarget("2001:DB8:0::1"), Hop(SIX, 5060)),
    ],
)
def test_an_ip_address_is_one_server_and_nobody_is_asked(target: TrunkTarget, hop: Hop) -> None:
    dns = Asked({})
    located = dns.locate(target, (4, 6))
    assert (located, dns.rounds) == (only(Server(hop), ttl_s=TTL_S_MAX), [])


@pytest.mark.parametrize(
    ("host", "families"),
    [(SIX, (4,)), (ONE, (6,)), ("0.0.0.0", (4,)), ("224.0.0.1", (4,)), ("::ffff:1.2.3.4", (6,))],
)
def test_an_ip_address_that_our_sockets_cannot_send_to_is_not_found(
    host: str, families: tuple[Family, ...]
) -> None:
    with pytest.raises(NotFound, match="is not an IPv"):
        Asked({}).locate(TrunkTarget(host), families)


@pytest.mark.parametrize("host", ["", "a..b", "127.1", "2130706433", "0x7f000001", "a b", "-a.b"])
def test_what_is_no_host_name_is_not_asked_for(host: str) -> None:
    dns = Asked({})
    with pytest.raises(NotFound, match="neither a host name nor an IP address"):
        dns.locate(TrunkTarget(host))
    assert dns.rounds == []


def test_with_a_port_only_addresses_are_asked_for() -> None:
    dns = Asked({("example.com", "A"): addresses(ONE)})
    located = dns.locate(TrunkTarget("Example.com.", 5070))
    assert (located, dns.rounds) == (only(Server(Hop(ONE, 5070))), [[("example.com", "A")]])


def test_with_a_transport_no_naptr_is_asked_for_and_only_its_own_srv() -> None:
    dns = Asked(
        {
            ("_sip._tcp.example.com", "SRV"): srv((10, 5, 5080, "a.example.com")),
            ("a.example.com", "A"): addresses(ONE),
        }
    )
    located = dns.locate(TrunkTarget("example.com", None, "tcp"))
    assert located == only(Server(Hop(ONE, 5080, "tcp"), 0, 5))
    assert dns.rounds == [[("_sip._tcp.example.com", "SRV")], [("a.example.com", "A")]]


def test_without_anything_naptr_leads_to_srv_and_that_to_addresses() -> None:
    dns = Asked(
        {
            ("example.com", "NAPTR"): naptr((50, 50, "SIP+D2T", "_sip._tcp.other.net")),
            ("_sip._tcp.other.net", "SRV"): srv((10, 5, 5080, "a.other.net")),
            ("a.other.net", "A"): addresses(ONE),
        }
    )
    located = dns.locate(TrunkTarget("example.com"))
    assert located == only(Server(Hop(ONE, 5080, "tcp"), 0, 5))
    assert dns.rounds == [
        [("example.com", "NAPTR")],
        [("_sip._tcp.other.net", "SRV")],
        [("a.other.net", "A")],
    ]


def test_without_naptr_the_srv_of_each_allowed_transport_is_asked_for_and_never_tls() -> None:
    dns = Asked({("example.com", "A"): addresses(ONE)})
    located = dns.locate(TrunkTarget("example.com"))
    assert located == only(Server(Hop(ONE, 5060)))
    assert dns.rounds == [
        [("example.com", "NAPTR")],
        [("_sip._udp.example.com", "SRV"), ("_sip._tcp.example.com", "SRV")],
        [("example.com", "A")],
    ]


def test_a_sips_trunk_without_records_is_asked_for_at_5061() -> None:
    dns = Asked({("example.com", "A"): addresses(ONE)})
    located = dns.locate(TrunkTarget("example.com", allowed=("tls",)))
    assert located == only(Server(Hop(ONE, 5061, "tls", "example.com")))
    assert dns.rounds[1] == [("_sips._tcp.example.com", "SRV")]


# NAPTR.


def test_the_best_naptr_order_that_we_speak_wins_and_its_preferences_rank() -> None:
    """The example of RFC 3263 §4.1, with one service more."""
    zone: Zone = {
        ("example.com", "NAPTR"): naptr(
            (90, 60, "SIP+D2U", "_sip._udp.example.com"),
            (100, 10, "SIP+D2U", "_sip._udp.old.example.com"),
            (50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
            (90, 50, "sip+d2t", "_sip._tcp.example.com"),
        ),
        ("_sips._tcp.example.com", "SRV"): srv((0, 0, 5061, "a.example.com")),
        ("_sip._tcp.example.com", "SRV"): srv((7, 1, 5060, "a.example.com")),
        ("_sip._udp.example.com", "SRV"): srv((3, 1, 5060, "a.example.com")),
        ("_sip._udp.old.example.com", "SRV"): srv((0, 1, 5099, "a.example.com")),
        ("a.example.com", "A"): addresses(ONE),
    }
    assert Asked(zone).locate(TrunkTarget("example.com")) == only(
        Server(Hop(ONE, 5060, "tcp"), 0, 1), Server(Hop(ONE, 5060, "udp"), 1, 1)
    )
    secure = TrunkTarget("example.com", allowed=("udp", "tcp", "tls"))
    assert Asked(zone).locate(secure) == only(Server(Hop(ONE, 5061, "tls", "example.com"), 0, 0))


def test_a_naptr_order_that_leads_nowhere_gives_way_to_the_next() -> None:
    zone: Zone = {
        ("example.com", "NAPTR"): naptr(
            (10, 0, "SIP+D2T", "_sip._tcp.example.com"),
            (20, 0, "SIP+D2U", "_sip._udp.example.com"),
        ),
        ("_sip._udp.example.com", "SRV"): srv((0, 1, 5060, "a.example.com")),
        ("a.example.com", "A"): addresses(ONE),
    }
    assert Asked(zone).locate(TrunkTarget("example.com")) == only(Server(Hop(ONE, 5060), 0, 1))


@pytest.mark.parametrize(
    "record",
    [
        Naptr(1, 1, b"u", b"SIP+D2T", b"", "_sip._tcp.example.com"),
        Naptr(1, 1, b"s", b"SIP+D2T", b"!^.*$!sip:x!", "_sip._tcp.example.com"),
        Naptr(1, 1, b"s", b"SIP+D2S", b"", "_sip._sctp.example.com"),
        Naptr(1, 1, b"s", b"E2U+sip", b"", "_sip._tcp.example.com"),
        Naptr(1, 1, b"s", b"SIPS+D2T", b"", "_sips._tcp.example.com"),
        Naptr(1, 1, b"s", b"SIP+D2T", b"", ""),
        Naptr(1, 1, b"s", b"SIP+D2T", b"", "\\000.example.com"),
    ],
)
def test_a_naptr_that_we_cannot_use_is_as_good_as_none(record: Naptr) -> None:
    dns = Asked({("example.com", "NAPTR"): Found((record,)), ("example.com", "A"): addresses(ONE)})
    assert dns.locate(TrunkTarget("example.com")) == only(Server(Hop(ONE, 5060)))
    assert dns.rounds[1] == [("_sip._udp.example.com", "SRV"), ("_sip._tcp.example.com", "SRV")]


def test_a_naptr_question_that_nobody_answers_does_not_keep_us_from_srv() -> None:
    zone: Zone = {
        ("example.com", "NAPTR"): DEAD,
        ("_sip._udp.example.com", "SRV"): srv((0, 1, 5060, "a.example.com")),
        ("a.example.com", "A"): addresses(ONE),
    }
    located = Asked(zone).locate(TrunkTarget("example.com"))
    assert located == only(Server(Hop(ONE, 5060), 0, 1), ttl_s=PARTIAL_TTL_S)


# SRV.


def test_priorities_become_ranks_over_transports_and_srv_priorities() -> None:
    zone: Zone = {
        ("_sip._udp.example.com", "SRV"): srv((20, 1, 5060, "b.net"), (10, 1, 5060, "a.net")),
        ("_sip._tcp.example.com", "SRV"): srv((5, 1, 5060, "a.net")),
        ("a.net", "A"): addresses(ONE),
        ("b.net", "A"): addresses(TWO),
    }
    assert Asked(zone).locate(TrunkTarget("example.com")) == only(
        Server(Hop(ONE, 5060), 0, 1),
        Server(Hop(TWO, 5060), 1, 1),
        Server(Hop(ONE, 5060, "tcp"), 2, 1),
    )


def test_over_tls_the_certificate_must_be_for_the_domain_that_was_configured() -> None:
    zone: Zone = {
        ("_sips._tcp.example.com", "SRV"): srv((0, 0, 5061, "edge7.carrier.net")),
        ("edge7.carrier.net", "A"): addresses(ONE),
    }
    located = Asked(zone).locate(TrunkTarget("example.com", None, "tls"))
    assert located == only(Server(Hop(ONE, 5061, "tls", "example.com")))


def test_a_service_that_is_decidedly_not_there_is_not_guessed_at() -> None:
    zone: Zone = {
        ("_sip._udp.example.com", "SRV"): srv((0, 0, 0, "")),
        ("example.com", "A"): addresses(ONE),
    }
    for target in (TrunkTarget("example.com"), TrunkTarget("example.com", None, "udp")):
        with pytest.raises(
            NotFound, match=r"example\.com says itself that it offers no SIP over udp"
        ):
            Asked(zone).locate(target)


def test_a_service_that_is_not_there_leaves_the_others() -> None:
    zone: Zone = {
        ("_sip._udp.example.com", "SRV"): srv((0, 0, 0, "")),
        ("_sip._tcp.example.com", "SRV"): srv((0, 1, 5060, "a.net")),
        ("a.net", "A"): addresses(ONE),
    }
    located = Asked(zone).locate(TrunkTarget("example.com"))
    assert located == only(Server(Hop(ONE, 5060, "tcp"), 0, 1))


def test_srv_that_nobody_answers_is_not_replaced_by_the_address_of_the_domain() -> None:
    zone: Zone = {
        ("_sip._udp.example.com", "SRV"): DEAD,
        ("example.com", "A"): addresses(ONE),
    }
    with pytest.raises(LookupFailed) as caught:
        Asked(zone).locate(TrunkTarget("example.com"))
    assert str(caught.value) == (
        "example.com could not be looked up (SRV of _sip._udp.example.com: SERVFAIL);"
        " a port in the trunk's URI does without SRV records"
    )


def test_an_srv_target_that_is_an_address_means_what_it_says() -> None:
    zone: Zone = {("_sip._udp.example.com", "SRV"): srv((0, 1, 5060, ONE))}
    located = Asked(zone).locate(TrunkTarget("example.com", None, "udp"))
    assert located == only(Server(Hop(ONE, 5060), 0, 1))


def test_srv_records_of_port_0_or_with_a_target_that_is_no_name_are_passed_over() -> None:
    zone: Zone = {
        ("_sip._udp.example.com", "SRV"): srv(
            (0, 1, 0, "a.net"),
            (0, 1, 5060, "a\\000.net"),
            (0, 1, 5060, "127.1"),
            (1, 1, 5060, "a.net"),
        ),
        ("a.net", "A"): addresses(ONE),
    }
    dns = Asked(zone)
    located = dns.locate(TrunkTarget("example.com", None, "udp"))
    assert (located, dns.rounds[1]) == (only(Server(Hop(ONE, 5060), 0, 1)), [("a.net", "A")])


# Addresses.


def test_the_addresses_of_a_name_share_its_weight() -> None:
    zone: Zone = {
        ("_sip._udp.example.com", "SRV"): srv((0, 10, 5060, "a.net"), (0, 10, 5060, "b.net")),
        ("a.net", "A"): addresses(ONE),
        ("b.net", "A"): addresses(TWO, "192.0.2.3"),
    }
    located = Asked(zone).locate(TrunkTarget("example.com", None, "udp"))
    weights = {server.hop.host: server.weight for server in located.servers}
    assert weights == {ONE: 20, TWO: 10, "192.0.2.3": 10}


def test_a_server_that_shows_up_twice_is_one() -> None:
    zone: Zone = {
        ("_sip._udp.example.com", "SRV"): srv(
            (0, 10, 5060, "a.net"), (0, 5, 5060, "b.net"), (1, 7, 5060, "b.net")
        ),
        ("a.net", "A"): addresses(ONE, ONE),
        ("b.net", "A"): addresses(ONE),
    }
    located = Asked(zone).locate(TrunkTarget("example.com", None, "udp"))
    assert located == only(Server(Hop(ONE, 5060), 0, 15))


def test_the_second_family_of_a_name_ranks_behind_its_first_and_before_the_next_priority() -> None:
    zone: Zone = {
        ("_sip._udp.example.com", "SRV"): srv((0, 1, 5060, "a.net"), (1, 1, 5060, "b.net")),
        ("a.net", "A"): addresses(ONE),
        ("a.net", "AAAA"): addresses(SIX),
        ("b.net", "A"): addresses(TWO),
    }
    target = TrunkTarget("example.com", None, "udp")
    six, one, two = Hop(SIX, 5060), Hop(ONE, 5060), Hop(TWO, 5060)
    both = only(Server(six, 0, 1), Server(one, 1, 1), Server(two, 2, 1))
    assert Asked(zone).locate(target, (6, 4)) == both
    assert Asked(zone).locate(target, (4,)) == only(Server(one, 0, 1), Server(two, 1, 1))
    assert Asked(zone).locate(target, (6,)) == only(Server(six, 0, 1))


def test_a_name_without_a_usable_address_is_not_found() -> None:
    zone: Zone = {("example.com", "A"): addresses("0.0.0.0", "239.0.0.1", "255.255.255.255", "x")}
    with pytest.raises(NotFound, match=r"^example\.com leads to no IPv4 address$"):
        Asked(zone).locate(TrunkTarget("example.com"))


def test_an_address_that_nobody_could_tell_is_a_failure_unless_there_are_others() -> None:
    dead: Zone = {("example.com", "A"): DEAD}
    with pytest.raises(LookupFailed, match=r"A of example\.com: SERVFAIL"):
        Asked(dead).locate(TrunkTarget("example.com", 5060))
    half: Zone = {
        ("_sip._udp.example.com", "SRV"): srv((0, 1, 5060, "a.net"), (1, 1, 5060, "b.net")),
        ("a.net", "A"): DEAD,
        ("b.net", "A"): addresses(TWO),
    }
    located = Asked(half).locate(TrunkTarget("example.com", None, "udp"))
    assert located == only(Server(Hop(TWO, 5060), 0, 1), ttl_s=PARTIAL_TTL_S)


# Bounds.


@pytest.mark.parametrize(("ttl_s", "expected"), [(0, TTL_S_MIN), (120, 120), (604_800, TTL_S_MAX)])
def test_a_result_is_good_for_its_shortest_ttl_within_bounds(ttl_s: float, expected: float) -> None:
    zone: Zone = {
        ("_sip._udp.example.com", "SRV"): srv((0, 1, 5060, "a.net"), ttl_s=ttl_s),
        ("a.net", "A"): addresses(ONE, ttl_s=TTL_S_MAX),
    }
    assert Asked(zone).locate(TrunkTarget("example.com", None, "udp")).ttl_s == expected


def test_a_zone_without_end_ends() -> None:
    names = [f"h{number}.net" for number in range(500)]
    zone: dict[tuple[str, str], Found | Failed] = {
        ("_sip._udp.example.com", "SRV"): srv(*((0, 1, 5060, name) for name in names))
    }
    for number, name in enumerate(names):
        many = (f"198.51.{number % 256}.{last}" for last in range(1, 200))
        zone[name, "A"] = addresses(*many)
    dns = Asked(zone)
    located = dns.locate(TrunkTarget("example.com", None, "udp"))
    assert len(dns.rounds[1]) == ENDPOINTS_MAX
    assert len(located.servers) == SERVERS_MAX < ENDPOINTS_MAX * ADDRESSES_MAX
    assert {
        server.hop for server in Asked(zone).locate(TrunkTarget("example.com", None, "udp")).servers
    } == {server.hop for server in located.servers}


labels = st.sampled_from(
    ["a.net", "b.net", "", "127.1", "İ", "\\000", "x" * 300, ONE, SIX, "_sip._udp.a"]
)
texts = labels | st.text(max_size=8)
numbers = st.integers(0, 65535)
tokens = st.sampled_from([b"s", b"S", b"", b"SIP+D2U", b"SIP+D2T", b"SIPS+D2T", b"\xff"])
records = (
    st.builds(Srv, numbers, numbers, numbers, texts)
    | st.builds(Naptr, numbers, numbers, tokens, tokens, tokens, texts)
    | texts
)
hostile = st.builds(
    Found, st.lists(records, max_size=6).map(tuple), st.sampled_from([0.0, 5.0, 1e9])
) | st.builds(Failed, st.text(max_size=5))


@given(
    answers=st.lists(hostile, min_size=1, max_size=12),
    port=st.none() | numbers,
    transport=st.sampled_from((None, "udp", "tcp", "tls")),
    host=texts | st.just("example.com"),
    families=st.sampled_from(((4,), (6,), (6, 4))),
)
def test_no_answer_however_hostile_raises_anything_else(
    answers: list[Found | Failed],
    port: int | None,
    transport: Transport | None,
    host: str,
    families: tuple[Family, ...],
) -> None:
    class Hostile(dict[tuple[str, str], Found | Failed]):
        def get(self, key: object, default: object = None) -> Found | Failed:
            return answers[len(repr(key)) % len(answers)]

    dns = Asked(Hostile())
    try:
        located = dns.locate(TrunkTarget(host, port, transport, ("udp", "tcp", "tls")), families)
    except LocateError:
        return
    assert 0 < len(located.servers) <= SERVERS_MAX
    assert len({server.hop for server in located.servers}) == len(located.servers)
    assert TTL_S_MIN <= located.ttl_s <= TTL_S_MAX
    ranks = [server.priority for server in located.servers]
    assert ranks == sorted(ranks)
    assert set(ranks) <= set(range(len(ranks)))
    assert len(dns.rounds) <= 3
