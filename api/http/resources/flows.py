"""Flows: what happens on calls, and whether they are made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import trio
from msgspec import Struct

from api.http.csv_stream import Row, stream_rows
from api.http.exchange import NOTHING, Answer, Exchange, answer_page
from api.http.problem import not_found
from api.http.views.flows import FlowView, show_flow
from engine.flow.definition import read_definition
from engine.flow.drawing import draw
from engine.form import read_form
from engine.intake.answer import guard_cell
from engine.intake.columns import make_example, make_template
from engine.intake.submission import read_variables
from engine.model import Flow


class DidsForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Which DIDs a flow calls from."""

    numbers: tuple[str, ...]


class ListenerForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a flow takes triggers and dials."""

    active: bool


async def create_flow(exchange: Exchange) -> Answer:
    """POST /v1/flows"""
    administration, raw = exchange.engine.administration, exchange.read_json()
    return await exchange.make(
        201,
        lambda flow: _show(exchange, flow),
        lambda remember: administration.create_flow(exchange.account, raw, remember),
    )


async def list_flows(exchange: Exchange) -> Answer:
    """GET /v1/flows"""
    page = await exchange.store.list_flows(exchange.account.id, *exchange.parameters.read_page())
    return answer_page(page, lambda flow: _show(exchange, flow))


async def get_flow(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}"""
    return _answer(exchange, await find_flow(exchange))


async def change_flow(exchange: Exchange) -> Answer:
    """PUT /v1/flows/{flow}"""
    changed = await exchange.engine.administration.change_flow(
        exchange.account, exchange.path["flow"], exchange.read_json()
    )
    return _answer(exchange, changed)


async def delete_flow(exchange: Exchange) -> Answer:
    """DELETE /v1/flows/{flow}"""
    flow = exchange.path["flow"]
    if not await exchange.engine.administration.delete_flow(exchange.account, flow):
        raise not_found("flow", flow)
    return NOTHING


async def attach_dids(exchange: Exchange) -> Answer:
    """PUT /v1/flows/{flow}/dids"""
    form = read_form(exchange.read_json(), DidsForm)
    changed = await exchange.engine.administration.attach_dids(
        exchange.account, exchange.path["flow"], form.numbers
    )
    return _answer(exchange, changed)


async def set_listener(exchange: Exchange) -> Answer:
    """PUT /v1/flows/{flow}/listener"""
    form = read_form(exchange.read_json(), ListenerForm)
    changed = await exchange.engine.administration.set_listener(
        exchange.account, exchange.path["flow"], form.active
    )
    return _answer(exchange, changed)


async def pause(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/pause"""
    held = exchange.engine.holding.pause_flow(exchange.account.id, exchange.path["flow"])
    return _answer(exchange, await held)


async def resume(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/resume"""
    held = exchange.engine.holding.resume_flow(exchange.account.id, exchange.path["flow"])
    return _answer(exchange, await held)


async def cancel(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/cancel"""
    held = exchange.engine.holding.cancel_flow(exchange.account.id, exchange.path["flow"])
    return _answer(exchange, await held)


async def get_template(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/template.csv"""
    flow = await find_flow(exchange)
    variables = read_variables(flow.definition)
    example = [guard_cell(cell) for cell in make_example(variables)]
    return stream_rows(f"template-{flow.id}.csv", make_template(variables), _stream_row(example))


async def get_diagram(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/diagram.svg"""
    flow = await find_flow(exchange)
    # A large graph takes longer than calls can wait.
    picture = await trio.to_thread.run_sync(_draw, flow)
    # The picture has its own style and nothing else, wherever it is opened.
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Answer(200, picture.encode(), "image/svg+xml; charset=utf-8", headers)


def _draw(flow: Flow) -> str:
    return draw(read_definition(flow.definition), flow.name)


async def find_flow(exchange: Exchange) -> Flow:
    """The flow that the address names. Raises the problem `not_found`."""
    flow = await exchange.store.get_flow(exchange.account.id, exchange.path["flow"])
    if flow is None:
        raise not_found("flow", exchange.path["flow"])
    return flow


def _answer(exchange: Exchange, flow: Flow | None) -> Answer:
    if flow is None:
        raise not_found("flow", exchange.path["flow"])
    return exchange.answer_tagged(flow, _show(exchange, flow))


def _show(exchange: Exchange, flow: Flow) -> FlowView:
    settings = exchange.front.settings
    return show_flow(flow, settings.public_url, settings.find_address(flow.id))


async def _stream_row(row: Row) -> AsyncGenerator[Sequence[Row], None]:
    yield [row]
