"""Whether the reason that is given for a contact's waiting holds, as far as it can be seen from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import trio

from engine.model import Attempt, Blocker, BlockerCode, Cap, Contact, windows_of
from engine.model.agent import Leg
from sim.world.hours import country_of, may_call
from sim.world.view import BUSY_S, INTENT_S, SLACK_S, View

GIVEN_UP_S: Final = 32.0
"""How long a call without any answer is waited for."""
SILENCE_S: Final = GIVEN_UP_S + 60.0 + GIVEN_UP_S + SLACK_S
"""How long after a call without an answer its trunk may be down: until that is known, its longest rest, and
the trial that follows."""
SLOWED_S: Final = 600.0
"""How long after a refusal for want of capacity a trunk may be given less than it is configured for."""
NOTICED_S: Final = 30.0 + SLACK_S
"""How long after the clock was set reasons may still be those of the time before: nobody tells of it, and
the engine looks so often (`engine.schedule.scheduler.CLOCK_CHECK_S`)."""
UNHEARD: Final = 50
AGENT_S: Final = 10.0
"""How long an agent may be free before a customer is sought."""
TROUBLE_S: Final = 10.0


def holds(blocker: Blocker, contact: Contact, view: View) -> bool:
    """Whether it does."""
    if trio.current_time() - view.set_at < NOTICED_S:
        return True
    return CHECKS[blocker.code](contact, view)


def _window_s(cps: float) -> float:
    return max(1.0, 1 / cps)


def _starttime(contact: Contact, view: View) -> bool:
    return contact.starttime > view.wall


def _retry_wait(contact: Contact, view: View) -> bool:
    was_tried = contact.id in view.world.store.tables.attempts_of_contact
    return was_tried and contact.due_at > view.wall


def _calling_window(contact: Contact, view: View) -> bool:
    flow = view.flow_of(contact)
    account = view.world.store.tables.accounts[contact.account]
    parties = [
        (windows_of(account.rules.calling_window), account.timezone),
        (windows_of(flow.settings.calling_window), flow.timezone),
    ]
    return not all(may_call(number, parties, view.wall) for number in _called_for(contact))


def _did_cps(contact: Contact, view: View) -> bool:
    """A call has begun so lately, or waits for a disk that does not write its intent down."""
    if view.world.disk.was_in_trouble(trio.current_time() - TROUBLE_S):
        return True
    return any(view.began([did.number], _window_s(did.cps)) > 0 for did in view.dids_of(contact))


def _did_cap(contact: Contact, view: View) -> bool:
    """A DID is at its cap, or rests; one that went bad rests before the disk has it."""
    if any(_is_capped([did.number], did.caps, view) for did in view.dids_of(contact)):
        return True
    kept = view.world.store.tables.dids
    return any(kept[did.number].rest is not None for did in view.dids_of(contact)) or (
        view.world.disk.was_in_trouble(trio.current_time() - TROUBLE_S)
    )


def _is_capped(dids: Sequence[str], caps: Sequence[Cap], view: View) -> bool:
    return any(view.began(dids, cap.per_s) >= cap.calls for cap in caps)


def _is_at_limit(
    dids: Sequence[str],
    up: int,
    limits: tuple[float | None, int | None, Sequence[Cap]],
    view: View,
) -> bool:
    """Whether a party with these calls a second, channels and caps is at one of them."""
    cps, channels, caps = limits
    if channels is not None and up >= channels:
        return True
    if cps is not None and view.began(dids, _window_s(cps)) > 0:
        return True
    return _is_capped(dids, caps, view)


def _did_channels(contact: Contact, view: View) -> bool:
    return any(
        view.up(lambda number, _trunk, _flow, did=did: number == did.number) >= did.channels  # type: ignore[misc]
        for did in view.dids_of(contact)
    )


def _trunks(contact: Contact, view: View) -> list[str]:
    return [did.trunk for did in view.dids_of(contact)]


def _is_slowed(contact: Contact, view: View) -> bool:
    since = trio.current_time() - SLOWED_S
    return any(view.refused[trunk] > since for trunk in _trunks(contact, view))


def _trunk_cps(contact: Contact, view: View) -> bool:
    for trunk in view.world.plan.trunks:
        if trunk.name in _trunks(contact, view):
            dids = [one.number for one in view.world.plan.dids if one.trunk == trunk.name]
            if view.began(dids, _window_s(trunk.cps)) > 0:
                return True
    return _is_slowed(contact, view)


def _trunk_channels(contact: Contact, view: View) -> bool:
    for trunk in view.world.plan.trunks:
        if trunk.name in _trunks(contact, view):
            up = view.up(lambda _did, name, _flow, trunk=trunk: name == trunk.name)  # type: ignore[misc]
            if up >= trunk.channels:
                return True
    return _is_slowed(contact, view)


def _trunk_down(contact: Contact, view: View) -> bool:
    now = trio.current_time()
    network = view.world.network
    return any(
        network.is_cut_off(trunk, now)
        or view.silent[trunk] > now - SILENCE_S
        or _is_on_trial(trunk, view)
        or view.up(lambda _did, name, _flow, trunk=trunk: name == trunk) >= UNHEARD  # type: ignore[misc]
        for trunk in _trunks(contact, view)
    )


def _is_on_trial(trunk: str, view: View) -> bool:
    """Whether the call is up, and not answered yet, that shows whether a trunk answers again; limits may have
    kept it from leaving for long. What is heard before the silent call is given up is of calls before it."""
    is_up = view.up(lambda _did, name, _flow: name == trunk) > 0
    return is_up and view.heard[trunk] <= view.silent[trunk] + GIVEN_UP_S + SLACK_S


def _no_trunk(contact: Contact, view: View) -> bool:
    names = {trunk.name for trunk in view.world.plan.trunks}
    return not names.intersection(_trunks(contact, view))


def _trunk_cap(contact: Contact, view: View) -> bool:
    plan = view.world.plan
    return any(
        _is_capped([one.number for one in plan.dids if one.trunk == trunk.name], trunk.caps, view)
        for trunk in plan.trunks
        if trunk.name in _trunks(contact, view)
    )


def _flow_limit(contact: Contact, view: View) -> bool:
    flow = view.flow_of(contact)
    up = view.up(lambda _did, _trunk, name: name in (flow.id, ""))
    limits = flow.settings.cps, flow.settings.channels, flow.settings.caps
    return _is_at_limit(flow.dids, up, limits, view)


def _account_limit(contact: Contact, view: View) -> bool:
    rules = view.world.store.tables.accounts[contact.account].rules
    dids = [one.number for one in view.world.plan.dids if one.account == contact.account]
    up = view.up(lambda did, _trunk, _flow: did in dids)
    if _is_at_limit(dids, up, (rules.cps, rules.channels, rules.caps), view):
        return True
    return _is_at_day_cap(contact, view)


def _called_for(contact: Contact) -> list[str]:
    """The numbers that are called so that a contact is: its own, and before it that of the agent of a single
    call."""
    return [contact.number] if contact.agent is None else [contact.number, contact.agent]


def _is_at_day_cap(contact: Contact, view: View) -> bool:
    """Whether the calls that were written down are as many as the account may make in a day, in all or to
    the country of a number that is called for the contact."""
    return any(_is_capped_today(contact.account, one, view) for one in _called_for(contact))


def _is_capped_today(account: str, number: str, view: View) -> bool:
    tables = view.world.store.tables
    rules = tables.accounts[account].rules
    country = country_of(number)
    most = rules.country_caps.get(country, rules.country_calls_per_day)
    if rules.calls_per_day is None and most is None:
        return False
    made: list[Attempt | Leg] = [
        tables.attempts[one] for one in tables.attempts_of_account.get(account, ())
    ]
    made += (one for one in tables.legs.values() if one.account == account)
    if rules.calls_per_day is not None and len(made) >= rules.calls_per_day:
        return True
    return most is not None and sum(country_of(one.number) == country for one in made) >= most


def _engine_limit(_contact: Contact, view: View) -> bool:
    plan = view.world.plan
    dids = [did.number for did in plan.dids]
    up = view.up(lambda *_call: True)
    if view.is_stopping or _is_at_limit(dids, up, (plan.cps, plan.channels, plan.caps), view):
        return True
    return view.world.disk.was_in_trouble(trio.current_time() - TROUBLE_S)


def _flow_paused(contact: Contact, view: View) -> bool:
    flow = view.flow_of(contact)
    return not flow.listener_active or flow.paused_at is not None


def _list_paused(contact: Contact, view: View) -> bool:
    return view.world.store.tables.lists[contact.list].state.status == "paused"


def _list_canceled(contact: Contact, view: View) -> bool:
    return view.world.store.tables.lists[contact.list].state.status == "canceled"


def _account_stopped(contact: Contact, view: View) -> bool:
    return view.world.store.tables.accounts[contact.account].stopped_at is not None


def _account_paused(contact: Contact, view: View) -> bool:
    return view.world.store.tables.accounts[contact.account].paused_at is not None


def _callee_cap(contact: Contact, view: View) -> bool:
    """Of a number that is on a call for another contact of the list, or was a moment ago; or that was called
    as often as it may be, or is on a call that may not count."""
    if _is_engaged(contact.list, contact.number, view):
        return True
    accounts = view.world.store.tables.accounts
    caps = (
        *accounts[contact.account].rules.callee_caps,
        *view.flow_of(contact).settings.callee_caps,
    )
    if caps and _is_engaged(contact.account, contact.number, view):
        return True
    called, now = view.called[contact.account, contact.number], trio.current_time()
    slack_s = INTENT_S + SLACK_S
    return any(sum(at >= now - cap.per_s - slack_s for at in called) >= cap.calls for cap in caps)


def _is_engaged(by: str, number: str, view: View) -> bool:
    """Whether a number is, or was a moment ago, on a call of a list or of an account."""
    tables = view.world.store.tables
    up = (tables.attempts[attempt] for attempt in tables.open_attempts)
    if any(one.number == number and by in (one.list, one.account) for one in up):
        return True
    return view.was_over_at(by, number) >= trio.current_time() - BUSY_S - SLACK_S


def _agents_busy(contact: Contact, view: View) -> bool:
    """No agent is free, or those who are have calls in the air that count on them; or the contact is for one
    agent, who may be called for it again and again."""
    flow = view.flow_of(contact)
    if flow.kind != "dialer":
        return False
    if contact.agent is not None:
        return True
    up = view.up(lambda _did, _trunk, name: name in (flow.id, ""))
    return view.free_agents(flow.id, AGENT_S) <= up


def _never(_contact: Contact, _view: View) -> bool:
    """Of reasons that nothing in this world gives."""
    return False


CHECKS: Final[Mapping[BlockerCode, Callable[[Contact, View], bool]]] = MappingProxyType(
    {
        "starttime": _starttime,
        "calling_window": _calling_window,
        "did_cps": _did_cps,
        "did_channels": _did_channels,
        "did_cap": _did_cap,
        "trunk_cps": _trunk_cps,
        "trunk_channels": _trunk_channels,
        "trunk_cap": _trunk_cap,
        "trunk_down": _trunk_down,
        "no_trunk": _no_trunk,
        "flow_paused": _flow_paused,
        "list_paused": _list_paused,
        "flow_limit": _flow_limit,
        "account_limit": _account_limit,
        "engine_limit": _engine_limit,
        "callee_cap": _callee_cap,
        "retry_wait": _retry_wait,
        "agents_busy": _agents_busy,
        "account_stopped": _account_stopped,
        "account_paused": _account_paused,
        "list_canceled": _list_canceled,
    }
)
