"""Triggers: whom a flow is to call."""

from __future__ import annotations

from api.http.exchange import Answer, Exchange, answer
from api.http.problem import point_at_body
from api.http.resources.contact_stream import take_stream
from api.http.resources.flows import find_flow
from api.http.views.calls import CallView
from api.http.views.lists import ListView, show_multicast, show_preview, show_receipt
from engine.intake.receipt import Receipt
from engine.intake.refused import Refused
from engine.intake.submission import CallReceipt
from engine.intake.taking import Taking


async def multicast(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/multicast"""
    flow = await find_flow(exchange)
    taking, priority = _read_taking(exchange), exchange.parameters.read_priority()
    if exchange.stream is not None:
        return await take_stream(exchange, exchange.stream, flow, taking, priority)
    try:
        return await exchange.make(
            202,
            show_multicast,
            lambda remember: exchange.engine.intake.submit_contacts(
                flow,
                data=exchange.body,
                name=exchange.parameters.read_text("name") or "",
                taking=taking,
                priority=priority,
                answer_for=remember,
            ),
        )
    except Refused as error:
        raise point_at_body(error) from error


async def call(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/calls"""
    flow = await find_flow(exchange)
    try:
        return await exchange.make(
            202,
            _show_call,
            lambda remember: exchange.engine.intake.submit_call(
                flow, data=exchange.body, answer_for=remember
            ),
        )
    except Refused as error:
        raise point_at_body(error) from error


async def upload(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/lists"""
    flow = await find_flow(exchange)
    taking, priority = _read_taking(exchange), exchange.parameters.read_priority()
    file = exchange.file
    assert file is not None  # the route's body is a form with a file
    intake = exchange.engine.intake
    sheet = exchange.parameters.read_text("sheet") or ""
    if exchange.parameters.read_flag("dry_run"):
        preview = await intake.preview_file(
            flow, name=file.name, data=file.data, taking=taking, sheet=sheet
        )
        return answer(show_preview(flow, file.name, preview, exchange.now), 202)
    return await exchange.make(
        202,
        lambda receipt: _show_list(exchange, receipt),
        lambda remember: intake.submit_file(
            flow,
            name=file.name,
            data=file.data,
            source="upload",
            taking=taking,
            sheet=sheet,
            priority=priority,
            repeats="allowed" if exchange.parameters.read_flag("again") else "refused",
            answer_for=remember,
        ),
    )


def _read_taking(exchange: Exchange) -> Taking:
    return "all_or_nothing" if exchange.parameters.read_flag("strict") else "row_by_row"


def _show_list(exchange: Exchange, receipt: Receipt) -> ListView:
    return show_receipt(receipt, exchange.now)


def _show_call(receipt: CallReceipt) -> CallView:
    return CallView(receipt.contact.id, receipt.status, receipt.warnings)
