"""The rules of other start times and priorities, for every store. Pure, as `rules`.

A list's contacts are given another start time a piece at a time, because there may be a million of them. The
list itself says so first, in a commit of its own: from then on no attempt of it begins before that time,
whether its contact was reached already or not.
"""

from __future__ import annotations

from typing import Final

import msgspec

from adapters.sqlite.rules import OPEN_STATUSES, ListState, list_event
from engine.model import Contact
from engine.model.events import Event, rfc3339
from engine.ports.moving import ListEdit
from engine.ports.stored import Conflict

ROUNDING_S: Final = 1e-3
"""By how much the moment of an attempt may seem to lie before the start time of its contact."""


def edit(row: ListState, wanted: ListEdit, at: float) -> list[Event]:
    """Give a list another priority, and begin to give its contacts another start time. Raises `Conflict` with
    nothing changed."""
    if row.status not in OPEN_STATUSES:
        raise Conflict("list_finished", f"The list is {row.status}; nothing of it can be changed.")
    if row.standing:
        raise Conflict(
            "list_standing",
            "Single calls have start times and priorities of their own; change each contact's.",
        )
    row.revision += 1
    row.priority = wanted.priority or row.priority
    if wanted.starttime is None:
        return []
    row.moving_to, row.moved_row, row.moved_id = wanted.starttime, 0, ""
    return [list_event("list.rescheduled", row, at, starttime=rfc3339(wanted.starttime))]


def end_move(row: ListState) -> None:
    """All contacts of the list have the other start time."""
    row.moving_to, row.moved_row, row.moved_id = None, 0, ""


def bars_attempts(row: ListState, at: float) -> bool:
    """Whether no attempt may begin at this moment, because the list is being given a later start time."""
    return row.moving_to is not None and row.moving_to > at


def check_movable(contact: Contact) -> None:
    """Raises `Conflict` for a contact that cannot be given another start time."""
    if contact.state == "dialing":
        raise Conflict("contact_dialing", "The contact is being dialled.")
    if contact.state == "completed":
        raise Conflict("contact_finished", "The contact has its disposition already.")


def is_untried(contact: Contact) -> bool:
    """Whether nothing has come of any call to the contact yet."""
    return not (contact.spent or contact.tries or contact.tel_index or contact.detour)


def moved(contact: Contact, starttime: float) -> Contact:
    """A contact with another start time. One that was tried waits for its next try as long as it did, and
    at least until the start time; where it was the start time that it waited for, until the new one."""
    changed = msgspec.structs.replace(contact, starttime=starttime)
    waits_for_start = is_untried(contact) or contact.wait_code == "starttime"
    if contact.state == "open" and waits_for_start:
        return msgspec.structs.replace(changed, due_at=starttime, wait_code="starttime")
    return not_before_start(changed, starttime)


def not_before_start(contact: Contact, starttime: float) -> Contact:
    """A contact that waits again, where its start time was changed meanwhile."""
    if contact.state == "open" and contact.due_at < starttime:
        return msgspec.structs.replace(contact, due_at=starttime, wait_code="starttime")
    return contact
