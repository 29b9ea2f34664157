"""Why a contact is not dialled now: the one function that lets a call go, and that explains why not.

`find_blocker` is asked by the DID actor before each call, and by whoever wants to know why nothing
happens. As it is the same function, the two cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, Protocol

from msgspec import Struct

from engine.dial.limits.callees import Callees
from engine.dial.limits.day_caps import DayCaps
from engine.dial.limits.party import ROUNDING_S, Block, Limits
from engine.dial.trunks.route import Route
from engine.model import Blocker, BlockerCode, Contact
from engine.model.number_series import SeriesRule
from engine.schedule.calling_hours import CallingBook
from engine.schedule.day_budget import DayBudget
from engine.schedule.zones import zones_of

LOOK_AGAIN_S: Final = 86_400.0
"""How soon a contact is looked at again whose calling window does not open within the horizon."""

DETAILS: Final[dict[BlockerCode, str]] = {
    "starttime": "Its start time has not come.",
    "calling_window": "The calling window is closed.",
    "did_cps": "The caller number is at its calls per second.",
    "did_channels": "The caller number is at its calls at once.",
    "did_cap": "The caller number is at its cap of calls in a period.",
    "trunk_cps": "The trunk is at its calls per second.",
    "trunk_cap": "The trunk is at its cap of calls in a period.",
    "trunk_channels": "The trunk is at its calls at once.",
    "trunk_down": "The trunk does not answer; it is tried again after a while.",
    "no_trunk": "No trunk carries the flow's caller numbers; the configuration has to name one.",
    "flow_paused": "The flow is paused, or its listener is not active.",
    "list_paused": "The list is paused.",
    "flow_limit": "The flow is at a limit of its own.",
    "account_limit": "The account is at a limit of its own.",
    "engine_limit": "The installation is at its limit.",
    "callee_cap": "The number was called as often as it may be for now.",
    "retry_wait": "It was tried, and waits to be tried again.",
    "agents_busy": "No agent is free.",
    "account_stopped": "An administrator has stopped all calls of the account.",
    "account_paused": "The account is paused.",
    "list_canceled": "The list was canceled; the contact is about to be completed.",
}

DAY_SPENT: Final = "It was called as often as the flow allows on one of its days."

LIST_CANCELED: Final = Block("list_canceled", math.inf)
"""What holds the contacts of a canceled list until each of them has its disposition."""


class Case(Struct, frozen=True):
    """Everything that decides whether one contact may go by one DID."""

    account_stopped: bool
    account_paused: bool
    list_paused: bool
    flow_active: bool
    hours: CallingBook
    """When the flow and its account let callees be called."""
    route: Route | None
    """None where what the DID names as its trunk is not configured."""
    flow: Limits
    account: Limits
    engine: Limits
    did: Limits
    caller: str = ""
    """The DID's number; empty where the flow has none."""
    series: SeriesRule = SeriesRule()
    """Which numbers the flow may call from."""
    rest: Block | None = None
    """That the DID rests, if it does."""
    agents: Block | None = None
    """Why the contact waits for agents, if it does."""
    day_budget: DayBudget | None = None
    """How many calls of one contact the flow allows in a day, if it says."""
    day_caps: DayCaps | None = None
    """How many calls the account may make in a day."""
    callees: Callees | None = None
    """How often one callee may be called."""

    @property
    def shared(self) -> tuple[Limits, ...]:
        """What the DID shares with others, but for its trunks."""
        return self.flow, self.account, self.engine


def find_blocker(contact: Contact, case: Case, now: float, wall_now: float) -> Block | None:
    """What keeps this contact from being dialled now; None lets it go.

    Args:
        now: `trio.current_time()`, which all limits are kept in.
        wall_now: seconds since the epoch, which the contact's own times are in.
    """
    own = find_own_blocker(contact, case, now, wall_now)
    return own or find_way_blocker(contact.number, case, now)


def find_way_blocker(number: str, case: Case, now: float) -> Block | None:
    """The part of `find_blocker` that hangs on the DID: whether it may call this number at all, and the
    limits before it."""
    return Ways(case.shared, now).find_blocker(number, case)


def find_unfit(number: str, way: Way) -> Block | None:
    """What forbids that this number is called from this DID, whoever has room for it."""
    if way.rest is not None:
        return way.rest
    if way.caller and not way.series.allows(way.caller, number):
        return Block("no_trunk", math.inf, detail=way.series.explain())
    return None


def find_own_blocker(contact: Contact, case: Case, now: float, wall_now: float) -> Block | None:
    """The part of `find_blocker` that hangs on the contact, and not on the DID that it may go by."""
    held = find_hold(case)
    if held is not None:
        return held
    waits = find_wait(contact, case.day_budget, now, wall_now)
    capped = find_capped(contact.number, case.day_caps, now)
    if waits is not None and waits.code == "account_limit" and capped is not None:
        return Block(waits.code, waits.until, detail=capped.detail)
    closed = waits
    if waits is None or waits.code == "calling_window":
        # Who was set aside until a window opens is told of the window, and not of that moment: where there
        # is no hour that suits all, it is only when somebody looks again.
        closed = find_closed(contact.number, case.hours, now, wall_now) or waits
    called = None if case.callees is None else case.callees.blocked_by(contact.number, now)
    return closed or capped or called or case.agents


def find_leg_bar(number: str, case: Case, now: float, wall_now: float) -> Block | None:
    """What keeps a second leg to this number from leaving now by any DID of its flow, but for the limits
    that calls share."""
    return find_bar(number, case, now, wall_now) or find_capped(number, case.day_caps, now)


