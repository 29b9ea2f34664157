"""What an answer shows of a thing and a change of it leaves alone: where a body brings it, it is passed over.

Whoever reads a thing, changes one field of it and sends all of it back gets what they wanted
(`docs/decisions/0024-what-is-shown-may-be-sent-back.md`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import suppress

import msgspec
from msgspec import Struct, structs

from api.http.exchange import Answer, Exchange
from engine.form import Invalid, Mistake, escape, require
from engine.model import audit


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


async def answer_change(
    shown: Shown, exchange: Exchange, change: Callable[[Exchange], Awaitable[Answer]]
) -> Answer:
    """What `change` answers to the request without what is only shown. What asks for another value of that is
    left in, for `change` to refuse with all that is wrong beside: it is not the present one, and it is none
    of `moving`, or nothing is named beside it that could be changed. Raises `invalid_json`, `not_found`."""
    raw = exchange.read_json()
    named = shown.read_only.intersection(raw) if isinstance(raw, dict) else frozenset()
    if not named:
        return await _change(exchange, change)
    held = named
    if not _fields_of(shown.form).isdisjoint(raw):
        held = named - shown.moving
    answered = await shown.show(exchange)
    assert isinstance(answered.body, bytes)  # things that can be changed are no streams
    present = msgspec.json.decode(answered.body)
    wrong = {name for name in held if name not in present or present[name] != raw[name]}
    try:
        return await _change(structs.replace(exchange, passed_over=named - wrong), change)
    except Invalid as invalid:
        if wrong:
            require(list(_say_read_only(shown, wrong, invalid.errors)))
        raise


async def _change(exchange: Exchange, change: Callable[[Exchange], Awaitable[Answer]]) -> Answer:
    """What `change` answers, with a note of what it was asked for; what is passed over is no part of that."""
    auditing = audit.current()
    if auditing is not None:
        with suppress(RecursionError):  # what is nested so deep is no change of anything
            auditing.note_sent(audit.hide_secrets(exchange.read_json()))
    return await change(exchange)


def _say_read_only(
    shown: Shown, wrong: Collection[str], mistakes: Iterable[Mistake]
) -> Iterator[Mistake]:
    """The mistakes of a form that does not know these fields, whose author saw them."""
    routes = dict(shown.routes)
    names = {f"/{escape(name)}": name for name in wrong}
    for mistake in mistakes:
        name = names.get(mistake.pointer)
        if name is None:
            yield mistake
        else:
            detail = f"`{name}` is shown here and not changed"
            detail += f": {routes[name]} changes it." if name in routes else "."
            yield Mistake(mistake.pointer, "read_only_field", detail)


def _fields_of(struct: type[Struct]) -> frozenset[str]:
    return frozenset(field.encode_name for field in structs.fields(struct))
