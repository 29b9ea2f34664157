"""Other start times and priorities for lists and contacts that wait, as users ask for them."""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import ZoneInfo

import trio
from msgspec import Struct

from engine.control import precondition
from engine.form import Invalid, Mistake, read_form
from engine.intake.starttime import LATE_S_MAX, read_starttime
from engine.model import CallList, Contact, Priority
from engine.model.events import rfc3339
from engine.ports.clock import WallClock
from engine.ports.moving import ListEdit
from engine.ports.store import Store
from engine.schedule.moving import Moving
from engine.schedule.scheduler import Scheduler

ANSWER_WAIT_S: Final = 0.3
"""How long an answer waits for the contacts of a list to have their new start time. A large list goes on
being moved when it is answered."""


class ListChangeForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be changed of a list whose contacts wait; what is not named stays."""

    starttime: str | None = None
    """As of `StartForm`."""
    priority: Priority | None = None
    """Of all its contacts."""


class StartForm(Struct, frozen=True, forbid_unknown_fields=True):
    """When a contact is to start."""

    starttime: str
    """ISO 8601; without an offset a time of the flow's zone. Up to a day in the past means now."""


class Rescheduling:
    """Changes start times and priorities. `run` is a task of its own."""

    def __init__(self, store: Store, clock: WallClock, scheduler: Scheduler) -> None:
        self._store = store
        self._clock = clock
        self._scheduler = scheduler
        self._moving = Moving(store, scheduler)
        self.run = self._moving.run
        """Moves the contacts of lists, until cancelled."""

    async def change_list(self, account: str, call_list: str, raw: Any) -> CallList | None:
        """The list as `raw`, a `ListChangeForm`, wants it. Once this has returned no call of it begins before
        its other start time, and its contacts wait by its other priority; None when there is no such list.
        Raises `Invalid` and `Conflict`; see the store's port."""
        found = await self._store.get_list(account, call_list)
        if found is None:
            return None
        form = read_form(raw, ListChangeForm)
        if form.starttime is None and form.priority is None:
            precondition.checking(CallList)(found)
            if "priority" in raw and found.priority is None:
                return found  # it was shown so
            detail = "Name a `starttime`, a `priority`, or both."
            raise Invalid("invalid_body", detail, (Mistake("", "missing_field", detail),))
        starttime = None
        if form.starttime is not None:
            starttime = await self._read(account, found.flow, form.starttime)
        now, edit = self._clock.now(), ListEdit(starttime, form.priority)
        # A client that hangs up must not keep what was changed from being heard of.
        with trio.CancelScope(shield=True):
            changed = await self._store.edit_list(account, call_list, edit, now)
            if changed is not None and form.priority is not None:
                self._scheduler.fetch_again(call_list)
            if changed is not None and starttime is not None:
                self._moving.add(call_list)
        if changed is not None and starttime is not None:
            with trio.move_on_after(ANSWER_WAIT_S):
                await self._moving.wait(call_list)
        return changed

    async def change_contact(self, account: str, contact: str, raw: Any) -> Contact | None:
        """The contact with another start time, as `change_list`."""
        found = await self._store.get_contact(account, contact)
        if found is None:
            return None
        form = read_form(raw, StartForm)
        if form.starttime == rfc3339(found.starttime):
            return found  # as it was shown: nobody who sends that back wants a call sooner
        starttime = await self._read(account, found.flow, form.starttime)
        with trio.CancelScope(shield=True):
            changed = await self._store.reschedule_contact(account, contact, starttime)
            if changed is not None:
                self._scheduler.recall(changed)
        return changed

    async def _read(self, account: str, flow: str, text: str) -> float:
        of_flow = await self._store.get_flow(account, flow)
        at = read_starttime(text, ZoneInfo(of_flow.timezone if of_flow else "UTC"))
        if at is None:
            raise _refuse("invalid_starttime", "The start time is not ISO 8601, or after 2099.")
        now = self._clock.now()
        if at < now - LATE_S_MAX:
            raise _refuse("starttime_past", "The start time is more than a day ago.")
        return max(at, now)


def _refuse(code: str, detail: str) -> Invalid:
    return Invalid(code, detail, (Mistake("/starttime", code, detail),))
