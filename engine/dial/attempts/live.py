"""The attempts that go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import trio

from engine.model import AttemptStatus

Order = Literal["paused", "canceled"]
TAKEN_BACK: Final[dict[Order, frozenset[AttemptStatus]]] = {
    "paused": frozenset({"initiated"}),
    "canceled": frozenset({"initiated", "ringing"}),
}
"""In which status a call does not go on after an order: a pause lets telephones ring that do, a cancel leaves
only those alone who talk."""


class LiveCall:
    """One of them."""

    def __init__(
        self,
        account: str,
        flow: str | None = None,
        call_list: str | None = None,
        status: AttemptStatus = "in-progress",
    ) -> None:
        self.parties = (account, flow, call_list)
        self.status = status
        """Of its attempt."""
        self.scope = trio.CancelScope()
        """In which it is followed, or will be; its deadline is that of whatever is waited for."""
        self.is_broken_off = False
        """Whether it is to end, whatever it has come to."""
        self.is_canceled = False
        """Whether it was taken back for good, its contact with it."""

    def break_off(self) -> None:
        """It is to end."""
        self.is_broken_off = True
        self.scope.cancel()

    def go_on(self, deadline: float) -> trio.CancelScope:
        """The scope in which it is followed from now on, until a moment; what was waited for until now has
        come, perhaps with the deadline of that."""
        self.scope = trio.CancelScope(deadline=deadline)
        if self.is_broken_off:
            self.scope.cancel()
        return self.scope


class LiveAttempts:
    """The attempts that go on. A stopping engine ends their calls through this, rather than by
    cancelling their tasks, so that each still writes its outcome down."""

    def __init__(self) -> None:
        self._calls: dict[LiveCall, None] = {}
        """From before their intent until they are followed no more."""
        self._numbers: set[tuple[str, str]] = set()
        """(list, number) of each call of a list, from before its intent until its end is written down."""
        self._broken_off = False
        self._emptied = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        """How many calls there are."""
        return len(self._calls)

    def enlist(self, call: LiveCall) -> None:
        """A call is about to be made; `dismiss` ends that."""
        self._calls[call] = None
        if self._broken_off:
            call.break_off()

    def dismiss(self, call: LiveCall) -> None:
        """A call is over, as far as it can be taken back; does nothing the second time."""
        self._calls.pop(call, None)
        if not self._calls:
            self._emptied.unpark_all()

    @contextmanager
    def follow(self, call: LiveCall) -> Iterator[trio.CancelScope]:
        """The scope in which a call is followed."""
        self.enlist(call)
        try:
            with call.scope:
                yield call.scope
        finally:
            self.dismiss(call)

    def hold_number(self, call_list: str, number: str) -> bool:
        """Keep a number from being called for another contact of the list, until `free_number`. Whether no
        other call holds it."""
        if self.holds_number(call_list, number):
            return False
        self._numbers.add((call_list, number))
        return True

    def free_number(self, call_list: str, number: str) -> None:
        """Let a number that was held be called for others."""
        self._numbers.discard((call_list, number))

    def holds_number(self, call_list: str, number: str) -> bool:
        """Whether a call of the list holds a number."""
        return (call_list, number) in self._numbers

    async def wait_empty(self) -> None:
        """Return when there is no call."""
        while self._calls:
            await self._emptied.park()

    def break_off(self) -> None:
        """End every call, and each that begins from now on."""
        self._broken_off = True
        for call in self._calls:
            call.break_off()

    def break_off_account(self, account: str) -> None:
        """End every call of an account that goes on."""
        for call in self._calls:
            if account in call.parties:
                call.break_off()

    def take_back(self, party: str, order: Order) -> None:
        """Take back what has not got far enough of a list, a flow or an account, by its id."""
        for call in self._calls:
            if party in call.parties and call.status in TAKEN_BACK[order]:
                call.is_canceled |= order == "canceled"
                call.break_off()
