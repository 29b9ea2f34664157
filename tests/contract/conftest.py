"""The stores that the contract suite is run against."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.store_kits import open_kit
from tests.contract.store_samples import Kit, furnish


@pytest.fixture(params=["sqlite", "memory"])
async def bare_kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    """A store with nothing in it."""
    async with open_kit(request.param, tmp_path) as kit:
        yield kit


@pytest.fixture
async def kit(bare_kit: Kit) -> Kit:
    """A store with two accounts, each with a flow."""
    await furnish(bare_kit.store)
    return bare_kit
