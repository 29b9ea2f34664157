"""`callwheel upload`."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import pytest

from api.__main__ import run
from api.http.routes import ROUTES
from tests.api.commands.answering import serve
from tests.api.test_client import LIST

UPLOADS: Final = "/v1/flows/{flow}/lists"
PREFLIGHT = {
    "numbers": 3,
    "countries": {"IN": 2, "US": 1},
    "do_not_call": {"numbers": 1, "contacts": 0},
    "forecast": {
        "ends_at": "2030-07-01T09:30:00.000Z",
        "calls_per_s": 2.0,
        "bottleneck": "did_cps",
        "assumes": "One call each.",
        "contacts": 2,
        "attempts": 2,
    },
}


@pytest.mark.usefixtures("in_india")
def test_upload_shows_what_was_taken_and_what_was_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo.csv"
    path.write_bytes(b"tel1\n+1\n")
    answers = {
        "/v1/flows/flw_1/lists": (202, LIST),
        "/v1/flows/flw_1/lists?dry_run=true": (
            202,
            {**LIST, "id": "", "preflight": PREFLIGHT},
        ),
    }
    with serve(answers) as (url, seen):
        options = [str(path), "--url", url, "--key", "k"]
        assert run(["upload", "flw_1", *options]) == 0
        assert run(["upload", "flw_1", "--dry-run", *options]) == 0
    assert [target for _, target, _ in seen.requests] == list(answers)
    assert b'filename="demo.csv"' in seen.bodies[0]
    first, second = capsys.readouterr().out.split("demo.csv: 3 rows, 2 accepted, 1 rejected.\n")[1:]
    assert "invalid_number" in first
    assert first.endswith("\nList lst_1\n")
    told = " ".join(second.split())
    assert told.endswith(
        "3 numbers: IN 2, US 1. Of these, 1 is on the do-not-call list; 0 contacts have no other."
        " It ends about Mon 1 July 2030, 15:00 IST, at 2 calls a second."
        " What holds it back most: the calls a second of the caller numbers (did_cps)."
        " Still to be called: 2 contacts, in about 2 calls. One call each."
        " Nobody is called: this was a dry run."
    )


def test_upload_says_all_that_its_route_takes(tmp_path: Path) -> None:
    path = tmp_path / "people.xlsx"
    path.write_bytes(b"PK")
    query = "dry_run=true&again=true&strict=true&priority=high&sheet=June+%26+July"
    with serve({f"/v1/flows/flw_1/lists?{query}": (202, LIST)}) as (url, seen):
        options = ["--dry-run", "--again", "--strict", "--priority", "high"]
        options += ["--sheet", "June & July", "--url", url, "--key", "k"]
        assert run(["upload", "flw_1", str(path), *options]) == 0
    [(_, target, _)] = seen.requests
    assert target == f"/v1/flows/flw_1/lists?{query}"
    [route] = [one for one in ROUTES if (one.method, one.path) == ("POST", UPLOADS)]
    assert sorted(dict(parse_qsl(query))) == sorted(route.query)


def test_upload_of_a_list_with_nothing_good_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo.csv"
    path.write_bytes(b"tel1\nx\n")
    rejected = {**LIST, "status": "rejected", "report": {"rows": 1, "accepted": 0, "rejected": 1}}
    with serve({"/v1/flows/flw_1/lists": (202, rejected)}) as (url, _):
        assert run(["upload", "flw_1", str(path), "--url", url, "--key", "k"]) == 1
    assert capsys.readouterr().out == "demo.csv: 1 row, 0 accepted, 1 rejected.\n"


def test_upload_of_a_file_that_is_not_there_asks_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve({}) as (url, seen):
        assert run(["upload", "flw_1", str(tmp_path / "x.csv"), "--url", url, "--key", "k"]) == 1
    assert seen.requests == []
    assert capsys.readouterr().err == (
        f"callwheel upload: {tmp_path}/x.csv cannot be read: No such file or directory.\n"
    )


def test_a_mistake_in_the_header_is_told_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo.csv"
    path.write_bytes(b"phone\n+1\n")
    fault = {"code": "missing_tel", "detail": "Not there.", "row": 0, "column": "tel1"}
    problem = {"code": "missing_tel", "detail": "No column tel1.", "errors": [fault]}
    with serve({"/v1/flows/flw_1/lists": (422, problem)}) as (url, _):
        assert run(["upload", "flw_1", str(path), "--url", url, "--key", "k"]) == 1
    assert capsys.readouterr().err == (
        "callwheel upload: No column tel1. (missing_tel)\n  header tel1: Not there. (missing_tel)\n"
    )
