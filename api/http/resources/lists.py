"""Call lists, and what became of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from api.http.csv_stream import Row, stream_pages, stream_rows
from api.http.exchange import Answer, Exchange, answer
from api.http.problem import Problem, not_found
from api.http.resources.contacts import show_contacts
from api.http.views.lists import show_forecast, show_list
from engine.forecast.behaviour import read_stated
from engine.forecast.forecaster import ForecastBusy
from engine.intake.answer import guard_cell, make_rejected_header, make_rejected_row
from engine.model import TELS_MAX, Attempt, CallList, Contact, status_of
from engine.model.events import rfc3339
from engine.ports.workers import WorkerFailed

RESULT_COLUMNS: Final = (
    "row",
    "reference",
    *(f"tel{place}" for place in range(1, TELS_MAX + 1)),
    "status",
    "disposition",
    "attempts",
    "number",
    "did",
    "initiated_at",
    "answered_at",
    "ended_at",
    "duration_s",
    "sip_code",
    "amd",
    "digits",
    "result",
)
"""`attempts` are those that count against the flow's `attempts_max`; from `number` on it is the last.
`result` is a JSON object of the variables that the call set: flows differ in them, and the columns do not."""
Change = Callable[[str, str], Awaitable[CallList | None]]


async def get_list(exchange: Exchange) -> Answer:
    """GET /v1/lists/{list}"""
    return await _answer(exchange, await find_list(exchange))


async def list_lists(exchange: Exchange) -> Answer:
    """GET /v1/lists"""
    flow = exchange.parameters.read_text("flow")
    page = await exchange.store.list_lists(
        exchange.account.id, flow, *exchange.parameters.read_page()
    )
    items = []
    for call_list in page.items:
        counts = await exchange.store.count_list(call_list.account, call_list.id, exchange.now)
        if counts is not None:
            items.append(show_list(call_list, counts))
    return answer({"items": items, "next": page.next})


async def list_contacts(exchange: Exchange) -> Answer:
    """GET /v1/lists/{list}/contacts"""
    call_list = await find_list(exchange)
    page = await exchange.store.list_contacts(
        exchange.account.id, call_list.id, *exchange.parameters.read_page()
    )
    return answer({"items": await show_contacts(exchange, page.items), "next": page.next})


async def change(exchange: Exchange) -> Answer:
    """PATCH /v1/lists/{list}"""
    found = await find_list(exchange)
    changed = await exchange.engine.rescheduling.change_list(
        exchange.account.id, found.id, exchange.read_json()
    )
    return await _answer(exchange, changed)


async def forecast(exchange: Exchange) -> Answer:
    """POST /v1/lists/{list}/forecast"""
    call_list = await find_list(exchange)
    flow = await exchange.store.get_flow(call_list.account, call_list.flow)
    if flow is None:
        raise not_found("flow", call_list.flow)
    stated = read_stated(exchange.read_json() if exchange.body else {})
    try:
        told = await exchange.engine.forecaster.forecast_list(flow, call_list, stated, exchange.now)
    except ForecastBusy:
        detail = "Another forecast is being made: ask again when it is done."
        raise Problem("forecast_busy", detail, headers={"Retry-After": "5"}) from None
    except WorkerFailed:
        detail = (
            "The forecast was not made in time, as too much else is to be done. Ask again later."
        )
        raise Problem("busy", detail, headers={"Retry-After": "30"}) from None
    return answer(show_forecast(told))


async def pause(exchange: Exchange) -> Answer:
    """POST /v1/lists/{list}/pause"""
    return await _change(exchange, exchange.engine.pause_list)


async def resume(exchange: Exchange) -> Answer:
    """POST /v1/lists/{list}/resume"""
    return await _change(exchange, exchange.engine.resume_list)


async def cancel(exchange: Exchange) -> Answer:
    """POST /v1/lists/{list}/cancel"""
    return await _change(exchange, exchange.engine.cancel_list)


async def get_results(exchange: Exchange) -> Answer:
    """GET /v1/lists/{list}/results.csv"""
    call_list = await find_list(exchange)
    pages = stream_pages(
        lambda limit, cursor: exchange.store.list_results(
            exchange.account.id, call_list.id, limit, cursor
        ),
        lambda result: _make_result_row(*result, exchange.now),
    )
    return stream_rows(f"results-{call_list.id}.csv", RESULT_COLUMNS, pages)


async def get_rejected(exchange: Exchange) -> Answer:
    """GET /v1/lists/{list}/rejected.csv: the rows as they came, and why they were not taken."""
    call_list = await find_list(exchange)
    width = len(call_list.header)
    pages = stream_pages(
        lambda limit, cursor: exchange.store.list_rejected(
            exchange.account.id, call_list.id, limit, cursor
        ),
        lambda rejected: make_rejected_row(rejected, width),
    )
    header = make_rejected_header(call_list.header)
    return stream_rows(f"rejected-{call_list.id}.csv", header, pages)


async def find_list(exchange: Exchange) -> CallList:
    """The list that the address names. Raises the problem `not_found`."""
    call_list = await exchange.store.get_list(exchange.account.id, exchange.path["list"])
    if call_list is None:
        raise not_found("list", exchange.path["list"])
    return call_list


async def _change(exchange: Exchange, change: Change) -> Answer:
    # Asked first, so that nobody can hold up a list of another account even for a moment.
    found = await find_list(exchange)
    return await _answer(exchange, await change(exchange.account.id, found.id))


async def _answer(exchange: Exchange, call_list: CallList | None) -> Answer:
    if call_list is not None:
        counts = await exchange.store.count_list(call_list.account, call_list.id, exchange.now)
        if counts is not None:
            blocked = await exchange.engine.sum_blockers(call_list, counts)
            first = await exchange.store.first_waits(call_list.account, call_list.id, exchange.now)
            return exchange.answer_tagged(call_list, show_list(call_list, counts, blocked, first))
    raise not_found("list", exchange.path["list"])


def _make_result_row(contact: Contact, attempt: Attempt | None, now: float) -> Row:
    tels = contact.tel + ("",) * (TELS_MAX - len(contact.tel))
    row: list[str | int | float | None] = [contact.row, guard_cell(contact.reference or ""), *tels]
    row += [status_of(contact, now), contact.disposition, contact.spent]
    if attempt is not None:
        row += [
            attempt.number,
            attempt.did,
            rfc3339(attempt.initiated_at),
            attempt.answered_at and rfc3339(attempt.answered_at),
            attempt.ended_at and rfc3339(attempt.ended_at),
            attempt.duration_s and round(attempt.duration_s, 3),
            attempt.sip.code if attempt.sip else None,
            attempt.amd,
            guard_cell(attempt.digits),
            msgspec.json.encode(attempt.result).decode(),
        ]
    return row + [None] * (len(RESULT_COLUMNS) - len(row))
