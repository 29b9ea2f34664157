"""Contacts as a stream over real sockets, acknowledged while it goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import msgspec
import pytest
import trio
import trio.testing
from msgspec import Struct

from api.http import gate
from api.http.answering import TURN_TIMEOUT_S
from api.http.app import STREAMS_OF_ONE_MAX
from tests.api.http.serving import Server, read_to_end, serving
from tests.api.http.world import World

LINE = b'{"tel":"+9198765%05d"}\n'
BROKEN_S = gate.STREAM_IDLE_S - 10
"""Long before a stream that says nothing is ended, which leaves as much."""


def lines(first: int, count: int) -> bytes:
    return b"".join(LINE % number for number in range(first, first + count))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


END = b"0\r\n\r\n"


class Caller(Struct):
    """Sends a stream and reads what it is answered."""

    stream: trio.SocketStream
    held: bytes = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def read_line(self) -> dict[str, object]:
        """The next line of the answer's body, out of its chunk."""
        while True:
            head, found, rest = self.held.partition(b"\n")
            if found and head.startswith(b"{"):
                self.held = rest
                line: dict[str, object] = msgspec.json.decode(head)
                return line
            if found:
                self.held = rest
                continue
            data = await self.stream.receive_some()
            # An answer that is one piece of JSON ends with the connection.
            self.held += data or b"\n"
            assert data or self.held.startswith(b"{"), "the answer ended"


Call = Callable[..., Awaitable[Caller]]


async def make_call(server: Server, flow: str, **headers: str) -> Caller:
    caller = Caller(await server.connect())
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST /v1/flows/{flow}/multicast HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer operator-ours\r\nContent-Type: application/x-ndjson\r\n"
        f"Transfer-Encoding: chunked\r\n{more}\r\n"
    )
    await caller.send(head.encode())
    return caller


@pytest.fixture
async def call(world: World) -> AsyncIterator[Call]:
    """Begins a stream for a flow, with more headers."""
    async with serving(world.app) as server, AsyncExitStack() as stack:

        async def begin(flow: str, **headers: str) -> Caller:
            caller = await make_call(server, flow, **headers)
            await stack.enter_async_context(caller.stream)
            return caller

        yield begin


async def lists_of(world: World) -> list[tuple[int, int]]:
    """(rows, contacts) of each list, the newest first."""
    items = (await world.client("viewer").get("/v1/lists")).json["items"]
    return [(item["report"]["rows"], item["counts"]["contacts"]) for item in items]


NDJSON = "application/x-ndjson"


async def test_a_stream_is_acknowledged_piece_by_piece(world: World, call: Call) -> None:
    flow = await world.make_flow()
    caller = await call(flow, Accept=NDJSON)
    await caller.send(chunk(lines(0, 2)))
    first = await caller.read_line()
    assert first == {"list": first["list"], "lines": 2, "accepted": 2, "rejected": 0}
    assert await lists_of(world) == []
    await caller.send(chunk(b"?\n" + lines(2, 1)))
    assert await caller.read_line() == {**first, "lines": 4, "accepted": 3, "rejected": 1}
    await caller.send(END)
    last = await caller.read_line()
    detail = "The contact is not JSON."
    assert last == {
        "list": first["list"],
        "accepted": 3,
        "rejected": [{"row": 3, "column": None, "code": "invalid_json", "detail": detail}],
    }
    assert await lists_of(world) == [(4, 3)]


@pytest.mark.parametrize(
    ("accept", "pieces"),
    [
        ("*/*", False),
        ("application/json, */*;q=0.5", False),
        ("application/json, application/x-ndjson", False),
        ("application/x-ndjson, */*", True),
        ("application/x-ndjson, application/json;q=0.5", True),
        ("application/x-ndjson;charset=utf-8", True),
        ("application/json;q=0.5, application/x-ndjson; charset=UTF-8; q=0.9", True),
        ("application/json;charset=utf-8, application/x-ndjson;q=0.9", False),
    ],
)
async def test_only_who_asks_for_pieces_gets_more_than_one_document(
    world: World, call: Call, accept: str, pieces: bool
) -> None:
    caller = await call(await world.make_flow(), Accept=accept)
    await caller.send(chunk(lines(0, 2)) + END)
    first = await caller.read_line()
    if pieces:
        assert first.pop("lines") == 2
        assert first.pop("rejected") == 0
        assert await caller.read_line() == {**first, "rejected": []}
    else:
        assert first == {"list": first["list"], "accepted": 2, "rejected": []}


async def test_a_connection_that_breaks_leaves_what_was_acknowledged(
    world: World, call: Call
) -> None:
    flow = await world.make_flow()
    caller = await call(flow, Accept=NDJSON)
    await caller.send(chunk(lines(0, 2) + b'{"tel":"+91'))
    await caller.read_line()
    await caller.stream.aclose()
    with trio.fail_after(BROKEN_S):
        while not await lists_of(world):
            pass
    assert await lists_of(world) == [(2, 2)]


async def test_without_acknowledgements_a_connection_that_breaks_leaves_nothing(
    world: World, call: Call
) -> None:
    flow = await world.make_flow()
    caller = await call(flow)
    await caller.send(chunk(lines(0, 3000)))
    await caller.stream.aclose()
    answer = await call(flow)
    await answer.send(chunk(lines(0, 3)) + END)
    assert (await answer.read_line())["accepted"] == 3
    assert await lists_of(world) == [(3, 3)]


