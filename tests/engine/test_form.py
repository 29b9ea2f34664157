from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from engine.form import MISTAKES_MAX, Invalid, read_form


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=1)]
    note: str | None = None


class Whole(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    parts: tuple[Part, ...] = ()
    by_colour: dict[Literal["red", "green"], Part] = {}
    maybe: Part | None = None
    anything: dict[str, Any] = {}


def places_of(raw: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read_form(raw, Whole)
    return [(mistake.pointer, mistake.code) for mistake in caught.value.errors]


def test_what_is_right_is_read() -> None:
    raw = {"name": "x", "parts": [{"size": 1}], "by_colour": {"red": {"size": 2, "note": None}}}
    assert read_form(raw, Whole) == Whole("x", (Part(1),), {"red": Part(2)})


def test_every_mistake_is_named_with_its_place() -> None:
    raw = {
        "parts": [{"size": 1}, {"size": 0}, {"size": "1", "noet": ""}, 7],
        "by_colour": {"blue": {"size": 1}, "green": {}},
        "maybe": {"size": 1, "note": 2},
        "a/b~c": 1,
    }
    assert places_of(raw) == [
        ("/a~1b~0c", "unknown_field"),
        ("/name", "missing_field"),
        ("/parts/1/size", "invalid_value"),
        ("/parts/2/noet", "unknown_field"),
        ("/parts/2/size", "invalid_value"),
        ("/parts/3", "invalid_value"),
        ("/by_colour/blue", "invalid_value"),
        ("/by_colour/green/size", "missing_field"),
        ("/maybe/note", "invalid_value"),
    ]


@pytest.mark.parametrize("raw", [None, 1, "x", [], True])
def test_what_is_no_object_is_one_mistake(raw: Any) -> None:
    assert places_of(raw) == [("", "invalid_value")]


def test_the_detail_names_the_first_mistake_and_counts_the_others() -> None:
    with pytest.raises(Invalid) as caught:
        read_form({"name": 1, "parts": 2}, Whole)
    assert caught.value.detail == "/name: Expected `str`, got `int`. (and 1 more)"


def test_mistakes_beyond_the_bound_are_not_named() -> None:
    raw = {f"x{place}": 1 for place in range(MISTAKES_MAX * 2)}
    assert len(places_of(raw)) == MISTAKES_MAX
