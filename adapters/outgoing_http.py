"""HTTP to addresses that outsiders wrote: guarded, bounded, and never more than one answer.

`GuardedHttp` sends one request to where the address guard allows; `JsonRequests` is what flows ask through.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import trio

from adapters.address_guard import AddressGuard, AddressRefused, Network
from adapters.http_client import HttpAnswer, HttpClient, HttpFailed
from adapters.shares import Shares
from engine.ports.requests import Question, RequestFailed

ANSWER_BYTES_MAX: Final = 64 * 1024
"""The longest answer that is read."""
REQUESTS_AT_ONCE_MAX: Final = 100
"""Requests of one account that go on at once while others send none, and half of those of all. More wait,
within their own time."""


class GuardedHttp:
    """Sends requests to public addresses, and to those that the operator lists."""

    def __init__(
        self,
        allow: Sequence[Network] = (),
        *,
        tls: ssl.SSLContext | None = None,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        at_once_max: int = REQUESTS_AT_ONCE_MAX,
    ) -> None:
        self._guard = AddressGuard(allow)
        self._client = HttpClient(tls=tls, answer_bytes_max=answer_bytes_max)
        self._at_once = Shares(2 * at_once_max)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
        account: str = "",
    ) -> HttpAnswer:
        """One request and its answer, whatever its status; no redirect is followed. Raises `HttpFailed` and
        `AddressRefused`.

        Args:
            timeout_s: for all of it: the wait for others, the name, the connection and the answer.
            account: for whom it is. One whose receivers are slow leaves room to the others.
        """
        with trio.move_on_after(timeout_s):
            async with self._at_once.slot(account):
                host, port = _place_of(url)
                addresses = await self._guard.find(host, port, account)
                return await self._client.request(
                    method, url, headers=headers, body=body, connect_to=addresses
                )
        raise HttpFailed("timeout", f"There was no answer within {timeout_s:g} s.")


class JsonRequests:
    """Implements `engine.ports.requests.Requests`."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    async def ask(self, question: Question) -> Any:
        """See the port."""
        headers = {"Accept": "application/json"}
        body = None
        if question.body is not None:
            headers["Content-Type"] = "application/json"
            body = msgspec.json.encode(question.body)
        try:
            answer = await self._http.request(
                question.method,
                question.url,
                headers=headers,
                body=body,
                timeout_s=question.timeout_s,
                account=question.account,
            )
        except (HttpFailed, AddressRefused) as error:
            raise RequestFailed(error.code, error.detail) from error
        if not 200 <= answer.status <= 299:
            raise RequestFailed("bad_status", f"It answered with the status {answer.status}.")
        return _read(answer.body) if question.wants_answer else None


def _read(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestFailed("not_json", "Its answer is not JSON.") from None


def _place_of(url: str) -> tuple[str, int]:
    """Host and port of an address. Raises `HttpFailed`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise HttpFailed("invalid_url", f"{url!r} is not an address as https://example.com/path.")
    return host, port or (443 if parts.scheme == "https" else 80)
