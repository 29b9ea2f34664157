"""What is sent back for a list, in words."""

from __future__ import annotations

import pytest

from engine.intake.answer import guard_cell, write_receipt, write_refusal, write_rejected
from engine.intake.receipt import Receipt
from engine.intake.refused import Refused
from engine.model import RejectedRow, Report, RowError
from engine.ports.stored import DuplicateList
from tests.contract.store_samples import NOW, a_list

ERROR = RowError(2, "tel1", "invalid_number", "'12' is not a phone number.")
ODD = RowError(0, None, "sheet_not_read", "The sheet 'B' was not read.")


def test_a_receipt_says_what_was_taken_and_what_was_not() -> None:
    report = Report(30, 5, 25, (ERROR,) * 25, (ODD,))
    told = write_receipt(Receipt(a_list(report=report, status="scheduled"), NOW), "Asia/Kolkata")
    line = "- row 2, tel1: '12' is not a phone number. (invalid_number)\n"
    assert told == (
        "january: 5 of 30 rows were taken, as the list lst_1000.\n"
        "The first call is due on 2026-01-01 at 05:30, Asia/Kolkata.\n"
        f"\nWhat was not taken (row 1 is the one below the header):\n{line * 20}- … and 5 more.\n"
        "\nWhat was odd:\n- The sheet 'B' was not read. (sheet_not_read)\n"
    )


def test_a_receipt_says_when_nothing_was_taken() -> None:
    told = write_receipt(Receipt(a_list(report=Report(1, 0, 1), status="rejected"), None), "UTC")
    assert told == "january: none of 1 rows was taken; nobody is called.\n"


def test_a_refusal_says_why() -> None:
    refused = Refused("missing_tel", "The header has no column tel1.", [ERROR])
    assert write_refusal("a.csv", refused) == (
        "a.csv: nothing was taken. The header has no column tel1. (missing_tel)\n"
        "\nIn detail (row 1 is the one below the header):\n"
        "- row 2, tel1: '12' is not a phone number. (invalid_number)\n"
    )
    duplicate = DuplicateList("lst_1", "It came in already.")
    assert write_refusal("a.csv", duplicate) == (
        "a.csv: nothing was taken. It came in already. (duplicate_list)\n"
    )


def test_rejected_rows_are_given_back_as_they_came_and_harm_no_spreadsheet() -> None:
    rows = [RejectedRow(2, "tel1", "invalid_number", "No number.", ("=2+2", '="007"'))]
    assert write_rejected(("tel1", "name", "@city"), rows) == (
        "tel1,name,'@city,row,column,code,detail\r\n"
        '\'=2+2,"=""007""",,2,tel1,invalid_number,No number.\r\n'
    )


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
