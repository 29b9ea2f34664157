"""HTTP requests over asks: what it needs to work here, and what is not left to it."""

from __future__ import annotations

import contextlib
import inspect
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import asks
import asks.cookie_utils
import h11
import pytest
import trio

from adapters.http_client import HttpAnswer, HttpClient, HttpFailed, make_multipart
from tests.http_server import read_request

# A certificate of 127.0.0.1 that nobody vouches for, valid from 2020 to 2120. It guards nothing.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOzZlcOICJ7I/5qDA
5IJLG/Xk05qBLOGous9XR9ovv/uhRANCAATAIRlSe+ywvoZ3tyXVDPf1Fjqew9z1
sK4TXuP4TawFdvE5l+jjJR3CMbBeAOkc3QoHz7okUMmpoGA0efnYtf3C
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBZzCCAQygAwIBAgIBATAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA5jYWxsd2hl
ZWwtdGVzdDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowGTEXMBUG
A1UEAwwOY2FsbHdoZWVsLXRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATA
IRlSe+ywvoZ3tyXVDPf1Fjqew9z1sK4TXuP4TawFdvE5l+jjJR3CMbBeAOkc3QoH
z7okUMmpoGA0efnYtf3Co0MwQTAPBgNVHREECDAGhwR/AAABMA8GA1UdEwEB/wQF
MAMBAf8wHQYDVR0OBBYEFHh4sJTrgu0w/orkxmmn0nwrt8rnMAoGCCqGSM49BAMC
A0kAMEYCIQD9fDqjiZ4lLWdq6KtxP++zxzXGggiW1sh8mFkhnRjWHwIhAP3i+VMv
gDlWymaHCKvE7Gz0vLCujIFEJX1mXvjkv0DE
-----END CERTIFICATE-----
"""

CANARY = """
import warnings; warnings.simplefilter("ignore")
import asks, trio
trio.run(asks.get, "http://127.0.0.1:1/")
"""

Exchange = Callable[[h11.Request, bytes], bytes]
"""From a request and its body to the bytes of the answer."""


@asynccontextmanager
async def serve(exchange: Exchange, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server of one request a connection; gives its `host:port`."""

    async def answer(stream: trio.abc.Stream) -> None:
        if tls is not None:
            stream = trio.SSLStream(stream, tls, server_side=True)
        try:
            request, body = await read_request(stream)
            if request is not None:
                await stream.send_all(exchange(request, body))
        except trio.BrokenResourceError:
            return

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), answer, 0)
        yield f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def get_failure(request: Awaitable[HttpAnswer]) -> tuple[str, str]:
    """Code and detail of a request that fails."""
    with pytest.raises(HttpFailed) as caught:
        await request
    return caught.value.code, caught.value.detail


def test_asks_still_needs_the_name_that_trio_took_away() -> None:
    """When this fails, a release of asks or anyio is mended: `_mend_trio` and the pin can go."""
    run = subprocess.run(
        [sys.executable, "-c", CANARY], capture_output=True, text=True, timeout=60, check=False
    )
    assert "has no attribute 'MultiError'" in run.stderr


async def test_a_request_arrives_as_it_was_meant_and_its_answer_comes_back() -> None:
    seen = []

    def exchange(request: h11.Request, body: bytes) -> bytes:
        seen.append((request.method, request.target, sorted(request.headers), body))
        return b"HTTP/1.1 201 Created\r\nX-Thing: 1\r\nContent-Length: 2\r\n\r\n\xff\0"

    async with serve(exchange) as host:
        answer = await HttpClient().request(
            "POST",
            f"http://{host}/a%20b?c=d%2Be",
            headers={"Content-Type": "text/csv", "Authorization": "Bearer k"},
            body=b"\0\xff",
        )
    assert answer == HttpAnswer(201, {"x-thing": "1", "content-length": "2"}, b"\xff\0")
    assert seen == [
        (
            b"POST",
            b"/a%20b?c=d%2Be",
            [
                (b"accept", b"*/*"),
                (b"accept-encoding", b"identity"),
                (b"authorization", b"Bearer k"),
                (b"connection", b"close"),
                (b"content-length", b"2"),
                (b"content-type", b"text/csv"),
                (b"host", host.encode()),
                (b"user-agent", b"callwheel"),
            ],
            b"\0\xff",
        )
    ]


