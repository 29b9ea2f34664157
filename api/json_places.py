"""Where in a JSON text a value stands, so that a mistake can be told with its line."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from engine.form import escape

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SCALAR: Final = re.compile(r"[^\s,\]}]+")


def find_lines(text: str) -> dict[str, int]:
    """JSON pointer (RFC 6901) → the line, from 1, on which what it points to begins; of a field, its name.

    Args:
        text: JSON that has been read without error; where it has not, what was found until there.
    """
    lines: dict[str, int] = {"": _line(text, 0)}
    places: list[tuple[str, int]] = []
    """Open containers: their pointer, and the index of the next element, or -1 for an object."""
    at, pointer = 0, ""
    while True:
        at = _skip(text, at)
        kind = text[at : at + 1]
        if kind in ("{", "["):
            places.append((pointer, -1 if kind == "{" else 0))
            at = _skip(text, at + 1)
            if text[at : at + 1] not in ("}", "]"):
                pointer, at = _enter(text, at, places, lines)
                continue
        elif (scalar := (_STRING if kind == '"' else _SCALAR).match(text, at)) is not None:
            at = scalar.end()
        at = _skip(text, at)
        while places and text[at : at + 1] in ("}", "]"):
            places.pop()
            at = _skip(text, at + 1)
        if not places or text[at : at + 1] != ",":
            return lines
        pointer, at = _enter(text, _skip(text, at + 1), places, lines)


def _enter(
    text: str, at: int, places: list[tuple[str, int]], lines: dict[str, int]
) -> tuple[str, int]:
    """Go to the next element of the innermost container: its pointer, and where its value begins."""
    parent, index = places[-1]
    begins = at
    if index < 0:
        written = _STRING.match(text, at)
        if written is None:
            return parent, len(text)
        name = msgspec.json.decode(written[0], type=str)
        pointer = f"{parent}/{escape(name)}"
        at = _skip(text, written.end()) + 1
    else:
        pointer = f"{parent}/{index}"
        places[-1] = (parent, index + 1)
    lines.setdefault(pointer, _line(text, begins))
    return pointer, at


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
