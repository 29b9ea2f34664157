"""The application on real sockets: bodies that come slowly, many at once, or not at all."""

from __future__ import annotations

from functools import partial

import msgspec
import pytest
import trio
import trio.testing

from api.http import answering
from api.http.app import LARGE_BODIES_MAX
from tests.api.http.serving import read_to_end, serving
from tests.api.http.world import World


def head_of(path: str, content_type: str, length: int, account: str = "ours") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer operator-{account}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def problem_in(answer: bytes) -> tuple[int, str]:
    body = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])
    return body["status"], body["code"]


async def test_a_body_that_does_not_come_to_its_end_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "BODY_TIMEOUT_S", 0.05)
    flow = await world.make_flow()
    async with serving(world.app) as server:
        path = f"/v1/flows/{flow}/calls"
        answer = await server.exchange(head_of(path, "application/json", 100) + b'{"to')
    assert problem_in(answer) == (408, "body_timeout")


async def test_what_is_not_sent_again_is_not_said_to_be_empty(world: World) -> None:
    flow = await world.make_flow()
    tag = (await world.client("viewer").get(f"/v1/flows/{flow}")).headers["ETag"]
    head = (
        f"GET /v1/flows/{flow} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer viewer-ours\r\nIf-None-Match: {tag}\r\n\r\n"
    )
    async with serving(world.app) as server:
        answer = await server.exchange(head.encode())
    assert answer.startswith(b"HTTP/1.1 304 ")
    assert answer.endswith(b"\r\n\r\n")
    assert b"content-length" not in answer.lower()


async def test_a_body_that_grows_beyond_its_limit_is_refused(world: World) -> None:
    """It comes in chunks, so that nobody can know its length before."""
    flow = await world.make_flow()
    head = head_of(f"/v1/flows/{flow}/calls", "application/json", 0)
    head = head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    async with serving(world.app) as server:
        answer = await server.exchange(head + chunk * 20 + b"0\r\n\r\n")
    assert problem_in(answer) == (413, "body_too_large")


async def test_of_large_bodies_an_account_has_half_the_turns_and_another_one_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Lists are judged in this very process here, and a turn must not time out for that.
    monkeypatch.setattr(answering, "TURN_TIMEOUT_S", 0.5)
    flow = await world.make_flow()
    theirs = await world.make_flow(account="theirs")
    path = f"/v1/flows/{flow}/multicast"
    lines = b'{"tel":"+919876543210"}\n' * 4_000
    assert len(lines) > answering.USUAL_BYTES_MAX
    head = head_of(path, "application/x-ndjson", len(lines))
    answers: list[bytes] = []
    async with serving(world.app) as server, trio.open_nursery() as nursery:
        go_on = trio.Event()

        async def send_slowly(task_status: trio.TaskStatus[None]) -> None:
            async with await server.connect() as stream:
                await stream.send_all(head + lines[:-1])
                task_status.started()
                await go_on.wait()
                await stream.send_all(lines[-1:])
                answers.append(await read_to_end(stream))

        for _ in range(LARGE_BODIES_MAX // 2):
            await nursery.start(send_slowly)
        await trio.testing.wait_all_tasks_blocked(0.05)
        refused = await server.exchange(head + lines)
        path_of_theirs = f"/v1/flows/{theirs}/multicast"
        head_of_theirs = head_of(path_of_theirs, "application/x-ndjson", len(lines), "theirs")
        taken_of_theirs = await server.exchange(head_of_theirs + lines)
        small = b'{"contacts":[{"tel":"+919876543210"}]}'
        taken = await server.exchange(head_of(path, "application/json", len(small)) + small)
        go_on.set()
    assert problem_in(refused) == (503, "busy")
    accepted = [answer[:13] for answer in (taken, taken_of_theirs, *answers)]
    assert accepted == [b"HTTP/1.1 202 "] * (LARGE_BODIES_MAX // 2 + 2)


async def test_a_client_that_leaves_in_the_middle_harms_nobody(world: World) -> None:
    flow = await world.make_flow()
    head = head_of(f"/v1/flows/{flow}/multicast", "application/x-ndjson", 1_000_000)
    async with serving(world.app) as server:
        for _ in range(LARGE_BODIES_MAX + 1):
            async with await server.connect() as stream:
                await stream.send_all(head + b"{")
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(partial(server.exchange, b"GET /healthz HTTP/1.1\r\n"))
                nursery.cancel_scope.deadline = trio.current_time() + 0.05
        line = b'{"tel":"+919876543210"}\n'
        answer = await server.exchange(
            head_of(f"/v1/flows/{flow}/multicast", "application/x-ndjson", len(line)) + line
        )
    assert answer.startswith(b"HTTP/1.1 202 ")


async def test_a_download_comes_in_pieces_as_it_is_read(world: World) -> None:
    flow = await world.make_flow()
    contacts = [{"tel": f"+91987{place:07}"} for place in range(2_500)]
    call_list = await world.make_list(flow, *contacts)
    request = f"GET /v1/lists/{call_list}/results.csv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    async with serving(world.app) as server:
        answer = await server.exchange(
            f"{request}Authorization: Bearer viewer-ours\r\n\r\n".encode()
        )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    assert (body.count(b",+91987"), body[-5:]) == (2_500, b"0\r\n\r\n")


async def test_a_head_request_has_no_body(world: World) -> None:
    async with serving(world.app) as server:
        answer = await server.exchange(
            b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (head[:13], body) == (b"HTTP/1.1 200 ", b"")
