"""What `pip install` makes of the repository: all files of the program, and none of a release before."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = "/opt/callwheel/source"
"""Where docs/install.md has the repository."""


def read_setuptools() -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    setuptools: dict[str, Any] = project["tool"]["setuptools"]
    return setuptools


def find_rooms(patterns: list[str]) -> Iterator[Path]:
    for folder in ROOT.iterdir():
        if (folder / "__init__.py").exists() and any(
            fnmatchcase(folder.name, pattern) for pattern in patterns
        ):
            yield folder


def find_packages(room: Path) -> Iterator[Path]:
    """As setuptools finds them: a folder without `__init__.py` is none, nor is one below it."""
    yield room
    for folder in room.iterdir():
        if (folder / "__init__.py").exists():
            yield from find_packages(folder)


def find_packed(package: Path, data: dict[str, list[str]]) -> set[Path]:
    name = ".".join(package.relative_to(ROOT).parts)
    found = set(package.glob("*.py"))
    for pattern in [*data.get("*", []), *data.get(name, [])]:
        found.update(package.glob(pattern))
    return found


def test_every_file_of_the_program_is_installed_with_it() -> None:
    setuptools = read_setuptools()
    rooms = list(find_rooms(setuptools["packages"]["find"]["include"]))
    assert {room.name for room in rooms} == {"adapters", "api", "bench", "engine", "sim"}
    packed = {
        file
        for room in rooms
        for package in find_packages(room)
        for file in find_packed(package, setuptools["package-data"])
    }
    there = {
        file
        for room in rooms
        for file in room.rglob("*")
        if file.is_file() and file.parent.name != "__pycache__" and not file.name.startswith(".")
    }
    assert sorted(there - packed) == []


def test_an_upgrade_installs_nothing_of_the_release_before_it() -> None:
    """pip builds in the folder `build` of the repository, and takes whatever it finds there."""
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    steps = re.findall(rf"^sudo (.*{SOURCE}\S*)", page.partition("## Upgrading")[2], re.MULTILINE)
    assert [
        f"git -C {SOURCE}",
        f"rm -rf {SOURCE}/build",
        f"/opt/callwheel/venv/bin/pip install {SOURCE}",
    ] == steps