def test_asks_still_connects_by_the_methods_that_are_put_in_their_place() -> None:
    """When this fails, a release of asks connects in another way: see that `_Session` still decides where to,
    for that is what keeps requests from private addresses."""
    for name in ("_open_connection_http", "_open_connection_https"):
        assert list(inspect.signature(getattr(asks.Session, name)).parameters) == [
            "self",
            "location",
        ]


def test_asks_still_breaks_off_over_a_cookie_without_a_value() -> None:
    """When this fails, a release of asks is mended: `_mend_asks` can go."""
    answer = SimpleNamespace(headers={"set-cookie": ["thanks"]}, cookies=[])
    with pytest.raises(ValueError, match="not enough values"):
        asks.cookie_utils.parse_cookies(answer, "example.com")


@pytest.mark.parametrize("cookie", [b"thanks", b"", b"=", b"a=b; expires=never"])
async def test_an_answer_with_a_cookie_that_nobody_understands_is_an_answer(cookie: bytes) -> None:
    reply = b"HTTP/1.1 200 OK\r\nSet-Cookie: " + cookie + b"\r\nContent-Length: 2\r\n\r\n{}"
    async with serve(lambda request, body: reply) as host:
        assert (await HttpClient().request("GET", f"http://{host}/")).body == b"{}"


async def test_what_is_connected_to_is_the_address_that_the_caller_names_not_what_the_name_leads_to() -> (
    None
):
    """The name leads nowhere. That the first address takes no connection is no matter."""
    seen = []

    def exchange(request: h11.Request, body: bytes) -> bytes:
        seen.append((dict(request.headers)[b"host"], body))
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    async with serve(exchange) as place:
        port = place.rpartition(":")[2]
        answer = await HttpClient().request(
            "GET", f"http://nowhere.invalid:{port}/", connect_to=["127.0.0.2", "127.0.0.1"]
        )
    assert (answer.status, seen) == (200, [(f"nowhere.invalid:{port}".encode(), b"")])


async def test_over_tls_as_well_and_its_certificate_must_be_of_the_name(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with serve(lambda request, body: b"", tls) as place:
        host = f"nowhere.invalid:{place.rpartition(':')[2]}"
        request = HttpClient(tls=trusting).request(
            "GET", f"https://{host}/", connect_to=["127.0.0.1"]
        )
        code, detail = await get_failure(request)
    assert (code, "nowhere.invalid" in detail, "trusted" in detail) == ("unreachable", True, True)


async def test_a_file_of_five_megabytes_arrives_whole() -> None:
    content = bytes(range(256)) * (5 * 4096)
    bodies = []

    def exchange(request: h11.Request, body: bytes) -> bytes:
        del request
        bodies.append(body)
        return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"

    kind, form = make_multipart("file", "list.csv", content, boundary="b" * 30)
    async with serve(exchange) as host:
        answer = await HttpClient().request(
            "POST", f"http://{host}/", headers={"Content-Type": kind}, body=form
        )
    assert answer.status == 202
    assert bodies == [form]


def test_a_multipart_body_is_that_of_rfc_7578() -> None:
    assert make_multipart("file", 'a "b"\r\n.csv', b"tel1\r\n", boundary="xyz") == (
        "multipart/form-data; boundary=xyz",
        b"--xyz\r\n"
        b'Content-Disposition: form-data; name="file"; filename="a %22b%22%0D%0A.csv"\r\n'
        b"Content-Type: application/octet-stream\r\n"
        b"\r\n"
        b"tel1\r\n\r\n"
        b"--xyz--\r\n",
    )


async def test_a_redirect_is_not_followed() -> None:
    seen = []

    def exchange(request: h11.Request, body: bytes) -> bytes:
        del body
        seen.append(request.target)
        return b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"

    async with serve(exchange) as host:
        answer = await HttpClient().request("GET", f"http://{host}/")
    assert (answer.status, seen) == (302, [b"/"])


async def test_an_answer_without_end_is_cut_off_at_its_bound() -> None:
    def exchange(request: h11.Request, body: bytes) -> bytes:
        del request, body
        return b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 200_000

    async with serve(exchange) as host:
        client = HttpClient(answer_bytes_max=100_000)
        assert await get_failure(client.request("GET", f"http://{host}/")) == (
            "answer_too_large",
            f"{host} answered more than 100000 bytes.",
        )


async def test_a_server_that_says_nothing_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener:
        host = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        assert await get_failure(HttpClient(timeout_s=7).request("GET", f"http://{host}/")) == (
            "timeout",
            f"{host} did not answer within 7 s.",
        )


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "broken_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "broken_answer"),
        (b"", "broken_answer"),
    ],
)
async def test_an_answer_that_is_not_http_is_one_error(answer: bytes, code: str) -> None:
    async with serve(lambda request, body: answer) as host:
        assert await get_failure(HttpClient().request("GET", f"http://{host}/")) == (
            code,
            f"{host} did not answer in HTTP.",
        )


