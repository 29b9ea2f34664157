"""What a seed means: who calls whom by which rules, what people ask for, and what goes wrong when. Pure."""

from __future__ import annotations

from sim.world.plan.agents import add_agents
from sim.world.plan.base import draw_bare_plan
from sim.world.plan.day import CONTACTS_MIN, HOURS, draw_day
from sim.world.plan.letters import add_letters
from sim.world.plan.orders import add_orders
from sim.world.plan.parts import (
    CLOCKS_SET,
    COUNTRIES,
    YEAR_AT,
    ZONES,
    Action,
    Deed,
    DiskTrouble,
    Outage,
    Plan,
)
from sim.world.plan.starts import add_starts
from sim.world.plan.terms import add_terms

__all__ = [
    "CLOCKS_SET",
    "COUNTRIES",
    "YEAR_AT",
    "ZONES",
    "Action",
    "Deed",
    "DiskTrouble",
    "Outage",
    "Plan",
    "draw_plan",
]


def draw_plan(seed: int, contacts: int | None = None, hours: float | None = None) -> Plan:
    """The run of a seed: small and hard, or, from `CONTACTS_MIN` contacts on, a day of an installation."""
    if contacts is not None and contacts >= CONTACTS_MIN:
        return draw_day(seed, contacts, HOURS if hours is None else hours)
    bare = draw_bare_plan(seed, contacts, hours)
    return add_starts(add_letters(add_agents(add_orders(add_terms(bare)))))
