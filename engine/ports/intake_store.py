"""The part of the store that takes triggers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from msgspec import Struct

from engine.drafts import Batch
from engine.model import CallList, Contact, RejectedRow
from engine.model.pickup import Pickup
from engine.ports.stored import (
    IdempotentAnswer,
)

Repeats = Literal["refused", "allowed"]
"""What becomes of a file that came in for its flow within the last `DUPLICATE_S`."""


class NewList(Struct, frozen=True):
    """A trigger that was validated: what `accept_list` makes durable at once."""

    call_list: CallList
    contacts: Sequence[Contact]
    rejected: Sequence[RejectedRow] = ()
    content_sha256: bytes | None = None
    """Of the file that it came in; None for what is no file."""
    repeats: Repeats = "refused"
    pickup: Pickup | None = None
    """Of the file, where it lay in a folder; `PickedUp` is raised where its mark is known."""


class Promise(Struct, frozen=True):
    """What a list is to be, should nothing more of it come, and the answer that stands for its key until it
    is published."""

    call_list: CallList
    answer: IdempotentAnswer | None = None
    """Its status is `PARTIAL`."""


class ListTaking(Protocol):
    """A list that comes in piece by piece. Nobody sees it before it is published, and what is never published
    is cleared away, unless it was promised."""

    async def add(
        self,
        contacts: Sequence[Contact],
        rejected: Sequence[RejectedRow],
        promise: Promise | None = None,
    ) -> None:
        """Keep a piece of it, a thousand rows or so. With a promise it is durable when this returns: should
        the list neither be published nor grow, it is published as the promise says when the store is opened
        the next time."""

    async def add_batch(
        self, batch: Batch, rejected: Sequence[RejectedRow], promise: Promise | None = None
    ) -> None:
        """As `add`, of contacts that nobody has unpacked. A store may leave them so until it is asked for
        them."""

    async def drop_contacts(self) -> None:
        """Forget the contacts that came so far; its rejected rows stay."""

    async def publish(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make the list of what was added, as `accept_list` does, and with it what `new` brings."""


class IntakeStore(Protocol):
    """The commit that an accepted trigger waits for."""

    def take_list(self, account: str, flow: str) -> AbstractAsyncContextManager[ListTaking]:
        """Take a list in piece by piece; what is not published when the block ends is given up. Raises
        `Conflict("flow_deleted")`, and LookupError for an unknown flow."""

    async def accept_list(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make a list, its contacts, its rejected rows and the event `list.accepted` durable at once. A
        list with no contact is stored as it comes, with its status `rejected`. Raises `DuplicateList` with
        nothing stored, unless the list says that repeats are allowed: of two that come at once one is
        made."""

    async def find_list_of_content(
        self, account: str, flow: str, content_sha256: bytes, since: float
    ) -> CallList | None:
        """The newest list of the flow that this file made after `since`; lists that nothing was taken of
        do not count."""

    async def has_listed(self, account: str, flow: str, at: float) -> bool:
        """Whether there is any number, or range, that the flow must not call at a moment."""

    async def find_listed(
        self, account: str, flow: str, numbers: Sequence[str], at: float
    ) -> frozenset[str]:
        """Those of some numbers (thousands at the most) that the flow must not call at a moment."""

    async def accept_call(
        self, contact: Contact, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Add a contact to its flow's standing list."""
