"""Fixtures for tests of your own flows, known to pytest wherever Callwheel is installed beside it: `carrier`
and `engine` (docs/testing-your-flows.md). Nothing is imported before a test asks for one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sim.laboratory.carrier import Carrier
    from sim.laboratory.engine import VirtualEngine


@pytest.fixture
def carrier() -> Carrier:
    """Callees who do what the test says."""
    from sim.laboratory.carrier import Carrier

    return Carrier()


@pytest.fixture
def engine(carrier: Carrier) -> VirtualEngine:
    """An engine whose calls go to `carrier`, in virtual time."""
    from sim.laboratory.engine import VirtualEngine

    return VirtualEngine(carrier)