async def test_a_port_where_nobody_listens_is_said_in_one_sentence() -> None:
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        assert await get_failure(HttpClient().request("GET", f"http://{host}/")) == (
            "unreachable",
            f"{host} cannot be reached: Connection refused.",
        )


@pytest.mark.parametrize(
    "url", ["127.0.0.1:80", "ftp://a/", "http://", "http://a:b/", "http://a/ b"]
)
async def test_what_is_no_web_address_is_refused_before_it_is_sent(url: str) -> None:
    code, _ = await get_failure(HttpClient().request("GET", url))
    assert code == "invalid_url"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """The certificate with its key, in a file."""
    path = tmp_path / "server.pem"
    path.write_text(CERTIFICATE)
    return path


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    seen = []

    def exchange(request: h11.Request, body: bytes) -> bytes:
        seen.append((request, body))
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    async with serve(exchange, tls) as host:
        assert await get_failure(HttpClient().request("GET", f"https://{host}/")) == (
            "unreachable",
            f"{host} cannot be trusted: self-signed certificate.",
        )
    assert seen == []


async def test_a_server_without_tls_is_told_as_one() -> None:
    """Whoever wrote https for http is not told of a wrong version."""

    async def refuse(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            await stream.receive_some()

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, refuse, 0, host="127.0.0.1"))
        host = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        failure = await get_failure(HttpClient().request("GET", f"https://{host}/"))
        nursery.cancel_scope.cancel()
    assert failure == (
        "unreachable",
        f"{host} does not speak TLS: its address may be one with http://.",
    )


async def test_a_certificate_that_is_trusted_is_taken(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)

    def exchange(request: h11.Request, body: bytes) -> bytes:
        del request, body
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    async with serve(exchange, tls) as host:
        answer = await HttpClient(tls=trusting).request("GET", f"https://{host}/")
    assert answer == HttpAnswer(200, {"content-length": "2"}, b"ok")


async def test_whoever_is_cancelled_while_it_connects_is_cancelled_and_nothing_else() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with contextlib.ExitStack() as stack:
            # What is beyond the backlog is neither taken nor refused.
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.1", port))
            with trio.move_on_after(0.2) as scope:
                await HttpClient().request("GET", f"http://127.0.0.1:{port}/")
    assert scope.cancelled_caught


async def test_a_name_none_of_whose_addresses_answers_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(HttpFailed) as caught:
            await HttpClient().request("GET", f"http://localhost:{port}/")
    assert caught.value.code == "unreachable"
    assert "refused" in caught.value.detail
