"""A flow's webhook: where its events are sent, and what becomes of each delivery.

The wire is that of the Standard Webhooks specification; `adapters.webhook` speaks it. An event that a hook
wants is written down as a delivery in the transaction that writes the event, and stays `pending` until it
was delivered or is given up.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from engine.form import Mistake
from engine.model.events import EventType

SECRETS_MAX: Final = 3
"""Of one hook: the present one, and others while they are exchanged."""
SECRET_PREFIX: Final = "whsec_"  # noqa: S105, a prefix is no secret
"""What a secret begins with that is octets in Base64; any other is taken as its UTF-8 octets."""
HIDDEN: Final = "********"
"""What is shown in the place of a secret. Sent back, it leaves the secret as it is."""
DELIVERY_PREFIX: Final = "evt_"
ACCOUNT_PREFIX: Final = "acc_"

# Without a pattern: in a union of a text and a tuple, msgspec 0.22 frees the pattern and crashes.
Secret = Annotated[str, Meta(min_length=1, max_length=200)]


class Webhook(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """The setting `webhook` of a flow."""

    url: Annotated[str, Meta(min_length=1, max_length=2_000)]
    """`https://…`, or `http://…`."""
    secret: Secret | Annotated[tuple[Secret, ...], Meta(min_length=1, max_length=SECRETS_MAX)]
    """What each request is signed with; several while one is exchanged for another."""
    events: tuple[EventType, ...] = ()
    """Types that are sent; empty for all."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """All of them, the present one first."""
        return (self.secret,) if isinstance(self.secret, str) else self.secret

    def wants(self, type_: EventType) -> bool:
        """Whether events of this type are sent."""
        return not self.events or type_ in self.events


DeliveryState = Literal["pending", "delivered", "given_up"]


class Try(Struct, frozen=True, gc=False):
    """What came of sending a delivery once, or of not sending it any more."""

    at: float
    """When it was over, seconds since the epoch."""
    code: str
    """`ok`; else why it was not taken (`bad_status`, `timeout`, `unreachable` …), or why it is given up
    (`gone`, `expired`, `no_webhook`)."""
    detail: str = ""
    """One sentence for a person."""
    status: int | None = None
    """Of the answer; None where there was none."""
    took_s: float = 0.0


class Delivery(Struct, frozen=True, gc=False):
    """One event on its way to the hook of its flow."""

    account: str
    flow: str
    seq: int
    """The event's number."""
    type: EventType
    subject: str
    """The contact, or the list, whose events are delivered in their order, one after the other."""
    state: DeliveryState
    created_at: float
    begun_at: float
    """When it was made, or asked for again: it is given up some days later."""
    due_at: float | None = None
    """When it is sent next; None where it is done, or an earlier one of its subject is not."""
    tries: int = 0
    """How often it was sent since `begun_at`."""
    last: Try | None = None

    @property
    def id(self) -> str:
        """What the receiver sees, the same at each try."""
        return delivery_id(self.account, self.seq)


class DueDelivery(Struct, frozen=True, gc=False):
    """A delivery with what is to be sent."""

    delivery: Delivery
    body: bytes
    """The event's JSON."""


class Outcome(Struct, frozen=True, gc=False):
    """What a try makes of a delivery."""

    delivery: Delivery
    """As it was before."""
    state: DeliveryState
    last: Try
    due_at: float | None = None
    """When it is sent again; None where it is done."""
    tries: int = 0


class HookState(Struct, frozen=True):
    """How the hook of a flow stands."""

    disabled_at: float | None
    """Since when nothing is sent, because the receiver said that it is gone; None while it is in use."""
    pending: int
    """Deliveries that wait; counted up to `PENDING_COUNTED_MAX`."""


PENDING_COUNTED_MAX: Final = 10_000


def delivery_id(account: str, seq: int) -> str:
    """The id of the delivery of an event."""
    return f"{DELIVERY_PREFIX}{account.removeprefix(ACCOUNT_PREFIX)}_{seq}"


def seq_of(account: str, delivery: str) -> int | None:
    """The number of the event that a delivery of this account is of; None for what is no such id."""
    start = f"{DELIVERY_PREFIX}{account.removeprefix(ACCOUNT_PREFIX)}_"
    digits = delivery.removeprefix(start)
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= 18
    return int(digits) if is_number and delivery.startswith(start) else None


def secret_octets(secret: str) -> bytes:
    """What a secret signs with. Raises ValueError for one that is no Base64 behind its prefix."""
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        octets = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    if not octets:
        raise ValueError("it is empty")
    return octets


def find_webhook_mistakes(raw: Any, pointer: str) -> Iterator[Mistake]:
    """What is wrong with a setting `webhook` beside its form."""
    if not isinstance(raw, dict):
        return
    url = raw.get("url")
    if isinstance(url, str) and not _is_address(url):
        detail = "`url` is an address as https://example.com/hook, without a user in it."
        yield Mistake(f"{pointer}/url", "invalid_value", detail)
    secret = raw.get("secret")
    several = secret if isinstance(secret, list) else [secret]
    for place, one in enumerate(several):
        where = f"{pointer}/secret/{place}" if isinstance(secret, list) else f"{pointer}/secret"
        if isinstance(one, str) and not _can_sign(one):
            detail = f"A secret is printable ASCII, and what follows `{SECRET_PREFIX}` Base64."
            yield Mistake(where, "invalid_value", detail)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
    return is_plain and parts.scheme in ("http", "https") and bool(parts.hostname)


def _can_sign(secret: str) -> bool:
    try:
        secret_octets(secret)
    except ValueError:
        return False
    return secret.isascii() and secret.isprintable() and " " not in secret
