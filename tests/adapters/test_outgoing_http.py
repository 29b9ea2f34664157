"""Requests of flows, over real sockets to a server on loopback that the operator allows."""

from __future__ import annotations

import errno
import ssl
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import h11
import msgspec
import pytest
import trio
import trio.testing

from adapters.address_guard import AddressRefused
from adapters.http_client import HttpFailed
from adapters.outgoing_http import ANSWER_BYTES_MAX, GuardedHttp, JsonRequests
from engine.ports.requests import Question, RequestFailed
from tests.adapters.test_http_client import CERTIFICATE, serve

LOOPBACK = [ip_network("127.0.0.0/8")]


def answer(status: int, body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *headers, b"", body]
    return b"\r\n".join(lines)


async def ask(reply: bytes, question: Question | None = None, seen: list[Any] | None = None) -> Any:
    """What is made of a server's reply, or the code of its failure."""

    def exchange(request: h11.Request, body: bytes) -> bytes:
        if seen is not None:
            headers = {name.decode(): value.decode() for name, value in request.headers}
            seen.append((request.method, request.target, headers, body))
        return reply

    async with serve(exchange) as place:
        wanted = question or Question("POST", f"http://{place}/x?y=1", timeout_s=5)
        if question is not None:
            wanted = msgspec.structs.replace(question, url=f"http://{place}/x?y=1")
        try:
            return await JsonRequests(GuardedHttp(LOOPBACK)).ask(wanted)
        except RequestFailed as error:
            return error.code


async def test_json_goes_out_and_comes_back() -> None:
    seen: list[Any] = []
    question = Question("PUT", "", {"name": "Zoë", "n": 1})
    assert await ask(answer(200, b'{"due": 12.5}'), question, seen) == {"due": 12.5}
    [(method, target, headers, body)] = seen
    assert (method, target, body) == (b"PUT", b"/x?y=1", '{"name":"Zoë","n":1}'.encode())
    assert (headers["content-type"], headers["accept"]) == ("application/json", "application/json")


async def test_an_answer_that_is_not_wanted_is_not_read() -> None:
    question = Question("POST", "", wants_answer=False)
    assert await ask(answer(204, b""), question) is None
    assert await ask(answer(200, b"thanks"), question) is None


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answer(500, b"{}"), "bad_status"),
        (answer(404, b"{}"), "bad_status"),
        (answer(302, b"", b"Location: http://127.0.0.1/elsewhere"), "bad_status"),
        (answer(200, b"<html>"), "not_json"),
        (answer(200, b""), "not_json"),
        (answer(200, b"\xff"), "not_json"),
        (answer(200, b"[" * 60_000), "not_json"),
        (answer(200, b'"' + b"x" * ANSWER_BYTES_MAX + b'"'), "answer_too_large"),
        (b"SMTP ready\r\n\r\n", "broken_answer"),
        (b"", "broken_answer"),
    ],
)
async def test_whatever_is_no_good_answer_fails_with_its_reason(reply: bytes, code: str) -> None:
    assert await ask(reply) == code


async def test_nothing_is_sent_to_an_address_that_is_not_allowed() -> None:
    async with serve(lambda _request, _body: answer(200, b"{}")) as place:
        with pytest.raises(AddressRefused):
            await GuardedHttp().request("GET", f"http://{place}/", timeout_s=5)
        with pytest.raises(RequestFailed) as caught:
            await JsonRequests(GuardedHttp()).ask(Question("GET", f"http://{place}/"))
        assert caught.value.code == "address_not_allowed"


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "http://", "http://u:p@127.0.0.1/", "http://[/"]
)
async def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(HttpFailed) as caught:
        await GuardedHttp(LOOPBACK).request("GET", url, timeout_s=5)
    assert caught.value.code == "invalid_url"


async def test_the_host_header_names_the_host_that_was_asked_for() -> None:
    """Though the address of the check is what is connected to."""
    hosts: list[str] = []

    def exchange(request: h11.Request, _body: bytes) -> bytes:
        hosts.append(dict(request.headers)[b"host"].decode())
        return answer(200, b"{}")

    async with serve(exchange) as place:
        port = place.rpartition(":")[2]
        http = GuardedHttp([*LOOPBACK, ip_network("::1/128")])
        await http.request("GET", f"http://localhost:{port}/", timeout_s=5)
    assert hosts == [f"localhost:{port}"]


