"""How hypothesis draws: the same examples at each run of `make test`, so that a red run speaks of the
change at hand; new ones at each run of `make test-long`, which is where they are looked for."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.own_network import enter_own_network
from tests.sizes import size
from tests.stillness import pytest_runtest_protocol, pytest_terminal_summary

__all__ = ["pytest_runtest_protocol", "pytest_terminal_summary"]

settings.register_profile("callwheel", derandomize=bool(size(1, 0)), deadline=None)
settings.load_profile("callwheel")


def pytest_configure(config: pytest.Config) -> None:
    """Workers of `pytest -n` do not share a network: see `tests/own_network.py`."""
    if hasattr(config, "workerinput"):
        enter_own_network()
