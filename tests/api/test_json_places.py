"""Lines of what stands in a JSON text."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.json_places import find_lines
from engine.form import escape


def test_each_value_is_found_on_the_line_on_which_it_begins() -> None:
    text = '{\n "a": {"b": [1,\n  {"c/d": "x\\"}"}],\n  "é": null},\n "e": []\n}'
    assert find_lines(text) == {
        "": 1,
        "/a": 2,
        "/a/b": 2,
        "/a/b/0": 2,
        "/a/b/1": 3,
        "/a/b/1/c~1d": 3,
        "/a/é": 4,
        "/e": 5,
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def pointers(value: Any, pointer: str = "") -> list[str]:
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = [(escape(name), item) for name, item in value.items()]
    elif isinstance(value, list):
        inner = [(str(place), item) for place, item in enumerate(value)]
    return [pointer] + [one for name, item in inner for one in pointers(item, f"{pointer}/{name}")]


@given(json_values, st.sampled_from([None, 0, 2]))
def test_every_value_of_any_json_is_found(value: Any, indent: int | None) -> None:
    assert list(find_lines(json.dumps(value, indent=indent))) == pointers(value)


@given(st.text(alphabet='{}[]",:\\ \n1a'))
def test_a_text_that_is_no_json_ends_as_well(text: str) -> None:
    assert find_lines(text)[""] == 1
