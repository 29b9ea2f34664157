"""What a soak makes of what it saw, and that it sees a leak."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
import trio

from api.__main__ import run as main
from bench.scenario import Show
from bench.soak import (
    DIDS,
    FIGURES,
    FILL_CALLS,
    JUDGED_CALLS_MIN,
    SAMPLE_EVERY_S,
    Look,
    judge,
    rises_of,
    settle,
    share_out,
    slope_of,
    soak,
)
from engine.forms.number import find_pace_mistakes

DURATION_S = 12.0
WARM_S = 4.0
"""By then calls are forgotten about as fast as they begin, as `hurry` below sees to it."""
LEAKS_AFTER_S = 8.0
LEFT_BEHIND = 1_000
"""Objects of a call."""
PLANTED = """
import importlib.util, os, sys

class Planter:
    \"\"\"Has each call of the engine leave some objects behind, while a file says so.\"\"\"

    def find_spec(self, name, path, target=None):
        if name not in PLANTS:
            return None
        plant = PLANTS.pop(name)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            plant(module)

        spec.loader.exec_module = exec_module
        return spec

def leak(module):
    kept, take = [], module.CalleeBook.take

    def take_and_keep(self, *arguments):
        if os.path.exists(FLAG):
            kept.extend(bytes(100) for _ in range(LEFT_BEHIND))
        return take(self, *arguments)

    module.CalleeBook.take = take_and_keep

def hurry(module):
    # A call is remembered for 2 s instead of 32 after its end, so that as many come as go.
    module.Timing.patience = property(lambda timing: 4 * timing.t1)

PLANTS = {"engine.dial.limits.callees": leak, "adapters.sip.call.transaction": hurry}
FLAG = os.path.join(os.path.dirname(__file__), "leaks")
sys.meta_path.insert(0, Planter())
"""


@pytest.mark.parametrize("cps", [1, 2.5, 7, 9.5, 20, 25, 60, 99, 0.5])
def test_every_pace_is_shared_out_so_that_each_number_can_keep_its_part(cps: float) -> None:
    shares = share_out(cps)
    assert sum(shares) == cps
    assert len(shares) <= DIDS
    assert [list(find_pace_mistakes(share, "/cps")) for share in shares] == [[] for _ in shares]


@pytest.mark.parametrize("name", ["CALLWHEEL_SOAK_CPS", "CALLWHEEL_SOAK_S"])
@pytest.mark.parametrize("text", ["0", "-1", "many", "nan", "inf", ""])
def test_a_pace_or_a_time_that_is_none_is_refused_by_the_name_of_its_variable(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, text)
    assert main(["bench", "soak"]) == 1
    said = f"  NOT MEASURED: {name} is a number above 0, and not {text!r}."
    assert said in capsys.readouterr().out.splitlines()


def test_the_slope_is_that_of_the_line_that_fits_best() -> None:
    flat = [(0.0, 7.0), (5.0, 7.0), (10.0, 7.0)]
    rising = [(0.0, 1.0), (1.0, 3.5), (2.0, 4.5), (3.0, 7.0)]
    assert (slope_of(flat), slope_of(rising), slope_of(flat[:1])) == (0.0, 1.9, 0.0)


def look_at(
    calls_per_s: float, chance: Random, leaks: dict[str, float] | None = None
) -> list[Look]:
    """Twenty minutes of an engine whose caches take 5 KB of each of the first 20,000 calls, and that leaves
    so much of each figure behind with every call."""
    looks = []
    for place in range(240):
        at_s = place * SAMPLE_EVERY_S
        calls = at_s * calls_per_s
        figures = dict.fromkeys(FIGURES, 0.0) | {
            "memory_mb": 120 + min(calls, 20_000) * 5 / 1024 + chance.uniform(-0.5, 0.5),
            "memory_all_mb": 220 + min(calls, 20_000) * 5 / 1024 + chance.uniform(-1, 1),
            "blocks": 1e6 + min(calls, 20_000) * 8 + chance.uniform(-20_000, 20_000),
            "descriptors": 30 + chance.uniform(-2, 2),
            "descriptors_all": 330 - calls % 65 * 2,
            "tasks": 80 + chance.uniform(-20, 20),
        }
        for figure, each in (leaks or {}).items():
            figures[figure] += calls * each
        looks.append(Look(at_s, calls, figures))
    return looks


def broken(looks: list[Look]) -> set[str]:
    settled = settle(looks)
    return {limit.figure for limit in judge(settled, rises_of(settled)) if not limit.is_kept}


@pytest.mark.parametrize("seed", range(5))
def test_caches_that_fill_and_what_comes_and_goes_are_no_leaks(seed: int) -> None:
    looks = look_at(60.0, Random(seed))
    assert judge(settle(looks), rises_of(settle(looks)))
    assert broken(looks) == set()


@pytest.mark.parametrize(
    ("leaks", "expected"),
    [
        ({"blocks": 1.0, "memory_mb": 100 / 2**20}, {"blocks_per_call"}),
        ({"memory_mb": 400 / 2**20}, {"memory_bytes_per_call"}),
        ({"memory_all_mb": 800 / 2**20}, {"memory_all_bytes_per_call"}),
        ({"descriptors": 1e-3}, {"descriptors_per_hour"}),
        ({"descriptors_all": 1 / 200}, {"descriptors_all_per_hour"}),
        ({"tasks": 1e-3}, {"tasks_per_hour"}),
    ],
)
def test_what_each_call_leaves_behind_breaks_a_limit(
    leaks: dict[str, float], expected: set[str]
) -> None:
    for seed in range(5):
        assert broken(look_at(60.0, Random(seed), leaks)) == expected


@pytest.mark.parametrize("calls_per_s", [10.0, 20.0, 30.0])
def test_a_soak_that_does_not_fill_every_cache_has_no_verdict(calls_per_s: float) -> None:
    looks = look_at(calls_per_s, Random(1))
    settled = settle(looks)
    assert judge(settled, rises_of(settled)) == []
    if calls_per_s * 1_200 < FILL_CALLS:
        assert settled == [look for look in looks if look.at_s >= 0.25 * looks[-1].at_s]
    else:
        assert settled[0].calls >= FILL_CALLS
        assert settled[-1].calls - settled[0].calls < JUDGED_CALLS_MIN


async def test_an_object_that_each_call_of_a_real_engine_leaves_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of them, so that a few hundred calls are enough to tell."""
    (tmp_path / "sitecustomize.py").write_text(PLANTED.replace("LEFT_BEHIND", str(LEFT_BEHIND)))
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    monkeypatch.setenv("PYTHONPATH", path)
    begun = trio.Event()
    looks: list[Look] = []

    async def dial() -> None:
        looks.extend(await soak(tmp_path, DURATION_S, 30.0, Show(lambda _line: begun.set())))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dial)
        await begun.wait()
        await trio.sleep(LEAKS_AFTER_S)
        (tmp_path / "leaks").touch()
    warm = [look for look in looks if look.at_s >= WARM_S]
    calm, leaking = (
        slope_of([(one.calls, one.figures["blocks"]) for one in some])
        for some in (
            [look for look in warm if look.at_s <= LEAKS_AFTER_S],
            [look for look in warm if look.at_s > LEAKS_AFTER_S],
        )
    )
    assert leaking - calm > LEFT_BEHIND / 2, (calm, leaking)
