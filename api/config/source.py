"""Where settings stand: a TOML file and environment variables, laid over each other, each with its place.

A setting's key is dotted, `http.bind` or `trunks.0.uri`; its pattern has `*` where the key has an index.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct, field

PREFIX: Final = "CALLWHEEL_"
ENVIRONMENT: Final = "environment"

OTHER_VARIABLES: Final = frozenset(
    {"CALLWHEEL_ADMIN_KEY", "CALLWHEEL_URL", "CALLWHEEL_KEY", "CALLWHEEL_REAL_PEERS"}
)
"""Variables of ours that are no setting; those of the tests begin with CALLWHEEL_TEST_."""
TEST_PREFIX: Final = "CALLWHEEL_TEST_"

INDEX_MAX: Final = 999
"""The highest index of a table in an array."""
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,2}")


class Refused(Exception):
    """A value that its key does not take. `detail` is one sentence for a person."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class Key(Struct, frozen=True):
    """What one key takes."""

    read: Callable[[Any], Any]
    """From what TOML brought to the value; raises `Refused`."""
    from_text: Callable[[str], Any] = str
    """From a variable's text to what TOML would have brought; raises `Refused`."""


class Place(Struct, frozen=True):
    """Where a setting stands."""

    source: str
    """The file's name, or `environment`."""
    key: str
    """The dotted key, or the variable's name."""
    line: int | None = None
    """Counted from 1; None where it could not be found."""

    def __str__(self) -> str:
        line = "" if self.line is None else f", line {self.line}"
        return f"{self.source}{line}: {self.key}" if self.key else f"{self.source}{line}"


class ConfigMistake(Struct, frozen=True):
    """One thing that is wrong with a configuration."""

    place: Place
    code: str
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.detail} ({self.code})"


class Setting(Struct, frozen=True):
    """One key with its value as it was found."""

    key: str
    pattern: str
    raw: Any
    place: Place


class Source(Struct):
    """All that was found, and what was wrong with it so far."""

    settings: dict[str, Setting] = field(default_factory=dict)
    """By key; only known ones."""
    places: dict[str, Place] = field(default_factory=dict)
    """Every key that was given, whatever its value."""
    tables: dict[str, Place] = field(default_factory=dict)
    """Every table that was given, `sip` or `trunks.0`."""
    mistakes: list[ConfigMistake] = field(default_factory=list)


class Expected(Struct, frozen=True):
    """What may be given."""

    keys: Mapping[str, Key]
    """By pattern."""

    def is_table(self, pattern: str) -> bool:
        """Whether keys lie below it."""
        return any(known.startswith(f"{pattern}.") for known in self.keys)


def pattern_of(key: str) -> str:
    """The key with each index replaced by `*`."""
    return ".".join("*" if _INDEX.fullmatch(step) else step for step in key.split("."))


def read_source(
    text: str, environment: Mapping[str, str], *, file: str, expected: Expected
) -> Source:
    """Everything that file and environment give; the environment goes before the file."""
    source = Source()
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits is a plain ValueError, thousands of brackets a RecursionError.
        at = re.search(r"\(at line (\d+), column \d+\)", str(error))
        place = Place(file, "", int(at[1]) if at else None)
        source.mistakes.append(ConfigMistake(place, "not_toml", f"This is not TOML: {error}."))
        document = {}
    _add_table(source, "", document, _Lines(file, text), expected)
    for name in sorted(environment, key=_order_of_variable):
        if not name.startswith(PREFIX) or name.startswith(TEST_PREFIX) or name in OTHER_VARIABLES:
            continue
        _add_variable(source, name, environment[name], expected)
    return source


