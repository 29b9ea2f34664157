"""The client against a small server of the test's own: what it sends, and how it reads answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import trio
import trio_websocket

from adapters.http_client import HttpFailed
from api.answers import (
    ActivationView,
    AgentView,
    ApiError,
    ApiFault,
    AttemptView,
    Counts,
    FeedEvent,
    FlowView,
    Forecast,
    KeyView,
    ListView,
    PromptView,
)
from api.client import CallwheelClient
from api.feed_client import AWAY_S_MAX
from engine.model import Cap, Report, RowError
from tests.http_server import read_request

LIST = {
    "id": "lst_1",
    "flow": "flw_1",
    "name": "demo.csv",
    "source": "upload",
    "status": "running",
    "counts": {"contacts": 2, "scheduled": 0, "waiting": 1, "dialing": 0, "completed": 1},
    "dispositions": {"busy": 1},
    "report": {
        "rows": 3,
        "accepted": 2,
        "rejected": 1,
        "errors": [{"row": 2, "column": "tel1", "code": "invalid_number", "detail": "No."}],
    },
    "created_at": "2026-01-01T00:00:00.000Z",
    "something_new": {"of": "a later release"},
}
LIST_VIEW = ListView(
    "lst_1",
    "flw_1",
    "demo.csv",
    "running",
    Report(3, 2, 1, (RowError(2, "tel1", "invalid_number", "No."),)),
    Counts(2, 0, 1, 0, 1),
    {"busy": 1},
)

Request = tuple[str, str, str | None, bytes]
"""Method, target, Authorization and body."""
Answer = tuple[int, Any]


@asynccontextmanager
async def serve(answer: Callable[[Request], Answer]) -> AsyncIterator[CallwheelClient]:
    """A server that answers each request so, and a client of it."""

    async def exchange(stream: trio.SocketStream) -> None:
        request, body = await read_request(stream)
        if request is None:
            return
        key = dict(request.headers).get(b"authorization", b"").decode() or None
        status, value = answer(
            (
                request.method.decode(),
                request.target.decode(),
                key,
                body,
            )
        )
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n"
        await stream.send_all(head.encode() + content)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), exchange, 0)
        port = listeners[0].socket.getsockname()[1]
        yield CallwheelClient(f"http://127.0.0.1:{port}/", "cw_k")
        nursery.cancel_scope.cancel()


async def test_a_key_that_is_to_end_at_once_is_not_asked_for_as_one_for_good() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Answer:
        seen.append(request)
        return 201, {"id": "key_1", "key": "cw_x", "account": "a", "role": "owner"}

    async with serve(answer) as client:
        await client.create_key("a", "owner", expires_in_s=0)
    [(_, _, _, body)] = seen
    assert json.loads(body) == {"account": "a", "role": "owner", "expires_in_s": 0}


async def test_each_call_sends_the_request_of_the_contract() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Answer:
        seen.append(request)
        return {
            "/v1/accounts": (201, {"id": "acc_1"}),
            "/v1/keys": (201, {"id": "key_1", "key": "cw_x", "account": "a", "role": "owner"}),
            "/v1/dids": (201, {"number": "+1"}),
            "/v1/flows": (201, {"id": "flw_1", "name": "f", "triggers": {"email": None}}),
            "/v1/flows/flw_1/dids": (200, {}),
            "/v1/flows/flw_1/listener": (204, b""),
            "/v1/flows/flw_1/multicast": (202, {"list": "lst_1", "accepted": 1, "rejected": []}),
            "/v1/lists/lst_1": (200, LIST),
            "/v1/lists/a%2Fb/forecast": (200, {"ends_at": "t", "calls_per_s": 1.5, "contacts": 3}),
            "/v1/lists/a%2Fb/results.csv": (200, b"\xef\xbb\xbfid\r\n"),
            "/readyz": (200, {}),
        }[request[1]]

    async with serve(answer) as client:
        assert await client.is_ready()
        assert await client.create_account("a", "UTC", "a@example.com") == "acc_1"
        assert await client.create_key("a", "owner") == KeyView(
            "key_1", account="a", role="owner", key="cw_x"
        )
        await client.create_did("+1", "a", "main", cps=5, channels=9, caps=[Cap(3, 60)])
        flow = await client.create_flow("f", "UTC", {"start": "x"}, {"attempts_max": 1})
        assert flow == FlowView("flw_1", "f", {"email": None})
        await client.attach_dids("flw_1", ["+1"])
        await client.activate_listener("flw_1")
        assert (await client.multicast("flw_1", "n", [{"tel": ["+2"]}])).accepted == 1
        assert await client.get_list("lst_1") == LIST_VIEW
        told = Forecast("t", 1.5, contacts=3)
        assert await client.forecast_list("a/b", answer_rate=0.4) == told
        assert await client.get_results("a/b") == b"\xef\xbb\xbfid\r\n"
    assert {key for _, _, key, _ in seen[1:]} == {"Bearer cw_k"}
    assert [(method, target, json.loads(body or b"null")) for method, target, _, body in seen] == [
        ("GET", "/readyz", None),
        ("POST", "/v1/accounts", {"name": "a", "timezone": "UTC", "email": "a@example.com"}),
        ("POST", "/v1/keys", {"account": "a", "role": "owner"}),
        (
            "POST",
            "/v1/dids",
            {
                "number": "+1",
                "account": "a",
                "trunk": "main",
                "cps": 5,
                "channels": 9,
                "caps": [{"calls": 3, "per_s": 60}],
            },
        ),
        (
            "POST",
            "/v1/flows",
            {
                "name": "f",
                "kind": "multicast",
                "timezone": "UTC",
                "definition": {"start": "x"},
                "settings": {"attempts_max": 1},
            },
        ),
        ("PUT", "/v1/flows/flw_1/dids", {"numbers": ["+1"]}),
        ("PUT", "/v1/flows/flw_1/listener", {"active": True}),
        ("POST", "/v1/flows/flw_1/multicast", {"name": "n", "contacts": [{"tel": ["+2"]}]}),
        ("GET", "/v1/lists/lst_1", None),
        ("POST", "/v1/lists/a%2Fb/forecast", {"answer_rate": 0.4}),
        ("GET", "/v1/lists/a%2Fb/results.csv", None),
    ]


async def test_files_are_sent_as_multipart_forms() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Answer:
        seen.append(request)
        prompt = {"id": "prm_1", "duration_s": 1.5}
        return (202, LIST) if "lists" in request[1] else (201, prompt)

    async with serve(answer) as client:
        query = {"dry_run": "true"}
        assert await client.upload_list("flw_1", "a.csv", b"tel1\n", query=query) == LIST_VIEW
        assert await client.create_prompt("b.wav", b"RIFF") == PromptView("prm_1", 1.5)
    assert [(target, b'filename="' in body) for _, target, _, body in seen] == [
        ("/v1/flows/flw_1/lists?dry_run=true", True),
        ("/v1/prompts", True),
    ]
    assert b"\r\n\r\ntel1\n\r\n--" in seen[0][3]


async def test_pages_are_read_to_the_last() -> None:
    at = "2026-01-01T00:00:00.250Z"

    def attempt(name: str) -> dict[str, Any]:
        return {
            "id": name,
            "contact": "cnt_1",
            "number": "+1",
            "did": "+2",
            "status": "busy",
            "disposition": "busy",
            "initiated_at": at,
        }

    def answer(request: Request) -> Answer:
        return {
            "/v1/attempts?list=lst_1&limit=1000": (200, {"items": [attempt("a")], "next": "c/1"}),
            "/v1/attempts?list=lst_1&limit=1000&cursor=c%2F1": (
                200,
                {"items": [attempt("b")], "next": None},
            ),
        }[request[1]]

    async with serve(answer) as client:
        attempts = await client.list_attempts("lst_1")
    when = datetime(2026, 1, 1, 0, 0, 0, 250_000, UTC)
    assert attempts == [
        AttemptView("a", "cnt_1", "+1", "+2", "busy", when, "busy"),
        AttemptView("b", "cnt_1", "+1", "+2", "busy", when, "busy"),
    ]


async def test_a_refusal_is_an_error_in_the_engines_words() -> None:
    problem = {
        "type": "about:blank",
        "title": "The body is not as it should be",
        "status": 422,
        "code": "invalid_body",
        "detail": "Two things are wrong.",
        "errors": [
            {"pointer": "/name", "code": "missing_field", "detail": "It is needed."},
            {"row": 3, "column": "tel1", "code": "invalid_number", "detail": "No number."},
        ],
    }
    async with serve(lambda request: (422, problem)) as client:
        with pytest.raises(ApiError) as caught:
            await client.get_list("lst_1")
    error = caught.value
    assert (error.status, error.code, error.errors) == (
        422,
        "invalid_body",
        (
            ApiFault("missing_field", "It is needed.", "/name"),
            ApiFault("invalid_number", "No number.", None, 3, "tel1"),
        ),
    )
    assert str(error) == (
        "Two things are wrong. (invalid_body)\n"
        "  /name: It is needed. (missing_field)\n"
        "  row 3 tel1: No number. (invalid_number)"
    )


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (502, b"<html>", "The server answered with status 502. (http_502)"),
        (302, b"\xff", "The server answered with status 302. (http_302)"),
        (500, b'{"title": "Oh"}', "Oh (http_500)"),
    ],
)
async def test_a_refusal_that_is_no_problem_document_is_told_by_its_status(
    status: int, body: bytes, text: str
) -> None:
    async with serve(lambda request: (status, body)) as client:
        with pytest.raises(ApiError) as caught:
            await client.get_list("lst_1")
    assert str(caught.value) == text


@pytest.mark.parametrize("body", [b"hello", b'{"id": 5}', b"\xff"])
async def test_an_answer_that_is_not_the_apis_is_one_error(body: bytes) -> None:
    async with serve(lambda request: (200, body)) as client:
        with pytest.raises(HttpFailed) as caught:
            await client.get_list("lst_1")
    assert caught.value.code == "broken_answer"


async def test_an_engine_that_is_not_there_is_not_ready() -> None:
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        client = CallwheelClient(f"http://127.0.0.1:{taken.getsockname()[1]}", "k")
        assert not await client.is_ready()


def frame(*seqs: int) -> str:
    """A frame of the feed with these events."""
    return json.dumps(
        [
            {
                "seq": seq,
                "time": "2026-01-01T00:00:00.000Z",
                "type": "contact.completed",
                "account": "acc_1",
                "flow": "flw_1",
                "list": "lst_1",
                "contact": f"cnt_{seq}",
                "attempt": None,
                "data": {"disposition": "busy"},
            }
            for seq in seqs
        ]
    )


def event(seq: int) -> FeedEvent:
    """What the client makes of one of them."""
    when = datetime(2026, 1, 1, tzinfo=UTC)
    data = {"disposition": "busy"}
    return FeedEvent(seq, when, "contact.completed", "lst_1", f"cnt_{seq}", None, data)


@asynccontextmanager
async def serve_feed(
    visits: list[Callable[[trio_websocket.WebSocketRequest], Any]],
) -> AsyncIterator[CallwheelClient]:
    """A websocket server that treats each connection as the next of `visits` says."""

    async def visit(request: trio_websocket.WebSocketRequest) -> None:
        await visits.pop(0)(request)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(trio_websocket.serve_websocket, visit, "127.0.0.1", 0, ssl_context=None)
        )
        yield CallwheelClient(f"http://127.0.0.1:{server.port}", "cw_k")
        nursery.cancel_scope.cancel()


async def take(events: trio.abc.ReceiveChannel[FeedEvent], count: int) -> list[FeedEvent]:
    """The next so many events."""
    return [await events.receive() for _ in range(count)]


async def read_all(client: CallwheelClient) -> list[FeedEvent]:
    """Every event until the feed ends."""
    async with client.follow() as events:
        return [event async for event in events]


async def test_a_feed_that_breaks_goes_on_where_it_broke() -> None:
    paths = []

    async def first(request: trio_websocket.WebSocketRequest) -> None:
        paths.append((request.path, dict(request.headers)[b"authorization"]))
        connection = await request.accept()
        await connection.send_message(frame(1, 2))
        await connection.send_message(frame(3))
        await connection.aclose()

    async def second(request: trio_websocket.WebSocketRequest) -> None:
        paths.append((request.path, dict(request.headers)[b"authorization"]))
        connection = await request.accept()
        await connection.send_message(frame(3, 4))
        await trio.sleep_forever()

    async with serve_feed([first, second]) as client, client.follow("lst_1", since=0) as events:
        assert await take(events, 4) == [event(1), event(2), event(3), event(4)]
    assert paths == [
        ("/v1/feed?list=lst_1&since=0", b"Bearer cw_k"),
        ("/v1/feed?list=lst_1&since=3", b"Bearer cw_k"),
    ]


async def test_a_feed_that_is_refused_says_why() -> None:
    async def refuse(request: trio_websocket.WebSocketRequest) -> None:
        body = b'{"code": "unauthenticated", "detail": "The key is not known."}'
        await request.reject(401, extra_headers=[(b"Content-Length", b"%d" % len(body))], body=body)

    async with serve_feed([refuse]) as client:
        with pytest.raises(ApiError) as caught:
            await read_all(client)
    assert (caught.value.status, str(caught.value)) == (
        401,
        "The key is not known. (unauthenticated)",
    )


async def test_a_feed_that_is_gone_for_good_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    began = trio.current_time()
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = CallwheelClient(url, "k")
        with pytest.raises(HttpFailed) as caught:
            await read_all(client)
    assert (caught.value.code, caught.value.detail) == (
        "unreachable",
        f"The feed of {url} is gone: Connection refused.",
    )
    assert AWAY_S_MAX < trio.current_time() - began < AWAY_S_MAX + 5


async def test_a_feed_that_does_not_answer_a_ping_is_made_anew(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def hang(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        await connection.send_message(frame(1))
        # From here on nothing is read or answered, as when a machine between the two has died.
        connection._reader_running = False
        await trio.sleep_forever()

    async def go_on(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        await connection.send_message(frame(2))
        await trio.sleep_forever()

    async with serve_feed([hang, go_on]) as client, client.follow(since=0) as events:
        assert await take(events, 2) == [event(1), event(2)]


async def test_an_error_of_whoever_reads_a_feed_arrives_as_it_was_raised() -> None:
    async def visit(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        await connection.send_message(frame(1))
        await trio.sleep_forever()

    async with serve_feed([visit]) as client:

        async def read_badly() -> None:
            async with client.follow() as events:
                await events.receive()
                raise KeyError

        with pytest.raises(KeyError):
            await read_badly()


async def test_a_frame_that_is_no_list_of_events_ends_the_feed() -> None:
    async def visit(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        await connection.send_message('{"seq": 1}')
        await trio.sleep_forever()

    async with serve_feed([visit]) as client:
        with pytest.raises(HttpFailed) as caught:
            await read_all(client)
    assert caught.value.code == "broken_answer"


async def test_requests_by_mail_are_listed_confirmed_and_refused() -> None:
    request = {"id": "act_1", "flow": "flw_1", "numbers": ["+14155550100"], "sender": "a@b.c"}
    pending = {**request, "status": "pending", "more": 1}
    page = {"items": [pending], "next": None}
    view = ActivationView("act_1", "flw_1", ("+14155550100",), "a@b.c", "pending")
    seen: list[tuple[str, str, bytes]] = []

    def answer(asked: Request) -> Answer:
        method, target, _, body = asked
        seen.append((method, target, body))
        return 200, page if method == "GET" else pending

    async with serve(answer) as client:
        assert await client.list_activations() == [view]
        assert await client.list_activations("pending") == [view]
        assert await client.confirm_activation("act_1") == view
        assert await client.refuse_activation("act_1", "No.") == view
    assert seen == [
        ("GET", "/v1/activations?limit=1000", b""),
        ("GET", "/v1/activations?status=pending&limit=1000", b""),
        ("POST", "/v1/activations/act_1/confirm", b""),
        ("POST", "/v1/activations/act_1/refuse", b'{"reason":"No."}'),
    ]


async def test_an_agents_talk_is_ended_by_its_contact() -> None:
    ada = {"id": "agt_1", "number": "+14155550177", "name": "Ada", "presence": "busy"}
    seen: list[tuple[str, str, bytes]] = []

    def answer(asked: Request) -> Answer:
        method, target, _, body = asked
        seen.append((method, target, body))
        page = {"items": [{**ada, "contact": "cnt_1", "more": 1}], "next": None}
        return (200, page) if method == "GET" else (204, b"")

    async with serve(answer) as client:
        [agent] = await client.list_agents("flw_1")
        assert agent == AgentView("agt_1", "+14155550177", "Ada", "busy", "cnt_1")
        assert agent.contact is not None
        await client.end_talk("flw_1", agent.id, agent.contact)
    assert seen == [
        ("GET", "/v1/flows/flw_1/agents?limit=1000", b""),
        ("POST", "/v1/flows/flw_1/agents/agt_1/hangup", b'{"contact":"cnt_1"}'),
    ]
