"""What a DID is made of and changed with, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from engine.form import Mistake, find_mistakes, read_form, require
from engine.forms.number import find_number_mistakes, find_pace_mistakes
from engine.model import CallsPerSecond, Caps, Channels, Did
from engine.model.did_health import RestSeconds, RestWhen

NOTE_LENGTH_MAX: Final = 200
"""Characters."""
TrunkName = Annotated[str, Meta(min_length=1, max_length=64)]
"""As long as the configuration has it. One that is not configured yet is taken, and its calls wait for it."""


class DidForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What a DID is made of."""

    number: str
    account: str
    """Name or id."""
    trunk: TrunkName
    cps: CallsPerSecond = 1
    channels: Channels = 30
    caps: Caps = ()
    rest_when: RestWhen = RestWhen()


class DidChangeForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be changed of a DID; what is not named stays."""

    trunk: TrunkName = ""
    cps: CallsPerSecond = 1
    channels: Channels = 30
    caps: Caps = ()
    rest_when: RestWhen = RestWhen()


class RestForm(Struct, frozen=True, forbid_unknown_fields=True):
    """How a DID is to rest."""

    for_s: RestSeconds | None = None
    """None is until somebody lets it call again."""
    note: Annotated[str, Meta(max_length=NOTE_LENGTH_MAX, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""
    """Why, for whoever asks."""


def find_did_mistakes(raw: Any, form: type[Struct]) -> Iterator[Mistake]:
    """All that is wrong with what is to be one of the forms."""
    yield from find_mistakes(raw, form)
    if isinstance(raw, dict):
        yield from find_number_mistakes(raw.get("number"), "/number")
        yield from find_pace_mistakes(raw.get("cps"), "/cps")


def read_did_change(raw: Any) -> Callable[[Did], Did]:
    """What turns a DID into the one that `raw`, a `DidChangeForm`, asks for. Raises `Invalid`."""
    require(find_did_mistakes(raw, DidChangeForm))
    form = read_form(raw, DidChangeForm)
    named = {name: getattr(form, name) for name in raw}

    def change(did: Did) -> Did:
        return msgspec.structs.replace(did, **named)

    return change
