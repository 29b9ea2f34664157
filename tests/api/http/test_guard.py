from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import h11
import hypercorn.trio
import pytest
import trio
from quart import Response, request, websocket
from quart_trio import QuartTrio

from api.http import guard, protocol
from api.http.gate import GatedBody
from api.http.secure_headers import HEADERS
from tests.api.http.serving import make_guarded_app, read_to_end, serving

UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def make_app() -> QuartTrio:
    app = make_guarded_app(__name__)

    @app.get("/")
    async def hello() -> Response:
        return Response("hello", content_type="text/plain")

    @app.post("/body")
    async def body() -> Response:
        gated: GatedBody = request.body  # type: ignore[assignment]
        gated.open(1000)
        return Response(await gated.read(5.0))

    @app.post("/stranger")
    async def stranger() -> Response:
        return Response("who are you", status=401)

    @app.websocket("/echo")
    async def echo() -> None:
        await websocket.accept()
        while True:
            await websocket.send(await websocket.receive())

    @app.websocket("/firehose")
    async def firehose() -> None:
        await websocket.accept()
        while True:
            await websocket.send("x" * 100_000)

    return app


def secure_headers_of(answer: bytes) -> dict[str, str]:
    """Those of `HEADERS` that an answer has."""
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    said = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return {name: said[name.lower()] for name in HEADERS if name.lower() in said}


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


async def test_a_websocket_upgrade_with_a_trailing_byte_harms_only_its_own_connection() -> None:
    app = make_app()

    @app.websocket("/mute")
    async def mute() -> None:
        await trio.sleep_forever()  # The byte comes before the websocket is accepted, in any case.

    mute_upgrade = UPGRADE.replace(b"/echo", b"/mute")
    async with serving(app) as server:
        assert await server.exchange(mute_upgrade + b"x") == b""
        async with await server.connect() as stream:
            await stream.send_all(mute_upgrade)
            await stream.send_all(b"x")
            assert await read_to_end(stream) == b""
        assert body_of(await server.exchange(GET)) == b"hello"


async def test_hypercorn_by_itself_still_falls_over_a_trailing_byte() -> None:
    """pgjones/hypercorn#225. When this fails, hypercorn is cured, and part of the guard may go."""

    async def accept(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"  # hypercorn goes on without a lifespan that fails
        await receive()
        await send({"type": "websocket.accept"})

    config = protocol.make_config()
    config.bind = ["127.0.0.1:0"]

    async def serve_one_client() -> None:
        async with trio.open_nursery() as nursery:
            [url] = await nursery.start(hypercorn.trio.serve, accept, config)
            stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
            async with stream:
                await stream.send_all(UPGRADE + b"x")
                with trio.fail_after(10):
                    await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await serve_one_client()
    assert caught.group_contains(h11.LocalProtocolError)


async def test_an_error_of_the_protocol_harms_only_its_own_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("a fault of tomorrow")

    async with serving(make_app()) as server:
        with monkeypatch.context() as broken:
            broken.setattr(protocol.Http1, "_create_stream", fail)
            assert await server.exchange(GET) == b""
        assert body_of(await server.exchange(GET)) == b"hello"
        assert server.tally.broken == 1


async def test_a_websocket_that_is_refused_is_closed() -> None:
    async with serving(make_app()) as server:
        no_key = UPGRADE.replace(b"Sec-WebSocket-Key", b"X-Key")
        assert (await server.exchange(no_key)).startswith(b"HTTP/1.1 400 ")
        nowhere = UPGRADE.replace(b"/echo", b"/nowhere")
        assert (await server.exchange(nowhere)).startswith(b"HTTP/1.1 404 ")


async def test_500_random_byte_strings_leave_the_server_answering() -> None:
    chance = random.Random(20261)
    openings = [
        b"",
        UPGRADE,
        b"GET / HTTP/1.1\r\n",
        b"POST /body HTTP/1.1\r\nHost: x\r\n",
        b"PRI * ",
    ]

    async with serving(make_app()) as server:

        async def send(data: bytes) -> None:
            async with await server.connect() as stream:
                try:
                    await stream.send_all(data)
                    await stream.send_eof()
                except trio.BrokenResourceError:
                    return
                await read_to_end(stream)

        for _ in range(50):
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    noise = chance.randbytes(chance.randrange(1, 300))
                    nursery.start_soon(send, chance.choice(openings) + noise)
        assert body_of(await server.exchange(GET)) == b"hello"
        assert server.tally.accepted == 501


async def test_a_finished_connection_is_closed_when_the_client_asked_for_that() -> None:
    """quart-trio 0.12 leaves it open for ever without the shielded send."""
    async with serving(make_app()) as server:
        answer = await server.exchange(GET)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (head.splitlines()[0], body) == (b"HTTP/1.1 200 ", b"hello")


async def test_one_connection_carries_many_requests() -> None:
    async with serving(make_app()) as server:
        async with await server.connect() as stream:
            for _ in range(3):
                await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                received = b""
                while not received.endswith(b"hello"):
                    received += await stream.receive_some()
        assert server.tally.accepted == 1


async def test_an_idle_connection_is_closed_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "HEAD_TIMEOUT_S", 0.05)
    async with serving(make_app()) as server, await server.connect() as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert body_of(await read_to_end(stream)) == b"hello"


