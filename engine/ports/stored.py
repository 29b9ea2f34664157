"""What every part of the store answers with, and the errors that it raises."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from engine.model.pickup import Pickup

T = TypeVar("T")


PAGE_MAX = 1000
"""Rows of one page; a larger `limit` is cut to this."""
DUPLICATE_S = 24 * 3600.0
"""How long a file that came in is known again."""
PARTIAL = 206
"""The status of an answer that stands for what came so far of a request that broke off. It is read like any
other, and keeps nothing from being made: whoever takes the rest up puts another in its place."""


class Page(Struct, Generic[T], frozen=True):
    """A part of a long answer."""

    items: tuple[T, ...]
    next: str | None
    """What to ask for the following part with; None at the end. Opaque to whoever holds it."""


class StoreUnavailable(Exception):
    """The store cannot write just now (disk full, read-only, locked, closed). Nothing was changed."""


class Conflict(Exception):
    """The change contradicts what is stored. `code` is stable and told to the caller."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class DuplicateList(Conflict):
    """The same file came in for the same flow within `DUPLICATE_S`."""

    def __init__(self, call_list: str, detail: str) -> None:
        super().__init__("duplicate_list", detail)
        self.call_list = call_list
        """The id of the list that the file made then."""


class PickedUp(Conflict):
    """The file of a list was picked up before, and may be where it was."""

    def __init__(self, pickup: Pickup) -> None:
        super().__init__("picked_up", f"The file was picked up before, as {pickup.id}.")
        self.pickup = pickup


class IdempotentAnswer(Struct, frozen=True):
    """The first answer to a request that carried an Idempotency-Key."""

    account: str
    """The account, or "" for the administrator's own requests."""
    key: str
    fingerprint: bytes
    """SHA-256 over method, path and body of the request."""
    status: int
    body: bytes
    created_at: float
