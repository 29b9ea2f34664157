"""What every test here needs."""

from __future__ import annotations

import pytest

from tests.peers import require


@pytest.fixture
def sipp() -> str:
    """The path of sipp."""
    return require("sipp", "sip-tester")
