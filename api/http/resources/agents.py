"""The agents of a flow."""

from __future__ import annotations

from msgspec import Struct

from api.http.agent_views import FloorView, show_agent, show_floor
from api.http.exchange import NOTHING, Answer, Exchange, answer, answer_page
from api.http.problem import not_found
from api.http.resources.contacts import show_contacts
from api.http.resources.flows import find_flow
from engine.form import read_form
from engine.model.agent import Agent


class ContactForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Which contact an agent means: the one that was shown last."""

    contact: str


class TalkForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Which of an agent's talks is to end."""

    contact: str | None = None
    """The contact with whom it is. None ends the talk that there is, which may be the next one by the time a
    request comes that is sent again."""


async def create_agent(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/agents"""
    flow, raw = await find_flow(exchange), exchange.read_json()
    return await exchange.make(
        201,
        show_agent,
        lambda remember: exchange.engine.staffing.create_agent(flow, raw, remember),
    )


async def list_agents(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/agents"""
    flow = await find_flow(exchange)
    page = await exchange.store.list_agents(flow.account, flow.id, *exchange.parameters.read_page())
    show = exchange.engine.staffing.at_work.show
    return answer_page(page, lambda agent: show_agent(show(agent)))


async def get_agent(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/agents/{agent}"""
    agent = await _find_agent(exchange)
    return answer(show_agent(exchange.engine.staffing.at_work.show(agent)))


async def change_agent(exchange: Exchange) -> Answer:
    """PATCH /v1/flows/{flow}/agents/{agent}"""
    flow = await find_flow(exchange)
    changed = await exchange.engine.staffing.change_agent(
        flow, exchange.path["agent"], exchange.read_json()
    )
    if changed is None:
        raise not_found("agent", exchange.path["agent"])
    return answer(show_agent(changed))


async def delete_agent(exchange: Exchange) -> Answer:
    """DELETE /v1/flows/{flow}/agents/{agent}"""
    flow = await find_flow(exchange)
    if not await exchange.engine.staffing.delete_agent(flow, exchange.path["agent"]):
        raise not_found("agent", exchange.path["agent"])
    return NOTHING


async def show_next(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/agents/{agent}/next"""
    agent = await _find_agent(exchange)
    contact = await exchange.engine.staffing.at_work.show_next(agent)
    if contact is None:
        return answer({"contact": None})
    [view] = await show_contacts(exchange, [contact])
    return answer({"contact": view})


async def accept(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/agents/{agent}/dial"""
    agent = await _find_agent(exchange)
    form = read_form(exchange.read_json(), ContactForm)
    exchange.engine.staffing.at_work.accept(agent, form.contact)
    return answer({"contact": form.contact}, 202)


async def skip(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/agents/{agent}/skip"""
    agent = await _find_agent(exchange)
    form = read_form(exchange.read_json(), ContactForm)
    exchange.engine.staffing.at_work.skip(agent, form.contact)
    return NOTHING


async def hang_up(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/agents/{agent}/hangup"""
    agent = await _find_agent(exchange)
    form = read_form(exchange.read_json() if exchange.body else {}, TalkForm)
    exchange.engine.staffing.at_work.part(agent, form.contact)
    return NOTHING


async def get_floor(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/floor"""
    flow = await find_flow(exchange)
    view: FloorView = show_floor(flow, exchange.engine.staffing.at_work.look_at_floor(flow.id))
    return answer(view)


async def _find_agent(exchange: Exchange) -> Agent:
    flow = await find_flow(exchange)
    agent = await exchange.store.get_agent(flow.account, flow.id, exchange.path["agent"])
    if agent is None:
        raise not_found("agent", exchange.path["agent"])
    return agent
