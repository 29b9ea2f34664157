"""Programs that nobody here wrote, which some tests talk to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Where Debian puts servers, which is not on the path of everybody."""


def require(program: str, package: str) -> str:
    """The path of a program. Where it is missing the test is skipped with the Debian package that
    brings it, or fails when `CALLWHEEL_REAL_PEERS=required`.

    Call it in a plain fixture: on its way out of a nursery a skip loses what it says."""
    folders = (os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS)
    path = shutil.which(program, path=os.pathsep.join(folders))
    if path is not None:
        return path
    message = f"{program} is missing: apt-get install {package}"
    if os.environ.get("CALLWHEEL_REAL_PEERS") == "required":
        pytest.fail(message)
    pytest.skip(message)


TOOLS_VARIABLE = "CALLWHEEL_API_TOOLS"
"""Names the folder with the programs of an environment that has schemathesis and openapi-python-client. They
cannot be in ours: they need an anyio that asks does not bear."""


def require_tools() -> Path:
    """That folder. Skips or fails as `require` does."""
    folder = Path(os.environ.get(TOOLS_VARIABLE, "/nowhere"))
    if (folder / "schemathesis").exists() and (folder / "openapi-python-client").exists():
        return folder
    message = (
        f"set {TOOLS_VARIABLE} to the bin folder of a venv with "
        "`pip install schemathesis openapi-python-client`"
    )
    if os.environ.get("CALLWHEEL_REAL_PEERS") == "required":
        pytest.fail(message)
    pytest.skip(message)
