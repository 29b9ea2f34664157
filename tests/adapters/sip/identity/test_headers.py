"""Who we say is calling: each way of presenting a call, and that no value ends its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sip.identity.headers import (
    ANONYMOUS,
    DISPLAY_NAME_BYTES_MAX,
    FORBIDDEN,
    HEADERS_BYTES_MAX,
    HEADERS_MAX,
    NAME_LENGTH_MAX,
    URI_BYTES_MAX,
    VALUE_BYTES_MAX,
    Presented,
    TrunkIdentity,
    UnsafeHeader,
    header_line,
    open_identity,
    present,
    quote_display_name,
)
from adapters.sip.wire.fields import read_name_addr, unquote
from adapters.sip.wire.message import compose, parse
from engine.ports.telephony import Presentation

DOMAIN = b"calls.example.com"
DID = "+14155550123"
FROM = b"<sip:+14155550123@calls.example.com>"
ASSERTED = b"P-Asserted-Identity: <sip:+14155550123@calls.example.com>"

FULL = TrunkIdentity(
    display_name="Acme",
    asserted="did",
    asserted_form="both",
    diversion="+14155550100",
    headers=(("X-Account", "7"), ("P-Charge-Info", "<sip:acme@example.com>")),
)
FULL_LINES = (
    ASSERTED,
    b"P-Asserted-Identity: <tel:+14155550123>",
    b"Diversion: <sip:+14155550100@calls.example.com>;reason=unconditional",
    b"X-Account: 7",
    b"P-Charge-Info: <sip:acme@example.com>",
)


def show(identity: TrunkIdentity, presentation: Presentation | None = None) -> Presented:
    return present(open_identity(identity, DOMAIN), DID, presentation or Presentation())


def test_a_trunk_without_settings_shows_the_did_and_nothing_else() -> None:
    assert show(TrunkIdentity()) == Presented(FROM, ())


def test_a_trunk_says_everything_that_it_is_configured_to() -> None:
    assert show(FULL) == Presented(b'"Acme" ' + FROM, FULL_LINES)


@pytest.mark.parametrize(
    ("asserted", "form", "lines"),
    [
        ("none", "both", ()),
        ("did", "sip", (ASSERTED,)),
        ("did", "tel", (b"P-Asserted-Identity: <tel:+14155550123>",)),
        ("+4930123456", "sip", (b"P-Asserted-Identity: <sip:+4930123456@calls.example.com>",)),
        ("+4930123456", "tel", (b"P-Asserted-Identity: <tel:+4930123456>",)),
        ("sip:main@pbx.example.com:5070", "tel", (b"P-Asserted-Identity: <sip:main@pbx.example.com:5070>",)),
        ("tel:+4930123456", "sip", (b"P-Asserted-Identity: <tel:+4930123456>",)),
    ],
)  # fmt: skip
def test_the_asserted_identity_is_none_the_did_or_one_for_all(
    asserted: str, form: str, lines: tuple[bytes, ...]
) -> None:
    identity = TrunkIdentity(asserted=asserted, asserted_form=form)  # type: ignore[arg-type]
    assert show(identity) == Presented(FROM, lines)


def test_a_withheld_number_is_known_to_the_carrier_alone() -> None:
    """RFC 3323 §4.1 and RFC 3325 §9: nothing but P-Asserted-Identity shows it."""
    assert show(
        TrunkIdentity(display_name="Acme"), Presentation("Bob", withhold=True)
    ) == Presented(ANONYMOUS, (b"Privacy: id", ASSERTED))


def test_a_withheld_number_is_asserted_as_the_trunk_says() -> None:
    presentation = Presentation(withhold=True)
    assert show(TrunkIdentity(asserted="+4930123456"), presentation) == Presented(
        ANONYMOUS,
        (b"Privacy: id", b"P-Asserted-Identity: <sip:+4930123456@calls.example.com>"),
    )
    assert show(FULL, presentation) == Presented(
        ANONYMOUS,
        (
            b"Privacy: id",
            *FULL_LINES[:2],
            b"Diversion: <sip:+14155550100@calls.example.com>;reason=unconditional;privacy=full",
            *FULL_LINES[3:],
        ),
    )


def test_what_a_call_brings_goes_before_what_its_trunk_says() -> None:
    presentation = Presentation(
        display_name="Bob",
        diverted_from="+4940111",
        headers=(("x-account", "8"), ("Subject", " Grüße ")),
    )
    assert show(FULL, presentation) == Presented(
        b'"Bob" ' + FROM,
        (
            *FULL_LINES[:2],
            b"Diversion: <sip:+4940111@calls.example.com>;reason=unconditional",
            FULL_LINES[4],
            b"x-account: 8",
            "Subject: Grüße".encode(),
        ),
    )


def test_an_identity_made_elsewhere_goes_out_as_it_is() -> None:
    value = "eyJhbGci.eyJhdHRl.c2ln;info=<https://cert.example.org/p.cer>;alg=ES256;ppt=shaken"
    brought = (("Identity", value), ("Date", "Fri, 25 Sep 2015 19:12:25 GMT"))
    assert show(TrunkIdentity(), Presentation(headers=brought)) == Presented(
        FROM,
        (b"Identity: " + value.encode(), b"Date: Fri, 25 Sep 2015 19:12:25 GMT"),
        has_identity=True,
    )


def test_a_date_without_an_identity_is_left_out() -> None:
    brought = (("Date", "Fri, 25 Sep 2015 19:12:25 GMT"), ("X-A", "1"))
    assert show(TrunkIdentity(), Presentation(headers=brought)) == Presented(
        FROM, (b"X-A: 1",), dropped=("The header 'Date' goes out beside an Identity only.",)
    )


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("", b""),
        ("  ", b""),
        (" Acme ", b'"Acme" '),
        ('Bob "the" \\ Builder', b'"Bob \\"the\\" \\\\ Builder" '),
        ("Grüße, मदद; <sip:x@y>", '"Grüße, मदद; <sip:x@y>" '.encode()),
    ],
)
def test_a_display_name_is_quoted(name: str, quoted: bytes) -> None:
    assert quote_display_name(name) == quoted


@pytest.mark.parametrize(
    "name",
    [
        "a\r\nVia: x", "a\nb", "a\tb", "a\0b", "a\x7fb", "a\x85b", "a\u2028b", "a\ud800b",
        "x" * DISPLAY_NAME_BYTES_MAX,
    ],
)  # fmt: skip
def test_a_display_name_that_cannot_go_out_is_refused_or_left_out(name: str) -> None:
    with pytest.raises(UnsafeHeader):
        open_identity(TrunkIdentity(display_name=name), DOMAIN)
    shown = show(FULL, Presentation(display_name=name))
    assert (shown.from_value, shown.lines, len(shown.dropped)) == (b'"Acme" ' + FROM, FULL_LINES, 1)


@given(st.text())
def test_a_display_name_comes_back_as_it_was_whoever_reads_it(name: str) -> None:
    shown = show(TrunkIdentity(), Presentation(display_name=name))
    read = read_name_addr(shown.from_value)
    assert read.uri == b"sip:+14155550123@calls.example.com"
    if not shown.dropped:
        assert unquote(b'"%b"' % read.display).decode() == name.strip()


@given(
    st.lists(st.tuples(st.sampled_from(["X-A", "X-B", "Date", "Identity", "Via"]) | st.text(), st.text())),
    st.text(),
    st.text(),
    st.booleans(),
)  # fmt: skip
def test_whatever_a_call_brings_its_lines_are_a_message(
    headers: list[tuple[str, str]], name: str, diverted_from: str, withhold: bool
) -> None:
    presentation = Presentation(name, withhold, diverted_from, tuple(headers))
    shown = show(FULL, presentation)
    lines = [
        b"INVITE sip:a@b SIP/2.0",
        b"Via: SIP/2.0/UDP h;branch=z9hG4bK1",
        b"From: %b;tag=1" % shown.from_value,
        b"To: <sip:a@b>",
        b"Call-ID: 1",
        b"CSeq: 1 INVITE",
        *shown.lines,
    ]
    message = parse(compose(lines))
    assert message.from_tag == b"1"
    assert sum(len(values) for values in message.fields.values()) == len(lines) - 1 + 1


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_a_header_that_sip_needs_is_refused(name: str) -> None:
    with pytest.raises(UnsafeHeader):
        header_line(name, "x")
    assert show(TrunkIdentity(), Presentation(headers=((name.title(), "x"),))).lines == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("X A", "x"),
        ("X:A", "x"),
        ("X\r\n", "x"),
        ("Ä", "x"),
        ("\ud800", "x"),
        ("X" * (NAME_LENGTH_MAX + 1), "x"),
        ("v", "SIP/2.0/UDP h"),
        ("y", "token"),
        ("X-A", "a\r\nVia: x"),
        ("X-A", "a\r\n b"),
        ("X-A", "a\nb"),
        ("X-A", "a\x00"),
        ("X-A", "a\x9f"),
        ("X-A", "a\ud800"),
        ("X-A", "x" * (VALUE_BYTES_MAX + 1)),
    ],
)
def test_a_header_that_cannot_go_out_is_refused_or_left_out(name: str, value: str) -> None:
    with pytest.raises(UnsafeHeader):
        open_identity(TrunkIdentity(headers=((name, value),)), DOMAIN)
    presentation = Presentation(headers=((name, value), ("X-Good", "a\tb")))
    shown = show(TrunkIdentity(), presentation)
    assert (shown.lines, len(shown.dropped)) == ((b"X-Good: a\tb",), 1)


def test_what_is_wrong_with_a_header_is_told_without_its_value() -> None:
    shown = show(
        TrunkIdentity(), Presentation(headers=(("X-Token", "secret\n"), ("Via", "secret")))
    )
    assert shown.dropped == (
        "The header 'X-Token' has a line break or a control character in it.",
        "The header 'Via' belongs to SIP itself and cannot be set.",
    )


@pytest.mark.parametrize("name", ["Identity", "date"])
def test_a_header_of_one_moment_is_none_of_a_trunks(name: str) -> None:
    with pytest.raises(UnsafeHeader):
        open_identity(TrunkIdentity(headers=((name, "x"),)), DOMAIN)


def test_a_trunk_has_a_bounded_number_of_headers() -> None:
    headers = tuple((f"X-{i}", "x") for i in range(HEADERS_MAX + 1))
    assert len(show(TrunkIdentity(headers=headers[:-1])).lines) == HEADERS_MAX
    with pytest.raises(UnsafeHeader):
        open_identity(TrunkIdentity(headers=headers), DOMAIN)


def test_headers_of_a_call_beyond_their_number_are_left_out() -> None:
    headers = tuple((f"X-{i}", "x") for i in range(HEADERS_MAX + 2))
    shown = show(TrunkIdentity(), Presentation(headers=headers))
    assert shown.lines == tuple(b"X-%d: x" % i for i in range(HEADERS_MAX))
    assert shown.dropped == (f"2 headers are beyond {HEADERS_MAX} of a call.",)


def test_headers_beyond_their_bytes_are_refused_or_left_out() -> None:
    headers = (("X-1", "x" * VALUE_BYTES_MAX), ("X-2", "x" * VALUE_BYTES_MAX), ("X-3", "x"))
    with pytest.raises(UnsafeHeader):
        open_identity(TrunkIdentity(headers=headers), DOMAIN)
    shown = show(TrunkIdentity(), Presentation(headers=headers))
    assert [line[:5] for line in shown.lines] == [b"X-1: ", b"X-3: "]
    assert shown.dropped == (f"The header 'X-2' is beyond {HEADERS_BYTES_MAX} bytes of headers.",)


@pytest.mark.parametrize(
    "who",
    [
        "", "4930123456", "+0930123456", "+49 30", "mailto:a@b", "sip:", "sip:a@b>;x=<", "sip:a b@c",
        "sip:a@b\r\nVia: x", "sip:a@b?Replaces=x", 'sip:"a"@b', "sip:ä@b", "tel:",
        "sip:" + "a" * URI_BYTES_MAX,
    ],
)  # fmt: skip
def test_whoever_is_named_is_a_number_or_a_uri(who: str) -> None:
    with pytest.raises(UnsafeHeader):
        open_identity(TrunkIdentity(asserted=who), DOMAIN)
    with pytest.raises(UnsafeHeader):
        open_identity(TrunkIdentity(diversion=who), DOMAIN)


def test_a_diversion_that_cannot_go_out_is_left_out() -> None:
    shown = show(TrunkIdentity(), Presentation(diverted_from="+1 415\r\n"))
    assert (shown.from_value, shown.lines, len(shown.dropped)) == (FROM, (), 1)


@pytest.mark.parametrize("domain", [b"", b"a b", b"a>", b"a\r\nb", b"a@b", b"a;b"])
def test_a_domain_is_a_host(domain: bytes) -> None:
    with pytest.raises(UnsafeHeader):
        open_identity(TrunkIdentity(), domain)


def test_an_address_stands_for_a_domain() -> None:
    identity = open_identity(TrunkIdentity(), b"[2001:db8::1]:5062")
    assert present(identity, DID, Presentation()) == Presented(
        b"<sip:+14155550123@[2001:db8::1]:5062>", ()
    )
