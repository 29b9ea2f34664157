"""The part of the store that the dialling goes by: what is due, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from engine.model import Attempt, BlockerCode, CallList, Contact, ListStatus
from engine.model.did_health import HealthStep
from engine.model.disposition import Disposition
from engine.model.events import Event
from engine.ports.recordings import RecordingKeeper

CALLERS_KEPT = 8
"""Attempts on a number that are looked at for the DIDs that called it."""
Refusal = Literal["gone", "list_paused", "do_not_call", "duplicate_number"]
"""Why an attempt may not begin: the contact is no longer open (dialing, completed, its list canceled), or
was given a later start time; its list is paused; the number, or the one it was redirected from, is on the
do-not-call list of the account or the flow; or somebody was reached on it by another contact of the list,
which is not a standing one."""


class RecentStart(Struct, frozen=True):
    """An attempt, or a leg, made not long ago, as the sliding windows need it after a restart."""

    account: str
    flow: str
    did: str
    trunk: str
    number: str
    initiated_at: float


class PastCall(Struct, frozen=True, gc=False):
    """An attempt on a number, as the caps of its callee count it."""

    attempt: str
    initiated_at: float


class Progress(Struct, frozen=True):
    """What an attempt has come to, and what is told of that."""

    attempt: Attempt
    events: Sequence[Event]


class Deferral(Struct, frozen=True):
    """A contact that stays open and is not looked at before `due_at`."""

    contact: str
    due_at: float
    wait_code: BlockerCode


class OpenList(Struct, frozen=True):
    """A list that still has open contacts and may be dialled."""

    account: str
    flow: str
    list: str
    status: ListStatus
    """`scheduled`, `running` or `paused`."""
    next_due_at: float
    """The earliest `due_at` of its open contacts."""


class DialStore(RecordingKeeper, Protocol):
    """What dialling reads and writes. It is not asked by outsiders, and so not by account."""

    async def open_lists(self) -> list[OpenList]:
        """Every list that has open contacts and is scheduled, running or paused."""

    async def open_list(self, call_list: str) -> OpenList | None:
        """One of them; None when nothing of it is open or it is canceled."""

    async def due_contacts(self, call_list: str, until: float, limit: int) -> list[Contact]:
        """Open contacts of a list with `due_at` ≤ until, in the order of (due_at, id)."""

    async def urgent_contacts(self, call_list: str, until: float, limit: int) -> list[Contact]:
        """Those of `due_contacts` whose own priority is `urgent`, found without a look at the others."""

    async def listed_contacts(self, call_list: str, until: float, limit: int) -> list[str]:
        """Of the first `limit` open contacts that are due at `until`, as `due_contacts` orders them, those
        whose next number is on the do-not-call list at that moment; in no order. Contacts with a detour are
        left out: of them the number that it leads to is asked about when it is dialled."""

    async def begin_attempt(self, attempt: Attempt, event: Event) -> Refusal | None:
        """Write down the intent to dial: the attempt is kept as `initiated`, its contact is `dialing`.
        The first attempt of a list starts the list, with its event. Refused with nothing changed."""

    async def note_progress(self, noted: Sequence[Progress]) -> None:
        """Keep what changed on attempts that go on (ringing, answered, steps of their flows), all or none of
        it. Nothing, and no event, is kept of one that has ended."""

    async def opt_out(self, numbers: Sequence[str], flow: str | None, event: Event) -> bool:
        """Put numbers of a callee on the do-not-call list of the event's account, or only of one of its
        flows, with the event. False, and nothing told, where all were listed already. From its return on no
        attempt begins on any of them, of whatever contact."""

    async def end_attempt(
        self, attempt: Attempt, contact: Contact, events: Sequence[Event]
    ) -> bool:
        """Keep an attempt's end and what follows for its contact: open again, or completed. A contact of
        a list that was canceled meanwhile and would be open again is completed as `canceled` instead.
        The last completed contact of a list completes the list, with its event. False, and nothing
        changed, when the attempt had ended before. An intent that is taken back before its INVITE left
        ends this way too, as `canceled`."""

    async def defer_contacts(self, deferrals: Sequence[Deferral], events: Sequence[Event]) -> None:
        """Move open contacts to a later moment. Those that are not open any more are left alone."""

    async def bring_forward(
        self, account: str, flow: str, code: BlockerCode, at: float, limit: int
    ) -> list[str]:
        """Make up to `limit` open contacts of the flow due at `at` that wait longer for the reason `code`;
        in which lists any are that were. Empty when there is none left."""

    async def settle_contact(self, contact: Contact, events: Sequence[Event], at: float) -> bool:
        """Keep what follows for an open contact without an attempt: it waits for another number, or is
        completed. Its events and its list are kept as by `end_attempt`. False, and nothing changed, when it
        is not open any more."""

    async def complete_contacts(
        self,
        contacts: Sequence[str],
        disposition: Disposition,
        at: float,
        reason: str | None = None,
    ) -> int:
        """Give open contacts their final disposition without an attempt (`skipped`, `expired`,
        `canceled`), with an event each, which carries the reason if there is one. How many were still
        open."""

    async def set_list_status(
        self, account: str, call_list: str, change: Literal["pause", "resume", "cancel"], at: float
    ) -> CallList | None:
        """The list as it is afterwards; None when the account has no such list. Raises
        `Conflict("list_finished")` for one that is completed, canceled or rejected, and
        `Conflict("list_standing")` for canceling a standing list. From its return on no attempt
        of a paused or canceled list begins."""

    async def close_canceled(self, limit: int, at: float) -> int:
        """Complete up to `limit` open contacts of canceled lists as `canceled`, with an event each, and
        say how many; 0 when none is left."""

    async def open_attempts(self) -> list[tuple[Attempt, Contact]]:
        """Attempts without an end, with their contacts: after a start, those that a crash interrupted."""

    async def last_callers(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[str, ...]]:
        """Which DIDs called each of the numbers, in the account's last `CALLERS_KEPT` attempts on it, the
        latest first; numbers that were not called are left out. One question, however many there are."""

    async def past_calls(
        self, account: str, numbers: Sequence[str]
    ) -> dict[str, tuple[PastCall, ...]]:
        """The account's last `CALLEE_CALLS_MAX` attempts on each number that may have reached somebody there,
        latest first: all but those that a full trunk refused (`congested`) before it rang. Numbers without
        any are left out. One question, however many there are."""

    async def did_health(self, since: float) -> list[HealthStep]:
        """What the calls of each DID came to that were initiated at or after `since` and ended since its
        `counts_from`, summed up by steps, oldest first; those that say nothing of it are left out."""

    async def did_starts(self, number: str, since: float, limit: int) -> list[float]:
        """When the latest attempts and legs of a DID were initiated, at or after `since`, oldest first."""

    async def recent_starts(self, since: float, until: float = math.inf) -> list[RecentStart]:
        """Attempts and legs initiated at or after `since` and before `until`, oldest first."""
