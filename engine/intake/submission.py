"""The one way in: whatever door a trigger came through, it is validated, stored and answered here.

A receipt is given after the commit and never before, so that a trigger that was answered is not lost.
Large lists are judged in a worker process; what it found is turned into contacts piece by piece, with
checkpoints between, so that calls in progress do not notice.
"""

from __future__ import annotations

import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Final

import msgspec
import trio
from msgspec import Struct, structs

from engine.drafts import make_batch, pack_drafts
from engine.ids import IdSource
from engine.intake.archive import is_archive
from engine.intake.bodies import VARIABLE_PREFIX, make_call_candidate, read_call
from engine.intake.lines import ByteSource
from engine.intake.numbers import NumberProblem, read_number
from engine.intake.preview import Forecaster, Preview, no_forecast
from engine.intake.receipt import OnAccepted, Receipt, committing
from engine.intake.refused import Refused
from engine.intake.rows import RowReader, Rules
from engine.intake.stream import INLINE_BYTES_MAX, ContactStream, StreamServices
from engine.intake.taking import (
    DoNotCallCheck,
    ListReceiver,
    Taking,
    first_of_rows,
    status_of_new,
    without_contacts,
)
from engine.intake.validation import (
    Form,
    Piece,
    Purpose,
    Refusal,
    Submitted,
    Verdict,
    pack_submitted,
    read_found,
    validate,
)
from engine.model import (
    CallList,
    Contact,
    ContactStatus,
    Flow,
    Priority,
    Report,
    RowError,
    Source,
    status_of,
)
from engine.model.pickup import Pickup
from engine.model.variable import Variable
from engine.ports.clock import WallClock
from engine.ports.intake_store import IntakeStore, NewList, Repeats
from engine.ports.stored import DUPLICATE_S, IdempotentAnswer
from engine.ports.workers import Workers

NAME_LENGTH_MAX: Final = 200
"""Characters of a list's name; a longer one is cut."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class CallReceipt(Struct, frozen=True):
    """A single call that was accepted."""

    contact: Contact
    status: ContactStatus
    """`scheduled` or `waiting`."""
    warnings: tuple[RowError, ...] = ()


class _Arrival(Struct, frozen=True):
    """A list at its door."""

    flow: Flow
    rules: Rules
    form: Form
    name: str
    data: bytes
    source: Source
    taking: Taking
    sheet: str = ""
    priority: Priority | None = None
    """Of its contacts; None is the flow's."""


