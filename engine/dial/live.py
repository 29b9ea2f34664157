"""The attempts that go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio


class LiveAttempts:
    """The attempts that go on. A stopping engine ends their calls through this, rather than by
    cancelling their tasks, so that each still writes its outcome down."""

    def __init__(self) -> None:
        self._scopes: dict[trio.CancelScope, str] = {}
        """Of each call that is followed, with its account."""
        self._numbers: set[tuple[str, str]] = set()
        """(list, number) of each call of a list, from before its intent until its end is written down."""
        self._broken_off = False
        self._emptied = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        """How many calls are being followed."""
        return len(self._scopes)

    @contextmanager
    def follow(self, account: str) -> Iterator[trio.CancelScope]:
        """The scope in which a call is followed."""
        with trio.CancelScope() as scope:
            if self._broken_off:
                scope.cancel()
            self._scopes[scope] = account
            try:
                yield scope
            finally:
                del self._scopes[scope]
                if not self._scopes:
                    self._emptied.unpark_all()

    @contextmanager
    def hold_number(self, call_list: str, number: str) -> Iterator[bool]:
        """Keep a number from being called for another contact of the list meanwhile. Whether no other call
        holds it."""
        held = (call_list, number)
        if held in self._numbers:
            yield False
            return
        self._numbers.add(held)
        try:
            yield True
        finally:
            self._numbers.discard(held)

    def holds_number(self, call_list: str, number: str) -> bool:
        """Whether a call of the list holds a number."""
        return (call_list, number) in self._numbers

    async def wait_empty(self) -> None:
        """Return when no call is being followed."""
        while self._scopes:
            await self._emptied.park()

    def break_off(self) -> None:
        """End every call, and each that begins from now on."""
        self._broken_off = True
        for scope in self._scopes:
            scope.cancel()

    def break_off_account(self, account: str) -> None:
        """End every call of an account that goes on."""
        for scope, of_account in self._scopes.items():
            if of_account == account:
                scope.cancel()
