"""The audit log: each method that changes something takes the entry along."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final, TypeVar

import trio

from adapters.sqlite import cursors
from engine.model import audit
from engine.model.audit import AuditEntry
from engine.ports.stored import IdempotentAnswer, Page
from sim.memory_store.paging import page_of
from sim.memory_store.tables import Tables

S = TypeVar("S", bound=type)

MAKERS: Final = (
    "accept_",
    "add_account",
    "add_agent",
    "add_did",
    "add_flow",
    "add_key",
    "add_prompt",
)
"""What the names of methods begin with that have made something when they give nothing back."""
CHANGERS: Final = (
    "add_activation",
    "change_",
    "complete_contacts",
    "decide_",
    "delete_",
    "edit_",
    "enable_",
    "move_contacts",
    "put_do_not_call",
    "remove_",
    "replay_",
    "reschedule_",
    "set_",
)
"""Of those that have changed something when they give something back."""


class MemoryAudit:
    """The methods of `engine.ports.settings_store.AuditStore`, and the one for all accounts."""

    _tables: Tables

    async def list_audit(self, account: str, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """In the order of the changes."""
        await trio.lowlevel.checkpoint()
        return self._page(lambda entry: entry.account == account, limit, cursor)

    async def list_all_audit(self, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """In the order of the changes."""
        await trio.lowlevel.checkpoint()
        return self._page(lambda _: True, limit, cursor)

    def _page(
        self, wanted: Callable[[AuditEntry], bool], limit: int, cursor: str | None
    ) -> Page[AuditEntry]:
        after = None
        if cursor is not None:
            (after,) = cursors.read_cursor(cursor, cursors.PLACE_CURSOR)
        found = [one for one in enumerate(self._tables.audit, start=1) if wanted(one[1])]
        page = page_of(
            found, after, limit, lambda one: one[0], lambda one: cursors.cursor_of(one[0])
        )
        return Page(tuple([entry for _, entry in page.items]), page.next)


def audited(store: S) -> S:
    """The store, whose methods that change something keep who did."""
    for name in dir(store):
        if name.startswith(MAKERS):
            setattr(store, name, _audit(getattr(store, name), lambda result: result is None))
        elif name.startswith(CHANGERS):
            setattr(store, name, _audit(getattr(store, name), _has_changed))
    return store


def _has_changed(result: Any) -> bool:
    return bool(result) and not isinstance(result, IdempotentAnswer)


def _audit(
    method: Callable[..., Awaitable[Any]], has_happened: Callable[[Any], bool]
) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def run(self: MemoryAudit, *args: Any, **kwargs: Any) -> Any:
        result = await method(self, *args, **kwargs)
        auditing = audit.current()
        if auditing is not None and has_happened(result):
            self._tables.keep_audit(auditing.entry)
            auditing.is_kept = True
        return result

    return run