async def test_the_same_stream_with_its_key_goes_on_where_it_broke_off(
    world: World, call: Call
) -> None:
    flow = await world.make_flow()
    key = {"Accept": NDJSON, "Idempotency_Key": "k1"}
    caller = await call(flow, **key)
    await caller.send(chunk(lines(0, 2)))
    first = await caller.read_line()
    second = await call(flow, **key)
    await second.send(chunk(lines(0, 5)) + END)
    assert b'"code":"busy"' in await read_to_end(second.stream)
    await caller.stream.aclose()
    with trio.fail_after(BROKEN_S):
        while not await lists_of(world):
            pass
    other = await call(flow, **key)
    await other.send(chunk(lines(1, 5)) + END)
    assert b'"code":"idempotency_mismatch"' in await read_to_end(other.stream)
    plain = await call(flow, Idempotency_Key="k1")
    await plain.send(chunk(lines(0, 5)) + END)
    assert b'"code":"idempotency_mismatch"' in await read_to_end(plain.stream)
    again = await call(flow, **key)
    await again.send(chunk(lines(0, 5)) + END)
    rest = await again.read_line()
    assert rest["list"] != first["list"]
    assert rest == {"list": rest["list"], "lines": 5, "accepted": 3, "rejected": 0}
    last = await again.read_line()
    assert await lists_of(world) == [(3, 3), (2, 2)]
    replayed = await call(flow, **key)
    await replayed.send(chunk(lines(0, 5)) + END)
    assert await replayed.read_line() == last
    assert await lists_of(world) == [(3, 3), (2, 2)]


async def test_a_stream_has_no_wall_and_waits_for_its_reader(
    world: World, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "STREAM_BUFFER_BYTES", 10_000)
    flow = await world.make_flow()
    padding = b" " * 10_000
    caller = await call(flow)
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            for place in range(0, 2000, 100):
                piece = b"".join(padding + LINE % number for number in range(place, place + 100))
                await caller.send(chunk(piece))
            await caller.send(END)

        nursery.start_soon(send)
        assert (await caller.read_line())["accepted"] == 2000


async def test_what_ends_a_stream_is_said_at_its_end(
    world: World, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "STREAM_IDLE_S", 0.3)
    flow = await world.make_flow()
    caller = await call(flow, Accept=NDJSON)
    await caller.send(chunk(lines(0, 2)))
    await caller.read_line()
    problem = (await caller.read_line())["error"]
    assert isinstance(problem, dict)
    assert (problem["status"], problem["code"]) == (408, "body_timeout")
    assert await lists_of(world) == [(2, 2)]
    asleep = await world.make_flow(listening=False)
    refused = await call(asleep, Accept=NDJSON)
    await refused.send(END)
    assert b"HTTP/1.1 409" in await read_to_end(refused.stream)
    reply = await world.client("operator").send(
        "POST",
        f"/v1/flows/{flow}/multicast?strict=true",
        data=lines(0, 1),
        content_type=NDJSON,
        Accept=NDJSON,
    )
    assert reply.problem == (400, "invalid_parameter")


async def test_who_leaves_before_it_is_answered_holds_no_turn(
    world: World, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an answer that was never begun nothing runs that could let go of its turn."""
    flow = await world.make_flow()
    is_answering = trio.Event()

    async def wait_for_ever(*_: object) -> None:
        is_answering.set()
        await trio.sleep_forever()

    with monkeypatch.context() as patch:
        patch.setattr(gate, "_send_shielded", wait_for_ever)
        for _ in range(STREAMS_OF_ONE_MAX):
            is_answering = trio.Event()
            caller = await call(flow, Accept=NDJSON, Idempotency_Key="k1")
            await is_answering.wait()
            await caller.stream.aclose()
            await trio.testing.wait_all_tasks_blocked(0.01)
    with trio.fail_after(TURN_TIMEOUT_S / 2):
        caller = await call(flow, Accept=NDJSON, Idempotency_Key="k1")
        await caller.send(chunk(lines(0, 1)) + END)
        assert (await caller.read_line())["accepted"] == 1


@pytest.mark.parametrize("accept", ["application/json", NDJSON])
async def test_a_stream_ends_with_its_key(world: World, call: Call, accept: str) -> None:
    flow = await world.make_flow()
    caller = await call(flow, Accept=accept)
    await caller.send(chunk(lines(0, 2)))
    if accept == NDJSON:
        assert (await caller.read_line())["accepted"] == 2
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert (await world.client("owner").delete("/v1/keys/key_operator_1")).status == 204
    await caller.send(chunk(lines(2, 2)))
    assert b'"code":"unauthenticated"' in await read_to_end(caller.stream)
    # What was acknowledged is called, and nothing else.
    assert await lists_of(world) == ([(2, 2)] if accept == NDJSON else [])


async def test_streams_that_go_on_for_ever_keep_no_other_body_waiting(
    world: World, call: Call
) -> None:
    flow = await world.make_flow()
    for _ in range(STREAMS_OF_ONE_MAX):
        caller = await call(flow, Accept=NDJSON)
        await caller.send(chunk(lines(0, 1)))
        await caller.read_line()
    contacts = [{"tel": [f"+9198765{number:05}"]} for number in range(3000)]
    with trio.fail_after(TURN_TIMEOUT_S / 2):
        assert await world.make_list(flow, *contacts)
