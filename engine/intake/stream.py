"""Contacts that come as a stream of lines, for as long as their sender likes, and become one list.

The lines are judged and stored in blocks. Whoever asks for it hears of each block when it is durable: from
then on its contacts will be called, whatever happens to the connection, to the sender and to this process.
The list comes to be, and its calls begin, when the stream ends, be it that all came or that it broke off.
What had been received and not been stored then is not part of it.

Whoever does not ask for acknowledgements gets all or nothing: a stream that breaks off leaves no list.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Callable
from hashlib import sha256
from typing import Final

import trio
from msgspec import Struct, structs

from engine.drafts import NO_DRAFTS, Draft, Drafts
from engine.ids import IdSource
from engine.intake.lines import Block, ByteSource, LineCutter
from engine.intake.receipt import OnAccepted, Receipt, committing
from engine.intake.refused import Refused
from engine.intake.rows import Rules
from engine.intake.seen import SeenNumbers
from engine.intake.taking import (
    DoNotCallCheck,
    ListReceiver,
    Taking,
    first_of_rows,
    status_of_new,
)
from engine.intake.validation import (
    CONTACT_HEADER,
    JudgedLines,
    Piece,
    Submitted,
    Verdict,
    judge_lines,
    make_rejected,
    pack_pieces,
    pack_submitted,
    read_lines,
    show_contact,
)
from engine.model import CallList, Flow, Priority, RejectedRow, Report, RowError
from engine.ports.clock import WallClock
from engine.ports.intake_store import IntakeStore, NewList, Promise
from engine.ports.stored import IdempotentAnswer
from engine.ports.workers import Workers

INLINE_BYTES_MAX: Final = 2_048
"""A list of up to this size, a few dozen contacts, is judged in place: about a millisecond."""
STREAM_ROWS_MAX: Final = 2_000_000
"""Contacts of one stream."""


class StreamServices(Struct, frozen=True):
    """What streams are taken with."""

    store: IntakeStore
    clock: WallClock
    ids: IdSource
    workers: Workers
    on_accepted: OnAccepted


class Progress(Struct, frozen=True):
    """How far a stream was taken."""

    list: str
    """The id that the list has, or will have."""
    lines: int
    """Of the whole stream, those of earlier connections included."""
    bytes_taken: int
    """The same in bytes."""
    sha256: bytes
    """Of those bytes."""
    accepted: int
    """Contacts of this list."""
    rejected: int


class Resumption(Struct, frozen=True):
    """What of a stream was taken before, by another connection."""

    lines: int
    bytes_taken: int


NOTHING_BEFORE: Final = Resumption(0, 0)


class ContactStream:
    """One stream on its way in. Made by `Intake.open_stream`; to be taken once, by one of its two methods."""

    def __init__(
        self,
        services: StreamServices,
        flow: Flow,
        rules: Rules,
        source: ByteSource,
        name: str,
        taking: Taking,
        priority: Priority | None = None,
    ) -> None:
        self._services = services
        self._flow = flow
        self._rules = rules
        self._source = source
        self._name = name
        self._list_id = services.ids.new("lst")
        self._priority = priority
        self._receiver = ListReceiver(services.store, services.ids, flow, self._list_id, taking)
        self._check = DoNotCallCheck(services.store, flow, rules.now)
        self._seen = SeenNumbers()
        self._report = Report(0, 0, 0)
        self._earliest_at: float | None = None
        self._lines = self._bytes = 0
        self._digest = sha256()

    async def take_whole(
        self, answer_for: Callable[[Receipt, bytes], IdempotentAnswer] | None = None
    ) -> Receipt | IdempotentAnswer:
        """Take all of it, or nothing; what its sender hears, after the commit.

        Args:
            answer_for: makes the answer that the request's Idempotency-Key reserves, of the receipt and the
                SHA-256 of the stream.
        """
        async with self._receiver:
            cutter = LineCutter(self._source, 0)
            while (block := await cutter.next()) is not None:
                await self._store(block, await self._judge(block), None)
            self._require_rows()
            return await self._publish(answer_for)

    async def take_in_pieces(
        self,
        resumption: Resumption = NOTHING_BEFORE,
        partial_for: Callable[[Progress], IdempotentAnswer] | None = None,
        answer_for: Callable[[Receipt, bytes], IdempotentAnswer] | None = None,
    ) -> AsyncGenerator[Progress | Receipt | IdempotentAnswer, None]:
        """Take it block by block: each `Progress` is durable when it comes. The last that comes, after
        everything did, is as of `take_whole`. Close it when it is not read to its end.

        Args:
            resumption: what was taken of the same stream before, and is not in `source` any more.
            partial_for: makes the answer that stands for the key as long as the stream is not over.
            answer_for: as of `take_whole`.
        """
        async with self._receiver:
            cutter = LineCutter(self._source, resumption.lines)
            self._lines, self._bytes = resumption.lines, resumption.bytes_taken
            try:
                block = await cutter.next()
                judged = None if block is None else await self._judge(block)
                while block is not None and judged is not None:
                    following = cutter.next_nowait()
                    judged = await self._store_and_judge(block, judged, following, partial_for)
                    yield self._progress
                    block = following
                    if block is None and (block := await cutter.next()) is not None:
                        judged = await self._judge(block)
                self._require_rows()
            except BaseException:
                # Those that were acknowledged are called, whatever became of the connection.
                if self._report.rows:
                    await self._publish(None)
                raise
            yield await self._publish(answer_for)

    @property
    def _progress(self) -> Progress:
        report = self._report
        return Progress(
            self._list_id,
            self._lines,
            self._bytes,
            self._digest.digest(),
            report.accepted,
            report.rejected,
        )

    def skip(self, data: bytes) -> None:
        """Count bytes into the stream's SHA-256 that were taken before."""
        self._digest.update(data)

    async def _store_and_judge(
        self,
        block: Block,
        judged: JudgedLines,
        following: Block | None,
        partial_for: Callable[[Progress], IdempotentAnswer] | None,
    ) -> JudgedLines | None:
        """Store a block while the one after it, if it is there, is judged; what was found of that."""
        if following is None:
            await self._store(block, judged, partial_for or _no_answer)
            return None
        found: list[JudgedLines] = []
        failures: list[Exception] = []

        async def judge() -> None:
            try:
                found.append(await self._judge(following))
            except Exception as error:
                failures.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(judge)
            try:
                await self._store(block, judged, partial_for or _no_answer)
            except Exception as error:
                failures.insert(0, error)
                nursery.cancel_scope.cancel()
        if failures:
            raise failures[0]
        return found[0]

    async def _judge(self, block: Block) -> JudgedLines:
        submitted = pack_submitted(
            Submitted("ndjson", "", block.data, self._rules, rows_before=block.lines_before)
        )
        if len(block.data) <= INLINE_BYTES_MAX:
            return read_lines(judge_lines(submitted))
        return read_lines(await self._services.workers.run(judge_lines, submitted))

    async def _store(
        self,
        block: Block,
        judged: JudgedLines,
        partial_for: Callable[[Progress], IdempotentAnswer | None] | None,
    ) -> None:
        """Keep what was found of a block, with a promise where there is who makes its answer."""
        drafts, repeated = self._sort_out(block, judged)
        rejected = [*judged.rejected, *repeated]
        before = self._report, self._lines, self._bytes, self._digest.copy(), self._earliest_at
        self._count(block, judged, drafts, rejected)
        if self._report.rows > STREAM_ROWS_MAX:
            self._report, self._lines, self._bytes, self._digest, self._earliest_at = before
            detail = f"A stream has at most {STREAM_ROWS_MAX} contacts; begin another."
            raise Refused("too_many_contacts", detail)
        promise = None
        if partial_for is not None:
            answer = partial_for(self._progress)
            promise = Promise(self._make_list(self._services.clock.now()), answer)
        try:
            with committing():  # so that it is known whether it came
                *some, last = drafts or [NO_DRAFTS]
                for one in some:
                    await self._receiver.add(Piece(one, []))
                await self._receiver.add(Piece(last, rejected), promise)
        except BaseException:
            self._report, self._lines, self._bytes, self._digest, self._earliest_at = before
            raise
        for one in drafts:
            await self._check.look_at(one)

    def _sort_out(
        self, block: Block, judged: JudgedLines
    ) -> tuple[list[Drafts], list[RejectedRow]]:
        """Those whose number no earlier block had, and the others."""
        drafts = judged.drafts
        rows = [
            row
            for one in drafts
            if one.last_row - one.first_row == one.count - 1
            for row in range(one.first_row, one.last_row + 1)
        ]
        numbers = array("Q", judged.numbers).tolist()
        if len(rows) == len(numbers) and self._seen.note_all(numbers, rows):
            return drafts, []
        each = [draft for one in drafts for draft in one.unpack()]
        taken, repeated = self._sort_out_each(block, each)
        return pack_pieces(taken), repeated

    def _sort_out_each(
        self, block: Block, drafts: list[Draft]
    ) -> tuple[list[Draft], list[RejectedRow]]:
        taken: list[Draft] = []
        repeated: list[RejectedRow] = []
        lines: list[bytes] = []
        for draft in drafts:
            earlier = self._seen.note(draft.tel[0], draft.row)
            if earlier == draft.row:
                taken.append(draft)
                continue
            lines = lines or block.data.split(b"\n")
            detail = f"{draft.tel[0]} is called first in row {earlier} already."
            error = RowError(draft.row, "tel1", "duplicate_number", detail)
            line = lines[draft.row - block.lines_before - 1]
            repeated.append(make_rejected([error], (show_contact(line),)))
        return taken, repeated

    def _count(
        self,
        block: Block,
        judged: JudgedLines,
        drafts: list[Drafts],
        rejected: list[RejectedRow],
    ) -> None:
        so_far = self._report
        told = [
            RowError(one.row, one.column, one.code, one.detail)
            for one in rejected[len(judged.rejected) :]
        ]
        accepted = sum(one.count for one in drafts)
        self._report = Report(
            rows=so_far.rows + accepted + len(rejected),
            accepted=so_far.accepted + accepted,
            rejected=so_far.rejected + len(rejected),
            errors=first_of_rows(so_far.errors, judged.errors, told),
            warnings=first_of_rows(so_far.warnings, judged.warnings),
        )
        self._lines += block.lines
        self._bytes += len(block.data)
        self._digest.update(block.data)
        if drafts:
            earliest_at = min(one.earliest_at for one in drafts)
            self._earliest_at = min(self._earliest_at or earliest_at, earliest_at)

    def _require_rows(self) -> None:
        if not self._report.rows:
            raise Refused("no_rows", "The list has no contacts.")

    def _make_list(self, now: float) -> CallList:
        report = self._report
        return CallList(
            id=self._list_id,
            account=self._flow.account,
            flow=self._flow.id,
            flow_version=self._flow.version,
            name=self._name or self._list_id,
            source="api",
            status=status_of_new(self._earliest_at, now),
            report=structs.replace(
                report, warnings=first_of_rows(report.warnings, self._check.warnings)
            ),
            created_at=now,
            header=CONTACT_HEADER,
            priority=self._priority,
        )

    async def _publish(
        self, answer_for: Callable[[Receipt, bytes], IdempotentAnswer] | None
    ) -> Receipt | IdempotentAnswer:
        """Let the list be, and wake who dials it."""
        with committing():
            settled = await self._receiver.settle(
                Verdict(self._name, CONTACT_HEADER, self._report, self._earliest_at)
            )
            self._report, self._earliest_at = settled.report, settled.earliest_at
            call_list = self._make_list(self._services.clock.now())
            receipt = Receipt(call_list, self._earliest_at)
            answer = None if answer_for is None else answer_for(receipt, self._digest.digest())
            earlier = await self._receiver.finish(NewList(call_list, ()), answer)
            if earlier is None and self._earliest_at is not None:
                self._services.on_accepted(
                    self._flow.account, self._flow.id, self._list_id, self._earliest_at
                )
        return receipt if earlier is None else earlier


def _no_answer(_: Progress) -> None:
    """Of a stream without a key."""