async def test_a_client_that_never_ends_its_headers_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "HEAD_TIMEOUT_S", 0.05)
    async with serving(make_app()) as server:
        assert await server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n") == b""


async def test_headers_beyond_their_limit_are_refused() -> None:
    async with serving(make_app()) as server:
        answer = await server.exchange(
            b"GET / HTTP/1.1\r\nX: " + b"a" * protocol.HEAD_BYTES_MAX * 2
        )
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_http_2_without_tls_is_refused() -> None:
    async with serving(make_app()) as server:
        answer = await server.exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 505 ")


async def test_a_wish_for_http_2_is_ignored() -> None:
    wish = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
    async with serving(make_app()) as server:
        answer = await server.exchange(wish + b"Upgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n")
    assert body_of(answer) == b"hello"


async def test_websocket_frames_are_not_compressed() -> None:
    offer = UPGRADE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    async with serving(make_app()) as server, await server.connect() as stream:
        await stream.send_all(offer)
        answer = await stream.receive_some()
    assert (b" 101 " in answer, b"permessage-deflate" in answer) == (True, False)


async def test_a_connection_too_many_is_told_to_come_back() -> None:
    async with serving(make_app(), connections_max=1) as server:
        async with await server.connect() as first:
            await first.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await first.receive_some()
            refused = await server.exchange(b"")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert secure_headers_of(refused) == HEADERS
        assert (server.tally.accepted, server.tally.turned_away) == (1, 1)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * protocol.HEAD_BYTES_MAX * 2, 431),
        (b"\x16\x03\x01\r\n\r\n", 400),
        (UPGRADE.replace(b"Version: 13", b"Version: 12"), 400),
    ],
)
async def test_what_is_refused_before_the_application_sees_it_has_secure_headers(
    request_: bytes, status: int
) -> None:
    async with serving(make_app()) as server:
        answer = await server.exchange(request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert secure_headers_of(answer) == HEADERS


async def test_a_stranger_is_refused_before_its_body_is_read() -> None:
    """The answer arrives although the client is in the middle of a body that nobody wants."""
    head = b"POST /stranger HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n"
    async with serving(make_app()) as server:
        answer = await server.exchange(head + bytes(3_000_000))
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_body_within_its_limit_is_read_whole() -> None:
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n"
    async with serving(make_app()) as server:
        answer = await server.exchange(head + b"y" * 1000)
    assert body_of(answer) == b"y" * 1000


async def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """hypercorn would wait for it for ever, in a shield."""
    monkeypatch.setattr(guard, "SEND_TIMEOUT_S", 0.05)
    ended = trio.Event()
    app = make_app()

    async def flood() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            ended.set()

    app.add_url_rule("/flood", view_func=lambda: Response(flood()))
    async with serving(app) as server, await server.connect() as stream:
        await stream.send_all(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        await ended.wait()
        assert server.tally.stalled == 1


async def test_who_sends_for_ever_to_a_client_that_left_keeps_nobody_waiting() -> None:
    async with serving(make_app()) as server:
        async with await server.connect() as stream:
            await stream.send_all(UPGRADE.replace(b"/echo", b"/firehose"))
            await stream.receive_some(100)
        assert body_of(await server.exchange(GET)) == b"hello"


async def test_a_stalled_websocket_does_not_hold_up_the_end() -> None:
    with trio.fail_after(10):
        async with serving(make_app()) as server:
            stream = await server.connect()
            await stream.send_all(UPGRADE.replace(b"/echo", b"/firehose"))
            await stream.receive_some(100)
            # Nothing more is read: the server's sends fill both buffers and then stall.
            server.shutdown.set()
    await stream.aclose()


async def test_the_end_lets_a_request_be_answered() -> None:
    entered, leave = trio.Event(), trio.Event()
    app = make_app()

    @app.get("/slow")
    async def slow() -> Response:
        entered.set()
        await leave.wait()
        return Response("done")

    async with (
        serving(app, closing=leave.set, drain_s=5.0) as server,
        await server.connect() as stream,
    ):
        await stream.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await entered.wait()
        server.shutdown.set()
        assert body_of(await read_to_end(stream)) == b"done"


async def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    async with serving(make_app()) as server:
        with pytest.raises(OSError, match="in use"):
            await guard.serve_http(make_app(), server.host, server.port, shutdown=trio.Event())
