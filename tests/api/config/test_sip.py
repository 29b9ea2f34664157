"""The configuration of signalling: what `[sip]`, trunks and routes take, and what is told of what they do
not."""

from __future__ import annotations

import pytest

from adapters.media.codecs import opus
from api.config import ConfigError, Sip, read_config
from api.config.keys import Address
from engine.model.disposition import OutcomeTable
from tests.api.config.mistakes import find_mistakes

TRUNK = '[[trunks]]\nname = "a"\nuri = "sip:a"\n'


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (
            '[sip]\ntls_bind = "127.0.0.1:5061"\n',
            ["callwheel.toml, line 1: sip.tls_cert", "callwheel.toml, line 1: sip.tls_key"],
        ),
        (
            '[sip]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n',
            ["callwheel.toml, line 1: sip.tls_bind"],
        ),
        (TRUNK + 'password = "p"\n', ["callwheel.toml, line 1: trunks.0.username"]),
        (TRUNK + "register = true\n", ["callwheel.toml, line 1: trunks.0.username"]),
        (
            TRUNK + 'stir_key = "key.pem"\n',
            [
                "callwheel.toml, line 1: trunks.0.stir_attestation",
                "callwheel.toml, line 1: trunks.0.stir_certificate_url",
            ],
        ),
        (
            "[[routes]]\n",
            ["callwheel.toml, line 1: routes.0.name", "callwheel.toml, line 1: routes.0.trunks"],
        ),
    ],
)
def test_a_key_that_needs_another_beside_it_says_which(text: str, places: list[str]) -> None:
    assert find_mistakes(text) == [(place, "missing_key") for place in places]