class _Lines:
    """On which line of a file each key stands: tomllib does not say.

    It reads line by line what TOML means to be read line by line: headers and the beginnings of
    assignments. What stands inside an inline table is found on the line of the table's own key.
    """

    _HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
    _ASSIGNMENT: Final = re.compile(
        r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[\w"'-]+)*)\s*="""
    )
    _QUOTES: Final = re.compile(r"\"\"\"|'''")

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._lines: dict[str, int] = {}
        table = ""
        counts: dict[str, int] = {}
        in_text = False
        for number, line in enumerate(text.splitlines(), start=1):
            if not in_text:
                if header := self._HEADER.match(line):
                    table = _without_quotes(header[2])
                    if header[1] == "[[":
                        counts[table] = counts.get(table, -1) + 1
                        table = f"{table}.{counts[table]}"
                    self._lines.setdefault(table, number)
                elif assignment := self._ASSIGNMENT.match(line):
                    key = _join(table, _without_quotes(assignment[1]))
                    self._lines.setdefault(key, number)
            in_text ^= len(self._QUOTES.findall(line)) % 2 == 1

    def place_of(self, key: str) -> Place:
        """The key's own line, or the nearest above it that is known."""
        above = key
        while above and above not in self._lines:
            above = above.rpartition(".")[0]
        return Place(self._file, key, self._lines.get(above))


def _without_quotes(key: str) -> str:
    return ".".join(step.strip().strip("\"'") for step in key.split("."))


def _join(table: str, name: str) -> str:
    return f"{table}.{name}" if table else name


def _add_table(
    source: Source, table: str, values: Mapping[str, Any], lines: _Lines, expected: Expected
) -> None:
    """What a file gives, table by table."""
    for name, value in values.items():
        key = _join(table, name)
        pattern = pattern_of(key)
        place = lines.place_of(key)
        if not _is_known(source, key, pattern, place, expected):
            continue
        if pattern in expected.keys:
            source.places[key] = place
            source.settings[key] = Setting(key, pattern, value, place)
        elif expected.is_table(f"{pattern}.*"):
            _add_array(source, key, value, lines, expected)
        elif isinstance(value, dict):
            source.tables[key] = place
            _add_table(source, key, value, lines, expected)
        else:
            detail = f"`{name}` is a table: write `[{key}]` above its keys."
            source.mistakes.append(ConfigMistake(place, "wrong_type", detail))


def _add_array(source: Source, key: str, value: Any, lines: _Lines, expected: Expected) -> None:
    """What a file gives under headers in double brackets."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        detail = f"`{key}` is a list of tables: write `[[{key}]]` above each."
        source.mistakes.append(ConfigMistake(lines.place_of(key), "wrong_type", detail))
        return
    if len(value) > INDEX_MAX + 1:
        detail = f"There are {len(value)} of `{key}`; at most {INDEX_MAX + 1} are taken."
        source.mistakes.append(ConfigMistake(lines.place_of(key), "too_many", detail))
        return
    for index, item in enumerate(value):
        source.tables[f"{key}.{index}"] = lines.place_of(f"{key}.{index}")
        _add_table(source, f"{key}.{index}", item, lines, expected)


def _add_variable(source: Source, name: str, text: str, expected: Expected) -> None:
    """What one environment variable gives."""
    key = name.removeprefix(PREFIX).lower().replace("__", ".")
    pattern = pattern_of(key)
    place = Place(ENVIRONMENT, name)
    if not _is_known(source, key, pattern, place, expected):
        return
    if pattern not in expected.keys:
        detail = f"This names a table; a variable sets one key of it, as {name}__KEY."
        source.mistakes.append(ConfigMistake(place, "wrong_type", detail))
        return
    table = key.rpartition(".")[0]
    if "*" in pattern and not _follows(source, table):
        parent, _, index = table.rpartition(".")
        detail = f"There is no {parent} {int(index) - 1} before it; they are counted from 0."
        source.mistakes.append(ConfigMistake(place, "index_gap", detail))
        return
    try:
        raw = expected.keys[pattern].from_text(text)
    except Refused as refused:
        source.mistakes.append(ConfigMistake(place, refused.code, refused.detail))
        source.settings.pop(key, None)
        raw = None
    else:
        source.settings[key] = Setting(key, pattern, raw, place)
    source.places[key] = place
    if table:
        source.tables.setdefault(table, place)


def _is_known(source: Source, key: str, pattern: str, place: Place, expected: Expected) -> bool:
    """Whether the key is one to read on; notes the mistake where it is not."""
    if pattern in expected.keys or expected.is_table(pattern):
        return True
    source.mistakes.append(ConfigMistake(place, "unknown_key", _say_unknown(pattern, expected)))
    return False


def _say_unknown(pattern: str, expected: Expected) -> str:
    table, _, name = pattern.rpartition(".")
    near = sorted(set(_names_below(table, expected)))
    guess = difflib.get_close_matches(name, near, n=1)
    return f"There is no such key; did you mean `{guess[0]}`?" if guess else "There is no such key."


def _names_below(table: str, expected: Expected) -> Iterator[str]:
    """Names of the keys and tables directly below a table."""
    for known in expected.keys:
        if not table or known.startswith(f"{table}."):
            yield known.removeprefix(f"{table}.").split(".")[0]


def _follows(source: Source, table: str) -> bool:
    """Whether the table is there already or would be the next one of its array."""
    parent, _, index = table.rpartition(".")
    return index == "0" or table in source.tables or f"{parent}.{int(index) - 1}" in source.tables


def _order_of_variable(name: str) -> tuple[tuple[int, str], ...]:
    """By name, with indices as numbers: trunk 10 comes after trunk 9."""
    return tuple(
        (int(step), "") if _INDEX.fullmatch(step) else (0, step) for step in name.split("__")
    )
