"""Where settings stand: file and environment laid over each other, and the places of mistakes."""

from __future__ import annotations

import pytest

from api.config import ConfigError, Limits, Trunk, read_config
from api.config.keys import TrunkUri
from engine.model import Cap
from tests.api.config.mistakes import find_mistakes
from tests.api.config.whole import WHOLE, WHOLE_CONFIG


def test_the_environment_goes_before_the_file_key_by_key() -> None:
    config = read_config(
        WHOLE,
        {
            "CALLWHEEL_TRUNKS__1__URI": "sip:192.0.2.5:5080",
            "CALLWHEEL_LIMITS__DESTINATIONS": '["+44"]',
            "PATH": "/bin",
            "CALLWHEEL_ADMIN_KEY": "cw-abc_1",
            "CALLWHEEL_URL": "http://127.0.0.1:1",
            "CALLWHEEL_KEY": "k",
            "CALLWHEEL_TEST_SIZE": "long",
        },
    )
    assert config.trunks == (
        WHOLE_CONFIG.trunks[0],
        Trunk("other", TrunkUri("192.0.2.5", 5080)),
    )
    assert config.routes == WHOLE_CONFIG.routes
    assert config.limits == Limits(40, 0.5, ("+44",), (Cap(3, 900), Cap(20, 86_400)), 9_000, 700)
    assert config.admin_key == "cw-abc_1"


def test_a_tenth_trunk_of_the_environment_comes_after_the_ninth() -> None:
    environment = {f"CALLWHEEL_TRUNKS__{i}__NAME": f"t{i}" for i in range(11)}
    environment |= {f"CALLWHEEL_TRUNKS__{i}__URI": f"sip:127.0.0.1:{5000 + i}" for i in range(11)}
    assert [trunk.name for trunk in read_config("", environment).trunks] == [
        f"t{i}" for i in range(11)
    ]


def test_a_mistyped_key_is_told_what_was_probably_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config('[http]\nbimd = "127.0.0.1:1"\n', {}, file="c.toml")
    assert str(caught.value) == (
        "c.toml, line 2: http.bimd: There is no such key; did you mean `bind`? (unknown_key)"
    )


def test_a_file_that_is_not_toml_is_told_with_its_line() -> None:
    assert find_mistakes("[http]\nbind = 127.0.0.1\n", CALLWHEEL_DRAIN_S="x") == [
        ("callwheel.toml, line 2", "not_toml"),
        ("environment: CALLWHEEL_DRAIN_S", "wrong_type"),
    ]


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "x = " + "9" * 5000])
def test_a_file_that_breaks_the_parser_is_not_toml(text: str) -> None:
    assert [code for _, code in find_mistakes(text)] == ["not_toml"]


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"CALLWHEEL_TRUNKS__1__NAME": "b"}, "index_gap"),
        ({"CALLWHEEL_TRUNKS__0": "b"}, "wrong_type"),
        ({"CALLWHEEL_HTTP": "b"}, "wrong_type"),
        ({"CALLWHEEL_TRUNKS__00__NAME": "b"}, "unknown_key"),
        ({"CALLWHEEL_TRUNKS__" + "9" * 5000 + "__NAME": "b"}, "unknown_key"),
        ({"CALLWHEEL_": "b"}, "unknown_key"),
        ({"CALLWHEEL_LIMITS__CPS": "5\nx = 1"}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CPS": "nan"}, "out_of_range"),
        ({"CALLWHEEL_LIMITS__CPS": "true"}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CPS": "9" * 5000}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CAPS": "[" * 100_000}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CAPS": "@" + "[" * 100_000}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__DESTINATIONS": "+1,+1x"}, "invalid_destination"),
        ({"CALLWHEEL_LIMITS__DESTINATIONS": "[5"}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CAPS": "3 in 900"}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CAPS": "3"}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CAPS": "[{calls = 3}]"}, "invalid_cap"),
        ({"CALLWHEEL_LIMITS__CAPS": "[{calls = 0, per_s = 1}]"}, "invalid_cap"),
        ({"CALLWHEEL_LIMITS__CAPS": str(["x"] * 17)}, "too_many"),
        ({"CALLWHEEL_HTTP__BIND": ""}, "invalid_text"),
        ({"CALLWHEEL_ADMIN_KEY": "two words"}, "invalid_key"),
    ],
)
def test_a_wrong_variable_is_told_by_its_own_name(environment: dict[str, str], code: str) -> None:
    assert find_mistakes("", **environment) == [(f"environment: {next(iter(environment))}", code)]


def test_a_table_written_as_a_value_is_told() -> None:
    assert find_mistakes('http = 5\ntrunks = "main"\n') == [
        ("callwheel.toml, line 1: http", "wrong_type"),
        ("callwheel.toml, line 2: trunks", "wrong_type"),
    ]


def test_a_line_inside_a_text_of_several_lines_is_no_key() -> None:
    text = 'data_dir = """\ndrain_s = 7\n"""\ndrain_s = -1\n'
    assert find_mistakes(text) == [
        ("callwheel.toml, line 1: data_dir", "invalid_text"),
        ("callwheel.toml, line 4: drain_s", "out_of_range"),
    ]
