"""What operators ask for at any moment, beside what `base` draws: other start times, whole accounts
and flows that are paused or canceled, DIDs that are to rest, and numbers that must not be called.

Drawn apart from the rest of the plan, so that a seed means what it meant before.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
from msgspec.structs import replace

from sim.world.plan.parts import Action, Deed, Plan


def add_orders(plan: Plan) -> Plan:
    """The plan with the further orders of its seed."""
    chance = Random(f"{plan.seed}/orders")
    actions = [*plan.actions]
    for _ in range(chance.choice((0, 0, 1, 2, 4))):
        actions += _order(plan, chance)
    actions += _bans(plan, Random(f"{plan.seed}/bans"))
    return replace(plan, actions=tuple(sorted(actions, key=lambda one: one.at)))


def _bans(plan: Plan, chance: Random) -> list[Action]:
    """Numbers, or ranges of them, that must not be called from some moment on, before or after they come in:
    by any flow, or by one."""
    numbers = [*_numbers(plan)]
    bans = []
    for _ in range(chance.choice((0, 0, 1, 2, 4))):
        number = chance.choice(numbers)
        number = chance.choice((number, number, f"{number[:-2]}*", f"{number[:5]}*"))
        flow = chance.choice((b"", b"", chance.choice(plan.flows).id.encode()))
        for_s = chance.choice((0.0, 0.0, 200.0))
        at = chance.uniform(0, plan.horizon_s * 0.5)
        bans.append(Action(at, "do_not_call", number, for_s, flow))
    return bans


def _numbers(plan: Plan) -> Iterator[str]:
    """Those that are to be called."""
    for action in plan.actions:
        if action.deed in ("list", "call"):
            trigger: dict[str, Any] = msgspec.json.decode(action.body)
            for contact in trigger.get("contacts", [trigger]):
                yield from contact.get("tel") or contact["to"]


def _order(plan: Plan, chance: Random) -> list[Action]:
    begin = chance.uniform(0, plan.horizon_s * 0.6)
    end = begin + chance.choice((0.5, 10, 120))
    which = str(chance.randrange(6))
    account = chance.choice(plan.accounts).id
    deed: Deed = chance.choice(
        (
            "reschedule_list",
            "reschedule_list",
            "reschedule_contact",
            "prioritise_list",
            "pause_account",
            "cancel_flow",
            "cancel_account",
            "rest_did",
            "rest_did",
        )
    )
    if deed in ("reschedule_list", "reschedule_contact"):
        return [Action(begin, deed, which, chance.choice((0.0, 5.0, 60.0, 400.0)))]
    if deed == "prioritise_list":
        priority = chance.choice((b"urgent", b"high", b"low"))
        return [Action(begin, deed, which, body=priority)]
    if deed == "pause_account":
        return [Action(begin, deed, account), Action(end, "resume_account", account)]
    if deed == "cancel_flow":
        return [Action(begin, deed, chance.choice(plan.flows).id)]
    if deed == "cancel_account":
        return [Action(begin, deed, account)]
    did = chance.choice(plan.dids).number
    rest = Action(begin, deed, did, chance.choice((0.0, 60.0, 200.0)))
    return [rest, Action(end, "resume_did", did)] if chance.random() < 0.7 else [rest]
