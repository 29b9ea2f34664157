"""The do-not-call list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import trio
from msgspec import Meta, Struct

from api.http.csv_stream import stream_pages, stream_rows
from api.http.exchange import NOTHING, Answer, Exchange, answer_page
from api.http.problem import Problem, not_found
from api.http.views.do_not_call import show_do_not_call, show_do_not_call_change
from engine.control.administration import NUMBERS_MAX
from engine.form import read_form
from engine.intake.answer import guard_cell
from engine.intake.do_not_call_file import (
    read_do_not_call_file,
    read_do_not_call_numbers,
    read_expiry,
)
from engine.model import REPORT_ERRORS_MAX, RowError
from engine.model.do_not_call import NOTE_LENGTH_MAX, DoNotCall
from engine.model.events import rfc3339
from engine.ports.stored import IdempotentAnswer

CHUNK: Final = 500
"""Rows of a file that are written down in one transaction."""
COLUMNS: Final = ("number", "flow", "added_at", "expires_at", "note", "source", "added_by")


class DoNotCallForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers that are not to be called any more."""

    numbers: tuple[str, ...]
    """Also the beginning of numbers and a `*`: `+1900*`."""
    flow: str | None = None
    """Only by this flow; None by none of the account."""
    expires_at: str | None = None
    """RFC 3339: from when on they may be called again; None is never."""
    note: Annotated[str, Meta(max_length=NOTE_LENGTH_MAX, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""


class ImportView(Struct, frozen=True):
    """What became of a file of numbers."""

    rows: int
    added: int
    """Those that were not listed so before."""
    rejected: int
    errors: tuple[RowError, ...]
    """The first `REPORT_ERRORS_MAX`."""


async def add(exchange: Exchange) -> Answer:
    """POST /v1/dnc"""
    form = read_form(exchange.read_json(), DoNotCallForm)
    numbers = read_do_not_call_numbers(form.numbers, NUMBERS_MAX)
    expires_at = read_expiry(form.expires_at, exchange.now)
    await _check_flow(exchange, form.flow)
    entries = [
        DoNotCall(number, form.flow, exchange.now, expires_at, form.note, "api", _key(exchange))
        for number in numbers
    ]
    store, account = exchange.store, exchange.account.id

    async def put(
        answer_for: Callable[[int], IdempotentAnswer] | None,
    ) -> int | IdempotentAnswer:
        if answer_for is None:
            return await store.put_do_not_call(account, entries)
        return await store.put_do_not_call_once(account, entries, answer_for)

    return await exchange.make(201, lambda added: {"added": added}, put)


async def take_file(exchange: Exchange) -> Answer:
    """POST /v1/dnc/import: a CSV with the columns `number`, `expires_at`, `note`. Good rows are listed
    as they are read, whatever the others are."""
    flow = exchange.parameters.read_text("flow")
    await _check_flow(exchange, flow)
    return await exchange.make(
        201, lambda made: made, lambda remember: _put_file(exchange, flow, remember)
    )


async def _put_file(
    exchange: Exchange,
    flow: str | None,
    remember: Callable[[ImportView], IdempotentAnswer] | None,
) -> ImportView | IdempotentAnswer:
    """List the rows of the file, the last of them together with the answer that is kept."""
    assert exchange.file is not None  # the route takes a form with one
    store, account = exchange.store, exchange.account.id
    rows = added = rejected = 0
    errors: list[RowError] = []
    entries: list[DoNotCall] = []
    key, now = _key(exchange), exchange.now
    for found in read_do_not_call_file(exchange.file.name, exchange.file.data, flow, key, now):
        rows += 1
        if isinstance(found, DoNotCall):
            entries.append(found)
        else:
            rejected += 1
            errors.append(found)
            del errors[REPORT_ERRORS_MAX:]
        if len(entries) == CHUNK:
            added += await store.put_do_not_call(account, entries)
            entries.clear()
        elif rows % CHUNK == 0:
            await trio.lowlevel.checkpoint()

    def view(new: int) -> ImportView:
        return ImportView(rows, added + new, rejected, tuple(errors))

    if remember is None:
        return view(await store.put_do_not_call(account, entries) if entries else 0)
    put = await store.put_do_not_call_once(account, entries, lambda new: remember(view(new)))
    return put if isinstance(put, IdempotentAnswer) else view(put)


async def list_numbers(exchange: Exchange) -> Answer:
    """GET /v1/dnc"""
    number = exchange.parameters.read_number("number")
    limit, cursor = exchange.parameters.read_page()
    page = await exchange.store.list_do_not_call(exchange.account.id, limit, cursor, number)
    return answer_page(page, show_do_not_call)


async def get_csv(exchange: Exchange) -> Answer:
    """GET /v1/dnc.csv: what `take_file` takes, and more."""
    pages = stream_pages(
        lambda limit, cursor: exchange.store.list_do_not_call(exchange.account.id, limit, cursor),
        lambda entry: (
            entry.number,
            entry.flow,
            rfc3339(entry.added_at),
            entry.expires_at and rfc3339(entry.expires_at),
            guard_cell(entry.note),
            entry.source,
            entry.added_by,
        ),
    )
    return stream_rows("do-not-call.csv", COLUMNS, pages)


async def list_changes(exchange: Exchange) -> Answer:
    """GET /v1/dnc/audit"""
    page = await exchange.store.list_do_not_call_changes(
        exchange.account.id, *exchange.parameters.read_page()
    )
    return answer_page(page, show_do_not_call_change)


async def remove(exchange: Exchange) -> Answer:
    """DELETE /v1/dnc/{number}"""
    [number] = read_do_not_call_numbers([exchange.path["number"]], 1)
    struck = await exchange.store.remove_do_not_call(
        exchange.account.id, number, exchange.now, _key(exchange)
    )
    if not struck:
        raise not_found("number", number)
    return NOTHING


def _key(exchange: Exchange) -> str:
    """Who asks, for the record."""
    assert exchange.caller is not None  # the routes take a key
    return exchange.caller.key


async def _check_flow(exchange: Exchange, flow: str | None) -> None:
    if flow is not None and await exchange.store.get_flow(exchange.account.id, flow) is None:
        raise Problem("unknown_flow", f"There is no flow {flow!r}.")
