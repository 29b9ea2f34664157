"""docs/configuration.md tells of the configuration that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.config import KEYS, ConfigError, read_config

DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_example_of_the_documentation_is_a_configuration() -> None:
    example = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    config = read_config(example[1], {})
    assert (config.trunks[0].name, config.limits.destinations) == ("main", ("+91", "+1"))


def test_the_documentation_names_every_key_and_no_other() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text.partition("## The keys")[2].partition("Each trunk")[0]
    firsts = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {key for cell in firsts for key in re.findall(r"`([^`]+)`", cell)} == set(KEYS)


def test_the_mistakes_that_the_documentation_shows_are_the_real_ones() -> None:
    text = '[http]\nbimd = "127.0.0.1:8080"\n[media]\nports = "20001-29999"\n'
    with pytest.raises(ConfigError) as caught:
        read_config(text, {"CALLWHEEL_DRAIN_S": "-1"}, file="callwheel.toml")
    shown = DOCUMENT.read_text(encoding="utf-8")
    assert [line for line in str(caught.value).splitlines() if f"  {line}\n" not in shown] == []
