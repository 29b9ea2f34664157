"""Entity tags, and the conditions that are made with them (RFC 9110 §8.8.3 and §13.1).

A tag stands for what people edit of a thing. That is all of a flow or an account; of a DID it is what PATCH
changes, not its load, and of a list what people did to it, not how far its calls are: calls would otherwise
be in the way of edits.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from api.http.problem import Problem
from engine.control.precondition import Precondition
from engine.model import Account, CallList, Did, Flow

TAGS_MAX: Final = 50
"""Of one header."""
TAG_BYTES: Final = 15
"""Of a digest; twenty characters when written."""
ONE_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
TAGS: Final = re.compile(rf"[ \t,]*{ONE_TAG}(?:[ \t]*,[ \t,]*{ONE_TAG})*[ \t,]*")

Tagged = Account | CallList | Did | Flow


class Tags:
    """Makes tags. They are keyed, since a thing may hold a password that its readers do not see, and could
    find by trying."""

    def __init__(self, secret: bytes, *shown_as: str) -> None:
        """`shown_as` is what else the look of things depends on: the release, the address."""
        self._key = hashlib.sha256("\0".join((secret.hex(), *shown_as)).encode()).digest()

    def tag_of(self, thing: Tagged) -> str:
        """A strong tag, in its quotes."""
        digest = hmac.digest(self._key, _state_of(thing), "sha256")[:TAG_BYTES]
        return f'"{base64.urlsafe_b64encode(digest).decode()}"'

    def read_if_match(self, header: str | None, kind: type[Struct]) -> Precondition | None:
        """The condition of a request that changes a thing of this kind. Raises `invalid_parameter`."""
        if header is None:
            return None
        wanted = _read_tags("If-Match", header)
        if wanted is None:  # whatever it is, as long as it is there
            return None
        # A weak tag never matches here (RFC 9110 §8.8.3.2).
        return Precondition(kind, lambda present: self.tag_of(present) in wanted)


def is_among(tag: str, header: str | None) -> bool:
    """Whether an If-None-Match names this tag, by the weak comparison. Raises `invalid_parameter`."""
    if header is None:
        return False
    known = _read_tags("If-None-Match", header)
    return known is None or tag in {one.removeprefix("W/") for one in known}


def _read_tags(name: str, header: str) -> frozenset[str] | None:
    """The tags of a header; None for `*`, which stands for all."""
    if header.strip() == "*":
        return None
    tags = re.findall(ONE_TAG, header) if TAGS.fullmatch(header) else []
    if not 0 < len(tags) <= TAGS_MAX:
        detail = f"{name} is *, or 1 to {TAGS_MAX} ETags as answers gave them, in their quotes."
        raise Problem("invalid_parameter", detail)
    return frozenset(tags)


def _state_of(thing: Tagged) -> bytes:
    state: Any = thing
    if isinstance(thing, Did):
        state = (thing.number, thing.account, thing.trunk, thing.cps, thing.channels, thing.caps)
        state = (*state, thing.rest_when)
    elif isinstance(thing, CallList):
        state = (thing.id, thing.revision)
    return type(thing).__name__.encode() + msgspec.json.encode(state, order="deterministic")
