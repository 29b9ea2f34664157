"""Letters that are to be sent: receipts and the like. Drawn apart from the rest of the plan, so that a seed
means what it meant before."""

from __future__ import annotations

from random import Random
from typing import Final

from msgspec.structs import replace

from sim.world.plan.parts import Action, Plan

WITH_LETTERS: Final = 0.3
"""Share of the plans in which letters are sent."""


def add_letters(plan: Plan) -> Plan:
    """The plan with the letters of its seed. Now and then one is asked for twice, as by a door that was not
    answered."""
    chance = Random(f"{plan.seed}/letters")
    if chance.random() >= WITH_LETTERS:
        return plan
    letters: list[Action] = []
    for number in range(chance.randrange(1, 8)):
        account = chance.choice(plan.accounts).id
        at = chance.uniform(0, plan.horizon_s * 0.6)
        one = Action(at, "letter", f"{account}/{number}")
        again = replace(one, at=at + chance.choice((0.0, 5.0)))
        letters += (one, again)[: chance.choice((1, 1, 2))]
    return replace(plan, actions=tuple(sorted((*plan.actions, *letters), key=lambda one: one.at)))
