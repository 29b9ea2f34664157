"""The webhook of a flow: how it stands, and what became of each delivery."""

from __future__ import annotations

from typing import Final, get_args

from msgspec import Struct

from api.http.exchange import Answer, Exchange, answer, answer_page
from api.http.problem import Problem, not_found
from api.http.resources.flows import find_flow
from engine.model.events import rfc3339
from engine.model.webhook import PENDING_COUNTED_MAX, Delivery, DeliveryState, seq_of

STATES: Final[tuple[DeliveryState, ...]] = get_args(DeliveryState)


class TryView(Struct, frozen=True):
    """What came of a try."""

    at: str
    code: str
    detail: str
    status: int | None
    took_s: float


class DeliveryView(Struct, frozen=True):
    """One event on its way."""

    id: str
    """The header `webhook-id`."""
    seq: int
    """The event's number in the feed."""
    type: str
    subject: str
    state: DeliveryState
    created_at: str
    due_at: str | None
    tries: int
    last: TryView | None


class HookView(Struct, frozen=True):
    """How the hook of a flow stands."""

    url: str | None
    events: tuple[str, ...]
    is_enabled: bool
    disabled_at: str | None
    pending: int
    pending_counted_max: int
    """`pending` is not counted further."""


def show_delivery(delivery: Delivery) -> DeliveryView:
    """A delivery as it is shown."""
    last = delivery.last
    return DeliveryView(
        delivery.id,
        delivery.seq,
        delivery.type,
        delivery.subject,
        delivery.state,
        rfc3339(delivery.created_at),
        None if delivery.due_at is None else rfc3339(delivery.due_at),
        delivery.tries,
        None
        if last is None
        else TryView(rfc3339(last.at), last.code, last.detail, last.status, round(last.took_s, 3)),
    )


async def get_hook(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/webhook"""
    flow = await find_flow(exchange)
    hook = flow.settings.webhook
    state = await exchange.store.hook_state(flow.account, flow.id)
    return answer(
        HookView(
            url=None if hook is None else hook.url,
            events=() if hook is None else hook.events,
            is_enabled=hook is not None and state.disabled_at is None,
            disabled_at=None if state.disabled_at is None else rfc3339(state.disabled_at),
            pending=state.pending,
            pending_counted_max=PENDING_COUNTED_MAX,
        )
    )


async def enable_hook(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/webhook/enable"""
    flow = await find_flow(exchange)
    await exchange.store.enable_hook(flow.account, flow.id)
    exchange.front.wake_hook(flow.account, flow.id)
    return await get_hook(exchange)


async def list_deliveries(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/webhook/deliveries"""
    flow = await find_flow(exchange)
    text = exchange.parameters.read_text("state")
    state = next((one for one in STATES if one == text), None)
    if text is not None and state is None:
        raise Problem("invalid_parameter", f"`state` is one of {', '.join(STATES)}.")
    page = await exchange.store.list_deliveries(
        flow.account, flow.id, state, *exchange.parameters.read_page()
    )
    return answer_page(page, show_delivery)


async def get_delivery(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/webhook/deliveries/{delivery}"""
    flow = await find_flow(exchange)
    id_ = exchange.path["delivery"]
    seq = seq_of(flow.account, id_)
    found = None if seq is None else await exchange.store.get_delivery(flow.account, flow.id, seq)
    if found is None:
        raise not_found("delivery", id_)
    return answer(show_delivery(found))


async def replay_delivery(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/webhook/deliveries/{delivery}/replay"""
    flow = await find_flow(exchange)
    id_ = exchange.path["delivery"]
    seq = seq_of(flow.account, id_)
    replayed = (
        None
        if seq is None
        else await exchange.store.replay_delivery(flow.account, flow.id, seq, exchange.now)
    )
    if replayed is None:
        raise not_found("delivery", id_)
    exchange.front.wake_hook(flow.account, flow.id)
    return answer(show_delivery(replayed), 202)
