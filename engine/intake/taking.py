"""What a worker found of a list → the store, piece by piece, while it finds more.

A list of one piece is stored in one commit. A longer one goes in as it comes, and comes to be with its last
commit: at no moment is more of it in memory than a few pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, Literal, Self

from msgspec import structs

from engine.drafts import NO_DRAFTS, Batch, Draft, Drafts, make_batch
from engine.ids import IdSource
from engine.intake.validation import Piece, Verdict
from engine.model import REPORT_ERRORS_MAX, Flow, RejectedRow, RowError, audit
from engine.ports.intake_store import IntakeStore, ListTaking, NewList, Promise
from engine.ports.stored import IdempotentAnswer

Taking = Literal["row_by_row", "all_or_nothing"]
"""Whether good rows are taken beside bad ones."""

TEL1: Final = "tel1"


def status_of_new(
    earliest_at: float | None, now: float
) -> Literal["scheduled", "running", "rejected"]:
    """The status of a list that comes to be now, by its first start time."""
    if earliest_at is None:
        return "rejected"
    return "scheduled" if earliest_at > now else "running"


def first_of_rows(*some: Sequence[RowError]) -> tuple[RowError, ...]:
    """Errors, or warnings, from several places as a report has them."""
    both = sorted((one for each in some for one in each), key=lambda one: one.row)
    return tuple(both[:REPORT_ERRORS_MAX])


def without_contacts(verdict: Verdict) -> Verdict:
    """The same of a list of which nothing is taken."""
    report = structs.replace(verdict.report, accepted=0, rejected=verdict.report.rows)
    return structs.replace(verdict, report=report, earliest_at=None)


class DoNotCallCheck:
    """Which rows name numbers that must not be called at this moment. They are taken all the same: the check
    that counts is made when they are dialled."""

    def __init__(self, store: IntakeStore, flow: Flow, at: float) -> None:
        self._store = store
        self._flow = flow
        self._at = at
        self._is_needed: bool | None = None
        """Whether anybody was listed when the first rows were looked at."""
        self.numbers = 0
        """Numbers that are listed, each as often as it is there."""
        self.contacts = 0
        """Contacts of which no number may be called."""
        self.warnings: list[RowError] = []
        """The first `REPORT_ERRORS_MAX`."""

    async def look_at(self, drafts: Drafts) -> None:
        """Look up all numbers of some rows at once, unless nobody is listed who might be among them."""
        if self._is_needed is None:
            account, flow = self._flow.account, self._flow.id
            self._is_needed = await self._store.has_listed(account, flow, self._at)
        if self._is_needed and drafts.count:
            await self._look_through(drafts.unpack())

    async def _look_through(self, drafts: Sequence[Draft]) -> None:
        """Look up all numbers of these rows."""
        numbers = [number for draft in drafts for number in draft.tel]
        listed = await self._store.find_listed(self._flow.account, self._flow.id, numbers, self._at)
        if listed:
            for draft in drafts:
                self._note(draft, listed)

    def _note(self, draft: Draft, listed: frozenset[str]) -> None:
        found = [number for number in draft.tel if number in listed]
        self.numbers += len(found)
        self.contacts += len(found) == len(draft.tel)
        for number in found[: REPORT_ERRORS_MAX - len(self.warnings)]:
            column = TEL1 if number == draft.tel[0] else None
            detail = (
                f"{number} is on the do-not-call list; it is not called as long as it is there."
            )
            self.warnings.append(RowError(draft.row, column, "do_not_call", detail))


class ListReceiver:
    """Takes one list into the store. What was added when the block ends without `finish` is given up."""

    def __init__(
        self,
        store: IntakeStore,
        ids: IdSource,
        flow: Flow,
        list_id: str,
        taking: Taking,
    ) -> None:
        self._store = store
        self._ids = ids
        self._flow = flow
        self._list_id = list_id
        self._taking = taking
        self._stack = AsyncExitStack()
        self._held: tuple[Batch, list[RejectedRow]] | None = None
        self._open: ListTaking | None = None
        self._is_spoilt = False

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._stack.aclose()

    async def add(self, piece: Piece, promise: Promise | None = None) -> None:
        """Keep a piece; of a list that is to be all or nothing only its bad rows, once there is one. With a
        promise it is durable when this returns."""
        if self._taking == "all_or_nothing" and piece.rejected:
            self._is_spoilt = True
        batch = self._make_batch(NO_DRAFTS if self._is_spoilt else piece.drafts)
        if promise is None and self._open is None and self._held is None:
            self._held = batch, piece.rejected
            return
        if self._open is None:
            self._open = await self._stack.enter_async_context(
                self._store.take_list(self._flow.account, self._flow.id)
            )
        if self._held is not None:
            await self._open.add_batch(*self._held)
            self._held = None
        await self._open.add_batch(batch, piece.rejected, promise)

    def _make_batch(self, drafts: Drafts) -> Batch:
        first_id = self._ids.new_range("cnt", drafts.count)
        return make_batch(drafts, self._flow, self._list_id, first_id)

    async def settle(self, verdict: Verdict) -> Verdict:
        """What is taken in the end: all good rows, or nothing where every row must be good."""
        if self._taking == "row_by_row" or not verdict.report.errors:
            return verdict
        if self._open is not None:
            await self._open.drop_contacts()
        if self._held is not None:
            self._held = self._make_batch(NO_DRAFTS), self._held[1]
        return without_contacts(verdict)

    async def finish(
        self, new: NewList, answer: IdempotentAnswer | None
    ) -> IdempotentAnswer | None:
        """Let the list be. Raises and returns what the store's `accept_list` does."""
        audit.note(self._list_id)
        if self._open is not None:
            return await self._open.publish(new, answer)
        batch, rejected = self._held or (self._make_batch(NO_DRAFTS), [])
        whole = structs.replace(new, contacts=batch.contacts(), rejected=rejected)
        return await self._store.accept_list(whole, answer)
