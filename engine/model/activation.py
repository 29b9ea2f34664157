"""A request to activate the listener of a flow, which came by mail and which an operator decides.

A mail makes one request, whatever crashes: the request, what is told of it and the letter that answers are
written in one transaction. One that cannot be granted is kept as well, as refused by the door itself, so that
those of the account see who asked for what.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from engine.model import Flow
from engine.model.events import Event, EventType
from engine.model.letter import Letter

ActivationStatus = Literal["pending", "confirmed", "refused", "expired"]
STATUSES: Final[tuple[ActivationStatus, ...]] = ("pending", "confirmed", "refused", "expired")

LIFE_S: Final = 7 * 86_400.0
"""After which a request that nobody decided is void."""
KEPT_S: Final = 30 * 86_400.0
"""How long a decided request can be looked up."""
PENDING_MAX: Final = 100
"""Requests of one account that wait."""
REASON_LENGTH_MAX: Final = 500
"""Characters that an operator may tell the sender."""

_TOLD: Final[dict[ActivationStatus, EventType]] = {
    "pending": "activation.requested",
    "confirmed": "activation.confirmed",
    "refused": "activation.refused",
    "expired": "activation.expired",
}


class Activation(Struct, frozen=True, kw_only=True):
    """A request and what became of it."""

    id: str
    account: str
    mail: str
    """What the mail that asked is known by, however often it comes."""
    sender: str
    """Its address, in small letters."""
    subject: str
    message_id: str | None
    """Of the mail, with its angle brackets."""
    flow: str | None
    """None where the mail named no flow of the account."""
    numbers: tuple[str, ...]
    """The DIDs that the flow is to call from, just these; E.164."""
    created_at: float
    expires_at: float
    status: ActivationStatus = "pending"
    code: str = ""
    """Why the door refused it by itself; empty otherwise."""
    reason: str = ""
    """The same in a sentence, or what the operator says who refused it."""
    decided_at: float | None = None
    """None while it is pending."""
    decided_by: str | None = None
    """Id of the operator's key; None where no operator decided it."""


class Decision(Struct, frozen=True):
    """What becomes of a request."""

    activation: Activation
    flow: Flow | None
    """As it is from now on; None leaves it as it is."""
    event: Event
    letter: Letter | None
    """What its sender is told; None where no letters are sent."""


Decide = Callable[[Activation, Flow | None, frozenset[str]], Decision]
"""Called with a request, its flow as it is now (None where there is none) and those of its numbers that are
DIDs of the account. Pure and quick, may run in another thread and twice."""


def activation_told(activation: Activation, flow: Flow | None) -> Event:
    """What is told of a request, as it stands now. The flow's webhook hears of it as of its lists."""
    data = {
        "activation": activation.id,
        "sender": activation.sender,
        "numbers": list(activation.numbers),
    }
    if activation.status == "pending":
        at = activation.created_at
    else:
        assert activation.decided_at is not None
        at = activation.decided_at
        told = {"by": activation.decided_by, "code": activation.code, "reason": activation.reason}
        data |= {name: value for name, value in told.items() if value}
    of_flow = ("", "") if flow is None else (flow.id, flow.calls_list)
    return Event(_TOLD[activation.status], at, activation.account, *of_flow, data=data)
