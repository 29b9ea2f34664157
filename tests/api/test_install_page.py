"""docs/install.md and the unit beside it do what they say, and no page leads to what is not there."""

from __future__ import annotations

import re
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import Final

import pytest

from adapters.media.plane.loop import REALTIME_PRIORITY
from api.config import read_config
from tests.peers import require

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "install.md"
UNIT: Final = ROOT / "docs" / "install" / "callwheel.service"
PROGRAM: Final = "/opt/callwheel/venv/bin/callwheel"
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def read_unit() -> RawConfigParser:
    unit = RawConfigParser(delimiters=["="], strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    return unit


def find_anchors(page: Path) -> set[str]:
    """What the headings of a page are called in an address, as GitHub makes it."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_the_example_of_the_page_is_a_configuration() -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    config = read_config(example[1], {})
    assert config.data_dir == f"/var/lib/{read_unit()['Service']['StateDirectory']}"


def test_the_folder_of_the_configuration_is_made_before_anything_is_done_with_it() -> None:
    [first, *others] = re.findall(r"sudo .*/etc/callwheel.*", PAGE.read_text(encoding="utf-8"))
    assert "sudo mkdir -p /etc/callwheel " in first
    assert len(others) > 3


def test_the_packet_filter_of_the_page_lets_planes_speak_to_each_other() -> None:
    """They do on media ports over the loopback interface, and the first rule that decides is the last."""
    table = re.search(r"table inet.*?```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert table is not None
    [first, *_] = [
        line.strip() for line in table[0].splitlines() if re.search("accept$|drop$", line)
    ]
    assert first == 'iif "lo" accept'


def test_the_service_waits_for_calls_and_gives_the_planes_what_they_ask_for() -> None:
    service = read_unit()["Service"]
    drain_s = read_config("", {}).drain_s
    assert (service["KillMode"], service["ExecReload"]) == ("mixed", "/bin/kill -HUP $MAINPID")
    assert float(service["TimeoutStopSec"]) >= 1.5 * drain_s
    assert int(service["LimitRTPRIO"]) >= REALTIME_PRIORITY
    assert f"ln -s {PROGRAM} " in PAGE.read_text(encoding="utf-8")
    assert {service[key].split()[0] for key in ("ExecStart", "ExecStartPre")} == {PROGRAM}


def test_the_service_is_started_again_however_often_it_ends() -> None:
    """systemd gives up after five starts within ten seconds, unless it is told not to count."""
    unit = read_unit()
    assert unit["Service"]["Restart"] == "always"
    assert float(unit["Service"]["RestartSec"]) > 0
    assert {key: value for key, value in unit["Unit"].items() if "StartLimit" in key} == {
        "StartLimitIntervalSec": "0"
    }


def test_systemd_takes_the_unit_as_it_stands(tmp_path: Path) -> None:
    analyze = require("systemd-analyze", "systemd")
    program = tmp_path / "callwheel"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace(PROGRAM, str(program)))
    said = subprocess.run(
        [analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert [line for line in said.stderr.splitlines() if UNIT.name in line] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = re.findall(r'\]\(([^)\s]+)\)|src(?:set)?="([^"]+)"', text)
    dead = []
    for link in {one or other for one, other in found}:
        if re.match("https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in find_anchors(target)):
            dead.append(link)
    assert dead == []
