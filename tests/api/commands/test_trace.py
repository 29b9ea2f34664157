"""`callwheel trace`: what it asks for, where it writes, and what it will not write over."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.__main__ import run
from tests.api.commands.answering import serve

LADDER = "/v1/attempts/att_1/trace?format=text"
FULL = "/v1/attempts/att_1/trace?format=text&full=true"
PCAP = "/v1/attempts/att_1/trace?format=pcap"
CAPTURE = b"\xd4\xc3\xb2\xa1\r\n\x00"
NOT_KEPT = {"code": "trace_not_kept", "detail": "There are no messages of att_1 (any more)."}


@pytest.fixture(autouse=True)
def _key(_own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """All commands have one."""
    monkeypatch.setenv("CALLWHEEL_KEY", "k")


@pytest.mark.parametrize(("options", "asked"), [([], LADDER), (["--full"], FULL)])
def test_the_ladder_is_printed(
    capsysbinary: pytest.CaptureFixture[bytes], options: list[str], asked: str
) -> None:
    with serve({asked: (200, "Attempt  att_1\n\n  … →\n".encode())}) as (url, seen):
        assert run(["trace", "att_1", *options, "--url", url]) == 0
    assert seen.requests == [("GET", asked, "Bearer k")]
    assert capsysbinary.readouterr() == ("Attempt  att_1\n\n  … →\n".encode(), b"")


def test_what_a_terminal_would_obey_is_not_printed(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    with serve({LADDER: (200, b"a\x1b[2J\xff\r\nb\n")}) as (url, _):
        assert run(["trace", "att_1", "--url", url]) == 0
    assert capsysbinary.readouterr().out.decode() == "a�[2J��\nb\n"


def test_a_capture_is_written_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "call.pcap"
    with serve({PCAP: (200, CAPTURE)}) as (url, seen):
        assert run(["trace", "att_1", "--pcap", str(file), "--url", url]) == 0
    assert seen.requests == [("GET", PCAP, "Bearer k")]
    assert file.read_bytes() == CAPTURE
    assert capsys.readouterr() == ("", f"{file}: 7 bytes.\n")


def test_a_capture_goes_to_standard_output_byte_for_byte(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    with serve({PCAP: (200, CAPTURE)}) as (url, _):
        assert run(["trace", "att_1", "--pcap", "-", "--url", url]) == 0
    assert capsysbinary.readouterr() == (CAPTURE, b"")


def test_a_file_that_is_there_is_written_over_only_by_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "call.pcap"
    file.write_bytes(b"precious, and longer than what comes")
    with serve({PCAP: (200, CAPTURE)}) as (url, _):
        line = ["trace", "att_1", "--pcap", str(file), "--url", url]
        assert run(line) == 1
        assert file.read_bytes() == b"precious, and longer than what comes"
        assert run([*line, "--force"]) == 0
    assert file.read_bytes() == CAPTURE
    assert capsys.readouterr().err == (
        f"callwheel trace: {file} is there already; --force writes over it.\n{file}: 7 bytes.\n"
    )


def test_a_file_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nowhere" / "call.pcap"
    with serve({PCAP: (200, CAPTURE)}) as (url, _):
        assert run(["trace", "att_1", "--pcap", str(file), "--url", url]) == 1
    assert capsys.readouterr().err == (
        f"callwheel trace: {file} cannot be written: No such file or directory.\n"
    )


def test_a_trace_that_is_not_kept_makes_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve({PCAP: (404, NOT_KEPT)}) as (url, _):
        line = ["trace", "att_1", "--pcap", str(tmp_path / "call.pcap"), "--url", url]
        assert run(line) == 1
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == (
        "callwheel trace: There are no messages of att_1 (any more). (trace_not_kept)\n"
    )


def test_a_capture_is_always_full(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(["trace", "att_1", "--full", "--pcap", "x.pcap"])
    assert caught.value.code == 2
    assert "--pcap: not allowed with argument --full" in capsys.readouterr().err
