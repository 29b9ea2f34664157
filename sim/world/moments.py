"""Whether the moment at which a reason for waiting is to end is the one at which it does, as far as it can be
seen from outside."""

from __future__ import annotations

from typing import Final

import trio

from engine.model import Blocker, Contact, windows_of
from sim.world.hours import may_call
from sim.world.reasons import NOTICED_S, TROUBLE_S
from sim.world.view import INTENT_S, SLACK_S, View

EXACT_S: Final = 1.0


def ends_then(blocker: Blocker, contact: Contact, view: View) -> bool:
    """Whether the reason that holds now can end at the moment that is given; where none is, it may."""
    until, wall = blocker.until, view.wall
    if until is None or trio.current_time() - view.set_at < NOTICED_S:
        return True
    if until < wall - SLACK_S:
        return False
    match blocker.code:
        case "starttime":
            return abs(until - contact.due_at) < EXACT_S
        case "retry_wait":  # or for the next day, where the day's budget is spent
            is_capped = view.flow_of(contact).settings.attempts_max_per_day is not None
            late_s = until - contact.due_at
            return late_s > -EXACT_S and (is_capped or late_s < EXACT_S)
        case "calling_window" if contact.agent is None:
            return _opens(contact, view, until)
        case "did_cps" | "trunk_cps":
            return until < wall + _longest_pace_s(contact, view) + INTENT_S + SLACK_S or (
                view.world.disk.was_in_trouble(trio.current_time() - TROUBLE_S)
            )
    return True


def _opens(contact: Contact, view: View, until: float) -> bool:
    """Whether a window opens at a moment, and not before."""
    flow = view.flow_of(contact)
    account = view.world.store.tables.accounts[contact.account]
    parties = [
        (windows_of(account.rules.calling_window), account.timezone),
        (windows_of(flow.settings.calling_window), flow.timezone),
    ]
    is_open_then = may_call(contact.number, parties, until + EXACT_S)
    return is_open_then and not may_call(contact.number, parties, until - EXACT_S)


def _longest_pace_s(contact: Contact, view: View) -> float:
    """The longest window of a pace that the contact's calls may meet."""
    plan = view.world.plan
    paces = [
        plan.cps,
        *(one.cps for one in plan.trunks),
        *(one.cps for one in view.dids_of(contact)),
    ]
    return max(1.0, *(1 / cps for cps in paces))