def find_ban(number: str, case: Case, now: float, wall_now: float) -> Block | None:
    """What forbids a call to this number, whoever has room for it. Asked once more of each call directly
    before its INVITE leaves, and of second legs as of first ones."""
    return find_bar(number, case, now, wall_now) or find_unfit(number, case)


def find_bar(number: str, case: Case, now: float, wall_now: float) -> Block | None:
    """The part of `find_ban` that is the same for all DIDs of a flow."""
    barred = None if case.day_caps is None else case.day_caps.barred(number)
    return find_hold(case) or barred or find_closed(number, case.hours, now, wall_now)


def find_hold(case: Case) -> Block | None:
    """What somebody has stopped."""
    if case.account_stopped:
        return Block("account_stopped", math.inf)
    if case.account_paused:
        return Block("account_paused", math.inf)
    if case.list_paused:
        return Block("list_paused", math.inf)
    if not case.flow_active:
        return Block("flow_paused", math.inf)
    return None


def find_wait(
    contact: Contact, budget: DayBudget | None, now: float, wall_now: float
) -> Block | None:
    """That a contact's own time has not come, or not again on this day."""
    next_day = None if budget is None else budget.spent_until(contact, wall_now)
    if next_day is not None and next_day >= contact.due_at:
        return Block("retry_wait", now + next_day - wall_now, detail=DAY_SPENT)
    if contact.due_at > wall_now + ROUNDING_S:
        return Block(contact.wait_code, now + contact.due_at - wall_now)
    return None


def find_capped(number: str, caps: DayCaps | None, now: float) -> Block | None:
    """The account's own cap of calls in a day that is reached."""
    return None if caps is None else caps.blocked_by(number, now)


def find_closed(number: str, hours: CallingBook, now: float, wall_now: float) -> Block | None:
    """The calling window of whoever has this number, where it is closed."""
    if hours.is_always_open:
        return None
    zones = zones_of(number)
    until = hours.closed_until(zones, wall_now)
    if until is None:
        return None
    return Block("calling_window", now + until - wall_now, detail=_say_closed(zones, until))


def opening_of(closed: Block, now: float, wall_now: float) -> float:
    """Until when a contact is set aside whose calling window is closed; seconds since the epoch."""
    wait_s = closed.until - now
    return wall_now + (wait_s if math.isfinite(wait_s) else LOOK_AGAIN_S)


def _say_closed(zones: tuple[str, ...], until: float) -> str:
    where = f" in {zones[0]}" if len(zones) == 1 else ""
    if len(zones) > 1:
        where = f" in some of the {len(zones)} time zones that the number may be in"
    never = " There is no hour that suits all." if math.isinf(until) else ""
    return f"The calling window is closed{where}.{never}"


def find_line_blocker(
    route: Route | None, shared: Iterable[Limits], did: Limits, now: float
) -> Block | None:
    """What keeps these parties from any call now; of several limits the one that ends last, and of those
    that end together the one that the most share."""
    return Ways(shared, now).find_line_blocker(route, did)


class Way(Protocol):
    """A DID that a call may go by, as far as it decides whether the call may."""

    @property
    def route(self) -> Route | None: ...
    @property
    def did(self) -> Limits: ...
    @property
    def caller(self) -> str: ...
    @property
    def series(self) -> SeriesRule: ...
    @property
    def rest(self) -> Block | None: ...


class DidWay(Struct, frozen=True, gc=False):
    """A DID as `engine.dial.blockers.Way`."""

    route: Route | None
    did: Limits
    caller: str
    series: SeriesRule
    rest: Block | None


class Ways:
    """What keeps calls from leaving at one moment by any of several DIDs. What the DIDs share is asked once,
    so that it costs little to ask about many of them."""

    def __init__(self, shared: Iterable[Limits], now: float) -> None:
        """`shared` are the limits that all of them share, but for their trunks."""
        self._now = now
        blocks = (limits.blocked_by(now) for limits in shared)
        self._shared = [block for block in blocks if block is not None]
        self._of_routes: dict[Route, Block | None] = {}
        """What keeps calls from leaving by a route, whatever DID it is of."""

    def find_blocker(self, number: str, way: Way) -> Block | None:
        """As `find_way_blocker`."""
        return find_unfit(number, way) or self.find_line_blocker(way.route, way.did)

    def find_line_blocker(self, route: Route | None, did: Limits) -> Block | None:
        """As the function of this name."""
        if route is None:
            return Block("no_trunk", math.inf)
        if route not in self._of_routes:
            self._of_routes[route] = self._find_route_blocker(route)
        before = self._of_routes[route]
        if before is not None and (before.line is None or math.isinf(before.until)):
            return before
        of_did = did.blocked_by(self._now)
        is_sooner = of_did is None or (before is not None and of_did.until <= before.until)
        return before if is_sooner else of_did

    def _find_route_blocker(self, route: Route) -> Block | None:
        of_route = route.blocked_by(self._now)
        if of_route is not None and of_route.line is None:
            return of_route
        standing = self._shared if of_route is None else [*self._shared, of_route]
        return max(standing, key=lambda block: block.until, default=None)


def describe(block: Block, now: float, wall_now: float) -> Blocker:
    """The blocker as a person is told it."""
    until = None if math.isinf(block.until) else wall_now + max(0.0, block.until - now)
    return Blocker(block.code, block.detail or DETAILS[block.code], until)
