"""Where a flow's lists are picked up: how the places stand, and what came from them."""

from __future__ import annotations

from msgspec import Struct

from api.http.exchange import Answer, Exchange, answer, answer_page
from api.http.problem import Problem
from api.http.resources.flows import find_flow
from api.http.views.encoding import show_time
from engine.drop.keeper import setting_of
from engine.mail.fetcher import MailboxStatus
from engine.model import Flow
from engine.model.drop_settings import Door, place_of
from engine.model.events import rfc3339
from engine.model.pickup import Origin, Pickup


class DoorView(Struct, frozen=True):
    """How a place stands from which lists are picked up."""

    place: str | None
    """Where it is; None where the flow has no such setting. Of the mailbox, the flow's address."""
    code: str | None
    """`ok`, or what is wrong; None before the first visit."""
    detail: str
    """One sentence for a person; empty where nothing is wrong."""
    since: str | None
    """Since when it is so."""
    looked_at: str | None
    """When the last visit since the start ended."""
    next_at: str | None
    """When the next is due; None during one."""
    failures: int
    """Visits in a row that went wrong."""
    growing: int
    """Files that may not be complete yet."""
    waiting: int
    """Complete files that wait: for the next visit, or for the listener to be on."""
    passed_over: int
    """Files whose names cannot be used; mails over which somebody broke."""


class PickupView(Struct, frozen=True):
    """A file that was picked up."""

    id: str
    door: Origin
    place: str
    file: str
    size: int
    at: str
    list: str | None
    """The list that it made; None where it was refused."""
    code: str
    """`ok`, or why it was refused as a whole."""
    report: str
    """What becomes of it, in plain words."""
    removed_at: str | None
    """None while the file may still be in `incoming`, and for files of mails."""
    reported_at: str | None
    """None while the report could not be put beside it."""


async def get_sftp(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/sftp"""
    return answer(await _show(exchange, await find_flow(exchange), "sftp"))


async def get_folder(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/folder"""
    return answer(await _show(exchange, await find_flow(exchange), "folder"))


async def get_mailbox(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/mailbox"""
    flow = await find_flow(exchange)
    mailbox, settings = exchange.front.settings.mailbox, exchange.front.settings
    status = None if mailbox is None else mailbox.status
    return answer(
        DoorView(
            place=None if mailbox is None else settings.find_address(flow.id),
            code=None if status is None else status.code,
            detail="" if status is None else _tell_detail(exchange, status),
            since=None if status is None else show_time(status.since),
            looked_at=None if status is None else show_time(status.looked_at),
            next_at=None if status is None else show_time(status.next_at),
            failures=0 if status is None else status.failures,
            growing=0,
            waiting=0,
            passed_over=0 if status is None else status.passed_over,
        )
    )


def _tell_detail(exchange: Exchange, status: MailboxStatus) -> str:
    """What is wrong with the mailbox; with the server's own words for the operator alone."""
    caller = exchange.caller
    assert caller is not None  # the route takes a key
    is_operator = caller.role == "administrator"
    return f"{status.detail} {status.said}".rstrip() if is_operator else status.detail


async def visit_sftp(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/sftp/visit"""
    return await _visit(exchange, "sftp")


async def visit_folder(exchange: Exchange) -> Answer:
    """POST /v1/flows/{flow}/folder/visit"""
    return await _visit(exchange, "folder")


async def list_pickups(exchange: Exchange) -> Answer:
    """GET /v1/flows/{flow}/pickups"""
    flow = await find_flow(exchange)
    page = await exchange.store.list_pickups(
        flow.account, flow.id, *exchange.parameters.read_page()
    )
    return answer_page(page, show_pickup)


def show_pickup(pickup: Pickup) -> PickupView:
    """A pick-up as the API shows it."""
    return PickupView(
        id=pickup.id,
        door=pickup.door,
        place=pickup.place,
        file=pickup.file.name,
        size=pickup.file.size,
        at=rfc3339(pickup.at),
        list=pickup.list,
        code=pickup.code,
        report=pickup.report,
        removed_at=show_time(pickup.removed_at),
        reported_at=show_time(pickup.reported_at),
    )


async def _visit(exchange: Exchange, door: Door) -> Answer:
    flow = await find_flow(exchange)
    if setting_of(flow, door) is None:
        raise Problem("no_door", f"The flow has no setting `{door}`.")
    if exchange.front.doors is not None:
        exchange.front.doors.wake(flow.account, flow.id)
    return answer(await _show(exchange, flow, door), 202)


async def _show(exchange: Exchange, flow: Flow, door: Door) -> DoorView:
    setting, doors = setting_of(flow, door), exchange.front.doors
    state = (
        None if setting is None else await exchange.store.drop_state(flow.account, flow.id, door)
    )
    status = None if doors is None else doors.status(flow.account, flow.id, door)
    return DoorView(
        place=None if setting is None else place_of(setting),
        code=None if state is None else state.code,
        detail="" if state is None else state.detail,
        since=None if state is None else rfc3339(state.since),
        looked_at=None if status is None else show_time(status.looked_at),
        next_at=None if status is None else show_time(status.next_at),
        failures=0 if status is None else status.failures,
        growing=0 if status is None else status.growing,
        waiting=0 if status is None else status.waiting,
        passed_over=0 if status is None else status.passed_over,
    )
