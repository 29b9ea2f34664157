"""What scenarios run on: an engine that all of them share, and a way to slow down any process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.site import Site
from tests.bench.slowing import Slower
from tests.peers import require


@pytest.fixture(scope="session")
def sipp() -> str:
    return require("sipp", "sip-tester")


@pytest.fixture(scope="package")
def saboteur(tmp_path_factory: pytest.TempPathFactory) -> Slower:
    return Slower(tmp_path_factory.mktemp("slower"))


@pytest.fixture
def slower(saboteur: Slower, monkeypatch: pytest.MonkeyPatch) -> Slower:
    """Slows down whatever a test starts."""
    monkeypatch.setenv("PYTHONPATH", saboteur.search_path)
    return saboteur


@pytest.fixture(scope="package")
def site(sipp: str, saboteur: Slower, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), saboteur)
    yield site
    site.close()
