"""Contacts that come as a stream of lines."""

from __future__ import annotations

import random
from contextlib import aclosing
from hashlib import sha256

import msgspec
import pytest
import trio
import trio.testing

from adapters.workers import InlineWorkers
from engine.ids import IdSource
from engine.intake import stream
from engine.intake.lines import (
    BLOCK_LINES,
    BLOCK_LINES_MAX,
    FLUSH_S,
    LINE_BYTES_MAX,
    Block,
    LineCutter,
)
from engine.intake.receipt import Receipt
from engine.intake.refused import Refused
from engine.intake.stream import ContactStream, Progress
from engine.intake.submission import Intake
from engine.intake.taking import Taking
from engine.ports.stored import PARTIAL, IdempotentAnswer
from sim.memory_store import MemoryStore
from tests.contract.store_samples import ACME, FLOW, NOW, FixedClock, a_flow, furnish
from tests.engine.intake.byte_sources import Pieces, Tap

LINE = b'{"tel":"+9198765%05d"}\n'


def lines(first: int, count: int) -> bytes:
    return b"".join(LINE % number for number in range(first, first + count))


class World:
    """A store and an intake."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.store = MemoryStore(lambda _: None, self.clock)
        self.woken: list[str] = []
        self.intake = Intake(
            self.store,
            self.clock,
            IdSource(self.clock, random.Random(1)),
            InlineWorkers(),
            ("+91", "+1"),
            lambda _account, _flow, call_list, _at: self.woken.append(call_list),
        )

    def open(self, source: Pieces | Tap, taking: Taking = "row_by_row") -> ContactStream:
        return self.intake.open_stream(a_flow(), source, name="June", taking=taking)

    async def lists(self) -> list[tuple[str, int, int]]:
        """(name, accepted, contacts that are there) of each list."""
        found = (await self.store.list_lists(ACME, FLOW, 10, None)).items
        return [
            (
                one.name,
                one.report.accepted,
                len((await self.store.list_contacts(ACME, one.id, 1000, None)).items),
            )
            for one in found
        ]


@pytest.fixture
async def world() -> World:
    world = World()
    await furnish(world.store)
    return world


async def test_a_block_is_what_came_until_nothing_came_for_a_while(
    autojump_clock: trio.testing.MockClock,
) -> None:
    tap = Tap()
    cutter = LineCutter(tap, 7)
    await tap.pour.send(b"a\nb\nc")
    assert cutter.next_nowait() is None
    begun = trio.current_time()
    assert await cutter.next() == Block(b"a\nb\n", 7, 2)
    assert trio.current_time() - begun == pytest.approx(FLUSH_S)
    await tap.pour.send(b"\n" * BLOCK_LINES + b"d")
    assert cutter.next_nowait() == Block(b"c" + b"\n" * BLOCK_LINES, 9, BLOCK_LINES)
    await tap.pour.aclose()
    assert await cutter.next() == Block(b"d", 9 + BLOCK_LINES, 1)
    assert await cutter.next() is None


async def test_any_cut_of_the_bytes_gives_the_same_lines(
    autojump_clock: trio.testing.MockClock,
) -> None:
    data = lines(0, 2 * BLOCK_LINES_MAX + 3) + b"rest"
    for size in (7, 1000, 100_000, len(data)):
        cutter = LineCutter(Pieces(*(data[at : at + size] for at in range(0, len(data), size))), 0)
        blocks = []
        while (block := await cutter.next()) is not None:
            blocks.append(block)
        assert b"".join(block.data for block in blocks) == data
        counted = [block.lines for block in blocks]
        assert all(BLOCK_LINES <= lines <= BLOCK_LINES_MAX for lines in counted[:-1])
        assert [block.lines_before for block in blocks] == [
            sum(counted[:place]) for place in range(len(counted))
        ]
    assert counted == [BLOCK_LINES_MAX, BLOCK_LINES_MAX, 4]


async def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(Refused, match="body_too_large"):
        await LineCutter(Pieces(b"x" * (LINE_BYTES_MAX + 1)), 0).next()


async def test_a_whole_stream_is_one_list_when_it_is_over(world: World) -> None:
    bad = b'{"tel":"12"}\n' + LINE % 0
    receipt = await world.open(Pieces(lines(0, 2500), bad)).take_whole()
    assert isinstance(receipt, Receipt)
    report = receipt.call_list.report
    assert (report.rows, report.accepted, report.rejected) == (2502, 2500, 2)
    assert [(error.row, error.code) for error in report.errors] == [
        (2501, "invalid_number"),
        (2502, "duplicate_number"),
    ]
    assert report.errors[1].detail == "+919876500000 is called first in row 1 already."
    rejected = (await world.store.list_rejected(ACME, receipt.call_list.id, 10, None)).items
    assert [row.cells for row in rejected] == [('{"tel":"12"}',), ('{"tel":"+919876500000"}',)]
    assert await world.lists() == [("June", 2500, 1000)]
    assert world.woken == [receipt.call_list.id]


async def test_a_whole_stream_that_breaks_off_leaves_nothing(world: World) -> None:
    tap = Tap()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.open(tap).take_whole)
        await tap.pour.send(lines(0, 2500))
        await trio.testing.wait_all_tasks_blocked(FLUSH_S)
        nursery.cancel_scope.cancel()
    assert (await world.lists(), world.woken) == ([], [])


async def test_each_piece_is_acknowledged_when_it_is_stored(world: World) -> None:
    tap = Tap()
    told: list[object] = []

    async def take() -> None:
        async with aclosing(world.open(tap).take_in_pieces()) as pieces:
            async for one in pieces:
                told.append(one)  # noqa: PERF401, as they come

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await tap.pour.send(lines(0, 2))
        await trio.testing.wait_all_tasks_blocked(2 * FLUSH_S)
        assert await world.lists() == []
        [first] = told
        assert isinstance(first, Progress)
        digest = sha256(lines(0, 2)).digest()
        assert first == Progress(first.list, 2, len(lines(0, 2)), digest, 2, 0)
        await tap.pour.send(b"\n" + lines(2, 1000) + b"?\n")
        await tap.pour.aclose()
    _, second, receipt = told
    assert isinstance(second, Progress)
    assert (second.lines, second.accepted, second.rejected) == (1004, 1002, 1)
    assert isinstance(receipt, Receipt)
    assert receipt.call_list.id == first.list
    assert await world.lists() == [("June", 1002, 1000)]


async def test_what_was_acknowledged_is_called_though_the_stream_breaks_off(world: World) -> None:
    tap = Tap()
    acknowledged = trio.Event()

    async def take() -> None:
        async with aclosing(world.open(tap).take_in_pieces()) as pieces:
            async for _ in pieces:
                acknowledged.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await tap.pour.send(lines(0, 3) + b'{"tel":"+9198')
        await acknowledged.wait()
        nursery.cancel_scope.cancel()
    assert await world.lists() == [("June", 3, 3)]
    assert len(world.woken) == 1


async def test_a_stream_that_goes_on_too_long_ends_with_what_was_acknowledged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STREAM_ROWS_MAX", BLOCK_LINES_MAX)
    source = Pieces(lines(0, BLOCK_LINES_MAX + 1))
    told: list[object] = []

    async def take() -> None:
        async for one in world.open(source).take_in_pieces():
            told.append(one)  # noqa: PERF401, all that came before

    with pytest.raises(Refused, match="too_many_contacts"):
        await take()
    assert len(told) == 1
    assert await world.lists() == [("June", BLOCK_LINES_MAX, 1000)]


async def test_what_has_come_so_far_stands_under_the_key_until_all_has(world: World) -> None:
    def partial(progress: Progress) -> IdempotentAnswer:
        body = msgspec.json.encode(progress.lines)
        return IdempotentAnswer(ACME, "key", progress.sha256, PARTIAL, body, NOW)

    def whole(receipt: Receipt, digest: bytes) -> IdempotentAnswer:
        return IdempotentAnswer(ACME, "key", digest, 202, receipt.call_list.id.encode(), NOW)

    data = lines(0, BLOCK_LINES_MAX + 1)
    kept = []
    receipt = None
    async for one in world.open(Pieces(data)).take_in_pieces(partial_for=partial, answer_for=whole):
        kept.append(await world.store.get_answer(ACME, "key"))
        receipt = one
    assert isinstance(receipt, Receipt)
    assert [one and (one.status, one.fingerprint) for one in kept] == [
        (PARTIAL, sha256(data[: len(lines(0, BLOCK_LINES_MAX))]).digest()),
        (PARTIAL, sha256(data).digest()),
        (202, sha256(data).digest()),
    ]


@pytest.mark.parametrize("taking", ["row_by_row", "all_or_nothing"])
async def test_a_stream_may_be_all_or_nothing(world: World, taking: Taking) -> None:
    await world.open(Pieces(lines(0, 2 * BLOCK_LINES), b"?\n"), taking).take_whole()
    taken = 2 * BLOCK_LINES if taking == "row_by_row" else 0
    assert await world.lists() == [("June", taken, min(taken, 1000))]
    with pytest.raises(Refused, match="no_rows"):
        await world.open(Pieces(b"\n\n"), taking).take_whole()
