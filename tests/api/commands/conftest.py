"""What all tests of commands share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variables of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("CALLWHEEL_"):
            monkeypatch.delenv(name)
