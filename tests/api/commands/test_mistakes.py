"""What a command says to whoever mistyped something, or asked in the wrong place or with the wrong key."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from api.__main__ import COMMANDS, run
from tests.api.commands.answering import serve

UNKNOWN_KEY = {"code": "unauthenticated", "detail": "The key is not known."}


def told_of_usage(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said about a line that cannot be understood."""
    with pytest.raises(SystemExit) as caught:
        run(line.split())
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", ["upload a call list to a flow", "create, list, rotate", "callwheel COMMAND --help"]),
        ("keys", ["make a key and print it once", "end a key at once"]),
        ("flow", ["draw a flow's graph as SVG"]),
    ],
)
def test_who_names_no_command_is_shown_those_that_there_are(
    line: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = told_of_usage(line, capsys)
    assert [word for word in words if word not in said] == []
    assert "error" not in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("uplaod flw_1 x.csv", "callwheel: there is no command 'uplaod'; did you mean `upload`?"),
        ("config chekc", "callwheel config: there is no command 'chekc'; did you mean `check`?"),
        ("key list", "callwheel: there is no command 'key'; did you mean `keys`?"),
        (
            "xyz",
            "callwheel: there is no command 'xyz'; `callwheel --help` names those that there are.",
        ),
    ],
)
def test_a_command_that_is_mistyped_is_guessed(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in told_of_usage(line, capsys)


def test_the_parts_that_a_key_may_be_for_are_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["keys", "create", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "--scope PART" in told
    assert told.count("recordings") == 1


@pytest.mark.parametrize("command", sorted({name.split()[0] for name in COMMANDS}))
def test_help_names_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--help"])
    words = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.split()]
    assert command in words


def test_an_engine_that_is_not_there_is_told_with_where_it_was_looked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve({}) as (url, _):
        pass
    host = url.removeprefix("http://")
    assert run(["watch", "lst_1", "--url", url, "--key", "k"]) == 1
    monkeypatch.setenv("CALLWHEEL_URL", url)
    assert run(["watch", "lst_1", "--key", "k"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"callwheel watch: {host} cannot be reached: Connection refused.",
        f"  The engine was looked for at {url}, as --url says.",
        f"callwheel watch: {host} cannot be reached: Connection refused.",
        f"  The engine was looked for at {url}, as CALLWHEEL_URL says.",
    ]


def test_an_address_that_is_none_is_told_as_it_was_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["watch", "lst_1", "--url", "127.0.0.1:8080", "--key", "k"]) == 2
    monkeypatch.setenv("CALLWHEEL_URL", "ftp://calls")
    assert run(["watch", "lst_1", "--key", "k"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "callwheel watch: --url '127.0.0.1:8080' is not an address as http://127.0.0.1:8080.",
        "callwheel watch: CALLWHEEL_URL 'ftp://calls' is not an address as http://127.0.0.1:8080.",
    ]


@pytest.mark.parametrize("source", ["--key", "CALLWHEEL_KEY", "CALLWHEEL_ADMIN_KEY"])
def test_a_wrong_key_is_told_with_where_it_came_from(
    source: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if source != "--key":
        monkeypatch.setenv(source, "cw_wrong")
    options = ["--key", "cw_wrong"] if source == "--key" else []
    with serve({"/v1/keys?limit=1000": (401, UNKNOWN_KEY)}) as (url, _):
        assert run(["keys", "list", "--url", url, *options]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "callwheel keys list: The key is not known. (unauthenticated)",
        f"  It was asked with the key of {source}.",
    ]


@pytest.mark.parametrize(
    "line",
    [
        *(f"keys create --account a --role owner --expires {days}" for days in (0, -1, "nan")),
        "keys create --account a --role owner --expires 3651",
        *(f"keys rotate key_1 --overlap {hours}" for hours in (-1, "nan", 2161)),
        "forecast lst_1 --answer-rate 1.5",
    ],
)
def test_a_number_that_cannot_be_is_refused_before_anybody_is_asked(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key that was to end at once was made for good, as 0 was taken for none."""
    said = told_of_usage(f"{line} --url http://127.0.0.1:1 --key k", capsys)
    option, value = line.split()[-2:]
    assert f"argument {option}: " in said
    assert repr(value) in said


def test_listening_to_a_flow_that_is_not_there_does_not_wait_for_ever(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = {"code": "not_found", "detail": "There is no flow 'flw_x'."}
    with serve({"/v1/flows/flw_x": (404, missing)}) as (url, _):
        assert run(["webhooks", "listen", "--flow", "flw_x", "--url", url, "--key", "k"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "callwheel webhooks listen: There is no flow 'flw_x'. (not_found)"
    )


def test_no_keys_are_told_as_none(capsys: pytest.CaptureFixture[str]) -> None:
    with serve({"/v1/keys?limit=1000": (200, {"items": [], "next": None})}) as (url, _):
        assert run(["keys", "list", "--url", url, "--key", "k"]) == 0
    assert capsys.readouterr() == ("", "There are no keys.\n")


def test_a_flow_that_is_no_json_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "flow.json"
    file.write_text('{\n  "name": "Ü",\n  "start" "a"\n}\n', encoding="utf-8")
    assert run(["flow", "check", str(file)]) == 1
    assert capsys.readouterr().err == (
        f"callwheel flow check: {file}, line 3, column 11: this is not JSON: expected ':'.\n"
    )


def test_a_folder_without_an_installation_is_told_with_what_names_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["backup", "x.backup"]) == 1
    assert capsys.readouterr().err == (
        "callwheel backup: There is no installation in data."
        " Give the configuration whose data_dir is meant: --config FILE.\n"
    )


def test_a_carrier_whose_port_is_taken_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run(["sim", "--bind", place]) == 1
    assert capsys.readouterr().err == (
        f"callwheel sim: the carrier cannot run: Address already in use ({place});"
        " --bind names another.\n"
    )


def test_a_log_that_cannot_be_written_is_not_taken_for_the_port(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sim", "--bind", "127.0.0.1:0", "--log", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"callwheel sim: the carrier cannot run: Is a directory ({tmp_path}).\n"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("demo --contcats 3", "callwheel demo: error: unrecognized arguments: --contcats 3"),
        ("keys list --bogus", "callwheel keys list: error: unrecognized arguments: --bogus"),
        ("sim world --contacts x", "--contacts: a whole number from 1 on, not 'x'"),
        ("sim world --contacts 0", "--contacts: a whole number from 1 on, not '0'"),
        ("sim world --contacts 10000001", "--contacts: at most 10,000,000, not '10000001'"),
    ],
)
def test_an_option_that_cannot_be_is_told_by_its_own_command(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in told_of_usage(line, capsys)


def test_an_address_to_forward_to_is_called_as_it_was_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["webhooks", "listen", "--forward", "nope", "--key", "k"]) == 2
    assert capsys.readouterr().err == (
        "callwheel webhooks listen: --forward is an address as https://example.com/hook,"
        " without a user in it.\n"
    )


def test_a_refusal_says_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    """It may repeat what others have written, as the name of a list."""
    fault = {"pointer": "/name", "code": "odd", "detail": "\x1b[2J"}
    refusal = {"code": "odd", "detail": "\x1b]0;title\x07 is taken", "errors": [fault]}
    with serve({"/v1/keys?limit=1000": (422, refusal)}) as (url, _):
        code = run(["keys", "list", "--url", url, "--key", "k"])
    said = capsys.readouterr().err
    assert (code, "is taken" in said) == (1, True)
    assert [char for char in said if not char.isprintable() and char != "\n"] == []
