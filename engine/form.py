"""Reads what JSON brought into structs, and says every mistake at once, each with its place.

msgspec stops at the first mistake of a value. Whoever writes a flow by hand wants to know all of them,
so a struct is read field by field, and a container element by element.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct

T = TypeVar("T", bound=Struct)

MISTAKES_MAX: Final = 100
"""Mistakes that one answer names; whoever has more has understood by then."""


class Mistake(Struct, frozen=True):
    """One thing that is wrong with what was sent."""

    pointer: str
    """JSON pointer (RFC 6901) into it."""
    code: str
    detail: str


class Invalid(Exception):
    """What was asked for cannot be done as it is written; its author can correct it.

    `code` is stable. `errors` name every mistake with a JSON pointer (RFC 6901) into what was sent,
    where the mistakes have a place.
    """

    def __init__(self, code: str, detail: str, errors: tuple[Mistake, ...] = ()) -> None:
        super().__init__(code, detail, errors)
        self.code = code
        self.detail = detail
        self.errors = errors


def read_form(raw: Any, form: type[T]) -> T:
    """`raw` as the struct `form`. Raises `Invalid("invalid_body")` with every mistake.

    Args:
        raw: what JSON brought: dicts, lists, strings, numbers.
    """
    require(find_mistakes(raw, form))
    return msgspec.convert(raw, form)


def require(mistakes: Iterator[Mistake] | list[Mistake]) -> None:
    """Raise `Invalid("invalid_body")` when there is any mistake."""
    found = tuple(mistake for mistake, _ in zip(mistakes, range(MISTAKES_MAX), strict=False))
    if found:
        one = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        place = f"{one.pointer}: " if one.pointer else ""
        raise Invalid("invalid_body", f"{place}{one.detail}{more}", found)


def find_mistakes(raw: Any, wanted: Any, pointer: str = "") -> Iterator[Mistake]:
    """What keeps `raw` from being a `wanted`, which is a type as msgspec understands types."""
    wanted = _choose(raw, wanted)
    arguments = get_args(wanted)
    origin = get_origin(wanted)
    if isinstance(wanted, type) and issubclass(wanted, Struct) and isinstance(raw, dict):
        yield from _find_field_mistakes(raw, wanted, pointer)
    elif origin is dict and isinstance(raw, dict):
        yield from _find_entry_mistakes(raw, arguments[0], arguments[1], pointer)
    elif origin in (list, tuple) and isinstance(raw, list) and arguments[1:] in ((), (...,)):
        for index, element in enumerate(raw):
            yield from find_mistakes(element, arguments[0], f"{pointer}/{index}")
    else:
        yield from _convert_whole(raw, wanted, pointer)


def escape(name: str) -> str:
    """A name as one step of a JSON pointer (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")


def _choose(raw: Any, wanted: Any) -> Any:
    """`X` for `X | None`, unless None is what came; and of an object and a list of them that which came."""
    if raw is None or get_origin(wanted) not in (Union, types.UnionType):
        return wanted
    others = [each for each in get_args(wanted) if each is not type(None)]
    if len(others) > 1 and isinstance(raw, dict | list):
        others = [each for each in others if _is_list(each) is isinstance(raw, list)]
    return others[0] if len(others) == 1 else wanted


def _is_list(wanted: Any) -> bool:
    """Whether a type is that of a list, whatever is asked of it beside."""
    bare = wanted.__origin__ if get_origin(wanted) is Annotated else wanted
    return get_origin(bare) in (list, tuple)


def _find_field_mistakes(
    raw: Mapping[str, Any], wanted: type[Struct], pointer: str
) -> Iterator[Mistake]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    for name in raw:
        if name not in fields and wanted.__struct_config__.forbid_unknown_fields:
            detail = f"There is no field {name!r} here."
            yield Mistake(f"{pointer}/{escape(name)}", "unknown_field", detail)
    for name, field in fields.items():
        place = f"{pointer}/{escape(name)}"
        if name in raw:
            yield from find_mistakes(raw[name], field.type, place)
        elif field.required:
            yield Mistake(place, "missing_field", f"`{name}` is required.")


def _find_entry_mistakes(
    raw: Mapping[str, Any], key_type: Any, value_type: Any, pointer: str
) -> Iterator[Mistake]:
    for key, value in raw.items():
        place = f"{pointer}/{escape(key)}"
        unknown = list(_convert_whole(key, key_type, place))
        yield from unknown or find_mistakes(value, value_type, place)


def _convert_whole(raw: Any, wanted: Any, pointer: str) -> Iterator[Mistake]:
    try:
        msgspec.convert(raw, wanted)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        deeper = path.rstrip("`").replace("[", ".").replace("]", "").replace(".", "/")
        yield Mistake(f"{pointer}{deeper}", "invalid_value", f"{text}.")
