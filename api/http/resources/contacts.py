"""Contacts: the people on the lists."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from api.http.exchange import Answer, Exchange, answer
from api.http.problem import not_found
from api.http.views.calls import ContactView, show_attempt, show_contact
from engine.model import Contact
from engine.ports.read_store import AttemptFilter
from engine.ports.stored import PAGE_MAX


async def get_contact(exchange: Exchange) -> Answer:
    """GET /v1/contacts/{contact}"""
    contact = await exchange.store.get_contact(exchange.account.id, exchange.path["contact"])
    return await _answer(exchange, contact)


async def change(exchange: Exchange) -> Answer:
    """PATCH /v1/contacts/{contact}"""
    contact = await exchange.engine.rescheduling.change_contact(
        exchange.account.id, exchange.path["contact"], exchange.read_json()
    )
    return await _answer(exchange, contact)


async def cancel(exchange: Exchange) -> Answer:
    """POST /v1/contacts/{contact}/cancel"""
    contact = await exchange.engine.cancel_contact(exchange.account.id, exchange.path["contact"])
    return await _answer(exchange, contact)


async def show_contacts(exchange: Exchange, contacts: Sequence[Contact]) -> list[ContactView]:
    """Contacts with what holds each back, without their attempts."""
    blockers = await exchange.engine.explain(contacts)
    now = exchange.now
    return [
        show_contact(contact, blocker, now)
        for contact, blocker in zip(contacts, blockers, strict=True)
    ]


async def _answer(exchange: Exchange, contact: Contact | None) -> Answer:
    if contact is None:
        raise not_found("contact", exchange.path["contact"])
    [view] = await show_contacts(exchange, [contact])
    which = AttemptFilter(contact=contact.id)
    page = await exchange.store.list_attempts(exchange.account.id, which, PAGE_MAX, None)
    attempts = tuple(show_attempt(attempt) for attempt in page.items)
    return answer(msgspec.structs.replace(view, attempts=attempts))
