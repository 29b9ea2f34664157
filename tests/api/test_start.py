"""What a start of the product does not pay for: what most installations never use."""

from __future__ import annotations

import subprocess
import sys

import pytest

RARE = {
    "aiosmtpd": "mails are taken by a process of their own",
    "asyncssh": "SFTP is spoken by a process of its own",
    "av": "Opus is an extra",
    "cryptography": "few trunks sign, and few certificates are wrong",
    "dkim": "signatures are read in workers",
    "dns": "a trunk that is reached by its address asks nobody",
    "openpyxl": "workbooks are read in workers",
    "sqlite_utils": "a database that is as it should be needs no migration",
    "sim": "a world is for who asks for one",
    "pytest": "tests are not the product",
}
"""Packages, and why the engine's process has none of them at its start."""
HEAVY = {"trio", "numpy", "quart", "phonenumbers", "structlog", "engine"}


@pytest.mark.parametrize(
    ("modules", "kept_out"),
    [
        ("api.commands.serve, api.compose", set(RARE)),
        ("api.__main__", set(RARE) | HEAVY),  # each worker imports it once more
    ],
)
def test_a_start_imports_nothing_that_is_rarely_used(modules: str, kept_out: set[str]) -> None:
    program = f"import sys, {modules}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    assert kept_out & set(done.stdout.split()) == set()
