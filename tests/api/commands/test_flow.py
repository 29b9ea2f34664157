"""`callwheel flow check` and `flow draw`."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from api.__main__ import run
from tests.engine.flow.test_definition import TEN_MISTAKES

EXAMPLES = sorted((Path(__file__).parents[3] / "docs" / "flows").glob("*.json"))


def test_there_are_six_examples() -> None:
    assert [file.stem for file in EXAMPLES] == [
        "emergency-broadcast",
        "one-time-code",
        "payment-notice",
        "reminder",
        "survey",
        "voicemail-drop",
    ]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_good_and_can_be_drawn(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = json.loads(file.read_text())
    count, variables = len(flow["definition"]["nodes"]), len(flow["definition"]["variables"])
    told = "1 variable" if variables == 1 else f"{variables} variables"
    picture = tmp_path / "flow.svg"
    assert run(["flow", "check", str(file)]) == 0
    assert run(["flow", "draw", str(file), "-o", str(picture)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        f"{file}: the flow {flow['name']!r} is good: {count} nodes, {told}."
    )
    drawn = ET.fromstring(picture.read_text())
    names = [text.text for text in drawn.findall(".//{*}text") if text.get("class") == "name"]
    assert names == list(flow["definition"]["nodes"])


def test_a_warning_rings_again_whoever_a_crash_has_cut_off_and_goes_before_other_calls() -> None:
    [file] = [file for file in EXAMPLES if file.stem == "emergency-broadcast"]
    settings = json.loads(file.read_text())["settings"]
    assert (settings.get("on_unknown"), settings.get("priority")) == ("retry", "high")


def test_a_bare_definition_is_checked_and_drawn_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bare.json"
    file.write_text('{"start": "a", "nodes": {"a": {"type": "hangup"}}}')
    assert run(["flow", "check", str(file)]) == 0
    assert run(["flow", "draw", str(file)]) == 0
    first, *picture = capsys.readouterr().out.splitlines()
    assert first == f"{file}: the flow is good: 1 node, 0 variables."
    assert ET.fromstring("\n".join(picture)).tag.endswith("svg")


def test_ten_mistakes_are_told_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.json"
    text = json.dumps({"name": "Bad", "definition": TEN_MISTAKES}, indent=1)
    file.write_text(text)
    line = text[: text.index("after_s")].count("\n") + 1
    assert run(["flow", "check", str(file)]) == 1
    first, *told = capsys.readouterr().err.splitlines()
    assert first == "callwheel flow check: the flow has 10 mistakes."
    places = [line.split(": ")[:3] for line in told]
    assert places[0] == [
        f"  {file}, line {line}",
        "/definition/nodes/bye/after_s",
        "unknown_field",
    ]
    assert len(places) == 10


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b" " * 1_000_001, "is longer than 1000000 bytes"),
        (b"[]", "the flow has 1 mistake"),
        (b'{"definition": 3}', "mistakes"),
    ],
)
def test_what_is_no_flow_is_refused_in_a_sentence(
    content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "flow.json"
    file.write_bytes(content)
    assert run(["flow", "check", str(file)]) == 1
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flow", "draw", "/nowhere.json"]) == 1
    assert "cannot be read" in capsys.readouterr().err
