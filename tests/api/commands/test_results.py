"""`callwheel results`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from api.__main__ import run
from tests.api.commands.answering import serve


def test_results_come_byte_for_byte(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    content = b"\xef\xbb\xbfid,name\r\ncnt_1,\xe5\xb0\x8f\r\n"
    path = tmp_path / "out.csv"
    with serve({"/v1/lists/lst_1/results.csv": (200, content)}) as (url, _):
        options = ["--url", url, "--key", "k"]
        assert run(["results", "lst_1", *options]) == 0
        assert run(["results", "lst_1", "--output", str(path), *options]) == 0
        assert run(["results", "lst_1", "--output", str(tmp_path), *options]) == 1
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == content
    assert path.read_bytes() == content
