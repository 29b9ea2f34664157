"""`callwheel bench`."""

from __future__ import annotations

import pytest

from api.__main__ import run


def test_bench_names_its_scenarios_and_knows_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert run(["bench", "wheel", "juggling"]) == 2
    assert capsys.readouterr().err == (
        f"callwheel bench: there is no scenario juggling; there are {', '.join(names)}.\n"
    )
