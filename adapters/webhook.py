"""Webhooks as the Standard Webhooks specification has them (version 1, symmetric signatures).

`webhook-id` is the same at each try of a delivery, `webhook-timestamp` the second of sending, and
`webhook-signature` holds a signature for each of the hook's secrets: `v1,` and the Base64 of
HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from adapters.address_guard import AddressRefused
from adapters.http_client import HttpAnswer, HttpFailed
from adapters.outgoing_http import GuardedHttp
from engine.model.webhook import Webhook, secret_octets
from engine.ports.webhooks import Posted

TIMEOUT_S: Final = 15.0
"""Within which a receiver has answered."""
RETRY_AFTER_DIGITS_MAX: Final = 9
"""Of the header's seconds; its other form, a date, is not read."""


class WebhookNotifier:
    """Implements `engine.ports.webhooks.Notifier`."""

    def __init__(self, http: GuardedHttp, timeout_s: float = TIMEOUT_S) -> None:
        self._http = http
        self._timeout_s = timeout_s

    async def post(
        self, hook: Webhook, delivery: str, body: bytes, at: float, account: str = ""
    ) -> Posted:
        """See the port."""
        headers = make_headers(hook.secrets, delivery, body, at)
        try:
            answer = await self._http.request(
                "POST",
                hook.url,
                headers=headers,
                body=body,
                timeout_s=self._timeout_s,
                account=account,
            )
        except (HttpFailed, AddressRefused) as error:
            return Posted(error.code, error.detail)
        return _read(answer)


def make_headers(secrets: Sequence[str], delivery: str, body: bytes, at: float) -> dict[str, str]:
    """The headers of a request.

    Args:
        secrets: each signs once.
        delivery: the id.
        at: seconds since the epoch.
    """
    timestamp = int(at)
    signatures = [sign(secret, delivery, timestamp, body) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "webhook-id": delivery,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def sign(secret: str, delivery: str, timestamp: int, body: bytes) -> str:
    """One signature. Raises ValueError for a secret that cannot sign."""
    signed = b"%b.%d.%b" % (delivery.encode(), timestamp, body)
    digest = hmac.new(secret_octets(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _read(answer: HttpAnswer) -> Posted:
    if 200 <= answer.status <= 299:
        return Posted("ok", status=answer.status)
    detail = f"It answered with the status {answer.status}."
    if answer.status == HTTPStatus.GONE:
        return Posted("gone", detail, answer.status)
    return Posted("bad_status", detail, answer.status, _retry_after_s(answer))


def _retry_after_s(answer: HttpAnswer) -> float | None:
    """Retry-After in seconds (RFC 9110 §10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    is_number = text.isascii() and text.isdigit() and len(text) <= RETRY_AFTER_DIGITS_MAX
    return float(text) if is_number else None
