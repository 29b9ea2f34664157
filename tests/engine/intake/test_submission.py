"""Triggers on their whole way in, to a store that writes down what it is given."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from typing import TypeVar, TypeVarTuple

import msgspec
import pytest
import trio
import trio.testing

from adapters.workers import InlineWorkers
from engine.ids import IdSource
from engine.intake.bodies import CallRequest
from engine.intake.receipt import Receipt
from engine.intake.refused import Refused
from engine.intake.stream import INLINE_BYTES_MAX
from engine.intake.submission import (
    NAME_LENGTH_MAX,
    CallReceipt,
    Intake,
    read_variables,
)
from engine.intake.taking import Taking
from engine.intake.validation import PIECE_ROWS
from engine.model import CallList, Contact, Flow, FlowSettings, RejectedRow, Report, RowError
from engine.model.variable import Variable
from engine.ports.intake_store import NewList
from engine.ports.stored import IdempotentAnswer, StoreUnavailable
from engine.ports.workers import WorkerFailed
from sim.memory_store.intake import MemoryListTaking
from tests.engine.intake.byte_sources import Pieces

NOW = datetime.fromisoformat("2030-07-01T12:00:00+05:30").timestamp()
FLOW = Flow(
    id="flw_1",
    account="acc_1",
    name="July",
    kind="multicast",
    timezone="Asia/Kolkata",
    definition={
        "start": "bye",
        "nodes": {"bye": {"type": "hangup"}},
        "variables": {"name": {"default": "there"}},
    },
    settings=FlowSettings(),
    version=3,
    listener_active=True,
    dids=("+911140000000",),
    calls_list="lst_calls",
    created_at=0,
)
Ts = TypeVarTuple("Ts")
R = TypeVar("R")
ANSWER = IdempotentAnswer("acc_1", "key", bytes(32), 202, b"{}", NOW)
GOOD = b"tel1,name\n+919876543210,Ann\n"


class FixedClock:
    def now(self) -> float:
        return NOW


class RecordingStore:
    """Writes down what it is asked to store."""

    def __init__(self) -> None:
        self.lists: list[tuple[NewList, IdempotentAnswer | None]] = []
        self.calls: list[tuple[Contact, IdempotentAnswer | None]] = []
        self.earlier: IdempotentAnswer | None = None
        self.before_commit: Callable[[], None] = lambda: None
        self.commit_s = 0.0
        self.listed: set[str] = set()

    async def accept_list(
        self, new: NewList, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        self.before_commit()
        await trio.sleep(self.commit_s)
        self.lists.append((new, answer))
        return self.earlier

    @asynccontextmanager
    async def take_list(self, account: str, flow: str) -> AsyncIterator[MemoryListTaking]:
        yield MemoryListTaking(self)

    async def has_listed(self, account: str, flow: str, at: float) -> bool:
        return bool(self.listed)

    async def find_listed(
        self, account: str, flow: str, numbers: Sequence[str], at: float
    ) -> frozenset[str]:
        return frozenset(numbers) & self.listed

    async def find_list_of_content(
        self, account: str, flow: str, content_sha256: bytes, since: float
    ) -> CallList | None:
        return None

    async def accept_call(
        self, contact: Contact, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        self.before_commit()
        await trio.sleep(self.commit_s)
        self.calls.append((contact, answer))
        return self.earlier


class CountingWorkers(InlineWorkers):
    """Counts what is sent out of the engine."""

    def __init__(self) -> None:
        self.jobs = 0

    async def run(self, function: Callable[[*Ts], R], *args: *Ts) -> R:
        self.jobs += 1
        return await super().run(function, *args)

    @asynccontextmanager
    async def stream(
        self, function: Callable[[*Ts], Iterable[bytes]], *args: *Ts
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.jobs += 1
        async with super().stream(function, *args) as pieces:
            yield pieces


class World:
    """An intake and everything around it."""

    def __init__(self) -> None:
        self.store = RecordingStore()
        self.workers = CountingWorkers()
        self.accepted: list[tuple[str, str, str, float]] = []
        self.intake = Intake(
            self.store,
            FixedClock(),
            IdSource(FixedClock(), random.Random(1)),
            self.workers,
            ("+91", "+1"),
            lambda *accepted: self.accepted.append(accepted),
        )


@pytest.fixture
def world() -> World:
    return World()


def receipt_of(answer: Receipt | IdempotentAnswer) -> Receipt:
    assert isinstance(answer, Receipt)
    return answer


async def test_a_file_is_stored_as_its_receipt_says(world: World) -> None:
    data = b"tel1,name,starttime\n+919876543210,Ann,2030-07-01T13:00\n12,Bob,\n+14155552671,,\n"
    receipt = receipt_of(
        await world.intake.submit_file(
            FLOW, name="C:\\lists\\people.csv", data=data, source="upload"
        )
    )
    detail = "'12' is not a phone number with its country code."
    expected_list = CallList(
        id=receipt.call_list.id,
        account="acc_1",
        flow="flw_1",
        flow_version=3,
        name="people.csv",
        source="upload",
        status="running",
        report=Report(3, 2, 1, (RowError(2, "tel1", "invalid_number", detail),)),
        created_at=NOW,
        header=("tel1", "name", "starttime"),
    )
    [(new, answer)] = world.store.lists
    ids = [contact.id for contact in new.contacts]
    assert ids == sorted(set(ids))
    assert (answer, new) == (
        None,
        NewList(
            expected_list,
            [
                Contact(
                    id=ids[0],
                    account="acc_1",
                    list=expected_list.id,
                    flow="flw_1",
                    row=1,
                    tel=("+919876543210",),
                    variables={"name": "Ann"},
                    starttime=NOW + 3600,
                    reference=None,
                    state="open",
                    due_at=NOW + 3600,
                    wait_code="starttime",
                    flow_version=3,
                ),
                Contact(
                    id=ids[1],
                    account="acc_1",
                    list=expected_list.id,
                    flow="flw_1",
                    row=3,
                    tel=("+14155552671",),
                    variables={"name": "there"},
                    starttime=NOW,
                    reference=None,
                    state="open",
                    due_at=NOW,
                    wait_code="starttime",
                    flow_version=3,
                ),
            ],
            [RejectedRow(2, "tel1", "invalid_number", detail, ("12", "Bob", ""))],
            sha256(data).digest(),
        ),
    )
    assert receipt == Receipt(expected_list, NOW)
    assert world.accepted == [("acc_1", "flw_1", expected_list.id, NOW)]


async def test_a_list_whose_every_time_lies_ahead_is_scheduled(world: World) -> None:
    data = b"tel1,starttime\n+919876543210,2030-07-01T14:00\n+919876543211,2030-07-01T13:00\n"
    receipt = receipt_of(
        await world.intake.submit_file(FLOW, name="a.csv", data=data, source="sftp")
    )
    assert (receipt.call_list.status, receipt.earliest_due_at) == ("scheduled", NOW + 3600)
    assert world.accepted == [("acc_1", "flw_1", receipt.call_list.id, NOW + 3600)]


async def test_a_list_without_a_good_row_is_stored_as_rejected_and_wakes_nobody(
    world: World,
) -> None:
    receipt = receipt_of(
        await world.intake.submit_file(FLOW, name="a.csv", data=b"tel1\n12\n", source="email")
    )
    [(new, _)] = world.store.lists
    assert (receipt.call_list.status, receipt.earliest_due_at) == ("rejected", None)
    assert (new.call_list, new.contacts, len(new.rejected)) == (receipt.call_list, [], 1)
    assert world.accepted == []


@pytest.mark.parametrize("data", [GOOD + b"12,Bob\n", b"tel1,city\n+919876543210,Pune\n"])
async def test_all_or_nothing_takes_nothing_of_a_list_with_an_error(
    world: World, data: bytes
) -> None:
    receipt = receipt_of(
        await world.intake.submit_file(
            FLOW, name="a.csv", data=data, source="upload", taking="all_or_nothing"
        )
    )
    [(new, _)] = world.store.lists
    report = receipt.call_list.report
    assert (receipt.call_list.status, report.accepted, report.rejected) == (
        "rejected",
        0,
        report.rows,
    )
    assert (new.contacts, len(report.errors), world.accepted) == ([], 1, [])


async def test_all_or_nothing_takes_all_of_a_good_list(world: World) -> None:
    receipt = receipt_of(
        await world.intake.submit_file(
            FLOW, name="a.csv", data=GOOD, source="upload", taking="all_or_nothing"
        )
    )
    assert (receipt.call_list.status, receipt.call_list.report) == ("running", Report(1, 1, 0))


@pytest.mark.parametrize("data", [GOOD, GOOD + b"12,Bob\n"])
@pytest.mark.parametrize("taking", ["row_by_row", "all_or_nothing"])
async def test_a_preview_reports_what_the_real_thing_would_and_stores_nothing(
    world: World, data: bytes, taking: Taking
) -> None:
    preview = await world.intake.preview_file(FLOW, name="a.csv", data=data, taking=taking)
    assert (world.store.lists, world.accepted) == ([], [])
    receipt = receipt_of(
        await world.intake.submit_file(
            FLOW, name="a.csv", data=data, source="upload", taking=taking
        )
    )
    assert preview.report == receipt.call_list.report


async def test_json_and_ndjson_are_stored_as_lists_of_their_names(world: World) -> None:
    contact = b'{"tel":"+919876543210"}'
    for name, expected in (("Evening", "Evening"), ("", None)):
        receipt = receipt_of(
            await world.intake.open_stream(FLOW, Pieces(contact), name=name).take_whole()
        )
        assert receipt.call_list.name == (expected or receipt.call_list.id)
        assert receipt.call_list.source == "api"
    body = b'{"name":"Mo\\u0000rning","contacts":[' + contact + b"]}"
    receipt = receipt_of(await world.intake.submit_contacts(FLOW, data=body))
    assert receipt.call_list.name == "Mo rning"
    assert [len(new.contacts) for new, _ in world.store.lists] == [1, 1, 1]


async def test_any_file_name_can_be_stored(world: World) -> None:
    name = "\ud800\x00" + "x" * 1_000
    receipt = receipt_of(
        await world.intake.submit_file(FLOW, name=name, data=GOOD, source="upload")
    )
    assert receipt.call_list.name == "x" * NAME_LENGTH_MAX


async def test_every_door_of_an_inactive_listener_is_shut_before_anything_is_looked_at(
    world: World,
) -> None:
    flow = msgspec.structs.replace(FLOW, listener_active=False)
    doors: list[Callable[[], Awaitable[object]]] = [
        lambda: world.intake.submit_file(flow, name="", data=b"", source="email"),
        lambda: world.intake.preview_file(flow, name="", data=b""),
        lambda: world.intake.submit_contacts(flow, data=b""),
        lambda: world.intake.open_stream(flow, Pieces()).take_whole(),
        lambda: world.intake.submit_call(flow, data=b""),
    ]
    for door in doors:
        with pytest.raises(Refused) as refused:
            await door()
        assert (refused.value.code, refused.value.detail) == (
            "listener_inactive",
            "The listener of flow flw_1 is off; switch it on first.",
        )
    assert (world.store.lists, world.store.calls, world.accepted) == ([], [], [])


async def test_a_refused_file_stores_nothing(world: World) -> None:
    with pytest.raises(Refused, match="missing_tel"):
        await world.intake.submit_file(FLOW, name="a.csv", data=b"phone\n1\n", source="upload")
    assert world.store.lists == []


async def test_one_call_goes_to_the_flows_standing_list(world: World) -> None:
    body = msgspec.json.encode(
        CallRequest(to="+91 98765 43210", variables={"name": "Ann"}, reference="r1")
    )
    receipt = await world.intake.submit_call(FLOW, data=body)
    assert isinstance(receipt, CallReceipt)
    expected = Contact(
        id=receipt.contact.id,
        account="acc_1",
        list="lst_calls",
        flow="flw_1",
        row=1,
        tel=("+919876543210",),
        variables={"name": "Ann"},
        starttime=NOW,
        reference="r1",
        state="open",
        due_at=NOW,
        wait_code="starttime",
        flow_version=3,
    )
    assert receipt == CallReceipt(expected, "waiting")
    assert world.store.calls == [(expected, None)]
    assert world.accepted == [("acc_1", "flw_1", "lst_calls", NOW)]


async def test_one_call_may_be_scheduled_and_may_be_late(world: World) -> None:
    later = await world.intake.submit_call(
        FLOW, data=b'{"to":"+919876543210","starttime":"2030-07-01T13:00"}'
    )
    late = await world.intake.submit_call(
        FLOW, data=b'{"to":["+919876543210"],"starttime":"2030-07-01T11:00"}'
    )
    assert isinstance(later, CallReceipt)
    assert isinstance(late, CallReceipt)
    assert (later.status, later.contact.due_at, later.warnings) == ("scheduled", NOW + 3600, ())
    assert (late.status, late.contact.due_at) == ("waiting", NOW)
    assert [warning.code for warning in late.warnings] == ["starttime_past"]


@pytest.mark.parametrize(
    ("body", "code", "errors"),
    [
        (b"{", "invalid_json", []),
        (b"{}", "invalid_body", [(0, None, "invalid_contact")]),
        (b'{"to":[]}', "missing_tel", [(1, "to", "missing_tel")]),
        (b'{"to":"12"}', "invalid_number", [(1, "to", "invalid_number")]),
        (b'{"to":"+447911123456"}', "number_not_allowed", [(1, "to", "number_not_allowed")]),
        (b'{"to":"12","agents":"+911"}', "invalid_body", [(0, "agents", "unknown_column")]),
        (
            b'{"to":["12"],"starttime":"soon"}',
            "invalid_number",
            [(1, "to[0]", "invalid_number"), (1, "starttime", "invalid_starttime")],
        ),
        (
            b'{"to":"+919876543210","variables":{"city":"Pune"}}',
            "unknown_column",
            [(1, "variables.city", "unknown_column")],
        ),
    ],
)
async def test_a_bad_call_is_refused_with_every_error(
    world: World, body: bytes, code: str, errors: list[tuple[int, str | None, str]]
) -> None:
    with pytest.raises(Refused) as refused:
        await world.intake.submit_call(FLOW, data=body)
    found = [(error.row, error.column, error.code) for error in refused.value.errors]
    assert (refused.value.code, found) == (code, errors)
    assert world.store.calls == []


async def test_the_answer_is_stored_with_the_trigger_and_a_replay_changes_nothing(
    world: World,
) -> None:
    receipts: list[object] = []

    def answer_for(receipt: object) -> IdempotentAnswer:
        receipts.append(receipt)
        return ANSWER

    async def submit() -> list[object]:
        return [
            await world.intake.submit_file(
                FLOW, name="a.csv", data=GOOD, source="upload", answer_for=answer_for
            ),
            await world.intake.submit_call(
                FLOW, data=b'{"to":"+919876543210"}', answer_for=answer_for
            ),
        ]

    assert await submit() == receipts
    assert [answer for _, answer in [*world.store.lists, *world.store.calls]] == [ANSWER, ANSWER]
    accepted = list(world.accepted)
    world.store.earlier = earlier = msgspec.structs.replace(ANSWER, status=200)
    assert await submit() == [earlier, earlier]
    assert world.accepted == accepted


async def test_a_client_that_hangs_up_during_the_commit_does_not_undo_it(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    world.store.commit_s = 1
    with trio.CancelScope() as hung_up:
        world.store.before_commit = hung_up.cancel
        await world.intake.submit_file(FLOW, name="a.csv", data=GOOD, source="upload")
        await trio.lowlevel.checkpoint()
        raise AssertionError
    assert hung_up.cancelled_caught
    assert len(world.store.lists) == 1
    assert [accepted[:2] for accepted in world.accepted] == [("acc_1", "flw_1")]


async def test_a_client_that_hung_up_before_the_commit_has_submitted_nothing(world: World) -> None:
    with trio.CancelScope() as hung_up:
        hung_up.cancel()
        await world.intake.submit_file(FLOW, name="a.csv", data=GOOD, source="upload")
    assert (hung_up.cancelled_caught, world.store.lists) == (True, [])


async def test_a_commit_that_hangs_is_given_up(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    world.store.commit_s = math.inf
    with pytest.raises(StoreUnavailable, match="the commit took longer than 30 s"):
        await world.intake.submit_call(FLOW, data=b'{"to":"+919876543210"}')
    assert world.accepted == []


async def test_small_lists_are_judged_in_place_and_large_ones_and_archives_by_workers(
    world: World,
) -> None:
    small = GOOD + b"\n" * (INLINE_BYTES_MAX - len(GOOD))
    await world.intake.preview_file(FLOW, name="a.csv", data=small)
    assert world.workers.jobs == 0
    await world.intake.preview_file(FLOW, name="a.csv", data=small + b"\n")
    assert world.workers.jobs == 1
    with pytest.raises(Refused, match="bad_zip"):
        await world.intake.preview_file(FLOW, name="a.zip", data=b"PK\x03\x04")
    assert world.workers.jobs == 2


async def test_a_broken_worker_stores_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(*_: object) -> object:
        raise WorkerFailed("the worker process died at its work")

    monkeypatch.setattr(world.workers, "stream", stream)
    with pytest.raises(WorkerFailed):
        await world.intake.submit_file(
            FLOW, name="a.csv", data=GOOD + b"\n" * INLINE_BYTES_MAX, source="upload"
        )
    assert world.store.lists == []


async def test_others_get_their_turn_between_the_pieces_of_a_large_list(world: World) -> None:
    pieces = 10
    rows = "\n".join(f"+9198765{row:05}\n{row}" for row in range(pieces * PIECE_ROWS))
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        receipt = receipt_of(
            await world.intake.submit_file(
                FLOW, name="a.csv", data=f"tel1\n{rows}\n".encode(), source="upload"
            )
        )
        nursery.cancel_scope.cancel()
    report = receipt.call_list.report
    assert (report.accepted, report.rejected) == (pieces * PIECE_ROWS, pieces * PIECE_ROWS)
    assert turns >= 2 * pieces


def test_the_variables_of_a_definition_are_read_with_their_defaults() -> None:
    definition = {"variables": {"name": {"default": "there"}, "due": {"type": "date"}}}
    assert read_variables(definition) == {
        "name": Variable("there"),
        "due": Variable(type="date"),
    }
    assert read_variables({"start": "bye"}) == {}
