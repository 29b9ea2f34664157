"""A list as the store in memory keeps it."""

from __future__ import annotations

import msgspec

from adapters.sqlite.rules import ListState
from engine.model import (
    CallList,
    RejectedRow,
)


class ListEntry:
    """A list, its contacts in the order of their rows, and those that are due in a heap.

    An entry of the heap is (due_at, contact id). It is left where it is when its contact moves on, and
    thrown away when it comes up.
    """

    def __init__(self, made: int, call_list: CallList, state: ListState) -> None:
        self.made = made
        """Lists that were made before it."""
        self.accepted = call_list
        self.state = state
        self.contacts: list[str] = []
        self.rejected: tuple[RejectedRow, ...] = ()
        self.content_sha256: bytes | None = None
        self.due: list[tuple[float, str]] = []
        self.urgent: list[str] = []
        """Contacts that are urgent of themselves."""

    def as_list(self) -> CallList:
        """The list as it is now."""
        state = self.state
        return msgspec.structs.replace(
            self.accepted,
            status=state.status,
            started_at=state.started_at,
            finished_at=state.finished_at,
            revision=state.revision,
            priority=state.priority,
        )
