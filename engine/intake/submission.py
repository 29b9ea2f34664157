"""The one way in: whatever door a trigger came through, it is validated, stored and answered here.

A receipt is given after the commit and never before, so that a trigger that was answered is not lost.
Large lists are judged in a worker process; what it found is turned into contacts piece by piece, with
checkpoints between, so that calls in progress do not notice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal

import msgspec
import trio
from msgspec import Struct, structs

from engine.ids import IdSource
from engine.intake.archive import is_archive
from engine.intake.bodies import VARIABLE_PREFIX, make_call_candidate, read_call
from engine.intake.numbers import NumberProblem, read_number
from engine.intake.refused import Refused
from engine.intake.rows import Draft, RowReader, Rules
from engine.intake.validation import (
    Form,
    Submitted,
    Validated,
    pack_submitted,
    read_drafts,
    read_rejected,
    read_result,
    validate,
)
from engine.model import (
    CallList,
    Contact,
    ContactStatus,
    Flow,
    RejectedRow,
    Report,
    RowError,
    Source,
    status_of,
)
from engine.ports.clock import WallClock
from engine.ports.store import (
    IdempotentAnswer,
    IntakeStore,
    NewList,
    Repeats,
    StoreUnavailable,
)
from engine.ports.workers import Workers
from engine.variable import Variable

INLINE_BYTES_MAX: Final = 2_048
"""A list of up to this size, a few dozen contacts, is judged in place: about a millisecond."""
COMMIT_S_MAX: Final = 30.0
"""How long a commit may take, seconds. A client that hangs up meanwhile does not undo it."""
NAME_LENGTH_MAX: Final = 200
"""Characters of a list's name; a longer one is cut."""

