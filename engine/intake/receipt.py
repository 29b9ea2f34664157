"""What every list, by whatever door and in whatever form it came, is answered with, and the commit before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio
from msgspec import Struct

from engine.model import CallList
from engine.ports.stored import StoreUnavailable

COMMIT_S_MAX: Final = 30.0
"""How long a commit may take, seconds. A client that hangs up meanwhile does not undo it."""

OnAccepted = Callable[[str, str, str, float], None]
"""Called after a commit with account, flow, list and the earliest `due_at` of what was accepted. It
must not block."""


class Receipt(Struct, frozen=True):
    """What became of a list. It is stored, whatever its status."""

    call_list: CallList
    """With its report; its status is `rejected` when nothing of it was taken."""
    earliest_due_at: float | None
    """When its first contact is due, seconds since the epoch; None when nothing was taken."""


@contextmanager
def committing() -> Iterator[None]:
    """A block that a cancellation from outside does not interrupt, within `COMMIT_S_MAX`: what was
    committed must also be heard of. Raises `StoreUnavailable` when it takes longer."""
    try:
        with trio.fail_after(COMMIT_S_MAX) as scope:
            scope.shield = True
            yield
    except trio.TooSlowError:
        raise StoreUnavailable(f"the commit took longer than {COMMIT_S_MAX:g} s") from None
