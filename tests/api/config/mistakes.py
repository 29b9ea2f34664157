"""What a configuration is told is wrong with it."""

from __future__ import annotations

import pytest

from api.config import ConfigError, read_config


def find_mistakes(text: str, **environment: str) -> list[tuple[str, str]]:
    """(place, code) of every mistake in the order in which they are told."""
    with pytest.raises(ConfigError) as caught:
        read_config(text, environment, file="callwheel.toml")
    return [(str(mistake.place), mistake.code) for mistake in caught.value.mistakes]
