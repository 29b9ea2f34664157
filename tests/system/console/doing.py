"""What tests of the console do on its pages, and what they look at on each."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

from playwright.sync_api import Page, expect

from tests.system.console.browser import PATIENCE_MS, Visit

CHECKS: Final = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
PICTURE_BYTES_MAX: Final = 150_000
PICTURES: Final = "CALLWHEEL_SCREENSHOTS"
"""Names the folder that pictures are written to; without it they are made and thrown away."""

expect.set_options(timeout=PATIENCE_MS)


def make_list(people: int, first: int, *more: str) -> str:
    """A call list of so many numbers, and further rows."""
    numbers = range(first, first + people)
    return "\n".join(["tel1,name", *(f"+1415555{number:04},Ada" for number in numbers), *more])


def heading(page: Page, name: str | re.Pattern[str]) -> Any:
    return page.get_by_role("heading", name=name)


def button(page: Page, name: str | re.Pattern[str]) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def save(page: Page, press: str) -> str:
    """What a button downloads."""
    with page.expect_download() as coming:
        button(page, press).click()
    return Path(coming.value.path()).read_text(encoding="utf-8-sig")


def run_example(page: Page, curl: str, title: str, key: str) -> dict[str, Any]:
    """What the engine answers to an example that was copied from the page, and run as it is."""
    button(page, f"Copy: {title}").click()
    example = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(
        ["bash", "-c", example.replace("curl", f"{curl} --silent", 1)],
        env={"CALLWHEEL_KEY": key},
        capture_output=True,
        check=True,
        timeout=30,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def wait_for(page: Page, has_happened: Callable[[], bool]) -> None:
    """Let the page go on until something has happened that it does not show."""
    until = monotonic() + PATIENCE_MS / 1000
    while not has_happened():
        assert monotonic() < until
        page.wait_for_timeout(50)


def look_around(tab: Visit) -> None:
    """Check what is shown on each screen."""
    for look in tab.looks():
        assert (look, tab.page.evaluate(CHECKS)) == (look, [])


def take_pictures(tab: Visit, device: str, folder: Path) -> None:
    """What is shown on a device, light and dark; small enough for the README."""
    for look in tab.looks([device]):
        file = Path(os.environ.get(PICTURES, folder)) / f"{look}.png"
        tab.page.screenshot(path=file)
        assert 5_000 < file.stat().st_size < PICTURE_BYTES_MAX