async def test_a_certificate_must_be_of_the_name_that_was_asked_for(tmp_path: Path) -> None:
    """The server's is of 127.0.0.1, which is trusted here: as that it is taken, as localhost it is not."""
    file = tmp_path / "server.pem"
    file.write_text(CERTIFICATE)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(file)
    trusting = ssl.create_default_context(cafile=str(file))
    http = GuardedHttp([*LOOPBACK, ip_network("::1/128")], tls=trusting)
    async with serve(lambda _request, _body: answer(200, b"{}"), tls) as place:
        port = place.rpartition(":")[2]
        good = await http.request("GET", f"https://127.0.0.1:{port}/", timeout_s=5)
        assert good.status == 200
        with pytest.raises(HttpFailed) as caught:
            await http.request("GET", f"https://localhost:{port}/", timeout_s=5)
        assert caught.value.code == "unreachable"


async def test_a_server_that_says_nothing_is_left_in_time() -> None:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, _say_nothing, 0)
        port = listeners[0].socket.getsockname()[1]
        question = Question("GET", f"http://127.0.0.1:{port}/", timeout_s=0.2)
        with pytest.raises(RequestFailed) as caught:
            await JsonRequests(GuardedHttp(LOOPBACK)).ask(question)
        assert caught.value.code == "timeout"
        nursery.cancel_scope.cancel()


@pytest.mark.punctual
async def test_a_server_whose_answer_trickles_is_left_in_time() -> None:
    """Each byte comes soon after the one before."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, _trickle, 0)
        port = listeners[0].socket.getsockname()[1]
        began = trio.current_time()
        await _time_out(GuardedHttp(LOOPBACK), port, 0.3)
        assert trio.current_time() - began < 5
        nursery.cancel_scope.cancel()


async def _trickle(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while True:
            await stream.send_all(b" ")
            await trio.sleep(0.02)


async def test_of_very_many_requests_so_many_go_on_at_once_as_may_and_all_are_answered() -> None:
    now, most = 0, 0
    all_are_here = trio.Event()

    async def answer_later(stream: trio.SocketStream) -> None:
        """Nobody is answered before as many are here as may be; from then on at once."""
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 10:
            all_are_here.set()
        await stream.receive_some()
        await all_are_here.wait()
        now -= 1
        await stream.send_all(answer(200, b"{}"))

    statuses: list[int] = []
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, answer_later, 0)
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
        http = GuardedHttp(LOOPBACK, at_once_max=10)

        async def ask_one() -> None:
            statuses.append((await http.request("GET", url, timeout_s=60)).status)

        async with trio.open_nursery() as askers:
            for _ in range(300):
                askers.start_soon(ask_one)
        nursery.cancel_scope.cancel()
    assert (statuses, most) == ([200] * 300, 10)


async def test_of_a_name_that_leads_here_and_there_only_the_public_address_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the name is asked for once: what it leads to a moment later does not count."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1", "93.184.216.34", "10.0.0.1"] if len(asked) == 1 else ["127.0.0.1"]

    async def connect(address: str, _port: int, **_tls: Any) -> None:
        raise OSError(errno.ECONNREFUSED, f"not to {address}")

    monkeypatch.setattr("adapters.address_guard._resolve", resolve)
    monkeypatch.setattr("adapters.http_client.connect_tcp", connect)
    with pytest.raises(HttpFailed) as caught:
        await GuardedHttp().request("GET", "http://mixed.example/", timeout_s=5)
    assert "93.184.216.34" in str(caught.value.__cause__)
    assert asked == ["mixed.example"]
    with pytest.raises(AddressRefused):
        await GuardedHttp().request("GET", "http://mixed.example/", timeout_s=5)


async def _say_nothing(_stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def test_requests_that_wait_for_others_wait_within_their_own_time() -> None:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, _say_nothing, 0)
        port = listeners[0].socket.getsockname()[1]
        http = GuardedHttp(LOOPBACK, at_once_max=1)
        nursery.start_soon(_time_out, http, port, 20.0)
        await trio.testing.wait_all_tasks_blocked()
        await _time_out(http, port, 0.2)
        nursery.cancel_scope.cancel()


async def _time_out(http: GuardedHttp, port: int, timeout_s: float) -> None:
    with pytest.raises(HttpFailed) as caught:
        await http.request("GET", f"http://127.0.0.1:{port}/", timeout_s=timeout_s)
    assert caught.value.code == "timeout"