def test_certificate_and_key_of_tls_stand_alone_without_further_authorities() -> None:
    config = read_config(
        'sip = {tls_bind = "127.0.0.1:5061", tls_cert = "cert.pem", tls_key = "key.pem"}', {}
    )
    assert config.sip == Sip(
        tls_bind=Address("127.0.0.1", 5061), tls_cert="cert.pem", tls_key="key.pem"
    )


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ('tls_bind = "5061"', "invalid_address"),
        ('advertise = "0.0.0.0"', "invalid_address"),
        ('advertise = "192.0.2.8:5062"', "invalid_address"),
        ("nameservers = 5", "wrong_type"),
        ("nameservers = [5]", "wrong_type"),
        ('nameservers = ["dns.example.com"]', "invalid_address"),
        ('nameservers = ["192.0.2.53:0"]', "invalid_address"),
        ('nameservers = ["192.0.2.53:99999"]', "invalid_address"),
        ("nameservers = [" + '"192.0.2.53",' * 9 + "]", "too_many"),
        ("trace_keep_s = -1", "out_of_range"),
        ("trace_keep_s = 1.5", "wrong_type"),
        ("trace_bytes_max = 1000", "out_of_range"),
        ("trace_bytes_max = true", "wrong_type"),
    ],
)
def test_a_setting_of_sip_that_cannot_be_used_is_told(setting: str, code: str) -> None:
    place = f"callwheel.toml, line 2: sip.{setting.partition(' ')[0]}"
    beside = '\ntls_cert = "c"\ntls_key = "k"' if setting.startswith("tls") else ""
    assert find_mistakes(f"[sip]\n{setting}{beside}\n") == [(place, code)]


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("192.0.2.53", Address("192.0.2.53", 53)),
        ("192.0.2.53:5353", Address("192.0.2.53", 5353)),
        ("2001:db8::53", Address("2001:db8::53", 53)),
        ("[2001:db8::53]", Address("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", Address("2001:db8::53", 5353)),
    ],
)
def test_a_name_server_has_a_port_or_takes_53(server: str, address: Address) -> None:
    config = read_config(f'sip.nameservers = ["{server}", "{server}"]', {})
    assert config.sip.nameservers == (address,)


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ("register = 1", "wrong_type"),
        ("register_expires_s = 59", "out_of_range"),
        ("register_expires_s = 86401", "out_of_range"),
        ("probe_s = 4", "out_of_range"),
        ("probe_s = 3601", "out_of_range"),
        ("probe_s = -1", "out_of_range"),
        ("probe_s = false", "wrong_type"),
        ("session_expires_s = 89", "out_of_range"),
        ("session_expires_s = 86401", "out_of_range"),
        ('large_over_tcp = "yes"', "wrong_type"),
        ('tls_check = "no"', "wrong_type"),
        ("follow_redirects = 0", "wrong_type"),
        ('from_domain = "calls example"', "invalid_domain"),
        ('from_domain = "10.0.0.999"', "invalid_domain"),
        ('from_domain = "calls.example.com:5060"', "invalid_domain"),
        ("display_name = 5", "wrong_type"),
        ('display_name = "a\\r\\nVia: x"', "invalid_display_name"),
        ('asserted_identity = "4930"', "invalid_identity"),
        ('asserted_identity = "sip:a@b>"', "invalid_identity"),
        ('asserted_form = "sips"', "invalid_choice"),
        ("asserted_form = 5", "invalid_choice"),
        ('diversion = "none"', "invalid_identity"),
        ('codecs = "PCMU"', "wrong_type"),
        ("codecs = []", "wrong_type"),
        ("codecs = [0]", "invalid_codec"),
        ('codecs = ["PCMU", "G729"]', "invalid_codec"),
        ('srtp = "on"', "invalid_choice"),
        ("srtp = true", "invalid_choice"),
        ('headers = "X-Account: 7"', "wrong_type"),
        ('headers = ["X-Account"]', "invalid_header"),
        ("headers = [7]", "invalid_header"),
        ('headers = ["Via: SIP/2.0/UDP x"]', "invalid_header"),
        ('headers = ["Identity: x"]', "invalid_header"),
        ('headers = ["X-A: b\\r\\nVia: x"]', "invalid_header"),
        ("headers = [" + '"X-A: b",' * 17 + "]", "invalid_header"),
    ],
)
def test_a_setting_of_a_trunk_that_cannot_be_used_is_told(setting: str, code: str) -> None:
    place = f"callwheel.toml, line 4: trunks.0.{setting.partition(' ')[0]}"
    assert find_mistakes(f"{TRUNK}{setting}\n") == [(place, code)]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("stir_certificate_url", "http://cert.example.com/p.cer", "invalid_url"),
        ("stir_certificate_url", "https://cert.example.com/p.cer>", "invalid_url"),
        ("stir_attestation", "a", "invalid_choice"),
    ],
)
def test_a_setting_of_stir_that_cannot_be_used_is_told(name: str, value: str, code: str) -> None:
    stir = {
        "stir_key": "k",
        "stir_certificate_url": "https://cert.example.com/p.cer",
        "stir_attestation": "C",
    }
    read_config(TRUNK + "".join(f'{key} = "{stir[key]}"\n' for key in stir), {})
    text = TRUNK + "".join(f'{key} = "{(stir | {name: value})[key]}"\n' for key in stir)
    assert [(place.rpartition(".")[2], found) for place, found in find_mistakes(text)] == [
        (name, code)
    ]


@pytest.mark.parametrize(
    ("domain", "read"),
    [
        ("Calls.Example.com", "calls.example.com"),
        ("192.0.2.8", "192.0.2.8"),
        ("2001:db8::8", "[2001:db8::8]"),
        ("[2001:DB8::8]", "[2001:db8::8]"),
    ],
)
def test_the_domain_of_from_stands_as_in_a_uri(domain: str, read: str) -> None:
    config = read_config(f'{TRUNK}from_domain = "{domain}"\n', {})
    assert config.trunks[0].from_domain == read


@pytest.mark.parametrize(
    "outcomes",
    [
        '{"sip:487" = "no-answer", "text:a=b" = "busy"}',
        '["sip:487 = no-answer", "text:a=b = busy"]',
        '["sip:487=no-answer", "text:a=b=busy"]',
    ],
)
def test_outcomes_are_a_table_or_a_list_in_their_order(outcomes: str) -> None:
    config = read_config(f"{TRUNK}outcomes = {outcomes}\n", {})
    assert config.trunks[0].outcomes == OutcomeTable(
        by_text=(("a=b", "busy"),), by_sip={487: "no-answer"}
    )
    environment = {"CALLWHEEL_TRUNKS__0__OUTCOMES": outcomes}
    assert read_config(TRUNK, environment) == config


