"""The README's way to a first call, typed as it stands."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from api.config import read_config
from tests.peers import require
from tests.system.console.product import open_product

pytestmark = pytest.mark.peer

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
PATIENCE_S: Final = 120


def find_block(language: str) -> str:
    """The only block of that language."""
    [block] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(block)


def test_its_configuration_is_one_that_calls_the_simulated_carrier() -> None:
    config = read_config(find_block("toml"), {})
    [trunk] = config.trunks
    assert (trunk.name, trunk.uri.host, trunk.uri.port) == ("main", "127.0.0.1", 5070)
    assert config.limits.destinations == ("+1",)


def test_its_commands_lead_to_a_call_that_was_answered(tmp_path: Path) -> None:
    """In a terminal of its own, which has heard of nothing but the key."""
    require("curl", "curl")
    folders = os.environ["PATH"].split(":")
    elsewhere = [one for one in folders if not (Path(one) / "callwheel").exists()]
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    with open_product(tmp_path) as product:
        typed = find_block("sh").replace("http://127.0.0.1:8080", product.url)
        program = tmp_path / ".venv" / "bin" / "callwheel"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m api "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", typed],
            cwd=tmp_path,
            env={
                "PATH": ":".join(elsewhere),
                "PYTHONPATH": str(ROOT),
                "CALLWHEEL_KEY": product.admin_key,
                "CALLWHEEL_URL": product.url,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
    assert done.returncode == 0, done.stderr
    head, _, results = done.stdout.rpartition("row,reference")
    assert "people.csv is completed: 1 answered." in head
    [row] = csv.DictReader(f"row,reference{results}".splitlines())
    assert (row["tel1"], row["disposition"]) == ("+14155559180", "answered")
