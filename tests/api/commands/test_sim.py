"""`callwheel sim`."""

from __future__ import annotations

import pytest

from api.__main__ import run


def test_sim_refuses_a_profile_and_an_address_that_cannot_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["sim", "--bind", "here"]) == 1
    assert run(["sim", "--profile", "/nowhere/at/all.toml"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[:2] for line in lines] == [
        ["callwheel sim", " bind here"],
        ["callwheel sim", " profile /nowhere/at/all.toml"],
    ]
