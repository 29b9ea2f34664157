"""A day of an installation as it may be: many people, many DIDs, and nothing out of the ordinary."""

from __future__ import annotations

import math
from random import Random
from typing import Any, Final

import msgspec

from engine.dial.trunks.trunk import TrunkSettings
from engine.model import Account, AccountRules, Cap, Did, Flow, FlowSettings, RetryRule
from sim.profile import BUILT_IN
from sim.world.plan.base import DEFINITION
from sim.world.plan.parts import YEAR_AT, Action, Plan

CONTACTS_MIN: Final = 2_000
"""From how many contacts on a run is such a day."""
CONTACTS_OF_DID: Final = 2_000
"""As many DIDs as it takes; a million contacts are called from 500."""
DIDS_MIN: Final = 5
ACCOUNTS_MAX: Final = 10
LIST_MAX: Final = 10_000
"""Contacts of one list."""
PREFIXES: Final = ("+1415", "+1212", "+4420", "+4930", "+9198", "+8131", "+6129")
"""Beginnings of numbers; as many digits follow as make each whole."""
DIGITS: Final = {"+1415": 7, "+1212": 7, "+4420": 8, "+4930": 8, "+9198": 8, "+8131": 7, "+6129": 7}
HOURS: Final = 24.0
IN_USE: Final = 0.6
"""Share of what the DIDs could call in the time that the contacts take, each called about once and a half."""
STEP_S: Final = 0.02
"""In which steps time goes on: more than one thing happens in most of them."""

FORGETS_AFTER_S: Final = 600.0
"""Longer than any call, so that whatever may still come of a contact comes before."""


def draw_day(seed: int, contacts: int, hours: float = HOURS) -> Plan:
    """The day of a seed."""
    chance = Random(f"{seed}/day")
    horizon_s = 3600 * hours
    epoch = YEAR_AT + 86_400.0 * chance.randrange(365)
    count = max(DIDS_MIN, math.ceil(contacts / CONTACTS_OF_DID))
    accounts = [_account(n, epoch) for n in range(min(ACCOUNTS_MAX, count // 2))]
    cps = 1.5 * contacts / count / (horizon_s * IN_USE)
    dids = [_did(n, accounts, cps) for n in range(count)]
    flows = [_flow(n, account, dids, epoch, chance) for n, account in enumerate(accounts)]
    return Plan(
        seed=seed,
        epoch=epoch,
        horizon_s=horizon_s,
        channels=20 * count,
        cps=max(10.0, 4 * cps * count),
        caps=(),
        trunks=tuple(TrunkSettings(name, 10 * count, max(5.0, 2 * cps * count)) for name in "ab"),
        dids=tuple(dids),
        accounts=tuple(accounts),
        flows=tuple(flows),
        agents=(),
        actions=tuple(_triggers(flows, contacts, horizon_s, chance)),
        outages=(),
        disk=(),
        profile=BUILT_IN["default"],
        loss=0.001,
        dies_at_step=(),
        look_s=3600.0,
        step_s=STEP_S,
        forgets_after_s=FORGETS_AFTER_S,
    )


def _account(place: int, epoch: float) -> Account:
    zone = "Europe/London"
    return Account(f"acc_{place}", f"account {place}", zone, "who@example.com", epoch, _RULES)


def _did(place: int, accounts: list[Account], cps: float) -> Did:
    account = accounts[place % len(accounts)].id
    trunk = "ab"[place // len(accounts) % 2]
    hourly = Cap(max(1, math.ceil(3600 * cps)), 3600)
    return Did(f"+1415555{place:04}", account, trunk, cps=cps, channels=20, caps=(hourly,))


def _flow(place: int, account: Account, dids: list[Did], epoch: float, chance: Random) -> Flow:
    settings = FlowSettings(
        attempts_max=2,
        retry={"busy": RetryRule(1, 900), "no-answer": RetryRule(1, 3600)},
        priority=chance.choice(("high", "normal", "low")),
    )
    return Flow(
        id=f"flw_{place}",
        account=account.id,
        name=f"flow {place}",
        kind="multicast",
        timezone=account.timezone,
        definition=DEFINITION,
        settings=settings,
        version=1,
        listener_active=True,
        dids=tuple(one.number for one in dids if one.account == account.id),
        calls_list=f"lst_calls_{place}",
        created_at=epoch,
    )


def _triggers(flows: list[Flow], contacts: int, horizon_s: float, chance: Random) -> list[Action]:
    """Lists of all flows in turn, over the first part of the day."""
    size = min(LIST_MAX, math.ceil(contacts / len(flows)))
    actions = []
    for place, first in enumerate(range(0, contacts, size)):
        some = range(first, min(first + size, contacts))
        people: list[dict[str, Any]] = [{"tel": [_number(one)]} for one in some]
        at = 0.4 * horizon_s * first / contacts + chance.uniform(0, 60)
        flow = flows[place % len(flows)].id
        actions.append(Action(at, "list", flow, body=msgspec.json.encode({"contacts": people})))
    return sorted(actions, key=lambda one: one.at)


def _number(place: int) -> str:
    prefix = PREFIXES[place % len(PREFIXES)]
    digits = DIGITS[prefix]
    return f"{prefix}{2 * 10 ** (digits - 1) + place // len(PREFIXES):0{digits}}"


_RULES: Final = AccountRules()
