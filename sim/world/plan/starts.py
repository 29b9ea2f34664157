"""When contacts are to be called at the earliest, where their trigger says so. Drawn apart from the rest of
the plan, so that a seed means what it meant before."""

from __future__ import annotations

from random import Random
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from engine.model.events import rfc3339
from sim.world.plan.parts import Action, Plan

WITH_STARTS: Final = 0.3
"""Share of the plans in which triggers give start times."""
AFTER_S: Final = (-60.0, 3.0, 60.0, 60.5, 310.0, 500.0)
"""How long after its trigger somebody is to be called; beyond five minutes contacts wait in the store."""


def add_starts(plan: Plan) -> Plan:
    """The plan with the start times of its seed."""
    chance = Random(f"{plan.seed}/starts")
    if chance.random() >= WITH_STARTS:
        return plan
    return replace(plan, actions=tuple(_begun(one, plan.epoch, chance) for one in plan.actions))


def _begun(action: Action, epoch: float, chance: Random) -> Action:
    if action.deed not in ("list", "call"):
        return action
    trigger: dict[str, Any] = msgspec.json.decode(action.body)
    for contact in (trigger, *trigger.get("contacts", ())):
        if chance.random() < 0.4:
            contact["starttime"] = rfc3339(epoch + action.at + chance.choice(AFTER_S))
    return replace(action, body=msgspec.json.encode(trigger))
