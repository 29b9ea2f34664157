"""Webhooks over real sockets to a receiver on loopback that the operator allows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from ipaddress import ip_network
from typing import Any

import h11
import pytest
import trio
import trio.testing

from adapters import address_guard
from adapters.outgoing_http import GuardedHttp
from adapters.webhook import WebhookNotifier, sign
from engine.model.webhook import Webhook
from engine.ports.webhooks import Posted
from tests.adapters.test_http_client import serve

LOOPBACK = [ip_network("127.0.0.0/8")]
AT = 1_614_265_330.75
BODY = b'{"test": 2432232314}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def reply(status: int, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 %d X" % status, b"Content-Length: 0", *headers, b"", b""])


async def post(answer: bytes, secret: str | tuple[str, ...] = SECRET) -> tuple[Posted, list[Any]]:
    """What is made of a receiver's answer, and what it got."""
    seen: list[Any] = []

    def exchange(request: h11.Request, body: bytes) -> bytes:
        headers = {name.decode(): value.decode() for name, value in request.headers}
        seen.append((request.method, request.target, headers, body))
        return answer

    async with serve(exchange) as place:
        notifier = WebhookNotifier(GuardedHttp(LOOPBACK))
        hook = Webhook(f"http://{place}/hook", secret)
        return await notifier.post(hook, "msg_p5jXN8AQM9LWM0D4loKWxJek", BODY, AT), seen


def test_the_specification_s_own_example_is_signed_as_it_says() -> None:
    signature = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", int(AT), BODY)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_request_is_signed_with_each_secret_and_holds_the_event_as_it_is() -> None:
    posted, [(method, target, headers, body)] = await post(reply(204), (SECRET, "plain-secret"))
    assert posted == Posted("ok", status=204)
    assert (method, target, body) == (b"POST", b"/hook", BODY)
    sent = {name: headers[name] for name in ("content-type", "webhook-id", "webhook-timestamp")}
    assert sent == {
        "content-type": "application/json",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
    }
    content = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + BODY
    other = base64.b64encode(hmac.new(b"plain-secret", content, hashlib.sha256).digest()).decode()
    first = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-signature"] == f"{first} v1,{other}"


@pytest.mark.parametrize(
    ("answer", "posted"),
    [
        (reply(200), Posted("ok", "", 200)),
        (reply(299), Posted("ok", "", 299)),
        (
            reply(302, b"Location: http://127.0.0.1:1/"),
            Posted("bad_status", "It answered with the status 302.", 302),
        ),
        (reply(410), Posted("gone", "It answered with the status 410.", 410)),
        (
            reply(429, b"Retry-After: 30"),
            Posted("bad_status", "It answered with the status 429.", 429, 30.0),
        ),
        (
            reply(503, b"Retry-After: Wed, 21 Oct 2099 07:28:00 GMT"),
            Posted("bad_status", "It answered with the status 503.", 503),
        ),
        (
            reply(503, b"Retry-After: " + b"9" * 40),
            Posted("bad_status", "It answered with the status 503.", 503),
        ),
    ],
)
async def test_an_answer_is_understood(answer: bytes, posted: Posted) -> None:
    assert (await post(answer))[0] == posted


async def test_a_receiver_that_is_not_there_or_speaks_something_else_is_a_failure() -> None:
    assert (await post(b"220 SMTP\r\n\r\n"))[0].code == "broken_answer"
    notifier = WebhookNotifier(GuardedHttp(LOOPBACK))
    nobody = Webhook("http://127.0.0.1:1/", SECRET)
    assert (await notifier.post(nobody, "evt_1", BODY, AT)).code == "unreachable"


async def test_a_private_address_is_not_sent_to() -> None:
    notifier = WebhookNotifier(GuardedHttp())
    for url in ("http://127.0.0.1/", "http://2130706433/", "http://[::ffff:10.0.0.1]/"):
        posted = await notifier.post(Webhook(url, SECRET), "evt_1", BODY, AT)
        assert posted.code == "address_not_allowed"


async def test_an_account_whose_names_take_long_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_over = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        if host.startswith("slow"):
            is_over.wait(100)
        return ["192.168.0.1"]

    monkeypatch.setattr(address_guard, "_resolve", resolve)
    notifier = WebhookNotifier(GuardedHttp())
    async with trio.open_nursery() as nursery:
        for number in range(32):
            slow = Webhook(f"http://slow{number}.example/", SECRET, ())
            nursery.start_soon(notifier.post, slow, f"evt_{number}", b"{}", 0.0, "acc_1")
        await trio.testing.wait_all_tasks_blocked(0.05)
        with trio.fail_after(60):
            other = Webhook("http://other.example/", SECRET, ())
            posted = await notifier.post(other, "evt_x", b"{}", 0.0, "acc_2")
        is_over.set()
    assert posted.code == "address_not_allowed"
