"""The audit log: who changed what, kept in the transaction of the change itself.

Whoever answers a request says so with `begin`. From then on the first transaction in which that task
changes something takes the entry along, whichever method of the store it was: so that no change can be
forgotten here, and a request that changed nothing leaves no entry. What the engine does by itself has
none; its events tell of that.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from engine.model import Role

T = TypeVar("T")

DETAIL_BYTES_MAX: Final = 16 * 1024
"""Of what an entry says of a change; of a longer one only the names of the fields are kept."""
AUDIT_KEPT_S: Final = 400 * 86_400.0
"""How long entries are kept at least."""
SECRET_FIELDS: Final = frozenset({"key", "password", "private_key", "secret", "secrets", "token"})
"""Fields whose values no log shows."""
HIDDEN: Final = "***"


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One change."""

    at: float
    account: str | None
    """Whose thing was changed; None for the installation."""
    key: str
    """Id of the key that asked; empty for a mail."""
    role: Role | Literal["sender"]
    """`sender` is somebody who wrote a mail, and has no key."""
    source: str
    """The address that the request came from; of a mail its sender's."""
    action: str
    """Method and address of the route, with its names in braces; `mail activate` for a mail."""
    targets: tuple[str, ...] = ()
    """Ids of what was changed or made."""
    detail: dict[str, Any] = {}
    """`changed`: field by field, before and after; else `sent`: what the request brought."""


class Auditing:
    """What is known so far of the change that a request is about to make."""

    def __init__(self, entry: AuditEntry) -> None:
        self._entry = entry
        self.is_kept = False
        """Whether a transaction took it along."""

    @property
    def entry(self) -> AuditEntry:
        """The entry as it is to be kept."""
        return self._entry

    def note(self, target: str, account: str | None = None) -> None:
        """Something, perhaps of this account, is changed or made."""
        entry = self._entry
        if target not in entry.targets:
            entry = msgspec.structs.replace(entry, targets=(*entry.targets, target))
        self._entry = msgspec.structs.replace(entry, account=account or entry.account)

    def note_change(self, before: Struct, after: Struct) -> None:
        """Something was this, and is to be that."""
        detail: dict[str, Any] = {"changed": find_differences(before, after)}
        self._entry = msgspec.structs.replace(self._entry, detail=bounded(detail))

    def note_sent(self, sent: Any) -> None:
        """The request brought this."""
        detail = {**self._entry.detail, "sent": sent}
        self._entry = msgspec.structs.replace(self._entry, detail=bounded(detail))


_AUDITING: ContextVar[Auditing | None] = ContextVar("auditing", default=None)


def begin(entry: AuditEntry | None) -> None:
    """The task, and those that it starts, answer this request from now on; None for one that changes
    nothing."""
    _AUDITING.set(None if entry is None else Auditing(entry))


def current() -> Auditing | None:
    """The change that this task is about to make, while it is not kept yet."""
    auditing = _AUDITING.get()
    return None if auditing is None or auditing.is_kept else auditing


def note(target: str, account: str | None = None) -> None:
    """As `Auditing.note`, of what this task is about to change."""
    auditing = current()
    if auditing is not None:
        auditing.note(target, account)


def noting(change: Callable[[T], T]) -> Callable[[T], T]:
    """`change`, which is about to be made by this task, with a note of what it changed. It may run in another
    thread, and twice."""
    auditing = current()
    if auditing is None:
        return change

    def noted(before: T) -> T:
        after = change(before)
        assert isinstance(before, Struct)
        assert isinstance(after, Struct)
        auditing.note_change(before, after)
        return after

    return noted


def find_differences(before: Struct, after: Struct) -> dict[str, Any]:
    """The fields in which two structs differ: name → [before, after], without secrets."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return {
        name: [hide_secrets(old.get(name)), hide_secrets(new.get(name))]
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    }


def hide_secrets(value: Any) -> Any:
    """A JSON value without what nobody is to read."""
    if isinstance(value, dict):
        return {
            name: HIDDEN if name in SECRET_FIELDS and inner else hide_secrets(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [hide_secrets(inner) for inner in value]
    return value


def bounded(detail: dict[str, Any]) -> dict[str, Any]:
    """The detail, or, where it is too long, only the names of its fields."""
    if len(msgspec.json.encode(detail)) <= DETAIL_BYTES_MAX:
        return detail
    return {
        part: sorted(str(name)[:100] for name in fields)[:100] if isinstance(fields, dict) else None
        for part, fields in detail.items()
    }
