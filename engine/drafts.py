"""Contacts before anybody has tried them: drafts, one a row, and batches of drafts as the bytes that a worker
packed.

A list of a hundred thousand rows passes through the engine as a few hundred batches that nobody opens on the
way. A store may keep them like that until their contacts are looked at or called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from engine.ids import ids_from
from engine.model import Contact, Flow, Priority

_NOTHING: Final[dict[Any, Any]] = {}
"""What contacts have that bring no variables, and were not tried: one for all, as a contact never changes."""


class Draft(Struct, frozen=True, array_like=True, gc=False):
    """A row that was taken: a contact but for its ids."""

    row: int
    tel: tuple[str, ...]
    """E.164 with `+`; never empty."""
    variables: dict[str, str]
    """Every variable of the flow, with defaults filled in."""
    starttime: float
    """Seconds since the epoch; never in the past."""
    reference: str | None


class Drafts(Struct, frozen=True, array_like=True, gc=False):
    """Some drafts in the order of their rows, packed."""

    count: int
    data: bytes
    first_row: int = 0
    last_row: int = 0
    earliest_at: float = 0.0
    """The first start time among them."""
    latest_at: float = 0.0

    def unpack(self) -> list[Draft]:
        """What they are."""
        return _DRAFTS.decode(self.data)


class Batch(Struct, frozen=True):
    """Drafts that have become contacts of a list, with ids that follow one another."""

    account: str
    flow: str
    list: str
    first_id: str
    drafts: Drafts
    flow_version: int
    priority: Priority | None = None
    starttime: float | None = None
    """Of all of them, where they have been given another than they came with."""

    def contacts(self) -> Sequence[Contact]:
        """The contacts, in the order of their rows and ids."""
        ids = ids_from(self.first_id, self.drafts.count)
        return [
            self._make(draft, id_) for draft, id_ in zip(self.drafts.unpack(), ids, strict=True)
        ]

    def _make(self, draft: Draft, id_: str) -> Contact:
        starttime = draft.starttime if self.starttime is None else self.starttime
        return Contact(
            id_,
            self.account,
            self.list,
            self.flow,
            draft.row,
            draft.tel,
            draft.variables or _NOTHING,
            starttime,
            draft.reference,
            "open",
            starttime,
            "starttime",
            tries=_NOTHING,
            flow_version=self.flow_version,
            priority=self.priority,
        )


_PACK: Final = msgspec.msgpack.Encoder()
_DRAFTS: Final = msgspec.msgpack.Decoder(list[Draft])


def pack_drafts(drafts: Sequence[Draft]) -> Drafts:
    """Drafts in the order of their rows."""
    if not drafts:
        return NO_DRAFTS
    starts = [draft.starttime for draft in drafts]
    data = _PACK.encode(drafts)
    return Drafts(len(drafts), data, drafts[0].row, drafts[-1].row, min(starts), max(starts))


NO_DRAFTS: Final = Drafts(0, _PACK.encode([]))


def make_batch(
    drafts: Drafts, flow: Flow, list_id: str, first_id: str, priority: Priority | None = None
) -> Batch:
    """The contacts that drafts become in a list of the flow as it is now."""
    return Batch(flow.account, flow.id, list_id, first_id, drafts, flow.version, priority)