class Intake:
    """Takes triggers. Every method but `preview_file` returns after the commit, or has taken nothing.

    All raise `Refused` for what the sender did wrong (`listener_inactive` before anything else),
    `WorkerFailed` when a worker broke, and what the store raises (`StoreUnavailable`).
    """

    def __init__(
        self,
        store: IntakeStore,
        clock: WallClock,
        ids: IdSource,
        workers: Workers,
        destinations: tuple[str, ...],
        on_accepted: OnAccepted,
        forecast: Forecaster = no_forecast,
        on_urgent: OnAccepted | None = None,
    ) -> None:
        """
        Args:
            store: where accepted lists go.
            clock: the time of day.
            ids: of lists and contacts.
            workers: where large lists are judged.
            destinations: prefixes that may be called; empty refuses every number.
            on_accepted: hears of what was accepted.
            forecast: tells when a list would end.
            on_urgent: hears of urgent single calls in place of `on_accepted`.
        """
        self._store = store
        self._clock = clock
        self._ids = ids
        self._workers = workers
        self._destinations = destinations
        self._on_accepted = on_accepted
        self._on_urgent = on_urgent or on_accepted
        self._forecast = forecast
        self._services = StreamServices(store, clock, ids, workers, on_accepted)

    def set_destinations(self, destinations: tuple[str, ...]) -> None:
        """Take numbers under these prefixes from now on, and no others."""
        self._destinations = destinations

    async def submit_file(
        self,
        flow: Flow,
        *,
        name: str,
        data: bytes,
        source: Source,
        taking: Taking = "row_by_row",
        sheet: str = "",
        repeats: Repeats = "refused",
        priority: Priority | None = None,
        answer_for: Callable[[Receipt], IdempotentAnswer] | None = None,
        pickup_for: Callable[[Receipt], Pickup] | None = None,
    ) -> Receipt | IdempotentAnswer:
        """Take a .csv file, a .zip of such, or an .xlsx file. Raises `DuplicateList` for one that came in
        before.

        Args:
            flow: which flow its contacts run through.
            name: the file's name; folders before it are dropped.
            data: the file.
            source: the door it came through.
            taking: whether one bad row rejects all.
            sheet: which sheet of a workbook is read; empty for the first.
            repeats: what becomes of a file that the flow took within the last 24 hours.
            priority: of its contacts; None is the flow's.
            answer_for: makes the answer that the request's Idempotency-Key reserves. Where the key
                is taken already nothing is stored, and the earlier answer is returned.
            pickup_for: makes what is written down with the list of a file that lay in a folder; where
                that is known already, `PickedUp` is raised.
        """
        arrival = self._begin_list(
            flow, "file", _last_step(name), data, source, taking, sheet, priority
        )
        return await self._take(arrival, answer_for, repeats, pickup_for)

    async def preview_file(
        self,
        flow: Flow,
        *,
        name: str,
        data: bytes,
        taking: Taking = "row_by_row",
        sheet: str = "",
    ) -> Preview:
        """What `submit_file` would report and come to; nothing is stored."""
        arrival = self._begin_list(flow, "file", _last_step(name), data, "upload", taking, sheet)
        now = arrival.rules.now
        check = DoNotCallCheck(self._store, flow, now)
        verdict = await self._judge(arrival, "preview", lambda piece: check.look_at(piece.drafts))
        if taking == "all_or_nothing" and verdict.report.errors:
            return Preview(without_contacts(verdict).report)
        outline = verdict.outline
        assert outline is not None  # a preview has one
        assert verdict.content_sha256 is not None  # a file has one
        earlier = await self._store.find_list_of_content(
            flow.account, flow.id, verdict.content_sha256, now - DUPLICATE_S
        )
        return Preview(
            report=_with_warnings(verdict.report, [*_note_earlier(earlier), *check.warnings]),
            numbers=outline.numbers,
            countries=outline.countries,
            do_not_call_numbers=check.numbers,
            do_not_call_contacts=check.contacts,
            starts_now=sum(count for at, count in outline.starts if at <= now),
            earliest_at=verdict.earliest_at,
            latest_at=outline.latest_at,
            duplicate_of=None if earlier is None else earlier.id,
            forecast=await self._forecast(flow, outline.starts, outline.shapes, now),
        )

    async def submit_contacts(
        self,
        flow: Flow,
        *,
        data: bytes,
        name: str = "",
        source: Source = "api",
        taking: Taking = "row_by_row",
        priority: Priority | None = None,
        answer_for: Callable[[Receipt], IdempotentAnswer] | None = None,
    ) -> Receipt | IdempotentAnswer:
        """Take a `MulticastRequest` as JSON.

        Args:
            flow: which flow the contacts run through.
            data: the body.
            name: of the list, where the body names none.
            source: the door it came through.
            taking: whether one bad contact rejects all.
            priority: as of `submit_file`.
            answer_for: as of `submit_file`.
        """
        arrival = self._begin_list(flow, "json", name, data, source, taking, "", priority)
        return await self._take(arrival, answer_for)

    def open_stream(
        self,
        flow: Flow,
        source: ByteSource,
        *,
        name: str = "",
        taking: Taking = "row_by_row",
        priority: Priority | None = None,
    ) -> ContactStream:
        """Take one `ContactRequest` a line, as NDJSON, as they come; see `ContactStream`.

        Args:
            flow: which flow the contacts run through.
            source: the lines.
            name: of the list.
            taking: whether one bad contact rejects all.
            priority: as of `submit_file`.
        """
        rules = self._begin(flow)
        return ContactStream(self._services, flow, rules, source, _clean(name), taking, priority)

    async def submit_call(
        self,
        flow: Flow,
        *,
        data: bytes,
        answer_for: Callable[[CallReceipt], IdempotentAnswer] | None = None,
    ) -> CallReceipt | IdempotentAnswer:
        """Take one call, a `CallRequest` as JSON, into the flow's standing list. A `Refused` carries
        what is wrong with it as errors of row 1.

        Args:
            flow: which flow the call runs.
            data: the body.
            answer_for: as of `submit_file`.
        """
        rules = self._begin(flow)
        request = read_call(data)
        reader = RowReader(rules, VARIABLE_PREFIX)
        candidate = make_call_candidate(request, tuple(rules.variables))
        draft = (
            candidate
            if isinstance(candidate, list)
            else reader.read(candidate, reader.place_default(None))
        )
        if isinstance(draft, list):
            raise Refused(draft[0].code, draft[0].detail, draft)
        id_ = self._ids.new("cnt")
        drafts = pack_drafts([draft])
        batch = make_batch(drafts, flow, flow.calls_list, id_, request.priority)
        [contact] = batch.contacts()
        if request.agent is not None:
            agent = _read_agent(flow, str(request.agent), self._destinations)
            contact = structs.replace(contact, agent=agent)
        check = DoNotCallCheck(self._store, flow, rules.now)
        await check.look_at(drafts)
        warnings = (*reader.warnings, *check.warnings)
        receipt = CallReceipt(contact, status_of(contact, rules.now), warnings)
        answer = answer_for(receipt) if answer_for else None
        with committing():
            earlier = await self._store.accept_call(contact, answer)
            if earlier is None:
                tell = self._on_urgent if contact.priority == "urgent" else self._on_accepted
                tell(flow.account, flow.id, flow.calls_list, contact.due_at)
        return receipt if earlier is None else earlier

    def _begin(self, flow: Flow) -> Rules:
        """By what to judge a trigger of the flow that came now."""
        if not flow.listener_active:
            raise Refused(
                "listener_inactive", f"The listener of flow {flow.id} is off; switch it on first."
            )
        return Rules(
            read_variables(flow.definition), flow.timezone, self._destinations, self._clock.now()
        )

    def _begin_list(
        self,
        flow: Flow,
        form: Form,
        name: str,
        data: bytes,
        source: Source,
        taking: Taking,
        sheet: str = "",
        priority: Priority | None = None,
    ) -> _Arrival:
        rules = self._begin(flow)
        return _Arrival(flow, rules, form, _clean(name), data, source, taking, sheet, priority)

    async def _take(
        self,
        arrival: _Arrival,
        answer_for: Callable[[Receipt], IdempotentAnswer] | None,
        repeats: Repeats = "refused",
        pickup_for: Callable[[Receipt], Pickup] | None = None,
    ) -> Receipt | IdempotentAnswer:
        """Judge a list and store it, the one while the other goes on."""
        flow, list_id = arrival.flow, self._ids.new("lst")
        check = DoNotCallCheck(self._store, flow, arrival.rules.now)
        async with ListReceiver(self._store, self._ids, flow, list_id, arrival.taking) as receiver:

            async def keep(piece: Piece) -> None:
                await receiver.add(piece)
                await check.look_at(piece.drafts)

            verdict = await receiver.settle(await self._judge(arrival, "taking", keep))
            now = self._clock.now()
            call_list = CallList(
                id=list_id,
                account=flow.account,
                flow=flow.id,
                flow_version=flow.version,
                name=_clean(verdict.name) or list_id,
                source=arrival.source,
                status=status_of_new(verdict.earliest_at, now),
                report=_with_warnings(verdict.report, check.warnings),
                created_at=now,
                header=verdict.header,
                priority=arrival.priority,
            )
            receipt = Receipt(call_list, verdict.earliest_at)
            pickup = pickup_for(receipt) if pickup_for else None
            new = NewList(call_list, (), (), verdict.content_sha256, repeats, pickup)
            answer = answer_for(receipt) if answer_for else None
            with committing():
                earlier = await receiver.finish(new, answer)
                if earlier is None and verdict.earliest_at is not None:
                    self._on_accepted(flow.account, flow.id, list_id, verdict.earliest_at)
        return receipt if earlier is None else earlier

    async def _judge(
        self, arrival: _Arrival, purpose: Purpose, keep: Callable[[Piece], Awaitable[None]]
    ) -> Verdict:
        """What becomes of a list, whose pieces go to `keep` as they are found."""
        submitted = pack_submitted(
            Submitted(
                arrival.form, arrival.name, arrival.data, arrival.rules, purpose, arrival.sheet
            )
        )
        told: Verdict | Refusal | None = None
        async with self._open_stream(submitted, arrival.data) as stream:
            async for found in stream:
                part = read_found(found)
                if isinstance(part, Piece):
                    await keep(part)
                else:
                    told = part
        assert told is not None  # it is the last of every list
        if isinstance(told, Refusal):
            raise told.as_raised()
        return told

    def _open_stream(
        self, submitted: bytes, data: bytes
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        if len(data) <= INLINE_BYTES_MAX and not is_archive(data):
            return aclosing(_judge_here(submitted))
        return self._workers.stream(validate, submitted)


async def _judge_here(submitted: bytes) -> AsyncGenerator[bytes, None]:
    for found in validate(submitted):
        yield found
        await trio.lowlevel.checkpoint()


def _with_warnings(report: Report, warnings: Sequence[RowError]) -> Report:
    return structs.replace(report, warnings=first_of_rows(report.warnings, warnings))


def _note_earlier(earlier: CallList | None) -> Iterator[RowError]:
    if earlier is not None:
        detail = f"The same file came in within 24 hours, as the list {earlier.id}; it is refused."
        yield RowError(0, None, "duplicate_list", detail)


def read_variables(definition: Mapping[str, Any]) -> dict[str, Variable]:
    """The variables that a flow's checked definition declares."""
    return msgspec.convert(definition.get("variables", {}), dict[str, Variable])


def _read_agent(flow: Flow, text: str, destinations: tuple[str, ...]) -> str:
    """The number of who is to talk with a contact. Raises `Refused`."""
    if flow.kind != "dialer":
        detail = "`agent` is for a flow of the kind `dialer`; this one is `multicast`."
        raise Refused(
            "agent_not_allowed", detail, [RowError(1, "agent", "agent_not_allowed", detail)]
        )
    number = read_number(text, destinations)
    if isinstance(number, NumberProblem):
        raise Refused(
            number.code, number.detail, [RowError(1, "agent", number.code, number.detail)]
        )
    return number


def _clean(name: str) -> str:
    """A name that can be stored and shown."""
    return _CONTROL.sub(" ", name).strip()[:NAME_LENGTH_MAX]


def _last_step(name: str) -> str:
    """A file's name without the folders that some browsers and mail programs put before it."""
    return name.replace("\\", "/").rpartition("/")[2]
