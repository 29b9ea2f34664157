"""Requests to activate listeners, which came by mail and wait for an operator."""

from __future__ import annotations

from msgspec import Struct

from api.http.exchange import Answer, Exchange, answer, answer_page
from api.http.problem import Problem, not_found
from api.http.views.encoding import show_time
from engine.control.activating import Activations
from engine.form import read_form
from engine.model.activation import STATUSES, Activation, ActivationStatus
from engine.model.events import rfc3339


class ActivationView(Struct, frozen=True):
    """A request and what became of it."""

    id: str
    flow: str | None
    """None where the mail named no flow of the account."""
    numbers: tuple[str, ...]
    """The DIDs that the flow is to call from, just these."""
    sender: str
    subject: str
    status: ActivationStatus
    code: str | None
    """Why it was refused at once, where no operator had to decide."""
    reason: str
    """The same in a sentence, or what the operator said who refused it."""
    created_at: str
    expires_at: str
    """From when on it is void, if nobody decides."""
    decided_at: str | None
    decided_by: str | None
    """Id of the operator's key."""


class RefusalForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a request is refused."""

    reason: str = ""
    """Its sender is told; up to 500 characters."""


async def list_activations(exchange: Exchange) -> Answer:
    """GET /v1/activations"""
    text = exchange.parameters.read_text("status")
    status = next((one for one in STATUSES if one == text), None)
    if text is not None and status is None:
        raise Problem("invalid_parameter", f"`status` is one of {', '.join(STATUSES)}.")
    page = await exchange.store.list_activations(
        exchange.account.id, status, *exchange.parameters.read_page()
    )
    return answer_page(page, show_activation)


async def get_activation(exchange: Exchange) -> Answer:
    """GET /v1/activations/{activation}"""
    id_ = exchange.path["activation"]
    return _answer(exchange, await exchange.store.get_activation(exchange.account.id, id_))


async def confirm(exchange: Exchange) -> Answer:
    """POST /v1/activations/{activation}/confirm"""
    account, id_ = exchange.account, exchange.path["activation"]
    confirmed = await _desk_of(exchange).confirm(account, id_, _key_of(exchange))
    return _answer(exchange, confirmed)


async def refuse(exchange: Exchange) -> Answer:
    """POST /v1/activations/{activation}/refuse"""
    form = read_form(exchange.read_json() if exchange.body else {}, RefusalForm)
    account, id_ = exchange.account, exchange.path["activation"]
    refused = await _desk_of(exchange).refuse(account, id_, form.reason, _key_of(exchange))
    return _answer(exchange, refused)


def show_activation(one: Activation) -> ActivationView:
    """A request as the API shows it."""
    return ActivationView(
        id=one.id,
        flow=one.flow,
        numbers=one.numbers,
        sender=one.sender,
        subject=one.subject,
        status=one.status,
        code=one.code or None,
        reason=one.reason,
        created_at=rfc3339(one.created_at),
        expires_at=rfc3339(one.expires_at),
        decided_at=show_time(one.decided_at),
        decided_by=one.decided_by,
    )


def _desk_of(exchange: Exchange) -> Activations:
    desk = exchange.front.activations
    if desk is None:  # nobody takes mails, and so nobody asked
        raise not_found("activation", exchange.path["activation"])
    return desk


def _key_of(exchange: Exchange) -> str:
    assert exchange.caller is not None  # the routes take a key
    return exchange.caller.key


def _answer(exchange: Exchange, found: Activation | None) -> Answer:
    if found is None:
        raise not_found("activation", exchange.path["activation"])
    return answer(show_activation(found))
