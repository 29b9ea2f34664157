"""What each form of value takes, and what it refuses."""

from __future__ import annotations

import pytest

from api.config import ConfigError, read_config
from tests.api.config.mistakes import find_mistakes


def test_an_administrator_key_is_not_repeated_in_its_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config("", {"CALLWHEEL_ADMIN_KEY": "my secret"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "bind",
    ["8080", ":8080", "localhost:80", "127.0.0.1:65536", "::1:80", "127.0.0.1:-1", "127.0.0.1:٣"],
)
def test_a_bind_address_is_an_ip_address_and_a_port(bind: str) -> None:
    assert [code for _, code in find_mistakes(f'http.bind = "{bind}"')] == ["invalid_address"]


@pytest.mark.parametrize(
    "ports",
    ["20000", "20000-20000", "20000-19999", "20001-20002", "20000-20002", "0-99", "65000-65537"],
)
def test_media_ports_are_an_even_range(ports: str) -> None:
    assert [code for _, code in find_mistakes(f'media.ports = "{ports}"')] == ["invalid_ports"]


@pytest.mark.parametrize(
    "uri",
    [
        "sip:",
        "sips:carrier.example.com",
        "sip:user@carrier.example.com",
        "sip:10.0.0.999",
        "sip:carrier.example.com:0",
        "sip:carrier.example.com;lr",
        "sip:carrier.example.com;transport=sctp",
        "sip:-a-",
        "sip:a b",
        "sip:[::1",
    ],
)
def test_a_trunk_uri_has_one_form(uri: str) -> None:
    codes = [code for _, code in find_mistakes(f'[[trunks]]\nname = "a"\nuri = "{uri}"\n')]
    assert codes in (["invalid_uri"], ["invalid_address"])


@pytest.mark.parametrize(
    "url", ["calls.example.com", "ftp://a", "https://", "https://a/b", "https://u@a", "http://a:x"]
)
def test_a_public_url_is_a_web_address_without_a_path(url: str) -> None:
    assert [code for _, code in find_mistakes(f'http.public_url = "{url}"')] == ["invalid_url"]


@pytest.mark.parametrize(
    ("planes", "code"),
    [("0", "out_of_range"), ("65", "out_of_range"), ("1.5", "wrong_type"), ("true", "wrong_type")],
)
def test_planes_are_a_whole_number_of_processes(planes: str, code: str) -> None:
    assert [found for _, found in find_mistakes(f"media.planes = {planes}")] == [code]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('http.forwarded_by = "x-real-ip"', "invalid_header"),
        ('log.format = "xml"', "invalid_choice"),
    ],
)
def test_a_choice_takes_only_what_there_is_to_choose(text: str, code: str) -> None:
    assert [found for _, found in find_mistakes(text)] == [code]


@pytest.mark.parametrize("cps", ["2.5", "1.000001", "199.99"])
def test_a_pace_that_no_second_can_hold_is_refused_and_not_cut_off(cps: str) -> None:
    trunk = f'[[trunks]]\nname = "main"\nuri = "sip:10.0.0.1"\ncps = {cps}\n'
    assert find_mistakes(f"limits.cps = {cps}\n{trunk}") == [
        ("callwheel.toml, line 1: limits.cps", "invalid_cps"),
        ("callwheel.toml, line 5: trunks.0.cps", "invalid_cps"),
    ]
    assert find_mistakes("", CALLWHEEL_LIMITS__CPS=cps) == [
        ("environment: CALLWHEEL_LIMITS__CPS", "invalid_cps")
    ]


def test_a_refused_pace_is_told_with_what_would_have_been_right() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config("limits.cps = 2.5", {})
    assert "This is a whole number, or less than one, not 2.5. (invalid_cps)" in str(caught.value)


@pytest.mark.parametrize("cps", [0.4, 1.0, 3, 100_000])
def test_a_pace_is_a_whole_number_of_calls_a_second_or_less_than_one(cps: float) -> None:
    assert read_config(f"limits.cps = {cps}", {}).limits.cps == cps
