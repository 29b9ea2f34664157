from __future__ import annotations

import pytest

from api.http.csv_stream import guard_cell


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2", "'-2"),
        ("+1-1", "'+1-1"),
        ("+", "'+"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("+919876543210", "+919876543210"),
        ("Asha = 1", "Asha = 1"),
        ("", ""),
        ("919876543210", "919876543210"),
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_becomes_text(cell: str, expected: str) -> None:
    assert guard_cell(cell) == expected
