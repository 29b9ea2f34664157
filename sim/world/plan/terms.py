"""Under which terms the accounts, flows and DIDs of a plan call, beside their limits: who goes first, how
many calls a day takes, when a DID rests, and where events are sent.

Drawn apart from the rest of the plan, so that a seed means what it meant before.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from engine.model import Account, Did, Flow
from engine.model.did_health import RestWhen
from engine.model.events import EventType
from engine.model.webhook import Webhook
from sim.world.plan.parts import COUNTRIES, Action, Plan

HOOK_EVENTS: Final[tuple[tuple[EventType, ...], ...]] = (
    (),
    ("contact.completed",),
    ("attempt.initiated", "attempt.ended", "list.completed"),
)


def add_terms(plan: Plan) -> Plan:
    """The plan with the terms of its seed."""
    chance = Random(f"{plan.seed}/terms")
    return replace(
        plan,
        accounts=tuple(_account(one, chance) for one in plan.accounts),
        flows=tuple(_flow(one, chance) for one in plan.flows),
        dids=tuple(_did(one, chance) for one in plan.dids),
        actions=tuple(_action(one, chance) for one in plan.actions),
    )


def _some(chance: Random, likelihood: float) -> bool:
    return chance.random() < likelihood


def _account(account: Account, chance: Random) -> Account:
    rules = account.rules
    if _some(chance, 0.2):
        rules = replace(rules, calls_per_day=chance.randrange(2, 12))
    if _some(chance, 0.1):
        rules = replace(rules, country_calls_per_day=chance.randrange(1, 5))
    if _some(chance, 0.1):
        some = chance.sample(sorted({*COUNTRIES.values()}), 3)
        rules = replace(rules, country_caps={one: chance.randrange(3) for one in some})
    return replace(account, rules=rules)


def _flow(flow: Flow, chance: Random) -> Flow:
    settings = replace(
        flow.settings,
        priority=chance.choice(("normal", "normal", "high", "low")),
        weight=chance.choice((1, 1, 3, 10)),
        attempts_max_per_day=chance.choice((None, None, None, 1, 2)),
    )
    if _some(chance, 0.3):
        hook = Webhook(f"https://{flow.id}.example.com/", "secret", chance.choice(HOOK_EVENTS))
        settings = replace(settings, webhook=hook)
    return replace(flow, settings=settings)


def _did(did: Did, chance: Random) -> Did:
    if not _some(chance, 0.2):
        return did
    rest_when = RestWhen(
        blocked_max=0.2,
        answered_min=chance.choice((0.0, 0.3, 0.9)),
        calls_min=chance.randrange(1, 5),
        rest_s=chance.choice((60.0, 200.0)),
    )
    return replace(did, rest_when=rest_when)


def _action(action: Action, chance: Random) -> Action:
    """A trigger some of whose contacts are of another class than their flow."""
    if action.deed not in ("list", "call") or not _some(chance, 0.2):
        return action
    trigger: dict[str, Any] = msgspec.json.decode(action.body)
    for contact in trigger.get("contacts", [trigger]):
        if _some(chance, 0.3):
            contact["priority"] = chance.choice(("urgent", "high", "low"))
    return replace(action, body=msgspec.json.encode(trigger))