Taking = Literal["row_by_row", "all_or_nothing"]
"""Whether good rows are taken beside bad ones."""
OnAccepted = Callable[[str, str, str, float], None]
"""Called after a commit with account, flow, list and the earliest `due_at` of what was accepted. It
must not block."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Receipt(Struct, frozen=True):
    """What became of a list. It is stored, whatever its status."""

    call_list: CallList
    """With its report; its status is `rejected` when nothing of it was taken."""
    earliest_due_at: float | None
    """When its first contact is due, seconds since the epoch; None when nothing was taken."""


class CallReceipt(Struct, frozen=True):
    """A single call that was accepted."""

    contact: Contact
    status: ContactStatus
    """`scheduled` or `waiting`."""
    warnings: tuple[RowError, ...] = ()


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
    ) -> None:
        """
        Args:
            store: where accepted lists go.
            clock: the time of day.
            ids: of lists and contacts.
            workers: where large lists are judged.
            destinations: prefixes that may be called; empty refuses every number.
            on_accepted: hears of what was accepted.
        """
        self._store = store
        self._clock = clock
        self._ids = ids
        self._workers = workers
        self._destinations = destinations
        self._on_accepted = on_accepted

    async def submit_file(
        self,
        flow: Flow,
        *,
        name: str,
        data: bytes,
        source: Source,
        taking: Taking = "row_by_row",
        repeats: Repeats = "refused",
        answer_for: Callable[[Receipt], IdempotentAnswer] | None = None,
    ) -> Receipt | IdempotentAnswer:
        """Take a .csv file, or a .zip of such. Raises `DuplicateList` for one that came in before.

        Args:
            flow: which flow its contacts run through.
            name: the file's name; folders before it are dropped.
            data: the file.
            source: the door it came through.
            taking: whether one bad row rejects all.
            repeats: what becomes of a file that the flow took within the last 24 hours.
            answer_for: makes the answer that the request's Idempotency-Key reserves. Where the key
                is taken already nothing is stored, and the earlier answer is returned.
        """
        found = await self._validate(flow, "file", _last_step(name), data)
        return await self._accept(flow, found, source, taking, answer_for, repeats)

    async def preview_file(
        self, flow: Flow, *, name: str, data: bytes, taking: Taking = "row_by_row"
    ) -> Report:
        """The report that `submit_file` would give; nothing is stored."""
        found = await self._validate(flow, "file", _last_step(name), data)
        return _choose(found, taking).report

    async def submit_contacts(
        self,
        flow: Flow,
        *,
        data: bytes,
        form: Literal["json", "ndjson"],
        name: str = "",
        source: Source = "api",
        taking: Taking = "row_by_row",
        answer_for: Callable[[Receipt], IdempotentAnswer] | None = None,
    ) -> Receipt | IdempotentAnswer:
        """Take a body: a `MulticastRequest` as JSON, or one `ContactRequest` a line as NDJSON.

        Args:
            flow: which flow the contacts run through.
            data: the body.
            form: how to read it.
            name: of the list, where the body names none.
            source: the door it came through.
            taking: whether one bad contact rejects all.
            answer_for: as of `submit_file`.
        """
        found = await self._validate(flow, form, name, data)
        return await self._accept(flow, found, source, taking, answer_for)

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
        contact = _make_contact(draft, flow, flow.calls_list, self._ids.new("cnt"))
        if request.agent is not None:
            agent = _read_agent(flow, str(request.agent), self._destinations)
            contact = structs.replace(contact, agent=agent)
        warnings = tuple(reader.warnings)
        receipt = CallReceipt(contact, status_of(contact, rules.now), warnings)
        answer = answer_for(receipt) if answer_for else None
        with _commit():
            earlier = await self._store.accept_call(contact, answer)
            if earlier is None:
                self._on_accepted(flow.account, flow.id, flow.calls_list, contact.due_at)
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

    async def _validate(self, flow: Flow, form: Form, name: str, data: bytes) -> Validated:
        rules = self._begin(flow)
        submitted = pack_submitted(Submitted(form, _clean(name), data, rules))
        if len(data) <= INLINE_BYTES_MAX and not is_archive(data):
            return read_result(validate(submitted))
        return read_result(await self._workers.run(validate, submitted))

    async def _accept(
        self,
        flow: Flow,
        found: Validated,
        source: Source,
        taking: Taking,
        answer_for: Callable[[Receipt], IdempotentAnswer] | None,
        repeats: Repeats = "refused",
    ) -> Receipt | IdempotentAnswer:
        chosen = _choose(found, taking)
        list_id = self._ids.new("lst")
        contacts = await self._make_contacts(flow, list_id, chosen)
        rejected: list[RejectedRow] = []
        for piece in chosen.rejected:
            rejected.extend(read_rejected(piece))
            await trio.lowlevel.checkpoint()
        now = self._clock.now()
        call_list = CallList(
            id=list_id,
            account=flow.account,
            flow=flow.id,
            flow_version=flow.version,
            name=_clean(chosen.name) or list_id,
            source=source,
            status=_status_of(chosen.earliest_at, now),
            report=chosen.report,
            created_at=now,
            header=chosen.header,
        )
        receipt = Receipt(call_list, chosen.earliest_at)
        answer = answer_for(receipt) if answer_for else None
        with _commit():
            new = NewList(call_list, contacts, rejected, chosen.content_sha256, repeats)
            earlier = await self._store.accept_list(new, answer)
            if earlier is None and chosen.earliest_at is not None:
                self._on_accepted(flow.account, flow.id, list_id, chosen.earliest_at)
        return receipt if earlier is None else earlier

    async def _make_contacts(self, flow: Flow, list_id: str, found: Validated) -> list[Contact]:
        contacts: list[Contact] = []
        for piece in found.drafts:
            drafts = read_drafts(piece)
            ids = self._ids.new_many("cnt", len(drafts))
            contacts.extend(
                _make_contact(draft, flow, list_id, contact_id)
                for draft, contact_id in zip(drafts, ids, strict=True)
            )
            await trio.lowlevel.checkpoint()
        return contacts


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


@contextmanager
def _commit() -> Iterator[None]:
    """A block that a cancellation from outside does not interrupt, within `COMMIT_S_MAX`: what was
    committed must also be heard of. Raises `StoreUnavailable` when it takes longer."""
    try:
        with trio.fail_after(COMMIT_S_MAX) as scope:
            scope.shield = True
            yield
    except trio.TooSlowError:
        raise StoreUnavailable(f"the commit took longer than {COMMIT_S_MAX:g} s") from None


def _choose(found: Validated, taking: Taking) -> Validated:
    """What is taken of a list: all good rows, or nothing where every row must be good."""
    if taking == "row_by_row" or not found.report.errors:
        return found
    report = structs.replace(found.report, accepted=0, rejected=found.report.rows)
    return structs.replace(found, report=report, drafts=[], earliest_at=None)


def _make_contact(draft: Draft, flow: Flow, list_id: str, contact_id: str) -> Contact:
    return Contact(
        id=contact_id,
        account=flow.account,
        list=list_id,
        flow=flow.id,
        row=draft.row,
        tel=draft.tel,
        variables=draft.variables,
        starttime=draft.starttime,
        reference=draft.reference,
        state="open",
        due_at=draft.starttime,
        wait_code="starttime",
        flow_version=flow.version,
    )


def _status_of(
    earliest_at: float | None, now: float
) -> Literal["scheduled", "running", "rejected"]:
    if earliest_at is None:
        return "rejected"
    return "scheduled" if earliest_at > now else "running"


def _clean(name: str) -> str:
    """A name that can be stored and shown."""
    return _CONTROL.sub(" ", name).strip()[:NAME_LENGTH_MAX]


def _last_step(name: str) -> str:
    """A file's name without the folders that some browsers and mail programs put before it."""
    return name.replace("\\", "/").rpartition("/")[2]
