"""Variables in the texts of a flow: `{{name}}`, and `{{due|date}}` where the text says how to speak it. Pure.

Values come from the list or the trigger, from defaults, and from what happens on the call. Whatever text
they hold, it is a value: no `{{…}}` in it is filled in again, and in an address it stands percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct

from engine.flow.speaking import form_of, speak_as
from engine.model.variable import Variable

FILLED_LENGTH_MAX: Final = 2_000
"""Characters of a text once its variables are filled in, as many as are spoken; the rest is cut off."""
URL_FILLED_LENGTH_MAX: Final = 8_000
"""The same of an address."""

BUILT_IN: Final = {
    "call.number": "the number that is being called",
    "call.did": "the number that the call comes from",
    "contact.reference": "the user's own name for the contact",
}
"""Values that every call has, and what they are."""

_PLACE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INSIDE: Final = re.compile(
    r"\s*(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[a-z]+)?)\s*"
    r"(?:\|\s*(?P<form>[a-z]+)\s*(?::\s*(?P<argument>[A-Za-z]{1,8})\s*)?)?"
)
_CUT_ESCAPE: Final = re.compile(r"%[0-9A-F]?\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202f]+")


class Place(Struct, frozen=True):
    """Where a text wants a value."""

    written: str
    """All of it, braces included."""
    name: str | None
    """The variable; None where it cannot be read."""
    form: str | None = None
    argument: str = ""


def find_places(text: str) -> list[Place]:
    """Every `{{…}}` of a text, in order."""
    return [_read_place(match) for match in _PLACE.finditer(text)]


def has_loose_braces(text: str) -> bool:
    """Whether there are braces that open or close no place."""
    rest = _PLACE.sub("", text)
    return "{{" in rest or "}}" in rest


def initial_values(variables: Mapping[str, Variable], brought: Mapping[str, str]) -> dict[str, str]:
    """The values that a call begins with.

    Args:
        variables: as the flow declares them.
        brought: what the contact brings; what is not declared any more is there all the same.
    """
    defaults = {name: variable.default or "" for name, variable in variables.items()}
    return defaults | dict(brought)


def render(
    text: str,
    values: Mapping[str, str],
    variables: Mapping[str, Variable] | None = None,
    language: str = "en",
) -> str:
    """A text for a voice. A variable without a value leaves nothing behind.

    Args:
        text: with its places.
        values: by the variables' names.
        variables: as the flow declares them; they say how a value is spoken where the text does not.
        language: of the text (BCP 47).
    """

    def speak(place: Place) -> str:
        value = values.get(place.name or "", "")
        form, argument = form_of((variables or {}).get(place.name or ""))
        if place.form is not None:
            form, argument = place.form, place.argument or argument
        return speak_as(form, value, language, argument)

    filled = _CONTROL.sub(" ", _fill(text, speak))
    return filled[:FILLED_LENGTH_MAX]


def render_plain(text: str, values: Mapping[str, str]) -> str:
    """A text with the values as they are, as another program or another variable takes it."""
    return _fill(text, lambda place: values.get(place.name or "", ""))[:FILLED_LENGTH_MAX]


def render_json(body: Any, values: Mapping[str, str]) -> Any:
    """A JSON value whose texts are filled in; its numbers, its shape and its keys stay."""
    if isinstance(body, str):
        return render_plain(body, values)
    if isinstance(body, list):
        return [render_json(item, values) for item in body]
    if isinstance(body, dict):
        return {key: render_json(item, values) for key, item in body.items()}
    return body


def render_url(url: str, values: Mapping[str, str]) -> str:
    """An address; what is filled in can be no part of its structure (RFC 3986 §2.1): it is percent-encoded,
    and left out where it is nothing but dots, which would lead to another folder."""

    def encode(place: Place) -> str:
        value = values.get(place.name or "", "")
        return quote(value, safe="") if value.strip(".") else ""

    return _CUT_ESCAPE.sub("", _fill(url, encode)[:URL_FILLED_LENGTH_MAX])


def find_texts(body: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """(JSON pointer, text) of every text in a JSON value."""
    if isinstance(body, str):
        yield pointer, body
    elif isinstance(body, list):
        for place, item in enumerate(body):
            yield from find_texts(item, f"{pointer}/{place}")
    elif isinstance(body, dict):
        for key, item in body.items():
            step = str(key).replace("~", "~0").replace("/", "~1")
            yield from find_texts(item, f"{pointer}/{step}")


def _fill(text: str, value_of: Callable[[Place], str]) -> str:
    return _PLACE.sub(lambda match: value_of(_read_place(match)), text)


def _read_place(match: re.Match[str]) -> Place:
    inside = _INSIDE.fullmatch(match[1])
    if inside is None:
        return Place(match[0], None)
    return Place(match[0], inside["name"], inside["form"], inside["argument"] or "")
