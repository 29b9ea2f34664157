"""Programs that nobody here wrote, which some tests talk to."""

from __future__ import annotations

import os
import shutil

import pytest


def require(program: str, package: str) -> str:
    """The path of a program. Where it is missing the test is skipped with the Debian package that
    brings it, or fails when `CALLWHEEL_REAL_PEERS=required`.

    Call it in a plain fixture: on its way out of a nursery a skip loses what it says."""
    path = shutil.which(program)
    if path is not None:
        return path
    message = f"{program} is missing: apt-get install {package}"
    if os.environ.get("CALLWHEEL_REAL_PEERS") == "required":
        pytest.fail(message)
    pytest.skip(message)