def test_outcomes_can_have_a_header_of_their_own() -> None:
    config = read_config(f'{TRUNK}[trunks.outcomes]\n"sip:503" = "busy"\n', {})
    assert config.trunks[0].outcomes == OutcomeTable(by_sip={503: "busy"})


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ("5", "wrong_type"),
        ("[5]", "invalid_outcome"),
        ('["sip:487"]', "invalid_outcome"),
        ('{"sip:200" = "busy"}', "invalid_outcome"),
        ('{"sip:700" = "busy"}', "invalid_outcome"),
        ('{"487" = "busy"}', "invalid_outcome"),
        ('{"q850:128" = "busy"}', "invalid_outcome"),
        ('{"text: " = "busy"}', "invalid_outcome"),
        ('{"text:a\\u0000" = "busy"}', "invalid_outcome"),
        ('{"text:' + "x" * 101 + '" = "busy"}', "invalid_outcome"),
        ('{"sip:487" = "no_answer"}', "invalid_outcome"),
        ('{"sip:487" = ["busy"]}', "invalid_outcome"),
        ('{"sip:487" = "answered"}', "invalid_outcome"),
        ('["sip:487=busy", "sip:487=declined"]', "invalid_outcome"),
        ("[" + ",".join(f'"sip:{300 + i}=busy"' for i in range(101)) + "]", "invalid_outcome"),
    ],
)
def test_an_outcome_that_means_nothing_is_told(outcomes: str, code: str) -> None:
    assert find_mistakes(f"{TRUNK}outcomes = {outcomes}\n") == [
        ("callwheel.toml, line 4: trunks.0.outcomes", code)
    ]


@pytest.mark.parametrize(
    ("trunks", "code"),
    [
        ('"a"', "wrong_type"),
        ("[]", "invalid_route"),
        ('["a", []]', "invalid_route"),
        ('["a", ["a"]]', "invalid_route"),
        ('[["a", ["a"]]]', "wrong_type"),
        ("[5]", "wrong_type"),
        ('["a b"]', "invalid_name"),
        ('["a", "b"]', "unknown_trunk"),
        ("[[" + ",".join(f'"t{i}"' for i in range(65)) + "]]", "too_many"),
    ],
)
def test_a_route_goes_over_trunks_that_are_there(trunks: str, code: str) -> None:
    assert find_mistakes(f'{TRUNK}[[routes]]\nname = "r"\ntrunks = {trunks}\n') == [
        ("callwheel.toml, line 6: routes.0.trunks", code)
    ]


def test_trunks_and_routes_share_their_names() -> None:
    routes = '[[routes]]\nname = "a"\ntrunks = ["a"]\n[[routes]]\nname = "r"\ntrunks = ["a"]\n'
    assert find_mistakes(TRUNK + routes + '[[routes]]\nname = "r"\ntrunks = ["a"]\n') == [
        ("callwheel.toml, line 5: routes.0.name", "duplicate_route"),
        ("callwheel.toml, line 11: routes.2.name", "duplicate_route"),
    ]


def test_a_tenth_route_comes_after_the_ninth() -> None:
    environment = {f"CALLWHEEL_ROUTES__{i}__NAME": f"r{i}" for i in range(11)}
    environment |= {f"CALLWHEEL_ROUTES__{i}__TRUNKS": "a" for i in range(11)}
    names = [route.name for route in read_config(TRUNK, environment).routes]
    assert names == [f"r{i}" for i in range(11)]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_trunk_is_reached_over_any_transport(transport: str) -> None:
    text = f'[[trunks]]\nname = "a"\nuri = "sip:a;Transport={transport.upper()}"\n'
    uri = read_config(text, {}).trunks[0].uri
    assert (uri.host, uri.port, uri.transport) == ("a", None, transport)


def test_a_name_server_by_name_is_told_what_it_is_instead() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config('sip.nameservers = ["dns.example.com"]', {}, file="c.toml")
    assert str(caught.value) == (
        "c.toml, line 1: sip.nameservers: The host is an IP address, as 127.0.0.1 or [::1], not"
        " 'dns.example.com'. (invalid_address)"
    )


