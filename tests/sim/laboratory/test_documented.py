"""The page on testing flows shows tests that run, as a user has them: in a folder of their own."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "testing-your-flows.md"
PLUGIN = ("-p", "no:callwheel", "-p", "sim.pytest_plugin")
"""By its module, as what is installed may be another checkout's."""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_tests_on_the_page_pass(tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "test_reminder.py").write_text(code, encoding="utf-8")
    done = run_pytest(tmp_path, *PLUGIN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{code.count('def test_')} passed" in done.stdout


def test_a_flow_that_is_wrong_fails_its_test(tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text(
        "def test_it(engine):\n"
        '    nodes = {"a": {"type": "say", "text": "x", "next": "nowhere"}}\n'
        '    engine.flow({"start": "a", "nodes": nodes})\n',
        encoding="utf-8",
    )
    done = run_pytest(tmp_path, *PLUGIN)
    assert done.returncode == 1
    assert "nowhere" in done.stdout


def test_a_run_that_does_not_use_it_imports_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\n\n\ndef test_it():\n"
        '    assert not {"trio", "numpy", "engine.runtime"} & set(sys.modules)\n',
        encoding="utf-8",
    )
    done = run_pytest(tmp_path, *PLUGIN, "-p", "no:trio")
    assert done.returncode == 0, done.stdout


def test_pytest_finds_it_where_callwheel_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"callwheel": "sim.pytest_plugin"}


def test_fixtures_of_ones_own_go_before_ours_and_ours_still_work_under_their_long_names(
    tmp_path: Path,
) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n\n"
        "@pytest.fixture\ndef engine():\n    return 'sqlite://'\n\n\n"
        "@pytest.fixture\ndef carrier():\n    return 'DHL'\n",
        encoding="utf-8",
    )
    (tmp_path / "test_theirs.py").write_text(
        "def test_theirs(engine, carrier):\n"
        "    assert (engine, carrier) == ('sqlite://', 'DHL')\n\n\n"
        "def test_ours_beside_them(carrier, callwheel_engine, callwheel_carrier):\n"
        "    callwheel_carrier.is_busy('+14155550123', times=9)\n"
        "    nodes = {'a': {'type': 'hangup'}}\n"
        "    flow = callwheel_engine.flow({'start': 'a', 'nodes': nodes})\n"
        "    called = callwheel_engine.call(flow, ['+14155550123'])\n"
        "    assert called.dispositions == {'busy': 1}\n",
        encoding="utf-8",
    )
    done = run_pytest(tmp_path, *PLUGIN)
    assert done.returncode == 0, done.stdout + done.stderr
