"""Fixtures for tests of your own flows, known to pytest wherever Callwheel is installed beside it: `carrier`
and `engine` (docs/testing-your-flows.md). Nothing is imported before a test asks for one of them.

A fixture of the user's own with one of these names goes before ours, as pytest has it; then ours are there as
`callwheel_carrier` and `callwheel_engine`. Neither of ours asks for the other by the short name, so that a
user's `carrier` never becomes that of our engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sim.laboratory.carrier import Carrier
    from sim.laboratory.engine import VirtualEngine


@pytest.fixture
def callwheel_carrier() -> Carrier:
    """Callees who do what the test says."""
    from sim.laboratory.carrier import Carrier

    return Carrier()


@pytest.fixture
def callwheel_engine(callwheel_carrier: Carrier) -> VirtualEngine:
    """An engine whose calls go to `callwheel_carrier`, in virtual time."""
    from sim.laboratory.engine import VirtualEngine

    return VirtualEngine(callwheel_carrier)


@pytest.fixture
def carrier(callwheel_carrier: Carrier) -> Carrier:
    """Callees who do what the test says."""
    return callwheel_carrier


@pytest.fixture
def engine(callwheel_engine: VirtualEngine) -> VirtualEngine:
    """An engine whose calls go to `carrier`, in virtual time."""
    return callwheel_engine
