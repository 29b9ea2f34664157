"""What all tests of commands share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variables of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("CALLWHEEL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts the terminal into a time zone."""

    def put(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield put
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def in_india(set_zone: Callable[[str], None]) -> None:
    """The terminal is in India, five and a half hours ahead of UTC."""
    set_zone("Asia/Kolkata")
