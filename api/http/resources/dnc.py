"""The do-not-call list."""

from __future__ import annotations

from msgspec import Struct

from api.http.exchange import NOTHING, Answer, Exchange, answer, answer_page
from api.http.problem import Problem, not_found
from api.http.views import DoNotCallView
from engine.form import read_form


class DoNotCallForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers that are not to be called any more."""

    numbers: tuple[str, ...]
    flow: str | None = None
    """Only by this flow; None by none of the account."""


async def add(exchange: Exchange) -> Answer:
    """POST /v1/dnc"""
    form = read_form(exchange.read_json(), DoNotCallForm)
    numbers = exchange.engine.administration.read_numbers(form.numbers)
    account = exchange.account.id
    if form.flow is not None and await exchange.store.get_flow(account, form.flow) is None:
        raise Problem("unknown_flow", f"There is no flow {form.flow!r}.")
    added = await exchange.store.add_do_not_call(account, numbers, form.flow, exchange.now)
    return answer({"added": added}, 201)


async def list_numbers(exchange: Exchange) -> Answer:
    """GET /v1/dnc"""
    page = await exchange.store.list_do_not_call(
        exchange.account.id, *exchange.parameters.read_page()
    )
    return answer_page(page, lambda entry: DoNotCallView(*entry))


async def remove(exchange: Exchange) -> Answer:
    """DELETE /v1/dnc/{number}"""
    [number] = exchange.engine.administration.read_numbers([exchange.path["number"]])
    if not await exchange.store.remove_do_not_call(exchange.account.id, number):
        raise not_found("number", number)
    return NOTHING