@pytest.mark.parametrize(
    ("sip", "uri", "codes"),
    [
        ("", "sip:127.0.0.1:5062", ["own_address"]),
        ("", "sip:127.0.0.1:5062;transport=tcp", ["own_address"]),
        ("", "sip:127.0.0.1:5062;transport=tls", []),
        ("", "sip:127.0.0.1", []),
        ("", "sip:127.0.0.2:5062", []),
        ("", "sip:localhost:5062", []),
        ("", "sip:[::1]:5070", ["wrong_family"]),
        ('bind = "192.0.2.1:5060"', "sip:192.0.2.1", ["own_address"]),
        ('bind = "[::1]:5062"', "sip:[0:0::1]:5062", ["own_address"]),
        ('bind = "[::1]:5062"', "sip:127.0.0.1:5062", ["wrong_family"]),
        ('bind = "[::]:5062"', "sip:127.0.0.1:5070", ["wrong_family"]),
        ('bind = "0.0.0.0:5062"', "sip:127.0.0.1:5062", ["own_address"]),
        ('bind = "0.0.0.0:5062"', "sip:192.0.2.9:5062", []),
        ('bind = "0.0.0.0:5062"\nadvertise = "192.0.2.9"', "sip:192.0.2.9:5062", ["own_address"]),
        ('bind = "127.0.0.1:0"', "sip:127.0.0.1:5062", []),
        (
            'tls_bind = "127.0.0.1:5061"\ntls_cert = "c"\ntls_key = "k"',
            "sip:127.0.0.1;transport=tls",
            ["own_address"],
        ),
    ],
)
def test_a_trunk_is_another_machine_that_we_can_speak_to(
    sip: str, uri: str, codes: list[str]
) -> None:
    text = f'trunks = [{{name = "a", uri = "{uri}"}}]\n[sip]\n{sip}\n'
    found = find_mistakes(text) if codes else list(read_config(text, {}).trunks[1:])
    assert found == [("callwheel.toml, line 1: trunks.0.uri", code) for code in codes]


@pytest.mark.parametrize(
    "setting",
    [
        "password = 7352981\nusername = 'u'",
        "password = ['7352981']\nusername = 'u'",
        "password = {a = '7352981'}\nusername = 'u'",
        "username = 7352981\npassword = 'p'",
        "uri = 'sip:user:7352981@x'",
        "uri = 'sip:us@er:7352981 7352981@x'",
        "uri = ['sip:user:7352981@x']",
        "uri = 'sip:user;pw=7352981@x'",
        "uri = 'sip:user:" + "7352981" * 20 + "@x'",
        "asserted_identity = 'sip:user:7352981@x>'",
        "diversion = 'sip:user:" + "7352981" * 20 + "@x>'",
        "stir_certificate_url = 'http://user:7352981@x'",
        "headers = ['Authorization 7352981']",
        "headers = 'Authorization: 7352981'",
        "from_domain = 'user:7352981@x'",
        "register = 'sip:user:7352981@x'",
    ],
)
def test_no_mistake_repeats_a_secret(setting: str) -> None:
    uri = "" if setting.startswith("uri") else 'uri = "sip:a"\n'
    with pytest.raises(ConfigError) as caught:
        read_config(f'[[trunks]]\nname = "a"\n{uri}{setting}\n', {})
    assert "7352981" not in str(caught.value)


def test_headers_of_a_variable_that_are_no_list_are_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(TRUNK, {"CALLWHEEL_TRUNKS__0__HEADERS": '["Authorization: 7352981"'})
    assert [(mistake.code, mistake.detail) for mistake in caught.value.mistakes] == [
        ("wrong_type", 'This is a list, as ["X-Account: 7"]; what stands there is not shown.')
    ]


def test_a_uri_with_a_user_is_shown_without_its_user() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config('[[trunks]]\nname = "a"\nuri = "sip:user:secret@x"\n', {}, file="c.toml")
    assert str(caught.value) == (
        "c.toml, line 3: trunks.0.uri: This is sip:host:port, as sip:127.0.0.1:5060, not"
        " 'sip:***@x'. (invalid_uri)"
    )


def test_opus_is_taken_where_the_extra_is_and_else_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = '[[trunks]]\nname = "main"\nuri = "sip:127.0.0.1"\ncodecs = ["Opus", "PCMU"]'
    assert read_config(text, {}).trunks[0].codecs == ("opus", "PCMU")
    monkeypatch.setattr(opus, "is_installed", lambda: False)
    with pytest.raises(ConfigError) as caught:
        read_config(text, {})
    assert [(mistake.code, mistake.detail) for mistake in caught.value.mistakes] == [
        ("not_installed", "opus needs PyAV: pip install 'callwheel[opus]'.")
    ]
