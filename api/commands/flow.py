"""`callwheel flow check` and `flow draw`: a flow's definition, judged and drawn without an engine.

A file holds either a definition or a whole flow as `POST /v1/flows` takes it. Whether its prompts are there
only the engine knows.
"""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any, Final

import msgspec

from api.commands import Command, CommandFailed
from api.commands.terminal import printable, say
from api.commands.wording import count
from api.json_places import find_lines
from engine.flow.definition import Definition, read_definition
from engine.flow.drawing import draw
from engine.form import Mistake
from engine.forms.flow import find_definition_mistakes, find_flow_mistakes

FILE_BYTES_MAX: Final = 1_000_000
"""As much as an engine takes."""
STANDARD_OUTPUT: Final = "-"
NO_JSON: Final = re.compile(r"JSON is malformed: (?P<why>.*) \(byte (?P<byte>\d+)\)")
"""As msgspec tells it."""


def _add_file(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="a flow or its definition, JSON")


def _add_draw_arguments(parser: ArgumentParser) -> None:
    _add_file(parser)
    parser.add_argument(
        "-o", "--output", metavar="OUT", help="where to write it; - is standard output (default)"
    )


def check_flow(args: Namespace) -> int:
    """Say that a flow is good, or all that is wrong with it."""
    raw, definition = _read(args.file)
    name = f" {printable(raw['name'])!r}" if "definition" in raw else ""
    nodes = count(len(definition.nodes), "node")
    variables = count(len(definition.variables), "variable")
    print(f"{args.file}: the flow{name} is good: {nodes}, {variables}.")
    return 0


def draw_flow(args: Namespace) -> int:
    """Write a flow's graph as SVG."""
    raw, definition = _read(args.file)
    picture = draw(definition, str(raw.get("name", args.file.stem)))
    if args.output in (None, STANDARD_OUTPUT):
        sys.stdout.write(picture)
        return 0
    try:
        Path(args.output).write_text(picture, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{args.output} cannot be written: {error.strerror}.") from None
    say(f"{args.output}: {count(len(definition.nodes), 'node')}.")
    return 0


def _read(file: Path) -> tuple[dict[str, Any], Definition]:
    """What the file holds, and the definition in it. Raises `CommandFailed` that tells every mistake."""
    text = _read_text(file)
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CommandFailed(_say_no_json(file, text, str(error))) from None
    if isinstance(raw, dict) and "definition" in raw:
        mistakes = find_flow_mistakes(raw)
        if mistakes:
            raise _refuse(file, text, mistakes)
        return raw, read_definition(raw["definition"])
    mistakes = find_definition_mistakes(raw)
    if mistakes:
        raise _refuse(file, text, mistakes)
    return raw, read_definition(raw)


def _say_no_json(file: Path, text: str, reason: str) -> str:
    """Where it stops being JSON, as an editor counts, and why."""
    found = NO_JSON.fullmatch(reason)
    if found is None:
        return f"{file}: this is not JSON: {reason}."
    before = text.encode()[: int(found["byte"])].decode(errors="ignore")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return f"{file}, line {line}, column {column}: this is not JSON: {found['why']}."


def _read_text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}.") from None
    if len(content) > FILE_BYTES_MAX:
        raise CommandFailed(f"{file} is longer than {FILE_BYTES_MAX} bytes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{file} is not UTF-8: byte {error.start} begins no letter.") from None


def _refuse(file: Path, text: str, mistakes: list[Mistake]) -> CommandFailed:
    lines = find_lines(text)
    told = [f"the flow has {count(len(mistakes), 'mistake')}."]
    for mistake in mistakes:
        line = _line_of(mistake.pointer, lines)
        place = f"{file}, line {line}: {mistake.pointer or 'the whole'}"
        told.append(printable(f"{place}: {mistake.code}: {mistake.detail}"))
    return CommandFailed("\n  ".join(told))


def _line_of(pointer: str, lines: dict[str, int]) -> int:
    """The line of the nearest thing that is there: what is missing has none."""
    while pointer not in lines:
        pointer = pointer.rpartition("/")[0]
    return lines[pointer]


CHECK = Command("flow check", "say every mistake of a flow's definition", _add_file, check_flow)
DRAW = Command("flow draw", "draw a flow's graph as SVG", _add_draw_arguments, draw_flow)
