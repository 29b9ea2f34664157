"""What an answer shows of a thing and a change of it leaves alone: where a body brings it, it is passed over.

Whoever reads a thing, changes one field of it and sends all of it back gets what they wanted
(`docs/decisions/0024-what-is-shown-may-be-sent-back.md`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct, structs

from api.http.exchange import Answer, Exchange
from engine.form import Mistake, escape, find_mistakes, require


class Shown(Struct, frozen=True):
    """How the thing that a route changes is shown, and what of it can be changed."""

    view: type[Struct]
    form: type[Struct]
    show: Callable[[Exchange], Awaitable[Answer]]
    """The handler of the GET."""
    moving: frozenset[str] = frozenset()
    """Fields that change by themselves: what was read of them may be old by the time it is sent back."""
    routes: tuple[tuple[str, str], ...] = ()
    """Fields that another route changes, and which."""

    @property
    def read_only(self) -> frozenset[str]:
        """The fields that are shown, and that the route does not change."""
        return _fields_of(self.view) - _fields_of(self.form)


async def pass_over(shown: Shown, exchange: Exchange) -> Exchange:
    """The request without what is only shown. Raises `invalid_json`, `not_found`, and `Invalid` where it is
    asked for: its value is not the present one, and it is none of `moving`, or nothing is named beside it
    that could be changed."""
    raw = exchange.read_json()
    named = shown.read_only.intersection(raw) if isinstance(raw, dict) else frozenset()
    if not named:
        return exchange
    held = named
    if not _fields_of(shown.form).isdisjoint(raw):
        held = named - shown.moving
    answered = await shown.show(exchange)
    assert isinstance(answered.body, bytes)  # things that can be changed are no streams
    mistakes = list(_find_mistakes(shown, held, raw, msgspec.json.decode(answered.body)))
    if mistakes:
        others = {name: value for name, value in raw.items() if name not in named}
        require([*mistakes, *find_mistakes(others, shown.form)])
    return structs.replace(exchange, passed_over=named)


def _find_mistakes(
    shown: Shown, held: frozenset[str], raw: dict[str, Any], present: dict[str, Any]
) -> Iterator[Mistake]:
    routes = dict(shown.routes)
    for name, value in raw.items():
        if name in held and (name not in present or present[name] != value):
            detail = f"`{name}` is shown here and not changed"
            detail += f": {routes[name]} changes it." if name in routes else "."
            yield Mistake(f"/{escape(name)}", "read_only_field", detail)


def _fields_of(struct: type[Struct]) -> frozenset[str]:
    return frozenset(field.encode_name for field in structs.fields(struct))
