"""Attempts: the call detail records."""

from __future__ import annotations

from typing import Final

import msgspec

from api.http.agent_views import show_leg
from api.http.csv_stream import Row, stream_pages, stream_rows
from api.http.exchange import Answer, Exchange, answer, answer_page
from api.http.problem import not_found
from api.http.views.calls import show_attempt
from engine.intake.answer import guard_cell
from engine.model import Attempt
from engine.ports.read_store import AttemptFilter

COLUMNS: Final = (
    "id",
    "flow",
    "list",
    "contact",
    "number",
    "did",
    "trunk",
    "status",
    "disposition",
    "initiated_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "duration_s",
    "sip_code",
    "sip_reason",
    "sip_call_id",
    "q850",
    "amd",
    "digits",
    "result",
    "loss",
    "jitter_ms",
    "mos",
    "remote_loss",
    "remote_jitter_ms",
    "rtt_ms",
    "agent",
    "abandoned",
    "sip_failure",
)


async def list_attempts(exchange: Exchange) -> Answer:
    """GET /v1/attempts"""
    page = await exchange.store.list_attempts(
        exchange.account.id, _read_filter(exchange), *exchange.parameters.read_page()
    )
    return answer_page(page, show_attempt)


async def get_attempts_csv(exchange: Exchange) -> Answer:
    """GET /v1/attempts.csv"""
    which = _read_filter(exchange)
    pages = stream_pages(
        lambda limit, cursor: exchange.store.list_attempts(
            exchange.account.id, which, limit, cursor
        ),
        _make_row,
    )
    return stream_rows("attempts.csv", COLUMNS, pages)


async def get_attempt(exchange: Exchange) -> Answer:
    """GET /v1/attempts/{attempt}"""
    attempt = await exchange.store.get_attempt(exchange.account.id, exchange.path["attempt"])
    if attempt is None:
        raise not_found("attempt", exchange.path["attempt"])
    legs = await exchange.store.legs_of(exchange.account.id, attempt.id)
    view = msgspec.structs.replace(
        show_attempt(attempt), legs=tuple(show_leg(leg) for leg in legs), steps=attempt.steps
    )
    return answer(view)


def _read_filter(exchange: Exchange) -> AttemptFilter:
    parameters = exchange.parameters
    return AttemptFilter(
        flow=parameters.read_text("flow"),
        list=parameters.read_text("list"),
        contact=parameters.read_text("contact"),
        number=parameters.read_number("number"),
        from_at=parameters.read_time("from"),
        to_at=parameters.read_time("to"),
        is_open=parameters.read_flag("open"),
    )


def _make_row(attempt: Attempt) -> Row:
    view, sip, media = show_attempt(attempt), attempt.sip, attempt.media
    return [
        view.id,
        view.flow,
        view.list,
        view.contact,
        view.number,
        view.did,
        view.trunk,
        view.status,
        view.disposition,
        view.initiated_at,
        view.ringing_at,
        view.answered_at,
        view.ended_at,
        view.duration_s and round(view.duration_s, 3),
        sip.code if sip else None,
        guard_cell(sip.reason) if sip else None,
        guard_cell(sip.call_id) if sip else None,
        view.q850,
        view.amd,
        guard_cell(view.digits),
        msgspec.json.encode(view.result).decode(),
        media.loss if media else None,
        media.jitter_ms if media else None,
        media.mos if media else None,
        media.remote_loss if media else None,
        media.remote_jitter_ms if media else None,
        media.rtt_ms if media else None,
        guard_cell(view.agent) if view.agent else None,
        None if view.abandoned is None else str(view.abandoned).lower(),
        sip.failure if sip else None,
    ]
