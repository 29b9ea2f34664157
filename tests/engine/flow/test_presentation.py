"""How a flow's calls show who is calling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.flow.presentation import find_presentation_mistakes, present, read_presentation
from engine.model import PresentationSettings
from engine.ports.telephony import Presentation


def shown(settings: PresentationSettings, **variables: str) -> Presentation:
    return present(read_presentation(settings), variables)


def mistakes(raw: Any) -> list[tuple[str, str]]:
    return [(one.pointer, one.code) for one in find_presentation_mistakes(raw, "/p")]


def test_a_flow_that_says_nothing_shows_nothing_of_its_own() -> None:
    assert shown(PresentationSettings()) == Presentation()


def test_everything_that_a_flow_says_is_shown() -> None:
    settings = PresentationSettings(
        display_name="Acme",
        withhold=True,
        diverted_from="0014155550100",
        headers={"X-Account": "7", "Identity": "eyJ.x.y;info=<https://a>"},
    )
    assert shown(settings) == Presentation(
        "Acme",
        True,
        "+14155550100",
        (("X-Account", "7"), ("Identity", "eyJ.x.y;info=<https://a>")),
    )


def test_a_contacts_variables_fill_what_is_shown() -> None:
    settings = PresentationSettings(
        display_name="{{brand}}", headers={"X-Ref": "{{ ref }}-{{brand}}", "X-Fixed": "1"}
    )
    assert shown(settings, brand="Zoë", ref="a7") == Presentation(
        display_name="Zoë", headers=(("X-Ref", "a7-Zoë"), ("X-Fixed", "1"))
    )


def test_what_cannot_be_filled_is_left_out_and_the_call_is_made_without() -> None:
    settings = PresentationSettings(
        display_name="{{brand}}", headers={"X-Ref": "ref {{ref}}", "X-Fixed": "1", "X-B": "{{b}}"}
    )
    assert shown(settings, b="") == Presentation(headers=(("X-Fixed", "1"),))


def test_what_becomes_too_long_is_left_out() -> None:
    settings = PresentationSettings(display_name="{{a}}", headers={"X-A": "{{a}}"})
    assert shown(settings, a="x" * 101) == Presentation(headers=(("X-A", "x" * 101),))
    assert shown(settings, a="x" * 2049) == Presentation()


def test_a_variables_own_braces_are_not_filled_again() -> None:
    settings = PresentationSettings(headers={"X-A": "{{a}}"})
    assert shown(settings, a="{{b}}", b="secret").headers == (("X-A", "{{b}}"),)


@given(st.text(max_size=60))
def test_no_variable_ends_its_header_or_breaks_its_bytes(value: str) -> None:
    settings = PresentationSettings(display_name="n {{v}}", headers={"X-A": "a{{v}}z"})
    found = shown(settings, v=value)
    for text in (found.display_name, *(value for _, value in found.headers)):
        assert not set(text.encode()) & {*range(0x20), 0x7F}
        assert text.splitlines() in ([], [text])


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        {"display_name": "Acme", "withhold": True, "headers": {}},
        {"headers": {"X-A": "{{v}}", "identity": "x", "Date": "y", "P-Early-Media": "supported"}},
        {"diverted_from": "+1 (415) 555-0100"},
        "nonsense",
        {"headers": ["nonsense"], "display_name": 7, "diverted_from": 7},
    ],
)
def test_what_may_be_shown_or_is_for_others_to_judge_is_let_through(raw: Any) -> None:
    assert mistakes(raw) == []


TAKEN = (
    "Via From to CALL-ID CSeq Contact Content-Type content-x Max-Forwards Route Record-Route Require "
    "Supported Allow Authorization Proxy-Authorization Session-Expires Min-SE RAck RSeq Privacy "
    "P-Asserted-Identity Diversion v f t i m y Remote-Party-ID P-Charge-Info History-Info "
    "P-Asserted-Service P-Preferred-Service P-Preferred-Identity Priv-Answer-Mode Resource-Priority"
)


@pytest.mark.parametrize("name", TAKEN.split())
def test_headers_that_are_not_a_flows_to_set_are_refused(name: str) -> None:
    assert mistakes({"headers": {name: "x"}}) == [(f"/p/headers/{name}", "reserved_header")]


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X-A\r\n", "Ü", "x" * 65, "X-\0"])
def test_a_headers_name_is_a_token(name: str) -> None:
    assert [code for _, code in mistakes({"headers": {name: "x"}})] == ["invalid_header_name"]


def test_other_mistakes_have_their_place() -> None:
    raw = {
        "display_name": "a\r\nb",
        "diverted_from": "12",
        "headers": {"X-A": "1", "x-a": "2", "X/B": "1", "X-C": "a\nVia: b", "X-D": "\ud800"},
    }
    assert mistakes(raw) == [
        ("/p/display_name", "invalid_header_value"),
        ("/p/diverted_from", "invalid_number"),
        ("/p/headers/x-a", "duplicate_header"),
        ("/p/headers/X~1B", "invalid_header_name"),
        ("/p/headers/X-C", "invalid_header_value"),
        ("/p/headers/X-D", "invalid_header_value"),
    ]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("x" * (4096 - 2053 - 5), []),
        ("x" * (4096 - 2053 - 4), [("/p/headers", "headers_too_long")]),
        ("ü" * 1019 + "{{variable}}", []),
        ("ü" * 1020 + " {{variable}}", [("/p/headers", "headers_too_long")]),
    ],
)
def test_all_headers_together_fit_into_what_a_call_may_bring(
    last: str, expected: list[tuple[str, str]]
) -> None:
    assert mistakes({"headers": {"X-A": "x" * 2048, "X-B": last}}) == expected
