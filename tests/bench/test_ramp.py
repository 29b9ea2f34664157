"""Which rate a ramp finds: the highest at which an engine is in time, and loses nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from bench import ramp
from bench.timed import Punctuality, Sustained
from tests.bench.site import QUIET


def lateness(late_ms: float, lost: int = 0) -> tuple[Punctuality, int]:
    share = 1.0 if late_ms <= 100 else 0.5
    return Punctuality(100, share, late_ms, late_ms, late_ms, 0), 100 - lost


@pytest.mark.parametrize(
    ("held_cps", "found_cps", "first_not_held_cps", "steps"),
    [(130.0, 125.0, 150.0, 6), (70.0, 62.5, 75.0, 5), (10.0, 0.0, 25.0, 1), (1e6, 400.0, 0.0, 5)],
)
@pytest.mark.parametrize("fault", ["late", "lost"])
async def test_ramp(
    held_cps: float,
    found_cps: float,
    first_not_held_cps: float,
    steps: int,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An engine that is late, or loses calls, above a rate."""

    async def sustain(_e: Any, _f: Any, _l: Any, plan: tuple[int, float, int], _s: Any) -> Any:
        is_held = plan[1] <= held_cps
        late_ms = 5.0 if is_held or fault == "lost" else 300.0
        late, answered = lateness(late_ms, int(not is_held and fault == "lost"))
        return Sustained(plan[1], late, answered, 1.0, 2.0)

    @asynccontextmanager
    async def open_nothing(*_: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(client=None)

    @asynccontextmanager
    async def open_callee(*_: Any) -> AsyncIterator[Any]:
        yield 5060, None

    async def make_flow(*_: Any, **__: Any) -> str:
        return "flw_1"

    for name, value in {
        "sustain": sustain,
        "open_installation": open_nothing,
        "open_logging_sipp": open_callee,
        "make_flow": make_flow,
    }.items():
        monkeypatch.setattr(ramp, name, value)
    search = ramp.Search(25.0, 400.0, 1.0, 0.25, 16)
    metrics = (await ramp.measure(search, QUIET)).metrics
    found = [metrics[name] for name in ("sustained_cps", "first_not_held_cps", "steps")]
    assert found == [found_cps, first_not_held_cps, steps]
    assert (metrics["step1_late_ms_p99"] == 300.0) == (fault == "late" and not found_cps)
